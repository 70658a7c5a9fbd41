//! Machines that join, leave, and lose their disks: one after the other, each seen through to its end.

use std::time::Duration;

use oxetcd::cluster::{JoinRequest, MemberId, Refusal, Settings};
use oxetcd::consensus::Change;
use tokio::sync::oneshot::{Receiver, error::TryRecvError};

use crate::founding::found_empty;
use crate::machine::{Machine, RaftStatus};
use crate::random::Random;
use crate::world::{Happening, World};

/// How many members there are at the most.
const MEMBERS_MAX: usize = 7;

/// How long an answer may take before the leader is asked again, whoever that is then.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// How often a change that is not certain is asked for again before it is given up; one that must happen
/// never is.
const ATTEMPTS_MAX: u32 = 40;

/// What happens to the membership in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shaping {
    /// Nothing.
    Never,
    /// Machines join, and lose their disks for good.
    Losses,
    /// Machines join, members are removed, more or fewer are wanted.
    Removals,
}

impl Shaping {
    pub fn draw(random: &mut Random) -> Self {
        *random.pick(&[Self::Never, Self::Never, Self::Losses, Self::Removals])
    }
}

/// One change that is being seen through.
pub struct Project {
    aim: Aim,
    answer: Option<(Duration, Receiver<Result<(), Refusal>>)>,
    attempts: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Aim {
    /// The machine with this number becomes a member; one that takes the place of a lost one must.
    Join { machine: usize, rebuilt: bool },
    /// This member leaves.
    Remove(MemberId),
    /// The cluster is set so.
    Configure(Settings),
}

impl Project {
    fn new(aim: Aim) -> Self {
        Self {
            aim,
            answer: None,
            attempts: 0,
        }
    }
}

impl World {
    /// Go on with the change under way, or begin one.
    pub fn reshape(&mut self) {
        if self.shaping == Shaping::Never {
            return;
        }
        let after = self.random.micros(10_000, 80_000);
        self.at(after, Happening::Reshape);
        match self.project.take() {
            Some(project) => self.project = self.go_on(project),
            None => {
                self.project = self.abandoned().map(Project::new);
                if self.project.is_none() && !self.ends && self.random.permille(700) {
                    self.project = self.begin();
                }
            }
        }
    }

    /// Whether all that was begun is done: those that were removed know it, all others vote.
    pub fn is_shaped(&self) -> bool {
        let (voters, learners) = self.truth.configuration();
        let settings = self.truth.settings();
        let at_home = |machine: &Machine| match machine.standing {
            RaftStatus::Member => voters.contains(&Machine::id(machine.number).get()),
            RaftStatus::Outside | RaftStatus::Gone => true,
        };
        self.project.is_none()
            && learners.is_empty()
            && voters.len() as u64 <= settings.active_size()
            && self.machines.iter().all(at_home)
    }

    fn begin(&mut self) -> Option<Project> {
        let (voters, learners) = self.truth.configuration();
        let voters: Vec<u64> = voters.iter().copied().collect();
        let count = voters.len() + learners.len();
        let some = MemberId::new(*self.random.pick(&voters))?;
        let aim = match (self.shaping, self.random.below(10)) {
            (Shaping::Never, _) => return None,
            (_, 0..4) if count < MEMBERS_MAX => self.build(None),
            (Shaping::Losses, _) => {
                let lost = Machine::number_of(some);
                if !self.can_lose(lost) {
                    return None;
                }
                self.count("loss of a disk for good");
                self.die(lost, true, true);
                self.machines[lost].standing = RaftStatus::Gone;
                self.build(Some(lost))
            }
            (Shaping::Removals, 4..8) => {
                self.count("removal");
                Aim::Remove(some)
            }
            (Shaping::Removals, _) => {
                let size = *self.random.pick(&[3, 3, 4, 9]);
                let delay = *self.random.pick(&[2, 2, 1800]);
                self.count("settings");
                let text = format!("{{\"activeSize\":{size},\"removeDelay\":{delay}}}");
                Aim::Configure(Settings::parse(text.as_bytes()))
            }
        };
        Some(Project::new(aim))
    }

    /// Whether nothing is lost with a member's disk. Those that stay must be a majority, and have it on
    /// their disks who votes: as long as they know of fewer voters, they may need the lost one's vote, and
    /// nothing can be done about it.
    fn can_lose(&self, lost: usize) -> bool {
        let (voters, _) = self.truth.configuration();
        let knows = |machine: &&Machine| {
            machine.number != lost
                && voters.contains(&Machine::id(machine.number).get())
                && machine.has_written(voters)
        };
        self.machines.iter().filter(knows).count() > voters.len() / 2
    }

    /// A machine that never came has a place after all: an entry from before that was given up.
    fn abandoned(&self) -> Option<Aim> {
        let (_, learners) = self.truth.configuration();
        let ids = learners.iter().filter_map(|id| MemberId::new(*id));
        let gone =
            |id: &MemberId| self.machines[Machine::number_of(*id)].standing == RaftStatus::Gone;
        ids.filter(gone).map(Aim::Remove).next()
    }

    /// A machine with an empty disk, new or under the name of another whose disk is lost.
    fn build(&mut self, lost: Option<usize>) -> Aim {
        let number = self.machines.len();
        let limits = self.truth.limits();
        let mut machine = Machine::new(number, limits, &mut self.random);
        machine.standing = RaftStatus::Outside;
        if let Some(lost) = lost {
            machine.name = self.machines[lost].name.clone();
        } else {
            self.count("join");
        }
        found_empty(&machine.disk);
        self.machines.push(machine);
        Aim::Join {
            machine: number,
            rebuilt: lost.is_some(),
        }
    }

    /// See how far it is; none when it is over.
    fn go_on(&mut self, mut project: Project) -> Option<Project> {
        if self.is_done(project.aim) {
            return None;
        }
        let Some((asked, mut answer)) = project.answer.take() else {
            if matches!(project.aim, Aim::Join { machine, .. } if self.machines[machine].standing == RaftStatus::Member)
            {
                return Some(project);
            }
            project.attempts += 1;
            project.answer = self.ask_for(project.aim);
            let must = matches!(project.aim, Aim::Join { rebuilt: true, .. });
            if project.attempts > ATTEMPTS_MAX && !must {
                return self.give_up(project.aim);
            }
            return Some(project);
        };
        match answer.try_recv() {
            Err(TryRecvError::Empty) if self.now < asked + ANSWER_MAX => {
                project.answer = Some((asked, answer));
            }
            Err(_) => {}
            Ok(Ok(())) => match project.aim {
                Aim::Join { machine, .. } => {
                    self.machines[machine].standing = RaftStatus::Member;
                    self.start(machine);
                }
                Aim::Remove(_) => {}
                Aim::Configure(_) => return None,
            },
            Ok(Err(refused)) => {
                let stranded = matches!(
                    refused,
                    Refusal::CannotReplace { .. } | Refusal::CannotRemove(_)
                );
                let must = matches!(project.aim, Aim::Join { rebuilt: true, .. });
                if is_final(&refused) && !(stranded && must) {
                    self.count("(changes refused)");
                    return self.give_up(project.aim);
                }
            }
        }
        Some(project)
    }

    fn is_done(&self, aim: Aim) -> bool {
        let (voters, _) = self.truth.configuration();
        match aim {
            Aim::Join { machine, .. } => {
                let id = Machine::id(machine);
                voters.contains(&id.get()) || self.truth.store().is_removed(id)
            }
            Aim::Remove(id) => self.truth.store().is_removed(id),
            Aim::Configure(_) => false,
        }
    }

    /// It does not happen. A machine that may have been given a place without hearing of it never comes,
    /// and is to be taken out.
    fn give_up(&mut self, aim: Aim) -> Option<Project> {
        let Aim::Join { machine, .. } = aim else {
            return None;
        };
        self.machines[machine].standing = RaftStatus::Gone;
        Some(Project::new(Aim::Remove(Machine::id(machine))))
    }

    fn ask_for(&mut self, aim: Aim) -> Option<(Duration, Receiver<Result<(), Refusal>>)> {
        let leads = |machine: &Machine| {
            let running = machine.running.as_ref().filter(|_| !machine.paused);
            running.is_some_and(|running| running.core.leads())
        };
        let leader = self.machines.iter().position(leads)?;
        let change = match aim {
            Aim::Join { machine, .. } => Change::Join(JoinRequest {
                member: self.machines[machine].member(),
                cluster: Some(Machine::cluster()),
            }),
            Aim::Remove(id) => Change::Remove(id),
            Aim::Configure(settings) => Change::Configure(settings),
        };
        let answer = self.machines[leader].change(change)?;
        self.wake(leader);
        Some((self.now, answer))
    }

    /// What a member that calls another, as its connections do all the time, hears there of its own
    /// removal.
    pub fn call_all(&mut self, member: usize) {
        let id = Machine::id(member);
        let knows = |other: &Machine| {
            let running = other.running.as_ref().filter(|_| !other.paused);
            other.number != member && running.is_some_and(|running| running.gone.contains(&id))
        };
        let told = self
            .machines
            .iter()
            .find(|other| knows(other) && self.network.is_open(member, other.number));
        let Some(by) = told.map(|other| Machine::id(other.number)) else {
            return;
        };
        if !self.truth.store().is_removed(id) {
            self.note(Err(format!(
                "member {member} is told to be removed, and is not"
            )));
        }
        self.count("(members told that they were removed)");
        self.machines[member].tell(oxetcd::consensus::Input::Removed(by));
        self.wake(member);
    }
}

/// Whether asking again is of no use.
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
