//! Carrying out a plan: the only place where anything is touched.

mod disk;
mod keys;
mod lock;
mod root;
mod systemd;

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use super::accounts::Accounts;
use super::check::KeyHolder;
use super::merge::Machine;
use super::plan::{Command, File, Happened, Plan, Step, Wakes, after};
use super::written::{self, Hooks};

/// Where, and how much of it is real.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// This machine.
    Machine,
    /// Files below another root; commands are printed.
    Root,
    /// Nothing is touched; files and commands are printed.
    Dry,
}

/// The machine, or what stands for it.
pub struct Host<'o> {
    root: PathBuf,
    mode: Mode,
    /// Whether a machine is there whose systemd can be asked.
    running: bool,
    out: &'o mut dyn Write,
    failed: Vec<String>,
    /// Held until all is done.
    lock: Option<std::fs::File>,
}

/// Why a plan could not be carried out.
#[derive(Debug)]
pub struct Error {
    /// What was being done.
    doing: String,
    cause: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.doing, self.cause)
    }
}

impl std::error::Error for Error {}

fn failed<E: fmt::Display>(doing: impl Into<String>) -> impl FnOnce(E) -> Error {
    let doing = doing.into();
    move |cause| Error {
        doing,
        cause: cause.to_string(),
    }
}

/// How large a file of the system may be that is read here, in bytes.
const SYSTEM_FILE_BYTES_MAX: u64 = 16 << 20;

impl<'o> Host<'o> {
    /// A host whose `/` is `root`; what is printed goes to `out`.
    pub fn new(root: &Path, dry: bool, out: &'o mut dyn Write) -> Self {
        let running = root == Path::new("/");
        let mode = match (dry, running) {
            (true, _) => Mode::Dry,
            (false, true) => Mode::Machine,
            (false, false) => Mode::Root,
        };
        Self {
            root: root.to_path_buf(),
            mode,
            running,
            out,
            failed: Vec::new(),
            lock: None,
        }
    }

    /// Wait until no other run is under way, and keep others from beginning as long as this host is there.
    /// What the machine says holds only from then on. Who touches nothing does not wait.
    ///
    /// # Errors
    ///
    /// The lock cannot be had, as for a user who may change nothing here anyway.
    pub fn alone(&mut self) -> Result<(), Error> {
        let is_machine = match self.mode {
            Mode::Dry => return Ok(()),
            Mode::Machine => true,
            Mode::Root => false,
        };
        let lock = lock::take(&self.root, is_machine);
        self.lock = Some(lock.map_err(failed("waiting for other runs to end"))?);
        Ok(())
    }

    /// What the machine says about itself.
    pub fn machine(&self) -> Machine {
        let line = |path: &str| {
            let text = self.text(path)?;
            let line = text.lines().next().unwrap_or_default().trim();
            (!line.is_empty() && line != "uninitialized").then(|| String::from(line))
        };
        let kernel = || match self.running {
            true => line("/proc/sys/kernel/hostname"),
            false => None,
        };
        Machine {
            machine_id: line("/etc/machine-id"),
            hostname: line("/etc/hostname").or_else(kernel),
            accounts: self.accounts(),
            hooks: self.hooks(),
        }
    }

    /// Its hooks, and the record of those that were written from here.
    fn hooks(&self) -> Hooks {
        let record = self.text(written::RECORD).unwrap_or_default();
        // Of a path all but the last part is followed.
        let place = root::within(&self.root, &written::path("any"));
        let files = place.and_then(|place| disk::texts_beside(&place, written::ENDING));
        Hooks {
            written: written::recorded(&record),
            // There is none, or it cannot be read: then nothing in it is taken for one of ours.
            there: files.unwrap_or_default(),
        }
    }

    fn accounts(&self) -> Accounts {
        let text = |path: &str| self.text(path).unwrap_or_default();
        Accounts::parse(
            &text("/etc/passwd"),
            &text("/etc/group"),
            &text("/etc/shadow"),
        )
    }

    /// A file of the host; none if it cannot be read.
    pub fn text(&self, path: &str) -> Option<String> {
        // It may be a link itself, as /etc/hostname often is.
        let place = root::behind(&self.root, path).ok()?;
        let text = disk::read(&place, SYSTEM_FILE_BYTES_MAX).ok()?;
        Some(String::from_utf8_lossy(&text).into_owned())
    }

    /// Do all of a plan.
    ///
    /// # Errors
    ///
    /// What could not be done. Whatever stands in the way of a file is found before anything is touched.
    pub fn apply(&mut self, plan: &Plan) -> Result<(), Error> {
        for step in &plan.steps {
            self.can(step)?;
        }
        let mut happened = Happened::default();
        for step in &plan.steps {
            self.step(step, &mut happened)?;
        }
        self.found(plan, &mut happened);
        let after = after(plan, &happened);
        let mut failed_ones = BTreeSet::new();
        for (number, command) in after.commands.iter().enumerate() {
            // One unit that is not there keeps nobody else from starting.
            if let Err(error) = self.run(command) {
                self.failed.push(error.to_string());
                failed_ones.insert(number);
            }
        }
        if self.mode == Mode::Machine {
            systemd::remember(&self.root, &after.queued_but(&failed_ones))
                .map_err(failed("remembering what was queued"))?;
        }
        match self.failed.is_empty() {
            true => Ok(()),
            false => Err(Error {
                doing: String::from("not everything was done"),
                cause: self.failed.join("; "),
            }),
        }
    }

    /// Nothing has to be possible that is done already: what is there may be read-only.
    fn can(&self, step: &Step) -> Result<(), Error> {
        let (path, is_done) = match step {
            Step::Write(file) => {
                let place = self.place(&file.path)?;
                let wanted = self.wanted(file);
                (&file.path, wanted.is_there(&place))
            }
            Step::Mask { path, .. } => (path, disk::is_mask(&self.place(path)?)),
            Step::Hostname(_)
            | Step::Run(_)
            | Step::Keys(_)
            | Step::Remove { .. }
            | Step::Unmask { .. } => return Ok(()),
        };
        match is_done {
            true => Ok(()),
            false => disk::is_free(&self.root, path).map_err(failed(path.as_str())),
        }
    }

    /// Where a path is below the root.
    fn place(&self, path: &str) -> Result<PathBuf, Error> {
        root::within(&self.root, path).map_err(failed(path))
    }

    /// A file as it shall be; of an owner whose name nobody knows, as if nobody had asked for one.
    fn wanted<'f>(&self, file: &'f File) -> disk::Wanted<'f> {
        let owner = file.owner.as_ref();
        disk::Wanted {
            content: &file.content,
            mode: file.mode,
            owner: owner.and_then(|owner| self.accounts().numbers(owner)),
        }
    }

    fn step(&mut self, step: &Step, happened: &mut Happened) -> Result<(), Error> {
        match step {
            Step::Hostname(name) => {
                let has = self
                    .text("/etc/hostname")
                    .is_some_and(|text| text.trim() == name);
                match has && self.mode == Mode::Machine {
                    true => Ok(()),
                    false => self.run(&Command::new(["hostnamectl", "set-hostname", name])),
                }
            }
            Step::Run(command) => self.run(command),
            Step::Keys(holder) => self.keys(holder),
            Step::Write(file) => self.write(file, happened),
            Step::Remove { path, wakes } => self.remove(path, wakes, happened),
            Step::Mask { path, unit } => self.mask(path, unit, happened),
            Step::Unmask { path, unit } => self.unmask(path, unit, happened),
        }
    }

    fn write(&mut self, file: &File, happened: &mut Happened) -> Result<(), Error> {
        let wanted = self.wanted(file);
        let place = self.place(&file.path)?;
        if wanted.is_there(&place) {
            return Ok(());
        }
        let length = file.content.len();
        self.say(&format!(
            "write {} ({length} bytes, {:04o})",
            file.path, file.mode
        ))?;
        if self.mode != Mode::Dry {
            let put = wanted
                .put(&place)
                .map_err(failed(format!("writing {}", file.path)))?;
            if put.in_place {
                eprintln!(
                    "etcd-cloudinit: something is mounted at {}, so it was written over rather than replaced",
                    file.path
                );
            }
            if let Some(owner) = &file.owner
                && (wanted.owner.is_none() || !put.owned)
            {
                self.not_owned(&file.path, &owner.text())?;
            }
        }
        happened.told(&file.wakes);
        Ok(())
    }

    fn remove(&mut self, path: &str, wakes: &Wakes, happened: &mut Happened) -> Result<(), Error> {
        let place = self.place(path)?;
        if !disk::exists(&place) {
            return Ok(());
        }
        self.say(&format!("remove {path}"))?;
        if self.mode != Mode::Dry {
            disk::remove(&place).map_err(failed(format!("removing {path}")))?;
        }
        happened.told(wakes);
        Ok(())
    }

    /// Add what is missing to a user's keys. A user whose home is not as it should be keeps nobody else from
    /// having theirs, nor the machine from being set up.
    fn keys(&mut self, holder: &KeyHolder) -> Result<(), Error> {
        match self.add_keys(holder) {
            Ok(true) => Ok(()),
            Ok(false) => self.not_owned(&format!("{}/.ssh", holder.home), &holder.user),
            Err(cause) => {
                let error = failed(format!("the keys of {}", holder.user))(cause);
                eprintln!("etcd-cloudinit: {error}");
                self.failed.push(error.to_string());
                Ok(())
            }
        }
    }

    /// Answers whether they could be given to the user.
    fn add_keys(&mut self, holder: &KeyHolder) -> io::Result<bool> {
        let folder = keys::Folder::open(&self.root, &holder.home)?;
        let there = match &folder {
            Some(folder) => folder.read()?,
            None => Vec::new(),
        };
        let Some((content, added)) = keys::with_missing(&there, &holder.keys) else {
            return Ok(true);
        };
        let path = format!("{}/.ssh/authorized_keys", holder.home);
        self.say(&format!("add {added} keys to {path}"))
            .map_err(io::Error::other)?;
        if self.mode == Mode::Dry {
            return Ok(true);
        }
        let accounts = self.accounts();
        let account = accounts.user(&holder.user);
        let owner = account.map(|account| (Some(account.uid), Some(account.gid)));
        let (folder, made_owned) = match folder {
            Some(folder) => (folder, true),
            None => keys::Folder::make(&self.root, &holder.home, owner)?,
        };
        let owned = folder.put(&content, owner)?;
        Ok(made_owned && owned && account.is_some())
    }

    /// Below another root its users may be strangers, and it may be someone else's: then that is said.
    /// On this machine it is an error.
    fn not_owned(&self, path: &str, owner: &str) -> Result<(), Error> {
        let cause = "there is no such user or group yet, or it is not allowed";
        let error = failed(format!("giving {path} to {owner}"))(cause);
        match self.mode {
            Mode::Machine => Err(error),
            Mode::Root | Mode::Dry => {
                eprintln!("etcd-cloudinit: {error}");
                Ok(())
            }
        }
    }

    fn mask(&mut self, path: &str, unit: &str, happened: &mut Happened) -> Result<(), Error> {
        let place = self.place(path)?;
        if disk::is_mask(&place) {
            return Ok(());
        }
        self.say(&format!("mask {unit}"))?;
        if self.mode != Mode::Dry {
            disk::mask(&place).map_err(failed(format!("masking {unit}")))?;
        }
        happened.reload = true;
        happened.changed.insert(String::from(unit));
        Ok(())
    }

    fn unmask(&mut self, path: &str, unit: &str, happened: &mut Happened) -> Result<(), Error> {
        let place = self.place(path)?;
        if !disk::is_mask(&place) && !disk::is_empty(&place) {
            return Ok(());
        }
        self.say(&format!("unmask {unit}"))?;
        if self.mode != Mode::Dry {
            std::fs::remove_file(&place).map_err(failed(format!("unmasking {unit}")))?;
        }
        happened.reload = true;
        happened.changed.insert(String::from(unit));
        Ok(())
    }

    /// How the machine is found: what runs, what is enabled, what was queued. It is asked late: a unit that
    /// started while its files were written may have read the old ones.
    fn found(&self, plan: &Plan, happened: &mut Happened) {
        if !self.running {
            return;
        }
        happened.queued = systemd::remembered(&self.root);
        for service in &plan.services {
            if systemd::runs(&service.unit) {
                happened.active.insert(service.unit.clone());
            }
        }
        for enable in &plan.enables {
            if systemd::is_enabled(&enable.unit) {
                happened.enabled.insert(enable.unit.clone());
            }
        }
    }

    fn run(&mut self, command: &Command) -> Result<(), Error> {
        let line = serde_json::Value::from(command.words.clone()).to_string();
        match self.mode {
            Mode::Machine => run(command),
            Mode::Root => writeln!(self.out, "{line}").map_err(failed("printing")),
            Mode::Dry => writeln!(self.out, "run {line}").map_err(failed("printing")),
        }
    }

    /// What is about to be done; printed where nothing else shows it.
    fn say(&mut self, what: &str) -> Result<(), Error> {
        match self.mode {
            Mode::Dry => writeln!(self.out, "{what}").map_err(failed("printing")),
            Mode::Machine => {
                eprintln!("etcd-cloudinit: {what}");
                Ok(())
            }
            Mode::Root => Ok(()),
        }
    }
}

fn run(command: &Command) -> Result<(), Error> {
    let Some((program, arguments)) = command.words.split_first() else {
        return Ok(());
    };
    let doing = without_password(&command.words).join(" ");
    eprintln!("etcd-cloudinit: run {doing}");
    let mut child = std::process::Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::inherit())
        .stderr(Stdio::inherit())
        .spawn()
        .map_err(failed(doing.as_str()))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A command that does not read all of it says so by its status.
        let _ = stdin.write_all(command.input.as_bytes());
    }
    let status: ExitStatus = child.wait().map_err(failed(doing.as_str()))?;
    match status.success() {
        true => Ok(()),
        false => Err(failed(doing)(status)),
    }
}

/// The words of a command that anybody may see.
fn without_password(words: &[String]) -> Vec<&str> {
    let before = std::iter::once("").chain(words.iter().map(String::as_str));
    let pairs = before.zip(words);
    let hidden = |(before, word)| if before == "--password" { "..." } else { word };
    pairs
        .map(|(before, word)| hidden((before, word.as_str())))
        .collect()
}
