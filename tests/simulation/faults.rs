//! What goes wrong.

use std::time::Duration;

use crate::disk::{self, Operation};
use crate::machine::{Machine, SYNC_MAX, Trap};
use crate::random::Random;
use crate::world::{Happening, World};

/// One thing that goes wrong. What lasts is mended later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A member dies between two steps; its machine lives on.
    Kill(usize),
    /// The power of a member fails, perhaps in the middle of writing: what was not synced is lost, torn
    /// or reordered.
    Crash(usize),
    /// The power fails at any operation of its disk to come, while it starts or saves a snapshot too.
    CrashAtDisk(usize),
    /// It fails when the member receives its next snapshot, at this point.
    CrashAtSnapshot(usize, Trap),
    /// All die at once.
    CrashAll,
    /// All but one die at once.
    CrashMost(usize),
    /// A member is told to stop: it hands over leadership and ends.
    Stop(usize),
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
    /// A member's disk fails once, at some operation.
    DiskError(usize),
    /// A member's disk has no room.
    DiskFull(usize),
}

impl Fault {
    /// Some fault, of one of these members.
    pub fn draw(members: &[usize], random: &mut Random) -> Self {
        let member = *random.pick(members);
        match random.below(24) {
            0 => Self::Kill(member),
            1 | 2 => Self::Crash(member),
            3 | 4 => Self::CrashAtDisk(member),
            5 | 6 => {
                let points = [
                    Trap::Receiving,
                    Trap::Received,
                    Trap::Resetting,
                    Trap::Reset,
                ];
                Self::CrashAtSnapshot(member, *random.pick(&points))
            }
            7 => Self::CrashAll,
            8 => Self::CrashMost(member),
            9 => Self::Stop(member),
            10..13 => Self::Pause(member),
            13 | 14 => Self::Isolate(member),
            15 => Self::CutOneWay(member),
            16 => Self::Split,
            17 => Self::Loss,
            18 => Self::Repeat,
            19 => Self::Delay,
            20 => Self::DiskStall(member),
            21 | 22 => Self::DiskError(member),
            _ => Self::DiskFull(member),
        }
    }

    /// Its kind, for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kill(_) => "kill",
            Self::Crash(_) => "crash",
            Self::CrashAtDisk(_) => "crash at a disk operation",
            Self::CrashAtSnapshot(_, Trap::Receiving) => "crash receiving a snapshot",
            Self::CrashAtSnapshot(_, Trap::Received) => "crash with a snapshot received",
            Self::CrashAtSnapshot(_, Trap::Resetting) => "crash installing a snapshot",
            Self::CrashAtSnapshot(_, Trap::Reset) => "crash with a snapshot installed",
            Self::CrashAll => "crash of all",
            Self::CrashMost(_) => "crash of all but one",
            Self::Stop(_) => "stop",
            Self::Pause(_) => "pause",
            Self::Isolate(_) => "isolation",
            Self::CutOneWay(_) => "cut one way",
            Self::Split => "split",
            Self::Loss => "loss",
            Self::Repeat => "repeat",
            Self::Delay => "delay",
            Self::DiskStall(_) => "disk stall",
            Self::DiskError(_) => "disk error",
            Self::DiskFull(_) => "disk full",
        }
    }

    /// How long it lasts: mostly less than a second; now and then so long that whoever waits is refused.
    pub fn duration(self, random: &mut Random) -> Duration {
        let stops_all = matches!(self, Self::CrashAll | Self::CrashMost(_) | Self::Split);
        if stops_all && random.permille(50) {
            return random.micros(5_000_000, 6_000_000);
        }
        random.micros(20_000, 500_000)
    }

    /// The links it cuts.
    fn links(self, members: usize) -> Vec<(usize, usize)> {
        let others = |member: usize| (0..members).filter(move |other| *other != member);
        match self {
            Self::Isolate(member) => others(member)
                .flat_map(|other| [(member, other), (other, member)])
                .collect(),
            Self::CutOneWay(member) => others(member).map(|other| (member, other)).collect(),
            Self::Split => {
                let half = members / 2;
                let pairs =
                    (0..half).flat_map(|one| (half..members).map(move |other| (one, other)));
                pairs
                    .flat_map(|(one, other)| [(one, other), (other, one)])
                    .collect()
            }
            Self::Kill(_)
            | Self::Crash(_)
            | Self::CrashAtDisk(_)
            | Self::CrashAtSnapshot(..)
            | Self::CrashAll
            | Self::CrashMost(_)
            | Self::Stop(_)
            | Self::Pause(_)
            | Self::Loss
            | Self::Repeat
            | Self::Delay
            | Self::DiskStall(_)
            | Self::DiskError(_)
            | Self::DiskFull(_) => Vec::new(),
        }
    }
}

impl World {
    /// Something goes wrong.
    pub fn inflict(&mut self, fault: Fault) {
        self.count(fault.name());
        let members = self.machines.len();
        for (from, to) in fault.links(members) {
            self.network.cut(from, to);
        }
        match fault {
            Fault::Kill(member) => self.die(member, false, false),
            Fault::Crash(member) => {
                let writing = self.random.permille(700);
                self.die(member, true, writing);
            }
            Fault::CrashAtDisk(member) => {
                let after = self.random.below(25);
                self.machines[member]
                    .disk
                    .plan(Operation::Change, after, disk::Fault::Crash);
            }
            Fault::CrashAtSnapshot(member, point) => self.machines[member].trap = Some(point),
            Fault::CrashAll => (0..members).for_each(|member| self.die(member, true, true)),
            Fault::CrashMost(spared) => {
                (0..members)
                    .filter(|member| *member != spared)
                    .for_each(|member| self.die(member, true, true));
            }
            Fault::Stop(member) => {
                self.machines[member].tell(oxetcd::consensus::Input::TransferLeadership);
                let life = self.machines[member].life;
                let after = self.random.micros(100, 20_000);
                self.at(after, Happening::Stop { member, life });
                self.wake(member);
            }
            Fault::Pause(member) => {
                self.machines[member].paused = self.machines[member].running.is_some()
            }
            Fault::Isolate(_) | Fault::CutOneWay(_) | Fault::Split => {}
            Fault::Loss => self.network.loss += 150,
            Fault::Repeat => self.network.repeat += 150,
            Fault::Delay => self.network.delay_more += 40_000,
            Fault::DiskStall(member) => self.machines[member].sync_max = 250_000,
            Fault::DiskError(member) => {
                let kind =
                    *self
                        .random
                        .pick(&[Operation::Change, Operation::Write, Operation::Sync]);
                let after = self.random.below(12);
                self.machines[member]
                    .disk
                    .plan(kind, after, disk::Fault::Io);
            }
            Fault::DiskFull(member) => self.machines[member].disk.fill(true),
        }
    }

    /// It is mended.
    pub fn mend(&mut self, fault: Fault) {
        let members = self.machines.len();
        for (from, to) in fault.links(members) {
            self.network.mend(from, to);
        }
        match fault {
            Fault::Kill(member) | Fault::Crash(member) | Fault::Stop(member) => self.start(member),
            Fault::CrashAtDisk(member) | Fault::DiskError(member) => {
                self.machines[member].disk.unplan();
                self.start(member);
            }
            Fault::CrashAll | Fault::CrashMost(_) => {
                (0..members).for_each(|member| self.start(member))
            }
            Fault::Pause(member) => self.resume(member),
            // It waits for a snapshot.
            Fault::CrashAtSnapshot(..) | Fault::Isolate(_) | Fault::CutOneWay(_) | Fault::Split => {
            }
            Fault::Loss => self.network.loss = self.network.loss.saturating_sub(150),
            Fault::Repeat => self.network.repeat = self.network.repeat.saturating_sub(150),
            Fault::Delay => {
                self.network.delay_more = self.network.delay_more.saturating_sub(40_000)
            }
            Fault::DiskStall(member) => self.machines[member].sync_max = SYNC_MAX,
            Fault::DiskFull(member) => {
                self.machines[member].disk.fill(false);
                self.start(member);
            }
        }
    }

    /// Nothing is wrong any more.
    pub fn mend_all(&mut self) {
        self.network.heal();
        for member in 0..self.machines.len() {
            let Machine {
                disk,
                sync_max,
                trap,
                dead_until,
                ..
            } = &mut self.machines[member];
            *dead_until = Duration::ZERO;
            disk.fill(false);
            disk.unplan();
            *sync_max = SYNC_MAX;
            *trap = None;
            self.resume(member);
            self.start(member);
        }
    }
}
