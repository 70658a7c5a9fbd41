//! Preallocated files for the next segments.
//!
//! If a write only overwrites bytes that are already on disk, its sync does not have to write the file's
//! metadata. So a segment is filled with zeros before its first record, or is a recycled one. The thread that
//! owns the log writes the zeros in small steps between records.

use std::io;

use super::disk::{Disk, DiskFile};
use super::segment::FOLDER;

/// How many files are kept; further ones are removed.
pub const PREALLOCATED_MAX: usize = 2;

/// The fewest zeros written in one step, in bytes.
const FILL_BYTES_MIN: u64 = 256 << 10;

/// The most zeros written in one step, in bytes: a record may be waiting.
const FILL_BYTES_MAX: u64 = 4 << 20;

/// The zeros of one write.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// The preallocated files.
pub(super) struct Preallocated<D: Disk> {
    disk: D,
    /// The length of each file, in bytes.
    length: u64,
    ready: Vec<String>,
    filling: Option<Filling<D::File>>,
    /// Set after a file could not be filled: it is not tried again before a file is needed.
    given_up: bool,
}

struct Filling<F> {
    file: F,
    filled: u64,
}

impl<D: Disk> Preallocated<D> {
    /// No files yet; each will have `length` bytes.
    pub(super) fn new(disk: D, length: u64) -> Self {
        Self {
            disk,
            length,
            ready: Vec::new(),
            filling: None,
            given_up: false,
        }
    }

    /// Adopt the spare files that are on the disk, and remove incomplete ones.
    ///
    /// # Errors
    ///
    /// Those of the disk.
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

    /// Take a file of at least `length` bytes, filled with bytes that are on disk. Returns it with its
    /// temporary name; the caller renames it.
    ///
    /// # Errors
    ///
    /// Those of the disk.
    pub(super) fn take(&mut self, length: u64) -> io::Result<(D::File, String)> {
        self.given_up = false;
        if length > self.length {
            let file = self.create(&large_name())?;
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

    /// Keep a segment that is no longer needed, or remove it. The folder must be synced before
    /// [`Preallocated::take`] is called again.
    ///
    /// # Errors
    ///
    /// Those of the disk.
    pub(super) fn recycle(&mut self, segment: &str, length: u64) -> io::Result<()> {
        let Some(stem) = segment.strip_suffix(".wal") else {
            return Ok(());
        };
        if self.ready.len() >= PREALLOCATED_MAX || length != self.length {
            return self.disk.remove(segment);
        }
        let name = format!("{stem}.spare");
        self.disk.rename(segment, &name)?;
        self.ready.push(name);
        Ok(())
    }

    /// Whether a step towards the next file is due when `used` bytes of the current segment are used. The
    /// next file is ready when the current segment is half full.
    pub(super) fn is_due(&self, used: u64) -> bool {
        self.ready.is_empty() && !self.given_up && self.filled() < self.goal(used)
    }

    /// Do that step. After a failure it is not tried again before a file is needed.
    ///
    /// # Errors
    ///
    /// Those of the disk.
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
        let file = self.create(&filling_name())?;
        Ok(Filling { file, filled: 0 })
    }

    fn create(&self, name: &str) -> io::Result<D::File> {
        match self.disk.remove(name) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        self.disk.create(name)
    }

    fn keep(&mut self, name: String, length: u64) -> io::Result<()> {
        if self.ready.len() >= PREALLOCATED_MAX || length != self.length {
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

/// Write zeros from offset `from` to offset `to`, and sync them.
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
