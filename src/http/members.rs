//! 2.x's `/v2/members`: later clients ask for it first, and show it.

use bytes::{BufMut, BytesMut};

use super::about::member_by_id;
use super::reply::{self, Reply};
use super::{Pages, json};
use crate::cluster::{Member, MemberId};
use crate::membership::admin::Denied;

/// All members.
pub(super) fn list(pages: &Pages) -> Reply {
    let members: Vec<_> = pages.handle.applied().store.members().cloned().collect();
    let mut out = BytesMut::from("{\"members\":[");
    for (place, member) in members.iter().enumerate() {
        if place > 0 {
            out.put_u8(b',');
        }
        write(&mut out, member);
    }
    out.extend_from_slice(b"]}\n");
    reply::json(out.freeze())
}

/// The member that leads.
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
            write(&mut out, &leader);
            out.put_u8(b'\n');
            reply::json(out.freeze())
        }
        None => reply::denied_member(&Denied::Unavailable("During election".to_owned()), ""),
    }
}

/// Take a member out, by its id.
pub(super) async fn remove(pages: &Pages, id: &str) -> Reply {
    let number = u64::from_str_radix(id, 16).ok();
    let removed = match number.and_then(MemberId::new) {
        Some(id) => pages.administration.remove_id(id).await,
        None => Err(Denied::Unknown),
    };
    match removed {
        Ok(()) => reply::done(),
        Err(denied) => reply::denied_member(&denied, id),
    }
}

/// A member as 2.x has it. The id is in hex without leading zeros, as those clients print it.
fn write(out: &mut BytesMut, member: &Member) {
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
