//! `users` and `ssh_authorized_keys`

use super::text::is_line;
use crate::cloud_config::accounts::Accounts;
use crate::cloud_config::document::{self, Document, Located};
use crate::cloud_config::report::{Position, Report, quoted};

/// A user to create or change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The login name.
    pub name: String,
    /// Whether the user exists; then only the password is changed.
    pub exists: bool,
    /// The password hash.
    pub password: Option<String>,
    /// The other options of useradd(8).
    pub details: document::User,
}

/// A user who gets SSH keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyHolder {
    /// The login name.
    pub user: String,
    /// The home directory.
    pub home: String,
    /// The SSH keys, one line each.
    pub keys: Vec<String>,
}

/// Checks the users. If one is listed more than once, the last password and all keys are used.
pub(super) fn check(
    users: &[document::User],
    accounts: &Accounts,
    report: &mut Report,
) -> Vec<User> {
    let mut checked: Vec<User> = Vec::new();
    for written in users {
        let Some(user) = check_user(written, accounts, report) else {
            continue;
        };
        if let Some(first) = checked.iter_mut().find(|other| other.name == user.name) {
            let message = format!(
                "duplicate user {}, first on line {}: only the password and the keys of this item are used",
                user.name, first.details.position.line
            );
            report.warning(written.position, message);
            let password = user.password.filter(|password| !password.is_empty());
            first.password = password.or(first.password.take());
            continue;
        }
        check_groups(&user, &checked, accounts, report);
        checked.push(user);
    }
    checked
}

/// useradd(8) accepts only existing groups: those of the host, and those created with an earlier user.
fn check_groups(user: &User, before: &[User], accounts: &Accounts, report: &mut Report) {
    // The groups of an existing user are kept; with --validate the groups of the host are not known.
    if user.exists || !accounts.are_known() {
        return;
    }
    let details = &user.details;
    let primary = details
        .primary_group
        .iter()
        .map(|group| (group, user.details.position));
    let others = details
        .groups
        .iter()
        .map(|group| (&group.value, group.position));
    for (group, position) in primary.chain(others) {
        let is_created = || {
            before
                .iter()
                .any(|one| creates_group(one) && one.name == *group)
        };
        if group.is_empty() || accounts.has_group_or_number(group) || is_created() {
            continue;
        }
        let message = format!(
            "group {} of user {} does not exist, expected a group of the host or of an earlier user",
            quoted(group),
            user.name
        );
        report.error(position, message);
    }
}

/// Whether a group of the same name is created with a user.
fn creates_group(user: &User) -> bool {
    let details = &user.details;
    let other = details
        .primary_group
        .as_ref()
        .is_some_and(|group| !group.is_empty());
    !user.exists && !details.no_user_group && !other
}

fn check_user(user: &document::User, accounts: &Accounts, report: &mut Report) -> Option<User> {
    let Some(name) = user.name.as_ref().filter(|name| !name.value.is_empty()) else {
        report.note(user.position, "a user has no name; ignored");
        return None;
    };
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.$".contains(&byte);
    if name.value.len() > 32 || !name.value.bytes().all(is_allowed) || name.value.starts_with('-') {
        let message = format!(
            "{} is not a valid name of a user, expected at most 32 letters, digits, -, _, . and $",
            quoted(&name.value)
        );
        return report.reject(name.position, message);
    }
    // In /etc/passwd a colon or a line break could add another user.
    let texts = [
        &user.password,
        &user.gecos,
        &user.primary_group,
        &user.shell,
    ];
    let groups = user.groups.iter().map(|group| &group.value);
    let home = user.home.iter().map(|home| &home.value);
    for text in texts.into_iter().flatten().chain(groups).chain(home) {
        if !is_line(text) || text.contains(':') {
            let message = format!(
                "user {} has the value {}, expected no colon and no line break",
                name.value,
                quoted(text)
            );
            return report.reject(user.position, message);
        }
    }
    if let Some(home) = user
        .home
        .as_ref()
        .filter(|home| !home.value.starts_with('/'))
    {
        let message = format!(
            "homedir is {}, expected an absolute path",
            quoted(&home.value)
        );
        return report.reject(home.position, message);
    }
    Some(User {
        name: name.value.clone(),
        exists: accounts.user(&name.value).is_some(),
        password: user.password.clone(),
        details: user.clone(),
    })
}

/// The users who get SSH keys: those at the top level go to `ssh_user`, those of a user to that user.
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
            first.position,
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
                user.position,
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
    position: Position,
    document: &Document,
    accounts: &Accounts,
    report: &mut Report,
) -> Option<KeyHolder> {
    let default = match name {
        "root" => String::from("/root"),
        _ => format!("/home/{name}"),
    };
    let named = |user: &&document::User| user.name.as_ref().is_some_and(|one| one.value == name);
    let home = match (accounts.user(name), document.users.iter().find(named)) {
        (Some(account), _) => account.home.clone(),
        (None, Some(user)) => user
            .home
            .as_ref()
            .map_or(default, |home| home.value.clone()),
        (None, None) if !accounts.are_known() => default,
        (None, None) => {
            let message = format!(
                "user {}, who would get the SSH keys, does not exist; select another with --ssh-user",
                quoted(name)
            );
            return report.reject(position, message);
        }
    };
    Some(KeyHolder {
        user: String::from(name),
        home,
        keys,
    })
}

/// The lines of the keys.
fn keys(texts: &[Located<String>], report: &mut Report) -> Vec<String> {
    let mut keys = Vec::new();
    for text in texts {
        for line in text
            .value
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
        {
            if is_line(line) {
                keys.push(String::from(line));
            } else {
                report.error(text.position, "an SSH key contains a control character");
            }
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A user on a line of a document.
    fn user(line: usize, name: &str, groups: &[&str]) -> document::User {
        let position = Position::line(line);
        let located = |text: &str| Located {
            value: String::from(text),
            position,
        };
        document::User {
            position,
            name: Some(located(name)),
            groups: groups.iter().map(|group| located(group)).collect(),
            ..document::User::default()
        }
    }

    fn accounts() -> Accounts {
        Accounts::parse("core:x:500:500::/home/core:\n", "docker:x:233:\n", "")
    }

    #[test]
    fn a_user_that_is_listed_twice_is_created_once() {
        let mut report = Report::default();
        let mut again = user(7, "new", &["nowhere"]);
        again.password = Some(String::from("$6$hash"));
        let users = [user(3, "new", &["docker"]), again, user(9, "new", &[])];
        let checked = check(&users, &accounts(), &mut report);
        assert_eq!(checked.len(), 1);
        assert_eq!(checked[0].password.as_deref(), Some("$6$hash"));
        assert_eq!(checked[0].details.groups[0].value, "docker");
        let text = report.to_text("f");
        assert!(
            text.starts_with("f:7: warning: duplicate user new, first on line 3"),
            "{text}"
        );
        assert!(!report.has_errors());
    }

    #[test]
    fn groups_exist_or_are_created_with_an_earlier_user() {
        let reported = |users: &[document::User], accounts: &Accounts| {
            let mut report = Report::default();
            check(users, accounts, &mut report);
            let lines = report.findings().into_iter().map(|one| one.position.line);
            lines.collect::<Vec<_>>()
        };
        let known = accounts();
        let good = [
            user(1, "a", &["docker", "233"]),
            user(2, "b", &["a", "docker"]),
        ];
        assert_eq!(reported(&good, &known), [0; 0]);
        // Its own group does not exist yet, and no group has this number.
        let bad = [
            user(1, "a", &["a"]),
            user(2, "b", &["234"]),
            user(3, "c", &["x"]),
        ];
        assert_eq!(reported(&bad, &known), [1, 2, 3]);
        assert_eq!(reported(&bad, &Accounts::default()), [0; 0]);
        assert_eq!(reported(&[user(1, "core", &["x"])], &known), [0; 0]);

        let mut without = user(1, "a", &[]);
        without.no_user_group = true;
        let mut primary = user(2, "b", &[]);
        primary.primary_group = Some(String::from("a"));
        assert_eq!(reported(&[without, primary], &known), [2]);
    }
}
