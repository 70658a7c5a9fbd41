//! What is expected of each case: the recording, with the decisions on where we differ.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::case::Case;

/// What a run should come to.
pub struct Expected {
    pub exit: i32,
    pub changes: BTreeSet<String>,
    pub commands: Vec<Vec<String>>,
    /// Keys that each user should have.
    pub keys: BTreeMap<String, Vec<String>>,
}

/// Cases of a section that another tool reads.
pub const NOT_OURS: [&str; 1] = ["update-"];

/// Cases with an option for the metadata service of a vendor, which is a usage error here.
const VENDORS: [&str; 2] = ["digitalocean-metadata", "ec2-metadata"];

/// Refused here, and why, although a version applied them.
const REFUSED: [(&str, &str); 5] = [
    ("form-script", "scripts are not run"),
    ("subst-script", "scripts are not run"),
    ("subst-unset", "an address that is asked for is unknown"),
    ("units-mask-with-content", "a masked unit cannot start"),
    ("units-path-traversal", "a unit's name is a path"),
];

/// What other tools' sections wrote or restarted.
const FOREIGN: [&str; 5] = [
    "/etc/coreos",
    "/etc/oem-release",
    "/run/systemd/system/etcd2.service.d",
    "/run/systemd/system/locksmithd.service ",
    "/etc/environment",
];

/// Drop-ins where the older version is right; elsewhere the newer one is.
fn is_olds(line: &str) -> bool {
    ["etcd.service.d", "fleet.service.d"]
        .iter()
        .any(|folder| line.contains(&format!("/run/systemd/system/{folder}")))
}

/// What is expected; `environment` tells whether `/etc/environment` is to be written.
pub fn expected(case: &Case, environment: bool) -> Expected {
    let refused = REFUSED.iter().any(|(name, _)| *name == case.name);
    let vendors = VENDORS.contains(&case.name.as_str());
    let (old, new) = (case.older(), case.newer());
    if vendors || refused || new.exit != 0 {
        return Expected {
            exit: if vendors { 2 } else { 1 },
            changes: BTreeSet::new(),
            commands: Vec::new(),
            keys: BTreeMap::new(),
        };
    }
    let foreign = |line: &&String| {
        let own = environment && line.ends_with(" /etc/environment");
        FOREIGN.iter().any(|part| line.contains(part)) && !own
    };
    // The newer version is right where the older one refused all of it.
    let olds = |line: &&String| old.exit == 0 && is_olds(line);
    let from_old = old.manifest.iter().filter(olds);
    let from_new = new.manifest.iter().filter(|line| !olds(line));
    let changes = from_old.chain(from_new).filter(|line| !foreign(line));
    // Bits that both lost.
    let kept = |line: &String| {
        line.replace("f 0755 root:root /p/setuid", "f 4755 root:root /p/setuid")
            .replace("f 0777 root:root /p/sticky", "f 1777 root:root /p/sticky")
    };
    let changes: BTreeSet<String> = changes.map(kept).collect();
    let update = case.name == "locksmith-bad-window";
    let of_update = |call: &Value| {
        let unit = call["args"][0].as_str().unwrap_or_default();
        update && matches!(unit, "locksmithd.service" | "update-engine.service")
    };
    let calls = new.calls.iter().filter(|call| !of_update(call));
    let mut commands: Vec<Vec<String>> = calls.filter_map(command).collect();
    let mut enables = 0;
    commands.retain(|words| {
        enables += usize::from(words.contains(&String::from("enable")));
        words[1..] != ["daemon-reload"]
    });
    // Once, before the first command for a unit, if what systemd reads has changed.
    let of_systemd = |line: &String| line.contains("/systemd/");
    if enables > 0 || changes.iter().any(of_systemd) {
        let units = |words: &Vec<String>| words[0] == "systemctl" && words[1] != "enable";
        let at = commands.iter().position(units).unwrap_or(commands.len());
        commands.insert(at, ["systemctl", "daemon-reload"].map(String::from).into());
    }
    Expected {
        exit: 0,
        changes,
        commands,
        keys: keys(&new.calls),
    }
}

/// A recorded call as the command it is here; none for what is no command.
fn command(call: &Value) -> Option<Vec<String>> {
    let texts = |value: &Value| -> Vec<String> {
        let items = value.as_array().into_iter().flatten();
        items.filter_map(Value::as_str).map(String::from).collect()
    };
    if let Some(words) = call.get("cmd") {
        let words = texts(words);
        return (!matches!(words[0].as_str(), "chown" | "update-ssh-keys")).then_some(words);
    }
    let verb = match call["systemd"].as_str().expect("a method") {
        "Reload" => return Some(["systemctl", "daemon-reload"].map(String::from).into()),
        "EnableUnitFiles" => {
            let mut words = ["systemctl", "enable", "--force", "--no-reload"]
                .map(String::from)
                .to_vec();
            words.extend((call["args"][1] == true).then(|| String::from("--runtime")));
            words.extend(texts(&call["args"][0]));
            return Some(words);
        }
        "StartUnit" => "start",
        "StopUnit" => "stop",
        "RestartUnit" => "restart",
        "ReloadUnit" => "reload",
        "TryRestartUnit" => "try-restart",
        "ReloadOrRestartUnit" => "reload-or-restart",
        "ReloadOrTryRestartUnit" => "try-reload-or-restart",
        other => panic!("{other} is not known here"),
    };
    let unit = call["args"][0].as_str().expect("a unit");
    Some(
        ["systemctl", verb, "--no-block", unit]
            .map(String::from)
            .into(),
    )
}

fn keys(calls: &[Value]) -> BTreeMap<String, Vec<String>> {
    let mut keys = BTreeMap::new();
    for call in calls
        .iter()
        .filter(|call| call["cmd"][0] == "update-ssh-keys")
    {
        let user = call["cmd"][2].as_str().expect("a user");
        let lines = call["stdin"].as_str().expect("keys").lines();
        keys.insert(String::from(user), lines.map(String::from).collect());
    }
    keys
}

/// The environment that systemd should read from a service's drop-in.
pub fn environment(case: &Case, service: &str) -> Option<BTreeMap<String, String>> {
    if let Some(intended) = &case.intended {
        return intended.get(service).cloned();
    }
    let path = format!("/run/systemd/system/{service}.d/20-cloudinit.conf");
    let newer = service == "locksmithd.service" || case.older().exit != 0;
    // Values of the wrong type, which the older version handed on.
    let recorded = match newer || case.name == "etcd-int-for-wrong-type" {
        true => case.newer(),
        false => case.older(),
    };
    let text = String::from_utf8(recorded.files.get(&path)?.bytes()).expect("text");
    let variable = |line: &str| {
        let assignment = line.strip_prefix("Environment=\"")?.strip_suffix('"')?;
        let (name, value) = assignment.split_once('=')?;
        Some((String::from(name), String::from(value)))
    };
    let mut variables: BTreeMap<String, String> = text.lines().filter_map(variable).collect();
    // Keys that nobody knows were handed on.
    for unknown in ["ETCD_ADRR", "ETCD_NO_SUCH_OPTION", "ETCD_10.132.7.21"] {
        variables.remove(unknown);
    }
    // Values that are typed here.
    if let Some(value) = variables
        .get_mut("ETCD_VERBOSE")
        .filter(|value| *value == "yes")
    {
        *value = String::from("true");
    }
    Some(variables)
}

/// Both spellings mean the same.
pub fn spelled_once(variables: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let name = |name: &String| name.replace("SNAPSHOT_COUNT", "SNAPSHOTCOUNT");
    let empty = |(_, value): &(&String, &String)| !value.is_empty();
    variables
        .iter()
        .filter(empty)
        .map(|(key, value)| (name(key), value.clone()))
        .collect()
}
