//! The JSON that asks for a place and answers.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cluster::{
    ClusterId, JoinAnswer, JoinError, JoinRequest, Member, MemberId, MemberList, Settings,
    peer_address,
};
use crate::transport::PROTOCOL_VERSION;

/// Where a machine asks to join: `POST`, JSON.
pub const JOIN_PATH: &str = "/oxetcd/join";

/// Where a member shows the [`MemberList`] to standbys.
pub const ROSTER_PATH: &str = "/oxetcd/roster";

/// The longest name, as `-name` takes it.
const NAME_BYTES_MAX: usize = 250;

/// The longest URL, and the longest sentence shown.
const TEXT_BYTES_MAX: usize = 1024;

#[derive(Serialize, Deserialize)]
struct Version {
    oxetcd: u64,
}

#[derive(Serialize, Deserialize)]
struct Request {
    oxetcd: u64,
    cluster: Option<String>,
    member: MemberJson,
}

/// A member as it is written.
#[derive(Serialize, Deserialize)]
pub(crate) struct MemberJson {
    id: String,
    name: String,
    client_url: String,
    peer_url: String,
}

#[derive(Serialize, Deserialize)]
struct Accepted {
    oxetcd: u64,
    cluster: String,
    members: Vec<MemberJson>,
}

#[derive(Serialize, Deserialize)]
struct Declined {
    oxetcd: u64,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    leader: Option<String>,
    /// Where there is no place: who has them all.
    #[serde(skip_serializing_if = "Option::is_none")]
    roster: Option<MemberListJson>,
}

/// What an error says to a machine that asked.
pub(crate) struct Said {
    /// The sentence.
    pub(crate) message: String,
    /// The leader's peer URL, if it names one.
    pub(crate) leader: Option<String>,
    /// Who has all the places, if that is the reason.
    pub(crate) roster: Option<MemberList>,
}

/// The version of what is written here.
pub(super) fn version() -> u64 {
    PROTOCOL_VERSION.into()
}

/// The request as JSON.
pub(crate) fn request_out(request: &JoinRequest) -> Vec<u8> {
    json(&Request {
        oxetcd: version(),
        cluster: request.cluster.map(|id| id.to_string()),
        member: machine(&request.member),
    })
}

/// The request that `body` says. The version comes first: of another one, nothing else can be told.
pub(crate) fn request_in(body: &[u8]) -> Result<JoinRequest, JoinError> {
    let invalid = |error: serde_json::Error| JoinError::Invalid(error.to_string());
    let asking: Version = serde_json::from_slice(body).map_err(invalid)?;
    if asking.oxetcd != version() {
        return Err(JoinError::Version {
            ours: version(),
            theirs: asking.oxetcd,
        });
    }
    let request: Request = serde_json::from_slice(body).map_err(invalid)?;
    let read = || {
        Ok(JoinRequest {
            member: member(&request.member)?,
            cluster: request.cluster.as_deref().map(cluster).transpose()?,
        })
    };
    read().map_err(JoinError::Invalid)
}

/// The answer as JSON.
pub(crate) fn answer_out(answer: &JoinAnswer) -> Vec<u8> {
    json(&Accepted {
        oxetcd: version(),
        cluster: answer.cluster.to_string(),
        members: answer.members.iter().map(machine).collect(),
    })
}

/// The answer that `body` says to `asking`, or what is wrong with it.
pub(crate) fn answer_in(body: &[u8], asking: MemberId) -> Result<JoinAnswer, String> {
    let answer: Accepted = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let members: Result<Vec<_>, _> = answer.members.iter().map(member).collect();
    let answer = JoinAnswer {
        cluster: cluster(&answer.cluster)?,
        members: members?,
    };
    if !answer.members.iter().any(|member| member.id == asking) {
        return Err("this machine is not among the members it names".to_owned());
    }
    Ok(answer)
}

/// The error as JSON.
pub(crate) fn error_out(error: &JoinError) -> Vec<u8> {
    let (leader, roster) = match error {
        JoinError::NotLeader { leader } => (Some(leader.clone()), None),
        JoinError::NoPlace(roster) => (None, Some(MemberListJson::new(roster))),
        JoinError::NameTaken { .. }
        | JoinError::AddressTaken { .. }
        | JoinError::Version { .. }
        | JoinError::ForeignCluster { .. }
        | JoinError::Removed
        | JoinError::Invalid(_)
        | JoinError::Unready(_) => (None, None),
    };
    json(&Declined {
        oxetcd: version(),
        message: error.to_string(),
        leader,
        roster,
    })
}

/// What `body` says; none if it is nobody of ours.
pub(crate) fn error_in(body: &[u8]) -> Option<Said> {
    let declined: Declined = serde_json::from_slice(body).ok()?;
    // It will be shown on a terminal.
    let message = declined.message.chars().filter(|c| !c.is_control());
    Some(Said {
        message: message.take(TEXT_BYTES_MAX).collect(),
        leader: declined.leader,
        roster: declined.roster.and_then(|written| written.roster().ok()),
    })
}

/// A value as JSON with an end of line.
pub(crate) fn json(value: &impl Serialize) -> Vec<u8> {
    // Strings and numbers always make JSON; an empty body would be refused by the other side.
    let mut body = serde_json::to_vec(value).unwrap_or_default();
    body.push(b'\n');
    body
}

/// A member as it is written.
pub(super) fn machine(member: &Member) -> MemberJson {
    MemberJson {
        id: member.id.to_string(),
        name: member.name.clone(),
        client_url: member.client_url.clone(),
        peer_url: member.peer_url.clone(),
    }
}

/// The member that is written, or what is wrong with it.
pub(super) fn member(machine: &MemberJson) -> Result<Member, String> {
    let MemberJson {
        id,
        name,
        client_url,
        peer_url,
    } = machine;
    // It becomes a key below /_etcd/machines, where . and .. would be somewhere else.
    if matches!(name.as_str(), "" | "." | "..")
        || name.len() > NAME_BYTES_MAX
        || name.contains(|c: char| c == '/' || c.is_control())
    {
        return Err(format!("{name:?} is no name of a member"));
    }
    let after_scheme = client_url
        .strip_prefix("http://")
        .or_else(|| client_url.strip_prefix("https://"));
    let has_host = after_scheme.is_some_and(|rest| peer_address(rest).is_ok());
    let blank = |c: char| c.is_control() || c.is_whitespace();
    if !has_host || client_url.len() > TEXT_BYTES_MAX || client_url.contains(blank) {
        return Err(format!("{client_url:?} is no URL of a client port"));
    }
    if let Err(error) = peer_address(peer_url) {
        return Err(error.to_string());
    }
    Ok(Member {
        id: number(id)
            .and_then(MemberId::new)
            .ok_or_else(|| format!("{id:?} is no id of a member"))?,
        name: name.clone(),
        client_url: client_url.clone(),
        peer_url: peer_url.clone(),
    })
}

/// The id of a cluster.
pub(super) fn cluster(id: &str) -> Result<ClusterId, String> {
    number(id)
        .and_then(ClusterId::new)
        .ok_or_else(|| format!("{id:?} is no id of a cluster"))
}

/// Sixteen hex digits.
pub(super) fn number(text: &str) -> Option<u64> {
    let digits = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits.then(|| u64::from_str_radix(text, 16).ok()).flatten()
}

/// The member list as JSON.
#[derive(Serialize, Deserialize)]
pub(crate) struct MemberListJson {
    oxetcd: u64,
    cluster: String,
    members: Vec<MemberJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    leader: Option<String>,
    settings: Value,
}

impl MemberListJson {
    /// What is written of `roster`.
    pub(super) fn new(roster: &MemberList) -> Self {
        Self {
            oxetcd: version(),
            cluster: roster.cluster.to_string(),
            members: roster.members.iter().map(machine).collect(),
            leader: roster.leader.map(|id| id.to_string()),
            settings: serde_json::from_str(&roster.settings.to_string()).unwrap_or_default(),
        }
    }

    /// What it says, or what is wrong with it.
    pub(super) fn roster(&self) -> Result<MemberList, String> {
        if self.oxetcd != version() {
            return Err(format!("it is of another version, {}", self.oxetcd));
        }
        let members: Result<Vec<_>, _> = self.members.iter().map(member).collect();
        let leader = self.leader.as_deref().and_then(number);
        Ok(MemberList {
            cluster: cluster(&self.cluster)?,
            members: members?,
            leader: leader.and_then(MemberId::new),
            settings: Settings::default().changed(self.settings.to_string().as_bytes())?,
        })
    }
}

/// The roster as JSON.
pub(crate) fn member_list_out(roster: &MemberList) -> Vec<u8> {
    json(&MemberListJson::new(roster))
}

/// The roster that `json` says, or what is wrong with it.
pub(crate) fn member_list_in(json: &[u8]) -> Result<MemberList, String> {
    let written: MemberListJson =
        serde_json::from_slice(json).map_err(|error| error.to_string())?;
    written.roster()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn request() -> JoinRequest {
        JoinRequest {
            member: Member {
                id: MemberId::new(0xfeed).expect("not zero"),
                name: "ein Döner".to_owned(),
                client_url: "http://[::1]:4001".to_owned(),
                peer_url: "http://[::1]:7001".to_owned(),
            },
            cluster: ClusterId::new(7),
        }
    }

    #[test]
    fn there_and_back() {
        let request = request();
        assert_eq!(request_in(&request_out(&request)), Ok(request.clone()));
        let alone = JoinRequest {
            cluster: None,
            ..request.clone()
        };
        assert_eq!(request_in(&request_out(&alone)), Ok(alone));

        let answer = JoinAnswer {
            cluster: ClusterId::new(7).expect("not zero"),
            members: vec![request.member.clone()],
        };
        let body = answer_out(&answer);
        assert_eq!(answer_in(&body, request.member.id), Ok(answer));
        let other = MemberId::new(1).expect("not zero");
        assert!(answer_in(&body, other).is_err());
    }

    #[test]
    fn another_version_is_told_first() {
        let error = request_in(br#"{"oxetcd":9,"what":"ever"}"#).expect_err("refused");
        assert_eq!(error, JoinError::Version { ours: 1, theirs: 9 });
    }

    #[test]
    fn bad_requests() {
        let good = String::from_utf8(request_out(&request())).expect("text");
        for (from, to) in [
            ("ein Döner", "a/b"),
            ("ein Döner", ""),
            ("ein Döner", "a\\nb"),
            ("ein Döner", "."),
            ("ein Döner", ".."),
            ("ein Döner", &"n".repeat(251)),
            ("000000000000feed", "0000000000000000"),
            ("000000000000feed", "+00000000000feed"),
            ("000000000000feed", "feed"),
            ("http://[::1]:7001", "nowhere at all"),
            ("http://[::1]:4001", "localhost:4001"),
            ("http://[::1]:4001", "http://"),
            ("http://[::1]:4001", "http://a:99999"),
            ("\"member\"", "\"number\""),
        ] {
            assert!(good.contains(from), "{from}");
            let bad = good.replace(from, to);
            let error = request_in(bad.as_bytes()).expect_err(&bad);
            assert!(matches!(error, JoinError::Invalid(_)), "{error:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = request_in(&body);
            let _ = error_in(&body);
            let _ = answer_in(&body, request().member.id);
        }
    }
}

#[cfg(test)]
mod member_list_tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cluster::{ClusterId, Member};

    fn roster() -> MemberList {
        let id = MemberId::new(3).expect("not zero");
        MemberList {
            cluster: ClusterId::new(9).expect("not zero"),
            members: vec![Member {
                id,
                name: "three".to_owned(),
                client_url: "http://127.0.0.1:4001".to_owned(),
                peer_url: "http://127.0.0.1:7001".to_owned(),
            }],
            leader: Some(id),
            settings: Settings::parse(b"{\"activeSize\":3,\"syncInterval\":1.25}"),
        }
    }

    #[test]
    fn there_and_back() {
        let roster = roster();
        assert_eq!(
            member_list_in(&member_list_out(&roster)),
            Ok(roster.clone())
        );
        let leaderless = MemberList {
            leader: None,
            ..roster
        };
        assert_eq!(
            member_list_in(&member_list_out(&leaderless)),
            Ok(leaderless)
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let json = String::from_utf8(member_list_out(&roster())).expect("text");
        for (from, to) in [
            ("1.25", "\"x\""),
            ("\"oxetcd\":1", "\"oxetcd\":2"),
            ("0000000000000009", "9"),
            ("127.0.0.1:7001", "nowhere at all"),
        ] {
            assert!(json.contains(from), "{from}");
            let bad = json.replace(from, to);
            assert!(member_list_in(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = member_list_in(&body);
        }
    }
}
