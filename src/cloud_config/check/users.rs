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

pub(super) fn check(
    users: &[document::User],
    accounts: &Accounts,
    report: &mut Report,
) -> Vec<User> {
    users
        .iter()
        .filter_map(|user| one(user, accounts, report))
        .collect()
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
