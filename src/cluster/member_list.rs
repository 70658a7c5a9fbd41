//! The members of a cluster, as a member shows them to standbys.

use super::{ClusterId, Member, MemberId, Settings};

/// The members, the leader and the settings of a cluster at one moment, as one member knew them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberList {
    /// The cluster.
    pub cluster: ClusterId,
    /// Its members.
    pub members: Vec<Member>,
    /// The leader's id, if it was known.
    pub leader: Option<MemberId>,
    /// The cluster's settings.
    pub settings: Settings,
}

impl MemberList {
    /// The leader, if it was known.
    pub fn leader(&self) -> Option<&Member> {
        self.members
            .iter()
            .find(|member| Some(member.id) == self.leader)
    }

    /// Whether one more member may join.
    pub fn has_free_seat(&self) -> bool {
        (self.members.len() as u64) < self.settings.active_size()
    }

    /// The members in the order in which to ask them: the leader first.
    pub fn contacts(&self) -> Vec<&Member> {
        let mut members: Vec<_> = self.members.iter().collect();
        members.sort_by_key(|member| Some(member.id) != self.leader);
        members
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list_of(size: u64, leader: Option<u64>) -> MemberList {
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
    fn free_seats() {
        assert!(list_of(2, None).has_free_seat());
        assert!(!list_of(3, None).has_free_seat());
        assert!(!list_of(4, None).has_free_seat());
    }

    #[test]
    fn the_leader_is_asked_first() {
        let list = list_of(3, Some(3));
        let names = list.contacts().into_iter().map(|member| &*member.name);
        assert_eq!(names.collect::<Vec<_>>(), ["m3", "m1", "m2"]);
        assert_eq!(list.leader().map(|member| &*member.name), Some("m3"));
    }
}
