//! `etcdctl bench`: throughput and latency of a cluster, with plain v2 requests, so that any etcd with the v2 API
//! can be measured.
//!
//! A [`Plan`] is what the command line asks for. `load` runs it on one thread per core, each with its share of
//! the clients. A `client` has one `connection`, and counts into an `outcome`; `report` prints the sum of all.

mod client;
mod connection;
mod failure;
mod load;
mod outcome;
mod parse;
mod plan;
mod progress;
mod report;
mod watch;
mod workload;

#[cfg(test)]
mod tests;

pub use plan::{Limit, Plan, Workload, command};

use std::time::Duration;

use clap::ArgMatches;
use tokio::runtime::Builder;

use super::{Exit, Global, Output};
use crate::client::{Client, Delete, Request};

/// Measure, and print the report.
///
/// # Errors
///
/// Invalid arguments; no member reachable; not a single successful response.
pub fn run(global: &Global, matches: &ArgMatches) -> Result<(), Exit> {
    let plan = Plan::read(global, matches)?;
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Exit::unreachable(format!("cannot start the runtime: {error}")))?;
    let client = Client::new(plan.members.clone()).with_tls(global.tls.clone());
    let server = runtime
        .block_on(client.send(&Request::page("/version")))
        .map_err(|error| Exit::unreachable(format!("no member reachable: {error}")))?;
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
        eprintln!("etcdctl: cannot remove {}", plan.directory);
    }
    match global.output {
        Output::Simple | Output::Extended => report::print_text(&plan, &server, &outcome),
        Output::Json => report::print_json(&plan, &server, &outcome),
    }
    if outcome.count() == 0 {
        return Err(Exit::unreachable("no request succeeded"));
    }
    Ok(())
}

/// The timeout for removing the keys.
const CLEAN_UP_TIMEOUT: Duration = Duration::from_secs(30);
