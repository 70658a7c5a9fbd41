//! A whole member: opens and binds everything, and runs it until told to stop.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use tokio::net::{TcpListener, TcpSocket, lookup_host};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{error, info};

use crate::bootstrap::{self, Beginning, JOIN_PATH};
use crate::config::{Config, Endpoint, Listen};
use crate::consensus::driver::SaveSnapshot;
use crate::consensus::message::{Body, Message, RaftKind};
use crate::consensus::{Handle, Input, Inputs, Running, Settings, Start};
use crate::http::{self, Cors, Facts, Limits, MemberPages, Pages, Port};
use crate::membership::Membership;
use crate::store::{HistoryLimits, image};
use crate::transport::{Inbox, Listener, Local, News, PeerThread, Peers, Stats, snapshot_files};
use crate::wal::{DataDir, EntryKind, RealDisk, Snapshot, write_snapshot};

/// How many connections may wait to be accepted at a port.
const BACKLOG: u32 = 1024;

/// How often to look whether what clients need is applied.
const APPLIED_LOOK: Duration = Duration::from_millis(2);

/// How long the leader's last messages may take to leave when everything else has ended.
const LAST_WORDS: Duration = Duration::from_millis(50);

/// A member that serves.
pub struct Server {
    member: Running,
    listener: Arc<Listener>,
    client: JoinHandle<()>,
    peer: JoinHandle<()>,
    stop: watch::Sender<bool>,
    /// Runs the tasks of the peer port and the peers.
    _peers: PeerThread,
    /// Keeps the directory locked.
    _directory: DataDir,
}

/// A member that runs, before its ports are open.
struct Member {
    running: Running,
    handle: Handle,
    listener: Arc<Listener>,
    membership: Membership,
    facts: Facts,
    directory: DataDir,
    /// The entry that must be applied before clients are served.
    needed: u64,
}

impl Server {
    /// Open and bind everything, and serve. Ports are reserved before the directory is touched, and the
    /// client port opens only once there is a cluster, and its data here, to serve.
    ///
    /// # Errors
    ///
    /// A sentence for whoever started it.
    pub async fn bind(config: Config) -> Result<Self, String> {
        let client = reserve(&config.client.listen, "-addr").await?;
        let peer = reserve(&config.peer.listen, "-peer-addr").await?;
        let urls = (url(&config.client, &client)?, url(&config.peer, &peer)?);
        info!("etcd 0.4.6 (oxetcd {})", env!("CARGO_PKG_VERSION"));
        info!(
            "name {}, data in {}",
            config.name,
            config.data_dir.display()
        );
        info!("clients at {} ({})", urls.0, config.client.listen);
        info!("peers at {} ({})", urls.1, config.peer.listen);

        let beginning = bootstrap::begin(&config, urls).await?;
        let peers =
            PeerThread::start().map_err(|error| format!("cannot start a thread: {error}"))?;
        let peer = {
            let _on_its_runtime = peers.runtime().enter();
            listen(peer, "-peer-addr")?
        };
        let mut member = run_member(&config, beginning, &peers)?;
        let (stop, stopped) = watch::channel(false);
        let limits = Limits {
            read: config.http_read_timeout.unwrap_or_default(),
            write: config.http_write_timeout.unwrap_or_default(),
            ..Limits::default()
        };
        let cors = Cors::new(config.cors);
        let pages = Pages::new(member.handle.clone(), member.facts, cors, limits, stopped);
        let member_pages = member_pages(member.listener.clone(), member.membership);
        let serving = http::serve(peer, Port::Peer(member_pages), pages.clone());
        let peer = peers.runtime().spawn(serving);
        tokio::select! {
            ended = member.running.ended() => return Err(ended.err().unwrap_or_default()),
            () = applied(&member.handle, member.needed) => {}
        }
        let client = listen(client, "-addr")?;
        let client = tokio::spawn(http::serve(client, Port::Client, pages));
        info!("serves clients");
        Ok(Self {
            member: member.running,
            listener: member.listener,
            client,
            peer,
            stop,
            _peers: peers,
            _directory: member.directory,
        })
    }

    /// Serve until `shutdown`, then stop: leadership is handed over, watches and requests end, the ports
    /// close.
    ///
    /// # Errors
    ///
    /// What failed meanwhile.
    pub async fn run(mut self, shutdown: impl Future<Output = &'static str>) -> Result<(), String> {
        tokio::select! {
            ended = self.member.ended() => return ended,
            signal = shutdown => info!("{signal}: stopping"),
        }
        self.member.hand_over();
        // Nobody may be serving any more, which is as good.
        let _ = self.stop.send(true);
        let _ = self.client.await;
        let _ = self.peer.await;
        let stopped = self.member.stop().await;
        tokio::time::sleep(LAST_WORDS).await;
        self.listener.close();
        info!("stopped");
        stopped
    }
}

/// Put the parts of a member together and start it.
fn run_member(
    config: &Config,
    beginning: Beginning,
    thread: &PeerThread,
) -> Result<Member, String> {
    let needed = needed(&beginning);
    let Beginning {
        directory,
        wal,
        recovered,
        store,
        member,
        cluster,
        boot,
        named,
    } = beginning;
    let disk = directory.disk();
    let stats: Arc<Stats> = Arc::default();
    let local = Local {
        cluster,
        id: member.id,
        name: member.name.clone(),
    };
    let mut members: Vec<_> = store.members().cloned().collect();
    members.extend(named);
    let start = Start::new(store, &recovered);
    let handle = start.handle();
    let inbox = inbox(start.inputs(), disk.clone(), bootstrap::limits(config));
    let open = snapshot_files::open_from(disk.clone());
    let runtime = thread.runtime().clone();
    let mut peers = Peers::new(local.clone(), runtime, inbox.clone(), open, stats.clone());
    peers.set_members(&members);
    let receive = snapshot_files::receive_to(disk.clone());
    let listener = Listener::new(local, inbox, stats.clone(), receive);
    let save: SaveSnapshot = Arc::new(move |mark, image| {
        write_snapshot(&disk, mark, image).map_err(|error| error.to_string())
    });
    let mut settings =
        Settings::new(member.id, boot).timing(config.heartbeat_interval, config.election_timeout);
    settings.snapshot_every = config.snapshot_count;
    let running = start.run(settings, recovered, wal, peers, save)?;

    let membership = Membership::new(cluster, handle.clone());
    let facts = Facts {
        name: member.name.clone(),
        started: Timestamp::now(),
        traffic: stats,
    };
    tokio::spawn(membership.clone().announce(member));
    Ok(Member {
        running,
        handle,
        listener,
        membership,
        facts,
        directory,
        needed,
    })
}

/// The entry that must be applied before clients are served: what is known to be committed, and for a
/// member that votes alone all there is. One that has nothing yet needs the leader's snapshot.
fn needed(beginning: &Beginning) -> u64 {
    let recovered = &beginning.recovered;
    let last = recovered.entries.last().map_or(0, |entry| entry.index);
    let alone = recovered.snapshot.configuration.voters == [beginning.member.id.get()];
    let grew = recovered
        .entries
        .iter()
        .any(|entry| entry.kind == EntryKind::Membership);
    let known = if alone && !grew {
        last
    } else {
        recovered.hard_state.commit
    };
    known.max(recovered.snapshot.index).max(1)
}

/// Wait until entry `index` is applied here.
async fn applied(handle: &Handle, index: u64) {
    while handle.view().raft_index < index {
        tokio::time::sleep(APPLIED_LOOK).await;
    }
}

/// What peers have to say becomes the driver's inputs. A snapshot, durable by now, is read on a thread of
/// its own before the driver hears of it.
fn inbox(inputs: Inputs, disk: RealDisk, limits: HistoryLimits) -> Inbox {
    Arc::new(move |news| {
        let input = match news {
            News::Received(received) => {
                let (message, room) = received.into_parts();
                if is_snapshot(&message) {
                    let (inputs, disk) = (inputs.clone(), disk.clone());
                    thread::spawn(move || match read_snapshot(&disk, &message, limits) {
                        Ok(store) => {
                            let _ = inputs.send(Input::Snapshot(message, store));
                            drop(room);
                        }
                        Err(why) => error!("a snapshot from {} is of no use: {why}", message.from),
                    });
                    return;
                }
                Input::Message(message, Some(room))
            }
            News::Unreachable(member) => Input::Unreachable(member),
            News::SnapshotSent {
                to,
                delivered,
                index: _,
            } => Input::SnapshotSent(to, delivered),
        };
        // A driver that has ended needs no news.
        let _ = inputs.send(input);
    })
}

fn is_snapshot(message: &Message) -> bool {
    matches!(&message.body, Body::Raft(raft) if raft.kind == RaftKind::Snapshot)
}

fn read_snapshot(
    disk: &RealDisk,
    message: &Message,
    limits: HistoryLimits,
) -> Result<crate::store::Store, String> {
    let Body::Raft(raft) = &message.body else {
        return Err("it is none".to_owned());
    };
    let mark = raft.snapshot.as_ref().ok_or("it does not say which")?;
    let image = Snapshot::open(disk, mark).and_then(|snapshot| snapshot.image());
    let image = image.map_err(|error| error.to_string())?;
    image::decode(&image, limits).map_err(|error| error.to_string())
}

/// The pages by which members find and reach each other.
fn member_pages(listener: Arc<Listener>, membership: Membership) -> MemberPages {
    Arc::new(move |request| {
        let (listener, membership) = (listener.clone(), membership.clone());
        Box::pin(async move {
            if request.uri().path() == JOIN_PATH {
                bootstrap::page(
                    request,
                    |asking| async move { membership.join(asking).await },
                )
                .await
            } else {
                listener.upgrade(request)
            }
        })
    })
}

/// Take a port without opening it: nobody else gets it, and nobody can connect yet.
async fn reserve(listen: &Listen, flag: &str) -> Result<TcpSocket, String> {
    let taken = |error: std::io::Error| {
        format!(
            "cannot listen on {listen}: {error}; is another etcd running? choose another {flag}"
        )
    };
    let addresses: Vec<SocketAddr> = match listen {
        Listen::Everywhere { port } => {
            vec![
                SocketAddr::from(([0_u16; 8], *port)),
                SocketAddr::from(([0_u8; 4], *port)),
            ]
        }
        Listen::At(address) => {
            let unknown =
                |error| format!("{flag}: the host {} is not known: {error}", address.host);
            lookup_host((address.host.as_str(), address.port))
                .await
                .map_err(unknown)?
                .collect()
        }
    };
    let mut last = std::io::Error::from(std::io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()
        } else {
            TcpSocket::new_v6()
        };
        let bound = socket.and_then(|socket| {
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            Ok(socket)
        });
        match bound {
            Ok(socket) => return Ok(socket),
            // Without IPv6 on this machine, IPv4 alone will do.
            Err(error) => last = error,
        }
    }
    Err(taken(last))
}

fn listen(socket: TcpSocket, flag: &str) -> Result<TcpListener, String> {
    let at = socket
        .local_addr()
        .map_or_else(|_| flag.to_owned(), |address| address.to_string());
    socket
        .listen(BACKLOG)
        .map_err(|error| format!("cannot listen on {at}: {error}"))
}

/// The URL others are told, with the port the system chose where it was to choose.
fn url(endpoint: &Endpoint, socket: &TcpSocket) -> Result<String, String> {
    let advertised = &endpoint.advertised;
    if advertised.port != 0 {
        return Ok(advertised.url());
    }
    let port = socket
        .local_addr()
        .map_err(|error| error.to_string())?
        .port();
    Ok(advertised.with_port(port).url())
}
