//! A member's life in the server: put together, served, and ended.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::error;

use crate::bootstrap::{self, PreparedMember};
use crate::cluster::{Member as Identity, MemberList};
use crate::config::Config;
use crate::consensus::driver::SaveSnapshot;
use crate::consensus::message::{Body, Message, RaftKind};
use crate::consensus::{End, Handle, Input, Inputs, Running, Settings, Start};
use crate::host::Failure;
use crate::http::peer;
use crate::http::{Endpoint, Facts, MemberPages, Pages, Port};
use crate::membership::Membership;
use crate::membership::api::{JOIN_PATH, ROSTER_PATH};
use crate::net::tls::Connector;
use crate::store::{HistoryLimits, image};
use crate::transport::{Inbox, Listener, Local, PeerThread, Peers, Report, Stats, snapshot_files};
use crate::wal::{DataDir, EntryKind, RealDisk, Snapshot, write_snapshot};

/// How often to look whether what clients need is applied.
const APPLIED_LOOK: Duration = Duration::from_millis(2);

/// How long the last messages may take to leave when everything else has ended.
const LAST_WORDS: Duration = Duration::from_millis(50);

/// A member that runs.
pub(super) struct Member {
    running: Running,
    handle: Handle,
    listener: Arc<Listener>,
    membership: Membership,
    /// Tells the cluster this member's addresses; none once it has.
    announcing: Option<JoinHandle<Result<(), String>>>,
    pages: Arc<Pages>,
    stop: watch::Sender<bool>,
    /// Keeps the directory locked.
    directory: DataDir,
    identity: Identity,
    /// The members as they were when it got its place.
    named: Vec<Identity>,
    /// The entry that must be applied before clients are served; none once they are.
    needed: Option<u64>,
}

/// What happens to a member.
pub(super) enum Turn {
    /// What clients need is applied.
    Ready,
    /// It is no member any more.
    Removed,
}

impl Member {
    /// Put the parts of a member together and start it.
    ///
    /// # Errors
    ///
    /// A sentence.
    pub(super) fn start(
        config: &Config,
        beginning: PreparedMember,
        thread: &PeerThread,
        tls: Connector,
    ) -> Result<Self, String> {
        let needed = needed(&beginning);
        let PreparedMember {
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
            peer_url: member.peer_url.clone(),
            tls: tls.clone(),
        };
        let mut members: Vec<_> = store.members().cloned().collect();
        members.extend(named.iter().cloned());
        let start = Start::new(store, &recovered);
        let handle = start.handle();
        let inbox = inbox(start.inputs(), disk.clone(), bootstrap::limits(config));
        let open = snapshot_files::open_from(disk.clone());
        let runtime = thread.runtime().clone();
        let mut peers = Peers::new(local.clone(), runtime, inbox.clone(), open, stats.clone());
        peers.set_members(&members);
        let receive = snapshot_files::receive_to(disk.clone());
        let listener = Listener::new(local, inbox, stats.clone(), receive, start.removed_ids());
        let save: SaveSnapshot = Arc::new(move |mark, image| write_snapshot(&disk, mark, image));
        let mut settings = Settings::new(member.id, boot)
            .with_timing(config.heartbeat_interval, config.election_timeout);
        settings.snapshot_every = config.snapshot_count;
        let running = start
            .run(settings, recovered, wal, peers, save)
            .map_err(|error| error.to_string())?;

        let membership = Membership::new(cluster, handle.clone(), tls.clone());
        let announcing = tokio::spawn(membership.clone().announce(member.clone()));
        let (stop, stopped) = watch::channel(false);
        let manners = super::manners(config, stopped);
        let facts = facts(&member, tls, stats);
        Ok(Self {
            pages: Pages::new(handle.clone(), facts, manners),
            running,
            handle,
            listener,
            membership,
            announcing: Some(announcing),
            stop,
            directory,
            identity: member,
            named,
            needed: Some(needed),
        })
    }

    /// The way to its driver and its store.
    pub(super) fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// What its client port serves.
    pub(super) fn client_site(&self) -> Endpoint {
        Endpoint::Member(Port::Client, self.pages.clone())
    }

    /// What its peer port serves.
    pub(super) fn peer_site(&self) -> Endpoint {
        let pages = member_pages(self.listener.clone(), self.membership.clone());
        Endpoint::Member(Port::Peer(pages), self.pages.clone())
    }

    /// Wait for what happens next.
    ///
    /// # Errors
    ///
    /// What it failed with.
    pub(super) async fn turn(&mut self) -> Result<Turn, Failure> {
        loop {
            let needed = self.needed;
            let applied = async {
                match needed {
                    Some(index) => applied(&self.handle, index).await,
                    None => std::future::pending().await,
                }
            };
            let told = async {
                match &mut self.announcing {
                    Some(announcing) => announcing.await.unwrap_or(Ok(())),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                ended = self.running.ended() => return match ended.map_err(|error| error.to_string())? {
                    End::Removed => Ok(Turn::Removed),
                    End::Stopped => Err("the member stopped by itself".into()),
                },
                () = applied => {
                    self.needed = None;
                    self.directory.remove_standby_file()?;
                    return Ok(Turn::Ready);
                }
                told = told => {
                    self.announcing = None;
                    told?;
                }
            }
        }
    }

    /// Let leadership go, if it has it, before it ends.
    pub(super) fn transfer_leadership(&self) {
        self.running.transfer_leadership();
    }

    /// Ask its watches, requests and idle connections to end.
    pub(super) fn end_requests(&self) {
        if let Some(announcing) = &self.announcing {
            announcing.abort();
        }
        // Nobody may be serving any more, which is as good.
        let _ = self.stop.send(true);
    }

    /// End it once its requests have.
    ///
    /// # Errors
    ///
    /// What it failed with before.
    pub(super) async fn stop(self) -> Result<(), String> {
        let stopped = self.running.stop().await;
        tokio::time::sleep(LAST_WORDS).await;
        self.listener.close();
        stopped.map(|_| ()).map_err(|error| error.to_string())
    }

    /// What is left of a member that was removed: its directory, who it was, and whom it knew.
    pub(super) fn dissolve(self) -> (DataDir, Identity, MemberList) {
        self.end_requests();
        self.listener.close();
        let mut roster = self.membership.roster();
        if roster.members.is_empty() {
            // It never received anything.
            roster.members = self.named;
        }
        roster.members.retain(|other| other.id != self.identity.id);
        (self.directory, self.identity, roster)
    }
}

/// What the pages say about this member.
fn facts(member: &Identity, tls: Connector, traffic: Arc<Stats>) -> Facts {
    Facts {
        id: member.id,
        name: member.name.clone(),
        client_url: member.client_url.clone(),
        tls,
        started: Timestamp::now(),
        traffic,
    }
}

/// The entry that must be applied before clients are served: what is known to be committed, and for a
/// member that votes alone all there is. One that has nothing yet needs the leader's snapshot.
fn needed(beginning: &PreparedMember) -> u64 {
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
    while handle.applied().raft_index < index {
        tokio::time::sleep(APPLIED_LOOK).await;
    }
}

/// What peers have to say becomes the driver's inputs. A snapshot, durable by now, is read on a thread of
/// its own before the driver hears of it.
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
                        Err(why) => error!("a snapshot from {} is of no use: {why}", message.from),
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
            match request.uri().path() {
                JOIN_PATH => {
                    let join = |asking| async move { membership.join(asking).await };
                    peer::page(request, join).await
                }
                ROSTER_PATH => peer::member_list_page(&membership.roster()),
                _ => listener.upgrade(request),
            }
        })
    })
}
