//! The write-ahead log: hard state, entries and snapshot marks, durable in order, one record and one sync
//! per batch. Synchronous, and owned by one thread.

use std::collections::VecDeque;
use std::io;

use super::batch::{Batch, Part};
use super::disk::{Disk, DiskFile};
use super::entry::HardState;
use super::error::StorageError;
use super::preallocated::Spares;
use super::record::{self, Binding, Found, HEADER_BYTES, find};
use super::recover::{self, Last, Recovered, Sealed};
use super::segment::{FOLDER, Segment, SegmentHeader, length_for, segment_name};
use super::snapshot;
use super::state::State;

/// The usual length of a segment, in bytes. A record that does not fit gets a longer one of its own.
pub const SEGMENT_BYTES: u64 = 16 << 20;

/// How the log is written.
#[derive(Clone, Copy, Debug)]
pub struct LogOptions {
    /// The length of a segment, in bytes; at most 128 MiB, since longer ones are refused when read.
    pub segment_bytes: u64,
    /// A random number, another one each time a log is opened.
    pub seed: u64,
}

impl LogOptions {
    /// Segments of [`SEGMENT_BYTES`].
    pub fn new(seed: u64) -> Self {
        Self {
            segment_bytes: SEGMENT_BYTES,
            seed,
        }
    }
}

/// The log. After any failed write or sync it refuses everything: what lasts is no longer known, and the
/// process is to end.
pub struct Wal<D: Disk> {
    disk: D,
    options: LogOptions,
    state: State,
    /// Whether the commit mark in `state` is newer than the one on disk.
    is_commit_ahead: bool,
    /// The sequence of the next record.
    sequence: u64,
    sealed: VecDeque<Sealed>,
    active: Active<D::File>,
    spares: Spares<D>,
    failed: Option<String>,
    buffer: Vec<u8>,
}

struct Active<F> {
    file: F,
    binding: Binding,
    length: u64,
    /// Where the next record goes.
    offset: u64,
    index_max: u64,
}

impl<D: Disk> Wal<D> {
    /// Make an empty log, once in a directory's life, before the member is given its name. One that is
    /// there already and was never written to is left as it is.
    ///
    /// # Errors
    ///
    /// The disk's, or that there is a log with something in it.
    pub fn create(disk: &D, options: LogOptions) -> Result<(), StorageError> {
        let make = |folder| {
            let error = StorageError::io(disk, "make", folder);
            disk.make_folder(folder).map_err(error)
        };
        make(FOLDER)?;
        make(snapshot::FOLDER)?;
        match recover::segments(disk)?.as_slice() {
            [] => {
                let mut spares = Spares::new(disk.clone(), options.segment_bytes);
                begin_segment(disk, &mut spares, 1, 1, &State::default(), options, 0)?;
                Ok(())
            }
            [1] if is_untouched(&Segment::read(disk, 1)?) => Ok(()),
            [..] => {
                let what = "there is a log in it, and no member file that says whose it is";
                Err(StorageError::damaged(disk, FOLDER, 0, what))
            }
        }
    }

    /// Read the log, check it, and go on where it ends. Until everything is checked nothing is changed.
    ///
    /// # Errors
    ///
    /// What is damaged, or the disk's.
    pub fn open(disk: D, options: LogOptions) -> Result<(Self, Recovered), StorageError> {
        let read = recover::read(&disk)?;
        if let Some(dropped) = &read.recovered.dropped {
            tracing::warn!(
                "dropped a record that was cut short and never acknowledged: {}, {} bytes at byte {}",
                dropped.path,
                dropped.bytes,
                dropped.offset
            );
        }
        let active = reopen(&disk, read.last)?;
        snapshot::remove_unnamed(&disk, read.recovered.snapshot.as_ref())?;
        let mut spares = Spares::new(disk.clone(), options.segment_bytes);
        spares
            .adopt()
            .map_err(StorageError::io(&disk, "tidy", FOLDER))?;
        let wal = Self {
            disk,
            options,
            state: read.state,
            is_commit_ahead: false,
            sequence: read.sequence,
            sealed: read.sealed.into(),
            active,
            spares,
            failed: None,
            buffer: Vec::new(),
        };
        Ok((wal, read.recovered))
    }

    /// Make a batch durable. It is one step: after a crash all of it is there, or none. (Of one larger
    /// than half a segment the first entries may be there, with the hard state and the reset; entries
    /// that were never acknowledged may always be there or not.)
    ///
    /// With `sync` false, a batch that only moves the commit mark is remembered, and written with the
    /// next one; all others are written and synced at once.
    ///
    /// # Errors
    ///
    /// The disk's, or that the batch would break the log, or that an earlier one failed.
    pub fn write(&mut self, batch: &Batch, sync: bool) -> Result<(), StorageError> {
        self.check()?;
        let result = self.write_parts(batch, sync);
        self.remember(result)
    }

    /// Do a little of what makes later writes quick: prepare the next segment, put away one that is no
    /// longer needed. To be called after each write, when its outcome was passed on; returns whether
    /// there is more to do. What is not done here is done when it is needed.
    ///
    /// # Errors
    ///
    /// The disk's. A full disk is no error here, as long as the current segment lasts.
    pub fn maintain(&mut self) -> Result<bool, StorageError> {
        self.check()?;
        if self.is_oldest_done() {
            let result = self.recycle(1);
            self.remember(result)?;
        } else if self.spares.is_due(self.active.offset)
            && let Err(error) = self.spares.step(self.active.offset)
        {
            let folder = self.disk.path_of(FOLDER);
            tracing::warn!("could not prepare the next file of the log in {folder}: {error}");
        }
        Ok(self.is_oldest_done() || self.spares.is_due(self.active.offset))
    }

    /// The disk it is on.
    pub fn disk(&self) -> &D {
        &self.disk
    }

    /// The hard state as of the last write.
    pub fn hard_state(&self) -> HardState {
        self.state.hard_state
    }

    fn check(&self) -> Result<(), StorageError> {
        match &self.failed {
            Some(what) => Err(StorageError::Failed { what: what.clone() }),
            None => Ok(()),
        }
    }

    fn remember<T>(&mut self, result: Result<T, StorageError>) -> Result<T, StorageError> {
        if let Err(error) = &result {
            self.failed = Some(error.to_string());
        }
        result
    }

    fn write_parts(&mut self, batch: &Batch, sync: bool) -> Result<(), StorageError> {
        let bytes = usize::try_from(self.options.segment_bytes / 2).unwrap_or(usize::MAX);
        for part in batch.parts(bytes, self.state.hard_state, self.state.last_index) {
            let next = self
                .state
                .after(&part)
                .map_err(|what| StorageError::Impossible { what })?;
            if self.must_write(&part, sync) {
                self.append(&part)?;
                self.is_commit_ahead = false;
                self.note(&part);
            } else {
                self.is_commit_ahead |= next != self.state;
            }
            self.state = next;
        }
        Ok(())
    }

    fn must_write(&self, part: &Part<'_>, sync: bool) -> bool {
        let (old, new) = (self.state.hard_state, part.hard_state);
        let moves_commit = new.commit != old.commit || self.is_commit_ahead;
        !part.entries.is_empty()
            || part.reset.is_some()
            || part.compact.is_some()
            || (new.term, new.vote) != (old.term, old.vote)
            || (sync && moves_commit)
    }

    /// Remember which entries are where.
    fn note(&mut self, part: &Part<'_>) {
        if part.reset.is_some() {
            self.active.index_max = 0;
            for sealed in &mut self.sealed {
                sealed.index_max = 0;
            }
        }
        if let Some(last) = part.entries.last() {
            self.active.index_max = self.active.index_max.max(last.index);
        }
    }

    fn append(&mut self, part: &Part<'_>) -> Result<(), StorageError> {
        record::begin(&mut self.buffer);
        let too_large = || StorageError::Impossible {
            what: "an entry is larger than any record".into(),
        };
        part.encode(&mut self.buffer).ok_or_else(too_large)?;
        let payload = self.buffer.len() - HEADER_BYTES;
        if self.active.offset + record::size(payload) as u64 > self.active.length {
            self.roll_over(payload)?;
        }
        let active = &mut self.active;
        record::finish(&mut self.buffer, active.binding, self.sequence).ok_or_else(too_large)?;
        let write = active.file.write_at(active.offset, &self.buffer);
        write
            .and_then(|()| active.file.sync())
            .map_err(StorageError::io(
                &self.disk,
                "write",
                &segment_name(active.binding.segment),
            ))?;
        active.offset += self.buffer.len() as u64;
        self.sequence += 1;
        // One huge record is no reason to hold on to its memory.
        self.buffer
            .shrink_to(usize::try_from(self.options.segment_bytes).unwrap_or(usize::MAX));
        Ok(())
    }

    /// Go on in the next segment, with room for a payload.
    fn roll_over(&mut self, payload: usize) -> Result<(), StorageError> {
        self.recycle(usize::MAX)?;
        let number = self.active.binding.segment + 1;
        let (disk, spares) = (&self.disk, &mut self.spares);
        let (sequence, state) = (self.sequence, &self.state);
        let next = begin_segment(disk, spares, number, sequence, state, self.options, payload)?;
        let full = std::mem::replace(&mut self.active, next);
        self.sealed.push_back(Sealed {
            number: full.binding.segment,
            length: full.length,
            index_max: full.index_max,
        });
        Ok(())
    }

    /// Whether the oldest segment holds no entry that is still needed.
    fn is_oldest_done(&self) -> bool {
        let base = self.state.base();
        self.sealed
            .front()
            .is_some_and(|sealed| sealed.index_max <= base)
    }

    /// Put away up to `count` segments that are no longer needed.
    fn recycle(&mut self, count: usize) -> Result<(), StorageError> {
        let mut done = 0;
        while done < count && self.is_oldest_done() {
            let Some(sealed) = self.sealed.pop_front() else {
                break;
            };
            let name = segment_name(sealed.number);
            self.spares
                .recycle(&name, sealed.length)
                .map_err(StorageError::io(&self.disk, "put away", &name))?;
            done += 1;
        }
        if done > 0 {
            // Before a spare is written to, it must no longer have a segment's name.
            self.disk
                .sync_folder(FOLDER)
                .map_err(StorageError::io(&self.disk, "sync", FOLDER))?;
        }
        Ok(())
    }
}

/// Make segment `number`, with room for a payload.
fn begin_segment<D: Disk>(
    disk: &D,
    spares: &mut Spares<D>,
    number: u64,
    sequence: u64,
    state: &State,
    options: LogOptions,
    payload: usize,
) -> Result<Active<D::File>, StorageError> {
    let header = SegmentHeader {
        binding: Binding {
            segment: number,
            secret: scramble(options.seed ^ scramble(number)),
        },
        sequence,
        state: state.clone(),
    };
    let bytes = header.encode();
    let length = length_for(bytes.len(), payload).max(options.segment_bytes);
    let name = segment_name(number);
    let mut make = || -> io::Result<D::File> {
        let (mut file, temporary) = spares.take(length)?;
        file.write_at(0, &bytes)?;
        file.sync()?;
        disk.rename(&temporary, &name)?;
        disk.sync_folder(FOLDER)?;
        Ok(file)
    };
    let file = make().map_err(StorageError::io(disk, "make", &name))?;
    Ok(Active {
        file,
        binding: header.binding,
        length,
        offset: bytes.len() as u64,
        index_max: 0,
    })
}

/// Open the last segment for writing, and make sure that what was read from it lasts.
///
/// Its last record may never have been synced, and if a sync failed, the system may hold bytes that it
/// will never write by itself. So they are written again, unchanged, and then synced.
fn reopen<D: Disk>(disk: &D, last: Last) -> Result<Active<D::File>, StorageError> {
    let (start, bytes) = &last.unsure;
    let reopen = || -> io::Result<D::File> {
        let mut file = disk.open(&last.name)?;
        file.write_at(*start as u64, bytes)?;
        file.sync()?;
        disk.sync_folder(FOLDER)?;
        Ok(file)
    };
    let file = reopen().map_err(StorageError::io(disk, "write", &last.name))?;
    Ok(Active {
        file,
        binding: last.binding,
        length: last.length,
        offset: last.end as u64,
        index_max: last.index_max,
    })
}

fn is_untouched(segment: &Segment) -> bool {
    let binding = segment.header.binding;
    let first = find(&segment.bytes, segment.start, binding, 1);
    first == Found::Nothing
        && record::find_later(&segment.bytes, segment.start, binding, 0).is_none()
}

/// Spread a number over all 64 bits, so that close ones lead far apart (the finish of splitmix64).
fn scramble(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
