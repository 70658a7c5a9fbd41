//! When a snapshot is due, and whether the members' stores agree.

use std::collections::VecDeque;

use tracing::error;

use super::apply::Applier;
use super::settings::Settings;
use crate::cluster::MemberId;
use crate::store::Store;
use crate::wal::SnapshotMeta;

/// How many hashes are kept to be compared, of this member and of all others.
const HASHES_MAX: usize = 32;

/// How many bytes of entries make a snapshot due however few they are: until one is taken all of them are
/// in memory, and the log on disk can't be cut.
const LOG_BYTES_MAX: u64 = 64 << 20;

/// A snapshot to be encoded and written, off the driver's thread.
pub struct SnapshotJob {
    /// What it stands for.
    pub mark: SnapshotMeta,
    /// The store as of it; a clone that shares its structure.
    pub store: Store,
}

/// A hash to be computed, off the driver's thread.
pub struct HashJob {
    /// The applied index it is of.
    pub index: u64,
    /// The store as of it; a clone that shares its structure.
    pub store: Store,
}

/// When a snapshot is due: after so many entries or [`LOG_BYTES_MAX`], and once the log since the last one
/// is as large as that one was, so that the work of taking them stays in proportion to the writes.
pub(super) struct Snapshots {
    every: Option<u64>,
    /// Where the last one was begun.
    last_index: u64,
    /// Where the last one is that is on disk.
    durable_index: u64,
    last_bytes: u64,
    log_bytes: u64,
    running: bool,
    /// A follower needs a newer one, however young the last is.
    wanted: bool,
    /// Durable, and not yet noted in the write-ahead log.
    to_note: Option<SnapshotMeta>,
}

impl Snapshots {
    /// The last snapshot is at index `last`.
    pub(super) fn new(settings: &Settings, last: u64) -> Self {
        let every = settings.snapshot_every;
        Self {
            every,
            last_index: last,
            durable_index: last,
            last_bytes: 0,
            log_bytes: 0,
            running: false,
            wanted: false,
            to_note: None,
        }
    }

    /// So many bytes of entries were applied.
    pub(super) fn count(&mut self, bytes: u64) {
        self.log_bytes += bytes;
    }

    /// A follower needs a newer one.
    pub(super) fn want(&mut self) {
        self.wanted = true;
    }

    /// The snapshot to take now, if one is due; `term` is that of the last applied entry.
    pub(super) fn due(&mut self, applier: &Applier, term: u64) -> Option<SnapshotJob> {
        let index = applier.applied();
        if !self.is_due(index) {
            return None;
        }
        self.running = true;
        self.wanted = false;
        self.last_index = index;
        self.log_bytes = 0;
        let configuration = applier.configuration().clone();
        let store = applier.with_store(Store::clone);
        Some(SnapshotJob {
            mark: SnapshotMeta {
                index,
                term,
                configuration,
            },
            store,
        })
    }

    /// Whether one is to be taken at this index. A follower that needs one cannot wait for the next write
    /// when the last one came to nothing.
    fn is_due(&self, index: u64) -> bool {
        let wanted = self.wanted && index > self.durable_index;
        !self.running && (wanted || self.is_enough(index - self.last_index))
    }

    /// Whether so many entries since the last one are enough for another.
    fn is_enough(&self, grown: u64) -> bool {
        let long = |every| grown >= every || self.log_bytes >= LOG_BYTES_MAX;
        grown > 0 && self.every.is_some_and(long) && self.log_bytes >= self.last_bytes
    }

    /// It is durable, and so long.
    pub(super) fn written(&mut self, mark: SnapshotMeta, bytes: u64) {
        self.running = false;
        self.last_bytes = bytes;
        self.durable_index = mark.index;
        self.to_note = Some(mark);
    }

    /// It came to nothing; the next is tried when it is due, or a follower needs one.
    pub(super) fn failed(&mut self) {
        self.running = false;
    }

    /// One from the leader took its place.
    pub(super) fn installed(&mut self, mark: &SnapshotMeta) {
        self.last_index = mark.index;
        self.durable_index = mark.index;
        self.log_bytes = 0;
        self.to_note = None;
    }

    /// A durable snapshot the write-ahead log should know of, unless it is just told of another.
    pub(super) fn take_note(&mut self) -> Option<SnapshotMeta> {
        self.to_note.take()
    }
}

/// The hashes of the members' stores: at the same index they must be the same.
#[derive(Default)]
pub(super) struct Hashes {
    own: VecDeque<(u64, u64)>,
    theirs: VecDeque<(MemberId, u64, u64)>,
}

impl Hashes {
    /// This member's own; true if another member's at the same index differs.
    pub(super) fn own(&mut self, index: u64, hash: u64) -> bool {
        keep(&mut self.own, (index, hash));
        let of_this = self.theirs.iter().filter(|(_, at, _)| *at == index);
        of_this
            .map(|&(member, _, other)| differs(member, index, hash, other))
            .fold(false, |a, b| a | b)
    }

    /// Another member's; true if this member's own at the same index differs.
    pub(super) fn theirs(&mut self, member: MemberId, index: u64, hash: u64) -> bool {
        keep(&mut self.theirs, (member, index, hash));
        let own = self.own.iter().find(|(at, _)| *at == index);
        own.is_some_and(|&(_, own)| differs(member, index, own, hash))
    }
}

fn keep<T>(hashes: &mut VecDeque<T>, hash: T) {
    if hashes.len() == HASHES_MAX {
        hashes.pop_front();
    }
    hashes.push_back(hash);
}

fn differs(member: MemberId, index: u64, own: u64, other: u64) -> bool {
    if own != other {
        error!(
            %member,
            index,
            "ALARM: this member's store differs from that member's at the same index ({own:016x} here, \
             {other:016x} there); one of them is damaged. Compare /hash of all members, then rebuild \
             the one that differs from the rest with an empty directory"
        );
    }
    own != other
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::ClusterId;

    #[test]
    fn due_by_number_and_by_size() {
        let member = MemberId::new(1).expect("not zero");
        let cluster = ClusterId::new(9).expect("not zero");
        let mut settings = Settings::new(cluster, member, 1);
        settings.snapshot_every = Some(100);
        let mut snapshots = Snapshots::new(&settings, 0);
        snapshots.count(LOG_BYTES_MAX - 1);
        assert!(snapshots.is_enough(100));
        assert!(!snapshots.is_enough(99));
        snapshots.count(1);
        assert!(snapshots.is_enough(1), "few entries, but large ones");
        snapshots.last_bytes = LOG_BYTES_MAX * 2;
        assert!(
            !snapshots.is_enough(100),
            "the image is larger than the log"
        );

        settings.snapshot_every = None;
        let mut never = Snapshots::new(&settings, 0);
        never.count(LOG_BYTES_MAX);
        assert!(!never.is_enough(100));
    }

    #[test]
    fn one_that_failed_is_tried_again_for_who_needs_it() {
        let member = MemberId::new(1).expect("not zero");
        let cluster = ClusterId::new(9).expect("not zero");
        let mut snapshots = Snapshots::new(&Settings::new(cluster, member, 1), 5);
        snapshots.want();
        assert!(!snapshots.is_due(5), "there is none newer");
        assert!(snapshots.is_due(6));
        // It is begun, and fails; nothing is written meanwhile.
        (snapshots.running, snapshots.wanted, snapshots.last_index) = (true, false, 6);
        snapshots.failed();
        assert!(!snapshots.is_due(6));
        snapshots.want();
        assert!(snapshots.is_due(6));
        let mark = SnapshotMeta {
            index: 6,
            ..SnapshotMeta::default()
        };
        snapshots.written(mark, 1);
        assert!(!snapshots.is_due(6));
    }

    #[test]
    fn a_difference_is_noticed_in_either_order() {
        let other = MemberId::new(2).expect("not zero");
        let mut hashes = Hashes::default();
        assert!(!hashes.own(10, 1));
        assert!(!hashes.theirs(other, 10, 1));
        assert!(hashes.theirs(other, 10, 2));
        assert!(!hashes.theirs(other, 20, 5));
        assert!(hashes.own(20, 6));
    }
}
