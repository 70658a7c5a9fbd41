//! The discovery service: directories of tokens, stored in an embedded member or in an etcd cluster.
//!
//! - `route`: the page of a path.
//! - `pages`: the response of each page.
//! - `backend`: where tokens are stored; the keys of a token are read and written as in the keys API.
//! - `reply`: responses and their status numbers.
//! - [`run`]: the service as a process.
//!
//! A token expires [`TOKEN_TTL`] after it was created or after the last member registered with it. Members renew
//! their registration every day, so a token that is in use does not expire.

mod backend;
mod pages;
mod reply;
mod route;
mod run;

use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tracing::info;

use crate::config::ServiceConfig;
use crate::host::Failure;
use crate::http::{ConnectionPolicy, Cors, Endpoint, Limits};
use crate::net::tls::{Acceptor, Connector};
use crate::server::Port;
use backend::Backend;
pub use run::run;

/// How long a token exists without a registration.
pub const TOKEN_TTL: Duration = Duration::from_secs(30 * 24 * 3600);

/// The running service.
pub struct Service {
    port: Port,
    base_url: String,
    tls: Option<Acceptor>,
    backend: Backend,
    stop: watch::Sender<bool>,
}

impl Service {
    /// Bind the port, open the backend, and serve.
    ///
    /// # Errors
    ///
    /// - [`Failure::Options`]: a certificate or key cannot be used.
    /// - [`Failure::Directory`]: the data directory is damaged or not a member's.
    /// - [`Failure::Other`]: the port cannot be bound, or the embedded member cannot be started.
    pub async fn bind(config: ServiceConfig) -> Result<Self, Failure> {
        let tls = config.tls.map(Acceptor::open).transpose();
        let tls = tls.map_err(|why| Failure::Options(format!("TLS: {why}")))?;
        let mut port = Port::reserve(
            None,
            &config.port.listen,
            "-addr",
            Handle::current(),
            tls.clone(),
        )
        .await?;
        let url = port.url(&config.port)?;
        info!(version = env!("CARGO_PKG_VERSION"), "starting");
        info!(%url, listen = %config.port.listen, "port bound");
        let backend = Backend::open(&config.store).await?;
        let (stop, stopped) = watch::channel(false);
        let policy = ConnectionPolicy {
            cors: Cors::default(),
            limits: Limits::default(),
            stop: stopped,
        };
        let base_url = config.base_url.unwrap_or(url);
        let pages = pages::pages(base_url.clone(), backend.handle());
        port.show(Endpoint::Service(policy, pages))?;
        info!("serving, new tokens at {base_url}/new");
        Ok(Self {
            port,
            base_url,
            tls,
            backend,
            stop,
        })
    }

    /// The base of token URLs, without a trailing slash.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The TLS of the port; none for plain HTTP.
    pub fn tls(&self) -> Option<Acceptor> {
        self.tls.clone()
    }

    /// The TLS for connections to the cluster that stores the tokens; none for an embedded member.
    pub fn cluster_tls(&self) -> Option<Connector> {
        self.backend.tls()
    }

    /// Serve until `shutdown`, then stop.
    ///
    /// # Errors
    ///
    /// [`Failure::Other`]: the embedded member failed.
    pub async fn run(
        mut self,
        shutdown: impl Future<Output = &'static str>,
    ) -> Result<(), Failure> {
        tokio::select! {
            failure = self.backend.failed() => return Err(failure),
            signal = shutdown => info!(signal, "stopping"),
        }
        // Without a receiver no connection is left to stop.
        let _ = self.stop.send(true);
        self.backend.end_requests();
        self.port.close().await;
        let stopped = self.backend.close().await;
        info!("stopped");
        stopped
    }
}
