//! The commands that create and change users.

use super::step::Command;
use crate::cloud_config::accounts::Accounts;
use crate::cloud_config::check::User;
use crate::cloud_config::quote;

/// The command that creates a user, or sets the password of an existing one; `None` if there is nothing to
/// change.
pub(super) fn to_command(user: &User, accounts: &Accounts) -> Option<Command> {
    let password = user
        .password
        .as_ref()
        .filter(|password| !password.is_empty());
    if user.exists {
        let hash = password.filter(|hash| !accounts.has_password(&user.name, hash))?;
        let mut command = Command::new(["chpasswd", "-e"]);
        command.input = format!("{}:{hash}", user.name);
        return Some(command);
    }
    let details = &user.details;
    let mut command = Command::new(["useradd", "--password"]);
    let words = &mut command.words;
    words.push(password.map_or_else(|| String::from("*"), String::clone));
    let comment = details.gecos.as_ref().filter(|gecos| !gecos.is_empty());
    add_option(
        words,
        "--comment",
        comment.map(|gecos| quote::go_quoted(gecos)),
    );
    add_option(
        words,
        "--home-dir",
        details.home.as_ref().map(|home| home.value.clone()),
    );
    let home = if details.no_create_home {
        "--no-create-home"
    } else {
        "--create-home"
    };
    words.push(String::from(home));
    add_option(words, "--gid", details.primary_group.clone());
    let groups: Vec<&str> = details
        .groups
        .iter()
        .map(|group| group.value.as_str())
        .collect();
    add_option(words, "--groups", Some(groups.join(",")));
    for (flag, set) in [
        ("--no-user-group", details.no_user_group),
        ("--system", details.system),
        ("--no-log-init", details.no_log_init),
    ] {
        words.extend(set.then(|| String::from(flag)));
    }
    add_option(words, "--shell", details.shell.clone());
    words.push(user.name.clone());
    Some(command)
}

/// Adds an option with its value unless that is empty.
fn add_option(words: &mut Vec<String>, flag: &str, value: Option<String>) {
    if let Some(value) = value.filter(|value| !value.is_empty()) {
        words.extend([String::from(flag), value]);
    }
}
