//! Running watches with commands until a signal: what `exec-watch` and `hook run` share.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::LocalSet;

use super::session::{self, Session};
use super::{Exit, Global};
use crate::client::Client;
use crate::hook::{Plan, RunError, Shutdown, run_plans};

/// The delay before the members are tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What to do if no member can be reached at start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectRetry {
    /// Fail.
    Never,
    /// Retry until one can be reached.
    UntilReached,
}

/// Connect to the cluster, make the plans, and run them until a signal.
///
/// # Errors
///
/// No runtime or signal handlers; no member reachable with [`ConnectRetry::Never`]; the error of `prepare`; a
/// watch that failed.
pub(super) fn serve(
    global: &Global,
    retry: ConnectRetry,
    prepare: impl FnOnce() -> Result<Vec<Plan>, Exit>,
) -> Result<(), Exit> {
    let runtime = session::runtime()?;
    let outcome = LocalSet::new().block_on(&runtime, async {
        let shutdown = Shutdown::listen()
            .map_err(|error| Exit::usage(format!("cannot install signal handlers: {error}")))?;
        let Some(client) = connect(global, retry, &shutdown).await? else {
            return Ok(0);
        };
        let plans = prepare()?;
        let code_of = |error: &RunError| to_exit(error).code;
        run_plans(plans, client, &shutdown, print_line, code_of)
            .await
            .map_err(|error| to_exit(&error))
    });
    runtime.shutdown_timeout(Duration::ZERO);
    match outcome? {
        0 => Ok(()),
        code => Err(Exit::plain(code, "")),
    }
}

/// A client of the cluster; none if a signal came first.
async fn connect(
    global: &Global,
    retry: ConnectRetry,
    shutdown: &Shutdown,
) -> Result<Option<Arc<Client>>, Exit> {
    let connecting = async {
        let mut printed = false;
        loop {
            match Session::open(global).await {
                Ok(session) => return Ok(session.client),
                Err(exit) if retry == ConnectRetry::Never => return Err(exit),
                Err(exit) => {
                    if !std::mem::replace(&mut printed, true) {
                        print_line(None, &format!("{}; retrying", exit.message));
                    }
                    tokio::time::sleep(RETRY_AFTER).await;
                }
            }
        }
    };
    tokio::select! {
        client = connecting => client.map(Some),
        () = shutdown.requested() => Ok(None),
    }
}

/// Print a line for people to stderr.
pub(super) fn print_line(hook: Option<&str>, text: &str) {
    let hook = hook.map(|name| format!("{name}: ")).unwrap_or_default();
    // Fails only if stderr is closed.
    let _ = writeln!(std::io::stderr(), "etcdctl: {hook}{text}");
}

fn to_exit(error: &RunError) -> Exit {
    match error {
        RunError::Cluster(error) => Exit::from(error.clone()),
        RunError::State(_) | RunError::Lost(_) => Exit::usage(error.to_string()),
    }
}
