//! The sources of values: precedence, errors and warnings.

use std::ffi::OsString;
use std::time::Duration;

use proptest::prelude::*;

use crate::cluster::Settings;

use super::options::{FileKey, Form, Kind, OPTIONS, Section};
use super::{Config, Error, Merged, Verbosity, env, file, flags, old, print};

const PATH: &str = "/etc/etcd/etcd.conf";

fn merge(arguments: &[&str], variables: &[(&str, &str)], text: &str) -> Result<Merged, Error> {
    let lookup = |name: &str| {
        let found = variables.iter().find(|(variable, _)| *variable == name);
        found.map(|(_, value)| OsString::from(value))
    };
    let flags = flags::read(arguments.iter().map(OsString::from))?;
    let layers = [flags, env::read(lookup)?, file::parse(PATH, text)?];
    Ok(Merged::new(OPTIONS, layers))
}

fn config(arguments: &[&str], variables: &[(&str, &str)], text: &str) -> Config {
    let merged = merge(arguments, variables, text).expect("readable");
    merged.validate(Some("host")).expect("valid")
}

fn error(text: &str) -> String {
    let merged = file::parse(PATH, text).map(|layer| Merged::new(OPTIONS, [layer]));
    let config = merged.and_then(|merged| merged.validate(Some("host")));
    config.expect_err("invalid").to_string()
}

fn notes(arguments: &[&str], variables: &[(&str, &str)], text: &str) -> Vec<String> {
    merge(arguments, variables, text).expect("readable").notes()
}

/// The file that 0.4.6's documents show.
const DOCUMENTED: &str = r#"
addr = "127.0.0.1:4001"
bind_addr = "127.0.0.1:4001"
cors = []
data_dir = "."
http_read_timeout = 10
http_write_timeout = 10
peers = []
max_result_buffer = 1024
max_retry_attempts = 3
name = "default-name"
snapshot = false
verbose = false
very_verbose = false

[peer]
addr = "127.0.0.1:7001"
bind_addr = "127.0.0.1:7001"

[cluster]
active_size = 9
remove_delay = 1800.0
sync_interval = 5.0
"#;

#[test]
fn the_documented_file_is_read() {
    let config = config(&[], &[], DOCUMENTED);
    assert_eq!(config.name, "default-name");
    assert!(config.name_chosen && config.peers.is_empty() && config.cors.is_empty());
    assert_eq!(config.snapshot_count, None);
    assert_eq!(config.http_read_timeout, Some(Duration::from_secs(10)));
    assert_eq!(config.settings, Settings::default());
    assert_eq!(
        notes(&[], &[], DOCUMENTED),
        ["/etc/etcd/etcd.conf:9: max_result_buffer: accepted, but it has no effect"]
    );
}

#[test]
fn a_flag_overrides_a_variable_a_file_and_a_default() {
    let text = "name = 'file'\nsnapshot_count = 3\npeers = [\"a:1\", \"b:2\"]\n[peer]\naddr = '10.0.0.1:1'\n";
    let variables = [("ETCD_NAME", "variable"), ("ETCD_SNAPSHOTCOUNT", "2")];
    let all = config(&["-name=flag"], &variables, text);
    assert_eq!(all.name, "flag");
    assert_eq!(all.snapshot_count, Some(2));
    assert_eq!(all.peers.len(), 2);
    assert_eq!(all.peer.advertised.to_string(), "10.0.0.1:1");
    assert_eq!(config(&[], &variables, text).name, "variable");
    assert_eq!(config(&[], &[], text).name, "file");
    assert_eq!(config(&[], &[], text).snapshot_count, Some(3));
    assert_eq!(config(&[], &[], "").snapshot_count, Some(10_000));
    assert_eq!(config(&["-peers="], &[], text).peers, []);
}

#[test]
fn an_error_about_a_file_names_the_line() {
    for (text, expected) in [
        (
            "name = 5",
            "/etc/etcd/etcd.conf:1: name: \"5\" has the wrong type; expected a quoted string",
        ),
        (
            "\n\nsnapshot = \"true\"",
            "/etc/etcd/etcd.conf:3: snapshot: \"true\" has the wrong type; expected true or \
             false, without quotes",
        ),
        (
            "[peer]\r\nheartbeat_interval = '50'\r\n",
            "/etc/etcd/etcd.conf:2: [peer] heartbeat_interval: \"50\" has the wrong type; \
             expected a number, without quotes",
        ),
        (
            "snapshot_count = 1.5",
            "/etc/etcd/etcd.conf:1: snapshot_count: \"1.5\" is not an integer; expected an integer, \
             such as 1000",
        ),
        (
            "peers = [1]",
            "/etc/etcd/etcd.conf:1: peers: \"1\" has the wrong type; expected an array of quoted \
             strings",
        ),
        (
            "snapshot_count = 0x10",
            "/etc/etcd/etcd.conf:1: snapshot_count: \"0x10\" has the wrong type; expected a \
             number, without quotes",
        ),
    ] {
        assert_eq!(error(text), expected);
    }
    for (text, start) in [
        ("name = \"a\"\nname = \"b\"", "/etc/etcd/etcd.conf:2:1: "),
        ("name = a b", "/etc/etcd/etcd.conf:1:"),
        ("x = 1\n[peer", "/etc/etcd/etcd.conf:2:"),
    ] {
        let error = self::error(text);
        assert!(error.starts_with(start), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
    let missing = file::read("/nowhere/etcd.conf").expect_err("missing");
    let error = missing.to_string();
    assert!(
        error.starts_with("cannot read the configuration file \"/nowhere/etcd.conf\": "),
        "{error}"
    );
}

#[test]
fn an_unknown_key_is_a_warning_with_a_suggestion() {
    let text = "data-dir = '/x'\npeer_addr = '1:1'\nactive_size = 3\ninitial_cluster = 'x'\n[peer]\nadr = 'x'\n[log]\nlevel = 1\n";
    assert_eq!(
        notes(&[], &[], text),
        [
            "/etc/etcd/etcd.conf:3: active_size: unknown option, ignored; did you mean [cluster] active_size?",
            "/etc/etcd/etcd.conf:1: data-dir: unknown option, ignored; did you mean data_dir?",
            "/etc/etcd/etcd.conf:4: initial_cluster: unknown option, ignored",
            "/etc/etcd/etcd.conf:7: log: unknown option, ignored",
            "/etc/etcd/etcd.conf:6: [peer] adr: unknown option, ignored; did you mean [peer] addr?",
            "/etc/etcd/etcd.conf:2: peer_addr: unknown option, ignored; did you mean [peer] addr?",
        ]
    );
    let names = [
        "ETCD_NAEM",
        "ETCD_NAME",
        "ETCD_MAX_CLUSTER_SIZE",
        "ETCDCTL_PEERS",
        "HOME",
        "ETCD_INITIAL_CLUSTER_STATE",
        "ETCD_WATCH_PREV_VALUE",
        "ETCD_WATCH_HISTROY",
    ];
    assert_eq!(
        env::find_unknown(names.map(String::from)),
        [
            "ETCD_INITIAL_CLUSTER_STATE: unknown variable, ignored",
            "ETCD_NAEM: unknown variable, ignored; did you mean ETCD_NAME?",
            "ETCD_WATCH_HISTROY: unknown variable, ignored; did you mean ETCD_WATCH_HISTORY?",
        ]
    );
}

#[test]
fn a_deprecated_spelling_works_with_a_warning() {
    let arguments = [
        "-n",
        "a",
        "-d=/x",
        "-s",
        "10.0.0.1:7001",
        "-C",
        "b:1",
        "-maxsize=5",
        "-trace=*",
    ];
    let config = config(&arguments, &[], "");
    assert_eq!((config.name.as_str(), config.peers.len()), ("a", 1));
    assert_eq!(config.peer.advertised.to_string(), "10.0.0.1:7001");
    assert_eq!(config.settings, Settings::default().with_active_size(5));
    assert_eq!(
        notes(&arguments, &[], ""),
        [
            "-n is deprecated; use -name instead",
            "-d is deprecated; use -data-dir instead",
            "-s is deprecated; use -peer-addr instead",
            "-C is deprecated; use -peers instead",
            "-maxsize is deprecated; use -cluster-active-size instead",
            "-trace: accepted, but it has no effect",
        ]
    );
    let variables = [("ETCD_MAX_CLUSTER_SIZE", "4"), ("ETCD_SNAPSHOT_COUNT", "7")];
    assert_eq!(self::config(&[], &variables, "").settings.active_size(), 4);
    assert_eq!(
        notes(&[], &variables, "max_cluster_size = 6\n"),
        [
            "ETCD_MAX_CLUSTER_SIZE is deprecated; use ETCD_CLUSTER_ACTIVE_SIZE instead",
            "/etc/etcd/etcd.conf:1: max_cluster_size is deprecated; use [cluster] active_size instead",
        ]
    );
}

#[test]
fn every_deprecated_spelling_has_a_current_one() {
    for (old, current) in old::FLAGS {
        let named = |name: &str| OPTIONS.iter().any(|option| option.names.contains(&name));
        assert!(named(current) && !named(old), "{old}");
    }
    for (old, current) in old::VARIABLES {
        let named = |name: &str| {
            OPTIONS
                .iter()
                .any(|option| option.variables.contains(&name))
        };
        assert!(named(current) && !named(old), "{old}");
    }
}

#[test]
fn no_two_options_share_a_key_of_the_file() {
    let mut keys: Vec<FileKey> = OPTIONS
        .iter()
        .flat_map(|option| option.file_keys())
        .collect();
    keys.extend(
        old::VARIABLES
            .iter()
            .map(|(old, _)| FileKey::from_variable(old)),
    );
    let all = keys.len();
    keys.sort_by_key(|key| key.to_string());
    keys.dedup();
    assert_eq!(keys.len(), all);
}

#[test]
fn settings_of_a_cluster_have_minimums() {
    let config = config(
        &[
            "-cluster-active-size=1",
            "-cluster-remove-delay=0.5",
            "-cluster-sync-interval",
            "0",
        ],
        &[],
        "",
    );
    assert_eq!(config.settings.active_size(), 3);
    assert_eq!(config.settings.remove_delay(), Duration::from_secs(2));
    assert_eq!(config.settings.sync_interval(), Duration::from_secs(1));
    assert_eq!(
        self::config(&["-vvv"], &[], "").verbosity,
        Verbosity::VeryVerbose
    );
}

#[test]
fn the_printed_configuration_names_the_sources() {
    let text = "cors = ['*']\nhttp_read_timeout = 1.5\n";
    let variables = [("ETCD_PEER_ADDR", "10.0.0.1:7001")];
    let merged = merge(&["-name", "a \"b\"", "-force"], &variables, text).expect("readable");
    let page = print::print(&merged, &merged.validate(Some("host")).expect("valid"));
    for line in [
        "name = 'a \"b\"'  # -name",
        "data_dir = 'a \"b\".etcd'  # from the name",
        "cors = [\"*\"]  # /etc/etcd/etcd.conf:1",
        "http_read_timeout = 1.5  # /etc/etcd/etcd.conf:2",
        "snapshot = true  # default",
        "snapshot_count = 10000  # default",
        "# bind_addr is not set: listens on 127.0.0.1:4001",
        "[peer]",
        "addr = \"10.0.0.1:7001\"  # ETCD_PEER_ADDR",
        "# -force=true (cannot be set in a file)",
    ] {
        assert!(
            page.lines().any(|printed| printed == line),
            "{line} is not in\n{page}"
        );
    }
}

/// A valid value of an option.
fn valid_value(form: Form) -> BoxedStrategy<String> {
    match form.kind() {
        Kind::Bool => prop_oneof!["true", "false", "1", "off"].boxed(),
        Kind::Number => (3..60_000_u64)
            .prop_map(|number| number.to_string())
            .boxed(),
        Kind::List => "(https?://[a-z]{1,5}, ?){0,2}http://x".boxed(),
        Kind::Text => "\\PC{1,20}|[\\x00-\\x7f]{1,20}|127\\.0\\.0\\.1:[1-9]{1,4}".boxed(),
    }
}

proptest! {
    #[test]
    fn the_printed_configuration_is_equivalent(
        choice in (0..OPTIONS.len()).prop_flat_map(|index| (Just(index), valid_value(OPTIONS[index].form))),
    ) {
        let (index, value) = choice;
        let option = &OPTIONS[index];
        prop_assume!(option.section != Section::Ignored && !option.file_keys().is_empty());
        let argument = format!("-{}={value}", option.name());
        let merged = merge(&[&argument], &[], "").expect("readable");
        if let Ok(config) = merged.validate(Some("host")) {
            let page = print::print(&merged, &config);
            let again = self::config(&[], &[], &page);
            // The name, by default the host name, is now configured.
            prop_assert_eq!(again, Config { name_chosen: true, ..config }, "{}", page);
        }
    }

    #[test]
    fn no_file_panics(text in "\\PC{0,60}|[\\x00-\\x7f]{0,60}|([a-z_]{1,12} = [\"0-9a-z\\[\\]{},.]{0,8}\n|\\[[a-z]{0,7}\\]\n){0,6}") {
        if let Err(error) = file::parse(PATH, &text) {
            prop_assert!(!error.to_string().contains('\n'));
        }
    }
}
