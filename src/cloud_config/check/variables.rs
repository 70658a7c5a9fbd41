//! Sections that become variables of a service.

use std::collections::BTreeMap;

use crate::cloud_config::document::{Document, Variables};
use crate::cloud_config::quote;
use crate::cloud_config::report::{Report, shown};

pub(super) fn environments(
    document: &Document,
    report: &mut Report,
) -> BTreeMap<&'static str, BTreeMap<String, String>> {
    if let Some(discovery) = document.etcd.values.get("ETCD_DISCOVERY")
        && !is_discovery(&discovery.value)
    {
        let message = format!(
            "coreos.etcd.discovery is {}, expected a URL such as https://discovery.example.com/TOKEN",
            shown(&discovery.value)
        );
        report.warning(discovery.place, message);
    }
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
