//! Where the tokens are: in a member inside this process, or in a cluster that is asked.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Request, Response, StatusCode, Uri};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tracing::warn;

use super::TOKEN_TTL;
use super::route::REGISTRY;
use crate::client::{self, Answer, Client, Get, Put};
use crate::config::Keep;
use crate::consensus::{Handle, Refused};
use crate::host::Failure;
use crate::http::{Body, Endpoint};
use crate::net::tls::Connector;
use crate::server::Embedded;
use crate::store::{Code, Command, Condition, Content, Path, PathError};

/// The longest body of a request that is passed on, in bytes.
const BODY_BYTES_MAX: usize = 64 << 10;

/// How long a cluster may take to answer, unless it is asked to wait for a change.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// The registry, and what keeps it.
pub enum Registry {
    /// A member inside this process.
    Here(Box<Kept>),
    /// A cluster, and what is spoken with those of its members whose URL is `https`.
    Cluster(Access, Connector),
}

/// A member, and the way to it.
pub struct Kept {
    member: Embedded,
    access: Access,
}

/// The way to the tokens. Cheap to clone.
#[derive(Clone)]
pub enum Access {
    /// To the member inside this process.
    Here(Handle, Endpoint),
    /// To a cluster.
    Cluster(Arc<Client>),
}

/// Why the registry is of no help just now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble(String);

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Trouble {}

impl Trouble {
    pub(super) fn new(error: &dyn fmt::Display) -> Self {
        Self(error.to_string())
    }
}

impl Registry {
    /// Open the directory, or get ready to ask the cluster.
    pub(super) async fn open(keep: &Keep) -> Result<Self, Failure> {
        Ok(match keep {
            Keep::Here(config) => {
                let member = Embedded::start(config).await?;
                let access = Access::Here(member.handle(), member.endpoint());
                Self::Here(Box::new(Kept { member, access }))
            }
            Keep::Cluster(cluster) => {
                let tls = Connector::of_client(cluster.ca.clone(), cluster.identity.clone());
                let tls = tls.map_err(|why| Failure::Options(format!("TLS with -etcd: {why}")))?;
                let client = Client::new(cluster.members.clone()).with_tls(tls.clone());
                Self::Cluster(Access::Cluster(Arc::new(client)), tls)
            }
        })
    }

    pub(super) fn access(&self) -> Access {
        match self {
            Self::Here(kept) => kept.access.clone(),
            Self::Cluster(access, _) => access.clone(),
        }
    }

    /// What is spoken with a cluster.
    pub(super) fn tls(&self) -> Option<Connector> {
        match self {
            Self::Here(_) => None,
            Self::Cluster(_, tls) => Some(tls.clone()),
        }
    }

    /// Wait until it has failed for good, and why.
    pub(super) async fn failed(&mut self) -> Failure {
        match self {
            Self::Here(kept) => match kept.member.wait().await {
                Ok(()) => "the member that keeps the tokens began anew".into(),
                Err(why) => why,
            },
            Self::Cluster(..) => std::future::pending().await,
        }
    }

    pub(super) fn end_requests(&self) {
        if let Self::Here(kept) = self {
            kept.member.end_requests();
        }
    }

    pub(super) async fn close(self) -> Result<(), String> {
        match self {
            Self::Here(kept) => {
                let stopped = kept.member.stop().await;
                stopped.map_err(|failure| failure.to_string())
            }
            Self::Cluster(..) => Ok(()),
        }
    }
}

impl Access {
    /// How long a token still lives; none if there is no such token.
    pub(super) async fn life(&self, token: &str) -> Result<Option<Duration>, Trouble> {
        match self {
            Self::Here(handle, _) => {
                let view = handle.applied();
                match view.store.get(&path(token, "")?) {
                    Ok(found) => {
                        let node = found.listing(false, view.now()).node;
                        Ok(Some(lasting(node.ttl)))
                    }
                    Err(error) if error.code == Code::KeyNotFound => Ok(None),
                    Err(error) => Err(Trouble(error.to_string())),
                }
            }
            Self::Cluster(client) => {
                let get = Get {
                    quorum: true,
                    ..Get::default()
                };
                match client.get(&key(token), &get).await {
                    Ok(event) => {
                        let ttl = event.node.ttl.and_then(|ttl| u64::try_from(ttl).ok());
                        Ok(Some(lasting(ttl.unwrap_or(0))))
                    }
                    Err(client::Error::Api(error)) if error.error_code == 100 => Ok(None),
                    Err(error) => Err(Trouble(error.to_string())),
                }
            }
        }
    }

    /// Make a token, for a cluster of `size` members if that is said.
    pub(super) async fn make(&self, token: &str, size: Option<u32>) -> Result<(), Trouble> {
        let size = size.map(|size| size.to_string());
        match self {
            Self::Here(handle, _) => {
                let directory = Command::Create {
                    path: path(token, "")?,
                    content: Content::Directory,
                    ttl: Some(TOKEN_TTL),
                };
                write(handle, directory).await?;
                if let Some(size) = size {
                    let set = Command::Set {
                        path: path(token, "/_config/size")?,
                        content: Content::Value(Bytes::from(size)),
                        ttl: None,
                    };
                    write(handle, set).await?;
                }
            }
            Self::Cluster(client) => {
                let directory = Put {
                    directory: true,
                    ttl: Some(TOKEN_TTL.as_secs()),
                    prev_exist: Some(false),
                    ..Put::default()
                };
                client.put(&key(token), &directory).await?;
                if size.is_some() {
                    let set = Put {
                        value: size.map(Bytes::from),
                        ..Put::default()
                    };
                    client
                        .put(&format!("{}/_config/size", key(token)), &set)
                        .await?;
                }
            }
        }
        Ok(())
    }

    /// Let a token live for as long as a new one. Nobody who watches it hears of that.
    pub(super) async fn renew(&self, token: &str) -> Result<(), Trouble> {
        match self {
            Self::Here(handle, _) => {
                let refresh = Command::Refresh {
                    path: path(token, "")?,
                    condition: Condition::default(),
                    ttl: Some(TOKEN_TTL),
                };
                write(handle, refresh).await
            }
            Self::Cluster(client) => {
                let ttl = TOKEN_TTL.as_secs();
                let form = format!("refresh=true&dir=true&prevExist=true&ttl={ttl}");
                let request = client::Request {
                    method: hyper::Method::PUT,
                    body: Some(client::Body::Form(Bytes::from(form))),
                    timeout: Some(ANSWER_TIMEOUT),
                    ..client::Request::page(&format!("/v2/keys{}", key(token)))
                };
                client.send(&request).await?.event()?;
                Ok(())
            }
        }
    }

    /// Have the keys API answer a request for a key of a token.
    pub(super) async fn pass(
        &self,
        token: &str,
        key_below: &str,
        mut request: Request<Incoming>,
    ) -> Result<Response<Body>, Trouble> {
        let mut target = format!("/v2/keys{}", key(token));
        for part in key_below.split('/').filter(|part| !part.is_empty()) {
            target.push('/');
            target.extend(utf8_percent_encode(part, NON_ALPHANUMERIC));
        }
        if let Some(query) = request.uri().query() {
            target = format!("{target}?{query}");
        }
        match self {
            Self::Here(_, site) => {
                *request.uri_mut() = Uri::try_from(target)
                    .map_err(|error| Trouble(format!("the request has an odd path: {error}")))?;
                Ok(site.answer(request).await)
            }
            Self::Cluster(client) => ask(client, target, request).await,
        }
    }

    /// Whether the tokens can be read.
    pub(super) async fn check(&self) -> Result<(), Trouble> {
        match self {
            Self::Here(handle, _) => match handle.applied().raft_status.leader {
                Some(_) => Ok(()),
                None => Err(Trouble("nothing can be written just now".to_owned())),
            },
            // Whether anything was ever written there makes no difference.
            Self::Cluster(_) => self.life("").await.map(|_| ()),
        }
    }
}

impl From<client::Error> for Trouble {
    fn from(error: client::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<PathError> for Trouble {
    fn from(error: PathError) -> Self {
        Self(error.to_string())
    }
}

async fn write(handle: &Handle, command: Command) -> Result<(), Trouble> {
    let written = handle.write(command).await.map_err(|refused| {
        let why = match refused {
            Refused::NoLeader | Refused::Busy => "nothing can be written just now",
            Refused::Unanswered | Refused::Stopping => "what was to be written may be, or not",
        };
        Trouble(why.to_owned())
    })?;
    match written.result {
        Ok(_) => Ok(()),
        Err(error) => Err(Trouble(error.to_string())),
    }
}

/// Send a request on to the cluster, and its answer back.
async fn ask(
    client: &Client,
    target: String,
    request: Request<Incoming>,
) -> Result<Response<Body>, Trouble> {
    let method = request.method().clone();
    let waits = request.uri().query().is_some_and(|query| {
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        pairs.any(|(name, value)| name == "wait" && value == "true")
    });
    let form = match Limited::new(request.into_body(), BODY_BYTES_MAX)
        .collect()
        .await
    {
        Ok(body) => body.to_bytes(),
        Err(error) => {
            warn!("a request is not passed on: {error}");
            let mut response = Response::new(Body::whole("the request is too long or broke off\n"));
            *response.status_mut() = StatusCode::BAD_REQUEST;
            return Ok(response);
        }
    };
    let request = client::Request {
        method,
        body: (!form.is_empty()).then_some(client::Body::Form(form)),
        timeout: (!waits).then_some(ANSWER_TIMEOUT),
        ..client::Request::page(&target)
    };
    Ok(answered(client.send(&request).await?))
}

fn answered(answer: Answer) -> Response<Body> {
    let mut response = Response::new(Body::whole(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_GATEWAY);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, number) in [
        ("x-etcd-index", answer.index),
        ("x-raft-index", answer.raft_index),
        ("x-raft-term", answer.raft_term),
    ] {
        if let Some(number) = number {
            headers.insert(HeaderName::from_static(name), HeaderValue::from(number));
        }
    }
    response
}

/// A token's directory in the tree.
fn key(token: &str) -> String {
    format!("{REGISTRY}/{token}")
}

fn path(token: &str, below: &str) -> Result<Path, Trouble> {
    Ok(Path::parse(&format!("{}{below}", key(token)))?)
}

/// What is left of a life in seconds, where none stands for ever.
fn lasting(seconds: u64) -> Duration {
    match seconds {
        0 => Duration::MAX,
        seconds => Duration::from_secs(seconds),
    }
}
