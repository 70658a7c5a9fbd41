//! From a data directory and the peers given to a member that can run: looks, decides, and does it.

use std::path::Path;

use tracing::info;

use super::beginning::restart;
use super::discovery::Search;
use super::force_new_cluster::force_new_cluster;
use super::found::{Foundation, found};
use super::local::remembered;
use super::local::{Held, describe, held_in, limits};
use super::waiting::{Contacts, Started, Waiting, join_or_wait};
use super::{DataDirAction, Directory, Given, Registry, Start, decide, text};
use crate::cluster::{MemberSpec, peer_address};
use crate::config::Config;
use crate::host::{Failure, systemd};
use crate::membership::client::RetryPolicy;
use crate::net::tls::Connector;
use crate::wal::{DataDir, Founding, Identity};

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
) -> Result<Started, Failure> {
    let mut directory = DataDir::open(&config.data_dir)?;
    let limits = limits(config);
    let held = held_in(&mut directory, limits, config.force)?;
    let found_there = describe(&directory, held.as_ref(), config.force)?;
    let name = name_of(config, &directory, &found_there)?;
    let named_otherwise = |identity: &Identity| identity.name != name;
    let renamed = directory.identity().is_some_and(named_otherwise);
    let (client_url, peer_url) = urls;
    let own = peer_address(&peer_url).map_err(text)?;
    let machine = MemberSpec {
        name,
        client_url,
        peer_url,
    };
    if config.force_new_cluster {
        return Ok(Started::Member(Box::new(force_new_cluster(
            directory, held, machine,
        )?)));
    }
    if found_there == Directory::Empty {
        systemd::check_environment()?;
    }
    let given = Given {
        own: &own,
        token: registry.is_some(),
        peers: &config.peers,
        force: config.force,
        renamed,
    };
    let decision = decide(&found_there, &given)?;
    let (mut directory, held) = treat(decision.treatment, directory, held, &config.data_dir)?;
    if held.is_none() && is_stale_identity(directory.identity(), &decision.start, &machine.name) {
        drop(directory);
        DataDir::destroy(&config.data_dir)?;
        directory = DataDir::open(&config.data_dir)?;
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
    machine: MemberSpec,
    means: Means<'_>,
) -> Result<Started, Failure> {
    let Means {
        config,
        tls,
        registry,
    } = means;
    let limits = limits(config);
    match (start, held) {
        (Start::Restart, Some(held)) => {
            let begun = restart(directory, held, machine)?;
            Ok(Started::Member(Box::new(begun)))
        }
        (Start::Restart | Start::Found, _) => {
            let foundation = Foundation {
                founding: Founding::Alone,
                settings: config.settings,
            };
            let begun = found(directory, machine, foundation, limits)?;
            Ok(Started::Member(Box::new(begun)))
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
            let patience = RetryPolicy {
                attempts: config.retry_attempts_max,
                interval: config.retry_interval,
            };
            let contacts = Contacts {
                tls: tls.clone(),
                peers,
            };
            join_or_wait(directory, machine, contacts, patience, limits).await
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
            Ok(Started::Standby(Box::new(waiting)))
        }
    }
}

/// Do with the directory what was decided; what is used from then on.
fn treat(
    treatment: DataDirAction,
    directory: DataDir,
    held: Option<Held>,
    path: &Path,
) -> Result<(DataDir, Option<Held>), Failure> {
    if let Some(sentence) = treatment.sentence() {
        info!("{}: {sentence}", path.display());
    }
    match treatment {
        DataDirAction::Keep => return Ok((directory, held)),
        DataDirAction::SetAside => {
            drop(held);
            let aside = directory.set_aside()?;
            info!("it is now {}", aside.display());
        }
        DataDirAction::Discard { .. } => {
            drop((held, directory));
            let destroyed = DataDir::destroy(path)?;
            info!("threw away {destroyed}");
        }
    }
    Ok((DataDir::open(path)?, None))
}

/// The member's name: the one asked for, or the directory's.
fn name_of(
    config: &Config,
    directory: &DataDir,
    found_there: &Directory,
) -> Result<String, Failure> {
    match directory.identity() {
        Some(identity) if identity.name == config.name || config.force => Ok(config.name.clone()),
        // It never was a member of anything.
        Some(identity) if identity.cluster.is_none() => Ok(config.name.clone()),
        // It was started before anyone said what it is to be.
        Some(_) if config.name_chosen && found_there.is_untouched() => Ok(config.name.clone()),
        Some(identity) if !config.name_chosen => Ok(identity.name.clone()),
        Some(identity) => Err(Failure::Directory(format!(
            "{} belongs to the member {}, not to {}: start with -name {}, or choose another -data-dir",
            directory.path().display(),
            identity.name,
            config.name,
            identity.name
        ))),
        None => Ok(config.name.clone()),
    }
}

/// Whether a directory that holds nothing of a cluster is of no use to this start: it was made by one that
/// came to nothing, under another name, or to do the other thing. Then this start begins with a new one.
fn is_stale_identity(identity: Option<&Identity>, start: &Start, name: &str) -> bool {
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
