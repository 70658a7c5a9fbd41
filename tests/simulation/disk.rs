//! A disk in memory with only the guarantees of a real one; a seed decides the rest.
//!
//! At a crash, each unsynced write is lost, torn or kept independently of the others. A created, renamed or removed
//! name is durable only after its folder was synced. After a failed sync the bytes are still readable, but no later
//! sync writes them. Nothing else is changed without a request.
//!
//! Clones of a handle belong to the same running system. [`SimDisk::crash`] (power failure) and [`SimDisk::kill`]
//! (of the process) end it: each returns a handle for the next incarnation, and all older handles and their files
//! return errors.

#![allow(
    dead_code,
    reason = "each test that includes this file uses another part of it"
)]

// With its path, since the unit tests of the library include this file too.
#[path = "disk_random.rs"]
mod disk_random;

pub use disk_random::Random;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use oxetcd::wal::{Disk, DiskFile};

/// The unit of half of the torn writes; the others are torn at any byte.
const SECTOR_BYTES: usize = 512;

/// Minimum and maximum duration of a sync that does not stall, in simulated time.
const SYNC_MICROS: (u64, u64) = (50, 500);

/// A handle of a running system on a simulated disk.
#[derive(Clone)]
pub struct SimDisk {
    shared: Arc<Mutex<Shared>>,
    incarnation: u64,
}

/// An open file of a simulated disk.
pub struct SimFile {
    disk: SimDisk,
    id: u64,
}

/// A fault of one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The operation fails with EIO. A failed write may be partial; a failed sync drops its data.
    Io,
    /// The operation fails with ENOSPC.
    Full,
    /// The power fails in the middle of the operation.
    Crash,
    /// The operation takes this long, then succeeds.
    Stall(Duration),
}

/// The operations that are counted until a planned fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// All operations that change the disk.
    Change,
    /// Writes to files.
    Write,
    /// Syncs of files and folders.
    Sync,
}

struct Shared {
    random: Random,
    incarnation: u64,
    /// Set by a planned crash: the system is down until [`SimDisk::crash`].
    down: bool,
    files: BTreeMap<u64, Content>,
    next_file: u64,
    folders: Vec<String>,
    /// Names as the running system sees them.
    names: BTreeMap<String, u64>,
    /// Names that persist over a crash.
    durable_names: BTreeMap<String, u64>,
    pending_names: Vec<(String, NameChange)>,
    planned: Vec<(Operation, u64, Fault)>,
    /// No space left: files cannot grow or be created.
    full: bool,
    met: u64,
    changes: u64,
    elapsed: Duration,
    syncs: u64,
}

#[derive(Clone, Default)]
struct Content {
    /// As the running system sees it.
    bytes: Vec<u8>,
    /// As it persists over a crash.
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
    /// An empty disk; `seed` decides what a crash keeps.
    pub fn new(seed: u64) -> Self {
        let shared = Shared {
            random: Random(seed),
            incarnation: 0,
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
            incarnation: 0,
        }
    }

    /// Fail the power: each unsynced write is lost, torn or kept. Returns the disk for the next incarnation,
    /// without planned faults.
    pub fn crash(&self) -> Self {
        let mut shared = self.lock();
        shared.lose();
        shared.next_incarnation(&self.shared)
    }

    /// Kill the process: all writes are kept, synced or not.
    pub fn kill(&self) -> Self {
        let mut shared = self.lock();
        if shared.down {
            shared.lose();
        }
        shared.next_incarnation(&self.shared)
    }

    /// Plan a fault for the `after`-th operation of a kind from now on (0 is the next one).
    pub fn plan(&self, operation: Operation, after: u64, fault: Fault) {
        self.lock().planned.push((operation, after, fault));
    }

    /// Remove all planned faults.
    pub fn unplan(&self) {
        self.lock().planned.clear();
    }

    /// Set whether the disk is full: files that would grow or be created fail with ENOSPC.
    pub fn fill(&self, full: bool) {
        self.lock().full = full;
    }

    /// Number of operations that failed or crashed, over all incarnations.
    pub fn met(&self) -> u64 {
        self.lock().met
    }

    /// Whether a planned crash happened: all operations fail until [`SimDisk::crash`].
    pub fn is_down(&self) -> bool {
        self.lock().down
    }

    /// The simulated duration of all operations since the last call.
    pub fn take_elapsed(&self) -> Duration {
        std::mem::take(&mut self.lock().elapsed)
    }

    /// Number of operations that changed the disk, over all incarnations.
    pub fn changes(&self) -> u64 {
        self.lock().changes
    }

    /// Number of successful syncs, over all incarnations.
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

    /// Replace or create a file durably, as damaged hardware or an operator would.
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

    /// Remove a file durably.
    pub fn delete(&self, name: &str) {
        let mut shared = self.lock();
        shared.names.remove(name);
        shared.durable_names.remove(name);
    }

    /// Another disk with the same content and its own seed.
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

    /// The disk, if the incarnation of this handle still runs.
    fn alive(&self) -> io::Result<MutexGuard<'_, Shared>> {
        let shared = self.lock();
        if shared.down || shared.incarnation != self.incarnation {
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
        // Added before the fault, so that a crash in the middle may keep it.
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
        for (parent, change) in pending {
            if parent == folder {
                change.apply(&mut shared.durable_names);
            } else {
                shared.pending_names.push((parent, change));
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
            // A failed write may be partial; a crash decides later.
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
                // Some pages reached the disk; all count as clean from now on.
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

    /// Count an operation and apply the fault that is planned for it.
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

    /// Undo a failed name change. After a crash it stays pending, so that both results are possible.
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

    /// Drop what a power failure loses.
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

    fn next_incarnation(&mut self, shared: &Arc<Mutex<Shared>>) -> SimDisk {
        self.incarnation += 1;
        self.down = false;
        self.planned.clear();
        SimDisk {
            shared: Arc::clone(shared),
            incarnation: self.incarnation,
        }
    }
}

impl Content {
    /// Make each pending write durable, wholly, partly or not at all.
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

/// Write into `file`, filling gaps with zeros.
fn put(file: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if file.len() < end {
        file.resize(end, 0);
    }
    file[offset..end].copy_from_slice(bytes);
}
