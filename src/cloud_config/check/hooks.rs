//! `coreos.exec-watch`

use std::collections::BTreeSet;

use serde_yaml::{Mapping, Value};

use super::files::clean;
use super::refuse;
use crate::cloud_config::document::{self, Placed, Setting};
use crate::cloud_config::report::{Place, Report, shown};
use crate::cloud_config::{quote, written};
use crate::hook;

/// A hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// Its name: letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// Its file, YAML.
    pub content: String,
}

/// What becomes of a machine's hooks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hooks {
    /// Those of the document.
    pub wanted: Vec<Hook>,
    /// Those that an earlier document had and this one has not, as they are on the machine.
    pub gone: Vec<Hook>,
    /// Whether other files of hooks are there than those that are gone.
    pub others: bool,
    /// Whether there is a record of earlier ones.
    pub recorded: bool,
}

pub(super) fn check(
    document: &document::Document,
    machine: &written::Hooks,
    report: &mut Report,
) -> Option<Hooks> {
    let wanted = wanted(document.hooks.as_ref()?, report);
    let paths = document
        .write_files
        .iter()
        .filter_map(|file| file.path.as_ref());
    let files: BTreeSet<String> = paths.map(|path| clean(&path.value)).collect();
    let is_named = |name: &str| {
        wanted.iter().any(|hook| hook.name == name) || files.contains(&written::path(name))
    };
    let mut gone = Vec::new();
    for (name, content) in &machine.written {
        if is_named(name) || !machine.there.contains_key(name) {
            continue;
        }
        if machine.is_as_written(name) {
            let (name, content) = (name.clone(), content.clone());
            gone.push(Hook { name, content });
            continue;
        }
        let message = format!(
            "hook {name} is no longer in the document, but {} was changed since it was written; it stays",
            written::path(name)
        );
        report.note(Place::default(), message);
    }
    let is_other = |name: &String| gone.iter().all(|hook: &Hook| hook.name != *name);
    Some(Hooks {
        others: machine.there.keys().any(is_other),
        recorded: !machine.written.is_empty(),
        wanted,
        gone,
    })
}

fn wanted(hooks: &[document::Hook], report: &mut Report) -> Vec<Hook> {
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
    let mut file = Mapping::new();
    for (key, setting) in &hook.settings {
        let value = match setting {
            Setting::Truth(truth) => Value::from(*truth),
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
            return refuse(
                hook.place,
                format!("hook {name} cannot be written: {error}"),
                report,
            );
        }
    };
    // Whoever runs it has the last word.
    let problems = hook::parse(&content).err().unwrap_or_default();
    for problem in &problems {
        report.error(hook.place, format!("hook {name}: {problem}"));
    }
    problems.is_empty().then_some(Hook { name, content })
}

fn name(hook: &document::Hook, report: &mut Report) -> Option<String> {
    let Some(Placed { value, place }) = &hook.name else {
        return refuse(hook.place, String::from("a hook has no name"), report);
    };
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let good = value.bytes().all(letter) && !value.starts_with(['.', '-']);
    if !good || value.is_empty() || value.len() > 200 {
        let message = format!(
            "{} is no name for a hook, expected letters, digits, -, _ and .",
            shown(value)
        );
        return refuse(*place, message, report);
    }
    Some(value.clone())
}

fn number(key: &str, value: &Placed<String>, report: &mut Report) -> Option<Value> {
    let text = value.value.as_str();
    let digits = text.starts_with(|letter: char| letter.is_ascii_digit() || letter == '.');
    match (text.parse::<u64>(), text.parse::<f64>()) {
        (Ok(whole), _) => Some(Value::from(whole)),
        (Err(_), Ok(number)) if digits && number.is_finite() => Some(Value::from(number)),
        (Err(_), _) => {
            let message = format!("a hook's {key} is {}, expected a number", shown(text));
            refuse(value.place, message, report)
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
        if let Some(why) = quote::unfit(name, value) {
            let message = format!("the value of {} of a hook {why}", shown(name));
            return refuse(hook.place, message, report);
        }
        mapping.insert(Value::from(name.as_str()), Value::from(value.as_str()));
    }
    Some(Value::Mapping(mapping))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(value: &str) -> Placed<String> {
        Placed {
            value: String::from(value),
            place: Place::default(),
        }
    }

    fn hook(settings: Vec<(&'static str, Setting)>) -> document::Hook {
        document::Hook {
            place: Place::default(),
            name: Some(placed("proxy")),
            settings,
        }
    }

    fn text(text: &str) -> Setting {
        Setting::Text(String::from(text))
    }

    #[test]
    fn what_is_written_is_read_back() {
        let words = ["echo", "yes", "0x1", "a: b\n"].map(String::from);
        let hook = hook(vec![
            ("key", text("/services")),
            ("command", Setting::List(words.to_vec())),
            ("recursive", Setting::Truth(true)),
            ("timeout", Setting::Number(placed("2.5"))),
            ("debounce", Setting::Number(placed("100"))),
            (
                "environment",
                Setting::Map(vec![("A".into(), "null".into())]),
            ),
        ]);
        let mut report = Report::default();
        let checked = wanted(&[hook], &mut report);
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
    fn what_is_missing_or_odd_is_said() {
        let refused = |hooks: &[document::Hook]| {
            let mut report = Report::default();
            wanted(hooks, &mut report);
            report.has_errors()
        };
        let (key, command) = (("key", text("/k")), ("command", text("true")));
        let good = hook(vec![key.clone(), command.clone()]);
        assert!(!refused(std::slice::from_ref(&good)));
        assert!(refused(&[hook(vec![key.clone()])]));
        assert!(refused(&[hook(vec![command.clone()])]));
        let with = |more| hook(vec![key.clone(), command.clone(), more]);
        assert!(refused(&[with((
            "timeout",
            Setting::Number(placed("soon"))
        ))]));
        assert!(refused(&[with((
            "environment",
            Setting::Map(vec![("1=".into(), "x".into())])
        ))]));
        for name in [
            None,
            Some(placed("../x")),
            Some(placed("")),
            Some(placed(".x")),
        ] {
            assert!(refused(&[document::Hook {
                name,
                ..good.clone()
            }]));
        }
        assert!(refused(&[good.clone(), good]));
    }
}
