//! A member before it has an id.

use super::{Member, MemberId};

/// The name and the addresses of a member that has no id yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberSpec {
    /// Its name.
    pub name: String,
    /// The URL of its client port.
    pub client_url: String,
    /// The URL of its peer port.
    pub peer_url: String,
}

impl MemberSpec {
    /// The member with this id.
    pub fn into_member(self, id: MemberId) -> Member {
        Member {
            id,
            name: self.name,
            client_url: self.client_url,
            peer_url: self.peer_url,
        }
    }
}

impl From<Member> for MemberSpec {
    fn from(member: Member) -> Self {
        Self {
            name: member.name,
            client_url: member.client_url,
            peer_url: member.peer_url,
        }
    }
}
