//! A server under signals and a service manager: started, told to read its options again, watched, stopped.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tracing::{error, info, warn};

use crate::config::{Asked, Config, Error, Ready};
use crate::consensus::{AppliedState, Role};
use crate::host::logging::Journal;
use crate::host::systemd::{self, Sockets};
use crate::host::{Failure, signals};
use crate::server::{Condition, Server, Tls};

/// How much time the service manager is asked for while it starts, and how often: replaying a large log,
/// or waiting for others, takes as long as it takes.
const START_EXTENSION: Duration = Duration::from_secs(60);
const START_EXTENDED_EVERY: Duration = Duration::from_secs(10);

/// How often the service's status is looked at; it is told only when it changed.
const STATUS_LOOK: Duration = Duration::from_secs(5);

/// How often to look for a leader while that is waited for.
const READY_LOOK: Duration = Duration::from_millis(250);

/// Run a server with `config` until a signal stops it. `read` reads the options again.
///
/// # Errors
///
/// Why it did not start or does not go on.
pub fn run(
    config: Config,
    journal: Journal,
    read: impl Fn() -> Result<Asked, Error> + Send + 'static,
) -> Result<(), Failure> {
    // Before there are other threads.
    let sockets = Sockets::inherited()?;
    let runtime =
        tokio::runtime::Runtime::new().map_err(|error| format!("cannot start: {error}"))?;
    let ended = runtime.block_on(serve(config, sockets, journal, read));
    // What is still being written to clients that do not read is not waited for.
    runtime.shutdown_background();
    ended
}

async fn serve(
    config: Config,
    sockets: Sockets,
    journal: Journal,
    read: impl Fn() -> Result<Asked, Error> + Send + 'static,
) -> Result<(), Failure> {
    let no_signals = |error| format!("no signals: {error}");
    let shutdown = signals::shutdown().map_err(no_signals)?;
    let hangups = signals::hangups().map_err(no_signals)?;
    tokio::pin!(shutdown);
    let current = config.clone();
    journal.set_starting(true);
    let starting = tokio::spawn(extend_start());
    let server = tokio::select! {
        server = Server::bind(config, sockets) => server,
        signal = &mut shutdown => {
            info!("{signal}: stopped before it served");
            starting.abort();
            return Ok(());
        }
    };
    starting.abort();
    journal.set_starting(false);
    let server = server?;
    let options = Options {
        current,
        journal,
        tls: server.tls(),
        read,
    };
    let attending = tokio::spawn(attend(server.condition(), hangups, options));
    let stopping = async {
        let signal = shutdown.await;
        attending.abort();
        systemd::stopping(&format!("{signal}: stopping"));
        signal
    };
    server.run(stopping).await
}

/// Ask for more time, until it is aborted.
async fn extend_start() {
    loop {
        systemd::extend_start(START_EXTENSION);
        sleep(START_EXTENDED_EVERY).await;
    }
}

/// Tell the service manager when the member is ready, how it is and that it is alive, and read the options
/// again when told to, until it is aborted.
async fn attend(
    condition: watch::Receiver<Condition>,
    mut hangups: signals::Hangups,
    options: Options<impl Fn() -> Result<Asked, Error>>,
) {
    if options.current.ready == Ready::Quorum {
        wait_for_leader(&condition).await;
    }
    let mut told = status(&condition.borrow()).text;
    systemd::ready(&told);
    let watchdog = systemd::watchdog();
    // Three in each period: one may be late.
    let pause = watchdog.map_or(STATUS_LOOK, |period| STATUS_LOOK.min(period / 3));
    loop {
        if let Some(period) = watchdog {
            match alive(&condition, period / 3).await {
                Ok(()) => systemd::alive(),
                Err(why) => error!("{why}"),
            }
        }
        let now = status(&condition.borrow()).text;
        if now != told {
            systemd::status(&now);
            told = now;
        }
        tokio::select! {
            true = hangups.next() => {
                systemd::reloading();
                options.read_again();
                systemd::ready(&told);
            }
            () = sleep(pause) => {}
        }
    }
}

/// Wait until the member knows a leader, and say so.
async fn wait_for_leader(condition: &watch::Receiver<Condition>) {
    let mut told = String::new();
    loop {
        let now = status(&condition.borrow());
        if now.led {
            return;
        }
        if now.text != told {
            systemd::status(&format!("{}; ready once there is one", now.text));
            told = now.text;
        }
        systemd::extend_start(START_EXTENSION);
        sleep(READY_LOOK).await;
    }
}

/// Whether a member's driver gets round and its disk does its work, each within `limit`. A standby has
/// neither: that this runs is all there is.
async fn alive(condition: &watch::Receiver<Condition>, limit: Duration) -> Result<(), String> {
    let handle = match &*condition.borrow() {
        Condition::Member(handle) => handle.clone(),
        Condition::Starting | Condition::Standby(_) => return Ok(()),
    };
    let asked = Instant::now();
    match timeout(limit, handle.driver_health()).await {
        Ok(Ok(pulse)) if pulse.unsynced < limit => Ok(()),
        Ok(Ok(pulse)) => Err(format!(
            "the disk has been busy with one write for {:.1} s",
            pulse.unsynced.as_secs_f32()
        )),
        // It stops, and that has limits of its own.
        Ok(Err(_)) => Ok(()),
        Err(_) => Err(format!(
            "the driver has not come round for {:.1} s",
            asked.elapsed().as_secs_f32()
        )),
    }
}

/// How a server is.
struct Status {
    /// In a line.
    text: String,
    /// Whether it knows a leader.
    led: bool,
}

fn status(condition: &Condition) -> Status {
    match condition {
        Condition::Starting => Status {
            text: String::from("starting"),
            led: false,
        },
        Condition::Member(handle) => {
            let view = handle.applied();
            Status {
                text: describe(&view),
                led: view.raft_status.leader.is_some(),
            }
        }
        Condition::Standby(leader) => match &*leader.borrow() {
            Some(leader) => Status {
                text: format!("standby, {} leads", leader.name),
                led: true,
            },
            None => Status {
                text: String::from("standby, no leader is known"),
                led: false,
            },
        },
    }
}

/// A member in a line.
fn describe(view: &AppliedState) -> String {
    let standing = &view.raft_status;
    let members = view.configuration.voters.len();
    let leader = view
        .store
        .members()
        .find(|member| Some(member.id) == standing.leader)
        .map(|member| member.name.as_str());
    let role = match (standing.role, standing.leader, leader) {
        (Role::Leader, _, _) => format!("leader of {members}"),
        (Role::Follower | Role::Candidate, Some(_), Some(leader)) => {
            format!("follows {leader}, one of {members}")
        }
        (Role::Follower | Role::Candidate, Some(_), None) => format!("follower, one of {members}"),
        (Role::Follower | Role::Candidate, None, _) => format!("no leader among {members}"),
    };
    let damage = if standing.diverged {
        ", DIFFERS FROM ANOTHER MEMBER"
    } else {
        ""
    };
    format!(
        "{role}, index {}, term {}{damage}",
        view.store.index(),
        standing.term
    )
}

/// What it runs with, and how to read that again.
struct Options<Read> {
    current: Config,
    journal: Journal,
    tls: Tls,
    read: Read,
}

impl<Read: Fn() -> Result<Asked, Error>> Options<Read> {
    /// Read the options again, and do what can be done without a new start.
    fn read_again(&self) {
        match self.tls.reload() {
            Ok(true) => info!("SIGHUP: read the certificates again"),
            Ok(false) => {}
            Err(why) => error!("SIGHUP: certificates are not read again: {why}"),
        }
        match (self.read)() {
            Ok(Asked::Run { config, notes }) => {
                for note in notes {
                    warn!("{note}");
                }
                self.journal.set_verbosity(config.verbosity);
                let same = Config {
                    verbosity: config.verbosity,
                    ..self.current.clone()
                };
                if *config == same {
                    info!("SIGHUP: read the options again");
                } else {
                    warn!(
                        "SIGHUP: read the options again; some of what is new in them needs a new start"
                    );
                }
            }
            // No file and no variable asks for these, and the flags are the same.
            Ok(Asked::Help | Asked::Version | Asked::Print { .. }) => {}
            Err(error) => error!("SIGHUP: everything stays as it is: {error}"),
        }
    }
}
