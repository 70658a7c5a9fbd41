//! The command line as a whole, as far as it needs no server.

use std::time::Duration;

use super::*;

fn told(words: &str) -> Exit {
    let words = words.split(' ').map(OsString::from);
    obey(words).expect_err("there is no server, and something is wrong with it")
}

#[test]
fn every_command_says_how_it_is_used() {
    let mut inner: Vec<Command> = command().get_subcommands().cloned().collect();
    while let Some(command) = inner.pop() {
        let name = command.get_name().to_owned();
        if name == "help" {
            continue;
        }
        let example = command.get_after_help().map(ToString::to_string);
        let example = example.unwrap_or_default();
        assert!(
            example.contains("Example") && example.contains("etcdctl"),
            "{name} has no example"
        );
        assert!(command.get_about().is_some(), "{name}");
        for flag in command.get_arguments().filter(|flag| !flag.is_hide_set()) {
            assert!(flag.get_help().is_some(), "{name}: {}", flag.get_id());
        }
        inner.extend(command.get_subcommands().cloned());
    }
}

#[test]
fn the_definitions_hold_together() {
    command().debug_assert();
    let mut names: Vec<String> = VERBS
        .iter()
        .map(|verb| (verb.command)().get_name().to_owned())
        .collect();
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count);
}

#[test]
fn what_is_wrong_is_named() {
    for (words, fault) in [
        ("etcdctl sett a b", "'set'"),
        ("etcdctl set a b --tll 5", "'--ttl'"),
        ("etcdctl set a b --ttl=-1", "--ttl"),
        ("etcdctl set a b --ttl 1.5", "--ttl"),
        ("etcdctl rm a --with-index x", "--with-index"),
        ("etcdctl -C ftp://a get b", "--peers: \"ftp://a\""),
        ("etcdctl --cert-file c get b", "--key-file"),
        ("etcdctl --ca-file /no/such/file get b", "/no/such/file"),
        ("etcdctl -C 127.0.0.1:99999 get b", "--peers"),
        ("etcdctl --timeout 0 get a", "--timeout"),
        ("etcdctl --timeout NaN get a", "--timeout"),
        ("etcdctl config set activeSise 3", "'activeSize'"),
        ("etcdctl config set activeSize x", "not negative"),
        ("etcdctl discovery new", "--url"),
        ("etcdctl completion tcsh", "tcsh"),
        ("etcdctl member", "list"),
        ("etcdctl import /no/such/file", "/no/such/file"),
    ] {
        let exit = told(words);
        assert_eq!(exit.code, 1, "{words}");
        assert!(exit.message.contains(fault), "{words}: {}", exit.message);
    }
}

#[test]
fn an_unknown_format_is_told_as_it_always_was() {
    for (format, message) in [
        ("xml", "Unsupported output format: xml"),
        ("", "Unsupported output format: "),
    ] {
        let words = ["etcdctl", "-o", format, "get", "a"].map(OsString::from);
        assert_eq!(obey(words), Err(Exit::plain(1, message)));
    }
}

#[test]
fn flags_are_read_wherever_they_stand() {
    let read = |words: &str| {
        let mut command = command();
        let words = words.split(' ').map(OsString::from);
        let words = words::plain(&command, words).expect("words");
        let matches = command.try_get_matches_from_mut(words).expect("good");
        Global::read(deepest(&matches)).expect("flags")
    };
    for words in [
        "etcdctl -C a,http://b:5 -C c --debug -o json get --timeout 1.5 x",
        "etcdctl get x -o extended -o json --C a,b:5 --C http://c/ --debug --timeout=1.5",
        "etcdctl member --debug -o json list -C a,b:5,c --timeout 1.5",
    ] {
        let global = read(words);
        let members: Vec<String> = global.members.iter().map(ToString::to_string).collect();
        assert_eq!(members, ["a:4001", "b:5", "c:4001"], "{words}");
        assert!(global.debug && global.sync && global.output == Output::Json);
        assert_eq!(global.timeout, Some(Duration::from_millis(1500)));
    }
    assert!(!read("etcdctl --no-sync -C a get x").sync);
}
