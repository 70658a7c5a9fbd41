//! The `/v2/members` pages of 2.x, which later clients use.

use bytes::{BufMut, BytesMut};

use super::about::member_by_id;
use super::reply::{self, Reply};
use super::{Pages, json};
use crate::cluster::{Member, MemberId, Refusal};

/// All members.
pub(super) fn list(pages: &Pages) -> Reply {
    let members: Vec<_> = pages.handle.applied().store.members().cloned().collect();
    let mut out = BytesMut::from("{\"members\":[");
    for (position, member) in members.iter().enumerate() {
        if position > 0 {
            out.put_u8(b',');
        }
        write_member(&mut out, member);
    }
    out.extend_from_slice(b"]}\n");
    reply::json(out.freeze())
}

/// The leader.
pub(super) fn leader(pages: &Pages) -> Reply {
    let leader = {
        let view = pages.handle.applied();
        view.raft_status
            .leader
            .and_then(|id| member_by_id(&view, id))
    };
    match leader {
        Some(leader) => {
            let mut out = BytesMut::new();
            write_member(&mut out, &leader);
            out.put_u8(b'\n');
            reply::json(out.freeze())
        }
        None => {
            let election = Refusal::Unavailable("During election".to_owned());
            reply::refused_member(&election, "")
        }
    }
}

/// Remove a member by its id.
pub(super) async fn remove(pages: &Pages, id: &str) -> Reply {
    let number = u64::from_str_radix(id, 16).ok();
    let removed = match number.and_then(MemberId::new) {
        Some(id) => pages.administration.remove_id(id).await,
        None => Err(Refusal::UnknownMember),
    };
    match removed {
        Ok(()) => reply::done(),
        Err(refusal) => reply::refused_member(&refusal, id),
    }
}

/// Write a member as 2.x does. The id is in hex without leading zeros, as those clients print it.
fn write_member(out: &mut BytesMut, member: &Member) {
    let id = format!("{:x}", member.id.get());
    for (before, text) in [
        ("{\"id\":", id.as_str()),
        (",\"name\":", &member.name),
        (",\"peerURLs\":[", &member.peer_url),
        ("],\"clientURLs\":[", &member.client_url),
    ] {
        out.extend_from_slice(before.as_bytes());
        json::string(out, text.as_bytes());
    }
    out.extend_from_slice(b"]}");
}
