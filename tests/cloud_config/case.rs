//! Recorded cases, and runs of the real program on them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use base64::Engine;
use serde::Deserialize;
use serde_json::Value;

/// The content of a file: text, or bytes in base64.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Blob {
    Text(String),
    Bytes { base64: String },
}

impl Blob {
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.clone().into_bytes(),
            Self::Bytes { base64 } => {
                let engine = base64::engine::general_purpose::STANDARD;
                engine.decode(base64).expect("base64")
            }
        }
    }
}

/// The recorded result of one version.
#[derive(Clone, Debug, Deserialize)]
pub struct Recorded {
    pub exit: i32,
    pub manifest: BTreeSet<String>,
    pub calls: Vec<Value>,
    pub files: BTreeMap<String, Blob>,
}

/// A case: the input, and the results of the older (`old`, 0.10.6) and the newer version (`new`, 1.14.0), or of
/// `both`.
#[derive(Clone, Debug, Deserialize)]
pub struct Case {
    pub name: String,
    #[serde(default)]
    pub note: String,
    pub input: Blob,
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    #[serde(default)]
    pub args: Vec<String>,
    #[serde(default)]
    pub root: BTreeMap<String, Blob>,
    #[serde(default)]
    pub http: BTreeMap<String, Blob>,
    pub intended: Option<BTreeMap<String, BTreeMap<String, String>>>,
    both: Option<Recorded>,
    old: Option<Recorded>,
    new: Option<Recorded>,
    /// The lines that the newer version reported.
    pub validate: BTreeSet<usize>,
}

impl Case {
    pub fn older(&self) -> &Recorded {
        self.old
            .as_ref()
            .or(self.both.as_ref())
            .expect("a recording")
    }

    pub fn newer(&self) -> &Recorded {
        self.new
            .as_ref()
            .or(self.both.as_ref())
            .expect("a recording")
    }

    /// All cases, by file.
    pub fn all() -> Vec<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/cloud-config");
        let mut cases = Vec::new();
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let text = fs::read_to_string(&path).expect("text");
            let read: Vec<Self> = serde_json::from_str(&text).expect("cases");
            cases.extend(read);
        }
        cases.sort_by(|one, other| one.name.cmp(&other.name));
        cases
    }
}

/// A host for one case: a directory in place of `/`.
pub struct Host {
    folder: tempfile::TempDir,
}

/// The lines of a manifest, one for each file.
pub type Manifest = BTreeSet<String>;

impl Host {
    pub fn new(case: &Case) -> Self {
        let host = Self {
            folder: tempfile::tempdir().expect("a folder"),
        };
        let env = |name: &str, default: &str| {
            let value = case.env.get(name).map_or(default, String::as_str);
            format!("{value}\n")
        };
        let mut files = BTreeMap::from([
            (
                "/etc/passwd",
                String::from("root:x:0:0:root:/root:/bin/sh\ncore:x:500:500::/home/core:/bin/sh\n"),
            ),
            (
                "/etc/group",
                String::from("root:x:0:\ncore:x:500:\nsudo:x:150:\ndocker:x:233:\n"),
            ),
            ("/etc/hostname", env("HOSTNAME", "host1")),
            (
                "/etc/machine-id",
                env("MACHINE_ID", "0123456789abcdef0123456789abcdef"),
            ),
        ]);
        if case.env.get("MACHINE_ID").is_some_and(String::is_empty) {
            files.remove("/etc/machine-id");
        }
        for (path, text) in files {
            host.write_file(path, text.as_bytes());
        }
        for folder in [
            "/run/systemd/system",
            "/etc/systemd/system",
            "/tmp",
            "/home/core",
            "/usr",
        ] {
            fs::create_dir_all(host.path(folder)).expect("a folder");
        }
        for (path, blob) in &case.root {
            host.write_file(path, &blob.bytes());
        }
        host
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path.trim_start_matches('/'))
    }

    fn write_file(&self, path: &str, content: &[u8]) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, content).expect("a file");
    }

    /// Create a symbolic link.
    pub fn link(&self, path: &str, target: &str) {
        symlink(target, self.path(path)).expect("a link");
    }

    /// Run the program on a document, with the environment of the case.
    pub fn run(&self, case: &Case, document: &[String], options: &[&str]) -> Output {
        let addresses = case
            .env
            .iter()
            .filter(|(name, _)| name.starts_with("COREOS_"));
        Command::new(env!("CARGO_BIN_EXE_etcd-cloudinit"))
            .args(document)
            .arg("--root")
            .arg(self.folder.path())
            .args(options)
            .env_clear()
            .envs(addresses)
            .output()
            .expect("the program runs")
    }

    /// The manifest of everything below the root.
    pub fn manifest(&self) -> Manifest {
        let mut found = Manifest::new();
        let mut folders = vec![self.folder.path().to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).expect("a folder") {
                let entry = entry.expect("an entry").path();
                let below = entry.strip_prefix(self.folder.path()).expect("below");
                let path = format!("/{}", below.display());
                let meta = fs::symlink_metadata(&entry).expect("it is there");
                let mode = meta.mode() & 0o7777;
                let owner = self.owner(&meta);
                if meta.is_symlink() {
                    let target = fs::read_link(&entry).expect("a link");
                    found.insert(format!("l {path} -> {}", target.display()));
                } else if meta.is_dir() {
                    found.insert(format!("d {mode:04o} {owner} {path}"));
                    folders.push(entry);
                } else {
                    let content = fs::read(&entry).expect("a file");
                    found.insert(format!("f {mode:04o} {owner} {path} {content:?}"));
                }
            }
        }
        found
    }

    /// The owner by name; the user who runs the tests counts as root.
    fn owner(&self, meta: &fs::Metadata) -> String {
        let own = fs::metadata(self.folder.path()).expect("the root");
        let name = |id: u32, own: u32| match id {
            _ if id == own => String::from("root"),
            500 => String::from("core"),
            233 => String::from("docker"),
            other => other.to_string(),
        };
        format!(
            "{}:{}",
            name(meta.uid(), own.uid()),
            name(meta.gid(), own.gid())
        )
    }

    /// Whether the tests run as root and can change owners.
    pub fn runs_as_root(&self) -> bool {
        fs::metadata(self.folder.path()).expect("the root").uid() == 0
    }
}

/// The changes, as the recorded manifests list them; contents are compared separately.
pub fn changes(before: &Manifest, after: &Manifest) -> BTreeSet<String> {
    let path = |line: &String| {
        let words: Vec<&str> = line.split(' ').collect();
        let column = if words[0] == "l" { 1 } else { 3 };
        String::from(words[column])
    };
    let short = |line: &String| match line.split_once(" [") {
        Some((short, _)) if line.starts_with('f') => String::from(short),
        Some(_) | None => line.clone(),
    };
    let mut changes: BTreeSet<String> = after.difference(before).map(short).collect();
    let there: BTreeSet<String> = after.iter().map(path).collect();
    let gone = before.iter().map(path).filter(|path| !there.contains(path));
    changes.extend(gone.map(|path| format!("- {path}")));
    changes
}
