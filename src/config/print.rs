//! What `etcd -print-config` prints: a configuration file that says the same, with where each value is
//! from behind it.

use std::fmt::Write;

use toml::Value;

use super::layer::{Layer, Source};
use super::options::{Key, Kind, OPTIONS, Opt, Section};
use super::{Config, value};

/// The whole page, for what `layer` says and what came of it.
pub fn print(layer: &Layer, config: &Config) -> String {
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
                text.push_str(&line(option, &key.key, layer, config));
            }
        }
    }
    for option in OPTIONS
        .iter()
        .filter(|option| option.file_keys().is_empty())
    {
        if let Some((source @ Source::Flag(_), value)) = layer.said(option.key)
            && option.key != Key::PrintConfig
        {
            let _ = writeln!(text, "# {source}={value}, which a file cannot say");
        }
    }
    text
}

fn line(option: &Opt, key: &str, layer: &Layer, config: &Config) -> String {
    let derived =
        |value: String, from: &str| format!("{key} = {}  # {from}\n", Value::String(value));
    match layer.said(option.key) {
        Some((source, text)) => {
            let from = match source {
                Source::Default(_) => String::from("default"),
                Source::File { path, line, key: _ } => format!("{path}:{line}"),
                Source::Flag(_) | Source::Variable(_) => source.to_string(),
            };
            format!("{key} = {}  # {from}\n", written(option.form.kind(), text))
        }
        None if option.key == Key::Name => derived(config.name.clone(), "the host name"),
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

/// A value as a file writes it. It has been checked before.
fn written(kind: Kind, text: &str) -> String {
    match kind {
        Kind::Truth => value::truth(text).unwrap_or_default().to_string(),
        Kind::Number => match (value::count(text), text.parse::<f64>()) {
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
