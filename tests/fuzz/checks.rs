//! Checks of properties that hold for every text. A check takes bytes and panics if they do not hold.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use oxetcd::cloud_config::addresses::{Addresses, Kind};
use oxetcd::cloud_config::plan::{File, Step};
use oxetcd::cloud_config::report::Report;
use oxetcd::cloud_config::substitute::{find_unknown, substitute};
use oxetcd::cloud_config::{Context, Outcome, prepare};
use oxetcd::config::options::OPTIONS;
use oxetcd::config::{Merged, file};

use crate::systemd;

/// A check with its name.
pub type Check = (&'static str, fn(&[u8]));

/// All checks.
pub const CHECKS: [Check; 4] = [
    ("document", document),
    ("substitution", substitution),
    ("drop_in", drop_in),
    ("configuration", configuration),
];

/// A cloud-config is refused with an error, or each step of its plan is valid. A second run gives the same result.
pub fn document(text: &[u8]) {
    let context = Context {
        addresses: known(),
        ssh_user: String::from("core"),
        environment: Some(String::from("A=1\n")),
        ..Context::default()
    };
    let mut report = Report::default();
    let outcome = prepare(text, &context, &mut report);
    assert_eq!(outcome.is_none(), report.has_errors());
    let said = (report.to_text("x"), report.to_json("x"));
    let mut again = Report::default();
    assert_eq!(prepare(text, &context, &mut again), outcome);
    assert_eq!((again.to_text("x"), again.to_json("x")), said);
    if let Some(Outcome::Plan(plan)) = outcome {
        plan.steps.iter().for_each(check_step);
    }
}

/// A host with one of the four addresses.
fn known() -> Addresses {
    let mut addresses = Addresses::default();
    let set = addresses.set(Kind::PrivateIpv4, "10.0.0.1");
    assert!(set.is_ok());
    addresses
}

/// Check a step of a plan.
fn check_step(step: &Step) {
    let path = match step {
        Step::Write(file) => &file.path,
        Step::Mask { path, .. } | Step::Unmask { path, .. } | Step::Remove { path, .. } => path,
        Step::Hostname(_) | Step::Run(_) | Step::Keys(_) => return,
    };
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    assert!(path.starts_with('/') && !path.contains('\0'), "{path:?}");
    assert!(
        parts.iter().all(|part| !matches!(*part, "" | "." | "..")),
        "{path:?}"
    );
    let Step::Write(file) = step else { return };
    for (name, value) in drop_in_variables(file).unwrap_or_default() {
        let known = ["ETCD_", "FLEET_", "LOCKSMITHD_", "REBOOT_WINDOW_"];
        assert!(
            known.iter().any(|begin| name.starts_with(begin)),
            "{name}={value}"
        );
    }
}

/// The variables that systemd reads from a file, if it is a drop-in of ours.
fn drop_in_variables(file: &File) -> Option<BTreeMap<String, String>> {
    let ours = file.path.starts_with("/run/systemd/system/")
        && file.path.ends_with("/20-cloudinit.conf")
        && file.content.starts_with(b"[Service]\nEnvironment=\"");
    let text = || String::from_utf8(file.content.clone()).expect("text");
    ours.then(|| systemd::environment(&text()))
}

/// Compare the substitution of addresses with a simple one that goes character by character.
pub fn substitution(text: &[u8]) {
    let text = String::from_utf8_lossy(text);
    let addresses = known();
    let mut expected = String::new();
    let mut missing = None;
    let mut rest = text.as_ref();
    while let Some(character) = rest.chars().next() {
        let word = |rest: &str| {
            let behind = rest.strip_prefix('$')?;
            Kind::ALL
                .into_iter()
                .find(|kind| behind.starts_with(kind.name()))
        };
        if let Some(kind) = rest.strip_prefix('\\').and_then(word) {
            expected.push('$');
            expected.push_str(kind.name());
            rest = &rest[2 + kind.name().len()..];
        } else if let Some(kind) = word(rest) {
            match addresses.get(kind) {
                Some(address) => expected.push_str(&address.to_string()),
                None => {
                    missing = missing.or(Some(kind));
                    expected.push('\u{e000}');
                    expected.push_str(kind.name());
                }
            }
            rest = &rest[1 + kind.name().len()..];
        } else {
            expected.push(character);
            rest = &rest[character.len_utf8()..];
        }
    }
    let replaced = substitute(&text, &addresses);
    assert_eq!(replaced, expected);
    if !text.contains('\u{e000}') {
        assert_eq!(find_unknown(&replaced), missing);
    }
}

/// Values for a service, separated by zero bytes: systemd reads each one as written, or the document is refused
/// because of a value that a variable cannot hold.
pub fn drop_in(text: &[u8]) {
    // The placeholder of an unknown address is not a value.
    let text = String::from_utf8_lossy(text).replace('\u{e000}', "");
    let values: BTreeMap<String, String> = text
        .split('\0')
        .enumerate()
        .filter(|(_, value)| !value.is_empty())
        .map(|(number, value)| (format!("FLEET_V{number}"), String::from(value)))
        .collect();
    let mut written = String::from("#cloud-config\ncoreos:\n  fleet:\n");
    for (name, value) in &values {
        // Each character as an escape, so that YAML and the substitution leave it alone.
        let escapes = value.chars().fold(String::new(), |mut escapes, character| {
            let _ = write!(escapes, "\\U{:08x}", u32::from(character));
            escapes
        });
        let key = name.trim_start_matches("FLEET_").to_ascii_lowercase();
        let _ = writeln!(written, "    {key}: \"{escapes}\"");
    }
    if values.is_empty() {
        return;
    }
    let mut report = Report::default();
    let outcome = prepare(written.as_bytes(), &Context::default(), &mut report);
    let Some(Outcome::Plan(plan)) = outcome else {
        let fits = |(name, value): (&String, &String)| systemd::can_hold(name, value);
        let too_long = written.len() > 1 << 20;
        assert!(
            too_long || !values.iter().all(fits),
            "{}",
            report.to_text("x")
        );
        return;
    };
    let read: Vec<_> = plan
        .steps
        .iter()
        .filter_map(|step| match step {
            Step::Write(file) => drop_in_variables(file),
            Step::Mask { .. }
            | Step::Unmask { .. }
            | Step::Remove { .. }
            | Step::Hostname(_)
            | Step::Run(_)
            | Step::Keys(_) => None,
        })
        .collect();
    assert_eq!(read, [values]);
}

/// A configuration file is refused with a message, or validated as flags are.
pub fn configuration(text: &[u8]) {
    match file::parse("etcd.conf", &String::from_utf8_lossy(text)) {
        Ok(layer) => {
            let _ = Merged::new(OPTIONS, [layer]).validate(Some("host1"));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
