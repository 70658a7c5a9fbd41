//! A whole server: it binds its ports, starts a member or a standby, and runs until it is stopped.
//!
//! A server may change from a member to a standby and back many times; its ports stay open, and what they serve changes.
//! `member` is a running member, [`standby`] a standby, `ports` the two ports, `embedded` a member without ports, and
//! [`daemon`] the server as a service.

pub mod daemon;
mod embedded;
mod member;
mod ports;
pub mod standby;
mod tls;

use std::future::Future;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::info;

use crate::bootstrap::{self, Contacts, PreparedStandby, Started, history_limits};
use crate::cluster::Member as Identity;
use crate::config::Config;
use crate::consensus;
use crate::host::Failure;
use crate::host::systemd::Sockets;
use crate::http::{ConnectionPolicy, Cors, Limits};
use crate::transport::PeerThread;
pub(crate) use embedded::Embedded;
use member::{Member, MemberEvent};
pub(crate) use ports::Port;
use standby::Standby;
pub use tls::Tls;

/// A running member or standby with its ports.
pub struct Server {
    config: Config,
    client: Port,
    peer: Port,
    /// The thread of the peer port and of the connections to peers.
    thread: PeerThread,
    tls: Tls,
    /// Renews the registration with the discovery service.
    registering: Option<JoinHandle<()>>,
    role: Role,
    condition: watch::Sender<Condition>,
}

/// What a server is at present, for its service manager.
#[derive(Clone)]
pub enum Condition {
    /// It does not serve yet.
    Starting,
    /// A member that serves clients.
    Member(consensus::Handle),
    /// A standby, and the leader as far as it knows.
    Standby(watch::Receiver<Option<Identity>>),
}

/// The server's role at present.
enum Role {
    Member(Box<Member>),
    Standby(Box<Standby>),
    /// A standby was admitted; clients are redirected until the data of the cluster is here.
    Joining(Box<Member>, Box<Standby>),
    /// A change of roles failed, and the server stops.
    None,
}

impl Server {
    /// Bind the ports, start, and serve. Ports are reserved before the data directory is opened; the client port opens
    /// once the data of the cluster is here, or clients can be redirected.
    ///
    /// # Errors
    ///
    /// [`Failure`]: a TLS file is not valid, a port cannot be bound, or as for [`bootstrap::start`].
    pub async fn bind(config: Config, sockets: Sockets) -> Result<Self, Failure> {
        let tls = Tls::open(&config)?;
        let thread =
            PeerThread::start().map_err(|error| format!("cannot start a thread: {error}"))?;
        let (here, there) = (Handle::current(), thread.runtime().clone());
        let (listen, inherited) = (&config.client.listen, sockets.client);
        let client = Port::reserve(inherited, listen, "-addr", here, tls.client.clone()).await?;
        let (listen, inherited) = (&config.peer.listen, sockets.peer);
        let peer = Port::reserve(inherited, listen, "-peer-addr", there, tls.peer.clone()).await?;
        let urls = (client.url(&config.client)?, peer.url(&config.peer)?);
        info!("etcd 0.4.6 (oxetcd {})", env!("CARGO_PKG_VERSION"));
        info!(
            "name {}, data in {}",
            config.name,
            config.data_dir.display()
        );
        info!("clients at {} ({})", urls.0, config.client.listen);
        info!("peers at {} ({})", urls.1, config.peer.listen);

        let tokens = tls::token_directory(&config)?;
        let started = bootstrap::start(&config, urls, &tls.to_peers, tokens.as_ref()).await?;
        let registering = tokens.map(|tokens| {
            let (spec, id) = started.spec();
            tokio::spawn(async move { tokens.keep_registered(&spec, id).await })
        });
        let mut server = Self {
            config,
            client,
            peer,
            thread,
            tls,
            registering,
            role: Role::None,
            condition: watch::Sender::new(Condition::Starting),
        };
        match started {
            Started::Member(prepared) => {
                let member = Member::start(
                    &server.config,
                    *prepared,
                    &server.thread,
                    server.tls.to_peers.clone(),
                )?;
                server.peer.show(member.peer_endpoint())?;
                server.role = Role::Member(Box::new(member));
                server.step().await?;
            }
            Started::Standby(prepared) => server.stand_by(prepared)?,
        }
        Ok(server)
    }

    /// Its TLS.
    pub fn tls(&self) -> Tls {
        self.tls.clone()
    }

    /// What it is at present, and later changes.
    pub fn condition(&self) -> watch::Receiver<Condition> {
        self.condition.subscribe()
    }

    /// Serve until `shutdown`, then stop: leadership is transferred, watches and requests end, the ports close.
    ///
    /// # Errors
    ///
    /// [`Failure`]: the member or the standby failed.
    pub async fn run(
        mut self,
        shutdown: impl Future<Output = &'static str>,
    ) -> Result<(), Failure> {
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            tokio::select! {
                stepped = self.step() => stepped?,
                signal = &mut shutdown => {
                    info!("{signal}: stopping");
                    break;
                }
            }
        }
        if let Some(registering) = &self.registering {
            registering.abort();
        }
        let member = match self.role {
            Role::Member(member) => Some(member),
            Role::Joining(member, standby) => {
                standby.end_requests();
                Some(member)
            }
            Role::Standby(standby) => {
                standby.end_requests();
                None
            }
            Role::None => None,
        };
        if let Some(member) = &member {
            member.transfer_leadership();
            member.end_requests();
        }
        self.client.close().await;
        self.peer.close().await;
        let stopped = match member {
            Some(member) => member.stop().await,
            None => Ok(()),
        };
        info!("stopped");
        stopped
    }

    /// Wait for the next change of the role, and carry it out. If it is dropped while it waits, the server can only be
    /// stopped.
    async fn step(&mut self) -> Result<(), Failure> {
        match &mut self.role {
            Role::Member(member) | Role::Joining(member, _) => match member.next_event().await? {
                MemberEvent::Ready => self.serve_clients(),
                MemberEvent::Removed => self.leave(),
            },
            Role::Standby(standby) => {
                let prepared = standby.wait_for_seat().await?;
                let member = Member::start(
                    &self.config,
                    prepared,
                    &self.thread,
                    self.tls.to_peers.clone(),
                )?;
                self.peer.show(member.peer_endpoint())?;
                if let Role::Standby(standby) = std::mem::replace(&mut self.role, Role::None) {
                    self.role = Role::Joining(Box::new(member), standby);
                }
                Ok(())
            }
            Role::None => Err("the server is neither a member nor a standby".into()),
        }
    }

    /// Serve clients: the entries that they need are applied.
    fn serve_clients(&mut self) -> Result<(), Failure> {
        self.role = match std::mem::replace(&mut self.role, Role::None) {
            Role::Member(member) => {
                self.client.show(member.client_endpoint())?;
                Role::Member(member)
            }
            Role::Joining(member, standby) => {
                self.client.show(member.client_endpoint())?;
                standby.end_requests();
                Role::Member(member)
            }
            other @ (Role::Standby(_) | Role::None) => other,
        };
        if let Role::Member(member) = &self.role {
            let condition = Condition::Member(member.handle());
            self.condition.send_replace(condition);
        }
        info!("serving clients");
        Ok(())
    }

    /// Become a standby: the member was removed, and its data is discarded.
    fn leave(&mut self) -> Result<(), Failure> {
        let member = match std::mem::replace(&mut self.role, Role::None) {
            Role::Member(member) => member,
            Role::Joining(member, standby) => {
                standby.end_requests();
                member
            }
            Role::Standby(_) | Role::None => return Ok(()),
        };
        let (directory, identity, list) = member.into_remains();
        info!(name = %identity.name, "removed from the cluster: discarding its data");
        let limits = history_limits(&self.config);
        let contacts = Contacts {
            tls: self.tls.to_peers.clone(),
            peers: self.config.peers.clone(),
        };
        let prepared = PreparedStandby::new(directory, identity.into(), list, contacts, limits)?;
        self.stand_by(Box::new(prepared))
    }

    fn stand_by(&mut self, prepared: Box<PreparedStandby>) -> Result<(), Failure> {
        let (stop, stopped) = watch::channel(false);
        let standby = Standby::new(prepared, connection_policy(&self.config, stopped), stop);
        self.peer.show(standby.peer_endpoint())?;
        self.client.show(standby.client_endpoint())?;
        self.condition
            .send_replace(Condition::Standby(standby.leader()));
        self.role = Role::Standby(Box::new(standby));
        Ok(())
    }
}

/// The policy for connections, which ends them on `stop`.
fn connection_policy(config: &Config, stop: watch::Receiver<bool>) -> ConnectionPolicy {
    let limits = Limits {
        read: config.http_read_timeout.unwrap_or_default(),
        write: config.http_write_timeout.unwrap_or_default(),
        ..Limits::default()
    };
    ConnectionPolicy {
        cors: Cors::new(config.cors.clone()),
        limits,
        stop,
    }
}
