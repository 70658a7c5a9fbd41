//! The command line as a whole, without a server.

use std::time::Duration;

use super::*;

fn fail(words: &str) -> Exit {
    let words = words.split(' ').map(OsString::from);
    execute(words).expect_err("the arguments are invalid")
}

#[test]
fn every_command_has_a_description_and_an_example() {
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
        let about = command.get_about().map(ToString::to_string);
        assert!(about.is_some_and(|about| about.ends_with('.')), "{name}");
        for flag in command.get_arguments().filter(|flag| !flag.is_hide_set()) {
            let help = flag.get_help().map(ToString::to_string);
            let is_sentence = help.is_some_and(|help| help.ends_with('.'));
            assert!(
                is_sentence || flag.get_id() == "help",
                "{name}: {}",
                flag.get_id()
            );
        }
        inner.extend(command.get_subcommands().cloned());
    }
}

#[test]
fn the_definitions_are_valid() {
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
fn errors_name_the_argument() {
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
        ("etcdctl config set activeSize x", "0 or more"),
        ("etcdctl discovery new", "--url"),
        ("etcdctl completion tcsh", "tcsh"),
        ("etcdctl member", "list"),
        ("etcdctl import /no/such/file", "/no/such/file"),
    ] {
        let exit = fail(words);
        assert_eq!(exit.code, 1, "{words}");
        assert!(exit.message.contains(fault), "{words}: {}", exit.message);
    }
}

#[test]
fn an_unknown_format_has_the_message_of_0_4() {
    for (format, message) in [
        ("xml", "Unsupported output format: xml"),
        ("", "Unsupported output format: "),
    ] {
        let words = ["etcdctl", "-o", format, "get", "a"].map(OsString::from);
        assert_eq!(execute(words), Err(Exit::plain(1, message)));
    }
}

#[test]
fn flags_are_read_at_any_position() {
    let read = |words: &str| {
        let mut command = command();
        let words = words.split(' ').map(OsString::from);
        let words = argv::normalize(&command, words).expect("words");
        let matches = command.try_get_matches_from_mut(words).expect("good");
        Global::read(innermost(&matches)).expect("flags")
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
