//! The output of `-h` and `-version`.

use std::fmt::Write;

use super::options::{DISCOVERY_OPTIONS, Form, OPTIONS, Opt, Section};

/// The version of etcd whose API is served; clients parse it.
pub const API_VERSION: &str = "0.4.6";

/// The version of oxetcd.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Maximum width of the help, in columns.
const WIDTH: usize = 88;

/// Indentation of descriptions, in columns.
const INDENT: usize = 8;

/// The output of `etcd -version`: the API version first, where scripts look for it, then the version of
/// oxetcd.
pub fn version() -> String {
    format!("etcd version {API_VERSION} (oxetcd {VERSION})")
}

/// The output of `etcd -h`: every flag with its variable and its default.
pub fn help() -> String {
    let mut text = String::from(
        "etcd: a replicated, durable key-value store\n\n\
         Usage:\n  \
         etcd                                  run a single member on loopback\n  \
         etcd -name NAME -peers HOST:PORT,...  join a cluster\n\n\
         Flags take one or two dashes; a value follows after a space or =.\n\
         A flag overrides its variable, and a variable overrides the configuration file.\n",
    );
    write_options(&mut text, OPTIONS);
    text
}

/// The output of `etcd-discovery -h`.
pub fn service_help() -> String {
    let mut text = String::from(
        "etcd-discovery: the discovery service, by which hosts with the same token form a cluster\n\n\
         Usage:\n  \
         etcd-discovery -addr HOST:PORT -data-dir DIR   store tokens in a directory\n  \
         etcd-discovery -addr HOST:PORT -etcd URL,...   store tokens in an etcd cluster\n\n\
         Flags take one or two dashes; a value follows after a space or =.\n\
         A flag overrides its variable.\n",
    );
    write_options(&mut text, DISCOVERY_OPTIONS);
    text
}

/// The output of `etcd-discovery -version`.
pub fn service_version() -> String {
    format!("etcd-discovery (oxetcd {VERSION})")
}

fn write_options(text: &mut String, options: &[Opt]) {
    for section in Section::ALL {
        let mut own = options.iter().filter(|option| option.section == section);
        if let Some(first) = own.next() {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "\n{}:", section.title());
            std::iter::once(first)
                .chain(own)
                .for_each(|option| write_option(text, option));
        }
    }
}

fn write_option(text: &mut String, option: &Opt) {
    let names: Vec<String> = option.names.iter().map(|name| format!("-{name}")).collect();
    let _ = write!(text, "  {}", names.join(", "));
    match option.form {
        Form::Switch => {}
        Form::Value(placeholder) => {
            let _ = write!(text, " {placeholder}");
        }
    }
    if let Some(variable) = option.variables.first() {
        let _ = write!(text, "  [{variable}]");
    }
    let mut sentence = String::from(option.help);
    match (option.default, option.form) {
        (None, _) | (Some("false"), Form::Switch) => {}
        (Some(default), Form::Switch | Form::Value(_)) => {
            sentence = format!("{} (default: {default}).", sentence.trim_end_matches('.'));
        }
    }
    text.push('\n');
    write_wrapped(text, &sentence);
}

fn write_wrapped(text: &mut String, sentence: &str) {
    let mut column = 0;
    for word in sentence.split_whitespace() {
        if column > 0 && column + 1 + word.len() > WIDTH {
            text.push('\n');
            column = 0;
        }
        if column == 0 {
            text.push_str(&" ".repeat(INDENT));
            column = INDENT;
        } else {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += word.len();
    }
    text.push('\n');
}
