//! Administration of the cluster from outside: taking members out and changing the settings, asked at any
//! member. A member that does not lead passes the request on to the leader's peer port.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{Method, Request, StatusCode, Uri};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

use crate::cluster::{Member, MemberId, Settings, peer_address};
use crate::consensus::{Change, ChangeRefused, Handle, Role};
use crate::net::tls::Connector;
use crate::transport::http;

/// The header of a request that a member passed on: it goes no further.
pub const PASSED_ON: HeaderName = HeaderName::from_static("x-oxetcd-passed-on");

/// How long a request waits for a leader that can carry it out; a leader that takes itself out hands over
/// first.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long the leader may take to answer what was passed on: a little longer than it waits itself.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(7);

/// How long to wait before looking for the leader again.
const PAUSE: Duration = Duration::from_millis(50);

/// Administration of one cluster through one of its members.
#[derive(Clone)]
pub struct Administration {
    handle: Handle,
    tls: Connector,
    /// Held while the settings are read, changed and written.
    settings: Arc<Mutex<()>>,
}

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denied {
    /// There is no such member.
    Unknown,
    /// What was asked makes no sense, and why.
    Invalid(String),
    /// It would harm the cluster, and how.
    Refused(String),
    /// It could not be done now, and why; it may still happen.
    Unavailable(String),
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("there is no such member"),
            Self::Invalid(why) | Self::Refused(why) | Self::Unavailable(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Denied {}

/// What one attempt came to, if not what was asked for.
enum Attempt {
    /// It never will.
    Denied(Denied),
    /// Not now, and why.
    Later(String),
}

/// Who carries it out just now.
enum Leader {
    This,
    Other(Member),
}

impl Administration {
    /// Administration through the member behind `handle`, which calls others by `tls` where their URL says
    /// so.
    pub fn new(handle: Handle, tls: Connector) -> Self {
        Self {
            handle,
            tls,
            settings: Arc::default(),
        }
    }

    /// Take the member called `name` out of the cluster; returns once that is applied here. `passed_on`
    /// says that another member sent the request.
    ///
    /// # Errors
    ///
    /// Why not.
    pub async fn remove(&self, name: &str, passed_on: bool) -> Result<(), Denied> {
        self.current().await?;
        let named = |member: &Member| member.name == name;
        let id = self.member(named).map(|member| member.id);
        let id = id.ok_or(Denied::Unknown)?;
        self.take_out(id, passed_on).await
    }

    /// Take the member with this id out of the cluster; see [`Administration::remove`].
    ///
    /// # Errors
    ///
    /// Why not.
    pub async fn remove_id(&self, id: MemberId) -> Result<(), Denied> {
        self.current().await?;
        let known = self.member(|member| member.id == id);
        known.ok_or(Denied::Unknown)?;
        self.take_out(id, false).await
    }

    /// Change the settings as a JSON object says; returns all of them, as they are then.
    ///
    /// # Errors
    ///
    /// Why not.
    pub async fn configure(&self, json: Bytes, passed_on: bool) -> Result<Settings, Denied> {
        let attempt = || async {
            match self.leader(passed_on)? {
                Leader::This => {
                    let _alone = self.settings.lock().await;
                    self.current().await.map_err(Attempt::Denied)?;
                    let settings = self.handle.applied().settings();
                    let settings = settings.changed(&json);
                    let settings = settings.map_err(|why| Attempt::Denied(Denied::Invalid(why)))?;
                    self.change(Change::Configure(settings)).await?;
                    Ok(settings)
                }
                Leader::Other(leader) => {
                    let path = "/v2/admin/config".to_owned();
                    let answer = ask(&self.tls, &leader, (Method::PUT, path, json.clone())).await?;
                    Ok(Settings::parse(&answer))
                }
            }
        };
        let settings = self.insist(passed_on, attempt).await?;
        self.follow().await;
        Ok(settings)
    }

    async fn take_out(&self, id: MemberId, passed_on: bool) -> Result<(), Denied> {
        let attempt = || async {
            // An earlier attempt may have done it, though it could not tell.
            let Some(member) = self.member(|member| member.id == id) else {
                return Ok(());
            };
            match self.leader(passed_on)? {
                Leader::This => self.change(Change::Remove(id)).await,
                Leader::Other(leader) => {
                    let name = utf8_percent_encode(&member.name, NON_ALPHANUMERIC);
                    let path = format!("/v2/admin/machines/{name}");
                    let request = (Method::DELETE, path, Bytes::new());
                    match ask(&self.tls, &leader, request).await {
                        Ok(_) | Err(Attempt::Denied(Denied::Unknown)) => Ok(()),
                        Err(attempt) => Err(attempt),
                    }
                }
            }
        };
        self.insist(passed_on, attempt).await?;
        self.follow().await;
        Ok(())
    }

    /// Try until it is done, denied, or the time is over. What was passed on is tried once: whoever passed
    /// it on tries again.
    async fn insist<T, F>(&self, passed_on: bool, attempt: impl Fn() -> F) -> Result<T, Denied>
    where
        F: Future<Output = Result<T, Attempt>>,
    {
        let end = Instant::now() + PATIENCE;
        loop {
            match attempt().await {
                Ok(done) => return Ok(done),
                Err(Attempt::Denied(denied)) => return Err(denied),
                Err(Attempt::Later(why)) if passed_on || Instant::now() >= end => {
                    return Err(Denied::Unavailable(why));
                }
                Err(Attempt::Later(_)) => sleep(PAUSE).await,
            }
        }
    }

    async fn change(&self, change: Change) -> Result<(), Attempt> {
        let refused = match self.handle.change(change).await {
            Ok(()) => return Ok(()),
            Err(refused) => refused,
        };
        let denied = match refused {
            ChangeRefused::Unknown(_) => Denied::Unknown,
            ChangeRefused::Strands(_) | ChangeRefused::NoSuccessor => {
                Denied::Refused(refused.to_string())
            }
            ChangeRefused::NameTaken(_)
            | ChangeRefused::AddressTaken(_)
            | ChangeRefused::Full { .. }
            | ChangeRefused::Removed => Denied::Invalid(refused.to_string()),
            ChangeRefused::NotLeader(_) | ChangeRefused::Busy | ChangeRefused::Lost => {
                return Err(Attempt::Later(refused.to_string()));
            }
        };
        Err(Attempt::Denied(denied))
    }

    fn leader(&self, passed_on: bool) -> Result<Leader, Attempt> {
        let (role, leader) = {
            let view = self.handle.applied();
            (view.raft_status.role, view.raft_status.leader)
        };
        match leader.and_then(|id| self.member(|member| member.id == id)) {
            _ if role == Role::Leader => Ok(Leader::This),
            Some(_) if passed_on => Err(Attempt::Later("this member does not lead".to_owned())),
            Some(leader) => Ok(Leader::Other(leader)),
            None => Err(Attempt::Later("there is no leader just now".to_owned())),
        }
    }

    fn member(&self, is_it: impl Fn(&Member) -> bool) -> Option<Member> {
        let view = self.handle.applied();
        view.store.members().find(|member| is_it(member)).cloned()
    }

    /// What is known here is as good as anywhere.
    async fn current(&self) -> Result<(), Denied> {
        let waited = self.handle.barrier().await;
        let unavailable = |_| Denied::Unavailable("there is no leader just now".to_owned());
        waited.map_err(unavailable)
    }

    /// What was done is to be seen here. A member that took itself out cannot wait for that.
    async fn follow(&self) {
        let _ = tokio::time::timeout(PATIENCE, self.handle.barrier()).await;
    }
}

/// Have the leader do it; the body of its answer.
async fn ask(
    tls: &Connector,
    leader: &Member,
    (method, path, body): (Method, String, Bytes),
) -> Result<Bytes, Attempt> {
    let later =
        |error: &dyn fmt::Display| Attempt::Later(format!("the leader, {}: {error}", leader.name));
    let address = peer_address(&leader.peer_url).map_err(|error| later(&error))?;
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = Uri::try_from(path).map_err(|error| later(&error))?;
    let headers = request.headers_mut();
    headers.insert(PASSED_ON, HeaderValue::from_static("1"));
    let answer = http::request(tls, &address, request, ANSWER_TIMEOUT).await;
    let answer = answer.map_err(|error| later(&error))?;
    let why = || {
        let error: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let cause = error.get("cause").and_then(Value::as_str);
        cause.unwrap_or("it answers something else").to_owned()
    };
    match answer.status {
        StatusCode::OK => Ok(answer.body),
        StatusCode::NOT_FOUND => Err(Attempt::Denied(Denied::Unknown)),
        StatusCode::BAD_REQUEST => Err(Attempt::Denied(Denied::Invalid(why()))),
        StatusCode::CONFLICT => Err(Attempt::Denied(Denied::Refused(why()))),
        _ => Err(later(&why())),
    }
}
