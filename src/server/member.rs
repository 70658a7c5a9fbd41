//! A member in the server: it is started, serves, and stops.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::error;

use crate::bootstrap::{PreparedMember, history_limits};
use crate::cluster::{Member as Identity, MemberList, Refusal};
use crate::config::Config;
use crate::consensus::driver::SaveSnapshot;
use crate::consensus::message::{Body, Message, RaftKind};
use crate::consensus::{End, Handle, Input, Inputs, Running, Settings, Start};
use crate::host::Failure;
use crate::http::{Endpoint, MemberDescription, Pages, PeerPages, Port};
use crate::membership::{Membership, api};
use crate::net::tls::Connector;
use crate::store::image::{self, ImageError};
use crate::store::{HistoryLimits, Store};
use crate::transport::{Inbox, Listener, Local, PeerThread, Peers, Report, Stats, snapshot_files};
use crate::wal::{DataDir, EntryKind, RealDisk, Snapshot, StorageError, write_snapshot};

/// The time between two checks whether the entries that clients need are applied.
const APPLIED_INTERVAL: Duration = Duration::from_millis(2);

/// The time for the last messages to be sent after everything else has stopped.
const LAST_MESSAGES_WAIT: Duration = Duration::from_millis(50);

/// A running member.
pub(super) struct Member {
    running: Running,
    handle: Handle,
    listener: Arc<Listener>,
    membership: Membership,
    /// Announces this member's addresses to the cluster; none once it has ended.
    announcing: Option<JoinHandle<Result<(), Refusal>>>,
    pages: Arc<Pages>,
    stop: watch::Sender<bool>,
    /// Keeps the directory locked.
    directory: DataDir,
    identity: Identity,
    /// The members that the cluster named when it admitted this one.
    named_members: Vec<Identity>,
    /// The index of the entry that must be applied before clients are served; none once they are.
    needed_index: Option<u64>,
}

/// What happens to a running member.
pub(super) enum MemberEvent {
    /// The entries that clients need are applied.
    Ready,
    /// It was removed from the cluster.
    Removed,
}

impl Member {
    /// Start a member.
    ///
    /// # Errors
    ///
    /// [`Failure::Other`]: Raft refuses the recovered state, or the system has no thread for it.
    pub(super) fn start(
        config: &Config,
        prepared: PreparedMember,
        thread: &PeerThread,
        tls: Connector,
    ) -> Result<Self, Failure> {
        let needed_index = needed_index(&prepared);
        let PreparedMember {
            directory,
            wal,
            recovered,
            store,
            member,
            cluster,
            boot,
            named_members,
        } = prepared;
        let disk = directory.disk();
        let stats: Arc<Stats> = Arc::default();
        let local = Local {
            cluster,
            id: member.id,
            name: member.name.clone(),
            peer_url: member.peer_url.clone(),
            tls: tls.clone(),
            paths: api::CONNECTIONS,
        };
        let mut members: Vec<_> = store.members().cloned().collect();
        members.extend(named_members.iter().cloned());
        let start = Start::new(store, &recovered);
        let handle = start.handle();
        let inbox = inbox(start.inputs(), disk.clone(), history_limits(config));
        let open = snapshot_files::open_from(disk.clone());
        let runtime = thread.runtime().clone();
        let mut peers = Peers::new(local.clone(), runtime, inbox.clone(), open, stats.clone());
        peers.set_members(&members);
        let receive = snapshot_files::receive_to(disk.clone());
        let listener = Listener::new(local, inbox, stats.clone(), receive, start.removed_ids());
        let save: SaveSnapshot = Arc::new(move |meta, image| write_snapshot(&disk, meta, image));
        let mut settings = Settings::new(cluster, member.id, boot)
            .with_timing(config.heartbeat_interval, config.election_timeout);
        settings.snapshot_every = config.snapshot_count;
        let running = start
            .run(settings, recovered, wal, peers, save)
            .map_err(|error| error.to_string())?;

        let membership = Membership::new(cluster, handle.clone(), tls.clone());
        let announcing = tokio::spawn(membership.clone().announce(member.clone()));
        let (stop, stopped) = watch::channel(false);
        let policy = super::connection_policy(config, stopped);
        let description = describe(&member, tls, stats);
        Ok(Self {
            pages: Pages::new(handle.clone(), description, policy),
            running,
            handle,
            listener,
            membership,
            announcing: Some(announcing),
            stop,
            directory,
            identity: member,
            named_members,
            needed_index: Some(needed_index),
        })
    }

    /// The handle on its driver and its store.
    pub(super) fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// What its client port serves.
    pub(super) fn client_endpoint(&self) -> Endpoint {
        Endpoint::Member(Port::Client, self.pages.clone())
    }

    /// What its peer port serves.
    pub(super) fn peer_endpoint(&self) -> Endpoint {
        let pages = PeerPages::Member {
            membership: self.membership.clone(),
            listener: self.listener.clone(),
        };
        Endpoint::Member(Port::Peer(pages), self.pages.clone())
    }

    /// Wait for what happens next.
    ///
    /// # Errors
    ///
    /// [`Failure::Other`]: the disk failed, the driver stopped, or another member has this one's name or address.
    pub(super) async fn next_event(&mut self) -> Result<MemberEvent, Failure> {
        loop {
            let needed_index = self.needed_index;
            let applied = async {
                match needed_index {
                    Some(index) => wait_until_applied(&self.handle, index).await,
                    None => std::future::pending().await,
                }
            };
            let announced = async {
                match &mut self.announcing {
                    Some(announcing) => announcing.await.unwrap_or(Ok(())),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                ended = self.running.ended() => return match ended.map_err(|error| error.to_string())? {
                    End::Removed => Ok(MemberEvent::Removed),
                    End::Stopped => Err("the driver stopped unexpectedly".into()),
                },
                () = applied => {
                    self.needed_index = None;
                    self.directory.remove_standby_file()?;
                    return Ok(MemberEvent::Ready);
                }
                announced = announced => {
                    self.announcing = None;
                    announced.map_err(|refusal| refusal.to_string())?;
                }
            }
        }
    }

    /// Transfer leadership, if this member has it, before it stops.
    pub(super) fn transfer_leadership(&self) {
        self.running.transfer_leadership();
    }

    /// Ask its watches, requests and idle connections to end.
    pub(super) fn end_requests(&self) {
        if let Some(announcing) = &self.announcing {
            announcing.abort();
        }
        // Without a server there are no connections.
        let _ = self.stop.send(true);
    }

    /// Stop it after its requests have ended.
    ///
    /// # Errors
    ///
    /// [`Failure::Other`]: it failed before.
    pub(super) async fn stop(self) -> Result<(), Failure> {
        let stopped = self.running.stop().await;
        tokio::time::sleep(LAST_MESSAGES_WAIT).await;
        self.listener.close();
        stopped.map_err(|error| error.to_string())?;
        Ok(())
    }

    /// What remains of a member that was removed: its directory, its identity, and the other members.
    pub(super) fn into_remains(self) -> (DataDir, Identity, MemberList) {
        self.end_requests();
        self.listener.close();
        let mut list = self.membership.member_list();
        if list.members.is_empty() {
            // It has not received any data of the cluster.
            list.members = self.named_members;
        }
        list.members.retain(|other| other.id != self.identity.id);
        (self.directory, self.identity, list)
    }
}

/// What the pages show of this member.
fn describe(member: &Identity, tls: Connector, traffic: Arc<Stats>) -> MemberDescription {
    MemberDescription {
        id: member.id,
        name: member.name.clone(),
        client_url: member.client_url.clone(),
        tls,
        started: Timestamp::now(),
        traffic,
    }
}

/// The index of the entry that must be applied before clients are served: the last one known to be committed, and for
/// a single voter the last one. A member without data needs the leader's snapshot.
fn needed_index(prepared: &PreparedMember) -> u64 {
    let recovered = &prepared.recovered;
    let last = recovered.entries.last().map_or(0, |entry| entry.index);
    let is_single_voter = recovered.snapshot.configuration.voters == [prepared.member.id.get()];
    let has_changed = recovered
        .entries
        .iter()
        .any(|entry| entry.kind == EntryKind::Membership);
    let known = if is_single_voter && !has_changed {
        last
    } else {
        recovered.hard_state.commit
    };
    known.max(recovered.snapshot.index).max(1)
}

/// Wait until the entry `index` is applied here.
async fn wait_until_applied(handle: &Handle, index: u64) {
    while handle.applied().raft_index < index {
        tokio::time::sleep(APPLIED_INTERVAL).await;
    }
}

/// Turn what peers send into inputs of the driver. A snapshot, which is on disk by now, is first read, on another
/// thread.
fn inbox(inputs: Inputs, disk: RealDisk, limits: HistoryLimits) -> Inbox {
    Arc::new(move |news| {
        let input = match news {
            Report::Received(received) => {
                let (message, room) = received.into_parts();
                if is_snapshot(&message) {
                    let (inputs, disk) = (inputs.clone(), disk.clone());
                    thread::spawn(move || match read_snapshot(&disk, &message, limits) {
                        Ok(store) => {
                            let _ = inputs.send(Input::Snapshot(message, store));
                            drop(room);
                        }
                        Err(error) => error!(from = %message.from, %error, "snapshot not usable"),
                    });
                    return;
                }
                Input::Message(message, Some(room))
            }
            Report::Unreachable(member) => Input::Unreachable(member),
            Report::AddressChanged { from, peer_url } => Input::AddressChanged(from, peer_url),
            Report::Removed(by) => Input::Removed(by),
            Report::SnapshotSent {
                to,
                delivered,
                index: _,
            } => Input::SnapshotSent(to, delivered),
        };
        // A driver that has ended takes no inputs.
        let _ = inputs.send(input);
    })
}

fn is_snapshot(message: &Message) -> bool {
    matches!(&message.body, Body::Raft(raft) if raft.kind == RaftKind::Snapshot)
}

/// Why a snapshot of the leader is not usable.
enum SnapshotError {
    /// The message does not describe a snapshot.
    NoSnapshot,
    /// Its file cannot be read.
    Storage(StorageError),
    /// Its contents cannot be decoded.
    Image(ImageError),
}

impl std::fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoSnapshot => f.write_str("the message does not describe a snapshot"),
            Self::Storage(error) => error.fmt(f),
            Self::Image(error) => error.fmt(f),
        }
    }
}

fn read_snapshot(
    disk: &RealDisk,
    message: &Message,
    limits: HistoryLimits,
) -> Result<Store, SnapshotError> {
    let Body::Raft(raft) = &message.body else {
        return Err(SnapshotError::NoSnapshot);
    };
    let meta = raft.snapshot.as_ref().ok_or(SnapshotError::NoSnapshot)?;
    let image = Snapshot::open(disk, meta).and_then(|snapshot| snapshot.image());
    let image = image.map_err(SnapshotError::Storage)?;
    image::decode(&image, limits).map_err(SnapshotError::Image)
}
