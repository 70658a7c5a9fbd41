//! Whether the environment of this process agrees with the files of its unit.
//!
//! etcd-cloudinit may write a drop-in while the service is starting. A member must not found or join a cluster
//! under the wrong name because of that.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::environment::{self, Environment};
use crate::host::Failure;

/// The directories of unit files and drop-ins, the highest priority first: systemd.unit(5).
const UNIT_PATHS: [&str; 12] = [
    "etc/systemd/system.control",
    "run/systemd/system.control",
    "run/systemd/transient",
    "run/systemd/generator.early",
    "etc/systemd/system",
    "etc/systemd/system.attached",
    "run/systemd/system",
    "run/systemd/system.attached",
    "run/systemd/generator",
    "usr/local/lib/systemd/system",
    "usr/lib/systemd/system",
    "run/systemd/generator.late",
];

/// The prefix of the variables to compare.
const PREFIX: &str = "ETCD_";

/// Check that the `ETCD_*` variables of this process are those in the files of its unit. Variables that the
/// files do not decide are not compared, and a process that systemd did not start has nothing to compare.
///
/// # Errors
///
/// [`Failure::Environment`]: a variable differs; the service manager must reload the files and restart the
/// service.
pub fn check_environment() -> Result<(), Failure> {
    let Some(unit) = own_unit() else {
        return Ok(());
    };
    let root = Path::new("/");
    let mut expected = read_unit(root, &unit);
    exclude_files(root, &mut expected);
    match find_difference(&expected, |name| std::env::var(name).ok()) {
        None => Ok(()),
        Some(name) => Err(Failure::Environment(format!(
            "{name} in the files of {unit} differs from the environment of this process (run systemctl \
             daemon-reload and restart the service)"
        ))),
    }
}

/// The first variable whose value differs from the files.
fn find_difference(expected: &Environment, own: impl Fn(&str) -> Option<String>) -> Option<&str> {
    expected
        .variables
        .iter()
        .filter(|(name, _)| name.starts_with(PREFIX) && !expected.undecided.contains(*name))
        .find(|(name, value)| own(name).as_ref() != Some(value))
        .map(|(name, _)| name.as_str())
}

/// The service of this process, if systemd started it.
fn own_unit() -> Option<String> {
    std::env::var_os("INVOCATION_ID")?;
    parse_unit(&fs::read_to_string("/proc/self/cgroup").ok()?)
}

/// The service of a control group, from the lines of `/proc/PID/cgroup`.
fn parse_unit(cgroups: &str) -> Option<String> {
    let is_systemd = |line: &&str| line.starts_with("0::") || line.contains(":name=systemd:");
    cgroups.lines().filter(is_systemd).find_map(|line| {
        let (_, path) = line.split_once(":/")?;
        let unit = path.rsplit('/').next()?;
        unit.ends_with(".service").then(|| unit.to_owned())
    })
}

/// Read the unit file and the drop-ins below `root`.
fn read_unit(root: &Path, unit: &str) -> Environment {
    let texts: Vec<String> = find_files(root, unit)
        .iter()
        .filter_map(|path| fs::read(path).ok())
        .filter_map(|bytes| String::from_utf8(bytes).ok())
        .collect();
    let line = |path: &str| {
        let text = fs::read_to_string(root.join(path)).ok()?;
        text.lines().next().map(|line| line.trim().to_owned())
    };
    environment::read(
        texts.iter().map(String::as_str),
        |specifier| match specifier {
            'm' => line("etc/machine-id"),
            'H' => line("proc/sys/kernel/hostname").or_else(|| line("etc/hostname")),
            'n' => Some(unit.to_owned()),
            'N' | 'p' => unit.strip_suffix(".service").map(str::to_owned),
            'i' | 'I' => Some(String::new()),
            _ => None,
        },
    )
}

/// The unit file and its drop-ins, in the order in which systemd reads them: drop-ins sorted by name, and of
/// files with the same name the first one.
fn find_files(root: &Path, unit: &str) -> Vec<PathBuf> {
    let folders = || UNIT_PATHS.iter().map(|path| root.join(path));
    let main = folders()
        .map(|folder| folder.join(unit))
        .find(|path| path.exists());
    let mut drop_ins = BTreeMap::new();
    for of in [unit, "service"] {
        for folder in folders() {
            let Ok(entries) = fs::read_dir(folder.join(format!("{of}.d"))) else {
                continue;
            };
            for path in entries.flatten().map(|entry| entry.path()) {
                if path
                    .extension()
                    .is_some_and(|extension| extension == "conf")
                    && let Some(name) = path.file_name()
                {
                    drop_ins.entry(name.to_owned()).or_insert(path);
                }
            }
        }
    }
    main.into_iter().chain(drop_ins.into_values()).collect()
}

/// Exclude the variables that environment files set. If one cannot be read, exclude all.
fn exclude_files(root: &Path, expected: &mut Environment) {
    for path in &expected.files {
        let path = root.join(path.trim_start_matches('/'));
        match fs::read_to_string(&path) {
            Ok(text) => {
                let names = environment::names_in_file(&text).map(str::to_owned);
                expected.undecided.extend(names);
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(_) => expected.variables.clear(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, text).expect("written");
    }

    fn stale(root: &Path, own: &[(&str, &str)]) -> Option<String> {
        let mut expected = read_unit(root, "etcd.service");
        exclude_files(root, &mut expected);
        let own = |name: &str| {
            let found = own.iter().find(|(one, _)| *one == name);
            found.map(|(_, value)| String::from(*value))
        };
        find_difference(&expected, own).map(str::to_owned)
    }

    #[test]
    fn a_drop_in_written_later_is_detected() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        put(root, "etc/machine-id", "0123\n");
        put(
            root,
            "usr/lib/systemd/system/etcd.service",
            "[Service]\nEnvironment=ETCD_NAME=%m OTHER=x\nEnvironmentFile=-/etc/default/etcd\n",
        );
        let own = [("ETCD_NAME", "0123")];
        assert_eq!(stale(root, &own), None);
        assert_eq!(stale(root, &[]), Some(String::from("ETCD_NAME")));

        let drop_in = "run/systemd/system/etcd.service.d/20-cloudinit.conf";
        put(
            root,
            drop_in,
            "[Service]\nEnvironment=\"ETCD_NAME=n1\"\nEnvironment=ETCD_ADDR=10.0.0.1:4001\n",
        );
        assert_eq!(stale(root, &own), Some(String::from("ETCD_ADDR")));
        let own = [
            ("ETCD_NAME", "n1"),
            ("ETCD_ADDR", "10.0.0.1:4001"),
            ("ETCD_PEERS", "x"),
        ];
        assert_eq!(stale(root, &own), None);

        // A file in /etc overrides it.
        put(
            root,
            "etc/systemd/system/etcd.service.d/20-cloudinit.conf",
            "[Service]\n",
        );
        assert_eq!(stale(root, &own), Some(String::from("ETCD_NAME")));
        put(root, "etc/default/etcd", "ETCD_NAME=n1\n");
        assert_eq!(stale(root, &own), None);
    }

    #[test]
    fn the_unit_is_that_of_the_control_group() {
        for (text, unit) in [
            ("0::/system.slice/etcd.service\n", Some("etcd.service")),
            (
                "12:pids:/x.service\n1:name=systemd:/system.slice/etcd.service\n",
                Some("etcd.service"),
            ),
            ("0::/user.slice/user-0.slice/session-1.scope\n", None),
            ("0::/\n", None),
            ("", None),
        ] {
            assert_eq!(parse_unit(text).as_deref(), unit, "{text}");
        }
    }
}
