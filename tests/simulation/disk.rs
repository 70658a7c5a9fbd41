//! A disk in memory that keeps only what a real one promises, and decides the rest by a seed.
//!
//! What was written and not synced may be lost, torn or kept at a crash, each write by itself; a name that
//! was given, changed or removed may or may not last until its folder was synced. A failed sync leaves the
//! bytes readable and forgotten: no later sync writes them. Nothing else is ever changed, unless asked.
//!
//! Clones of a handle are the same running system. [`SimDisk::crash`] (power) and [`SimDisk::kill`] (the
//! process) end it: each returns a handle for the next life, and all older handles and their files only
//! answer with errors.

#![allow(
    dead_code,
    reason = "each test that brings this disk along uses its own part of it"
)]

// Named by its path, since this file is part of the library's own tests too.
#[path = "chance.rs"]
mod chance;

pub use chance::Random;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use oxetcd::wal::{Disk, DiskFile};

/// The unit a torn write is torn in, half of the time; bytes otherwise.
const SECTOR_BYTES: usize = 512;

/// How long a sync takes, in simulated time, when nothing stalls it.
const SYNC_MICROS: (u64, u64) = (50, 500);

/// A running system's handle on a simulated disk.
#[derive(Clone)]
pub struct SimDisk {
    shared: Arc<Mutex<Shared>>,
    life: u64,
}

/// An open file of it.
pub struct SimFile {
    disk: SimDisk,
    id: u64,
}

/// What can go wrong, once, at a chosen operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The operation fails with EIO. A write may be done in part; a failed sync forgets what it held.
    Io,
    /// The operation fails with ENOSPC.
    Full,
    /// The power fails in the middle of it.
    Crash,
    /// It takes so long, then succeeds.
    Stall(Duration),
}

/// Which operations count when waiting for the one that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Anything that changes the disk.
    Change,
    /// Writes to files.
    Write,
    /// Syncs of files and folders.
    Sync,
}

struct Shared {
    random: Random,
    life: u64,
    /// Set in the middle of a crash: the system is down until [`SimDisk::crash`].
    down: bool,
    files: BTreeMap<u64, Content>,
    next_file: u64,
    folders: Vec<String>,
    /// Names as the system sees them.
    names: BTreeMap<String, u64>,
    /// Names that will outlast a crash.
    durable_names: BTreeMap<String, u64>,
    pending_names: Vec<(String, NameChange)>,
    planned: Vec<(Operation, u64, Fault)>,
    /// No file may grow, and none may be made.
    full: bool,
    met: u64,
    changes: u64,
    elapsed: Duration,
    syncs: u64,
}

#[derive(Clone, Default)]
struct Content {
    /// As the system sees it.
    bytes: Vec<u8>,
    /// What will outlast a crash.
    durable: Vec<u8>,
    pending: Vec<(usize, Vec<u8>)>,
}

#[derive(Clone)]
enum NameChange {
    Give { name: String, id: u64 },
    Move { from: String, to: String, id: u64 },
    Remove { name: String },
}

impl SimDisk {
    /// An empty disk whose fate is decided by `seed`.
    pub fn new(seed: u64) -> Self {
        let shared = Shared {
            random: Random(seed),
            life: 0,
            down: false,
            files: BTreeMap::new(),
            next_file: 1,
            folders: vec![String::new()],
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            pending_names: Vec::new(),
            planned: Vec::new(),
            full: false,
            met: 0,
            changes: 0,
            elapsed: Duration::ZERO,
            syncs: 0,
        };
        Self {
            shared: Arc::new(Mutex::new(shared)),
            life: 0,
        }
    }

    /// The power fails: what was not synced is lost, torn or kept, each write by itself. Returns the disk
    /// as the next life finds it; planned faults are forgotten.
    pub fn crash(&self) -> Self {
        let mut shared = self.lock();
        shared.lose();
        shared.next_life(&self.shared)
    }

    /// The process is killed and the system lives: everything written is there, synced or not.
    pub fn kill(&self) -> Self {
        let mut shared = self.lock();
        if shared.down {
            shared.lose();
        }
        shared.next_life(&self.shared)
    }

    /// Let the `after`-th operation of that kind from now on (0 is the next) meet a fault.
    pub fn plan(&self, operation: Operation, after: u64, fault: Fault) {
        self.lock().planned.push((operation, after, fault));
    }

    /// Forget all planned faults that have not happened.
    pub fn unplan(&self) {
        self.lock().planned.clear();
    }

    /// From now on there is no room, or there is again: what would grow or be made meets ENOSPC.
    pub fn fill(&self, full: bool) {
        self.lock().full = full;
    }

    /// How many operations failed or ended in a crash, through all lives.
    pub fn met(&self) -> u64 {
        self.lock().met
    }

    /// Whether a planned crash has happened: everything fails until [`SimDisk::crash`].
    pub fn is_down(&self) -> bool {
        self.lock().down
    }

    /// The simulated time all operations took since this was last asked.
    pub fn take_elapsed(&self) -> Duration {
        std::mem::take(&mut self.lock().elapsed)
    }

    /// How many operations changed the disk, through all lives.
    pub fn changes(&self) -> u64 {
        self.lock().changes
    }

    /// How many syncs succeeded, through all lives.
    pub fn syncs(&self) -> u64 {
        self.lock().syncs
    }

    /// The names of all files, with their folders.
    pub fn names(&self) -> Vec<String> {
        self.lock().names.keys().cloned().collect()
    }

    /// A file's bytes.
    pub fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        let shared = self.lock();
        let id = shared.names.get(name)?;
        Some(shared.files.get(id)?.bytes.clone())
    }

    /// Put other bytes in a file, durably, or make it: what bad hardware or a person would do.
    pub fn replace(&self, name: &str, bytes: Vec<u8>) {
        let mut shared = self.lock();
        let id = match shared.names.get(name) {
            Some(id) => *id,
            None => shared.new_file(),
        };
        let content = Content {
            durable: bytes.clone(),
            bytes,
            pending: Vec::new(),
        };
        shared.files.insert(id, content);
        shared.names.insert(name.to_string(), id);
        shared.durable_names.insert(name.to_string(), id);
    }

    /// Take a file away, durably.
    pub fn delete(&self, name: &str) {
        let mut shared = self.lock();
        shared.names.remove(name);
        shared.durable_names.remove(name);
    }

    /// Another disk with the same content, and its own fate.
    pub fn copy(&self, seed: u64) -> Self {
        let shared = self.lock();
        let copy = Self::new(seed);
        {
            let mut other = copy.lock();
            other.files = shared.files.clone();
            other.next_file = shared.next_file;
            other.folders = shared.folders.clone();
            other.names = shared.names.clone();
            other.durable_names = shared.durable_names.clone();
            other.pending_names = shared.pending_names.clone();
        }
        copy
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The disk, if this handle's life goes on.
    fn alive(&self) -> io::Result<MutexGuard<'_, Shared>> {
        let shared = self.lock();
        if shared.down || shared.life != self.life {
            return Err(io::Error::other("the system is down"));
        }
        Ok(shared)
    }
}

impl Disk for SimDisk {
    type File = SimFile;

    fn path_of(&self, name: &str) -> String {
        format!("disk/{name}")
    }

    fn make_folder(&self, folder: &str) -> io::Result<()> {
        let mut shared = self.alive()?;
        shared.meet(Operation::Change)?;
        if !shared.folders.iter().any(|known| known == folder) {
            shared.folders.push(folder.to_string());
        }
        Ok(())
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let shared = self.alive()?;
        if !shared.folders.iter().any(|known| known == folder) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inside = shared.names.keys().filter(|name| folder_of(name) == folder);
        Ok(inside
            .map(|name| name.rsplit('/').next().unwrap_or(name).to_string())
            .collect())
    }

    fn create(&self, name: &str) -> io::Result<SimFile> {
        let mut shared = self.alive()?;
        if shared.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        shared.meet(Operation::Change)?;
        let full = shared.full;
        shared.find_room(full)?;
        let id = shared.new_file();
        shared.names.insert(name.to_string(), id);
        let change = NameChange::Give {
            name: name.to_string(),
            id,
        };
        shared.pending_names.push((folder_of(name), change));
        let disk = self.clone();
        Ok(SimFile { disk, id })
    }

    fn open(&self, name: &str) -> io::Result<SimFile> {
        let shared = self.alive()?;
        let id = *shared.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        let disk = self.clone();
        Ok(SimFile { disk, id })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut shared = self.alive()?;
        let id = *shared.names.get(from).ok_or(io::ErrorKind::NotFound)?;
        let change = NameChange::Move {
            from: from.to_string(),
            to: to.to_string(),
            id,
        };
        // Noted before the fault, so that a crash in the middle may find it done.
        shared.pending_names.push((folder_of(from), change.clone()));
        if let Err(error) = shared.meet(Operation::Change) {
            shared.take_back_name();
            return Err(error);
        }
        change.apply(&mut shared.names);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut shared = self.alive()?;
        if !shared.names.contains_key(name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let change = NameChange::Remove {
            name: name.to_string(),
        };
        shared.pending_names.push((folder_of(name), change.clone()));
        if let Err(error) = shared.meet(Operation::Change) {
            shared.take_back_name();
            return Err(error);
        }
        change.apply(&mut shared.names);
        Ok(())
    }

    fn sync_folder(&self, folder: &str) -> io::Result<()> {
        let mut shared = self.alive()?;
        shared.meet(Operation::Sync)?;
        let pending = std::mem::take(&mut shared.pending_names);
        for (place, change) in pending {
            if place == folder {
                change.apply(&mut shared.durable_names);
            } else {
                shared.pending_names.push((place, change));
            }
        }
        shared.spend_sync();
        Ok(())
    }
}

impl DiskFile for SimFile {
    fn length(&self) -> io::Result<u64> {
        let shared = self.disk.alive()?;
        Ok(shared.content(self.id)?.bytes.len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let shared = self.disk.alive()?;
        let bytes = &shared.content(self.id)?.bytes;
        let start = usize::try_from(offset)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        let there = &bytes[start..];
        let count = there.len().min(buffer.len());
        buffer[..count].copy_from_slice(&there[..count]);
        Ok(count)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut shared = self.disk.alive()?;
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        let grows = shared.content(self.id)?.bytes.len() < offset + bytes.len();
        let grows_too_much = grows && shared.full;
        let fault = shared
            .meet(Operation::Write)
            .and_then(|()| shared.find_room(grows_too_much));
        let mut reached = bytes.len();
        if fault.is_err() {
            // Any part of a failed write may have been done; a crash decides for itself.
            let whole = shared.down;
            reached = if whole {
                reached
            } else {
                shared.random.below(reached + 1)
            };
        }
        let Some(content) = shared.files.get_mut(&self.id) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        put(&mut content.bytes, offset, &bytes[..reached]);
        content.pending.push((offset, bytes[..reached].to_vec()));
        fault
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut shared = self.disk.alive()?;
        shared.content(self.id)?;
        let fault = shared.meet(Operation::Sync);
        let shared = &mut *shared;
        let Some(content) = shared.files.get_mut(&self.id) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        match fault {
            Ok(()) => {
                for (offset, bytes) in content.pending.drain(..) {
                    put(&mut content.durable, offset, &bytes);
                }
                shared.spend_sync();
                Ok(())
            }
            Err(error) if shared.down => Err(error),
            Err(error) => {
                // Some reached the disk; all are taken for clean from now on.
                content.survive(&mut shared.random);
                Err(error)
            }
        }
    }
}

impl Shared {
    fn content(&self, id: u64) -> io::Result<&Content> {
        self.files
            .get(&id)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn new_file(&mut self) -> u64 {
        let id = self.next_file;
        self.next_file += 1;
        self.files.insert(id, Content::default());
        id
    }

    /// Count an operation, and let it meet what is planned for it.
    fn meet(&mut self, operation: Operation) -> io::Result<()> {
        self.changes += 1;
        let mut met = None;
        self.planned.retain_mut(|(kind, after, fault)| {
            if *kind != Operation::Change && *kind != operation {
                return true;
            }
            if *after > 0 {
                *after -= 1;
                return true;
            }
            met = Some(*fault);
            false
        });
        self.met += u64::from(met.is_some_and(|fault| !matches!(fault, Fault::Stall(_))));
        match met {
            None => Ok(()),
            Some(Fault::Stall(time)) => {
                self.elapsed += time;
                Ok(())
            }
            Some(Fault::Io) => Err(io::Error::from_raw_os_error(5)),
            Some(Fault::Full) => Err(io::Error::from_raw_os_error(28)),
            Some(Fault::Crash) => {
                self.down = true;
                Err(io::Error::other("the power failed"))
            }
        }
    }

    fn find_room(&mut self, lacks: bool) -> io::Result<()> {
        self.met += u64::from(lacks);
        if lacks {
            return Err(io::Error::from_raw_os_error(28));
        }
        Ok(())
    }

    /// A name change that failed; one that met a crash stays pending, so that either may be found.
    fn take_back_name(&mut self) {
        if !self.down {
            self.pending_names.pop();
        }
    }

    fn spend_sync(&mut self) {
        let (least, most) = SYNC_MICROS;
        let micros = least + self.random.number() % (most - least);
        self.elapsed += Duration::from_micros(micros);
        self.syncs += 1;
    }

    /// Forget what the power takes with it.
    fn lose(&mut self) {
        let pending = std::mem::take(&mut self.pending_names);
        for (_, change) in pending {
            if self.random.coin() {
                change.apply(&mut self.durable_names);
            }
        }
        self.names = self.durable_names.clone();
        let ids: Vec<u64> = self.names.values().copied().collect();
        self.files.retain(|id, _| ids.contains(id));
        for content in self.files.values_mut() {
            content.survive(&mut self.random);
            content.bytes = content.durable.clone();
        }
    }

    fn next_life(&mut self, shared: &Arc<Mutex<Shared>>) -> SimDisk {
        self.life += 1;
        self.down = false;
        self.planned.clear();
        SimDisk {
            shared: Arc::clone(shared),
            life: self.life,
        }
    }
}

impl Content {
    /// Let each pending write reach the disk, or not, or in part.
    fn survive(&mut self, random: &mut Random) {
        for (offset, bytes) in std::mem::take(&mut self.pending) {
            match random.below(4) {
                0 => {}
                1 => put(&mut self.durable, offset, &bytes),
                2 => self.survive_in_sectors(random, offset, &bytes),
                _ => {
                    let start = random.below(bytes.len() + 1);
                    let end = start + random.below(bytes.len() - start + 1);
                    put(&mut self.durable, offset + start, &bytes[start..end]);
                }
            }
        }
    }

    fn survive_in_sectors(&mut self, random: &mut Random, offset: usize, bytes: &[u8]) {
        let mut at = 0;
        while at < bytes.len() {
            let sector_end = (offset + at + 1).next_multiple_of(SECTOR_BYTES) - offset;
            let end = sector_end.min(bytes.len());
            if random.coin() {
                put(&mut self.durable, offset + at, &bytes[at..end]);
            }
            at = end;
        }
    }
}

impl NameChange {
    fn apply(self, names: &mut BTreeMap<String, u64>) {
        match self {
            Self::Give { name, id } => {
                names.insert(name, id);
            }
            Self::Move { from, to, id } => {
                if names.get(&from) == Some(&id) {
                    names.remove(&from);
                }
                names.insert(to, id);
            }
            Self::Remove { name } => {
                names.remove(&name);
            }
        }
    }
}

fn folder_of(name: &str) -> String {
    name.rsplit_once('/')
        .map_or(String::new(), |(folder, _)| folder.to_string())
}

/// Write into `file`, with zeros where nothing was written before.
fn put(file: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if file.len() < end {
        file.resize(end, 0);
    }
    file[offset..end].copy_from_slice(bytes);
}
