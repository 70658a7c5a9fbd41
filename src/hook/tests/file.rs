use std::time::Duration;

use crate::hook::parse;

/// The problems of a text, one line each.
fn problems(text: &str) -> Vec<String> {
    let problems = parse(text).expect_err("it is invalid");
    problems
        .into_iter()
        .map(|problem| format!("{}: {problem}", problem.line.unwrap_or(0)))
        .collect()
}

#[test]
fn every_key_is_read() {
    let hook = parse(
        "key: services/\nrecursive: true\ncommand: [reload, 1, 'a b']\nuser: www-data\n\
         environment:\n  SITE: one\n  PORT: 80\ntimeout: 2.5\ndebounce: 500\ninitial: true\njson: true\n\
         retry: 3\non-failure: stop\nconcurrency: 4\n",
    )
    .expect("a hook");
    assert_eq!(hook.key, "/services");
    assert!(hook.recursive && hook.initial && hook.json && hook.stops);
    assert_eq!(hook.words, ["reload", "1", "a b"]);
    assert_eq!(hook.user.as_deref(), Some("www-data"));
    let environment =
        [("SITE", "one"), ("PORT", "80")].map(|(name, value)| (name.into(), value.into()));
    assert_eq!(hook.environment, environment);
    assert_eq!(hook.timeout, Some(Duration::from_millis(2500)));
    assert_eq!(hook.debounce, Duration::from_millis(500));
    assert_eq!((hook.retries, hook.concurrency), (3, 4));
}

#[test]
fn only_two_keys_are_required() {
    let hook = parse("key: /a\ncommand: systemctl reload x; echo done\n").expect("a hook");
    assert_eq!(
        hook.words,
        ["/bin/sh", "-c", "systemctl reload x; echo done"]
    );
    assert!(!hook.recursive && !hook.initial && !hook.json && !hook.stops);
    assert_eq!(
        (hook.timeout, hook.debounce, hook.retries, hook.concurrency),
        (None, Duration::ZERO, 0, 1)
    );
}

#[test]
fn each_problem_has_its_line_and_what_is_expected() {
    assert_eq!(
        problems(
            "key: /a\nrecursive: sometimes\ncomand: x\ntimeout: -1\n\nenvironment:\n  A: x\n  B: [1]\n"
        ),
        [
            "0: required key `command` is missing",
            "2: `recursive`: expected true or false, found the string \"sometimes\"",
            "3: unknown key `comand`; did you mean `command`?",
            "4: `timeout`: expected a number of seconds above 0, at most 86400, found -1",
            "8: `environment.B`: expected a string (put it in quotes), found a list",
        ]
    );
    assert_eq!(
        problems("command: []\nkey: 7\nfrequency: 1\n"),
        [
            "1: `command`: expected a shell command line, or a list of a command and its arguments, found a list",
            "2: `key`: expected a key such as /services, found 7",
            "3: unknown key `frequency`; expected one of command, concurrency, debounce, environment, initial, \
             json, key, on-failure, recursive, retry, timeout, user",
        ]
    );
}

#[test]
fn values_have_limits() {
    for line in [
        "concurrency: 0",
        "concurrency: 70000",
        "retry: -1",
        "debounce: soon",
        "debounce: .nan",
        "timeout: 0",
        "timeout: 1e300",
        "on-failure: explode",
        "user: ''",
        "environment: [A]",
        "environment: {'A B': x}",
        "environment: {ETCD_WATCH_KEY: x}",
        "environment: {A: 1.0}",
        "json: 1",
    ] {
        let said = problems(&format!("key: /a\ncommand: x\n{line}\n"));
        assert_eq!(said.len(), 1, "{line}: {said:?}");
        assert!(
            said[0].starts_with("3: ") && said[0].contains("expected"),
            "{said:?}"
        );
    }
}

#[test]
fn other_content_than_a_mapping_is_refused() {
    assert_eq!(problems(""), ["0: the file is empty"]);
    assert_eq!(
        problems("- key: /a\n"),
        ["1: expected keys and values, as in `key: /services`"]
    );
    let said = problems("key: /a\ncommand: [x\n");
    assert!(said[0].contains("not valid YAML"), "{said:?}");
    let said = problems("key: /a\nkey: /b\ncommand: x\n");
    assert!(said[0].contains("duplicate"), "{said:?}");
}

proptest::proptest! {
    /// No text makes the parser panic.
    #[test]
    fn any_text_is_parsed_or_refused(text in ".{0,200}") {
        let _ = parse(&text);
    }
}
