//! The backend: tokens are stored in a member inside this process, or in an etcd cluster.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::http::uri::InvalidUri;
use hyper::{Request, Uri};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tracing::warn;

use super::TOKEN_TTL;
use super::reply::{self, Reply};
use super::route::REGISTRY;
use crate::client::{self, Client, Get, Put};
use crate::config::TokenStore;
use crate::consensus::{Handle, Refused};
use crate::host::Failure;
use crate::http::Endpoint;
use crate::net::tls::Connector;
use crate::server::Embedded;
use crate::store::{self, Code, Command, Condition, Content, Path, PathError};
use crate::wal::StorageError;

/// Maximum length of the body of a forwarded request, in bytes.
const BODY_BYTES_MAX: usize = 64 << 10;

/// Timeout for the response of a cluster, except to a watch.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Where tokens are stored. Owned by the service.
pub(super) enum Backend {
    /// In a member inside this process.
    Embedded(Box<EmbeddedBackend>),
    /// In an etcd cluster, with the TLS for those of its members whose URL is `https`.
    Cluster(BackendHandle, Connector),
}

/// The embedded member, and the handle to it.
pub(super) struct EmbeddedBackend {
    member: Embedded,
    handle: BackendHandle,
}

/// Reads and writes tokens. Cheap to clone.
#[derive(Clone)]
pub(super) enum BackendHandle {
    /// In the member inside this process.
    Embedded(Handle, Endpoint),
    /// In a cluster.
    Cluster(Arc<Client>),
}

/// Why tokens cannot be read or written.
#[derive(Debug)]
pub(super) enum BackendError {
    /// The embedded member has no leader, or too many requests. Nothing was written.
    NotWritable,
    /// The embedded member did not answer in time, or is stopping. The write may still be applied.
    Unanswered,
    /// The store of the embedded member rejected the operation.
    Store(store::Error),
    /// The path of a token is not a valid key.
    Path(PathError),
    /// The path of a request is not a valid URI.
    Uri(InvalidUri),
    /// The cluster cannot be reached, or rejected the operation.
    Cluster(client::Error),
    /// No random token can be generated.
    Random(StorageError),
}

impl fmt::Display for BackendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotWritable => f.write_str("writing is not possible at present"),
            Self::Unanswered => f.write_str("timeout; the write may still be applied"),
            Self::Store(error) => error.fmt(f),
            Self::Path(error) => error.fmt(f),
            Self::Uri(error) => write!(f, "the path of the request is not valid: {error}"),
            Self::Cluster(error) => error.fmt(f),
            Self::Random(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for BackendError {}

impl From<store::Error> for BackendError {
    fn from(error: store::Error) -> Self {
        Self::Store(error)
    }
}

impl From<PathError> for BackendError {
    fn from(error: PathError) -> Self {
        Self::Path(error)
    }
}

impl From<client::Error> for BackendError {
    fn from(error: client::Error) -> Self {
        Self::Cluster(error)
    }
}

impl From<StorageError> for BackendError {
    fn from(error: StorageError) -> Self {
        Self::Random(error)
    }
}

impl Backend {
    /// Start the embedded member, or prepare a client of the cluster.
    ///
    /// # Errors
    ///
    /// Those of [`Embedded::start`]; [`Failure::Options`]: a TLS file for the cluster cannot be used.
    pub(super) async fn open(store: &TokenStore) -> Result<Self, Failure> {
        Ok(match store {
            TokenStore::Embedded(config) => {
                let member = Embedded::start(config).await?;
                let handle = BackendHandle::Embedded(member.handle(), member.endpoint());
                Self::Embedded(Box::new(EmbeddedBackend { member, handle }))
            }
            TokenStore::Cluster(cluster) => {
                let tls = Connector::of_client(cluster.ca.clone(), cluster.identity.clone());
                let tls = tls.map_err(|why| Failure::Options(format!("TLS for -etcd: {why}")))?;
                let client = Client::new(cluster.members.clone()).with_tls(tls.clone());
                Self::Cluster(BackendHandle::Cluster(Arc::new(client)), tls)
            }
        })
    }

    pub(super) fn handle(&self) -> BackendHandle {
        match self {
            Self::Embedded(embedded) => embedded.handle.clone(),
            Self::Cluster(handle, _) => handle.clone(),
        }
    }

    /// The TLS for connections to the cluster; none for an embedded member.
    pub(super) fn tls(&self) -> Option<Connector> {
        match self {
            Self::Embedded(_) => None,
            Self::Cluster(_, tls) => Some(tls.clone()),
        }
    }

    /// Wait until the backend fails permanently.
    pub(super) async fn failed(&mut self) -> Failure {
        match self {
            Self::Embedded(embedded) => match embedded.member.wait().await {
                Ok(()) => "the embedded member became ready twice".into(),
                Err(failure) => failure,
            },
            Self::Cluster(..) => std::future::pending().await,
        }
    }

    /// End the watches of the embedded member.
    pub(super) fn end_requests(&self) {
        if let Self::Embedded(embedded) = self {
            embedded.member.end_requests();
        }
    }

    /// Stop the embedded member.
    ///
    /// # Errors
    ///
    /// [`Failure::Other`]: the member failed before.
    pub(super) async fn close(self) -> Result<(), Failure> {
        if let Self::Embedded(embedded) = self {
            embedded.member.stop().await?;
        }
        Ok(())
    }
}

impl BackendHandle {
    /// The remaining time to live of a token; none if the token does not exist.
    pub(super) async fn ttl(&self, token: &str) -> Result<Option<Duration>, BackendError> {
        match self {
            Self::Embedded(handle, _) => {
                let view = handle.applied();
                match view.store.get(&path(token, "")?) {
                    Ok(node) => {
                        let node = node.listing(false, view.now()).node;
                        Ok(Some(to_ttl(node.ttl)))
                    }
                    Err(error) if error.code == Code::KeyNotFound => Ok(None),
                    Err(error) => Err(error.into()),
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
                        Ok(Some(to_ttl(ttl.unwrap_or(0))))
                    }
                    Err(client::Error::Api(error)) if error.error_code == 100 => Ok(None),
                    Err(error) => Err(error.into()),
                }
            }
        }
    }

    /// Create a token, with the size of its cluster if it is given.
    pub(super) async fn create_token(
        &self,
        token: &str,
        size: Option<u32>,
    ) -> Result<(), BackendError> {
        let size = size.map(|size| size.to_string());
        match self {
            Self::Embedded(handle, _) => {
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

    /// Reset the time to live of a token. This is not an event: watchers do not see it.
    pub(super) async fn renew(&self, token: &str) -> Result<(), BackendError> {
        match self {
            Self::Embedded(handle, _) => {
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

    /// Forward a request for a key of a token to the keys API.
    pub(super) async fn forward(
        &self,
        token: &str,
        key_below: &str,
        mut request: Request<Incoming>,
    ) -> Result<Reply, BackendError> {
        let mut target = format!("/v2/keys{}", key(token));
        for part in key_below.split('/').filter(|part| !part.is_empty()) {
            target.push('/');
            target.extend(utf8_percent_encode(part, NON_ALPHANUMERIC));
        }
        if let Some(query) = request.uri().query() {
            target = format!("{target}?{query}");
        }
        match self {
            Self::Embedded(_, endpoint) => {
                *request.uri_mut() = Uri::try_from(target).map_err(BackendError::Uri)?;
                Ok(endpoint.answer(request).await)
            }
            Self::Cluster(client) => forward_to_cluster(client, target, request).await,
        }
    }

    /// Check that tokens can be read and written.
    pub(super) async fn check(&self) -> Result<(), BackendError> {
        match self {
            Self::Embedded(handle, _) => match handle.applied().raft_status.leader {
                Some(_) => Ok(()),
                None => Err(BackendError::NotWritable),
            },
            // Whether the directory exists makes no difference.
            Self::Cluster(_) => self.ttl("").await.map(|_| ()),
        }
    }
}

async fn write(handle: &Handle, command: Command) -> Result<(), BackendError> {
    let written = handle
        .write(command)
        .await
        .map_err(|refused| match refused {
            Refused::NoLeader | Refused::Busy => BackendError::NotWritable,
            Refused::Unanswered | Refused::Stopping => BackendError::Unanswered,
        })?;
    written.result?;
    Ok(())
}

/// Forward a request to the cluster.
async fn forward_to_cluster(
    client: &Client,
    target: String,
    request: Request<Incoming>,
) -> Result<Reply, BackendError> {
    let method = request.method().clone();
    let is_watch = request.uri().query().is_some_and(|query| {
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        pairs.any(|(name, value)| name == "wait" && value == "true")
    });
    let form = match Limited::new(request.into_body(), BODY_BYTES_MAX)
        .collect()
        .await
    {
        Ok(body) => body.to_bytes(),
        Err(error) => {
            warn!("cannot read a request: {error}");
            return Ok(reply::bad_request("the body is too long or incomplete\n"));
        }
    };
    let request = client::Request {
        method,
        body: (!form.is_empty()).then_some(client::Body::Form(form)),
        timeout: (!is_watch).then_some(ANSWER_TIMEOUT),
        ..client::Request::page(&target)
    };
    Ok(reply::forwarded(client.send(&request).await?))
}

/// The directory of a token in the tree.
fn key(token: &str) -> String {
    format!("{REGISTRY}/{token}")
}

fn path(token: &str, below: &str) -> Result<Path, BackendError> {
    Ok(Path::parse(&format!("{}{below}", key(token)))?)
}

/// Convert a TTL in seconds, where 0 means that the node does not expire.
fn to_ttl(seconds: u64) -> Duration {
    match seconds {
        0 => Duration::MAX,
        seconds => Duration::from_secs(seconds),
    }
}
