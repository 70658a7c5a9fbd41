//! The write-ahead log: hard state, entries and snapshot metadata, durable in order, with one record and one
//! sync per batch. Synchronous, and owned by one thread.

use std::collections::VecDeque;
use std::io;

use super::batch::{Batch, Part};
use super::disk::{Disk, DiskFile};
use super::entry::HardState;
use super::error::StorageError;
use super::preallocated::Preallocated;
use super::record::{self, Binding, HEADER_BYTES, RecordLookup, find};
use super::recover::{self, LastSegment, Recovered, SealedSegment};
use super::segment::{FOLDER, Segment, SegmentHeader, length_for, segment_name};
use super::snapshot;
use super::state::State;

/// The default length of a segment, in bytes. A record that does not fit gets a longer segment.
pub const SEGMENT_BYTES: u64 = 16 << 20;

/// The options of the log.
#[derive(Clone, Copy, Debug)]
pub struct LogOptions {
    /// The length of a segment, in bytes; at most 128 MiB, since longer ones are refused when read.
    pub segment_bytes: u64,
    /// A random number, a new one each time the log is opened.
    pub seed: u64,
}

impl LogOptions {
    /// Options with segments of [`SEGMENT_BYTES`].
    pub fn new(seed: u64) -> Self {
        Self {
            segment_bytes: SEGMENT_BYTES,
            seed,
        }
    }
}

/// The log. After a failed write or sync it refuses further writes: what is durable is no longer known, and
/// the process must end.
pub struct Wal<D: Disk> {
    disk: D,
    options: LogOptions,
    state: State,
    /// Whether the commit index in `state` is newer than the one on disk.
    is_commit_ahead: bool,
    /// The sequence of the next record.
    sequence: u64,
    sealed: VecDeque<SealedSegment>,
    active: Active<D::File>,
    preallocated: Preallocated<D>,
    /// The error of the write or sync that failed.
    failed: Option<String>,
    buffer: Vec<u8>,
}

struct Active<F> {
    file: F,
    binding: Binding,
    length: u64,
    /// The offset of the next record.
    offset: u64,
    index_max: u64,
}

impl<D: Disk> Wal<D> {
    /// Create an empty log, before the directory gets its member file. An existing log that was never written
    /// to is kept.
    ///
    /// # Errors
    ///
    /// - [`StorageError::Damaged`]: there is a log with records, which belongs to an unknown member.
    /// - [`StorageError::Io`]: the disk failed.
    pub fn create(disk: &D, options: LogOptions) -> Result<(), StorageError> {
        let create = |folder| {
            let error = StorageError::io(disk, "create", folder);
            disk.make_folder(folder).map_err(error)
        };
        create(FOLDER)?;
        create(snapshot::FOLDER)?;
        match recover::segments(disk)?.as_slice() {
            [] => {
                let mut preallocated = Preallocated::new(disk.clone(), options.segment_bytes);
                create_segment(disk, &mut preallocated, 1, 1, &State::default(), options, 0)?;
                Ok(())
            }
            [1] if is_untouched(&Segment::read(disk, 1)?) => Ok(()),
            [..] => {
                let what = "it contains a log, and the member file is missing";
                Err(StorageError::damaged(disk, FOLDER, 0, what))
            }
        }
    }

    /// Read and check the log, and open it for writing at its end. Nothing is changed before everything is
    /// checked.
    ///
    /// # Errors
    ///
    /// - [`StorageError::Damaged`]: a record, a segment or the snapshot is damaged or missing.
    /// - [`StorageError::Newer`]: a file was written by a later version.
    /// - [`StorageError::Io`]: the disk failed.
    pub fn open(disk: D, options: LogOptions) -> Result<(Self, Recovered), StorageError> {
        let read = recover::read(&disk)?;
        if let Some(dropped) = &read.recovered.dropped {
            tracing::warn!(
                path = %dropped.path,
                offset = dropped.offset,
                bytes = dropped.bytes,
                "truncated record dropped, it was never acknowledged"
            );
        }
        let active = reopen(&disk, read.last)?;
        snapshot::remove_unnamed(&disk, read.recovered.snapshot.as_ref())?;
        let mut preallocated = Preallocated::new(disk.clone(), options.segment_bytes);
        preallocated
            .adopt()
            .map_err(StorageError::io(&disk, "clean up", FOLDER))?;
        let wal = Self {
            disk,
            options,
            state: read.state,
            is_commit_ahead: false,
            sequence: read.sequence,
            sealed: read.sealed.into(),
            active,
            preallocated,
            failed: None,
            buffer: Vec::new(),
        };
        Ok((wal, read.recovered))
    }

    /// Write a batch durably and atomically: after a crash all of it is there, or none. (Of a batch larger than
    /// half a segment, only the first entries may be there, with the hard state and the reset; an entry that
    /// was not acknowledged may or may not be there in any case.)
    ///
    /// With `sync` false, a batch that only advances the commit index is kept in memory and written with the
    /// next one; all others are written and synced at once.
    ///
    /// # Errors
    ///
    /// - [`StorageError::Io`]: the disk failed.
    /// - [`StorageError::Impossible`]: the batch cannot follow the state of the log, or an entry is too large.
    /// - [`StorageError::Failed`]: an earlier write or sync failed.
    pub fn write(&mut self, batch: &Batch, sync: bool) -> Result<(), StorageError> {
        self.check()?;
        let result = self.write_parts(batch, sync);
        self.remember(result)
    }

    /// Do one step of the maintenance that keeps later writes fast: preallocate the next segment, or recycle
    /// one that is no longer needed. Call it after a write is acknowledged; returns whether there is more to
    /// do. Steps that are not done here are done when a write needs them.
    ///
    /// # Errors
    ///
    /// - [`StorageError::Io`]: the disk failed. A failed preallocation is only logged, since the current
    ///   segment can still be written.
    /// - [`StorageError::Failed`]: an earlier write or sync failed.
    pub fn maintain(&mut self) -> Result<bool, StorageError> {
        self.check()?;
        if self.is_oldest_done() {
            let result = self.recycle(1);
            self.remember(result)?;
        } else if self.preallocated.is_due(self.active.offset)
            && let Err(error) = self.preallocated.step(self.active.offset)
        {
            let folder = self.disk.path_of(FOLDER);
            tracing::warn!(%folder, %error, "next segment not preallocated");
        }
        Ok(self.is_oldest_done() || self.preallocated.is_due(self.active.offset))
    }

    /// The disk of the log.
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
                .map_err(|error| StorageError::Impossible {
                    what: error.to_string(),
                })?;
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

    /// Note the highest index in the active segment.
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
        record::start(&mut self.buffer);
        let too_large = || StorageError::Impossible {
            what: "an entry is larger than the largest record".into(),
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
        // Release the memory of a large record.
        self.buffer
            .shrink_to(usize::try_from(self.options.segment_bytes).unwrap_or(usize::MAX));
        Ok(())
    }

    /// Start the next segment, with room for a payload.
    fn roll_over(&mut self, payload: usize) -> Result<(), StorageError> {
        self.recycle(usize::MAX)?;
        let number = self.active.binding.segment + 1;
        let (disk, preallocated) = (&self.disk, &mut self.preallocated);
        let (sequence, state) = (self.sequence, &self.state);
        let next = create_segment(
            disk,
            preallocated,
            number,
            sequence,
            state,
            self.options,
            payload,
        )?;
        let full = std::mem::replace(&mut self.active, next);
        self.sealed.push_back(SealedSegment {
            number: full.binding.segment,
            length: full.length,
            index_max: full.index_max,
        });
        Ok(())
    }

    /// Whether the oldest segment contains no entry that is still needed.
    fn is_oldest_done(&self) -> bool {
        let base = self.state.base();
        self.sealed
            .front()
            .is_some_and(|sealed| sealed.index_max <= base)
    }

    /// Recycle up to `count` segments that are no longer needed.
    fn recycle(&mut self, count: usize) -> Result<(), StorageError> {
        let mut done = 0;
        while done < count && self.is_oldest_done() {
            let Some(sealed) = self.sealed.pop_front() else {
                break;
            };
            let name = segment_name(sealed.number);
            self.preallocated
                .recycle(&name, sealed.length)
                .map_err(StorageError::io(&self.disk, "recycle", &name))?;
            done += 1;
        }
        if done > 0 {
            // A recycled file must not have a segment's name any more when it is written to.
            self.disk
                .sync_folder(FOLDER)
                .map_err(StorageError::io(&self.disk, "sync", FOLDER))?;
        }
        Ok(())
    }
}

/// Create segment `number`, with room for a payload.
fn create_segment<D: Disk>(
    disk: &D,
    preallocated: &mut Preallocated<D>,
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
    let mut create = || -> io::Result<D::File> {
        let (mut file, temporary) = preallocated.take(length)?;
        file.write_at(0, &bytes)?;
        file.sync()?;
        disk.rename(&temporary, &name)?;
        disk.sync_folder(FOLDER)?;
        Ok(file)
    };
    let file = create().map_err(StorageError::io(disk, "create", &name))?;
    Ok(Active {
        file,
        binding: header.binding,
        length,
        offset: bytes.len() as u64,
        index_max: 0,
    })
}

/// Open the last segment for writing, and make its content durable.
///
/// Its last record may never have been synced, and after a failed sync the page cache may contain bytes that
/// the system considers written. So the record is written again, unchanged, and then synced.
fn reopen<D: Disk>(disk: &D, last: LastSegment) -> Result<Active<D::File>, StorageError> {
    let (start, bytes) = &last.last_record;
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
    first == RecordLookup::Absent
        && record::find_later(&segment.bytes, segment.start, binding, 0).is_none()
}

/// Spread a number over all 64 bits, so that close numbers give distant results (the finalizer of splitmix64).
fn scramble(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
