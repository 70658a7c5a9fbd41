//! The output of `etcd -print-config`: an equivalent configuration file, with the source of each value in a
//! comment.

use std::fmt::Write;

use toml::Value;

use super::merged::Merged;
use super::options::{Key, Kind, OPTIONS, Opt, Section};
use super::source::Source;
use super::validated::Config;
use super::value;

/// The output, for the merged values and the configuration made from them.
pub fn print(merged: &Merged, config: &Config) -> String {
    let mut text = String::new();
    for section in [None, Some("peer"), Some("cluster")] {
        if let Some(name) = section {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "\n[{name}]");
        }
        for option in OPTIONS {
            let Some(key) = option.file_keys().into_iter().next() else {
                continue;
            };
            if key.section == section {
                text.push_str(&format_line(option, &key.key, merged, config));
            }
        }
    }
    for option in OPTIONS
        .iter()
        .filter(|option| option.file_keys().is_empty())
    {
        if let Some((source @ Source::Flag(_), value)) = merged.find(option.key)
            && option.key != Key::PrintConfig
        {
            let _ = writeln!(text, "# {source}={value} (cannot be set in a file)");
        }
    }
    text
}

fn format_line(option: &Opt, key: &str, merged: &Merged, config: &Config) -> String {
    let derived =
        |value: String, from: &str| format!("{key} = {}  # {from}\n", Value::String(value));
    match merged.find(option.key) {
        Some((source, text)) => {
            let from = match source {
                Source::Default(_) => String::from("default"),
                Source::File { path, line, key: _ } => format!("{path}:{line}"),
                Source::Flag(_) | Source::Variable(_) => source.to_string(),
            };
            format!(
                "{key} = {}  # {from}\n",
                format_value(option.form.kind(), text)
            )
        }
        None if option.key == Key::Name => derived(config.name.clone(), "host name"),
        None if option.key == Key::DataDir => {
            derived(config.data_dir.display().to_string(), "from the name")
        }
        None if option.key == Key::BindAddr => {
            format!("# {key} is not set: listens on {}\n", config.client.listen)
        }
        None if option.key == Key::PeerBindAddr => {
            format!("# {key} is not set: listens on {}\n", config.peer.listen)
        }
        None if option.section == Section::Ignored => String::new(),
        None => format!("# {key} is not set\n"),
    }
}

/// Format a valid value as TOML.
fn format_value(kind: Kind, text: &str) -> String {
    match kind {
        Kind::Bool => value::parse_bool(text).unwrap_or_default().to_string(),
        Kind::Number => match (value::parse_count(text), text.parse::<f64>()) {
            (Ok(number), _) => number.to_string(),
            (Err(_), Ok(number)) => number.to_string(),
            (Err(_), Err(_)) => Value::String(String::from(text)).to_string(),
        },
        Kind::List => {
            let items = text
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty());
            Value::Array(
                items
                    .map(|item| Value::String(String::from(item)))
                    .collect(),
            )
            .to_string()
        }
        Kind::Text => Value::String(String::from(text)).to_string(),
    }
}
