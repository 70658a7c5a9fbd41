//! `coreos.exec-watch`

use std::collections::BTreeSet;

use serde_yaml::{Mapping, Value};

use crate::cloud_config::document::{self, Located, Setting};
use crate::cloud_config::hook_record::{HookFile, HostHooks};
use crate::cloud_config::paths;
use crate::cloud_config::quote;
use crate::cloud_config::report::{Position, Report, quoted};
use crate::hook;

/// The changes to the hooks of a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HookChanges {
    /// The hooks of the document.
    pub write: Vec<HookFile>,
    /// The hooks that an earlier run wrote and that are no longer in the document, with their contents.
    pub remove: Vec<HookFile>,
    /// Whether there are hook files besides those to remove.
    pub has_others: bool,
    /// Whether there is a record of an earlier run.
    pub has_record: bool,
}

pub(super) fn check(
    document: &document::Document,
    host: &HostHooks,
    report: &mut Report,
) -> Option<HookChanges> {
    let write = to_files(document.hooks.as_ref()?, report);
    let paths = document
        .write_files
        .iter()
        .filter_map(|file| file.path.as_ref());
    let paths: BTreeSet<String> = paths.map(|path| paths::clean(&path.value)).collect();
    let is_written = |name: &str| {
        write.iter().any(|hook| hook.name == name) || paths.contains(&paths::hook(name))
    };
    let mut remove = Vec::new();
    for (name, content) in &host.recorded {
        if is_written(name) || !host.files.contains_key(name) {
            continue;
        }
        if host.is_unchanged(name) {
            let (name, content) = (name.clone(), content.clone());
            remove.push(HookFile { name, content });
            continue;
        }
        let message = format!(
            "hook {name} is no longer in the document, but {} was changed since it was written; the file is kept",
            paths::hook(name)
        );
        report.note(Position::default(), message);
    }
    let is_other = |name: &String| remove.iter().all(|hook: &HookFile| hook.name != *name);
    Some(HookChanges {
        has_others: host.files.keys().any(is_other),
        has_record: !host.recorded.is_empty(),
        write,
        remove,
    })
}

fn to_files(hooks: &[document::Hook], report: &mut Report) -> Vec<HookFile> {
    let mut names = BTreeSet::new();
    let mut files = Vec::new();
    for hook in hooks {
        let Some(file) = to_file(hook, report) else {
            continue;
        };
        if !names.insert(file.name.clone()) {
            let message = format!("duplicate hook name {}", file.name);
            report.error(hook.position, message);
        }
        files.push(file);
    }
    files
}

fn to_file(hook: &document::Hook, report: &mut Report) -> Option<HookFile> {
    let name = name(hook, report);
    let mut file = Mapping::new();
    for (key, setting) in &hook.settings {
        let value = match setting {
            Setting::Bool(value) => Value::from(*value),
            Setting::Text(text) => Value::from(text.as_str()),
            Setting::Number(text) => number(key, text, report)?,
            Setting::List(words) => words
                .iter()
                .map(|word| Value::from(word.as_str()))
                .collect(),
            Setting::Map(variables) => environment(hook, variables, report)?,
        };
        file.insert(Value::from(*key), value);
    }
    let name = name?;
    let content = match serde_yaml::to_string(&file) {
        Ok(content) => content,
        Err(error) => {
            return report.reject(
                hook.position,
                format!("hook {name} cannot be written: {error}"),
            );
        }
    };
    // The schema of hook files is that of etcdctl.
    let problems = hook::parse(&content).err().unwrap_or_default();
    for problem in &problems {
        report.error(hook.position, format!("hook {name}: {problem}"));
    }
    problems.is_empty().then_some(HookFile { name, content })
}

fn name(hook: &document::Hook, report: &mut Report) -> Option<String> {
    let Some(Located { value, position }) = &hook.name else {
        return report.reject(hook.position, "a hook has no name");
    };
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let is_valid = value.bytes().all(is_allowed) && !value.starts_with(['.', '-']);
    if !is_valid || value.is_empty() || value.len() > 200 {
        let message = format!(
            "{} is not a valid name of a hook, expected at most 200 letters, digits, -, _ and .",
            quoted(value)
        );
        return report.reject(*position, message);
    }
    Some(value.clone())
}

fn number(key: &str, value: &Located<String>, report: &mut Report) -> Option<Value> {
    let text = value.value.as_str();
    let digits = text.starts_with(|letter: char| letter.is_ascii_digit() || letter == '.');
    match (text.parse::<u64>(), text.parse::<f64>()) {
        (Ok(whole), _) => Some(Value::from(whole)),
        (Err(_), Ok(number)) if digits && number.is_finite() => Some(Value::from(number)),
        (Err(_), _) => {
            let message = format!("the {key} of a hook is {}, expected a number", quoted(text));
            report.reject(value.position, message)
        }
    }
}

fn environment(
    hook: &document::Hook,
    variables: &[(String, String)],
    report: &mut Report,
) -> Option<Value> {
    let mut mapping = Mapping::new();
    for (name, value) in variables {
        if let Some(reason) = quote::find_unfit(name, value) {
            let message = format!("the value of {} of a hook {reason}", quoted(name));
            return report.reject(hook.position, message);
        }
        mapping.insert(Value::from(name.as_str()), Value::from(value.as_str()));
    }
    Some(Value::Mapping(mapping))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn located(value: &str) -> Located<String> {
        Located {
            value: String::from(value),
            position: Position::default(),
        }
    }

    fn hook(settings: Vec<(&'static str, Setting)>) -> document::Hook {
        document::Hook {
            position: Position::default(),
            name: Some(located("proxy")),
            settings,
        }
    }

    fn text(text: &str) -> Setting {
        Setting::Text(String::from(text))
    }

    #[test]
    fn the_file_of_a_hook_is_read_back() {
        let words = ["echo", "yes", "0x1", "a: b\n"].map(String::from);
        let hook = hook(vec![
            ("key", text("/services")),
            ("command", Setting::List(words.to_vec())),
            ("recursive", Setting::Bool(true)),
            ("timeout", Setting::Number(located("2.5"))),
            ("debounce", Setting::Number(located("100"))),
            (
                "environment",
                Setting::Map(vec![("A".into(), "null".into())]),
            ),
        ]);
        let mut report = Report::default();
        let checked = to_files(&[hook], &mut report);
        assert_eq!(report, Report::default());
        let read: Value = serde_yaml::from_str(&checked[0].content).expect("YAML");
        assert_eq!(read["key"], "/services");
        assert_eq!(read["recursive"], true);
        assert_eq!(read["timeout"], 2.5);
        assert_eq!(read["debounce"], 100);
        assert_eq!(read["environment"]["A"], "null");
        let read = read["command"].as_sequence().expect("a list").iter();
        assert_eq!(read.filter_map(Value::as_str).collect::<Vec<_>>(), words);
    }

    #[test]
    fn missing_and_invalid_settings_are_rejected() {
        let is_rejected = |hooks: &[document::Hook]| {
            let mut report = Report::default();
            to_files(hooks, &mut report);
            report.has_errors()
        };
        let (key, command) = (("key", text("/k")), ("command", text("true")));
        let good = hook(vec![key.clone(), command.clone()]);
        assert!(!is_rejected(std::slice::from_ref(&good)));
        assert!(is_rejected(&[hook(vec![key.clone()])]));
        assert!(is_rejected(&[hook(vec![command.clone()])]));
        let with = |more| hook(vec![key.clone(), command.clone(), more]);
        assert!(is_rejected(&[with((
            "timeout",
            Setting::Number(located("soon"))
        ))]));
        assert!(is_rejected(&[with((
            "environment",
            Setting::Map(vec![("1=".into(), "x".into())])
        ))]));
        for name in [
            None,
            Some(located("../x")),
            Some(located("")),
            Some(located(".x")),
        ] {
            assert!(is_rejected(&[document::Hook {
                name,
                ..good.clone()
            }]));
        }
        assert!(is_rejected(&[good.clone(), good]));
    }
}
