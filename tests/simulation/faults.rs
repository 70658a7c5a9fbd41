//! The faults.

use std::time::Duration;

use crate::disk::{self, Operation};
use crate::host::{CrashPoint, Host, SYNC_MAX};
use crate::random::Random;
use crate::world::{SimEvent, World};

/// A fault. Lasting faults are repaired later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The process of a member is killed between two steps; its host keeps running.
    Kill(usize),
    /// The power of a member fails, possibly in the middle of a write: unsynced writes are lost, torn or reordered.
    Crash(usize),
    /// The power fails at a later operation of its disk, which may be during a start or a snapshot.
    CrashAtDisk(usize),
    /// The power fails at this point of the next received snapshot.
    CrashAtSnapshot(usize, CrashPoint),
    /// The power of all members fails.
    CrashAll,
    /// The power of all members but one fails.
    CrashMost(usize),
    /// A member is stopped: it transfers leadership and exits.
    Stop(usize),
    /// All threads of a member are paused for a time.
    Pause(usize),
    /// A member is isolated in both directions.
    Isolate(usize),
    /// Messages from a member are lost; it still receives.
    CutOneWay(usize),
    /// The network is partitioned into two halves.
    Split,
    /// Some messages are lost.
    Loss,
    /// Some messages arrive twice, the second time late.
    Repeat,
    /// Messages are delayed and reordered.
    Delay,
    /// Syncs of a member's disk take long.
    DiskStall(usize),
    /// One operation of a member's disk fails.
    DiskError(usize),
    /// A member's disk is full.
    DiskFull(usize),
}

impl Fault {
    /// Draw a fault of one of these members.
    pub fn draw(members: &[usize], random: &mut Random) -> Self {
        let member = *random.pick(members);
        match random.below(24) {
            0 => Self::Kill(member),
            1 | 2 => Self::Crash(member),
            3 | 4 => Self::CrashAtDisk(member),
            5 | 6 => {
                let points = [
                    CrashPoint::Receiving,
                    CrashPoint::Received,
                    CrashPoint::Resetting,
                    CrashPoint::Reset,
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

    /// The name of its counter.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kill(_) => "kill",
            Self::Crash(_) => "crash",
            Self::CrashAtDisk(_) => "crash at a disk operation",
            Self::CrashAtSnapshot(_, CrashPoint::Receiving) => "crash receiving a snapshot",
            Self::CrashAtSnapshot(_, CrashPoint::Received) => "crash with a snapshot received",
            Self::CrashAtSnapshot(_, CrashPoint::Resetting) => "crash installing a snapshot",
            Self::CrashAtSnapshot(_, CrashPoint::Reset) => "crash with a snapshot installed",
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

    /// How long it lasts: mostly less than a second, sometimes so long that pending requests time out.
    pub fn duration(self, random: &mut Random) -> Duration {
        let stops_all = matches!(self, Self::CrashAll | Self::CrashMost(_) | Self::Split);
        if stops_all && random.permille(50) {
            return random.micros(5_000_000, 6_000_000);
        }
        random.micros(20_000, 500_000)
    }

    /// The links that it cuts.
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
    /// Start a fault.
    pub fn inflict(&mut self, fault: Fault) {
        self.count(fault.name());
        let members = self.hosts.len();
        for (from, to) in fault.links(members) {
            self.network.cut(from, to);
        }
        match fault {
            Fault::Kill(member) => self.terminate(member, false, false),
            Fault::Crash(member) => {
                let writing = self.random.permille(700);
                self.terminate(member, true, writing);
            }
            Fault::CrashAtDisk(member) => {
                let after = self.random.below(25);
                self.hosts[member]
                    .disk
                    .plan(Operation::Change, after, disk::Fault::Crash);
            }
            Fault::CrashAtSnapshot(member, point) => self.hosts[member].crash_point = Some(point),
            Fault::CrashAll => (0..members).for_each(|member| self.terminate(member, true, true)),
            Fault::CrashMost(spared) => {
                (0..members)
                    .filter(|member| *member != spared)
                    .for_each(|member| self.terminate(member, true, true));
            }
            Fault::Stop(member) => {
                self.hosts[member].send_input(oxetcd::consensus::Input::TransferLeadership);
                let incarnation = self.hosts[member].incarnation;
                let after = self.random.micros(100, 20_000);
                self.schedule(
                    after,
                    SimEvent::Stop {
                        member,
                        incarnation,
                    },
                );
                self.wake(member);
            }
            Fault::Pause(member) => {
                self.hosts[member].paused = self.hosts[member].running.is_some()
            }
            Fault::Isolate(_) | Fault::CutOneWay(_) | Fault::Split => {}
            Fault::Loss => self.network.loss += 150,
            Fault::Repeat => self.network.repeat += 150,
            Fault::Delay => self.network.delay_more += 40_000,
            Fault::DiskStall(member) => self.hosts[member].sync_max = 250_000,
            Fault::DiskError(member) => {
                let kind =
                    *self
                        .random
                        .pick(&[Operation::Change, Operation::Write, Operation::Sync]);
                let after = self.random.below(12);
                self.hosts[member].disk.plan(kind, after, disk::Fault::Io);
            }
            Fault::DiskFull(member) => self.hosts[member].disk.fill(true),
        }
    }

    /// Repair a fault.
    pub fn repair(&mut self, fault: Fault) {
        let members = self.hosts.len();
        for (from, to) in fault.links(members) {
            self.network.restore(from, to);
        }
        match fault {
            Fault::Kill(member) | Fault::Crash(member) | Fault::Stop(member) => self.start(member),
            Fault::CrashAtDisk(member) | Fault::DiskError(member) => {
                self.hosts[member].disk.unplan();
                self.start(member);
            }
            Fault::CrashAll | Fault::CrashMost(_) => {
                (0..members).for_each(|member| self.start(member))
            }
            Fault::Pause(member) => self.resume(member),
            // Nothing to repair: links are restored above, and the other one waits for a snapshot.
            Fault::CrashAtSnapshot(..) | Fault::Isolate(_) | Fault::CutOneWay(_) | Fault::Split => {
            }
            Fault::Loss => self.network.loss = self.network.loss.saturating_sub(150),
            Fault::Repeat => self.network.repeat = self.network.repeat.saturating_sub(150),
            Fault::Delay => {
                self.network.delay_more = self.network.delay_more.saturating_sub(40_000)
            }
            Fault::DiskStall(member) => self.hosts[member].sync_max = SYNC_MAX,
            Fault::DiskFull(member) => {
                self.hosts[member].disk.fill(false);
                self.start(member);
            }
        }
    }

    /// Repair all faults.
    pub fn repair_all(&mut self) {
        self.network.reset();
        for member in 0..self.hosts.len() {
            let Host {
                disk,
                sync_max,
                crash_point,
                down_until,
                ..
            } = &mut self.hosts[member];
            *down_until = Duration::ZERO;
            disk.fill(false);
            disk.unplan();
            *sync_max = SYNC_MAX;
            *crash_point = None;
            self.resume(member);
            self.start(member);
        }
    }
}
