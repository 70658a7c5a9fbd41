//! Who is in the cluster, as a machine without a place is told.

use super::{ClusterId, Member, MemberId, Settings};

/// The members and what a standby goes by: an answer of one moment, which may be out of date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberList {
    /// The cluster.
    pub cluster: ClusterId,
    /// Its members.
    pub members: Vec<Member>,
    /// Who leads it, if that was known.
    pub leader: Option<MemberId>,
    /// What it is set to.
    pub settings: Settings,
}

impl MemberList {
    /// The leader, if it was known.
    pub fn leader(&self) -> Option<&Member> {
        self.members
            .iter()
            .find(|member| Some(member.id) == self.leader)
    }

    /// Whether one more machine may join.
    pub fn has_place(&self) -> bool {
        (self.members.len() as u64) < self.settings.active_size()
    }

    /// Whom to ask, the leader first.
    pub fn contacts(&self) -> Vec<&Member> {
        let mut members: Vec<_> = self.members.iter().collect();
        members.sort_by_key(|member| Some(member.id) != self.leader);
        members
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roster(size: u64, leader: Option<u64>) -> MemberList {
        let id = |number| MemberId::new(number).expect("not zero");
        let member = |number| Member {
            id: id(number),
            name: format!("m{number}"),
            client_url: format!("http://10.0.0.{number}:4001"),
            peer_url: format!("http://10.0.0.{number}:7001"),
        };
        MemberList {
            cluster: ClusterId::new(7).expect("not zero"),
            members: (1..=size).map(member).collect(),
            leader: leader.map(id),
            settings: Settings::default().with_active_size(3),
        }
    }

    #[test]
    fn places() {
        assert!(roster(2, None).has_place());
        assert!(!roster(3, None).has_place());
        assert!(!roster(4, None).has_place());
    }

    #[test]
    fn the_leader_is_asked_first() {
        let roster = roster(3, Some(3));
        let names = roster.contacts().into_iter().map(|member| &*member.name);
        assert_eq!(names.collect::<Vec<_>>(), ["m3", "m1", "m2"]);
        assert_eq!(roster.leader().map(|member| &*member.name), Some("m3"));
    }
}
