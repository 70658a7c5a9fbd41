//! What a change of the membership would cost: which members are alive, and who can leave without loss of the quorum.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use super::{MemberId, Settings};

/// Raft's members at one moment, and when their leader last heard from each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Liveness {
    /// The leader.
    pub leader: MemberId,
    /// The voters. The leader is one of them, except while it is being removed.
    pub voters: BTreeSet<MemberId>,
    /// The members that become voters once they have caught up.
    pub learners: BTreeSet<MemberId>,
    /// The time since the leader last heard from each other member; without those it never heard from.
    pub last_heard: BTreeMap<MemberId, Duration>,
    /// How long it has led without a pause of its process: nothing was sent to it before.
    pub led_for: Duration,
    /// The longest silence of a living member: two election timeouts.
    pub silence_max: Duration,
}

/// Why the removal of a member would cost the quorum: the members cannot commit it, or the remaining members could
/// not commit anything after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuorumLoss {
    /// It is the only voter.
    LastVoter,
    /// Too few voters are alive now.
    NoQuorumNow {
        /// The number of voters now.
        voters: usize,
        /// How many of them are alive.
        living: usize,
    },
    /// Too few of the remaining voters are alive.
    NoQuorum {
        /// The number of remaining voters.
        voters: usize,
        /// How many of them are alive.
        living: usize,
    },
}

impl fmt::Display for QuorumLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::LastVoter => f.write_str("it is the only voter"),
            Self::NoQuorumNow { voters, living } => write!(
                f,
                "only {living} of the {voters} voters can be reached, and {} are needed",
                majority(voters)
            ),
            Self::NoQuorum { voters, living } => write!(
                f,
                "only {living} of the {voters} remaining voters can be reached, and {} are needed",
                majority(voters)
            ),
        }
    }
}

impl Liveness {
    /// Whether the member is the leader, or was heard within [`Liveness::silence_max`].
    pub fn is_alive(&self, id: MemberId) -> bool {
        id == self.leader
            || self
                .last_heard
                .get(&id)
                .is_some_and(|ago| *ago < self.silence_max)
    }

    /// Whether the member is alive, or the leader has not led long enough to know.
    pub fn may_be_alive(&self, id: MemberId) -> bool {
        self.is_alive(id) || self.led_for < self.silence_max
    }

    /// Whether Raft's configuration has the member, as a voter or a learner.
    pub fn is_configured(&self, id: MemberId) -> bool {
        self.voters.contains(&id) || self.learners.contains(&id)
    }

    /// Check that the cluster keeps its quorum when the member is removed. A member without a vote costs nothing.
    ///
    /// # Errors
    ///
    /// - [`QuorumLoss::LastVoter`]: it is the only voter.
    /// - [`QuorumLoss::NoQuorum`]: the remaining voters that are alive are no majority of those that remain.
    /// - [`QuorumLoss::NoQuorumNow`]: the voters that are alive are no majority now.
    pub fn check_removal(&self, id: MemberId) -> Result<(), QuorumLoss> {
        if !self.voters.contains(&id) {
            return Ok(());
        }
        let living = self.voters.iter().filter(|voter| self.is_alive(**voter));
        let now = (self.voters.len(), living.clone().count());
        let then = (now.0 - 1, living.filter(|voter| **voter != id).count());
        if then.0 == 0 {
            return Err(QuorumLoss::LastVoter);
        }
        if then.1 < majority(then.0) {
            let (voters, living) = then;
            return Err(QuorumLoss::NoQuorum { voters, living });
        }
        if now.1 < majority(now.0) {
            let (voters, living) = now;
            return Err(QuorumLoss::NoQuorumNow { voters, living });
        }
        Ok(())
    }

    /// The member to remove when there are more than the cluster's `activeSize`: dead members first, then learners;
    /// never the leader, and never at the cost of the quorum.
    pub fn find_surplus_member(&self, settings: &Settings) -> Option<MemberId> {
        if self.count() <= settings.active_size() {
            return None;
        }
        let all = self.learners.iter().chain(&self.voters);
        let removable = all.filter(|id| **id != self.leader && self.check_removal(**id).is_ok());
        removable
            .copied()
            .max_by_key(|id| (!self.may_be_alive(*id), self.learners.contains(id), *id))
    }

    /// The member to remove because it was silent for the cluster's `removeDelay`, the longest silent first; never at
    /// the cost of the quorum.
    pub fn find_silent_member(&self, settings: &Settings) -> Option<MemberId> {
        let all = self.learners.iter().chain(&self.voters);
        let silent = all.filter(|id| {
            **id != self.leader
                && self.silence(**id) >= settings.remove_delay()
                && self.check_removal(**id).is_ok()
        });
        silent.copied().max_by_key(|id| (self.silence(*id), *id))
    }

    /// Whether one more member may join.
    pub fn has_free_seat(&self, settings: &Settings) -> bool {
        self.count() < settings.active_size()
    }

    /// How long the member has been silent while this leader led.
    fn silence(&self, id: MemberId) -> Duration {
        let last_heard = self.last_heard.get(&id).copied();
        last_heard.map_or(self.led_for, |ago| ago.min(self.led_for))
    }

    fn count(&self) -> u64 {
        (self.voters.len() + self.learners.len()) as u64
    }
}

/// The majority of so many voters.
fn majority(voters: usize) -> usize {
    voters / 2 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn id(number: u64) -> MemberId {
        MemberId::new(number).expect("not zero")
    }

    fn ids(numbers: &[u64]) -> BTreeSet<MemberId> {
        numbers.iter().map(|number| id(*number)).collect()
    }

    /// Member 1 has led for an hour; the `dead` were heard an hour ago.
    fn liveness(voters: &[u64], learners: &[u64], dead: &[u64]) -> Liveness {
        let (voters, learners) = (ids(voters), ids(learners));
        let ago = |id: &MemberId| {
            if dead.contains(&id.get()) {
                3_600 * SECOND
            } else {
                SECOND / 10
            }
        };
        Liveness {
            leader: id(1),
            last_heard: voters.union(&learners).map(|id| (*id, ago(id))).collect(),
            voters,
            learners,
            led_for: 3_600 * SECOND,
            silence_max: SECOND,
        }
    }

    fn delay(seconds: u64) -> Settings {
        Settings::parse(format!("{{\"removeDelay\":{seconds}}}").as_bytes())
    }

    #[test]
    fn the_quorum_decides_who_can_be_removed() {
        let no = |voters, living| Err(QuorumLoss::NoQuorum { voters, living });
        let now = |voters, living| Err(QuorumLoss::NoQuorumNow { voters, living });
        for (voters, dead, who, expected) in [
            (&[1][..], &[][..], 1, Err(QuorumLoss::LastVoter)),
            (&[1, 2], &[], 2, Ok(())),
            (&[1, 2], &[], 1, Ok(())),
            (&[1, 2], &[2], 1, no(1, 0)),
            (&[1, 2, 3], &[3], 3, Ok(())),
            (&[1, 2, 3], &[3], 2, no(2, 1)),
            (&[1, 2, 3, 4, 5], &[4, 5], 4, Ok(())),
            (&[1, 2, 3, 4, 5], &[4, 5], 3, no(4, 2)),
            (&[1, 2, 3, 4], &[4], 3, Ok(())),
            (&[1, 2, 3, 4], &[3, 4], 4, now(4, 2)),
            (&[1, 2], &[2], 2, now(2, 1)),
        ] {
            let liveness = liveness(voters, &[], dead);
            assert_eq!(
                liveness.check_removal(id(who)),
                expected,
                "{who} of {voters:?}"
            );
        }
        assert_eq!(liveness(&[1], &[2], &[]).check_removal(id(2)), Ok(()));
        assert_eq!(liveness(&[1], &[], &[]).check_removal(id(9)), Ok(()));
    }

    #[test]
    fn a_new_leader_does_not_know_who_is_dead() {
        let mut young = liveness(&[1, 2, 3], &[], &[]);
        young.last_heard.remove(&id(3));
        young.led_for = SECOND / 2;
        assert!(!young.is_alive(id(3)) && young.may_be_alive(id(3)));
        young.led_for = SECOND;
        assert!(!young.may_be_alive(id(3)) && young.is_alive(id(1)));
        young.last_heard.insert(id(3), SECOND);
        assert!(!young.is_alive(id(3)), "within means less");
    }

    #[test]
    fn surplus_members_are_removed_one_by_one() {
        let three = Settings::default().with_active_size(3);
        let who = |liveness: Liveness| liveness.find_surplus_member(&three).map(MemberId::get);
        assert_eq!(who(liveness(&[1, 2, 3], &[], &[2])), None);
        assert_eq!(who(liveness(&[1, 2, 3, 4, 5], &[], &[2])), Some(2));
        assert_eq!(who(liveness(&[1, 2, 3, 4, 5], &[], &[])), Some(5));
        assert_eq!(who(liveness(&[1, 4, 5], &[2, 3], &[])), Some(3));
        // Of four members with one dead, only that one can be removed; with two dead, none.
        assert_eq!(who(liveness(&[1, 2, 3, 4], &[], &[3])), Some(3));
        assert_eq!(who(liveness(&[1, 2, 3, 4], &[], &[3, 4])), None);
    }

    #[test]
    fn silent_members_are_removed_if_the_quorum_allows() {
        let who = |liveness: &Liveness, seconds| {
            let settings = delay(seconds);
            liveness.find_silent_member(&settings).map(MemberId::get)
        };
        let one_dead = liveness(&[1, 2, 3], &[], &[2]);
        assert_eq!(who(&one_dead, 3_600), Some(2));
        assert_eq!(who(&one_dead, 3_601), None);
        assert_eq!(who(&liveness(&[1, 2, 3], &[], &[2, 3]), 2), None);
        assert_eq!(who(&liveness(&[1], &[2, 3], &[2, 3]), 2), Some(3));
        let mut never_heard = one_dead.clone();
        never_heard.last_heard.remove(&id(2));
        assert_eq!(who(&never_heard, 3_600), Some(2));
        // Silence before this leader's term does not count.
        let mut young = one_dead;
        young.led_for = 10 * SECOND;
        assert_eq!(who(&young, 11), None);
        assert_eq!(who(&young, 10), Some(2));
    }

    #[test]
    fn free_seats_are_what_is_left_of_the_active_size() {
        let three = Settings::default().with_active_size(3);
        assert!(liveness(&[1], &[2], &[]).has_free_seat(&three));
        assert!(!liveness(&[1, 3], &[2], &[]).has_free_seat(&three));
    }
}
