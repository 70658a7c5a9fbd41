//! `users` and `ssh_authorized_keys`

use super::{is_plain_line, refuse};
use crate::cloud_config::accounts::Accounts;
use crate::cloud_config::document::{self, Document, Placed};
use crate::cloud_config::report::{Place, Report, shown};

/// A user to make or change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The login name.
    pub name: String,
    /// Whether it is there already; then only the password counts.
    pub exists: bool,
    /// The password's hash.
    pub password: Option<String>,
    /// What `useradd` takes beside name and password.
    pub details: document::User,
}

/// Someone who gets keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyHolder {
    /// The login name.
    pub user: String,
    /// The home directory.
    pub home: String,
    /// The keys, one line each.
    pub keys: Vec<String>,
}

/// A user that is listed again is the one that was listed before: it gets the last password, and all keys.
pub(super) fn check(
    users: &[document::User],
    accounts: &Accounts,
    report: &mut Report,
) -> Vec<User> {
    let mut checked: Vec<User> = Vec::new();
    for written in users {
        let Some(user) = one(written, accounts, report) else {
            continue;
        };
        if let Some(first) = checked.iter_mut().find(|other| other.name == user.name) {
            let message = format!(
                "user {} is on line {} already; only the password and the keys count here",
                user.name, first.details.place.line
            );
            report.warning(written.place, message);
            let given = user.password.filter(|password| !password.is_empty());
            first.password = given.or(first.password.take());
            continue;
        }
        groups_are_there(&user, &checked, accounts, report);
        checked.push(user);
    }
    checked
}

/// `useradd` takes only groups that are there: on the machine, or made with a user that is listed before.
fn groups_are_there(user: &User, before: &[User], accounts: &Accounts, report: &mut Report) {
    // One that is there stays in its groups; and another machine's groups are not known here.
    if user.exists || !accounts.are_known() {
        return;
    }
    let details = &user.details;
    let primary = details
        .primary_group
        .iter()
        .map(|group| (group, user.details.place));
    let others = details
        .groups
        .iter()
        .map(|group| (&group.value, group.place));
    for (group, place) in primary.chain(others) {
        let made = || {
            before
                .iter()
                .any(|one| makes_group(one) && one.name == *group)
        };
        if group.is_empty() || accounts.has_group_or_number(group) || made() {
            continue;
        }
        let message = format!(
            "there is no group {} for user {}; expected one of the machine, or of a user before this one",
            shown(group),
            user.name
        );
        report.error(place, message);
    }
}

/// Whether a group of the same name is made with a user.
fn makes_group(user: &User) -> bool {
    let details = &user.details;
    let other = details
        .primary_group
        .as_ref()
        .is_some_and(|group| !group.is_empty());
    !user.exists && !details.no_user_group && !other
}

fn one(user: &document::User, accounts: &Accounts, report: &mut Report) -> Option<User> {
    let Some(name) = user.name.as_ref().filter(|name| !name.value.is_empty()) else {
        report.note(user.place, "a user has no name; left out");
        return None;
    };
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.$".contains(&byte);
    if name.value.len() > 32 || !name.value.bytes().all(letter) || name.value.starts_with('-') {
        let message = format!("{} is no name for a user", shown(&name.value));
        return refuse(name.place, message, report);
    }
    // A line for another user could hide in any of these.
    let texts = [
        &user.password,
        &user.gecos,
        &user.primary_group,
        &user.shell,
    ];
    let groups = user.groups.iter().map(|group| &group.value);
    let home = user.home.iter().map(|home| &home.value);
    for text in texts.into_iter().flatten().chain(groups).chain(home) {
        if !is_plain_line(text) || text.contains(':') {
            let message = format!(
                "user {} has {}, expected no : and no line breaks",
                name.value,
                shown(text)
            );
            return refuse(user.place, message, report);
        }
    }
    if let Some(home) = user
        .home
        .as_ref()
        .filter(|home| !home.value.starts_with('/'))
    {
        let message = format!(
            "homedir is {}, expected a path that begins with /",
            shown(&home.value)
        );
        return refuse(home.place, message, report);
    }
    Some(User {
        name: name.value.clone(),
        exists: accounts.user(&name.value).is_some(),
        password: user.password.clone(),
        details: user.clone(),
    })
}

/// Who gets which keys: those at the top of the document go to one user, the others to their own.
pub(super) fn key_holders(
    document: &Document,
    accounts: &Accounts,
    ssh_user: &str,
    report: &mut Report,
) -> Vec<KeyHolder> {
    let mut holders = Vec::new();
    let top = keys(&document.ssh_authorized_keys, report);
    if let Some(first) = document
        .ssh_authorized_keys
        .first()
        .filter(|_| !top.is_empty())
    {
        holders.extend(holder(
            ssh_user,
            top,
            first.place,
            document,
            accounts,
            report,
        ));
    }
    for user in &document.users {
        let keys = keys(&user.ssh_authorized_keys, report);
        if let Some(name) = user
            .name
            .as_ref()
            .filter(|name| !keys.is_empty() && !name.value.is_empty())
        {
            holders.extend(holder(
                &name.value,
                keys,
                user.place,
                document,
                accounts,
                report,
            ));
        }
    }
    holders
}

fn holder(
    name: &str,
    keys: Vec<String>,
    place: Place,
    document: &Document,
    accounts: &Accounts,
    report: &mut Report,
) -> Option<KeyHolder> {
    let usual = match name {
        "root" => String::from("/root"),
        _ => format!("/home/{name}"),
    };
    let named = |user: &&document::User| user.name.as_ref().is_some_and(|one| one.value == name);
    let home = match (accounts.user(name), document.users.iter().find(named)) {
        (Some(account), _) => account.home.clone(),
        (None, Some(user)) => user.home.as_ref().map_or(usual, |home| home.value.clone()),
        (None, None) if !accounts.are_known() => usual,
        (None, None) => {
            let message = format!(
                "there is no user {} who could have the keys; name one by --ssh-user",
                shown(name)
            );
            return refuse(place, message, report);
        }
    };
    Some(KeyHolder {
        user: String::from(name),
        home,
        keys,
    })
}

/// The keys, each on its line.
fn keys(texts: &[Placed<String>], report: &mut Report) -> Vec<String> {
    let mut keys = Vec::new();
    for text in texts {
        for line in text
            .value
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
        {
            if is_plain_line(line) {
                keys.push(String::from(line));
            } else {
                report.error(text.place, "a key has a control character in it");
            }
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A user of a document, at a line.
    fn user(line: usize, name: &str, groups: &[&str]) -> document::User {
        let place = Place::line(line);
        let placed = |text: &str| Placed {
            value: String::from(text),
            place,
        };
        document::User {
            place,
            name: Some(placed(name)),
            groups: groups.iter().map(|group| placed(group)).collect(),
            ..document::User::default()
        }
    }

    fn accounts() -> Accounts {
        Accounts::parse("core:x:500:500::/home/core:\n", "docker:x:233:\n", "")
    }

    #[test]
    fn a_user_that_is_listed_twice_is_made_once() {
        let mut report = Report::default();
        let mut again = user(7, "new", &["nowhere"]);
        again.password = Some(String::from("$6$hash"));
        let users = [user(3, "new", &["docker"]), again, user(9, "new", &[])];
        let checked = check(&users, &accounts(), &mut report);
        assert_eq!(checked.len(), 1);
        assert_eq!(checked[0].password.as_deref(), Some("$6$hash"));
        assert_eq!(checked[0].details.groups[0].value, "docker");
        let text = report.text("f");
        assert!(
            text.starts_with("f:7: warning: user new is on line 3 already"),
            "{text}"
        );
        assert!(!report.has_errors());
    }

    #[test]
    fn groups_are_there_or_come_with_a_user_before() {
        let said = |users: &[document::User], accounts: &Accounts| {
            let mut report = Report::default();
            check(users, accounts, &mut report);
            let lines = report.findings().into_iter().map(|one| one.place.line);
            lines.collect::<Vec<_>>()
        };
        let known = accounts();
        let good = [
            user(1, "a", &["docker", "233"]),
            user(2, "b", &["a", "docker"]),
        ];
        assert_eq!(said(&good, &known), [0; 0]);
        // Its own group is not there when it is asked for, and a number may be nobody's.
        let bad = [
            user(1, "a", &["a"]),
            user(2, "b", &["234"]),
            user(3, "c", &["x"]),
        ];
        assert_eq!(said(&bad, &known), [1, 2, 3]);
        assert_eq!(said(&bad, &Accounts::default()), [0; 0]);
        assert_eq!(said(&[user(1, "core", &["x"])], &known), [0; 0]);

        let mut without = user(1, "a", &[]);
        without.no_user_group = true;
        let mut primary = user(2, "b", &[]);
        primary.primary_group = Some(String::from("a"));
        assert_eq!(said(&[without, primary], &known), [2]);
    }
}
