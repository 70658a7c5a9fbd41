//! A whole server: opens and binds everything, and runs it until told to stop.
//!
//! A server is a member or a standby, and may turn from one into the other many times; its ports are opened
//! once and stay open, only what they serve changes. [`member`] is a member's life, `ports` the two ports; [`embedded`]
//! a member without any.

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

use crate::bootstrap::{self, Contacts, Started, Waiting};
use crate::cluster::Member as Identity;
use crate::config::Config;
use crate::consensus;
use crate::host::Failure;
use crate::host::systemd::Sockets;
use crate::http::{ConnectionPolicy, Cors, Limits};
use crate::transport::PeerThread;
pub(crate) use embedded::Embedded;
use member::{Member, Turn};
pub(crate) use ports::Port;
use standby::Standby;
pub use tls::Tls;

/// A member or a standby that serves.
pub struct Server {
    config: Config,
    client: Port,
    peer: Port,
    /// Runs what happens at the peer port, and the connections to peers.
    thread: PeerThread,
    tls: Tls,
    /// Keeps this machine among those with its token.
    registering: Option<JoinHandle<()>>,
    role: Role,
    condition: watch::Sender<Condition>,
}

/// What a server is just now, for those who watch over it.
#[derive(Clone)]
pub enum Condition {
    /// It has not served yet.
    Starting,
    /// A member that serves.
    Member(consensus::Handle),
    /// A standby, and who leads the cluster, as far as it knows.
    Standby(watch::Receiver<Option<Identity>>),
}

/// What this machine is just now.
enum Role {
    Member(Box<Member>),
    Standby(Box<Standby>),
    /// A standby has a place, and its clients are sent on until the data is here.
    Joining(Box<Member>, Box<Standby>),
    /// A change of roles failed, and the server ends.
    None,
}

impl Server {
    /// Open and bind everything, and serve. Ports are reserved before the directory is touched, and the
    /// client port opens only once there is a cluster, and its data here, to serve, or somewhere to send
    /// clients.
    ///
    /// # Errors
    ///
    /// A sentence for whoever started it.
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

        let registry = tls::registry(&config)?;
        let begun = bootstrap::begin(&config, urls, &tls.to_peers, registry.as_ref()).await?;
        let registering = registry.map(|registry| {
            let (machine, id) = begun.machine();
            tokio::spawn(async move { registry.keep(&machine, id).await })
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
        match begun {
            Started::Member(beginning) => {
                let member = Member::start(
                    &server.config,
                    *beginning,
                    &server.thread,
                    server.tls.to_peers.clone(),
                )?;
                server.peer.show(member.peer_site())?;
                server.role = Role::Member(Box::new(member));
                server.turn().await?;
            }
            Started::Standby(waiting) => server.stand_by(waiting)?,
        }
        Ok(server)
    }

    /// The TLS it speaks.
    pub fn tls(&self) -> Tls {
        self.tls.clone()
    }

    /// What it is, now and later.
    pub fn condition(&self) -> watch::Receiver<Condition> {
        self.condition.subscribe()
    }

    /// Serve until `shutdown`, then stop: leadership is handed over, watches and requests end, the ports
    /// close.
    ///
    /// # Errors
    ///
    /// What failed meanwhile.
    pub async fn run(
        mut self,
        shutdown: impl Future<Output = &'static str>,
    ) -> Result<(), Failure> {
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            tokio::select! {
                turned = self.turn() => turned?,
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
        Ok(stopped?)
    }

    /// Wait for what happens next to this machine, and act on it. It may be dropped while it waits, and
    /// then the server can only be stopped.
    async fn turn(&mut self) -> Result<(), Failure> {
        match &mut self.role {
            Role::Member(member) | Role::Joining(member, _) => match member.turn().await? {
                Turn::Ready => Ok(self.serve_clients()?),
                Turn::Removed => self.leave(),
            },
            Role::Standby(standby) => {
                let beginning = standby.place().await?;
                let member = Member::start(
                    &self.config,
                    beginning,
                    &self.thread,
                    self.tls.to_peers.clone(),
                )?;
                self.peer.show(member.peer_site())?;
                if let Role::Standby(standby) = std::mem::replace(&mut self.role, Role::None) {
                    self.role = Role::Joining(Box::new(member), standby);
                }
                Ok(())
            }
            Role::None => Err("this machine is neither a member nor a standby".into()),
        }
    }

    /// What clients need is here.
    fn serve_clients(&mut self) -> Result<(), String> {
        self.role = match std::mem::replace(&mut self.role, Role::None) {
            Role::Member(member) => {
                self.client.show(member.client_site())?;
                Role::Member(member)
            }
            Role::Joining(member, standby) => {
                self.client.show(member.client_site())?;
                standby.end_requests();
                Role::Member(member)
            }
            other @ (Role::Standby(_) | Role::None) => other,
        };
        if let Role::Member(member) = &self.role {
            let condition = Condition::Member(member.handle());
            self.condition.send_replace(condition);
        }
        info!("serves clients");
        Ok(())
    }

    /// This machine is no member any more: its data goes, and it becomes a standby.
    fn leave(&mut self) -> Result<(), Failure> {
        let member = match std::mem::replace(&mut self.role, Role::None) {
            Role::Member(member) => member,
            Role::Joining(member, standby) => {
                standby.end_requests();
                member
            }
            Role::Standby(_) | Role::None => return Ok(()),
        };
        let (directory, identity, roster) = member.dissolve();
        info!(
            "{} is no member any more: its data is thrown away",
            identity.name
        );
        let limits = bootstrap::limits(&self.config);
        let contacts = Contacts {
            tls: self.tls.to_peers.clone(),
            peers: self.config.peers.clone(),
        };
        let waiting = Waiting::new(directory, identity.into(), roster, contacts, limits)?;
        Ok(self.stand_by(Box::new(waiting))?)
    }

    fn stand_by(&mut self, waiting: Box<Waiting>) -> Result<(), String> {
        let (stop, stopped) = watch::channel(false);
        let standby = Standby::new(waiting, manners(&self.config, stopped), stop);
        self.peer.show(standby.peer_site())?;
        self.client.show(standby.client_site())?;
        self.condition
            .send_replace(Condition::Standby(standby.leader()));
        self.role = Role::Standby(Box::new(standby));
        Ok(())
    }
}

/// How requests are treated until `stopped`.
fn manners(config: &Config, stop: watch::Receiver<bool>) -> ConnectionPolicy {
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
