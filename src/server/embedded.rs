//! A member without ports: the only one of its cluster, inside another service that keeps its state in it.

use super::member::{Member, Turn};
use crate::bootstrap::{self, Started};
use crate::config::Config;
use crate::consensus::Handle;
use crate::host::Failure;
use crate::http::Endpoint;
use crate::net::tls::Connector;
use crate::transport::PeerThread;

/// What its URLs are in the tree; nobody is ever told.
const URLS: (&str, &str) = ("http://127.0.0.1:4001", "http://127.0.0.1:7001");

/// A member without ports.
pub(crate) struct Embedded {
    member: Member,
    _thread: PeerThread,
}

impl Embedded {
    /// Open its data directory, or found one; returns once what it holds is applied.
    ///
    /// # Errors
    ///
    /// A sentence.
    pub(crate) async fn start(config: &Config) -> Result<Self, Failure> {
        let thread =
            PeerThread::start().map_err(|error| format!("cannot start a thread: {error}"))?;
        let urls = (URLS.0.to_owned(), URLS.1.to_owned());
        let tls = Connector::default();
        let Started::Member(beginning) = bootstrap::begin(config, urls, &tls, None).await? else {
            return Err(Failure::Directory(format!(
                "{} is a standby's: choose another directory",
                config.data_dir.display()
            )));
        };
        let member = Member::start(config, *beginning, &thread, tls)?;
        let mut embedded = Self {
            member,
            _thread: thread,
        };
        embedded.turn().await?;
        Ok(embedded)
    }

    /// The way to its store.
    pub(crate) fn handle(&self) -> Handle {
        self.member.handle()
    }

    /// What a client port would serve.
    pub(crate) fn site(&self) -> Endpoint {
        self.member.client_site()
    }

    /// Wait until it is ready, or, once it is, until it fails.
    ///
    /// # Errors
    ///
    /// What it failed with.
    pub(crate) async fn turn(&mut self) -> Result<(), Failure> {
        match self.member.turn().await? {
            Turn::Ready => Ok(()),
            Turn::Removed => Err("it was taken out of its own cluster".into()),
        }
    }

    /// Ask its watches to end.
    pub(crate) fn end_requests(&self) {
        self.member.end_requests();
    }

    /// End it.
    ///
    /// # Errors
    ///
    /// What it failed with before.
    pub(crate) async fn stop(self) -> Result<(), String> {
        self.member.stop().await
    }
}
