//! Tests of `etcd-cloudinit`: the recorded cases (`tests/data/cloud-config`), the example documents in
//! `cloud-config/`, and properties of all documents.
//!
//! With `OXETCD_DROP_INS=FOLDER`, the drop-ins of the recorded cases are written there with their expected
//! variables. `tests/system/cloudinit` compares these with a real systemd.

#![allow(unreachable_pub, reason = "a test is a crate of its own")]

mod case;
mod command_line;
mod examples;
mod expected;
mod http_server;
mod properties;
mod systemd;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use case::{Case, Host, changes};
use expected::expected;

/// The arguments of each printed command.
fn commands(output: &std::process::Output) -> Vec<Vec<String>> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines()
        .map(|line| serde_json::from_str(line).expect("a JSON array"))
        .collect()
}

/// The arguments that name the document of a case.
fn document(case: &Case, host: &Host, server: Option<&http_server::Server>) -> Vec<String> {
    if case.args.is_empty() {
        let input = host.path("/tmp/input");
        fs::write(&input, case.input.bytes()).expect("a file");
        return vec![String::from("-from-file"), input.display().to_string()];
    }
    let here = server.map_or_else(String::new, http_server::Server::url);
    let real = |argument: &String| argument.replace("http://127.0.0.1:18080", &here);
    case.args.iter().map(real).collect()
}

#[test]
fn recorded_cases_are_met() {
    let mut failures = Vec::new();
    let mut ran = 0;
    for case in Case::all() {
        if expected::NOT_OURS
            .iter()
            .any(|name| case.name.starts_with(name))
        {
            continue;
        }
        ran += 1;
        if let Err(why) = check_case(&case) {
            failures.push(format!("{} ({}): {why}", case.name, case.note));
        }
    }
    assert!(ran >= 125, "only {ran} cases were found");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn expect_same<T: PartialEq + std::fmt::Debug>(
    what: &str,
    got: T,
    expected: T,
) -> Result<(), String> {
    match got == expected {
        true => Ok(()),
        false => Err(format!(
            "{what}:\n  got      {got:?}\n  expected {expected:?}"
        )),
    }
}

fn check_case(case: &Case) -> Result<(), String> {
    let host = Host::new(case);
    let server = (!case.http.is_empty()).then(|| http_server::Server::start(case.http.clone()));
    let document = document(case, &host, server.as_ref());
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
    let before = host.manifest();
    let output = host.run(case, &document, options);
    let after = host.manifest();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    expect_same(
        &format!("exit ({said})"),
        output.status.code(),
        Some(expected.exit),
    )?;
    let (changed, mut changes_expected) = (changes(&before, &after), expected.changes);
    let of_keys = |line: &String| line.contains("/.ssh") || line.contains(" /srv");
    let changed: BTreeSet<String> = changed.into_iter().filter(|line| !of_keys(line)).collect();
    if !host.runs_as_root() {
        changes_expected = changes_expected
            .iter()
            .map(|line| line.replace("core:docker", "root:root"))
            .collect();
    }
    expect_same("changes", changed, changes_expected)?;
    expect_same("commands", commands(&output), expected.commands)?;
    for (user, keys) in &expected.keys {
        let home = if user == "elroy" {
            "/srv/elroy"
        } else {
            "/home/core"
        };
        let text = fs::read_to_string(host.path(&format!("{home}/.ssh/authorized_keys")));
        let text = text.map_err(|error| format!("keys of {user}: {error}"))?;
        expect_same(
            "keys",
            text.lines().map(String::from).collect(),
            keys.clone(),
        )?;
    }
    check_contents(case, &host, &after)?;
    // A second run changes nothing and needs no daemon-reload.
    let again = host.run(case, &document, options);
    expect_same("again", host.manifest(), after)?;
    let reloads = |words: &Vec<String>| words.contains(&String::from("daemon-reload"));
    let enables = commands(&again)
        .iter()
        .any(|words| words.contains(&String::from("enable")));
    expect_same(
        "reload again",
        commands(&again).iter().any(reloads),
        enables,
    )
}

/// Compare files with the recorded ones, and drop-ins by what systemd reads from them.
fn check_contents(case: &Case, host: &Host, after: &case::Manifest) -> Result<(), String> {
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
        let text = fs::read_to_string(host.path(&path)).expect("text");
        let wanted =
            expected::environment(case, service).ok_or(format!("{path} is not expected"))?;
        let got = systemd::environment(&text);
        expect_same(
            service,
            expected::with_one_spelling(&got),
            expected::with_one_spelling(&wanted),
        )?;
        if let Some(folder) = std::env::var_os("OXETCD_DROP_INS") {
            let path = std::path::Path::new(&folder).join(format!("{}-{service}", case.name));
            let variables = serde_json::to_vec(&got).expect("JSON");
            fs::write(path.with_added_extension("conf"), text).expect("a file");
            fs::write(path.with_added_extension("json"), variables).expect("a file");
        }
    }
    for (path, blob) in &case.newer().files {
        // The addresses of the drive are used, as by the older version.
        let drives = case.name == "configdrive" && path == "/etc/environment";
        let ours = !path.contains("20-cloudinit.conf") && !drives && !path.contains("/etc/coreos");
        if there(path) && ours && case.newer().exit == 0 {
            let content = fs::read(host.path(path)).expect("a file");
            let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            expect_same(path, shown(&content), shown(&blob.bytes()))?;
        }
    }
    Ok(())
}

/// Cases with a report here although the recorded one is empty, with the reason.
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

/// Sections of other tools, which are reported whatever their content.
const OTHERS: [&str; 4] = ["etcd2", "oem", "update", "locksmith-bad-window"];

#[test]
fn reports_name_the_recorded_lines() {
    let mut failures = Vec::new();
    for case in Case::all().iter().filter(|case| case.args.is_empty()) {
        if OTHERS.iter().any(|name| case.name.starts_with(name)) {
            continue;
        }
        let host = Host::new(case);
        let document = document(case, &host, None);
        let output = host.run(case, &document, &["--validate"]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let input = host.path("/tmp/input").display().to_string();
        let mut lines: BTreeMap<usize, String> = BTreeMap::new();
        for line in text.lines().filter(|line| !line.contains(": note: ")) {
            let rest = line.strip_prefix(&input).expect("it begins with the file");
            let number = rest
                .split(':')
                .nth(1)
                .and_then(|word| word.trim().parse().ok());
            lines.insert(number.unwrap_or(0), String::from(line));
        }
        // The recorded version counted the lines of syntax errors from 0 and sometimes lost them.
        let exact = !case.validate.contains(&0) && !case.name.starts_with("form-bad-yaml");
        // It reported a valid option of etcd 0.4 as unknown.
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
