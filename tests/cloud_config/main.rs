//! `etcd-cloudinit`: the recorded cases (`tests/data/cloud-config`), the documents in `cloud-config/`,
//! and what holds for every document.
//!
//! With `OXETCD_DROP_INS=FOLDER`, each drop-in that a recorded case comes to is left there with the variables
//! it is taken to set, so that systemd itself can be asked (`tests/system/cloudinit`).

#![allow(unreachable_pub, reason = "a test is a crate of its own")]

mod anything;
mod case;
mod documents;
mod expect;
mod manners;
mod serve;
mod systemd;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use case::{Case, Machine, changes};
use expect::expected;

/// The words of each printed command.
fn commands(output: &std::process::Output) -> Vec<Vec<String>> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines()
        .map(|line| serde_json::from_str(line).expect("a JSON array"))
        .collect()
}

/// How a case's document is named on the command line; the server lives as long as the run.
fn document(case: &Case, machine: &Machine, server: Option<&serve::Server>) -> Vec<String> {
    if case.args.is_empty() {
        let input = machine.at("/tmp/input");
        fs::write(&input, case.input.bytes()).expect("a file");
        return vec![String::from("-from-file"), input.display().to_string()];
    }
    let here = server.map_or_else(String::new, serve::Server::url);
    let real = |argument: &String| argument.replace("http://127.0.0.1:18080", &here);
    case.args.iter().map(real).collect()
}

#[test]
fn recorded_cases_are_met() {
    let mut failures = Vec::new();
    let mut ran = 0;
    for case in Case::all() {
        if expect::NOT_OURS
            .iter()
            .any(|name| case.name.starts_with(name))
        {
            continue;
        }
        ran += 1;
        if let Err(why) = meets(&case) {
            failures.push(format!("{} ({}): {why}", case.name, case.note));
        }
    }
    assert!(ran >= 125, "only {ran} cases were found");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, got: T, expected: T) -> Result<(), String> {
    match got == expected {
        true => Ok(()),
        false => Err(format!(
            "{what}:\n  got      {got:?}\n  expected {expected:?}"
        )),
    }
}

fn meets(case: &Case) -> Result<(), String> {
    let machine = Machine::new(case);
    let server = (!case.http.is_empty()).then(|| serve::Server::start(case.http.clone()));
    let document = document(case, &machine, server.as_ref());
    let file = String::from(" /etc/environment");
    let environment = case
        .newer()
        .manifest
        .iter()
        .any(|line| line.ends_with(&file));
    let expected = expected(case, environment);
    let options: &[&str] = if environment {
        &["--write-environment"]
    } else {
        &[]
    };
    let before = machine.manifest();
    let output = machine.run(case, &document, options);
    let after = machine.manifest();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    same(
        &format!("exit ({said})"),
        output.status.code(),
        Some(expected.exit),
    )?;
    let (changed, mut changes_expected) = (changes(&before, &after), expected.changes);
    let of_keys = |line: &String| line.contains("/.ssh") || line.contains(" /srv");
    let changed: BTreeSet<String> = changed.into_iter().filter(|line| !of_keys(line)).collect();
    if !machine.is_roots() {
        changes_expected = changes_expected
            .iter()
            .map(|line| line.replace("core:docker", "root:root"))
            .collect();
    }
    same("changes", changed, changes_expected)?;
    same("commands", commands(&output), expected.commands)?;
    for (user, keys) in &expected.keys {
        let home = if user == "elroy" {
            "/srv/elroy"
        } else {
            "/home/core"
        };
        let text = fs::read_to_string(machine.at(&format!("{home}/.ssh/authorized_keys")));
        let text = text.map_err(|error| format!("keys of {user}: {error}"))?;
        same(
            "keys",
            text.lines().map(String::from).collect(),
            keys.clone(),
        )?;
    }
    contents(case, &machine, &after)?;
    // Again: nothing changes, and systemd has nothing to read again.
    let again = machine.run(case, &document, options);
    same("again", machine.manifest(), after)?;
    let reloads = |words: &Vec<String>| words.contains(&String::from("daemon-reload"));
    let enables = commands(&again)
        .iter()
        .any(|words| words.contains(&String::from("enable")));
    same(
        "reload again",
        commands(&again).iter().any(reloads),
        enables,
    )
}

/// Files are as they were recorded; drop-ins mean what was meant.
fn contents(case: &Case, machine: &Machine, after: &case::Manifest) -> Result<(), String> {
    let there = |path: &str| {
        after
            .iter()
            .any(|line| line.contains(&format!(" {path} [")))
    };
    for service in ["etcd.service", "fleet.service", "locksmithd.service"] {
        let path = format!("/run/systemd/system/{service}.d/20-cloudinit.conf");
        if !there(&path) {
            continue;
        }
        let text = fs::read_to_string(machine.at(&path)).expect("text");
        let wanted = expect::environment(case, service).ok_or(format!("{path} is not expected"))?;
        let got = systemd::environment(&text);
        same(
            service,
            expect::spelled_once(&got),
            expect::spelled_once(&wanted),
        )?;
        if let Some(folder) = std::env::var_os("OXETCD_DROP_INS") {
            let path = std::path::Path::new(&folder).join(format!("{}-{service}", case.name));
            let variables = serde_json::to_vec(&got).expect("JSON");
            fs::write(path.with_added_extension("conf"), text).expect("a file");
            fs::write(path.with_added_extension("json"), variables).expect("a file");
        }
    }
    for (path, blob) in &case.newer().files {
        // The drive's own addresses are right, as the older version has it.
        let drives = case.name == "configdrive" && path == "/etc/environment";
        let ours = !path.contains("20-cloudinit.conf") && !drives && !path.contains("/etc/coreos");
        if there(path) && ours && case.newer().exit == 0 {
            let content = fs::read(machine.at(path)).expect("a file");
            let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            same(path, shown(&content), shown(&blob.bytes()))?;
        }
    }
    Ok(())
}

/// Where our report differs from the recorded one in being clean: (case, why).
const REPORTED: [(&str, &str); 8] = [
    ("form-top-level-list", "nothing in it counts"),
    ("form-top-level-scalar", "nothing in it counts"),
    ("files-no-path", "refused, so it is said"),
    ("hosts-invalid", "refused, so it is said"),
    ("form-script", "refused, so it is said"),
    ("subst-script", "refused, so it is said"),
    ("units-mask-with-content", "refused, so it is said"),
    ("units-path-traversal", "refused, so it is said"),
];

/// Sections that are other tools': we say so, whatever is in them.
const OTHERS: [&str; 4] = ["etcd2", "oem", "update", "locksmith-bad-window"];

#[test]
fn reports_name_the_recorded_lines() {
    let mut failures = Vec::new();
    for case in Case::all().iter().filter(|case| case.args.is_empty()) {
        if OTHERS.iter().any(|name| case.name.starts_with(name)) {
            continue;
        }
        let machine = Machine::new(case);
        let document = document(case, &machine, None);
        let output = machine.run(case, &document, &["--validate"]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let input = machine.at("/tmp/input").display().to_string();
        let mut lines: BTreeMap<usize, String> = BTreeMap::new();
        for line in text.lines().filter(|line| !line.contains(": note: ")) {
            let rest = line.strip_prefix(&input).expect("it begins with the file");
            let number = rest
                .split(':')
                .nth(1)
                .and_then(|word| word.trim().parse().ok());
            lines.insert(number.unwrap_or(0), String::from(line));
        }
        // The recorded version counted syntax errors from 0, and sometimes lost the line.
        let exact = !case.validate.contains(&0) && !case.name.starts_with("form-bad-yaml");
        // It had forgotten an option of etcd 0.4, the only one it reported there.
        let forgotten = case.name == "etcd-all-options-underscore";
        let exact = exact && !forgotten;
        let missed = case
            .validate
            .iter()
            .filter(|line| exact && !lines.contains_key(line));
        let missed: Vec<&usize> = missed.collect();
        let ours = REPORTED.iter().any(|(name, _)| *name == case.name);
        let clean =
            (case.validate.is_empty() || forgotten) && !ours && !case.name.contains("etcd2");
        if !missed.is_empty()
            || clean != lines.is_empty()
            || output.status.success() != lines.is_empty()
        {
            failures.push(format!(
                "{}: recorded {:?}, got {text}",
                case.name, case.validate
            ));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
