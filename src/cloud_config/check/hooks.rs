//! `coreos.exec-watch`

use std::collections::BTreeSet;

use serde_yaml::{Mapping, Value};

use super::{is_plain_line, refuse};
use crate::cloud_config::document::{self, Command, Placed};
use crate::cloud_config::quote;
use crate::cloud_config::report::{Report, shown};

/// A hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// Its name: letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// Its file, YAML.
    pub content: String,
}

pub(super) fn check(hooks: &[document::Hook], report: &mut Report) -> Vec<Hook> {
    let mut names = BTreeSet::new();
    let mut checked = Vec::new();
    for hook in hooks {
        let Some(one) = one(hook, report) else {
            continue;
        };
        if !names.insert(one.name.clone()) {
            report.error(
                hook.place,
                format!("there are two hooks named {}", one.name),
            );
        }
        checked.push(one);
    }
    checked
}

fn one(hook: &document::Hook, report: &mut Report) -> Option<Hook> {
    let name = name(hook, report);
    let key = key(hook, report);
    let command = command(hook, report);
    let mut file = Mapping::new();
    let mut put = |key: &str, value: Value| file.insert(Value::from(key), value);
    put("key", Value::from(key?));
    if let Some(recursive) = hook.recursive {
        put("recursive", Value::from(recursive));
    }
    put("command", command?);
    if let Some(user) = &hook.user {
        if user.value.is_empty() || !is_plain_line(&user.value) {
            let message = format!("{} is no name for a user", shown(&user.value));
            return refuse(user.place, message, report);
        }
        put("user", Value::from(user.value.as_str()));
    }
    for (word, value) in [("timeout", &hook.timeout), ("debounce", &hook.debounce)] {
        if let Some(value) = value {
            put(word, number(word, value, report)?);
        }
    }
    if let Some(initial) = hook.initial {
        put("initial", Value::from(initial));
    }
    if !hook.environment.is_empty() {
        put("environment", environment(hook, report)?);
    }
    let name = name?;
    match serde_yaml::to_string(&file) {
        Ok(content) => Some(Hook { name, content }),
        Err(error) => refuse(
            hook.place,
            format!("hook {name} cannot be written: {error}"),
            report,
        ),
    }
}

fn name(hook: &document::Hook, report: &mut Report) -> Option<String> {
    let Some(Placed { value, place }) = &hook.name else {
        return refuse(hook.place, String::from("a hook has no name"), report);
    };
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if value.is_empty()
        || value.len() > 200
        || !value.bytes().all(letter)
        || value.starts_with(['.', '-'])
    {
        let message = format!(
            "{} is no name for a hook, expected letters, digits, -, _ and .",
            shown(value)
        );
        return refuse(*place, message, report);
    }
    Some(value.clone())
}

fn key(hook: &document::Hook, report: &mut Report) -> Option<String> {
    match &hook.key {
        Some(key) if !key.value.is_empty() => Some(match key.value.starts_with('/') {
            true => key.value.clone(),
            false => format!("/{}", key.value),
        }),
        Some(key) => refuse(key.place, String::from("a hook's key is empty"), report),
        None => refuse(
            hook.place,
            String::from("a hook has no key to watch"),
            report,
        ),
    }
}

fn command(hook: &document::Hook, report: &mut Report) -> Option<Value> {
    let refuse = |message: &str, report: &mut Report| -> Option<Value> {
        refuse(hook.place, String::from(message), report)
    };
    match &hook.command {
        None => refuse("a hook has no command", report),
        Some(Command::Line(line)) if line.trim().is_empty() => {
            refuse("a hook's command is empty", report)
        }
        Some(Command::Line(line)) if line.contains('\0') => {
            refuse("a hook's command has a zero byte in it", report)
        }
        Some(Command::Line(line)) => Some(Value::from(line.as_str())),
        Some(Command::Words(words)) => match words.first() {
            None => refuse("a hook's command is empty", report),
            Some(program) if program.is_empty() => refuse("a hook's command is empty", report),
            Some(_) if words.iter().any(|word| word.contains('\0')) => {
                refuse("a hook's command has a zero byte in it", report)
            }
            Some(_) => Some(
                words
                    .iter()
                    .map(|word| Value::from(word.as_str()))
                    .collect(),
            ),
        },
    }
}

fn number(word: &str, value: &Placed<String>, report: &mut Report) -> Option<Value> {
    let text = value.value.as_str();
    let digits = text.starts_with(|letter: char| letter.is_ascii_digit() || letter == '.');
    match (text.parse::<u64>(), text.parse::<f64>()) {
        (Ok(whole), _) => Some(Value::from(whole)),
        (Err(_), Ok(number)) if digits && number.is_finite() => Some(Value::from(number)),
        (Err(_), _) => {
            let message = format!("a hook's {word} is {}, expected a number", shown(text));
            refuse(value.place, message, report)
        }
    }
}

fn environment(hook: &document::Hook, report: &mut Report) -> Option<Value> {
    let mut variables = Mapping::new();
    for (name, value) in &hook.environment {
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let good =
            name.bytes().all(letter) && !name.is_empty() && !name.as_bytes()[0].is_ascii_digit();
        let why = match good {
            true => quote::unfit(name, value),
            false => Some(String::from("has no name of letters, digits and _")),
        };
        if let Some(why) = why {
            let message = format!("variable {} of a hook {why}", shown(name));
            return refuse(hook.place, message, report);
        }
        variables.insert(Value::from(name.as_str()), Value::from(value.as_str()));
    }
    Some(Value::Mapping(variables))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud_config::report::Place;

    fn placed(value: &str) -> Option<Placed<String>> {
        Some(Placed {
            value: String::from(value),
            place: Place::default(),
        })
    }

    #[test]
    fn what_is_written_is_read_back() {
        let hook = document::Hook {
            name: placed("proxy"),
            key: placed("services"),
            command: Some(Command::Words(vec![
                "echo".into(),
                "yes".into(),
                "0x1".into(),
                "a: b\n".into(),
            ])),
            recursive: Some(true),
            timeout: placed("2.5"),
            debounce: placed("100"),
            environment: vec![("A".into(), "null".into())],
            ..document::Hook::default()
        };
        let mut report = Report::default();
        let checked = check(&[hook], &mut report);
        assert_eq!(report, Report::default());
        let read: Value = serde_yaml::from_str(&checked[0].content).expect("YAML");
        assert_eq!(read["key"], "/services");
        assert_eq!(read["recursive"], true);
        assert_eq!(read["timeout"], 2.5);
        assert_eq!(read["debounce"], 100);
        assert_eq!(read["environment"]["A"], "null");
        let words: Vec<&str> = read["command"]
            .as_sequence()
            .expect("a list")
            .iter()
            .filter_map(Value::as_str)
            .collect();
        assert_eq!(words, ["echo", "yes", "0x1", "a: b\n"]);
    }

    #[test]
    fn what_is_missing_or_odd_is_said() {
        let good = document::Hook {
            name: placed("a"),
            key: placed("/k"),
            command: Some(Command::Line(String::from("true"))),
            ..document::Hook::default()
        };
        let refused = |hook: document::Hook| {
            let mut report = Report::default();
            check(&[hook], &mut report);
            report.has_errors()
        };
        assert!(!refused(good.clone()));
        assert!(refused(document::Hook {
            name: None,
            ..good.clone()
        }));
        assert!(refused(document::Hook {
            name: placed("../x"),
            ..good.clone()
        }));
        assert!(refused(document::Hook {
            key: None,
            ..good.clone()
        }));
        assert!(refused(document::Hook {
            command: None,
            ..good.clone()
        }));
        assert!(refused(document::Hook {
            command: Some(Command::Words(Vec::new())),
            ..good.clone()
        }));
        assert!(refused(document::Hook {
            timeout: placed("soon"),
            ..good.clone()
        }));
        assert!(refused(document::Hook {
            environment: vec![("1".into(), "x".into())],
            ..good.clone()
        }));
        let mut report = Report::default();
        check(&[good.clone(), good], &mut report);
        assert!(report.has_errors());
    }
}
