//! The ids of the commands that were applied, so that none is applied twice.

use imbl::OrdMap;

use super::CommandId;
use crate::cluster::MemberId;

/// How many runs of applied numbers are kept per member. If there are more, the gap between the two oldest runs
/// counts as applied: a command that is so old and was never applied is dropped.
pub(super) const RUNS_MAX: usize = 16_384;

/// How many members are kept, including removed ones. If there are more, the removed member with the lowest id
/// is forgotten, or the member with the lowest id if none was removed.
pub(super) const MEMBERS_MAX: usize = 1024;

/// The numbers of the applied commands of each member, as runs from first to last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Applied {
    members: OrdMap<MemberId, Runs>,
}

/// Runs of consecutive numbers, which neither touch nor overlap: from the first number to the last.
pub(super) type Runs = OrdMap<u64, u64>;

impl Applied {
    /// Add a command. Returns false if it was applied before.
    pub(super) fn insert(&mut self, id: CommandId) -> bool {
        if let Some(runs) = self.members.get_mut(&id.member) {
            return insert(runs, id.sequence);
        }
        // Every member starts with a run of the number 0, which is not used.
        let mut runs = Runs::unit(0, 0);
        let new = insert(&mut runs, id.sequence);
        self.remember(id.member, runs);
        new
    }

    /// Close a removed member: commands of it that are still under way count as applied.
    pub(super) fn close(&mut self, member: MemberId) {
        self.remember(member, Runs::unit(0, u64::MAX));
    }

    /// Whether a member was closed, and is not forgotten.
    pub(super) fn is_closed(&self, member: MemberId) -> bool {
        self.members.get(&member).is_some_and(is_all)
    }

    /// The closed members, by id.
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

    /// The runs of all members.
    pub(super) fn members(&self) -> &OrdMap<MemberId, Runs> {
        &self.members
    }

    /// Add the runs of one member from an image. Returns false, without a change, if they are not valid.
    pub(super) fn restore(&mut self, member: MemberId, runs: Runs) -> bool {
        let mut end = None::<u64>;
        let valid = runs.iter().all(|(&first, &last)| {
            let apart = end.is_none_or(|end| end.checked_add(1).is_some_and(|next| next < first));
            end = Some(last);
            apart && first <= last
        });
        let bounded = runs.len() <= RUNS_MAX && self.members.len() < MEMBERS_MAX;
        let valid = valid && bounded && runs.contains_key(&0);
        valid && self.members.insert(member, runs).is_none()
    }
}

/// Add a number. Returns false if it is there already.
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

/// Whether all numbers count as applied.
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
    fn members_do_not_share_numbers_and_closed_ones_have_no_new_commands() {
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
            "too old to be distinguished from an applied one"
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
            "a removed member is forgotten first"
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
