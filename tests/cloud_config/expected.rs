//! The expected result of each case: the recorded one, changed where we differ on purpose.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::case::Case;

/// The expected result of a run.
pub struct Expected {
    pub exit: i32,
    pub changes: BTreeSet<String>,
    pub commands: Vec<Vec<String>>,
    /// The SSH keys of each user.
    pub keys: BTreeMap<String, Vec<String>>,
}

/// Cases of a section that belongs to another tool.
pub const NOT_OURS: [&str; 1] = ["update-"];

/// Cases with an option for the metadata service of a vendor, which is a usage error here.
const VENDORS: [&str; 2] = ["digitalocean-metadata", "ec2-metadata"];

/// Cases that are refused here although a recorded version applied them, with the reason.
const REFUSED: [(&str, &str); 5] = [
    ("form-script", "scripts are not run"),
    ("subst-script", "scripts are not run"),
    ("subst-unset", "an address that is asked for is unknown"),
    ("units-mask-with-content", "a masked unit cannot start"),
    ("units-path-traversal", "a unit's name is a path"),
];

/// Files that sections of other tools wrote.
const FOREIGN: [&str; 5] = [
    "/etc/coreos",
    "/etc/oem-release",
    "/run/systemd/system/etcd2.service.d",
    "/run/systemd/system/locksmithd.service ",
    "/etc/environment",
];

/// Whether the older version is followed for this file.
fn is_from_older(line: &str) -> bool {
    ["etcd.service.d", "fleet.service.d"]
        .iter()
        .any(|folder| line.contains(&format!("/run/systemd/system/{folder}")))
}

/// The expected result; `environment` is whether `/etc/environment` is to be written.
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
    // The newer version is followed where the older one refused the document.
    let from_older = |line: &&String| old.exit == 0 && is_from_older(line);
    let from_old = old.manifest.iter().filter(from_older);
    let from_new = new.manifest.iter().filter(|line| !from_older(line));
    let changes = from_old.chain(from_new).filter(|line| !foreign(line));
    // Mode bits that both versions lost.
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
    // One daemon-reload before the first command for a unit, if units changed.
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

/// The command for a recorded call; none if we run no command for it.
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

/// The environment that systemd has to read from a drop-in.
pub fn environment(case: &Case, service: &str) -> Option<BTreeMap<String, String>> {
    if let Some(intended) = &case.intended {
        return intended.get(service).cloned();
    }
    let path = format!("/run/systemd/system/{service}.d/20-cloudinit.conf");
    let newer = service == "locksmithd.service" || case.older().exit != 0;
    // The older version passed on values of the wrong type.
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
    // Unknown keys, which both versions passed on.
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

/// Variables with one spelling for names that have two, without empty values.
pub fn with_one_spelling(variables: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let name = |name: &String| name.replace("SNAPSHOT_COUNT", "SNAPSHOTCOUNT");
    let empty = |(_, value): &(&String, &String)| !value.is_empty();
    variables
        .iter()
        .filter(empty)
        .map(|(key, value)| (name(key), value.clone()))
        .collect()
}
