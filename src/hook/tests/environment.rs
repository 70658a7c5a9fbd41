use super::super::environment::variables;
use super::change;

fn shown(json: &str) -> Vec<String> {
    let variables = variables(&change(json));
    let set = variables.set.iter();
    set.map(|(name, value)| format!("{}={value}", name.trim_start_matches("ETCD_WATCH_")))
        .collect()
}

#[test]
fn all_variables_are_set() {
    let json = r#"{"action":"compareAndSwap","node":{"key":"/a","value":"2","ttl":30,"modifiedIndex":9,"createdIndex":3},
        "prevNode":{"key":"/a","value":"1","modifiedIndex":3,"createdIndex":3}}"#;
    assert_eq!(
        shown(json),
        [
            "ACTION=compareAndSwap",
            "KEY=/a",
            "VALUE=2",
            "MODIFIED_INDEX=9",
            "PREV_VALUE=1",
            "TTL=30",
            "DIR=false"
        ]
    );
}

/// A daemon that is started by a command does not warn about them.
#[test]
fn the_daemon_knows_all_variables() {
    let json = r#"{"action":"get","node":{"key":"/a","modifiedIndex":1,"createdIndex":1}}"#;
    let set = variables(&change(json)).set;
    let mut names: Vec<&str> = set.into_iter().map(|(name, _)| name).collect();
    names.sort_unstable();
    assert_eq!(names, crate::config::env::CHANGE_VARIABLES);
}

#[test]
fn missing_values_are_empty() {
    let json = r#"{"action":"delete","node":{"key":"/d","modifiedIndex":9,"createdIndex":3},
        "prevNode":{"key":"/d","dir":true,"modifiedIndex":3,"createdIndex":3}}"#;
    let all = [
        "ACTION=delete",
        "KEY=/d",
        "VALUE=",
        "MODIFIED_INDEX=9",
        "PREV_VALUE=",
        "TTL=",
        "DIR=true",
    ];
    assert_eq!(shown(json), all);
}

#[test]
fn invalid_values_are_left_out() {
    let long = "x".repeat(128 << 10);
    for value in [long.as_str(), r"a\u0000b"] {
        let json = format!(
            r#"{{"action":"set","node":{{"key":"/a","value":"{value}","modifiedIndex":9,"createdIndex":3}}}}"#
        );
        let variables = variables(&change(&json));
        assert_eq!(variables.set.len(), 6);
        assert_eq!(variables.left_out[0].0, "ETCD_WATCH_VALUE");
    }
}
