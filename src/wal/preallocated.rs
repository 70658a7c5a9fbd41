//! Files for the next segments, made ahead of need.
//!
//! Overwriting bytes that are already on disk lets a sync leave the file's metadata alone, so a segment is
//! filled with zeros before its first record, or is an old one used again. Zeros are written a little at a
//! time, between records, by the thread that owns the log.

use std::io;

use super::disk::{Disk, DiskFile};
use super::segment::FOLDER;

/// How many files are kept for later; more are removed.
pub const SPARES_MAX: usize = 2;

/// The least zeros written at a time, in bytes.
const FILL_BYTES_MIN: u64 = 256 << 10;

/// The most zeros written at a time while records wait, in bytes.
const FILL_BYTES_MAX: u64 = 4 << 20;

/// One write of zeros, in bytes.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// The files kept for later.
pub(super) struct Spares<D: Disk> {
    disk: D,
    /// Of each.
    length: u64,
    ready: Vec<String>,
    filling: Option<Filling<D::File>>,
    /// Set when a file could not be filled: not tried again ahead of need.
    given_up: bool,
}

struct Filling<F> {
    file: F,
    filled: u64,
}

impl<D: Disk> Spares<D> {
    /// No files yet, each to be of `length` bytes.
    pub(super) fn new(disk: D, length: u64) -> Self {
        Self {
            disk,
            length,
            ready: Vec::new(),
            filling: None,
            given_up: false,
        }
    }

    /// Take up the spare files an earlier life left, and remove what it did not finish.
    pub(super) fn adopt(&mut self) -> io::Result<()> {
        for file in self.disk.list(FOLDER)? {
            let name = format!("{FOLDER}/{file}");
            if file.ends_with(".tmp") {
                self.disk.remove(&name)?;
            } else if file.ends_with(".spare") {
                let length = self.disk.open(&name)?.length()?;
                self.keep(name, length)?;
            }
        }
        Ok(())
    }

    /// A file of at least `length` bytes, all written before, and its name for now. The caller owns it.
    pub(super) fn take(&mut self, length: u64) -> io::Result<(D::File, String)> {
        self.given_up = false;
        if length > self.length {
            let file = self.make(&large_name())?;
            return fill(file, 0, length).map(|file| (file, large_name()));
        }
        if let Some(name) = self.ready.pop() {
            return self.disk.open(&name).map(|file| (file, name));
        }
        let Filling { file, filled } = match self.filling.take() {
            Some(filling) => filling,
            None => self.begin()?,
        };
        fill(file, filled, self.length).map(|file| (file, filling_name()))
    }

    /// Keep a segment that is no longer needed for later, or remove it. The folder is to be synced
    /// before [`Spares::take`] is called again.
    pub(super) fn recycle(&mut self, segment: &str, length: u64) -> io::Result<()> {
        let Some(stem) = segment.strip_suffix(".wal") else {
            return Ok(());
        };
        if self.ready.len() >= SPARES_MAX || length != self.length {
            return self.disk.remove(segment);
        }
        let name = format!("{stem}.spare");
        self.disk.rename(segment, &name)?;
        self.ready.push(name);
        Ok(())
    }

    /// Whether a step towards the next file is due, when `used` bytes of the current one are: the next is
    /// ready when the current one is half full.
    pub(super) fn is_due(&self, used: u64) -> bool {
        self.ready.is_empty() && !self.given_up && self.filled() < self.goal(used)
    }

    /// That step. After a failure the file is forgotten, and only tried again when it is needed.
    pub(super) fn step(&mut self, used: u64) -> io::Result<()> {
        let (filled, goal) = (self.filled(), self.goal(used));
        let enough = goal
            .clamp(filled + FILL_BYTES_MIN, filled + FILL_BYTES_MAX)
            .min(self.length);
        let result = match self.filling.take() {
            Some(filling) => Ok(filling.file),
            None => self.begin().map(|filling| filling.file),
        };
        match result.and_then(|file| fill(file, filled, enough)) {
            Ok(file) => {
                let filled = enough;
                self.filling = Some(Filling { file, filled });
                Ok(())
            }
            Err(error) => {
                self.given_up = true;
                Err(error)
            }
        }
    }

    fn filled(&self) -> u64 {
        self.filling.as_ref().map_or(0, |filling| filling.filled)
    }

    fn goal(&self, used: u64) -> u64 {
        used.saturating_mul(2).min(self.length)
    }

    fn begin(&self) -> io::Result<Filling<D::File>> {
        let file = self.make(&filling_name())?;
        Ok(Filling { file, filled: 0 })
    }

    fn make(&self, name: &str) -> io::Result<D::File> {
        match self.disk.remove(name) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        self.disk.create(name)
    }

    fn keep(&mut self, name: String, length: u64) -> io::Result<()> {
        if self.ready.len() >= SPARES_MAX || length != self.length {
            return self.disk.remove(&name);
        }
        self.ready.push(name);
        Ok(())
    }
}

fn filling_name() -> String {
    format!("{FOLDER}/next.tmp")
}

fn large_name() -> String {
    format!("{FOLDER}/large.tmp")
}

/// Write zeros from `from` to `to` and sync them.
fn fill<F: DiskFile>(mut file: F, from: u64, to: u64) -> io::Result<F> {
    let mut at = from;
    while at < to {
        let left = usize::try_from(to - at).unwrap_or(usize::MAX);
        let zeros = ZEROS.get(..left).unwrap_or(&ZEROS);
        file.write_at(at, zeros)?;
        at += zeros.len() as u64;
    }
    if from < to {
        file.sync()?;
    }
    Ok(file)
}
