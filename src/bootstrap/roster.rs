//! The roster as JSON: the page on which a member shows it, and how a standby keeps it.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, StatusCode, Uri};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::wire::{self, Machine};
use super::{ROSTER_PATH, page};
use crate::cluster::{MemberId, Roster, Settings};
use crate::config::Address;
use crate::failure::Failure;
use crate::tls::Connector;
use crate::transport::http;
use crate::wal::DataDir;

/// How long a member may take to show its roster.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// A roster as it is written.
#[derive(Serialize, Deserialize)]
pub(super) struct Written {
    oxetcd: u64,
    cluster: String,
    members: Vec<Machine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    leader: Option<String>,
    settings: Value,
}

impl Written {
    /// What is written of `roster`.
    pub(super) fn new(roster: &Roster) -> Self {
        Self {
            oxetcd: wire::version(),
            cluster: roster.cluster.to_string(),
            members: roster.members.iter().map(wire::machine).collect(),
            leader: roster.leader.map(|id| id.to_string()),
            settings: serde_json::from_str(&roster.settings.to_string()).unwrap_or_default(),
        }
    }

    /// What it says, or what is wrong with it.
    pub(super) fn roster(&self) -> Result<Roster, String> {
        if self.oxetcd != wire::version() {
            return Err(format!("it is of another version, {}", self.oxetcd));
        }
        let members: Result<Vec<_>, _> = self.members.iter().map(wire::member).collect();
        let leader = self.leader.as_deref().and_then(wire::number);
        Ok(Roster {
            cluster: wire::cluster(&self.cluster)?,
            members: members?,
            leader: leader.and_then(MemberId::new),
            settings: Settings::default().changed(self.settings.to_string().as_bytes())?,
        })
    }
}

/// The roster as JSON.
pub(super) fn to_json(roster: &Roster) -> Vec<u8> {
    wire::json(&Written::new(roster))
}

/// The roster that `json` says, or what is wrong with it.
pub(super) fn from_json(json: &[u8]) -> Result<Roster, String> {
    let written: Written = serde_json::from_slice(json).map_err(|error| error.to_string())?;
    written.roster()
}

/// The roster that a directory keeps for a machine without a place.
///
/// # Errors
///
/// It cannot be read.
pub(super) fn remembered(directory: &DataDir) -> Result<Option<Roster>, Failure> {
    let Some(json) = directory.standby_file()? else {
        return Ok(None);
    };
    from_json(&json).map(Some).map_err(|why| {
        Failure::Directory(format!(
            "the file standby in {} cannot be read ({why}): start with -force to throw it away",
            directory.path().display()
        ))
    })
}

/// The page at [`ROSTER_PATH`].
pub fn roster_page(roster: &Roster) -> Response<Full<Bytes>> {
    page::reply(StatusCode::OK, to_json(roster))
}

/// Ask a member for its roster.
pub(super) async fn ask(tls: &Connector, member: &Address) -> Result<Roster, String> {
    let mut request = Request::new(Full::default());
    *request.uri_mut() = Uri::from_static(ROSTER_PATH);
    let answer = http::request(tls, member, request, ANSWER_TIMEOUT).await;
    let answer = answer.map_err(|failure| failure.to_string())?;
    if answer.status != StatusCode::OK {
        return Err(format!("it answers {}", answer.status));
    }
    from_json(&answer.body)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cluster::{ClusterId, Member};

    fn roster() -> Roster {
        let id = MemberId::new(3).expect("not zero");
        Roster {
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
        assert_eq!(from_json(&to_json(&roster)), Ok(roster.clone()));
        let leaderless = Roster {
            leader: None,
            ..roster
        };
        assert_eq!(from_json(&to_json(&leaderless)), Ok(leaderless));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let json = String::from_utf8(to_json(&roster())).expect("text");
        for (from, to) in [
            ("1.25", "\"x\""),
            ("\"oxetcd\":1", "\"oxetcd\":2"),
            ("0000000000000009", "9"),
            ("127.0.0.1:7001", "nowhere at all"),
        ] {
            assert!(json.contains(from), "{from}");
            let bad = json.replace(from, to);
            assert!(from_json(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = from_json(&body);
        }
    }
}
