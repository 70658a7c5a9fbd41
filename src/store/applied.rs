//! Which commands were applied already.

use imbl::OrdMap;

use super::CommandId;
use crate::cluster::MemberId;

/// How many runs of applied numbers are remembered of one member. When there are more, the gap between
/// the two oldest counts as applied: a command that old and never seen is dropped when it comes.
pub(super) const RUNS_MAX: usize = 16_384;

/// How many members are remembered, those that were removed among them. When there are more, the removed
/// one with the lowest id is forgotten, or without any the lowest of all.
pub(super) const MEMBERS_MAX: usize = 1024;

/// The numbers of the applied commands of each member, as runs from first to last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Applied {
    members: OrdMap<MemberId, Runs>,
}

/// Runs of numbers that neither touch nor overlap: the last of each by its first.
pub(super) type Runs = OrdMap<u64, u64>;

impl Applied {
    /// Remember a command; false if it was applied before.
    pub(super) fn insert(&mut self, id: CommandId) -> bool {
        if let Some(runs) = self.members.get_mut(&id.member) {
            return insert(runs, id.sequence);
        }
        // Every member starts with a run of the one number that none uses.
        let mut runs = Runs::unit(0, 0);
        let new = insert(&mut runs, id.sequence);
        self.remember(id.member, runs);
        new
    }

    /// A member was removed: whatever it sent and is still on its way counts as applied.
    pub(super) fn close(&mut self, member: MemberId) {
        self.remember(member, Runs::unit(0, u64::MAX));
    }

    /// Whether a member was removed, as far as that is remembered.
    pub(super) fn is_closed(&self, member: MemberId) -> bool {
        self.members.get(&member).is_some_and(is_all)
    }

    /// The members that were removed, by id.
    pub(super) fn closed(&self) -> impl Iterator<Item = MemberId> {
        let closed = self.members.iter().filter(|(_, runs)| is_all(runs));
        closed.map(|(&member, _)| member)
    }

    fn remember(&mut self, member: MemberId, runs: Runs) {
        self.members.insert(member, runs);
        if self.members.len() > MEMBERS_MAX {
            let removed = self.closed().find(|&other| other != member);
            let any = || self.members.keys().find(|&&other| other != member).copied();
            if let Some(member) = removed.or_else(any) {
                self.members.remove(&member);
            }
        }
    }

    /// All of it, by member.
    pub(super) fn members(&self) -> &OrdMap<MemberId, Runs> {
        &self.members
    }

    /// What an image says of one member; false, and nothing changes, if it makes no sense.
    pub(super) fn restore(&mut self, member: MemberId, runs: Runs) -> bool {
        let mut end = None::<u64>;
        let sound = runs.iter().all(|(&first, &last)| {
            let apart = end.is_none_or(|end| end.checked_add(1).is_some_and(|next| next < first));
            end = Some(last);
            apart && first <= last
        });
        let bounded = runs.len() <= RUNS_MAX && self.members.len() < MEMBERS_MAX;
        let sound = sound && bounded && runs.contains_key(&0);
        sound && self.members.insert(member, runs).is_none()
    }
}

/// Add a number; false if it is there.
fn insert(runs: &mut Runs, number: u64) -> bool {
    let before = runs.get_prev(&number).map(|(&first, &last)| (first, last));
    if before.is_some_and(|(_, last)| number <= last) {
        return false;
    }
    let mut first = number;
    let mut last = number;
    if let Some((start, end)) = before
        && end + 1 == number
    {
        first = start;
    }
    if let Some(next) = number.checked_add(1)
        && let Some(end) = runs.remove(&next)
    {
        last = end;
    }
    runs.insert(first, last);
    if runs.len() > RUNS_MAX {
        close_oldest_gap(runs);
    }
    true
}

/// Whether every number there is counts as applied.
fn is_all(runs: &Runs) -> bool {
    runs.get(&0) == Some(&u64::MAX)
}

fn close_oldest_gap(runs: &mut Runs) {
    let mut oldest = runs.keys().copied();
    if let (Some(first), Some(second)) = (oldest.next(), oldest.next())
        && let Some(last) = runs.remove(&second)
    {
        runs.insert(first, last);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn id(member: u64, sequence: u64) -> CommandId {
        let member = MemberId::new(member).expect("not zero");
        CommandId { member, sequence }
    }

    #[test]
    fn members_do_not_share_numbers_and_those_removed_send_nothing_new() {
        let mut applied = Applied::default();
        assert!(applied.insert(id(1, 7)) && applied.insert(id(2, 7)));
        assert!(!applied.insert(id(1, 7)) && !applied.insert(id(1, 0)));
        applied.close(id(1, 7).member);
        assert!(!applied.insert(id(1, 8)) && applied.insert(id(2, 8)));
        assert!(applied.is_closed(id(1, 7).member) && !applied.is_closed(id(2, 7).member));
    }

    #[test]
    fn the_oldest_gap_closes_when_there_are_too_many() {
        let mut runs = Runs::unit(0, 0);
        for number in (2..).step_by(2).take(RUNS_MAX) {
            assert!(insert(&mut runs, number));
        }
        assert_eq!(runs.len(), RUNS_MAX);
        assert!(
            !insert(&mut runs, 1),
            "it is too old to be told from an applied one"
        );
        assert!(
            insert(&mut runs, 3) && insert(&mut runs, u64::MAX) && !insert(&mut runs, u64::MAX)
        );
    }

    #[test]
    fn the_number_of_members_is_bounded() {
        let mut applied = Applied::default();
        for member in 1..=MEMBERS_MAX as u64 + 1 {
            assert!(applied.insert(id(member, 1)));
        }
        assert_eq!(applied.members.len(), MEMBERS_MAX);
        assert!(!applied.insert(id(2, 1)) && !applied.insert(id(MEMBERS_MAX as u64 + 1, 1)));
        let removed = id(7, 1).member;
        applied.close(removed);
        applied.close(id(5_000, 1).member);
        assert_eq!(applied.members.len(), MEMBERS_MAX);
        assert!(
            !applied.is_closed(removed),
            "one that was removed goes first"
        );
        assert_eq!(applied.closed().count(), 1);
    }

    proptest! {
        #[test]
        fn runs_are_a_set(numbers in prop::collection::vec(1u64..60, 0..80)) {
            let mut runs = Runs::unit(0, 0);
            let mut set = BTreeSet::from([0]);
            for number in numbers {
                prop_assert_eq!(insert(&mut runs, number), set.insert(number));
                let all: BTreeSet<u64> = runs.iter().flat_map(|(&first, &last)| first..=last).collect();
                prop_assert_eq!(&all, &set);
            }
            let mut other = Applied::default();
            prop_assert!(other.restore(id(1, 1).member, runs));
        }
    }
}
