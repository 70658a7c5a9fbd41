//! Membership changes: hosts join, leave and lose their disks, one change at a time.

use std::time::Duration;

use oxetcd::cluster::{JoinRequest, MemberId, Refusal, Settings};
use oxetcd::consensus::Change;
use tokio::sync::oneshot::{Receiver, error::TryRecvError};

use crate::bootstrap::create_empty_disk;
use crate::host::{Host, MemberState};
use crate::random::Random;
use crate::world::{SimEvent, World};

/// Maximum number of members.
const MEMBERS_MAX: usize = 7;

/// Timeout of a request; after it, the request is sent again to the leader of that time.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// Maximum number of attempts of a change that may fail. The replacement of a lost disk has no maximum.
const ATTEMPTS_MAX: u32 = 40;

/// The kinds of membership changes in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MembershipPlan {
    /// None.
    Fixed,
    /// Hosts join, and lose their disks.
    Losses,
    /// Hosts join, members are removed, and the active size changes.
    Removals,
}

impl MembershipPlan {
    pub fn draw(random: &mut Random) -> Self {
        *random.pick(&[Self::Fixed, Self::Fixed, Self::Losses, Self::Removals])
    }
}

/// The change in progress.
pub struct PendingChange {
    goal: Goal,
    answer: Option<(Duration, Receiver<Result<(), Refusal>>)>,
    attempts: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goal {
    /// The host with this number joins. It must succeed if it replaces a host whose disk is lost (`rebuilt`).
    Join { host: usize, rebuilt: bool },
    /// Remove this member.
    Remove(MemberId),
    /// Change the cluster settings.
    Configure(Settings),
}

impl PendingChange {
    fn new(goal: Goal) -> Self {
        Self {
            goal,
            answer: None,
            attempts: 0,
        }
    }
}

impl World {
    /// Continue the change in progress, or start one.
    pub fn change_membership(&mut self) {
        if self.membership_plan == MembershipPlan::Fixed {
            return;
        }
        let after = self.random.micros(10_000, 80_000);
        self.schedule(after, SimEvent::ChangeMembership);
        match self.pending_change.take() {
            Some(pending_change) => self.pending_change = self.continue_change(pending_change),
            None => {
                self.pending_change = self.abandoned_learner().map(PendingChange::new);
                if self.pending_change.is_none() && !self.is_ending && self.random.permille(700) {
                    self.pending_change = self.start_change();
                }
            }
        }
    }

    /// Whether all changes are complete: removed members have stopped and all others are voters.
    pub fn is_membership_settled(&self) -> bool {
        let (voters, learners) = self.reference.configuration();
        let settings = self.reference.settings();
        let at_home = |host: &Host| match host.member_state {
            MemberState::Member => voters.contains(&Host::id(host.number).get()),
            MemberState::NotYet | MemberState::Former => true,
        };
        self.pending_change.is_none()
            && learners.is_empty()
            && voters.len() as u64 <= settings.active_size()
            && self.hosts.iter().all(at_home)
    }

    fn start_change(&mut self) -> Option<PendingChange> {
        let (voters, learners) = self.reference.configuration();
        let voters: Vec<u64> = voters.iter().copied().collect();
        let count = voters.len() + learners.len();
        let some = MemberId::new(*self.random.pick(&voters))?;
        let goal = match (self.membership_plan, self.random.below(10)) {
            (MembershipPlan::Fixed, _) => return None,
            (_, 0..4) if count < MEMBERS_MAX => self.add_host(None),
            (MembershipPlan::Losses, _) => {
                let lost = Host::number_of(some);
                if !self.can_lose(lost) {
                    return None;
                }
                self.count("permanent loss of a disk");
                self.terminate(lost, true, true);
                self.hosts[lost].member_state = MemberState::Former;
                self.add_host(Some(lost))
            }
            (MembershipPlan::Removals, 4..8) => {
                self.count("removal");
                Goal::Remove(some)
            }
            (MembershipPlan::Removals, _) => {
                let size = *self.random.pick(&[3, 3, 4, 9]);
                let delay = *self.random.pick(&[2, 2, 1800]);
                self.count("settings");
                let text = format!("{{\"activeSize\":{size},\"removeDelay\":{delay}}}");
                Goal::Configure(Settings::parse(text.as_bytes()))
            }
        };
        Some(PendingChange::new(goal))
    }

    /// Whether the cluster survives the loss of a member's disk. The other members must be a majority and must have
    /// the current voters on disk: with an older configuration on disk they may need the vote of the lost member.
    fn can_lose(&self, lost: usize) -> bool {
        let (voters, _) = self.reference.configuration();
        let knows = |host: &&Host| {
            host.number != lost
                && voters.contains(&Host::id(host.number).get())
                && host.has_written(voters)
        };
        self.hosts.iter().filter(knows).count() > voters.len() / 2
    }

    /// A learner whose host never started, because its join was committed after it was given up.
    fn abandoned_learner(&self) -> Option<Goal> {
        let (_, learners) = self.reference.configuration();
        let ids = learners.iter().filter_map(|id| MemberId::new(*id));
        let gone =
            |id: &MemberId| self.hosts[Host::number_of(*id)].member_state == MemberState::Former;
        ids.filter(gone).map(Goal::Remove).next()
    }

    /// Add a host with an empty disk, under a new name or under that of a host whose disk is lost.
    fn add_host(&mut self, lost: Option<usize>) -> Goal {
        let number = self.hosts.len();
        let limits = self.reference.limits();
        let mut host = Host::new(number, limits, &mut self.random);
        host.member_state = MemberState::NotYet;
        if let Some(lost) = lost {
            host.name = self.hosts[lost].name.clone();
        } else {
            self.count("join");
        }
        create_empty_disk(&host.disk);
        self.hosts.push(host);
        Goal::Join {
            host: number,
            rebuilt: lost.is_some(),
        }
    }

    /// Continue a change. None when it is complete.
    fn continue_change(&mut self, mut pending_change: PendingChange) -> Option<PendingChange> {
        if self.is_done(pending_change.goal) {
            return None;
        }
        let Some((asked, mut answer)) = pending_change.answer.take() else {
            if matches!(pending_change.goal, Goal::Join { host, .. } if self.hosts[host].member_state == MemberState::Member)
            {
                return Some(pending_change);
            }
            pending_change.attempts += 1;
            pending_change.answer = self.request_change(pending_change.goal);
            let must = matches!(pending_change.goal, Goal::Join { rebuilt: true, .. });
            if pending_change.attempts > ATTEMPTS_MAX && !must {
                return self.give_up(pending_change.goal);
            }
            return Some(pending_change);
        };
        match answer.try_recv() {
            Err(TryRecvError::Empty) if self.now < asked + ANSWER_MAX => {
                pending_change.answer = Some((asked, answer));
            }
            Err(_) => {}
            Ok(Ok(())) => match pending_change.goal {
                Goal::Join { host, .. } => {
                    self.hosts[host].member_state = MemberState::Member;
                    self.start(host);
                }
                Goal::Remove(_) => {}
                Goal::Configure(_) => return None,
            },
            Ok(Err(refused)) => {
                let stranded = matches!(
                    refused,
                    Refusal::CannotReplace { .. } | Refusal::CannotRemove(_)
                );
                let must = matches!(pending_change.goal, Goal::Join { rebuilt: true, .. });
                if is_final(&refused) && !(stranded && must) {
                    self.count("(changes refused)");
                    return self.give_up(pending_change.goal);
                }
            }
        }
        Some(pending_change)
    }

    fn is_done(&self, goal: Goal) -> bool {
        let (voters, _) = self.reference.configuration();
        match goal {
            Goal::Join { host, .. } => {
                let id = Host::id(host);
                voters.contains(&id.get()) || self.reference.store().is_removed(id)
            }
            Goal::Remove(id) => self.reference.store().is_removed(id),
            Goal::Configure(_) => false,
        }
    }

    /// Give up a change. A host whose join may have been committed without an answer never starts and is removed.
    fn give_up(&mut self, goal: Goal) -> Option<PendingChange> {
        let Goal::Join { host, .. } = goal else {
            return None;
        };
        self.hosts[host].member_state = MemberState::Former;
        Some(PendingChange::new(Goal::Remove(Host::id(host))))
    }

    fn request_change(&mut self, goal: Goal) -> Option<(Duration, Receiver<Result<(), Refusal>>)> {
        let leads = |host: &Host| {
            let running = host.running.as_ref().filter(|_| !host.paused);
            running.is_some_and(|running| running.core.leads())
        };
        let leader = self.hosts.iter().position(leads)?;
        let change = match goal {
            Goal::Join { host, .. } => Change::Join(JoinRequest {
                member: self.hosts[host].member(),
                cluster: Some(Host::cluster()),
            }),
            Goal::Remove(id) => Change::Remove(id),
            Goal::Configure(settings) => Change::Configure(settings),
        };
        let answer = self.hosts[leader].change(change)?;
        self.wake(leader);
        Some((self.now, answer))
    }

    /// Deliver the answer 410 that a removed member gets from a peer that it connects to.
    pub fn notify_if_removed(&mut self, member: usize) {
        let id = Host::id(member);
        let knows = |other: &Host| {
            let running = other.running.as_ref().filter(|_| !other.paused);
            other.number != member
                && running.is_some_and(|running| running.removed_ids.contains(&id))
        };
        let told = self
            .hosts
            .iter()
            .find(|other| knows(other) && self.network.is_open(member, other.number));
        let Some(by) = told.map(|other| Host::id(other.number)) else {
            return;
        };
        if !self.reference.store().is_removed(id) {
            self.record(Err(format!(
                "member {member} was told that it is removed, but it is not"
            )));
        }
        self.count("(removed members that were told so)");
        self.hosts[member].send_input(oxetcd::consensus::Input::Removed(by));
        self.wake(member);
    }
}

/// Whether a repeated request would get the same answer.
fn is_final(refused: &Refusal) -> bool {
    match refused {
        Refusal::Full(_)
        | Refusal::Removed
        | Refusal::AddressTaken { .. }
        | Refusal::ForeignCluster { .. }
        | Refusal::UnknownMember
        | Refusal::CannotReplace { .. }
        | Refusal::CannotRemove(_)
        | Refusal::Version { .. }
        | Refusal::Invalid(_)
        | Refusal::Reported { .. } => true,
        Refusal::NotLeader { .. }
        | Refusal::NameTaken { .. }
        | Refusal::NoSuccessor
        | Refusal::Busy
        | Refusal::LeadershipLost
        | Refusal::Unavailable(_) => false,
    }
}
