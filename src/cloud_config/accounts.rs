//! The users and groups of the host, from `/etc/passwd`, `/etc/group` and `/etc/shadow`.

use std::collections::BTreeMap;

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The user id.
    pub uid: u32,
    /// The id of the primary group.
    pub gid: u32,
    /// Its home directory.
    pub home: String,
}

/// All users and groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accounts {
    users: BTreeMap<String, Account>,
    groups: BTreeMap<String, u32>,
    passwords: BTreeMap<String, String>,
}

/// The owner of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The user; `None` to keep it.
    pub user: Option<Id>,
    /// The group; `None` to keep it.
    pub group: Option<Id>,
}

/// A user or group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Id {
    /// By number.
    Number(u32),
    /// By name.
    Name(String),
}

impl Accounts {
    /// The accounts in the texts of the three files. Malformed lines are skipped.
    pub fn parse(passwd: &str, group: &str, shadow: &str) -> Self {
        let mut accounts = Self::default();
        for line in passwd.lines() {
            let fields: Vec<&str> = line.split(':').collect();
            let [name, _, uid, gid, _, home, ..] = fields.as_slice() else {
                continue;
            };
            if let (Ok(uid), Ok(gid)) = (uid.parse(), gid.parse()) {
                let home = String::from(*home);
                accounts
                    .users
                    .insert(String::from(*name), Account { uid, gid, home });
            }
        }
        for line in group.lines() {
            let fields: Vec<&str> = line.split(':').collect();
            if let [name, _, gid, ..] = fields.as_slice()
                && let Ok(gid) = gid.parse()
            {
                accounts.groups.insert(String::from(*name), gid);
            }
        }
        for line in shadow.lines() {
            if let Some((name, rest)) = line.split_once(':') {
                let hash = rest.split(':').next().unwrap_or_default();
                accounts
                    .passwords
                    .insert(String::from(name), String::from(hash));
            }
        }
        accounts
    }

    /// A user by name.
    pub fn user(&self, name: &str) -> Option<&Account> {
        self.users.get(name)
    }

    /// Whether a group exists.
    pub fn has_group(&self, name: &str) -> bool {
        self.groups.contains_key(name)
    }

    /// Whether a group exists, by name or by number as useradd(8) accepts it.
    pub fn has_group_or_number(&self, group: &str) -> bool {
        let number = group.parse::<u32>().ok();
        self.has_group(group)
            || number.is_some_and(|number| self.groups.values().any(|gid| *gid == number))
    }

    /// Whether the accounts of the host are known at all.
    pub fn are_known(&self) -> bool {
        !self.users.is_empty()
    }

    /// Whether this is the current password hash of a user.
    pub fn has_password(&self, name: &str, hash: &str) -> bool {
        self.passwords.get(name).is_some_and(|one| one == hash)
    }

    /// The ids of an owner, each `None` if it is kept; `None` altogether if a name is unknown.
    pub fn ids(&self, owner: &Owner) -> Option<(Option<u32>, Option<u32>)> {
        let user = match &owner.user {
            None => None,
            Some(Id::Number(number)) => Some(*number),
            Some(Id::Name(name)) => Some(self.users.get(name)?.uid),
        };
        let group = match &owner.group {
            None => None,
            Some(Id::Number(number)) => Some(*number),
            Some(Id::Name(name)) => Some(*self.groups.get(name)?),
        };
        Some((user, group))
    }
}

impl Owner {
    /// `user`, `user:group` or `:group`.
    pub fn parse(text: &str) -> Option<Self> {
        let (user, group) = text.split_once(':').unwrap_or((text, ""));
        if text.contains(char::is_whitespace)
            || group.contains(':')
            || user.is_empty() && group.is_empty()
        {
            return None;
        }
        Some(Self {
            user: Id::parse(user),
            group: Id::parse(group),
        })
    }

    /// The owner as chown(1) accepts it.
    pub fn to_text(&self) -> String {
        let part = |id: &Option<Id>| match id {
            None => String::new(),
            Some(Id::Number(number)) => number.to_string(),
            Some(Id::Name(name)) => name.clone(),
        };
        match self.group {
            None => part(&self.user),
            Some(_) => format!("{}:{}", part(&self.user), part(&self.group)),
        }
    }
}

impl Id {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "" => None,
            _ => Some(
                text.parse()
                    .map_or_else(|_| Self::Name(String::from(text)), Self::Number),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_resolved_to_ids() {
        let accounts = Accounts::parse(
            "root:x:0:0:root:/root:/bin/sh\nbroken\ncore:x:500:501::/home/core:\n",
            "root:x:0:\ndocker:x:233:core\n",
            "core:$1$x:1:2:::::\n",
        );
        let ids = |text: &str| Owner::parse(text).and_then(|owner| accounts.ids(&owner));
        assert_eq!(ids("core:docker"), Some((Some(500), Some(233))));
        assert_eq!(ids("core"), Some((Some(500), None)));
        assert_eq!(ids(":docker"), Some((None, Some(233))));
        assert_eq!(ids("7:8"), Some((Some(7), Some(8))));
        assert_eq!(ids("nobody"), None);
        assert_eq!(ids("core:nobody"), None);
        for bad in ["", ":", "a b", "a:b:c"] {
            assert_eq!(Owner::parse(bad), None, "{bad}");
        }
        assert!(accounts.has_password("core", "$1$x") && !accounts.has_password("core", "x"));
    }
}
