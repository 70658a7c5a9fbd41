//! From a data directory and the peers given to a member that can run: the only part of this module that
//! touches the disk.

use std::path::Path;

use tracing::{info, warn};

use super::anew::anew;
use super::discovery::Search;
use super::found::{Foundation, found};
use super::waiting::{Contacts, Machine, Waiting, join_or_wait, remembered};
use super::{Directory, Given, Patience, Registry, Start, Treatment, decide};
use crate::cluster::{ClusterId, Member, MemberId};
use crate::config::Config;
use crate::consensus::core::Recovered;
use crate::failure::Failure;
use crate::store::{HistoryLimits, Store, codec, image};
use crate::systemd;
use crate::tls::Connector;
use crate::transport::peer_address;
use crate::wal::{
    DataDir, EntryKind, Founding, Identity, LogOptions, RealDisk, Snapshot, Wal, random_number,
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
pub(super) struct Held {
    pub(super) wal: Wal<RealDisk>,
    pub(super) recovered: Recovered,
    pub(super) store: Store,
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
    let limits = limits(config);
    let held = held_in(&mut directory, limits, config.force)?;
    let found_there = describe(&directory, held.as_ref(), config.force)?;
    let name = name_of(config, &directory, &found_there)?;
    let named_otherwise = |identity: &Identity| identity.name != name;
    let renamed = directory.identity().is_some_and(named_otherwise);
    let (client_url, peer_url) = urls;
    let own = peer_address(&peer_url).map_err(text)?;
    let machine = Machine {
        name,
        client_url,
        peer_url,
    };
    if config.force_new_cluster {
        return Ok(Begun::Member(Box::new(anew(directory, held, machine)?)));
    }
    if found_there == Directory::Empty {
        systemd::environment_is_current()?;
    }
    let given = Given {
        own: &own,
        token: registry.is_some(),
        peers: &config.peers,
        force: config.force,
        renamed,
    };
    let decision = decide(&found_there, &given).map_err(text)?;
    let (mut directory, held) = treat(decision.treatment, directory, held, &config.data_dir)?;
    if held.is_none() && is_in_vain(directory.identity(), &decision.start, &machine.name) {
        drop(directory);
        DataDir::destroy(&config.data_dir).map_err(text)?;
        directory = DataDir::open(&config.data_dir).map_err(text)?;
    }
    let means = Means {
        config,
        tls,
        registry,
    };
    start(decision.start, directory, held, machine, means).await
}

/// What a start is made with.
struct Means<'a> {
    config: &'a Config,
    tls: &'a Connector,
    registry: Option<&'a Registry>,
}

/// Do what was decided.
async fn start(
    start: Start,
    directory: DataDir,
    held: Option<Held>,
    machine: Machine,
    means: Means<'_>,
) -> Result<Begun, Failure> {
    let Means {
        config,
        tls,
        registry,
    } = means;
    let limits = limits(config);
    match (start, held) {
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

/// What the directory holds; nothing where it cannot be read and is to be thrown away, or is what a machine
/// without a place left of itself.
fn held_in(
    directory: &mut DataDir,
    limits: HistoryLimits,
    force: bool,
) -> Result<Option<Held>, Failure> {
    match look(directory, limits) {
        Err(why) if force => {
            warn!("what is thrown away cannot be read: {why}");
            Ok(None)
        }
        Err(why) if remembered(directory)?.is_some() => {
            warn!("a member without a place left this, which is thrown away: {why}");
            directory.discard_member().map_err(text)?;
            Ok(None)
        }
        held => held,
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
fn name_of(
    config: &Config,
    directory: &DataDir,
    found_there: &Directory,
) -> Result<String, String> {
    match directory.identity() {
        Some(identity) if identity.name == config.name || config.force => Ok(config.name.clone()),
        // It never was a member of anything.
        Some(identity) if identity.cluster.is_none() => Ok(config.name.clone()),
        // It was started before anyone said what it is to be.
        Some(_) if config.name_chosen && found_there.is_untouched() => Ok(config.name.clone()),
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

/// Go on as the member that the directory holds.
pub(super) fn restart(
    mut directory: DataDir,
    held: Held,
    machine: Machine,
) -> Result<Beginning, String> {
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
