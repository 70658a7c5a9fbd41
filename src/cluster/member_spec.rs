//! A machine before it has an id.

use super::{Member, MemberId};

/// What a machine is called and where it is reached, before it has an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberSpec {
    /// Its name.
    pub name: String,
    /// Where clients reach it.
    pub client_url: String,
    /// Where its peers do.
    pub peer_url: String,
}

impl MemberSpec {
    /// The member it is with this id.
    pub fn member(self, id: MemberId) -> Member {
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
