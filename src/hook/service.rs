//! Several watches in one process: finding the cluster, signals, and what they end with.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinSet, LocalSet};

use super::command::Stage;
use super::notify::Notify;
use super::plan::Plan;
use super::run::{Fault, run};
use super::signals;
use crate::client::Client;
use crate::ctl::session::{self, Session};
use crate::ctl::{Exit, Global};

/// How long commands without a limit of their own may take to end when all is stopped.
const GRACE: Duration = Duration::from_secs(30);

/// How long to wait before looking for the cluster again.
const SEEK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What to do if no member is there at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seek {
    /// Say so, and end.
    Once,
    /// Wait for one.
    Patiently,
}

/// Watch and run until told to stop.
///
/// # Errors
///
/// Why it ended otherwise.
pub(crate) fn serve(
    global: &Global,
    seek: Seek,
    prepare: impl FnOnce() -> Result<Vec<Plan>, Exit>,
) -> Result<(), Exit> {
    let runtime = session::runtime()?;
    let outcome = LocalSet::new().block_on(&runtime, async {
        let (grace, told) = watch::channel(GRACE);
        let stage = signals::stages(told)
            .map_err(|error| Exit::usage(format!("signals cannot be listened for: {error}")))?;
        let Some(client) = find(global, seek, stage.clone()).await? else {
            return Ok(0);
        };
        let plans = prepare()?;
        let limits = plans.iter().filter_map(|plan| plan.spec.timeout);
        grace.send_replace(limits.max().unwrap_or(GRACE));
        all(plans, client, &stage).await
    });
    runtime.shutdown_timeout(Duration::ZERO);
    match outcome {
        Ok(0) => Ok(()),
        Ok(code) => Err(Exit::plain(code, "")),
        Err(exit) => Err(exit),
    }
}

/// The cluster; none if told to stop before it is found.
async fn find(
    global: &Global,
    seek: Seek,
    mut stage: watch::Receiver<Stage>,
) -> Result<Option<Arc<Client>>, Exit> {
    let seeking = async {
        let mut said = false;
        loop {
            match Session::open(global).await {
                Ok(session) => return Ok(session.client),
                Err(exit) if seek == Seek::Once => return Err(exit),
                Err(exit) => {
                    if !std::mem::replace(&mut said, true) {
                        super::say(None, &format!("{}; trying again", exit.message));
                    }
                    tokio::time::sleep(SEEK_AGAIN_AFTER).await;
                }
            }
        }
    };
    tokio::select! {
        found = seeking => found.map(Some),
        _ = stage.wait_for(|stage| *stage >= Stage::Drain) => Ok(None),
    }
}

/// Run all of them to their end. One that fails leaves the others alone; its exit code is kept.
async fn all(
    plans: Vec<Plan>,
    client: Arc<Client>,
    stage: &watch::Receiver<Stage>,
) -> Result<u8, Exit> {
    let notify = Rc::new(Notify::new(plans.len()));
    let alone = plans.len() == 1;
    let mut runs = JoinSet::new();
    for plan in plans {
        let (client, stage) = (Arc::clone(&client), stage.clone());
        let notify = Rc::clone(&notify);
        runs.spawn_local(async move {
            let name = plan.name.clone();
            (name, run(plan, client, stage, notify).await)
        });
    }
    let mut code = 0;
    loop {
        let ended = tokio::select! {
            ended = runs.join_next() => ended,
            () = notify.tend() => None,
        };
        let (name, outcome) = match ended {
            Some(Ok(ended)) => ended,
            Some(Err(error)) => return Err(Exit::usage(format!("a watch was lost: {error}"))),
            None => return Ok(code),
        };
        match outcome {
            Ok(ended) => code = code.max(ended),
            Err(fault) if alone => return Err(exit(fault)),
            Err(fault) => {
                let fault = exit(fault);
                super::say(name.as_deref(), &fault.message);
                notify.begun();
                code = code.max(fault.code);
            }
        }
    }
}

fn exit(fault: Fault) -> Exit {
    match fault {
        Fault::Cluster(error) => Exit::from(error),
        Fault::State(text) => Exit::usage(text),
    }
}
