//! The rules of membership: who is living, which change keeps the quorum, who has to go.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use super::{MemberId, Settings};

/// The members at one moment, as their leader sees them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Liveness {
    /// Who leads.
    pub leader: MemberId,
    /// Who votes, the leader mostly among them.
    pub voters: BTreeSet<MemberId>,
    /// Who is to vote once it has caught up.
    pub learners: BTreeSet<MemberId>,
    /// How long ago the leader heard from each of the others; those it never heard from are not here.
    pub heard: BTreeMap<MemberId, Duration>,
    /// How long it has led without a pause: before, it had no reason to hear from anyone.
    pub led_for: Duration,
    /// An id that was heard within this time is living: two election timeouts.
    pub living_max: Duration,
}

/// Why a member cannot be taken out: the members could not agree on that, or those that stay on anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuorumLoss {
    /// Nobody else votes.
    LastVoter,
    /// Too few of those that vote now are living.
    NoQuorumNow {
        /// How many vote now.
        voters: usize,
        /// How many of them are living.
        living: usize,
    },
    /// Too few of those that stay are living.
    NoQuorum {
        /// How many voters stay.
        voters: usize,
        /// How many of them are living.
        living: usize,
    },
}

impl fmt::Display for QuorumLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::LastVoter => f.write_str("it is the only member that votes"),
            Self::NoQuorumNow { voters, living } => write!(
                f,
                "of the {voters} voting members {living} can be reached, and {} must agree",
                majority(voters)
            ),
            Self::NoQuorum { voters, living } => write!(
                f,
                "of the {voters} voting members that would stay {living} can be reached, and {} must agree",
                majority(voters)
            ),
        }
    }
}

impl Liveness {
    /// Whether the leader heard from it lately.
    pub fn is_living(&self, id: MemberId) -> bool {
        id == self.leader
            || self
                .heard
                .get(&id)
                .is_some_and(|ago| *ago < self.living_max)
    }

    /// Whether it is living, or the leader has led too short a time to tell.
    pub fn may_live(&self, id: MemberId) -> bool {
        self.is_living(id) || self.led_for < self.living_max
    }

    /// Whether those that stay can go on without it.
    ///
    /// # Errors
    ///
    /// Why not.
    pub fn can_spare(&self, id: MemberId) -> Result<(), QuorumLoss> {
        if !self.voters.contains(&id) {
            return Ok(());
        }
        let living = self.voters.iter().filter(|voter| self.is_living(**voter));
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

    /// Who goes because more machines are members than are wanted: those not living first, then learners;
    /// never the leader, and nobody who cannot be spared. One at a time.
    pub fn too_many(&self, settings: &Settings) -> Option<MemberId> {
        if self.count() <= settings.active_size() {
            return None;
        }
        let all = self.learners.iter().chain(&self.voters);
        let able = all.filter(|id| **id != self.leader && self.can_spare(**id).is_ok());
        able.copied()
            .max_by_key(|id| (!self.may_live(*id), self.learners.contains(id), *id))
    }

    /// Who goes because nobody heard from it for too long, unless it cannot be spared: the longest first.
    pub fn silent_too_long(&self, settings: &Settings) -> Option<MemberId> {
        let all = self.learners.iter().chain(&self.voters);
        let silent = all.filter(|id| {
            **id != self.leader
                && self.silence(**id) >= settings.remove_delay()
                && self.can_spare(**id).is_ok()
        });
        silent.copied().max_by_key(|id| (self.silence(*id), *id))
    }

    /// Whether one more machine may become a member.
    pub fn has_room(&self, settings: &Settings) -> bool {
        self.count() < settings.active_size()
    }

    /// How long it has been silent while this leader listened.
    fn silence(&self, id: MemberId) -> Duration {
        let heard = self.heard.get(&id).copied();
        heard.map_or(self.led_for, |ago| ago.min(self.led_for))
    }

    fn count(&self) -> u64 {
        (self.voters.len() + self.learners.len()) as u64
    }
}

/// How many of so many voters must agree.
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

    /// Member 1 leads, for an hour; of the others, `dead` were heard an hour ago.
    fn census(voters: &[u64], learners: &[u64], dead: &[u64]) -> Liveness {
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
            heard: voters.union(&learners).map(|id| (*id, ago(id))).collect(),
            voters,
            learners,
            led_for: 3_600 * SECOND,
            living_max: SECOND,
        }
    }

    fn delay(seconds: u64) -> Settings {
        Settings::parse(format!("{{\"removeDelay\":{seconds}}}").as_bytes())
    }

    #[test]
    fn the_quorum_decides_who_can_be_spared() {
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
            let census = census(voters, &[], dead);
            assert_eq!(census.can_spare(id(who)), expected, "{who} of {voters:?}");
        }
        assert_eq!(census(&[1], &[2], &[]).can_spare(id(2)), Ok(()));
        assert_eq!(census(&[1], &[], &[]).can_spare(id(9)), Ok(()));
    }

    #[test]
    fn a_young_leader_knows_little() {
        let mut young = census(&[1, 2, 3], &[], &[]);
        young.heard.remove(&id(3));
        young.led_for = SECOND / 2;
        assert!(!young.is_living(id(3)) && young.may_live(id(3)));
        young.led_for = SECOND;
        assert!(!young.may_live(id(3)) && young.is_living(id(1)));
        young.heard.insert(id(3), SECOND);
        assert!(!young.is_living(id(3)), "within means less");
    }

    #[test]
    fn too_many_go_one_by_one() {
        let three = Settings::default().with_active_size(3);
        let who = |census: Liveness| census.too_many(&three).map(MemberId::get);
        assert_eq!(who(census(&[1, 2, 3], &[], &[2])), None);
        assert_eq!(who(census(&[1, 2, 3, 4, 5], &[], &[2])), Some(2));
        assert_eq!(who(census(&[1, 2, 3, 4, 5], &[], &[])), Some(5));
        assert_eq!(who(census(&[1, 4, 5], &[2, 3], &[])), Some(3));
        // Of four with one dead, only that one can go; with two dead nobody may.
        assert_eq!(who(census(&[1, 2, 3, 4], &[], &[3])), Some(3));
        assert_eq!(who(census(&[1, 2, 3, 4], &[], &[3, 4])), None);
    }

    #[test]
    fn the_silent_go_if_they_can_be_spared() {
        let who = |census: &Liveness, seconds| {
            let settings = delay(seconds);
            census.silent_too_long(&settings).map(MemberId::get)
        };
        let one_dead = census(&[1, 2, 3], &[], &[2]);
        assert_eq!(who(&one_dead, 3_600), Some(2));
        assert_eq!(who(&one_dead, 3_601), None);
        assert_eq!(who(&census(&[1, 2, 3], &[], &[2, 3]), 2), None);
        assert_eq!(who(&census(&[1], &[2, 3], &[2, 3]), 2), Some(3));
        let mut never_heard = one_dead.clone();
        never_heard.heard.remove(&id(2));
        assert_eq!(who(&never_heard, 3_600), Some(2));
        // What was before this leader listened does not count.
        let mut young = one_dead;
        young.led_for = 10 * SECOND;
        assert_eq!(who(&young, 11), None);
        assert_eq!(who(&young, 10), Some(2));
    }

    #[test]
    fn room_is_what_is_left_of_the_active_size() {
        let three = Settings::default().with_active_size(3);
        assert!(census(&[1], &[2], &[]).has_room(&three));
        assert!(!census(&[1, 3], &[2], &[]).has_room(&three));
    }
}
