//! A server as a daemon: signals, readiness, status, watchdog, and reloading the configuration.

use std::fmt;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tracing::{error, info, warn};

use crate::config::{Config, Error, Invocation, Ready};
use crate::consensus::{AppliedState, Role};
use crate::host::logging::Logging;
use crate::host::systemd::{self, Sockets};
use crate::host::{Failure, signals};
use crate::server::{Condition, Server, Tls};

/// The extension of the start timeout, and how often it is sent: replaying a large log, and waiting for other
/// members, has no time limit.
const START_EXTENSION: Duration = Duration::from_secs(60);
const START_EXTENSION_INTERVAL: Duration = Duration::from_secs(10);

/// Time between two checks of the status; it is reported if it changed.
const STATUS_INTERVAL: Duration = Duration::from_secs(5);

/// Time between two checks for a leader, with `-ready quorum`.
const LEADER_INTERVAL: Duration = Duration::from_millis(250);

/// Run a server until a signal stops it. `read` reads the configuration again, for a reload.
///
/// # Errors
///
/// Those of [`Server::bind`] and [`Server::run`], and [`Failure::Other`]: an inherited socket cannot be used, or
/// the runtime or the signal handlers cannot be set up.
pub fn run(
    config: Config,
    logging: Logging,
    read: impl Fn() -> Result<Invocation, Error> + Send + 'static,
) -> Result<(), Failure> {
    // Before other threads are started.
    let sockets = Sockets::inherited()?;
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| format!("cannot start the async runtime: {error}"))?;
    let result = runtime.block_on(serve(config, sockets, logging, read));
    // Responses to clients that do not read are not waited for.
    runtime.shutdown_background();
    result
}

async fn serve(
    config: Config,
    sockets: Sockets,
    logging: Logging,
    read: impl Fn() -> Result<Invocation, Error> + Send + 'static,
) -> Result<(), Failure> {
    let no_signals = |error| format!("cannot listen for signals: {error}");
    let shutdown = signals::shutdown().map_err(no_signals)?;
    let hangups = signals::hangups().map_err(no_signals)?;
    tokio::pin!(shutdown);
    let current = config.clone();
    logging.set_starting(true);
    let extending = tokio::spawn(extend_start());
    let server = tokio::select! {
        server = Server::bind(config, sockets) => server,
        signal = &mut shutdown => {
            info!(signal, "stopped before serving");
            extending.abort();
            return Ok(());
        }
    };
    extending.abort();
    logging.set_starting(false);
    let server = server?;
    let reload = Reload {
        current,
        logging,
        tls: server.tls(),
        read,
    };
    let supervising = tokio::spawn(supervise(server.condition(), hangups, reload));
    let stopping = async {
        let signal = shutdown.await;
        supervising.abort();
        systemd::stopping(&format!("stopping after {signal}"));
        signal
    };
    server.run(stopping).await
}

/// Extend the start timeout until the task is aborted.
async fn extend_start() {
    loop {
        systemd::extend_start(START_EXTENSION);
        sleep(START_EXTENSION_INTERVAL).await;
    }
}

/// Report readiness, status and watchdog keep-alives to the service manager, and reload at SIGHUP, until the task
/// is aborted.
async fn supervise(
    condition: watch::Receiver<Condition>,
    mut hangups: signals::Hangups,
    reload: Reload<impl Fn() -> Result<Invocation, Error>>,
) {
    if reload.current.ready == Ready::Quorum {
        wait_for_leader(&condition).await;
    }
    let mut reported = describe(&condition.borrow()).text;
    systemd::ready(&reported);
    let watchdog = systemd::watchdog();
    // Three keep-alives in each period, so that one may be late.
    let interval = watchdog.map_or(STATUS_INTERVAL, |period| STATUS_INTERVAL.min(period / 3));
    loop {
        if let Some(period) = watchdog {
            match check_liveness(&condition, period / 3).await {
                Ok(()) => systemd::alive(),
                Err(stalled) => error!("watchdog: {stalled}"),
            }
        }
        let current = describe(&condition.borrow()).text;
        if current != reported {
            systemd::status(&current);
            reported = current;
        }
        tokio::select! {
            true = hangups.next() => {
                systemd::reloading();
                reload.run();
                systemd::ready(&reported);
            }
            () = sleep(interval) => {}
        }
    }
}

/// Wait until there is a leader, and report the status meanwhile.
async fn wait_for_leader(condition: &watch::Receiver<Condition>) {
    let mut reported = String::new();
    loop {
        let current = describe(&condition.borrow());
        if current.has_leader {
            return;
        }
        if current.text != reported {
            systemd::status(&format!("{}, waiting for a leader", current.text));
            reported = current.text;
        }
        systemd::extend_start(START_EXTENSION);
        sleep(LEADER_INTERVAL).await;
    }
}

/// Why a member is not alive.
enum Stalled {
    /// The oldest write to disk has not been synced for this time.
    Disk(Duration),
    /// The driver thread has not answered for this time.
    Driver(Duration),
}

impl fmt::Display for Stalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disk(time) => write!(
                f,
                "a write to disk has not completed for {:.1} s",
                time.as_secs_f32()
            ),
            Self::Driver(time) => write!(
                f,
                "the driver thread has not responded for {:.1} s",
                time.as_secs_f32()
            ),
        }
    }
}

/// Check that the driver thread of a member and its disk respond within `limit`. A standby has neither: it is
/// alive if this task runs.
async fn check_liveness(
    condition: &watch::Receiver<Condition>,
    limit: Duration,
) -> Result<(), Stalled> {
    let handle = match &*condition.borrow() {
        Condition::Member(handle) => handle.clone(),
        Condition::Starting | Condition::Standby(_) => return Ok(()),
    };
    let start = Instant::now();
    match timeout(limit, handle.driver_health()).await {
        Ok(Ok(health)) if health.unsynced < limit => Ok(()),
        Ok(Ok(health)) => Err(Stalled::Disk(health.unsynced)),
        // The member is stopping, which has timeouts of its own.
        Ok(Err(_)) => Ok(()),
        Err(_) => Err(Stalled::Driver(start.elapsed())),
    }
}

/// The status of a server.
struct Status {
    /// One line.
    text: String,
    /// Whether a leader is known.
    has_leader: bool,
}

fn describe(condition: &Condition) -> Status {
    match condition {
        Condition::Starting => Status {
            text: String::from("starting"),
            has_leader: false,
        },
        Condition::Member(handle) => {
            let view = handle.applied();
            Status {
                text: describe_member(&view),
                has_leader: view.raft_status.leader.is_some(),
            }
        }
        Condition::Standby(leader) => match &*leader.borrow() {
            Some(leader) => Status {
                text: format!("standby, leader {}", leader.name),
                has_leader: true,
            },
            None => Status {
                text: String::from("standby, no known leader"),
                has_leader: false,
            },
        },
    }
}

/// The role of a member, its leader, and its indexes, on one line.
fn describe_member(view: &AppliedState) -> String {
    let status = &view.raft_status;
    let members = view.configuration.voters.len();
    let leader = view
        .store
        .members()
        .find(|member| Some(member.id) == status.leader)
        .map(|member| member.name.as_str());
    let role = match (status.role, status.leader, leader) {
        (Role::Leader, _, _) => format!("leader of {members}"),
        (Role::Follower | Role::Candidate, Some(_), Some(leader)) => {
            format!("follower of {leader}, one of {members}")
        }
        (Role::Follower | Role::Candidate, Some(_), None) => format!("follower, one of {members}"),
        (Role::Follower | Role::Candidate, None, _) => format!("no leader among {members}"),
    };
    let damage = if status.diverged {
        ", STORE DIFFERS FROM ANOTHER MEMBER"
    } else {
        ""
    };
    format!(
        "{role}, index {}, term {}{damage}",
        view.store.index(),
        status.term
    )
}

/// The current configuration, and how to reload it.
struct Reload<Read> {
    current: Config,
    logging: Logging,
    tls: Tls,
    read: Read,
}

impl<Read: Fn() -> Result<Invocation, Error>> Reload<Read> {
    /// Reload the certificates and the configuration, as far as possible without a restart.
    fn run(&self) {
        match self.tls.reload() {
            Ok(true) => info!("certificates reloaded"),
            Ok(false) => {}
            Err(error) => {
                error!("cannot reload certificates, the old ones stay in effect: {error}")
            }
        }
        match (self.read)() {
            Ok(Invocation::Run { config, notes }) => {
                for note in notes {
                    warn!("{note}");
                }
                self.logging.set_verbosity(config.verbosity);
                let unchanged = Config {
                    verbosity: config.verbosity,
                    ..self.current.clone()
                };
                if *config == unchanged {
                    info!("configuration reloaded");
                } else {
                    warn!("configuration reloaded; some changes need a restart to take effect");
                }
            }
            // Only flags request these, and the flags have not changed.
            Ok(Invocation::Help | Invocation::Version | Invocation::PrintConfig { .. }) => {}
            Err(error) => {
                error!("cannot reload the configuration, the old one stays in effect: {error}")
            }
        }
    }
}
