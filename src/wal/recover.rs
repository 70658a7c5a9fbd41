//! Reads the log at the start: finds its segments, replays their records, and checks that everything that
//! was acknowledged is there. Nothing here changes the disk.

use std::fmt;
use std::io;

use super::batch::{Batch, Part};
use super::disk::Disk;
use super::entry::{Entry, HardState, SnapshotMeta};
use super::error::StorageError;
use super::record::{Binding, RecordLookup, find, find_later};
use super::segment::{FOLDER, Segment, segment_number};
use super::snapshot::Snapshot;
use super::state::{State, StateError};

/// The content of the log, checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Term, vote and commit index.
    pub hard_state: HardState,
    /// The snapshot the log begins with; its file is complete.
    pub snapshot: Option<SnapshotMeta>,
    /// The entries after it, without gaps.
    pub entries: Vec<Entry>,
    /// A record that a crash truncated, and that was therefore never acknowledged.
    pub dropped: Option<Dropped>,
}

/// A truncated record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// The file.
    pub path: String,
    /// The offset in the file, in bytes.
    pub offset: u64,
    /// The size of the record according to its header, in bytes.
    pub bytes: u64,
}

/// A segment that is no longer written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SealedSegment {
    pub(super) number: u64,
    /// The length of the file, in bytes.
    pub(super) length: u64,
    /// The highest index of an entry in it that may still be needed.
    pub(super) index_max: u64,
}

/// The segment to which new records are appended.
pub(super) struct LastSegment {
    pub(super) name: String,
    pub(super) binding: Binding,
    pub(super) length: u64,
    pub(super) index_max: u64,
    /// The offset of the end of its records.
    pub(super) end: usize,
    /// The offset and the bytes of its last record, or of its header; possibly never synced.
    pub(super) last_record: (usize, Vec<u8>),
}

/// The log as it was read.
pub(super) struct ReadLog {
    pub(super) recovered: Recovered,
    pub(super) state: State,
    /// The sequence of the next record.
    pub(super) sequence: u64,
    /// The other segments, oldest first.
    pub(super) sealed: Vec<SealedSegment>,
    pub(super) last: LastSegment,
}

/// Why a record with a valid checksum cannot be replayed.
enum RecordError {
    /// Its payload is not a batch.
    Malformed,
    /// The batch cannot follow the records before it.
    State(StateError),
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("malformed record"),
            Self::State(error) => error.fmt(f),
        }
    }
}

impl From<StateError> for RecordError {
    fn from(error: StateError) -> Self {
        Self::State(error)
    }
}

/// Read and check the whole log.
///
/// # Errors
///
/// - [`StorageError::Damaged`]: a record, a segment or the snapshot is damaged or missing.
/// - [`StorageError::Newer`]: a file was written by a later version.
/// - [`StorageError::Io`]: the disk failed.
pub(super) fn read<D: Disk>(disk: &D) -> Result<ReadLog, StorageError> {
    let numbers = segments(disk)?;
    let Some((&newest, _)) = numbers.split_last() else {
        let what = "it contains no log";
        return Err(StorageError::damaged(disk, FOLDER, 0, what));
    };
    let first = first_of_run(&numbers);
    let mut sealed = Vec::new();
    for number in numbers.into_iter().filter(|number| *number < first) {
        // Left by a crash while obsolete segments were being removed.
        sealed.push(SealedSegment {
            number,
            length: 0,
            index_max: 0,
        });
    }
    let segment = Segment::read(disk, first)?;
    let mut replay = Replay::new(&segment);
    let mut segment = segment;
    loop {
        let (end, last_record) = replay.segment(disk, &segment)?;
        let number = segment.header.binding.segment;
        if number == newest {
            replay.sealed.splice(0..0, sealed);
            return finish(disk, replay, segment, end, last_record);
        }
        replay.sealed.push(SealedSegment {
            number,
            length: segment.bytes.len() as u64,
            index_max: std::mem::take(&mut replay.index_max),
        });
        let next = Segment::read(disk, number + 1)?;
        replay.join(disk, &segment, end, &next)?;
        segment = next;
    }
}

/// The numbers of all segments, in ascending order.
pub(super) fn segments<D: Disk>(disk: &D) -> Result<Vec<u64>, StorageError> {
    match disk.list(FOLDER) {
        Ok(files) => {
            let mut numbers: Vec<_> = files
                .iter()
                .filter_map(|file| segment_number(file))
                .collect();
            numbers.sort_unstable();
            Ok(numbers)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(StorageError::io(disk, "read", FOLDER)(error)),
    }
}

/// The first number of the consecutive run that ends with the last number.
fn first_of_run(numbers: &[u64]) -> u64 {
    let mut first = numbers.last().copied().unwrap_or(0);
    for number in numbers.iter().rev().skip(1) {
        if number.checked_add(1) != Some(first) {
            break;
        }
        first = *number;
    }
    first
}

/// The result of the records read so far.
struct Replay {
    state: State,
    sequence: u64,
    /// The entries from index `known_first` on.
    entries: Vec<Entry>,
    known_first: u64,
    index_max: u64,
    sealed: Vec<SealedSegment>,
    dropped: Option<Dropped>,
    /// The name of the first segment that was read.
    first_segment: String,
}

impl Replay {
    fn new(first: &Segment) -> Self {
        let state = first.header.state.clone();
        Self {
            known_first: state.last_index.saturating_add(1),
            state,
            sequence: first.header.sequence,
            entries: Vec::new(),
            index_max: 0,
            sealed: Vec::new(),
            dropped: None,
            first_segment: first.name.clone(),
        }
    }

    /// Replay the records of a segment. Returns the offset of their end, and the last record.
    fn segment<D: Disk>(
        &mut self,
        disk: &D,
        segment: &Segment,
    ) -> Result<(usize, (usize, Vec<u8>)), StorageError> {
        let binding = segment.header.binding;
        let mut at = segment.start;
        let mut last = 0..at;
        loop {
            match find(&segment.bytes, at, binding, self.sequence) {
                RecordLookup::Record { payload, next } => {
                    self.record(payload).map_err(|error| {
                        StorageError::damaged(disk, &segment.name, at as u64, error.to_string())
                    })?;
                    self.sequence = self.sequence.saturating_add(1);
                    last = at..next;
                    at = next;
                }
                RecordLookup::Torn(bytes) => {
                    self.dropped = Some(Dropped {
                        path: disk.path_of(&segment.name),
                        offset: at as u64,
                        bytes: bytes.min(segment.bytes.len() - at) as u64,
                    });
                    break;
                }
                RecordLookup::Absent => break,
            }
        }
        if let Some(later) = find_later(&segment.bytes, at, binding, self.sequence) {
            let what = format!("a damaged record before a valid one at byte {later}");
            return Err(StorageError::damaged(disk, &segment.name, at as u64, what));
        }
        let bytes = segment.bytes.get(last.clone()).unwrap_or_default().to_vec();
        Ok((at, (last.start, bytes)))
    }

    fn record(&mut self, payload: &[u8]) -> Result<(), RecordError> {
        let batch = Batch::decode(payload).ok_or(RecordError::Malformed)?;
        self.state = self.state.after(&Part::of(&batch))?;
        if let Some(meta) = &batch.reset {
            self.entries.clear();
            self.known_first = meta.index.saturating_add(1);
            self.index_max = 0;
            for sealed in &mut self.sealed {
                sealed.index_max = 0;
            }
        }
        if let (Some(first), Some(last)) = (batch.entries.first(), batch.entries.last()) {
            match first.index.checked_sub(self.known_first) {
                Some(kept) => self
                    .entries
                    .truncate(usize::try_from(kept).unwrap_or(usize::MAX)),
                None => {
                    self.entries.clear();
                    self.known_first = first.index;
                }
            }
            self.index_max = self.index_max.max(last.index);
            self.entries.extend(batch.entries);
        }
        Ok(())
    }

    /// Check that `next` continues `segment`, whose records end at `end`.
    fn join<D: Disk>(
        &mut self,
        disk: &D,
        segment: &Segment,
        end: usize,
        next: &Segment,
    ) -> Result<(), StorageError> {
        let header = &next.header;
        if header.sequence != self.sequence {
            let what = format!(
                "records {} to {} are missing, the next file starts with {}",
                self.sequence,
                header.sequence.saturating_sub(1),
                header.sequence
            );
            let damaged = StorageError::damaged(disk, &segment.name, end as u64, what);
            return Err(damaged);
        }
        let (old, new) = (&self.state, &header.state);
        let same = old.last_index == new.last_index
            && old.last_term() == new.last_term()
            && old.snapshot == new.snapshot
            && old.hard_state.commit <= new.hard_state.commit;
        if !same {
            let what = "it does not continue the file before it";
            return Err(StorageError::damaged(disk, &next.name, 0, what));
        }
        // Its records were complete; bytes after the last one are leftovers.
        self.dropped = None;
        self.state.hard_state = new.hard_state;
        Ok(())
    }

    /// Drop the entries that the snapshot covers, and check that no later one is missing.
    fn trim<D: Disk>(&mut self, disk: &D) -> Result<(), StorageError> {
        let needed = self.state.base().saturating_add(1);
        let Some(surplus) = needed.checked_sub(self.known_first) else {
            let what = format!(
                "entries {needed} to {} are missing, and so are the files before this one",
                self.known_first - 1
            );
            return Err(StorageError::damaged(disk, &self.first_segment, 0, what));
        };
        let surplus = usize::try_from(surplus).unwrap_or(usize::MAX);
        self.entries.drain(..surplus.min(self.entries.len()));
        Ok(())
    }
}

fn finish<D: Disk>(
    disk: &D,
    mut replay: Replay,
    segment: Segment,
    end: usize,
    last_record: (usize, Vec<u8>),
) -> Result<ReadLog, StorageError> {
    replay.trim(disk)?;
    if let Some(meta) = &replay.state.snapshot {
        Snapshot::open(disk, meta)?;
    }
    Ok(ReadLog {
        recovered: Recovered {
            hard_state: replay.state.hard_state,
            snapshot: replay.state.snapshot.clone(),
            entries: replay.entries,
            dropped: replay.dropped,
        },
        state: replay.state,
        sequence: replay.sequence,
        sealed: replay.sealed,
        last: LastSegment {
            name: segment.name,
            binding: segment.header.binding,
            length: segment.bytes.len() as u64,
            index_max: replay.index_max,
            end,
            last_record,
        },
    })
}
