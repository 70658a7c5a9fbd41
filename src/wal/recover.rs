//! Reading the log again: which segments count, what their records add up to, and whether that is
//! everything that was ever acknowledged. Nothing here changes the disk.

use std::io;

use super::batch::{Batch, Part};
use super::disk::Disk;
use super::entry::{Entry, HardState, SnapshotMeta};
use super::error::StorageError;
use super::record::{Binding, Found, find, find_later};
use super::segment::{FOLDER, Segment, segment_number};
use super::snapshot::Snapshot;
use super::state::State;

/// What a member knew when it stopped, checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Term, vote and commit mark.
    pub hard_state: HardState,
    /// The snapshot the log begins with; its file is there and whole.
    pub snapshot: Option<SnapshotMeta>,
    /// The entries after it, without gaps.
    pub entries: Vec<Entry>,
    /// What was cut short by a crash, and so was never acknowledged.
    pub dropped: Option<Dropped>,
}

/// A record that was not written whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// The file.
    pub path: String,
    /// Where in it, in bytes.
    pub offset: u64,
    /// How many bytes it was meant to have; an estimate, since it is damaged.
    pub bytes: u64,
}

/// A segment that is no longer written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sealed {
    pub(super) number: u64,
    /// Of the file, in bytes.
    pub(super) length: u64,
    /// The highest index of an entry in it, as long as any of them may be needed.
    pub(super) index_max: u64,
}

/// The segment to go on in.
pub(super) struct Last {
    pub(super) name: String,
    pub(super) binding: Binding,
    pub(super) length: u64,
    pub(super) index_max: u64,
    /// Where its records end.
    pub(super) end: usize,
    /// Its last record with where that begins, or its header. Perhaps it was never synced.
    pub(super) unsure: (usize, Vec<u8>),
}

/// All that was read.
pub(super) struct Read {
    pub(super) recovered: Recovered,
    pub(super) state: State,
    /// The sequence of the next record.
    pub(super) sequence: u64,
    /// The other segments, oldest first.
    pub(super) sealed: Vec<Sealed>,
    pub(super) last: Last,
}

/// Read and check everything.
pub(super) fn read<D: Disk>(disk: &D) -> Result<Read, StorageError> {
    let numbers = segments(disk)?;
    let Some((&newest, _)) = numbers.split_last() else {
        let what = "there is no log in it";
        return Err(StorageError::damaged(disk, FOLDER, 0, what));
    };
    let first = first_of_run(&numbers);
    let mut sealed = Vec::new();
    for number in numbers.into_iter().filter(|number| *number < first) {
        // What a crash left of segments that were already given up.
        sealed.push(Sealed {
            number,
            length: 0,
            index_max: 0,
        });
    }
    let segment = Segment::read(disk, first)?;
    let mut replay = Replay::new(&segment);
    let mut segment = segment;
    loop {
        let (end, unsure) = replay.segment(disk, &segment)?;
        let number = segment.header.binding.segment;
        if number == newest {
            replay.sealed.splice(0..0, sealed);
            return finish(disk, replay, segment, end, unsure);
        }
        replay.sealed.push(Sealed {
            number,
            length: segment.bytes.len() as u64,
            index_max: std::mem::take(&mut replay.index_max),
        });
        let next = Segment::read(disk, number + 1)?;
        replay.join(disk, &segment, end, &next)?;
        segment = next;
    }
}

/// The numbers of all segments, in order.
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

/// The first of the unbroken numbers up to the last.
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

/// What the records read so far add up to.
struct Replay {
    state: State,
    sequence: u64,
    /// All that is known of the log: everything from `known_first` on.
    entries: Vec<Entry>,
    known_first: u64,
    index_max: u64,
    sealed: Vec<Sealed>,
    dropped: Option<Dropped>,
    /// The name of the first segment read.
    begins_in: String,
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
            begins_in: first.name.clone(),
        }
    }

    /// Take in the records of a segment. Returns where they end, and the last one of them.
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
                Found::Record { payload, next } => {
                    self.record(payload).map_err(|what| {
                        StorageError::damaged(disk, &segment.name, at as u64, what)
                    })?;
                    self.sequence = self.sequence.saturating_add(1);
                    last = at..next;
                    at = next;
                }
                Found::Torn(bytes) => {
                    self.dropped = Some(Dropped {
                        path: disk.path_of(&segment.name),
                        offset: at as u64,
                        bytes: bytes.min(segment.bytes.len() - at) as u64,
                    });
                    break;
                }
                Found::Nothing => break,
            }
        }
        if let Some(later) = find_later(&segment.bytes, at, binding, self.sequence) {
            let what = format!("a bad record stands before a later one at byte {later}");
            return Err(StorageError::damaged(disk, &segment.name, at as u64, what));
        }
        let bytes = segment.bytes.get(last.clone()).unwrap_or_default().to_vec();
        Ok((at, (last.start, bytes)))
    }

    fn record(&mut self, payload: &[u8]) -> Result<(), String> {
        let batch = Batch::decode(payload).ok_or("a record makes no sense")?;
        self.state = self.state.after(&Part::of(&batch))?;
        if let Some(mark) = &batch.reset {
            self.entries.clear();
            self.known_first = mark.index.saturating_add(1);
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

    /// Check that `next` goes on where `segment`, whose records end at `end`, stopped.
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
                "records {} to {} are missing, the next file begins with {}",
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
            let what = "it does not go on where the file before it ends";
            return Err(StorageError::damaged(disk, &next.name, 0, what));
        }
        // It was complete, whatever stood behind its last record.
        self.dropped = None;
        self.state.hard_state = new.hard_state;
        Ok(())
    }

    /// Drop what the snapshot stands for, and check that the rest is all there.
    fn trim<D: Disk>(&mut self, disk: &D) -> Result<(), StorageError> {
        let needed = self.state.base().saturating_add(1);
        let Some(surplus) = needed.checked_sub(self.known_first) else {
            let what = format!(
                "entries {needed} to {} are missing, the files before it are gone",
                self.known_first - 1
            );
            return Err(StorageError::damaged(disk, &self.begins_in, 0, what));
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
    unsure: (usize, Vec<u8>),
) -> Result<Read, StorageError> {
    replay.trim(disk)?;
    if let Some(mark) = &replay.state.snapshot {
        Snapshot::open(disk, mark)?;
    }
    Ok(Read {
        recovered: Recovered {
            hard_state: replay.state.hard_state,
            snapshot: replay.state.snapshot.clone(),
            entries: replay.entries,
            dropped: replay.dropped,
        },
        state: replay.state,
        sequence: replay.sequence,
        sealed: replay.sealed,
        last: Last {
            name: segment.name,
            binding: segment.header.binding,
            length: segment.bytes.len() as u64,
            index_max: replay.index_max,
            end,
            unsure,
        },
    })
}
