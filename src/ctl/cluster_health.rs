//! `etcdctl cluster-health`.

use std::time::Duration;

use clap::{ArgMatches, Command};
use serde::{Deserialize, Serialize};

use super::members::{self, Member};
use super::session::Session;
use super::{Exit, Global, Output, PORT, output, session, table};
use crate::client::{Get, Request};
use crate::cluster::Address;

/// The timeout for the response of one member.
const TIMEOUT: Duration = Duration::from_secs(3);

/// The exit code if a member is unhealthy, as in etcd 2.x.
const UNHEALTHY: u8 = 5;

/// The command line.
pub(super) fn command() -> Command {
    Command::new("cluster-health")
        .about("Check the health of each member; the exit code is 5 unless all are healthy.")
        .after_help("Example: etcdctl cluster-health")
}

/// The health of a member.
#[derive(Serialize)]
struct Health {
    name: String,
    healthy: bool,
    url: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
}

/// The response of `/health`: the value is `"true"` in some versions and `true` in others.
#[derive(Deserialize)]
struct Page {
    health: serde_json::Value,
    #[serde(default)]
    reason: String,
}

/// Check the health of each member.
pub(super) fn run(global: &Global, _: &ArgMatches) -> Result<(), Exit> {
    session::run(global, async |session| {
        let mut all = Vec::new();
        for member in members::list(session).await? {
            all.push(check(session, member).await);
        }
        let healthy = all.iter().filter(|health| health.healthy).count();
        let text = match session.output {
            Output::Json => {
                // Strings always have a JSON form.
                let text = serde_json::to_string(&all).unwrap_or_default();
                format!("{text}\n")
            }
            Output::Simple | Output::Extended => format_table(&all, healthy),
        };
        output::print(&text)?;
        if healthy == all.len() && healthy > 0 {
            Ok(())
        } else {
            Err(Exit::plain(UNHEALTHY, ""))
        }
    })
}

fn format_table(all: &[Health], healthy: usize) -> String {
    let word = |health: &Health| {
        if health.healthy {
            "healthy"
        } else {
            "unhealthy"
        }
    };
    let rows: Vec<[String; 4]> = all
        .iter()
        .map(|health| {
            let Health {
                name, url, reason, ..
            } = health;
            [
                name.clone(),
                String::from(word(health)),
                url.clone(),
                reason.clone(),
            ]
        })
        .collect();
    let table = table::aligned(["NAME", "HEALTH", "CLIENT", "REASON"], &rows);
    let cluster = match healthy {
        0 => "unhealthy",
        some if some == all.len() => "healthy",
        _ => "degraded",
    };
    format!("{table}cluster is {cluster}\n")
}

async fn check(session: &Session, member: Member) -> Health {
    let url = member.client_urls.first().cloned().unwrap_or_default();
    let failure = match Address::parse_with_port(&url, PORT) {
        Ok(address) => find_failure(session, address).await,
        Err(problem) => Some(format!("its client URL {problem}")),
    };
    Health {
        name: member.name,
        healthy: failure.is_none(),
        url,
        reason: failure.unwrap_or_default(),
    }
}

/// Why a member is unhealthy; none if it is healthy.
async fn find_failure(session: &Session, member: Address) -> Option<String> {
    let client = session.client_of(vec![member]);
    let page = |path: &str| Request {
        timeout: Some(TIMEOUT),
        ..Request::page(path)
    };
    let answer = match client.send(&page("/health")).await {
        Ok(answer) => answer,
        Err(error) => return Some(error.to_string()),
    };
    if let Ok(page) = serde_json::from_slice::<Page>(&answer.body) {
        let healthy = page.health == true || page.health == "true";
        let reason = Some(page.reason).filter(|reason| !reason.is_empty());
        return (!healthy)
            .then(|| reason.unwrap_or_else(|| String::from("reported by the member")));
    }
    // 0.4 has no such page: a quorum read shows the same.
    let get = Get {
        consistent: true,
        quorum: true,
        ..Get::default()
    };
    let request = Request {
        timeout: Some(TIMEOUT),
        ..get.request("/")
    };
    match client
        .send(&request)
        .await
        .and_then(|answer| answer.event())
    {
        Ok(_) => None,
        Err(error) => Some(error.to_string()),
    }
}
