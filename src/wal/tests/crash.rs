//! After a crash at any point, everything that was acknowledged is there.

use std::time::Duration;

use super::model::{Model, any_batch};
use crate::wal::simulated::{Fault, Operation, Random, SimDisk};
use crate::wal::snapshot::remove_old_snapshots;
use crate::wal::{Batch, LogOptions, StorageError, Wal};

/// How many seeds run with the tests; each opens a log about six times.
const SEEDS: u64 = 1500;

/// What the next start may find.
struct Allowed {
    /// Acknowledged.
    model: Model,
    /// The commit index that is on disk for certain.
    commit: u64,
    /// The batch that was being written at the crash.
    in_flight: Option<Batch>,
}

impl Allowed {
    fn check(&self, found: &Model, seed: u64) {
        let entries = self
            .in_flight
            .as_ref()
            .map_or(0, |batch| batch.entries.len());
        let begun = (0..=entries).filter_map(|count| {
            let batch = self.in_flight.as_ref()?;
            Some(self.model.after(batch, count))
        });
        let mut all = std::iter::once(self.model.clone()).chain(begun);
        assert!(
            all.any(|model| found.is_like(&model, self.commit)),
            "seed {seed}: found {found:#?}, expected {:#?} and perhaps {:#?}",
            self.model,
            self.in_flight,
        );
    }
}

fn options(random: &mut Random) -> LogOptions {
    LogOptions {
        segment_bytes: 512 + 8 * (random.number() % 200),
        seed: random.number(),
    }
}

fn plan(random: &mut Random, disk: &SimDisk) {
    let after = random.number() % 80;
    match random.below(8) {
        0 => disk.plan(Operation::Sync, after / 2, Fault::Io),
        1 => disk.plan(Operation::Write, after / 2, Fault::Io),
        2 => disk.plan(Operation::Change, after, Fault::Full),
        3 => disk.plan(Operation::Sync, after, Fault::Stall(Duration::from_secs(1))),
        _ => disk.plan(Operation::Change, after, Fault::Crash),
    }
}

/// Crash or close the log.
fn end(random: &mut Random, disk: &SimDisk) -> SimDisk {
    if disk.is_down() || random.coin() {
        disk.crash()
    } else {
        disk.kill()
    }
}

fn must_be_the_disk(error: &StorageError, seed: u64) {
    let expected = matches!(error, StorageError::Io { .. });
    assert!(expected, "seed {seed}: {error}");
}

/// Write to a log until a write fails or a number of batches was written.
fn live(random: &mut Random, disk: &SimDisk, allowed: &mut Allowed, seed: u64) {
    let (mut wal, recovered) = match Wal::open(disk.clone(), options(random)) {
        Ok(opened) => opened,
        Err(error) => return must_be_the_disk(&error, seed),
    };
    let found = Model::of(recovered);
    allowed.check(&found, seed);
    allowed.commit = found.hard_state.commit;
    allowed.model = found;
    allowed.in_flight = None;
    for _ in 0..random.below(40) {
        let batch = match any_batch(random, &allowed.model, disk) {
            Ok(batch) => batch,
            Err(error) => return must_be_the_disk(&error, seed),
        };
        let sync = random.below(4) > 0;
        let written = wal.write(&batch, sync);
        if let Err(error) = written {
            must_be_the_disk(&error, seed);
            let again = wal.write(&batch, sync);
            assert!(matches!(again, Err(StorageError::Failed { .. })));
            allowed.in_flight = Some(batch);
            return;
        }
        let next = allowed.model.after(&batch, batch.entries.len());
        assert_eq!(wal.hard_state(), next.hard_state, "seed {seed}");
        if sync {
            allowed.commit = next.hard_state.commit;
        }
        allowed.model = next;
        if random.coin()
            && let Err(error) = wal.maintain()
        {
            return must_be_the_disk(&error, seed);
        }
        if let Some(meta) = &allowed.model.snapshot
            && random.below(4) == 0
            && let Err(error) = remove_old_snapshots(disk, meta)
        {
            return must_be_the_disk(&error, seed);
        }
    }
}

fn run(seed: u64) {
    let mut random = Random(seed);
    let mut disk = SimDisk::new(random.number());
    disk.plan(Operation::Change, random.number() % 30, Fault::Crash);
    let first = options(&mut random);
    while let Err(error) = Wal::create(&disk, first) {
        must_be_the_disk(&error, seed);
        disk = disk.crash();
    }
    let mut allowed = Allowed {
        model: Model::default(),
        commit: 0,
        in_flight: None,
    };
    for _ in 0..6 {
        disk = end(&mut random, &disk);
        plan(&mut random, &disk);
        live(&mut random, &disk, &mut allowed, seed);
    }
    disk = end(&mut random, &disk);
    let (_, recovered) = Wal::open(disk, options(&mut random))
        .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    allowed.check(&Model::of(recovered), seed);
}

#[test]
fn acknowledged_batches_survive_any_crash() {
    for seed in 0..SEEDS {
        run(seed);
    }
}
