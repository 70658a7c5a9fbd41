//! What `etcd -h` and `etcd -version` print.

use std::fmt::Write;

use super::options::{Form, OPTIONS, Opt, Section};
use super::service;

/// The version of etcd whose API this is; clients parse it.
pub const API_VERSION: &str = "0.4.6";

/// Our own version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// How wide the help may be, in columns.
const WIDTH: usize = 88;

/// How far descriptions are indented, in columns.
const INDENT: usize = 8;

/// What `etcd -version` prints: the API level first, where scripts look for it, then our own version.
pub fn version() -> String {
    format!("etcd version {API_VERSION} (oxetcd {VERSION})")
}

/// What `etcd -h` prints: every flag with its variable and its default.
pub fn help() -> String {
    let mut text = String::from(
        "etcd: a small, durable, replicated tree of keys\n\n\
         Usage:\n  \
         etcd                                  a single member on loopback\n  \
         etcd -name NAME -peers HOST:PORT,...  one more member of a cluster\n\n\
         Flags take one dash or two, and their value after a space or a =.\n\
         A flag wins over its variable, and that over the configuration file.\n",
    );
    list(&mut text, OPTIONS);
    text
}

/// What `etcd-discovery -h` prints.
pub fn service_help() -> String {
    let mut text = String::from(
        "etcd-discovery: where machines with the same token find each other\n\n\
         Usage:\n  \
         etcd-discovery -addr HOST:PORT -data-dir DIR   keeps its tokens itself\n  \
         etcd-discovery -addr HOST:PORT -etcd URL,...   keeps them in a cluster\n\n\
         Flags take one dash or two, and their value after a space or a =.\n\
         A flag wins over its variable.\n",
    );
    list(&mut text, service::OPTIONS);
    text
}

/// What `etcd-discovery -version` prints.
pub fn service_version() -> String {
    format!("etcd-discovery (oxetcd {VERSION})")
}

fn list(text: &mut String, options: &[Opt]) {
    for section in Section::ALL {
        let mut own = options.iter().filter(|option| option.section == section);
        if let Some(first) = own.next() {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "\n{}:", section.title());
            std::iter::once(first)
                .chain(own)
                .for_each(|option| describe(text, option));
        }
    }
}

fn describe(text: &mut String, option: &Opt) {
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
    wrap(text, &sentence);
}

fn wrap(text: &mut String, sentence: &str) {
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
