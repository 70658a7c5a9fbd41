//! When this member takes a snapshot.

use super::apply::Applier;
use super::settings::Settings;
use crate::store::Store;
use crate::wal::SnapshotMeta;

/// How many bytes of entries make a snapshot due, however few the entries are: until it is taken all of
/// them are in memory, and the write-ahead log cannot be shortened.
const LOG_BYTES_MAX: u64 = 64 << 20;

/// A snapshot to encode and write outside the driver's thread.
pub struct SnapshotJob {
    /// Its index, term and configuration.
    pub meta: SnapshotMeta,
    /// The store as of that index; a clone that shares its structure.
    pub store: Store,
}

/// When a snapshot is due: after a number of entries or [`LOG_BYTES_MAX`], and once the entries since the
/// last one take as many bytes as that one, so that the cost of snapshots stays in proportion to the writes.
pub(super) struct SnapshotSchedule {
    every: Option<u64>,
    /// The index of the last snapshot that was started.
    last_index: u64,
    /// The index of the last snapshot that is on disk.
    durable_index: u64,
    last_bytes: u64,
    log_bytes: u64,
    running: bool,
    /// A follower needs a newer one, however recent the last is.
    wanted: bool,
    /// Durable, and not yet noted in the write-ahead log.
    to_note: Option<SnapshotMeta>,
}

impl SnapshotSchedule {
    /// The schedule of a member whose last snapshot is at index `last`.
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

    /// Count the bytes of applied entries.
    pub(super) fn add_applied(&mut self, bytes: u64) {
        self.log_bytes += bytes;
    }

    /// Note that a follower needs a newer snapshot.
    pub(super) fn request(&mut self) {
        self.wanted = true;
    }

    /// The snapshot to take now, if one is due; `term` is that of the last applied entry.
    pub(super) fn take_due(&mut self, applier: &Applier, term: u64) -> Option<SnapshotJob> {
        let index = applier.applied_index();
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
            meta: SnapshotMeta {
                index,
                term,
                configuration,
            },
            store,
        })
    }

    /// Whether a snapshot is due at this index. If the last one failed, a follower that needs it does not
    /// have to wait for the next write.
    fn is_due(&self, index: u64) -> bool {
        let wanted = self.wanted && index > self.durable_index;
        !self.running && (wanted || self.is_enough(index - self.last_index))
    }

    /// Whether this number of entries since the last snapshot is enough for another.
    fn is_enough(&self, entries: u64) -> bool {
        let is_long = |every| entries >= every || self.log_bytes >= LOG_BYTES_MAX;
        entries > 0 && self.every.is_some_and(is_long) && self.log_bytes >= self.last_bytes
    }

    /// The snapshot is durable and has this size in bytes.
    pub(super) fn record_written(&mut self, meta: SnapshotMeta, bytes: u64) {
        self.running = false;
        self.last_bytes = bytes;
        self.durable_index = meta.index;
        self.to_note = Some(meta);
    }

    /// The snapshot failed; another is taken when one is due, or a follower needs one.
    pub(super) fn record_failed(&mut self) {
        self.running = false;
    }

    /// A snapshot from the leader replaced the store.
    pub(super) fn record_installed(&mut self, meta: &SnapshotMeta) {
        self.last_index = meta.index;
        self.durable_index = meta.index;
        self.log_bytes = 0;
        self.to_note = None;
    }

    /// A durable snapshot that the write-ahead log does not begin with yet.
    pub(super) fn take_note(&mut self) -> Option<SnapshotMeta> {
        self.to_note.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::ClusterId;
    use crate::cluster::MemberId;

    #[test]
    fn due_by_number_and_by_size() {
        let member = MemberId::new(1).expect("not zero");
        let cluster = ClusterId::new(9).expect("not zero");
        let mut settings = Settings::new(cluster, member, 1);
        settings.snapshot_every = Some(100);
        let mut snapshots = SnapshotSchedule::new(&settings, 0);
        snapshots.add_applied(LOG_BYTES_MAX - 1);
        assert!(snapshots.is_enough(100));
        assert!(!snapshots.is_enough(99));
        snapshots.add_applied(1);
        assert!(snapshots.is_enough(1), "few entries, but large ones");
        snapshots.last_bytes = LOG_BYTES_MAX * 2;
        assert!(
            !snapshots.is_enough(100),
            "the image is larger than the log"
        );

        settings.snapshot_every = None;
        let mut never = SnapshotSchedule::new(&settings, 0);
        never.add_applied(LOG_BYTES_MAX);
        assert!(!never.is_enough(100));
    }

    #[test]
    fn a_failed_snapshot_is_retried_for_a_follower_that_needs_it() {
        let member = MemberId::new(1).expect("not zero");
        let cluster = ClusterId::new(9).expect("not zero");
        let mut snapshots = SnapshotSchedule::new(&Settings::new(cluster, member, 1), 5);
        snapshots.request();
        assert!(!snapshots.is_due(5), "there is none newer");
        assert!(snapshots.is_due(6));
        // It is started, and fails; nothing is written meanwhile.
        (snapshots.running, snapshots.wanted, snapshots.last_index) = (true, false, 6);
        snapshots.record_failed();
        assert!(!snapshots.is_due(6));
        snapshots.request();
        assert!(snapshots.is_due(6));
        let meta = SnapshotMeta {
            index: 6,
            ..SnapshotMeta::default()
        };
        snapshots.record_written(meta, 1);
        assert!(!snapshots.is_due(6));
    }
}
