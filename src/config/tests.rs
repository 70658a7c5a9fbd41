//! Flags, variables and the configuration they result in.

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::*;

use super::options::{Form, OPTIONS};
use super::{Config, Error, Listen, Merged, Verbosity, env, flags, help};

fn with(arguments: &[&str], variables: &[(&str, &str)]) -> Result<Config, Error> {
    let variables: HashMap<&str, &str> = variables.iter().copied().collect();
    let lookup = |name: &str| variables.get(name).map(OsString::from);
    let flags = flags::read(arguments.iter().map(OsString::from))?;
    Merged::new(OPTIONS, [flags, env::read(lookup)?]).validate(Some("host"))
}

fn config(arguments: &[&str]) -> Config {
    with(arguments, &[]).expect("valid")
}

fn error(arguments: &[&str]) -> String {
    with(arguments, &[]).expect_err("invalid").to_string()
}

#[test]
fn the_table_is_in_the_order_of_its_keys_and_names_nothing_twice() {
    let mut names: Vec<&str> = Vec::new();
    for (index, option) in OPTIONS.iter().enumerate() {
        assert_eq!(option.key as usize, index, "{}", option.name());
        assert!(!option.names.is_empty());
        names.extend(option.names.iter().chain(option.variables));
        assert!(option.help.ends_with('.'), "{}", option.name());
    }
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
}

#[test]
fn the_default_is_a_single_member_on_loopback() {
    let config = config(&[]);
    assert_eq!(config.name, "host");
    assert!(!config.name_chosen);
    assert_eq!(config.data_dir, PathBuf::from("host.etcd"));
    assert_eq!(config.client.advertised.url(), "http://127.0.0.1:4001");
    assert_eq!(config.client.listen.to_string(), "127.0.0.1:4001");
    assert_eq!(config.peer.listen.to_string(), "127.0.0.1:7001");
    assert!(config.peers.is_empty());
    assert_eq!(config.heartbeat_interval, Duration::from_millis(100));
    assert_eq!(config.election_timeout, Duration::from_millis(400));
    assert_eq!(config.snapshot_count, Some(10_000));
    assert_eq!(config.watch_history_bytes, 64 << 20);
    assert_eq!(config.http_read_timeout, Some(Duration::from_secs(300)));
    assert_eq!(config.verbosity, Verbosity::Normal);
}

#[test]
fn a_flag_has_several_forms() {
    for arguments in [
        &["-name", "a"][..],
        &["-name=a"],
        &["--name", "a"],
        &["--name=a"],
        &["-name", "b", "--name=a"],
    ] {
        assert_eq!(config(arguments).name, "a", "{arguments:?}");
    }
    assert_eq!(config(&["-name", "-x"]).name, "-x");
    assert_eq!(config(&["-name=a=b"]).name, "a=b");
    assert!(config(&["-f"]).force && config(&["--force"]).force);
    assert!(!config(&["-force", "-force=false"]).force);
    assert!(config(&["-force-new-cluster"]).force_new_cluster);
    assert!(with(&["-force", "-force-new-cluster"], &[]).is_err());
}

#[test]
fn a_switch_has_an_optional_value() {
    for on in ["-snapshot", "--snapshot=true", "-snapshot=1"] {
        assert_eq!(config(&[on]).snapshot_count, Some(10_000), "{on}");
    }
    for off in ["-snapshot=false", "--snapshot=F", "-snapshot=0"] {
        assert_eq!(config(&[off]).snapshot_count, None, "{off}");
    }
    assert_eq!(config(&["-v"]).verbosity, Verbosity::Verbose);
    assert_eq!(config(&["-v", "-vv"]).verbosity, Verbosity::VeryVerbose);
    assert_eq!(
        error(&["-snapshot", "false"]),
        "unexpected argument \"false\"; did you mean -snapshot=false?"
    );
}

#[test]
fn a_flag_overrides_a_variable_and_a_blank_variable_is_not_set() {
    let variables = [
        ("ETCD_NAME", "env"),
        ("ETCD_PEERS", " a:1, b:2 ,"),
        ("ETCD_SNAPSHOTCOUNT", "5"),
        ("ETCD_DATA_DIR", "  "),
        ("ETCD_VERY_VERBOSE", "true"),
    ];
    let config = with(&["-name=flag"], &variables).expect("valid");
    assert_eq!(config.name, "flag");
    assert!(config.name_chosen);
    assert_eq!(config.data_dir, PathBuf::from("flag.etcd"));
    assert_eq!(config.peers.len(), 2);
    assert_eq!(config.snapshot_count, Some(5));
    assert_eq!(config.verbosity, Verbosity::VeryVerbose);
    let config = with(&["-peers="], &variables).expect("valid");
    assert_eq!((config.name.as_str(), config.peers.len()), ("env", 0));
}

#[test]
fn seconds_may_have_a_fraction() {
    let config = config(&["-retry-interval", "0.5", "-http-read-timeout=0"]);
    assert_eq!(config.retry_interval, Duration::from_millis(500));
    assert_eq!(config.http_read_timeout, None);
    for bad in ["-1", "NaN", "inf", "1e300", "x", ""] {
        let argument = format!("-retry-interval={bad}");
        assert!(with(&[&argument], &[]).is_err(), "{bad}");
    }
}

#[test]
fn the_listen_address_is_derived_from_the_advertised_address() {
    let everywhere = config(&["-addr", "10.0.0.1:5001"]);
    assert_eq!(everywhere.client.listen, Listen::Everywhere { port: 5001 });
    for (addr, bind_addr, listen) in [
        ("localhost:4001", "", "127.0.0.1:4001"),
        ("[::1]:4001", "", "[::1]:4001"),
        ("http://127.0.0.1:0/", "", "127.0.0.1:0"),
        ("node.example:4001", "", "*:4001"),
        ("[fd00::0:1]:4001", "", "*:4001"),
        ("10.0.0.1:4001", "10.0.0.1", "10.0.0.1:4001"),
        ("10.0.0.1:4001", "0.0.0.0:5001", "0.0.0.0:5001"),
        ("10.0.0.1:4001", "[::]", "[::]:4001"),
        ("127.0.0.1:4001", "0.0.0.0", "0.0.0.0:4001"),
    ] {
        let config = config(&["-addr", addr, "-bind-addr", bind_addr]);
        assert_eq!(
            config.client.listen.to_string(),
            listen,
            "{addr} {bind_addr}"
        );
    }
}

#[test]
fn an_invalid_address_is_rejected() {
    for bad in [
        "",
        "10.0.0.1",
        ":4001",
        "a:b:1",
        "::1:4001",
        "[::1]",
        "[::1]x",
        "[::g]:1",
        "[::1",
        "a:65536",
        "a:-1",
        "a:+1",
        "a:",
        "1.2.3:4",
        "1.2.3.400:1",
        "a b:1",
        "a/b:1",
        "ftp://a:1",
        "a..b:1",
        "http://a:1/x",
        "user@a:1",
        "ä:1",
    ] {
        assert!(with(&["-addr", bad], &[]).is_err(), "{bad}");
        let peers = format!("good:1,{bad}");
        assert_eq!(
            with(&["-peers", &peers], &[]).is_ok(),
            bad.is_empty(),
            "{bad}"
        );
    }
    assert!(
        with(&["-addr", "https://a:1"], &[]).is_err(),
        "without a certificate"
    );
    assert!(with(&["-bind-addr", ":4001"], &[]).is_err());
    assert!(with(&["-peers", "a:0"], &[]).is_err());
}

#[test]
fn peers_can_be_in_a_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("peers");
    let path = file.display().to_string();
    let read = |text: &str, flags: &[&str]| {
        std::fs::write(&file, text).expect("a file");
        let flags: Vec<&str> = ["-peers-file", &path]
            .into_iter()
            .chain(flags.iter().copied())
            .collect();
        let config = with(&flags, &[])?;
        let peers = config.peers.iter().map(ToString::to_string);
        Ok::<_, Error>(peers.collect::<Vec<_>>())
    };
    let two = || Ok(vec!["a:7001".to_owned(), "b:7001".to_owned()]);
    assert_eq!(read("a:7001,b:7001", &[]), two());
    assert_eq!(read("a:7001\n b:7001\r\n", &[]), two());
    assert_eq!(read("b:7001", &["-peers=a:7001"]), two());
    assert_eq!(read("a:7001 b:7001", &["-peers="]), two());
    for bad in ["", " \n", ",", "a b", "a:0", "# none"] {
        assert!(read(bad, &[]).is_err(), "{bad:?}");
    }
    let missing = error(&["-peers-file=/nowhere/at/all"]);
    assert!(missing.contains("/nowhere/at/all"), "{missing}");
    assert!(with(&["-peers-file="], &[]).is_ok());
}

#[test]
fn an_error_names_its_source_and_the_expected_value() {
    assert_eq!(
        error(&["-snapshot-count=abc"]),
        "-snapshot-count: \"abc\" is not an integer; expected an integer, such as 1000"
    );
    let variable = with(&[], &[("ETCD_PEER_ADDR", "10.0.0.1")]).expect_err("invalid");
    assert!(
        variable
            .to_string()
            .starts_with("ETCD_PEER_ADDR: \"10.0.0.1\" has no port; expected host:port"),
        "{variable}"
    );
    assert_eq!(
        error(&["-peer-heartbeat-interval=250"]),
        "the default of -peer-election-timeout: \"400\" is less than twice the heartbeat interval \
         of 250 ms; expected a longer timeout or a shorter heartbeat interval"
    );
    assert_eq!(
        error(&["-data-dir"]),
        "-data-dir requires a value: -data-dir DIR (or -data-dir= for an empty value)"
    );
    assert_eq!(
        error(&["-snapshot-cuont", "5"]),
        "unknown flag \"-snapshot-cuont\"; did you mean -snapshot-count?"
    );
    assert_eq!(
        error(&["--qqq=1"]),
        "unknown flag \"-qqq\"; run with -h for the list of flags"
    );
    assert_eq!(
        error(&["serve"]),
        "unexpected argument \"serve\"; run with -h for the list of flags"
    );
    assert!(error(&["--"]).contains("unexpected argument"));
}

#[test]
fn a_name_is_valid_in_a_key_and_in_a_file_name() {
    let long = "n".repeat(251);
    for bad in ["", "a/b", "a\nb", "\u{7f}", "..", ".", " a", &long] {
        let argument = format!("-name={bad}");
        assert!(with(&[&argument], &[]).is_err(), "{bad:?}");
    }
    assert_eq!(config(&["-name=Zürich 1"]).name, "Zürich 1");
    assert_eq!(
        Merged::new(OPTIONS, [])
            .validate(None)
            .expect_err("no name"),
        Error::NameMissing
    );
    assert_eq!(
        Merged::new(OPTIONS, [])
            .validate(Some("a/b"))
            .expect_err("no name"),
        Error::NameMissing
    );
}

#[test]
fn zero_is_not_a_valid_count() {
    for flag in [
        "-snapshot-count=0",
        "-watch-history=0",
        "-watch-history-bytes=0",
    ] {
        assert!(with(&[flag], &[]).is_err(), "{flag}");
    }
    assert_eq!(config(&["-max-retry-attempts=0"]).retry_attempts_max, 0);
    assert!(with(&["-snapshot-count=18446744073709551616"], &[]).is_err());
}

#[test]
fn origins_are_a_list() {
    let config = config(&["-cors=http://one.example, http://two.example:8080"]);
    assert_eq!(
        config.cors,
        ["http://one.example", "http://two.example:8080"]
    );
    assert_eq!(self::config(&["-cors=*"]).cors, ["*"]);
    assert!(with(&["-cors=one.example"], &[]).is_err());
}

#[test]
fn values_that_are_not_utf8_are_rejected() {
    let bytes = || OsString::from_vec(vec![0xff]);
    assert!(flags::read([bytes()]).is_err());
    assert!(flags::read([OsString::from("-data-dir"), bytes()]).is_err());
    assert!(env::read(|name| (name == "ETCD_NAME").then(bytes)).is_err());
}

#[test]
fn the_help_lists_every_flag_and_variable() {
    let help = help::help();
    for option in OPTIONS {
        assert!(
            help.contains(&format!("  {}", option.flag())),
            "{}",
            option.name()
        );
        for variable in option.variables.iter().take(1) {
            assert!(help.contains(variable), "{variable}");
        }
    }
    assert!(help.lines().all(|line| line.len() <= 88), "{help}");
    assert!(help::version().starts_with("etcd version 0.4.6 (oxetcd "));
}

#[test]
fn the_pages_list_every_option() {
    let page = include_str!("../../docs/operations.md");
    let row = |option: &super::options::Opt| {
        let flag = match option.form {
            Form::Switch => option.flag(),
            Form::Value(placeholder) => format!("{} {placeholder}", option.flag()),
        };
        let variable = option
            .variables
            .first()
            .map_or(String::new(), |name| format!("`{name}`"));
        let default = match (option.default, option.form) {
            (None, _) | (Some("false"), Form::Switch) => String::new(),
            (Some(default), _) => format!("`{default}`"),
        };
        format!("| `{flag}` | {variable} | {default} | {} |", option.help)
    };
    let rows: Vec<String> = OPTIONS.iter().map(row).collect();
    let rows = rows.join("\n");
    assert!(
        page.contains(&rows),
        "docs/operations.md needs these rows:\n{rows}"
    );
}

#[test]
fn with_certificates_urls_are_https() {
    let both = &[
        "-cert-file=c",
        "-key-file=k",
        "-peer-cert-file=c",
        "-peer-key-file=k",
    ];
    let more = &[
        "-addr=https://a:1",
        "-peer-addr=b:2",
        "-peers=c:3,http://d:4",
    ];
    let config = config(&[&both[..], &more[..]].concat());
    assert_eq!(config.client.advertised.url(), "https://a:1");
    assert_eq!(config.peer.advertised.url(), "https://b:2");
    let peers: Vec<_> = config
        .peers
        .iter()
        .map(crate::cluster::Address::url)
        .collect();
    assert_eq!(peers, ["https://c:3", "https://d:4"]);
    let files = config.peer_tls.expect("given");
    assert_eq!(
        (files.cert, files.key, files.ca),
        ("c".into(), "k".into(), None)
    );
    for (given, missing) in [
        ("-cert-file=c", "-key-file"),
        ("-peer-key-file=k", "-peer-cert-file"),
        ("-ca-file=a", "-cert-file"),
    ] {
        let error = with(&[given], &[]).expect_err(given).to_string();
        assert!(error.contains(&format!("requires {missing}")), "{error}");
    }
    assert!(
        with(&["-cert-file=", "-key-file="], &[]).is_ok_and(|config| config.client_tls.is_none())
    );
}

proptest! {
    #[test]
    fn no_command_line_panics(arguments in proptest::collection::vec("(--?)?[a-z=\\[\\]:.,0-9-]{0,12}", 0..6)) {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let _ = with(&arguments, &[]);
    }

    #[test]
    fn no_value_panics_and_every_error_is_one_line(index in 0..OPTIONS.len(), text in "\\PC{0,40}|[\\x00-\\x7f]{0,40}") {
        let argument = format!("-{}={text}", OPTIONS[index].name());
        if let Err(error) = with(&[&argument], &[]) {
            prop_assert!(!error.to_string().contains('\n'));
        }
    }

    #[test]
    fn an_address_survives_being_shown(host in "[a-z][a-z0-9-]{0,9}(\\.[a-z]{1,5})?|127\\.0\\.0\\.1|\\[::1\\]", port in 0_u16..) {
        let config = config(&["-addr", &format!("{host}:{port}")]);
        prop_assert_eq!(config.client.advertised.to_string(), format!("{host}:{port}"));
    }
}
