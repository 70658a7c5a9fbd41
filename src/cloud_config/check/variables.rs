//! The sections that set environment variables of a service.

use std::collections::BTreeMap;

use crate::cloud_config::document::{Document, Variables};
use crate::cloud_config::quote;
use crate::cloud_config::report::{Report, quoted};
use crate::config::invalid_variables::find_invalid_variables;

pub(super) fn environments(
    document: &Document,
    report: &mut Report,
) -> BTreeMap<&'static str, BTreeMap<String, String>> {
    check_etcd(&document.etcd, report);
    if let Some(start) = document.locksmith.values.get("REBOOT_WINDOW_START")
        && !is_window_start(&start.value)
    {
        let message = format!(
            "coreos.locksmith.window_start is {}, expected a time such as 04:00 or Thu 04:00",
            quoted(&start.value)
        );
        report.warning(start.position, message);
    }
    let mut environments = BTreeMap::new();
    for (service, section, variables) in [
        ("etcd.service", "coreos.etcd", &document.etcd),
        ("fleet.service", "coreos.fleet", &document.fleet),
        (
            "locksmithd.service",
            "coreos.locksmith",
            &document.locksmith,
        ),
    ] {
        let values = checked(variables, section, report);
        if !values.is_empty() {
            environments.insert(service, values);
        }
    }
    environments
}

/// Reports the values that etcd does not start with, in the words of etcd. They are passed on as they are.
fn check_etcd(etcd: &Variables, report: &mut Report) {
    let lookup = |name: &str| etcd.values.get(name).map(|one| one.value.clone());
    let mut refused = find_invalid_variables(lookup);
    if let Some(discovery) = etcd.values.get("ETCD_DISCOVERY")
        && !is_discovery(&discovery.value)
    {
        let message = format!(
            "coreos.etcd.discovery is {}, expected a URL such as https://discovery.example.com/TOKEN",
            quoted(&discovery.value)
        );
        report.warning(discovery.position, message);
        refused.retain(|(name, _)| name != "ETCD_DISCOVERY");
    }
    for (name, error) in refused {
        let Some(variable) = etcd.values.get(&name) else {
            continue;
        };
        let message = format!("etcd will not start: {error}");
        match was_accepted(&name, &variable.value) {
            true => report.note(variable.position, message),
            false => report.warning(variable.position, message),
        }
    }
    // Other variables may be empty, which is the same as unset. This one overrides that of the unit.
    if let Some(directory) = etcd.values.get("ETCD_DATA_DIR")
        && directory.value.trim().is_empty()
    {
        let message = "etcd will not start: coreos.etcd.data_dir is empty, expected the path of a directory; \
                       remove it to use that of the unit";
        report.warning(directory.position, message);
    }
}

/// Whether coreos-cloudinit found no fault with a value that this etcd does not start with: it did not check
/// numbers, lists and complete addresses. Documents without findings there have none here.
fn was_accepted(name: &str, value: &str) -> bool {
    match name {
        "ETCD_ADDR" | "ETCD_PEER_ADDR" => value.contains(':') && !value.starts_with(':'),
        "ETCD_NAME" | "ETCD_READY" | "ETCD_WATCH_HISTORY" | "ETCD_WATCH_HISTORY_BYTES" => false,
        name => !name.ends_with("_FILE"),
    }
}

/// The values that an environment variable can have. The others are reported.
pub(super) fn checked(
    variables: &Variables,
    section: &str,
    report: &mut Report,
) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    for (name, variable) in &variables.values {
        match quote::find_unfit(name, &variable.value) {
            None => {
                values.insert(name.clone(), variable.value.clone());
            }
            Some(reason) => report.error(
                variable.position,
                format!("{section}: the value of {name} {reason}"),
            ),
        }
    }
    values
}

/// Whether a text can be the URL of a discovery token.
fn is_discovery(text: &str) -> bool {
    let rest = text
        .strip_prefix("https://")
        .or(text.strip_prefix("http://"));
    let Some(rest) = rest else {
        return text.is_empty();
    };
    let escapes = rest.split('%').skip(1).all(|after| {
        let digits = after.as_bytes().get(..2).unwrap_or_default();
        digits.len() == 2 && digits.iter().all(u8::is_ascii_hexdigit)
    });
    escapes
        && !rest.starts_with('/')
        && !rest.is_empty()
        && rest.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Whether a text is `hh:mm`, optionally after a day of the week.
fn is_window_start(text: &str) -> bool {
    const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
    let time = match text.split_once(' ') {
        Some((day, time)) if DAYS.contains(&day.to_ascii_lowercase().as_str()) => time,
        Some(_) => return false,
        None => text,
    };
    let Some((hours, minutes)) = time.split_once(':') else {
        return false;
    };
    let within = |text: &str, digits: std::ops::RangeInclusive<usize>, below: u8| {
        let number = text.bytes().all(|byte| byte.is_ascii_digit()) && digits.contains(&text.len());
        number && text.parse::<u8>().is_ok_and(|number| number < below)
    };
    within(hours, 1..=2, 24) && within(minutes, 2..=2, 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud_config::document::Variable;
    use crate::cloud_config::report::Position;

    fn reported(values: &[(&str, &str)]) -> String {
        let mut etcd = Variables::default();
        for (at, (name, value)) in values.iter().enumerate() {
            let variable = Variable {
                value: String::from(*value),
                position: Position::line(at + 1),
            };
            etcd.values.insert(String::from(*name), variable);
        }
        let mut report = Report::default();
        check_etcd(&etcd, &mut report);
        report.to_text("f")
    }

    /// (variable, value, start of the only line about it)
    const REFUSED: &[(&str, &str, &str)] = &[
        (
            "ETCD_ADDR",
            "10.0.0.5",
            "warning: etcd will not start: ETCD_ADDR: \"10.0.0.5\" has no port",
        ),
        (
            "ETCD_PEER_ADDR",
            ":7001",
            "warning: etcd will not start: ETCD_PEER_ADDR: \":7001\" has no host",
        ),
        (
            "ETCD_ADDR",
            "1:4001",
            "note: etcd will not start: ETCD_ADDR: ",
        ),
        (
            "ETCD_NAME",
            "a/b",
            "warning: etcd will not start: ETCD_NAME: \"a/b\" contains a /",
        ),
        (
            "ETCD_READY",
            "maybe",
            "warning: etcd will not start: ETCD_READY: ",
        ),
        (
            "ETCD_CERT_FILE",
            "/c",
            "warning: etcd will not start: ETCD_CERT_FILE: \"/c\" requires -key-file",
        ),
        (
            "ETCD_DATA_DIR",
            " ",
            "warning: etcd will not start: coreos.etcd.data_dir is empty",
        ),
        (
            "ETCD_SNAPSHOTCOUNT",
            "-5",
            "note: etcd will not start: ETCD_SNAPSHOTCOUNT: ",
        ),
        ("ETCD_PEERS", "a", "note: etcd will not start: ETCD_PEERS: "),
        (
            "ETCD_BIND_ADDR",
            ":4001",
            "note: etcd will not start: ETCD_BIND_ADDR: ",
        ),
        ("ETCD_CORS", "foo", "note: etcd will not start: ETCD_CORS: "),
        (
            "ETCD_PEER_HEARTBEAT_INTERVAL",
            "0",
            "note: etcd will not start: ",
        ),
        (
            "ETCD_PEER_HEARTBEAT_INTERVAL",
            "300",
            "note: etcd will not start: the default of",
        ),
        (
            "ETCD_PEER_ELECTION_TIMEOUT",
            "10",
            "note: etcd will not start: ETCD_PEER_ELECTION",
        ),
        (
            "ETCD_RETRY_INTERVAL",
            "-1",
            "note: etcd will not start: ETCD_RETRY_INTERVAL: ",
        ),
        (
            "ETCD_DISCOVERY",
            "d/a b",
            "warning: coreos.etcd.discovery is",
        ),
        (
            "ETCD_DISCOVERY",
            "https://d",
            "note: etcd will not start: ETCD_DISCOVERY: ",
        ),
    ];

    #[test]
    fn values_that_etcd_does_not_start_with_are_reported() {
        for (name, value, start) in REFUSED {
            let text = reported(&[(*name, *value)]);
            assert!(text.starts_with(&format!("f:1: {start}")), "{text}");
            assert_eq!(text.lines().count(), 1, "{text}");
        }
        let good = [
            ("ETCD_ADDR", "10.0.0.5:4001"),
            ("ETCD_BIND_ADDR", "10.0.0.5"),
            ("ETCD_CERT_FILE", "/no/such/cert"),
            ("ETCD_KEY_FILE", "/no/such/key"),
            ("ETCD_PEERS_FILE", "/no/such/peers"),
            ("ETCD_NAME", " "),
        ];
        assert_eq!(reported(&good), "");
    }

    #[test]
    fn urls_and_times_are_checked() {
        for good in [
            "https://d.example.test/abc",
            "http://10.0.0.1:4001/v2/keys/_etcd/a%20b",
            "",
        ] {
            assert!(is_discovery(good), "{good}");
        }
        for bad in [
            "d.example.test/abc",
            "https://",
            "https://d/%m",
            "https://d/a b",
            "https:///x",
        ] {
            assert!(!is_discovery(bad), "{bad}");
        }
        for good in ["04:00", "4:00", "Thu 23:59", "sun 0:00"] {
            assert!(is_window_start(good), "{good}");
        }
        for bad in ["04:70", "24:00", "4", "Today 4:00", "+4:00", "4:0", ""] {
            assert!(!is_window_start(bad), "{bad}");
        }
    }
}
