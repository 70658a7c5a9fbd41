//! Whether this process was started with what the files of its unit say now.
//!
//! A machine that is set up while it boots writes the drop-in of a service that may be starting at that
//! moment. A member must not found a cluster, or ask for a place, under the wrong name because of that.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::environment::{self, Environment};
use crate::host::Failure;

/// Where unit files and drop-ins are, what wins first: systemd.unit(5).
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

/// What our variables begin with.
const PREFIX: &str = "ETCD_";

/// Whether the `ETCD_*` variables of this process are those that the files of its unit say now. Always so
/// if it is no service of systemd's, and for whatever the files leave open.
///
/// # Errors
///
/// [`Failure::Environment`]: the service manager has to read its files again and start it again.
pub fn environment_is_current() -> Result<(), Failure> {
    let Some(unit) = own_unit() else {
        return Ok(());
    };
    let root = Path::new("/");
    let mut said = read(root, &unit);
    leave_out_files(root, &mut said);
    match difference(&said, |name| std::env::var(name).ok()) {
        None => Ok(()),
        Some(name) => Err(Failure::Environment(format!(
            "{name} in the files of {unit} is not what this process was started with: the service \
             manager has to read them (systemctl daemon-reload) and start it again"
        ))),
    }
}

/// The first variable of ours whose value is another than the files say.
fn difference(said: &Environment, own: impl Fn(&str) -> Option<String>) -> Option<&str> {
    said.variables
        .iter()
        .filter(|(name, _)| name.starts_with(PREFIX) && !said.undecided.contains(*name))
        .find(|(name, value)| own(name).as_ref() != Some(value))
        .map(|(name, _)| name.as_str())
}

/// The service this process is the main one of, if systemd started it.
fn own_unit() -> Option<String> {
    std::env::var_os("INVOCATION_ID")?;
    unit_of(&fs::read_to_string("/proc/self/cgroup").ok()?)
}

/// The service whose control group this is: lines of `/proc/PID/cgroup`.
fn unit_of(cgroups: &str) -> Option<String> {
    let ours = |line: &&str| line.starts_with("0::") || line.contains(":name=systemd:");
    cgroups.lines().filter(ours).find_map(|line| {
        let (_, path) = line.split_once(":/")?;
        let unit = path.rsplit('/').next()?;
        unit.ends_with(".service").then(|| unit.to_owned())
    })
}

/// What the unit's file and drop-ins below `root` say.
fn read(root: &Path, unit: &str) -> Environment {
    let texts: Vec<String> = files(root, unit)
        .iter()
        .filter_map(|path| fs::read(path).ok())
        .filter_map(|bytes| String::from_utf8(bytes).ok())
        .collect();
    let line = |path: &str| {
        let text = fs::read_to_string(root.join(path)).ok()?;
        text.lines().next().map(|line| line.trim().to_owned())
    };
    environment::read(texts.iter().map(String::as_str), |letter| match letter {
        'm' => line("etc/machine-id"),
        'H' => line("proc/sys/kernel/hostname").or_else(|| line("etc/hostname")),
        'n' => Some(unit.to_owned()),
        'N' | 'p' => unit.strip_suffix(".service").map(str::to_owned),
        'i' | 'I' => Some(String::new()),
        _ => None,
    })
}

/// The unit's file and its drop-ins, in the order in which systemd reads them: of files with one name the
/// first found, drop-ins by their names.
fn files(root: &Path, unit: &str) -> Vec<PathBuf> {
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

/// What an environment file sets is not for the unit's files to say. Without the right to read one,
/// nothing is known.
fn leave_out_files(root: &Path, said: &mut Environment) {
    for path in &said.files {
        let path = root.join(path.trim_start_matches('/'));
        match fs::read_to_string(&path) {
            Ok(text) => {
                let names = environment::names_in_file(&text).map(str::to_owned);
                said.undecided.extend(names);
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(_) => said.variables.clear(),
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
        let mut said = read(root, "etcd.service");
        leave_out_files(root, &mut said);
        let own = |name: &str| {
            let found = own.iter().find(|(one, _)| *one == name);
            found.map(|(_, value)| String::from(*value))
        };
        difference(&said, own).map(str::to_owned)
    }

    #[test]
    fn a_drop_in_that_came_later_is_noticed() {
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

        // A file of the administrator's wins over it.
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
            assert_eq!(unit_of(text).as_deref(), unit, "{text}");
        }
    }
}
