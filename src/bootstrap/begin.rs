//! From a data directory and the peers given to a member that can run: the only part of this module that
//! touches the disk.

use std::path::Path;

use tracing::{info, warn};

use super::discovery::Search;
use super::waiting::{Contacts, Machine, Waiting, join_or_wait, remembered};
use super::{Directory, Given, Patience, Registry, Start, Treatment, decide};
use crate::cluster::{ClusterId, Member, MemberId, Settings};
use crate::config::Config;
use crate::consensus::core::Recovered;
use crate::failure::Failure;
use crate::store::{ClusterTime, Command, HistoryLimits, Stamped, Store, codec, image};
use crate::systemd;
use crate::tls::Connector;
use crate::transport::peer_address;
use crate::wal::{
    Batch, Configuration, DataDir, EntryKind, Founding, HardState, Identity, LogOptions, RealDisk,
    Snapshot, SnapshotMark, Wal, random_number, write_snapshot,
};

/// A member that can run.
pub struct Beginning {
    /// Its directory; nobody else can have it while this lives.
    pub directory: DataDir,
    /// The log.
    pub wal: Wal<RealDisk>,
    /// What the log holds.
    pub recovered: Recovered,
    /// The store as of the recovered snapshot.
    pub store: Store,
    /// Who this is.
    pub member: Member,
    /// Of which cluster.
    pub cluster: ClusterId,
    /// How often the directory was opened.
    pub boot: u32,
    /// Members known from elsewhere than the store: those the cluster named when it gave this one its place.
    pub named: Vec<Member>,
}

/// How a start came out.
pub enum Begun {
    /// This is a member.
    Member(Box<Beginning>),
    /// There is no place in the cluster, and it waits for one.
    Standby(Box<Waiting>),
}

impl Begun {
    /// Who this machine is; its id, if it is a member.
    pub fn machine(&self) -> (Machine, Option<MemberId>) {
        match self {
            Self::Member(beginning) => {
                let member = &beginning.member;
                (Machine::from(member.clone()), Some(member.id))
            }
            Self::Standby(waiting) => (waiting.machine().clone(), None),
        }
    }
}

/// What a used directory holds.
struct Held {
    wal: Wal<RealDisk>,
    recovered: Recovered,
    store: Store,
}

/// Open the directory, decide what to do, and do it: found, join, wait, or go on. `urls` are this member's client
/// and peer URL.
///
/// # Errors
///
/// A sentence for whoever started it.
pub async fn begin(
    config: &Config,
    urls: (String, String),
    tls: &Connector,
    registry: Option<&Registry>,
) -> Result<Begun, Failure> {
    let mut directory = DataDir::open(&config.data_dir)?;
    let name = name_of(config, &directory)?;
    let held = look_or_throw_away(&mut directory, config)?;
    let own = peer_address(&urls.1).map_err(text)?;
    let found_there = describe(&directory, held.as_ref(), config.force)?;
    if found_there == Directory::Empty {
        systemd::environment_is_current()?;
    }
    let given = Given {
        own: &own,
        token: registry.is_some(),
        peers: &config.peers,
        force: config.force,
    };
    let decision = decide(&found_there, &given).map_err(text)?;
    let (mut directory, held) = treat(decision.treatment, directory, held, &config.data_dir)?;
    if held.is_none() && is_in_vain(directory.identity(), &decision.start, &name) {
        drop(directory);
        DataDir::destroy(&config.data_dir).map_err(text)?;
        directory = DataDir::open(&config.data_dir).map_err(text)?;
    }
    let (client_url, peer_url) = urls;
    let machine = Machine {
        name,
        client_url,
        peer_url,
    };
    let means = Means {
        config,
        tls,
        registry,
    };
    carry_out((decision.start, held), directory, machine, means).await
}

/// With what a start is carried out.
#[derive(Clone, Copy)]
struct Means<'a> {
    config: &'a Config,
    tls: &'a Connector,
    registry: Option<&'a Registry>,
}

/// Start as was decided, with what the directory holds.
async fn carry_out(
    start: (Start, Option<Held>),
    directory: DataDir,
    machine: Machine,
    means: Means<'_>,
) -> Result<Begun, Failure> {
    let Means {
        config,
        tls,
        registry,
    } = means;
    let limits = limits(config);
    match start {
        (Start::Restart, Some(held)) => {
            let begun = restart(directory, held, machine)?;
            Ok(Begun::Member(Box::new(begun)))
        }
        (Start::Restart | Start::Found, _) => {
            let foundation = Foundation {
                founding: Founding::Alone,
                settings: config.settings,
            };
            let begun = found(directory, machine, foundation, limits)?;
            Ok(Begun::Member(Box::new(begun)))
        }
        (Start::Discover, _) => {
            let search = Search {
                registry: registry.ok_or("there is no token")?,
                config,
                machine,
                tls: tls.clone(),
            };
            search.begin(directory).await
        }
        (Start::Join(peers), _) => {
            let patience = Patience {
                attempts: config.retry_attempts_max,
                interval: config.retry_interval,
            };
            let contacts = Contacts {
                tls: tls.clone(),
                peers,
            };
            Ok(join_or_wait(directory, machine, contacts, patience, limits).await?)
        }
        (Start::Standby, _) => {
            let roster = remembered(&directory)?.ok_or("the file standby is gone")?;
            info!(
                "{} was a standby of cluster {}",
                machine.name, roster.cluster
            );
            let contacts = Contacts {
                tls: tls.clone(),
                peers: config.peers.clone(),
            };
            let waiting = Waiting::new(directory, machine, roster, contacts, limits)?;
            Ok(Begun::Standby(Box::new(waiting)))
        }
    }
}

/// What the directory holds, but for what is of no use and not to be kept.
fn look_or_throw_away(directory: &mut DataDir, config: &Config) -> Result<Option<Held>, Failure> {
    match look(directory, limits(config)) {
        Err(why) if config.force => {
            warn!("what is thrown away cannot be read: {why}");
            Ok(None)
        }
        Err(why) if remembered(directory)?.is_some() => {
            warn!("a member without a place left this, which is thrown away: {why}");
            directory.discard_member().map_err(text)?;
            Ok(None)
        }
        held => Ok(held?),
    }
}

/// Do with the directory what was decided; what is used from then on.
fn treat(
    treatment: Treatment,
    directory: DataDir,
    held: Option<Held>,
    path: &Path,
) -> Result<(DataDir, Option<Held>), String> {
    if let Some(sentence) = treatment.sentence() {
        info!("{}: {sentence}", path.display());
    }
    match treatment {
        Treatment::Keep => return Ok((directory, held)),
        Treatment::SetAside => {
            drop(held);
            let aside = directory.set_aside().map_err(text)?;
            info!("it is now {}", aside.display());
        }
        Treatment::Discard { .. } => {
            drop((held, directory));
            let destroyed = DataDir::destroy(path).map_err(text)?;
            info!("threw away {destroyed}");
        }
    }
    Ok((DataDir::open(path).map_err(text)?, None))
}

/// How much history the store keeps.
pub fn limits(config: &Config) -> HistoryLimits {
    HistoryLimits {
        events: config.watch_history,
        bytes: config.watch_history_bytes,
    }
}

/// The member's name: the one asked for, or the directory's.
fn name_of(config: &Config, directory: &DataDir) -> Result<String, String> {
    match directory.identity() {
        Some(identity) if identity.name == config.name || config.force => Ok(config.name.clone()),
        // It never was a member of anything.
        Some(identity) if identity.cluster.is_none() => Ok(config.name.clone()),
        Some(identity) if !config.name_chosen => Ok(identity.name.clone()),
        Some(identity) => Err(format!(
            "{} belongs to the member {}, not to {}: start with -name {}, or choose another -data-dir",
            directory.path().display(),
            identity.name,
            config.name,
            identity.name
        )),
        None => Ok(config.name.clone()),
    }
}

/// Whether a directory that holds nothing of a cluster is of no use to this start: it was made by one that
/// came to nothing, under another name, or to do the other thing. Then this start begins with a new one.
fn is_in_vain(identity: Option<&Identity>, start: &Start, name: &str) -> bool {
    let Some(identity) = identity else {
        return false;
    };
    let alone = identity.founding == Founding::Alone;
    match start {
        Start::Restart | Start::Standby => false,
        // Given a place, it is a member somewhere, and is not made another one without a word.
        Start::Found => identity.cluster.is_none() && (!alone || identity.name != name),
        // An id that no cluster has given a place may have taken the token.
        Start::Join(_) | Start::Discover => {
            alone || (identity.cluster.is_none() && identity.name != name)
        }
    }
}

/// Read what the directory holds; none when no member has begun in it.
fn look(directory: &DataDir, limits: HistoryLimits) -> Result<Option<Held>, Failure> {
    if directory.identity().is_none() {
        return Ok(None);
    }
    let (wal, recovered) = open_log(directory)?;
    let Some(snapshot) = recovered.snapshot else {
        return Ok(None);
    };
    let read = Snapshot::open(&directory.disk(), &snapshot).and_then(|snapshot| snapshot.image());
    let damaged = |error| Failure::Directory(text(error));
    let store = image::decode(&read?, limits).map_err(damaged)?;
    let recovered = Recovered {
        hard_state: recovered.hard_state,
        snapshot,
        entries: recovered.entries,
    };
    Ok(Some(Held {
        wal,
        recovered,
        store,
    }))
}

/// What the directory holds, for the decision. One that cannot be read, or in which a member has not begun
/// yet, is as good as empty, but for `-force`, and where a standby remembers its cluster.
fn describe(directory: &DataDir, held: Option<&Held>, force: bool) -> Result<Directory, String> {
    let Some((identity, held)) = directory.identity().zip(held) else {
        let founding = directory.identity().map(|identity| identity.founding);
        return Ok(match founding {
            Some(founding) if force => Directory::Used {
                founding,
                members: 0,
                client_keys: 0,
            },
            _ if force && directory.standby_file().map_err(text)?.is_some() => Directory::Standby,
            _ if force => Directory::Empty,
            _ if remembered(directory)?.is_some() => Directory::Standby,
            _ => Directory::Empty,
        });
    };
    let founding = identity.founding;
    let mut store = held.store.clone();
    let mut events = Vec::new();
    // What was not committed counts too: better to refuse than to set a key aside.
    for entry in held
        .recovered
        .entries
        .iter()
        .filter(|entry| entry.kind == EntryKind::Command)
    {
        if let Ok(stamped) = codec::decode_stamped(&entry.data) {
            // Whether it succeeds is of no interest here.
            let _ = store.apply(&stamped, &mut events);
            events.clear();
        }
    }
    let members = held
        .recovered
        .entries
        .iter()
        .any(|entry| entry.kind == EntryKind::Membership);
    let members = store.members().count() + usize::from(members);
    Ok(Directory::Used {
        founding,
        members,
        client_keys: store.client_keys(),
    })
}

fn restart(mut directory: DataDir, held: Held, machine: Machine) -> Result<Beginning, String> {
    let boot = boot(&mut directory)?;
    let known = directory
        .identity()
        .and_then(|identity| Some((identity.id, identity.cluster?)));
    let (id, cluster) =
        known.ok_or("the data directory does not say which cluster it belongs to")?;
    let Held {
        wal,
        recovered,
        store,
    } = held;
    let member = machine.member(id);
    info!("{} goes on as a member of cluster {cluster}", member.name);
    Ok(Beginning {
        directory,
        wal,
        recovered,
        store,
        member,
        cluster,
        boot,
        named: Vec::new(),
    })
}

/// How a new cluster comes to be, and how it begins.
pub(super) struct Foundation {
    pub(super) founding: Founding,
    pub(super) settings: Settings,
}

/// Make a cluster of one: its first snapshot holds the member and the settings.
pub(super) fn found(
    mut directory: DataDir,
    machine: Machine,
    foundation: Foundation,
    limits: HistoryLimits,
) -> Result<Beginning, Failure> {
    systemd::environment_is_current()?;
    let Foundation { founding, settings } = foundation;
    // An id that took its token may have been stopped before anything was founded; any other that has a
    // cluster was given a place there.
    if let Some(identity) = directory.identity()
        && identity.founding != founding
        && (identity.cluster.is_some() || founding == Founding::Alone)
    {
        return Err(format!(
            "{} was given a place in a cluster and has received nothing of it yet: start again with \
             -peers naming a member of it, or with -force to found a cluster of its own",
            directory.path().display()
        )
        .into());
    }
    let id = identify(&mut directory, &machine.name, founding)?;
    let cluster = name_cluster(&mut directory)?;
    let boot = boot(&mut directory)?;
    let member = machine.member(id);
    let store = first_store(&member, &settings, limits)?;
    let configuration = Configuration {
        voters: vec![id.get()],
        ..Configuration::default()
    };
    let snapshot = SnapshotMark {
        index: 1,
        term: 1,
        configuration,
    };
    let (mut wal, _) = open_log(&directory)?;
    write_snapshot(&directory.disk(), &snapshot, image::encode(&store)).map_err(text)?;
    let hard_state = HardState {
        term: 1,
        vote: 0,
        commit: 1,
    };
    let reset = Some(snapshot.clone());
    let batch = Batch {
        hard_state: Some(hard_state),
        reset,
        ..Batch::default()
    };
    wal.write(&batch, true).map_err(text)?;
    info!("{} founds a cluster of its own, {cluster}", member.name);
    let recovered = Recovered {
        hard_state,
        snapshot,
        entries: Vec::new(),
    };
    Ok(Beginning {
        directory,
        wal,
        recovered,
        store,
        member,
        cluster,
        boot,
        named: Vec::new(),
    })
}

/// The cluster this directory founds, drawn once.
fn name_cluster(directory: &mut DataDir) -> Result<ClusterId, String> {
    if let Some(known) = directory.identity().and_then(|identity| identity.cluster) {
        return Ok(known);
    }
    let number = random_number().map_err(text)?;
    let cluster = ClusterId::new(number).ok_or("the system's random numbers are all zero")?;
    directory.set_cluster(cluster).map_err(text)?;
    Ok(cluster)
}

/// The store a cluster begins with: its founder, and the settings.
fn first_store(
    founder: &Member,
    settings: &Settings,
    limits: HistoryLimits,
) -> Result<Store, String> {
    let mut store = Store::new(limits);
    let settings = Command::PutSettings(bytes::Bytes::from(settings.to_string()));
    for command in [Command::PutMember(founder.clone()), settings] {
        let stamped = Stamped {
            stamp: ClusterTime::ZERO,
            id: None,
            command,
        };
        store.apply(&stamped, &mut Vec::new()).map_err(text)?;
    }
    Ok(store)
}

/// The directory's member, made if there is none yet.
pub(super) fn identify(
    directory: &mut DataDir,
    name: &str,
    founding: Founding,
) -> Result<MemberId, String> {
    match directory.identity() {
        Some(identity) => Ok(identity.id),
        None => directory.found(name, founding).map_err(text),
    }
}

/// Count this start.
pub(super) fn boot(directory: &mut DataDir) -> Result<u32, String> {
    let boot = directory.boot().map_err(text)?;
    // Its ids have room for 2^24 starts: one every second for half a year.
    u32::try_from(boot).map_err(|_| "this directory was opened too often".to_owned())
}

/// The directory's log.
pub(super) fn open_log(
    directory: &DataDir,
) -> Result<(Wal<RealDisk>, crate::wal::Recovered), Failure> {
    let seed = random_number().map_err(text)?;
    Ok(Wal::open(directory.disk(), LogOptions::new(seed))?)
}

/// An error as a sentence.
pub(super) fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
