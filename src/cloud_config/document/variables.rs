//! Sections that become variables of a service: etcd, fleet, flannel, locksmith.

use std::collections::BTreeMap;

use crate::cloud_config::node::{Entry, Node, Value};
use crate::cloud_config::report::{Place, Report, shown};
use crate::cloud_config::scalar::{decimal, integer, truth};
use crate::config::options::{Form, OPTIONS, Opt, Section};

/// One variable of a service's environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its value.
    pub value: String,
    /// Where its key is in the document.
    pub place: Place,
}

/// The variables of one service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variables {
    /// By name.
    pub values: BTreeMap<String, Variable>,
    /// Whether the document says anything at all about this service, be it of use or not.
    pub given: bool,
}

/// What a value may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Any text, kept as it was written.
    Text,
    Truth,
    Whole,
    Number,
}

/// A key of `coreos.etcd`.
struct EtcdOption {
    key: String,
    variable: String,
    kind: Kind,
    /// Whether the daemon takes it and does nothing with it.
    idle: bool,
}

/// Options of etcd 2. Both tools of the time handed them on, although etcd 0.4 does not know them.
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

/// Spellings from before 0.4.
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

/// flannel: (key, variable), in the order of the file they are written to.
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
        variables.given |= matches!(entry.value.value, Value::Scalar { .. });
        if let Some((old, name)) = OLD_OPTIONS.iter().find(|(old, _)| *old == entry.name) {
            report.warning(
                entry.place,
                format!("{old} is an old spelling; write {name}"),
            );
            entry.name = String::from(*name);
        }
        if let Some(option) = options.iter().find(|one| one.key == entry.name) {
            if option.idle {
                let message = format!("{} is accepted without effect", entry.name);
                report.note(entry.place, message);
            }
            let value = value(&entry, "coreos.etcd", option.kind, report);
            variables.set(&option.variable, value, entry.place);
        } else if ETCD2_OPTIONS.contains(&entry.name.as_str()) {
            let message = format!("{} is an option of etcd 2, without effect here", entry.name);
            report.warning(entry.place, message);
            let value = value(&entry, "coreos.etcd", Kind::Text, report);
            let variable = format!("ETCD_{}", entry.name.to_ascii_uppercase());
            variables.set(&variable, value, entry.place);
        } else {
            entry.is_unknown("coreos.etcd", &names, report);
        }
    }
}

pub(super) fn fleet(node: &Node, variables: &mut Variables, report: &mut Report) {
    for entry in node.entries("coreos.fleet", report) {
        let letters = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if entry.name.is_empty() || !entry.name.bytes().all(letters) {
            entry.is_unknown("coreos.fleet", FLEET, report);
            continue;
        }
        if !FLEET.contains(&entry.name.as_str()) {
            let message = format!("{} is no option of fleet that is known here", entry.name);
            report.note(entry.place, message);
        }
        let value = value(&entry, "coreos.fleet", Kind::Text, report);
        let variable = format!("FLEET_{}", entry.name.to_ascii_uppercase());
        variables.set(&variable, value, entry.place);
    }
}

pub(super) fn flannel(node: &Node, variables: &mut Variables, report: &mut Report) {
    of_table(node, "coreos.flannel", FLANNEL, variables, report);
}

pub(super) fn locksmith(node: &Node, variables: &mut Variables, report: &mut Report) {
    of_table(node, "coreos.locksmith", LOCKSMITH, variables, report);
}

fn of_table(
    node: &Node,
    section: &str,
    table: &[(&str, &str)],
    variables: &mut Variables,
    report: &mut Report,
) {
    let names: Vec<&str> = table.iter().map(|(name, _)| *name).collect();
    for entry in node.entries(section, report) {
        let Some((_, variable)) = table.iter().find(|(name, _)| *name == entry.name) else {
            entry.is_unknown(section, &names, report);
            continue;
        };
        let value = value(&entry, section, Kind::Text, report);
        // These services take an empty variable for a value.
        let value = value.filter(|value| !value.is_empty());
        variables.set(variable, value, entry.place);
    }
}

impl Variables {
    fn set(&mut self, name: &str, value: Option<String>, place: Place) {
        if let Some(value) = value {
            self.given = true;
            let variable = Variable { value, place };
            self.values.insert(String::from(name), variable);
        }
    }
}

/// All keys of `coreos.etcd`: the daemon's variables without `ETCD_`, in small letters.
fn etcd_options() -> Vec<EtcdOption> {
    let of_option = |option: &'static Opt| {
        option.variables.iter().map(|variable| EtcdOption {
            key: variable.trim_start_matches("ETCD_").to_ascii_lowercase(),
            // etcd 0.4.6 itself knows only this spelling; ours knows both.
            variable: match *variable {
                "ETCD_SNAPSHOT_COUNT" => String::from("ETCD_SNAPSHOTCOUNT"),
                other => String::from(other),
            },
            kind: kind(option),
            idle: option.section == Section::Ignored,
        })
    };
    OPTIONS.iter().flat_map(of_option).collect()
}

fn kind(option: &Opt) -> Kind {
    match option.form {
        Form::Switch => Kind::Truth,
        Form::Value("SECONDS") => Kind::Number,
        Form::Value("COUNT" | "BYTES" | "MILLISECONDS") => Kind::Whole,
        Form::Value(_) => Kind::Text,
    }
}

/// A value as its option takes it. What can't be taken is reported.
fn value(entry: &Entry<'_>, section: &str, kind: Kind, report: &mut Report) -> Option<String> {
    let what = format!("{section}.{}", entry.name);
    let text = entry.value.text(&what, report)?;
    let plain = matches!(entry.value.value, Value::Scalar { plain: true, .. });
    let (value, expected) = match kind {
        Kind::Text => return Some(text),
        Kind::Truth => (switch(&text), "true or false"),
        Kind::Whole => (whole(&text, plain), "a whole number"),
        Kind::Number => (number(&text, plain), "a number"),
    };
    if let Some(value) = value {
        let written_so = plain && (kind != Kind::Whole || integer(&text, plain).is_some());
        if !written_so {
            let message = format!(
                "{what} is {}, expected {expected}; {value} is used",
                shown(&text)
            );
            report.warning(entry.place, message);
        }
        return Some(value);
    }
    // The number before the point was what counted; so it does, but not in silence.
    if let (Kind::Whole, Some(near)) = (kind, truncated(&text)) {
        let message = format!(
            "{what} is {}, expected {expected}; {near} is used",
            shown(&text)
        );
        report.warning(entry.place, message);
        return Some(near);
    }
    let message = format!("{what} is {}, expected {expected}; left out", shown(&text));
    report.warning(entry.place, message);
    None
}

fn switch(text: &str) -> Option<String> {
    let value = match text {
        "1" => true,
        "0" => false,
        word => truth(word)?,
    };
    Some(value.to_string())
}

fn whole(text: &str, plain: bool) -> Option<String> {
    if let Some(number) = integer(text, plain) {
        return Some(number.to_string());
    }
    let number = decimal(text, plain)?;
    (number.fract() == 0.0 && number.abs() < 1e15).then(|| number.to_string())
}

fn number(text: &str, plain: bool) -> Option<String> {
    match integer(text, plain) {
        Some(number) => Some(number.to_string()),
        None => decimal(text, plain).map(|number| number.to_string()),
    }
}

fn truncated(text: &str) -> Option<String> {
    let number = decimal(text, false)?;
    (number.abs() < 1e15).then(|| number.trunc().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_yaml_writes_them() {
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
            assert_eq!(whole(text, plain).as_deref(), expected, "{text}");
        }
        assert_eq!(number("1800.5", true).as_deref(), Some("1800.5"));
        assert_eq!(number("1e3", true).as_deref(), Some("1000"));
        assert_eq!(number(".inf", true), None);
        assert_eq!(number("nan", true), None);
        assert_eq!(number("5s", true), None);
    }

    #[test]
    fn each_key_of_etcd_is_known_once() {
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
