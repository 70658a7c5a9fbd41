//! A member without ports: the only member of its cluster, inside another service that stores its data in it.

use super::member::{Member, MemberEvent};
use crate::bootstrap::{self, Started};
use crate::config::Config;
use crate::consensus::Handle;
use crate::host::Failure;
use crate::http::Endpoint;
use crate::net::tls::Connector;
use crate::transport::PeerThread;

/// Its URLs in the tree; no client sees them.
const URLS: (&str, &str) = ("http://127.0.0.1:4001", "http://127.0.0.1:7001");

/// A member without ports.
pub(crate) struct Embedded {
    member: Member,
    _thread: PeerThread,
}

impl Embedded {
    /// Open its data directory, or found a cluster in it; returns once its data is applied.
    ///
    /// # Errors
    ///
    /// Those of [`bootstrap::start`]; [`Failure::Directory`]: the directory is a standby's.
    pub(crate) async fn start(config: &Config) -> Result<Self, Failure> {
        let thread =
            PeerThread::start().map_err(|error| format!("cannot start a thread: {error}"))?;
        let urls = (URLS.0.to_owned(), URLS.1.to_owned());
        let tls = Connector::default();
        let Started::Member(prepared) = bootstrap::start(config, urls, &tls, None).await? else {
            return Err(Failure::Directory(format!(
                "{} belongs to a standby: choose another directory",
                config.data_dir.display()
            )));
        };
        let member = Member::start(config, *prepared, &thread, tls)?;
        let mut embedded = Self {
            member,
            _thread: thread,
        };
        embedded.wait().await?;
        Ok(embedded)
    }

    /// The handle on its store.
    pub(crate) fn handle(&self) -> Handle {
        self.member.handle()
    }

    /// What a client port would serve.
    pub(crate) fn endpoint(&self) -> Endpoint {
        self.member.client_endpoint()
    }

    /// Wait until it is ready; after that, until it fails.
    ///
    /// # Errors
    ///
    /// [`Failure::Other`]: it failed, or was removed from its own cluster.
    pub(crate) async fn wait(&mut self) -> Result<(), Failure> {
        match self.member.next_event().await? {
            MemberEvent::Ready => Ok(()),
            MemberEvent::Removed => Err("the member was removed from its own cluster".into()),
        }
    }

    /// Ask its watches to end.
    pub(crate) fn end_requests(&self) {
        self.member.end_requests();
    }

    /// Stop it.
    ///
    /// # Errors
    ///
    /// [`Failure::Other`]: it failed before.
    pub(crate) async fn stop(self) -> Result<(), Failure> {
        self.member.stop().await
    }
}
