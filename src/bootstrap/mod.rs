//! Startup: from the options and the data directory to a member or a standby that can run.
//!
//! - [`plan`]: what to do, decided from what the data directory holds. Pure.
//! - [`local`]: the data directory, and the member or the standby that it becomes.
//! - `found`: the first member of a new cluster.
//! - `join`: one more member of a cluster, or a standby.
//! - `force_new_cluster`: a member of a lost cluster becomes the only one of a new cluster.
//! - `discovery`: `search` finds a cluster by a discovery token; `token` is the token's directory at the discovery
//!   service.

mod force_new_cluster;
mod found;
mod join;
pub mod local;
pub mod plan;

mod discovery {
    pub(super) mod search;
    pub(super) mod token;
}

use std::path::Path;

use tracing::info;

use crate::cluster::{MemberSpec, peer_address};
use crate::config::Config;
use crate::host::{Failure, systemd};
use crate::membership::client::RetryPolicy;
use crate::net::tls::Connector;
use crate::wal::{DataDir, Founding, Identity};
use discovery::search::Search;
use force_new_cluster::force_new_cluster;
use found::{Foundation, found_cluster};
use join::join_or_stand_by;
use local::{RecoveredState, describe, read_standby_file, recover};
use plan::{DataDirAction, LocalState, Start, StartInputs, plan_start};

pub use discovery::token::TokenDirectory;
pub use join::{SeatRequest, request_seat};
pub use local::{Contacts, PreparedMember, PreparedStandby, Started, history_limits};

/// Open the data directory, plan the start, and carry it out: found a cluster, join one, restart, or stand by. `urls`
/// are the URLs of this member's client and peer port.
///
/// # Errors
///
/// [`Failure`]: the data directory cannot be used, the options do not fit what it holds, the environment is outdated,
/// or no cluster could be founded or joined.
pub async fn start(
    config: &Config,
    urls: (String, String),
    tls: &Connector,
    tokens: Option<&TokenDirectory>,
) -> Result<Started, Failure> {
    let mut directory = DataDir::open(&config.data_dir)?;
    let limits = history_limits(config);
    let state = recover(&mut directory, limits, config.force)?;
    let local_state = describe(&directory, state.as_ref(), config.force)?;
    let name = choose_name(config, &directory, &local_state)?;
    let has_other_name = |identity: &Identity| identity.name != name;
    let is_renamed = directory.identity().is_some_and(has_other_name);
    let (client_url, peer_url) = urls;
    let own = peer_address(&peer_url)
        .map_err(|error| Failure::Other(format!("the peer URL {peer_url} {error}")))?;
    let spec = MemberSpec {
        name,
        client_url,
        peer_url,
    };
    if config.force_new_cluster {
        let member = force_new_cluster(directory, state, spec)?;
        return Ok(Started::Member(Box::new(member)));
    }
    if local_state == LocalState::Empty {
        systemd::check_environment()?;
    }
    let inputs = StartInputs {
        own: &own,
        has_token: tokens.is_some(),
        peers: &config.peers,
        force: config.force,
        is_renamed,
    };
    let plan = plan_start(&local_state, &inputs)?;
    let (mut directory, state) = prepare(plan.data_dir, directory, state, &config.data_dir)?;
    if state.is_none() && is_stale_identity(directory.identity(), &plan.start, &spec.name) {
        drop(directory);
        DataDir::destroy(&config.data_dir)?;
        directory = DataDir::open(&config.data_dir)?;
    }
    let executor = Executor {
        config,
        tls,
        tokens,
    };
    executor.run(plan.start, directory, state, spec).await
}

/// Carries out a planned start.
struct Executor<'a> {
    config: &'a Config,
    tls: &'a Connector,
    tokens: Option<&'a TokenDirectory>,
}

impl Executor<'_> {
    async fn run(
        self,
        start: Start,
        directory: DataDir,
        state: Option<RecoveredState>,
        spec: MemberSpec,
    ) -> Result<Started, Failure> {
        let config = self.config;
        let limits = history_limits(config);
        let contacts = |peers| Contacts {
            tls: self.tls.clone(),
            peers,
        };
        match (start, state) {
            (Start::Restart, Some(state)) => {
                let member = PreparedMember::restart(directory, state, spec)?;
                Ok(Started::Member(Box::new(member)))
            }
            (Start::Restart | Start::Found, _) => {
                let foundation = Foundation {
                    founding: Founding::Alone,
                    settings: config.settings,
                };
                let member = found_cluster(directory, spec, foundation, limits)?;
                Ok(Started::Member(Box::new(member)))
            }
            (Start::Discover, _) => {
                let search = Search {
                    tokens: self.tokens.ok_or("no discovery token is set")?,
                    config,
                    spec,
                    tls: self.tls.clone(),
                };
                search.run(directory).await
            }
            (Start::Join(peers), _) => {
                let retry = RetryPolicy {
                    attempts: config.retry_attempts_max,
                    interval: config.retry_interval,
                };
                join_or_stand_by(directory, spec, contacts(peers), retry, limits).await
            }
            (Start::Standby, _) => {
                let members = read_standby_file(&directory)?.ok_or("the standby file is gone")?;
                let contacts = contacts(config.peers.clone());
                let standby = PreparedStandby::new(directory, spec, members, contacts, limits)?;
                Ok(Started::Standby(Box::new(standby)))
            }
        }
    }
}

/// Do with the data directory what was planned; returns the one to use from then on.
fn prepare(
    action: DataDirAction,
    directory: DataDir,
    state: Option<RecoveredState>,
    path: &Path,
) -> Result<(DataDir, Option<RecoveredState>), Failure> {
    if let Some(sentence) = action.sentence() {
        info!("{}: {sentence}", path.display());
    }
    match action {
        DataDirAction::Keep => return Ok((directory, state)),
        DataDirAction::SetAside => {
            drop(state);
            let aside = directory.set_aside()?;
            info!(path = %aside.display(), "data set aside");
        }
        DataDirAction::Discard { .. } => {
            drop((state, directory));
            let discarded = DataDir::destroy(path)?;
            info!("discarded {discarded}");
        }
    }
    Ok((DataDir::open(path)?, None))
}

/// The member's name: the configured one, or the one in its data directory.
fn choose_name(
    config: &Config,
    directory: &DataDir,
    local_state: &LocalState,
) -> Result<String, Failure> {
    match directory.identity() {
        Some(identity) if identity.name == config.name || config.force => Ok(config.name.clone()),
        // It never belonged to a cluster.
        Some(identity) if identity.cluster.is_none() => Ok(config.name.clone()),
        // It was started before it was configured.
        Some(_) if config.name_chosen && local_state.is_untouched() => Ok(config.name.clone()),
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

/// Whether the identity of a directory without data is left over from a start that failed, and does not fit this
/// one: it has another name, or was made for another kind of start. Then this start makes a new identity.
fn is_stale_identity(identity: Option<&Identity>, start: &Start, name: &str) -> bool {
    let Some(identity) = identity else {
        return false;
    };
    let is_alone = identity.founding == Founding::Alone;
    match start {
        Start::Restart | Start::Standby => false,
        // Once admitted to a cluster, it belongs there, and must not silently found another one.
        Start::Found => identity.cluster.is_none() && (!is_alone || identity.name != name),
        // An id that was never admitted to a cluster may still have claimed the token.
        Start::Join(_) | Start::Discover => {
            is_alone || (identity.cluster.is_none() && identity.name != name)
        }
    }
}
