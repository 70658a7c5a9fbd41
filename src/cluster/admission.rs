//! Whether a machine that asks for a place may have one. Pure.

use super::{ClusterId, JoinError, JoinRequest, Member, MemberId, peer_address};

/// What a machine that may have a place is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// A new one.
    New,
    /// A member already.
    Known {
        /// Whether its name or addresses are others now.
        changed: bool,
    },
    /// A new one under the name of a member that is dead: that one leaves first.
    Replaces(MemberId),
}

/// Whether the machine may have a place in `cluster` that has these `members`, of which some are living:
/// the leader has heard of them lately.
///
/// # Errors
///
/// [`JoinError::ForeignCluster`], [`JoinError::AddressTaken`] or [`JoinError::NameTaken`].
pub fn admit(
    request: &JoinRequest,
    cluster: ClusterId,
    members: &[Member],
    is_living: impl Fn(MemberId) -> bool,
) -> Result<Admission, JoinError> {
    let asking = &request.member;
    match request.cluster {
        Some(theirs) if theirs != cluster => {
            return Err(JoinError::ForeignCluster {
                ours: cluster,
                theirs,
            });
        }
        Some(_) | None => {}
    }
    let others = || members.iter().filter(|member| member.id != asking.id);
    // Dead or not: who has the address under another name is another machine, or one of them is wrong.
    let same_address = |member: &&Member| {
        member.name != asking.name && same_place(&member.peer_url, &asking.peer_url)
    };
    if let Some(holder) = others().find(same_address) {
        return Err(JoinError::AddressTaken {
            name: asking.name.clone(),
            peer_url: asking.peer_url.clone(),
            holder: holder.name.clone(),
        });
    }
    let mut namesakes = others().filter(|member| member.name == asking.name);
    let namesake = namesakes.next();
    if let Some(holder) = namesake
        && is_living(holder.id)
    {
        return Err(JoinError::NameTaken {
            name: asking.name.clone(),
            holder: holder.id,
        });
    }
    if let Some(known) = members.iter().find(|member| member.id == asking.id) {
        return Ok(Admission::Known {
            changed: known != asking,
        });
    }
    Ok(namesake.map_or(Admission::New, |member| Admission::Replaces(member.id)))
}

fn same_place(one: &str, other: &str) -> bool {
    match (peer_address(one), peer_address(other)) {
        (Ok(one), Ok(other)) => {
            one.port == other.port && one.host.eq_ignore_ascii_case(&other.host)
        }
        (Ok(_) | Err(_), _) => one == other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> MemberId {
        MemberId::new(number).expect("not zero")
    }

    fn cluster(number: u64) -> ClusterId {
        ClusterId::new(number).expect("not zero")
    }

    fn member(number: u64, name: &str, host: &str) -> Member {
        Member {
            id: id(number),
            name: name.to_owned(),
            client_url: format!("http://{host}:4001"),
            peer_url: format!("http://{host}:7001"),
        }
    }

    fn admitted(asking: Member, living: &[u64]) -> Result<Admission, JoinError> {
        let members = [member(1, "one", "10.0.0.1"), member(2, "two", "10.0.0.2")];
        let request = JoinRequest {
            member: asking,
            cluster: None,
        };
        admit(&request, cluster(9), &members, |id| {
            living.contains(&id.get())
        })
    }

    #[test]
    fn who_may() {
        let new = member(3, "three", "10.0.0.3");
        assert_eq!(admitted(new, &[1, 2]), Ok(Admission::New));

        let again = member(2, "two", "10.0.0.2");
        let known = Admission::Known { changed: false };
        assert_eq!(admitted(again, &[1, 2]), Ok(known));

        let moved = member(2, "two", "10.0.0.7");
        let known = Admission::Known { changed: true };
        assert_eq!(admitted(moved, &[1]), Ok(known));

        let rebuilt = member(3, "two", "10.0.0.2");
        assert_eq!(admitted(rebuilt, &[1]), Ok(Admission::Replaces(id(2))));
    }

    #[test]
    fn who_may_not() {
        let namesake = member(3, "two", "10.0.0.3");
        let taken = admitted(namesake, &[1, 2]).expect_err("refused");
        assert!(matches!(taken, JoinError::NameTaken { holder, .. } if holder == id(2)));

        for living in [&[1, 2][..], &[1]] {
            let renamed = member(3, "three", "10.0.0.2");
            let taken = admitted(renamed, living).expect_err("refused");
            assert!(matches!(taken, JoinError::AddressTaken { holder, .. } if holder == "two"));
        }
        let onto_another = member(2, "two", "10.0.0.1");
        assert!(admitted(onto_another, &[1]).is_err());

        let request = JoinRequest {
            member: member(3, "three", "10.0.0.3"),
            cluster: Some(cluster(8)),
        };
        let foreign = admit(&request, cluster(9), &[], |_| true);
        assert!(matches!(foreign, Err(JoinError::ForeignCluster { .. })));
    }
}
