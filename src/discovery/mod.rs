//! The discovery service: a directory of tokens, kept by a member of its own inside it or in some cluster.
//!
//! - `route`: which page a path names.
//! - `pages`: what each answers.
//! - [`Registry`]: where the tokens are; a key of one is read and written as the keys API does it.
//!
//! A token expires [`TOKEN_TTL`] after the last machine registered with it, or after it was made. Machines
//! renew their registrations every day, so one that is in use stays.

mod pages;
mod registry;
mod route;
mod run;

use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tracing::info;

use crate::config::ServiceConfig;
use crate::host::{Failure, systemd};
use crate::http::{ConnectionPolicy, Cors, Endpoint, Limits};
use crate::net::tls::{Acceptor, Connector};
use crate::server::Port;
pub use registry::{Registry, Trouble};
pub use run::run;

/// How long a token lives without a machine that registers.
pub const TOKEN_TTL: Duration = Duration::from_secs(30 * 24 * 3600);

/// The service, which serves.
pub struct Service {
    port: Port,
    url: String,
    tls: Option<Acceptor>,
    registry: Registry,
    stop: watch::Sender<bool>,
}

impl Service {
    /// Open and bind everything, and serve.
    ///
    /// # Errors
    ///
    /// A sentence for whoever started it.
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
        info!("etcd-discovery (oxetcd {})", env!("CARGO_PKG_VERSION"));
        info!("serves {url} ({})", config.port.listen);
        let registry = Registry::open(&config.store).await?;
        let (stop, stopped) = watch::channel(false);
        let manners = ConnectionPolicy {
            cors: Cors::default(),
            limits: Limits::default(),
            stop: stopped,
        };
        let base_url = config.base_url.unwrap_or_else(|| url.clone());
        info!("new tokens at {base_url}/new");
        let pages = pages::pages(base_url.clone(), registry.access());
        port.show(Endpoint::Service(manners, pages))?;
        systemd::ready(&format!("new tokens at {base_url}/new"));
        Ok(Self {
            port,
            url,
            tls,
            registry,
            stop,
        })
    }

    /// Its own URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The TLS it speaks; none for plain HTTP.
    pub fn tls(&self) -> Option<Acceptor> {
        self.tls.clone()
    }

    /// The TLS it speaks with a cluster; none where it keeps the tokens itself.
    pub fn cluster_tls(&self) -> Option<Connector> {
        self.registry.tls()
    }

    /// Serve until `shutdown`, then stop.
    ///
    /// # Errors
    ///
    /// What failed meanwhile.
    pub async fn run(
        mut self,
        shutdown: impl Future<Output = &'static str>,
    ) -> Result<(), Failure> {
        tokio::select! {
            failed = self.registry.failed() => return Err(failed),
            signal = shutdown => {
                info!("{signal}: stopping");
                systemd::stopping(&format!("{signal}: stopping"));
            }
        }
        // Nobody may be serving any more, which is as good.
        let _ = self.stop.send(true);
        self.registry.end_requests();
        self.port.close().await;
        let stopped = self.registry.close().await;
        info!("stopped");
        Ok(stopped?)
    }
}
