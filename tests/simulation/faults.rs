//! What goes wrong, and how often it did.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::random::Random;
use crate::world::World;

/// One thing that goes wrong. What lasts is mended later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A member dies between two steps and starts again.
    Crash(usize),
    /// A member dies in the middle of writing: what was not synced is lost, torn or reordered.
    CrashInWrite(usize),
    /// All die at once.
    CrashAll,
    /// A member stops for a while, all its threads, and goes on where it was.
    Pause(usize),
    /// A member is cut off, both ways.
    Isolate(usize),
    /// What a member says is lost; it hears all.
    CutOneWay(usize),
    /// The members fall into two halves.
    Split,
    /// Some messages are lost.
    Loss,
    /// Some messages arrive twice, the second time late.
    Repeat,
    /// Messages are late, and overtake each other.
    Delay,
    /// A member's disk takes long to sync.
    DiskStall(usize),
    /// A member's disk fails once; the member ends itself.
    DiskError(usize),
}

/// The faults of a run.
pub struct Faults {
    left: usize,
    counts: BTreeMap<&'static str, u64>,
}

impl Faults {
    pub fn new(count: usize) -> Self {
        Self {
            left: count,
            counts: BTreeMap::new(),
        }
    }

    /// Whether all have happened.
    pub fn over(&self) -> bool {
        self.left == 0
    }

    /// How often each kind happened.
    pub fn counts(&self) -> &BTreeMap<&'static str, u64> {
        &self.counts
    }

    /// The next one, and after how long it is mended; none when all have happened.
    pub fn draw(&mut self, members: usize, random: &mut Random) -> Option<(Fault, Duration)> {
        self.left = self.left.checked_sub(1)?;
        let member = random.below(members as u64) as usize;
        let (fault, name) = match random.below(13) {
            0 => (Fault::Crash(member), "crash"),
            1 | 2 => (Fault::CrashInWrite(member), "crash while writing"),
            3 => (Fault::CrashAll, "crash of all"),
            4 => (Fault::Pause(member), "pause"),
            5 => (Fault::Isolate(member), "isolation"),
            6 => (Fault::CutOneWay(member), "cut one way"),
            7 => (Fault::Split, "split"),
            8 => (Fault::Loss, "loss"),
            9 => (Fault::Repeat, "repeat and delay"),
            10 => (Fault::Delay, "delay"),
            11 => (Fault::DiskStall(member), "disk stall"),
            _ => (Fault::DiskError(member), "disk error"),
        };
        *self.counts.entry(name).or_default() += 1;
        Some((fault, random.micros(50_000, 1_500_000)))
    }
}

impl World {
    /// Something goes wrong.
    pub fn inflict(&mut self, fault: Fault) {
        let members = self.machines.len();
        match fault {
            Fault::Crash(member) => self.crash(member, false),
            Fault::CrashInWrite(member) => self.crash(member, true),
            Fault::CrashAll => (0..members).for_each(|member| self.crash(member, true)),
            Fault::Pause(member) => self.machines[member].paused = true,
            Fault::Isolate(member) => {
                for other in (0..members).filter(|other| *other != member) {
                    self.network.cut(member, other);
                    self.network.cut(other, member);
                }
            }
            Fault::CutOneWay(member) => {
                (0..members).for_each(|other| self.network.cut(member, other));
            }
            Fault::Split => {
                let half = members / 2;
                for (one, other) in
                    (0..half).flat_map(|one| (half..members).map(move |other| (one, other)))
                {
                    self.network.cut(one, other);
                    self.network.cut(other, one);
                }
            }
            Fault::Loss => self.network.loss = 200,
            Fault::Repeat => {
                self.network.repeat = 200;
                self.network.delay_max = 20_000;
            }
            Fault::Delay => self.network.delay_max = 150_000,
            Fault::DiskStall(member) => self.machines[member].sync_max = 400_000,
            Fault::DiskError(member) => self.machines[member].fail_next_write = true,
        }
    }

    /// It is mended; everything of the network at once.
    pub fn mend(&mut self, fault: Fault) {
        match fault {
            Fault::Crash(member) | Fault::CrashInWrite(member) => self.start(member),
            Fault::CrashAll => (0..self.machines.len()).for_each(|member| self.start(member)),
            Fault::Pause(member) => self.resume(member),
            Fault::Isolate(_)
            | Fault::CutOneWay(_)
            | Fault::Split
            | Fault::Loss
            | Fault::Repeat
            | Fault::Delay => self.network.heal(),
            Fault::DiskStall(member) => self.machines[member].sync_max = crate::machine::SYNC_MAX,
            Fault::DiskError(member) => {
                self.machines[member].fail_next_write = false;
                self.start(member);
            }
        }
    }
}
