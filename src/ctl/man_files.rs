//! The man pages of files: etcd.conf(5) and etcd-hooks(5).

use clap_mangen::roff::{Roff, bold, italic, roman};

use super::hook::{DIRECTORY, STATE_DIRECTORY};
use crate::config::VERSION;
use crate::config::options::{FileKey, Form, OPTIONS, Opt, Section};
use crate::hook::KEYS;

/// The sections of the configuration file, with the headings of their options.
const CONF_SECTIONS: [(Option<&str>, &str); 3] = [
    (None, "OPTIONS"),
    (Some("peer"), "OPTIONS IN [PEER]"),
    (Some("cluster"), "OPTIONS IN [CLUSTER]"),
];

/// The variables of a hook's command, with their meaning.
const VARIABLES: [(&str, &str); 7] = [
    (
        "ETCD_WATCH_ACTION",
        "Action of the event: set, create, update, compareAndSwap, delete, compareAndDelete or expire; get for an \
         existing key at start.",
    ),
    ("ETCD_WATCH_KEY", "Key that changed."),
    (
        "ETCD_WATCH_VALUE",
        "Its value; empty for a directory or a removed key.",
    ),
    ("ETCD_WATCH_MODIFIED_INDEX", "Index of the change."),
    (
        "ETCD_WATCH_PREV_VALUE",
        "Its previous value; empty without one.",
    ),
    (
        "ETCD_WATCH_TTL",
        "Its time to live, in seconds; empty without one.",
    ),
    ("ETCD_WATCH_DIR", "true for a directory, false for a file."),
];

const CONF_EXAMPLE: &str = "\
name = \"web1\"
addr = \"10.0.0.1:4001\"
peers = [\"10.0.0.2:7001\", \"10.0.0.3:7001\"]

[peer]
addr = \"10.0.0.1:7001\"";

const HOOK_EXAMPLE: &str = "\
# /etc/etcd/hooks.d/proxy.yaml
key: /services
recursive: true
initial: true
debounce: 500
command: [systemctl, reload, proxy]";

/// All pages of section 5, with their names.
pub(super) fn pages() -> [(&'static str, String); 2] {
    [("etcd.conf", conf()), ("etcd-hooks", hooks())]
}

fn conf() -> String {
    let mut page = start(
        "etcd.conf",
        "configuration file of etcd",
        "/etc/etcd/etcd.conf",
    );
    paragraphs(
        &mut page,
        &[
            "etcd(1) reads its options from this file, or from the file that -config or ETCD_CONFIG names. The \
             format is TOML. A flag overrides an environment variable, and a variable overrides the file. Unknown \
             keys are ignored with a warning.",
            "The name of a key is that of its variable without ETCD_, in lower case. The keys of ETCD_PEER_ \
             variables are in the section [peer], those of ETCD_CLUSTER_ variables in [cluster]. A list is an array \
             of strings, or one string with commas.",
            "etcd -print-config prints the current options in this format, with the source of each value.",
        ],
    );
    for (section, heading) in CONF_SECTIONS {
        page.control("SH", [heading]);
        let options = OPTIONS
            .iter()
            .filter(|option| option.section != Section::Ignored);
        for option in options {
            let keys = option.file_keys();
            if let Some(key) = keys.first().filter(|key| key.section == section) {
                write_option(&mut page, option, key);
            }
        }
    }
    write_example(&mut page, CONF_EXAMPLE);
    see_also(&mut page, "etcd(1), etcdctl(1), etcd-cloudinit(1)")
}

fn write_option(page: &mut Roff, option: &Opt, key: &FileKey) {
    let value = match option.form {
        Form::Switch => "true|false",
        Form::Value(placeholder) => placeholder,
    };
    page.control("TP", []);
    page.text([bold(key.key.clone()), roman(" = "), italic(value)]);
    let variable = option.variables.first().copied().unwrap_or_default();
    let default = option
        .default
        .map_or_else(String::new, |default| format!(" Default: {default}."));
    page.text([roman(format!(
        "{}{default} Flag {}, variable {variable}.",
        option.help,
        option.flag()
    ))]);
}

fn hooks() -> String {
    let synopsis = format!("{DIRECTORY}/NAME.yaml");
    let about = "hooks: commands that run when keys change";
    let mut page = start("etcd-hooks", about, &synopsis);
    paragraphs(
        &mut page,
        &[
            "A hook watches a key and runs a command for each change. Changes of one key run in order and once \
             each, across lost connections and restarts. If changes are no longer in the event history of the \
             server, all keys are read and the command runs for the differences, with the action set or delete.",
            "Each hook is a YAML file. etcdctl-hook-check(1) checks hooks, etcdctl-hook-run(1) runs them; \
             etcd-hooks.service runs all hooks of the host, and etcd-hook@NAME.service a single one.",
            "A hook may run commands as root. The directory and the files must belong to root and must not be \
             writable by other users.",
        ],
    );
    page.control("SH", ["KEYS"]);
    for key in KEYS {
        page.control("TP", []);
        let value = if key.is_default {
            format!(" Default: {}.", key.value)
        } else {
            format!(" Example: {}.", key.value)
        };
        page.text([bold(key.name)]);
        page.text([roman(format!("{}{value}", key.help))]);
    }
    page.control("SH", ["ENVIRONMENT"]);
    paragraph(
        &mut page,
        "The command has the environment of the service, the variables of the hook, and:",
    );
    for (name, meaning) in VARIABLES {
        page.control("TP", []);
        page.text([bold(name)]);
        page.text([roman(meaning)]);
    }
    paragraph(
        &mut page,
        "A value of more than 128 KiB, or with a NUL character, is not set; with json it is still in the event.",
    );
    page.control("SH", ["FILES"]);
    let state = format!("{STATE_DIRECTORY}/NAME.state");
    for (path, meaning) in [
        (synopsis.as_str(), "The hook NAME."),
        (
            state.as_str(),
            "The changes that are handled. Without it the hook starts with the next change.",
        ),
    ] {
        page.control("TP", []);
        page.text([italic(path)]);
        page.text([roman(meaning)]);
    }
    write_example(&mut page, HOOK_EXAMPLE);
    see_also(
        &mut page,
        "etcdctl-hook(1), etcdctl-exec-watch(1), etcd-cloudinit(1)",
    )
}

/// A page with title, name, synopsis and the heading of the description.
fn start(name: &str, about: &str, synopsis: &str) -> Roff {
    let mut page = Roff::new();
    let source = format!("oxetcd {VERSION}");
    page.control("TH", [name, "5", "", &source, "etcd"]);
    page.control("SH", ["NAME"]);
    page.text([roman(format!("{name} - {about}"))]);
    page.control("SH", ["SYNOPSIS"]);
    page.text([italic(synopsis)]);
    page.control("SH", ["DESCRIPTION"]);
    page
}

fn paragraphs(page: &mut Roff, texts: &[&str]) {
    for text in texts {
        paragraph(page, text);
    }
}

fn paragraph(page: &mut Roff, text: &str) {
    page.control("PP", []);
    page.text([roman(text)]);
}

fn write_example(page: &mut Roff, text: &str) {
    page.control("SH", ["EXAMPLE"]);
    page.control("nf", []);
    for line in text.lines() {
        page.text([roman(line)]);
    }
    page.control("fi", []);
}

fn see_also(page: &mut Roff, pages: &str) -> String {
    page.control("SH", ["SEE ALSO"]);
    page.text([roman(pages)]);
    page.to_roff()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hook;

    #[test]
    fn the_pages_have_every_option_and_key() {
        let [(_, conf), (_, hooks)] = pages();
        let options = OPTIONS
            .iter()
            .filter(|option| option.section != Section::Ignored);
        for option in options {
            if let Some(key) = option.file_keys().first() {
                let line = format!("\\fB{}\\fR", key.key.replace('-', "\\-"));
                assert!(conf.contains(&line), "{line}");
            }
        }
        for key in KEYS {
            let line = format!("\\fB{}\\fR", key.name.replace('-', "\\-"));
            assert!(hooks.contains(&line), "{line}");
        }
    }

    #[test]
    fn the_examples_are_valid() {
        assert!(hook::parse(HOOK_EXAMPLE).is_ok());
        assert!(crate::config::file::parse("etcd.conf", CONF_EXAMPLE).is_ok());
    }
}
