//! The sections that set environment variables of a service: etcd, fleet, flannel and locksmith.

use std::collections::BTreeMap;

use crate::cloud_config::node::{Entry, Node, Value};
use crate::cloud_config::report::{Position, Report, quoted};
use crate::cloud_config::scalar::{parse_bool, parse_float, parse_integer};
use crate::config::options::{Form, OPTIONS, Opt, Section};

/// An environment variable of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its value.
    pub value: String,
    /// The line of its key.
    pub position: Position,
}

/// The variables of one service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variables {
    /// By name.
    pub values: BTreeMap<String, Variable>,
    /// Whether the section has any value, valid or not.
    pub is_set: bool,
}

/// The type of an option's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Any text, kept as it is written.
    Text,
    Bool,
    Integer,
    /// A number, possibly with a fraction.
    Number,
}

/// A key of `coreos.etcd`.
struct EtcdOption {
    key: String,
    variable: String,
    kind: Kind,
    /// Whether the daemon accepts and ignores it.
    ignored: bool,
}

/// Options of etcd 2. coreos-cloudinit passed them on, although etcd 0.4 does not have them.
const ETCD2_OPTIONS: &[&str] = &[
    "advertise_client_urls",
    "discovery_fallback",
    "discovery_proxy",
    "discovery_srv",
    "election_timeout",
    "force_new_cluster",
    "heartbeat_interval",
    "initial_advertise_peer_urls",
    "initial_cluster",
    "initial_cluster_state",
    "initial_cluster_token",
    "listen_client_urls",
    "listen_peer_urls",
    "max_snapshots",
    "max_wals",
    "proxy",
];

/// Names of options before etcd 0.4, and their names since.
const OLD_OPTIONS: &[(&str, &str)] = &[
    ("discovery_url", "discovery"),
    ("max_cluster_size", "cluster_active_size"),
    ("peer_heartbeat_timeout", "peer_heartbeat_interval"),
];

const FLEET: &[&str] = &[
    "agent_ttl",
    "authorized_keys_file",
    "disable_engine",
    "disable_watches",
    "engine_reconcile_interval",
    "etcd_cafile",
    "etcd_certfile",
    "etcd_key_prefix",
    "etcd_keyfile",
    "etcd_password",
    "etcd_request_timeout",
    "etcd_servers",
    "etcd_username",
    "known_hosts_file",
    "metadata",
    "public_ip",
    "ssh_timeout",
    "ssh_username",
    "strict_host_key_checking",
    "token_limit",
    "tunnel",
    "verbosity",
];

/// The options of flannel (key, variable), in the order of the file they are written to.
pub const FLANNEL: &[(&str, &str)] = &[
    ("etcd_endpoints", "FLANNELD_ETCD_ENDPOINTS"),
    ("etcd_cafile", "FLANNELD_ETCD_CAFILE"),
    ("etcd_certfile", "FLANNELD_ETCD_CERTFILE"),
    ("etcd_keyfile", "FLANNELD_ETCD_KEYFILE"),
    ("etcd_username", "FLANNELD_ETCD_USERNAME"),
    ("etcd_password", "FLANNELD_ETCD_PASSWORD"),
    ("etcd_prefix", "FLANNELD_ETCD_PREFIX"),
    ("ip_masq", "FLANNELD_IP_MASQ"),
    ("subnet_file", "FLANNELD_SUBNET_FILE"),
    ("interface", "FLANNELD_IFACE"),
    ("public_ip", "FLANNELD_PUBLIC_IP"),
];

const LOCKSMITH: &[(&str, &str)] = &[
    ("endpoint", "LOCKSMITHD_ENDPOINT"),
    ("etcd_cafile", "LOCKSMITHD_ETCD_CAFILE"),
    ("etcd_certfile", "LOCKSMITHD_ETCD_CERTFILE"),
    ("etcd_keyfile", "LOCKSMITHD_ETCD_KEYFILE"),
    ("etcd_username", "LOCKSMITHD_ETCD_USERNAME"),
    ("etcd_password", "LOCKSMITHD_ETCD_PASSWORD"),
    ("group", "LOCKSMITHD_GROUP"),
    ("window_start", "REBOOT_WINDOW_START"),
    ("window_length", "REBOOT_WINDOW_LENGTH"),
];

pub(super) fn etcd(node: &Node, variables: &mut Variables, report: &mut Report) {
    let options = etcd_options();
    let names: Vec<&str> = options.iter().map(|one| one.key.as_str()).collect();
    for mut entry in node.entries("coreos.etcd", report) {
        variables.is_set |= matches!(entry.value.value, Value::Scalar { .. });
        if let Some((old, name)) = OLD_OPTIONS.iter().find(|(old, _)| *old == entry.name) {
            report.warning(
                entry.position,
                format!("{old} is the name before etcd 0.4; use {name}"),
            );
            entry.name = String::from(*name);
        }
        if let Some(option) = options.iter().find(|one| one.key == entry.name) {
            if option.ignored {
                let message = format!("{} is accepted but has no effect", entry.name);
                report.note(entry.position, message);
            }
            let value = value(&entry, "coreos.etcd", option.kind, report);
            variables.set(&option.variable, value, entry.position);
        } else if ETCD2_OPTIONS.contains(&entry.name.as_str()) {
            let message = format!("{} is an option of etcd 2 and has no effect", entry.name);
            report.warning(entry.position, message);
            let value = value(&entry, "coreos.etcd", Kind::Text, report);
            let variable = format!("ETCD_{}", entry.name.to_ascii_uppercase());
            variables.set(&variable, value, entry.position);
        } else {
            entry.report_unknown("coreos.etcd", &names, report);
        }
    }
}

pub(super) fn fleet(node: &Node, variables: &mut Variables, report: &mut Report) {
    for entry in node.entries("coreos.fleet", report) {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if entry.name.is_empty() || !entry.name.bytes().all(is_allowed) {
            entry.report_unknown("coreos.fleet", FLEET, report);
            continue;
        }
        if !FLEET.contains(&entry.name.as_str()) {
            let message = format!("{} is not a known option of fleet; set anyway", entry.name);
            report.note(entry.position, message);
        }
        let value = value(&entry, "coreos.fleet", Kind::Text, report);
        let variable = format!("FLEET_{}", entry.name.to_ascii_uppercase());
        variables.set(&variable, value, entry.position);
    }
}

pub(super) fn flannel(node: &Node, variables: &mut Variables, report: &mut Report) {
    read_table(node, "coreos.flannel", FLANNEL, variables, report);
}

pub(super) fn locksmith(node: &Node, variables: &mut Variables, report: &mut Report) {
    read_table(node, "coreos.locksmith", LOCKSMITH, variables, report);
}

fn read_table(
    node: &Node,
    section: &str,
    table: &[(&str, &str)],
    variables: &mut Variables,
    report: &mut Report,
) {
    let names: Vec<&str> = table.iter().map(|(name, _)| *name).collect();
    for entry in node.entries(section, report) {
        let Some((_, variable)) = table.iter().find(|(name, _)| *name == entry.name) else {
            entry.report_unknown(section, &names, report);
            continue;
        };
        let value = value(&entry, section, Kind::Text, report);
        // An empty variable would override the default of these services.
        let value = value.filter(|value| !value.is_empty());
        variables.set(variable, value, entry.position);
    }
}

impl Variables {
    fn set(&mut self, name: &str, value: Option<String>, position: Position) {
        if let Some(value) = value {
            self.is_set = true;
            let variable = Variable { value, position };
            self.values.insert(String::from(name), variable);
        }
    }
}

/// All keys of `coreos.etcd`: the variables of the daemon without `ETCD_`, in lower case.
fn etcd_options() -> Vec<EtcdOption> {
    let of_option = |option: &'static Opt| {
        option.variables.iter().map(|variable| EtcdOption {
            key: variable.trim_start_matches("ETCD_").to_ascii_lowercase(),
            // etcd 0.4.6 knows only this spelling; this daemon knows both.
            variable: match *variable {
                "ETCD_SNAPSHOT_COUNT" => String::from("ETCD_SNAPSHOTCOUNT"),
                other => String::from(other),
            },
            kind: kind(option),
            ignored: option.section == Section::Ignored,
        })
    };
    OPTIONS.iter().flat_map(of_option).collect()
}

fn kind(option: &Opt) -> Kind {
    match option.form {
        Form::Switch => Kind::Bool,
        Form::Value("SECONDS") => Kind::Number,
        Form::Value("COUNT" | "BYTES" | "MILLISECONDS") => Kind::Integer,
        Form::Value(_) => Kind::Text,
    }
}

/// A value as its option accepts it. Any other value is reported.
fn value(entry: &Entry<'_>, section: &str, kind: Kind, report: &mut Report) -> Option<String> {
    let what = format!("{section}.{}", entry.name);
    let text = entry.value.text(&what, report)?;
    let plain = matches!(entry.value.value, Value::Scalar { plain: true, .. });
    let (value, expected) = match kind {
        Kind::Text => return Some(text),
        Kind::Bool => (to_bool(&text), "true or false"),
        Kind::Integer => (to_integer(&text, plain), "an integer"),
        Kind::Number => (to_number(&text, plain), "a number"),
    };
    if let Some(value) = value {
        let is_exact = plain && (kind != Kind::Integer || parse_integer(&text, plain).is_some());
        if !is_exact {
            let message = format!(
                "{what} is {}, expected {expected}; {value} is used",
                quoted(&text)
            );
            report.warning(entry.position, message);
        }
        return Some(value);
    }
    // As in coreos-cloudinit the fraction is dropped, but with a warning.
    if let (Kind::Integer, Some(integer)) = (kind, truncate(&text)) {
        let message = format!(
            "{what} is {}, expected {expected}; {integer} is used",
            quoted(&text)
        );
        report.warning(entry.position, message);
        return Some(integer);
    }
    let message = format!("{what} is {}, expected {expected}; ignored", quoted(&text));
    report.warning(entry.position, message);
    None
}

fn to_bool(text: &str) -> Option<String> {
    let value = match text {
        "1" => true,
        "0" => false,
        word => parse_bool(word)?,
    };
    Some(value.to_string())
}

fn to_integer(text: &str, plain: bool) -> Option<String> {
    if let Some(number) = parse_integer(text, plain) {
        return Some(number.to_string());
    }
    let number = parse_float(text, plain)?;
    (number.fract() == 0.0 && number.abs() < 1e15).then(|| number.to_string())
}

fn to_number(text: &str, plain: bool) -> Option<String> {
    match parse_integer(text, plain) {
        Some(number) => Some(number.to_string()),
        None => parse_float(text, plain).map(|number| number.to_string()),
    }
}

fn truncate(text: &str) -> Option<String> {
    let number = parse_float(text, false)?;
    (number.abs() < 1e15).then(|| number.trunc().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_yaml_1_1_writes_them() {
        for (text, plain, expected) in [
            ("9", true, Some("9")),
            ("1_000", true, Some("1000")),
            ("010", true, Some("8")),
            ("010", false, Some("10")),
            ("08", true, Some("8")),
            ("0x32", true, Some("50")),
            ("-0x32", true, Some("-50")),
            ("0b11", true, Some("3")),
            ("50.0", true, Some("50")),
            ("1e3", true, Some("1000")),
            ("-5", true, Some("-5")),
            ("0", true, Some("0")),
            ("1.5", true, None),
            ("three", true, None),
            ("inf", true, None),
            ("", false, None),
            ("0x-5", true, None),
            ("99999999999999999999", true, None),
        ] {
            assert_eq!(to_integer(text, plain).as_deref(), expected, "{text}");
        }
        assert_eq!(to_number("1800.5", true).as_deref(), Some("1800.5"));
        assert_eq!(to_number("1e3", true).as_deref(), Some("1000"));
        assert_eq!(to_number(".inf", true), None);
        assert_eq!(to_number("nan", true), None);
        assert_eq!(to_number("5s", true), None);
    }

    #[test]
    fn the_keys_of_etcd_are_unique() {
        let mut keys: Vec<String> = etcd_options().into_iter().map(|one| one.key).collect();
        assert!(keys.contains(&String::from("peer_addr")));
        assert!(
            keys.iter()
                .all(|key| !ETCD2_OPTIONS.contains(&key.as_str()))
        );
        let all = keys.len();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), all);
    }
}
