//! Sections that become variables of a service.

use std::collections::BTreeMap;

use crate::cloud_config::document::{Document, Variables};
use crate::cloud_config::quote;
use crate::cloud_config::report::{Report, shown};
use crate::config::invalid_variables::find_invalid_variables;

pub(super) fn environments(
    document: &Document,
    report: &mut Report,
) -> BTreeMap<&'static str, BTreeMap<String, String>> {
    etcd_would_refuse(&document.etcd, report);
    if let Some(start) = document.locksmith.values.get("REBOOT_WINDOW_START")
        && !is_window_start(&start.value)
    {
        let message = format!(
            "coreos.locksmith.window_start is {}, expected a time such as 04:00 or Thu 04:00",
            shown(&start.value)
        );
        report.warning(start.place, message);
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

/// Values are handed on as they are; those that `etcd` does not start with are said, in its own words.
fn etcd_would_refuse(etcd: &Variables, report: &mut Report) {
    let lookup = |name: &str| etcd.values.get(name).map(|one| one.value.clone());
    let mut refused = find_invalid_variables(lookup);
    if let Some(discovery) = etcd.values.get("ETCD_DISCOVERY")
        && !is_discovery(&discovery.value)
    {
        let message = format!(
            "coreos.etcd.discovery is {}, expected a URL such as https://discovery.example.com/TOKEN",
            shown(&discovery.value)
        );
        report.warning(discovery.place, message);
        refused.retain(|(name, _)| name != "ETCD_DISCOVERY");
    }
    for (name, why) in refused {
        let Some(variable) = etcd.values.get(&name) else {
            continue;
        };
        let message = format!("etcd will not start: {why}");
        match is_of_its_time(&name, &variable.value) {
            true => report.note(variable.place, message),
            false => report.warning(variable.place, message),
        }
    }
    // Elsewhere an empty variable is as good as none. This one stands over that of the unit.
    if let Some(directory) = etcd.values.get("ETCD_DATA_DIR")
        && directory.value.trim().is_empty()
    {
        let message = "etcd will not start: coreos.etcd.data_dir is empty, expected the path of a directory; \
                       leave it out for that of the unit";
        report.warning(directory.place, message);
    }
}

/// Whether the tools of the time called a value clean that this `etcd` does not start with: they looked at
/// no number, list or full address. Documents that were clean then stay so.
fn is_of_its_time(name: &str, value: &str) -> bool {
    match name {
        "ETCD_ADDR" | "ETCD_PEER_ADDR" => value.contains(':') && !value.starts_with(':'),
        "ETCD_NAME" | "ETCD_READY" | "ETCD_WATCH_HISTORY" | "ETCD_WATCH_HISTORY_BYTES" => false,
        name => !name.ends_with("_FILE"),
    }
}

/// The values, each fit for an environment.
pub(super) fn checked(
    variables: &Variables,
    section: &str,
    report: &mut Report,
) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    for (name, variable) in &variables.values {
        match quote::unfit(name, &variable.value) {
            None => {
                values.insert(name.clone(), variable.value.clone());
            }
            Some(why) => report.error(
                variable.place,
                format!("{section}: the value of {name} {why}"),
            ),
        }
    }
    values
}

/// Whether a text could be a URL of a token.
fn is_discovery(text: &str) -> bool {
    let rest = text
        .strip_prefix("https://")
        .or(text.strip_prefix("http://"));
    let Some(rest) = rest else {
        return text.is_empty();
    };
    let escapes = rest.split('%').skip(1).all(|behind| {
        let digits = behind.as_bytes().get(..2).unwrap_or_default();
        digits.len() == 2 && digits.iter().all(u8::is_ascii_hexdigit)
    });
    escapes
        && !rest.starts_with('/')
        && !rest.is_empty()
        && rest.bytes().all(|byte| byte.is_ascii_graphic())
}

/// `hh:mm`, perhaps with a day before it.
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
    use crate::cloud_config::report::Place;

    fn said(values: &[(&str, &str)]) -> String {
        let mut etcd = Variables::default();
        for (at, (name, value)) in values.iter().enumerate() {
            let variable = Variable {
                value: String::from(*value),
                place: Place::line(at + 1),
            };
            etcd.values.insert(String::from(*name), variable);
        }
        let mut report = Report::default();
        etcd_would_refuse(&etcd, &mut report);
        report.text("f")
    }

    /// (Variable, value, how the only line about it begins.)
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
    fn what_etcd_does_not_start_with_is_said() {
        for (name, value, begins) in REFUSED {
            let said = said(&[(*name, *value)]);
            assert!(said.starts_with(&format!("f:1: {begins}")), "{said}");
            assert_eq!(said.lines().count(), 1, "{said}");
        }
        let good = [
            ("ETCD_ADDR", "10.0.0.5:4001"),
            ("ETCD_BIND_ADDR", "10.0.0.5"),
            ("ETCD_CERT_FILE", "/no/such/cert"),
            ("ETCD_KEY_FILE", "/no/such/key"),
            ("ETCD_PEERS_FILE", "/no/such/peers"),
            ("ETCD_NAME", " "),
        ];
        assert_eq!(said(&good), "");
    }

    #[test]
    fn urls_and_times_are_looked_at() {
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
