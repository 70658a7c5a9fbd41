//! `etcdctl bench`: how fast a cluster answers, in plain v2, so that it measures any etcd of that age.
//!
//! [`Plan`] says what to do. `load` does it: a few threads, each with its share of the clients, each
//! client with a connection of its own (`connection`, which does no more than it must). They count into
//! a [`histogram`](Histogram); `report` prints it.

mod connection;
mod histogram;
mod load;
mod parse;
mod plan;
mod progress;
mod report;
mod watch;
mod workload;

#[cfg(test)]
mod tests;

pub use histogram::Histogram;
pub use plan::{Limit, Plan, Workload, command};

use std::time::Duration;

use clap::ArgMatches;
use tokio::runtime::Builder;

use super::{Exit, Global, Output};
use crate::client::{Client, Delete, Request};

/// Measure, and print what came out.
///
/// # Errors
///
/// Arguments that will not do; nobody there; or not one request that was answered well.
pub fn run(global: &Global, matches: &ArgMatches) -> Result<(), Exit> {
    let plan = Plan::read(global, matches)?;
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Exit::unreachable(format!("no runtime: {error}")))?;
    let client = Client::new(plan.members.clone()).with_tls(global.tls.clone());
    let server = runtime
        .block_on(client.send(&Request::page("/version")))
        .map_err(|error| Exit::unreachable(format!("no member answers: {error}")))?;
    let server = String::from_utf8_lossy(&server.body).trim().to_owned();

    let outcome = load::run(&plan, &global.tls);
    let removed = runtime.block_on(async {
        let whole = Delete {
            recursive: true,
            ..Delete::default()
        };
        tokio::time::timeout(CLEAN_UP_TIMEOUT, client.delete(&plan.directory, &whole)).await
    });
    let outcome = outcome?;
    if !matches!(removed, Ok(Ok(_))) {
        eprintln!("etcdctl: {} could not be removed", plan.directory);
    }
    match global.output {
        Output::Simple | Output::Extended => report::print_text(&plan, &server, &outcome),
        Output::Json => report::print_json(&plan, &server, &outcome),
    }
    if outcome.latency.count() == 0 {
        return Err(Exit::unreachable("no request was answered well"));
    }
    Ok(())
}

/// How long removing the keys may take.
const CLEAN_UP_TIMEOUT: Duration = Duration::from_secs(30);
