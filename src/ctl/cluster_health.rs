//! `etcdctl cluster-health`.

use std::time::Duration;

use clap::{ArgMatches, Command};
use serde::{Deserialize, Serialize};

use super::roster::{self, Listed};
use super::session::Session;
use super::{Exit, Global, Output, PORT, output, session, table};
use crate::client::{Get, Request};
use crate::cluster::Address;

/// How long a member may take to say that it is well.
const TIMEOUT: Duration = Duration::from_secs(3);

/// The exit code when not all members are well, as in 2.x.
const UNHEALTHY: u8 = 5;

/// The command line.
pub(super) fn command() -> Command {
    Command::new("cluster-health")
        .about("Ask each member whether it is well; exit code 5 unless all are")
        .after_help("Example: etcdctl cluster-health")
}

/// How a member is.
#[derive(Serialize)]
struct State {
    name: String,
    healthy: bool,
    url: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
}

/// What a `/health` page says: `"true"` in some versions, `true` in others.
#[derive(Deserialize)]
struct Page {
    health: serde_json::Value,
    #[serde(default)]
    reason: String,
}

/// Ask how each member is.
pub(super) fn run(global: &Global, _: &ArgMatches) -> Result<(), Exit> {
    session::run(global, async |session| {
        let mut states = Vec::new();
        for member in roster::members(session).await? {
            states.push(state(session, member).await);
        }
        let healthy = states.iter().filter(|state| state.healthy).count();
        let text = match session.output {
            Output::Json => {
                // Texts always have a JSON form.
                let text = serde_json::to_string(&states).unwrap_or_default();
                format!("{text}\n")
            }
            Output::Simple | Output::Extended => shown(&states, healthy),
        };
        output::print(&text)?;
        if healthy == states.len() && healthy > 0 {
            Ok(())
        } else {
            Err(Exit::plain(UNHEALTHY, ""))
        }
    })
}

fn shown(states: &[State], healthy: usize) -> String {
    let word = |state: &State| {
        if state.healthy {
            "healthy"
        } else {
            "unhealthy"
        }
    };
    let rows: Vec<[String; 4]> = states
        .iter()
        .map(|state| {
            let State {
                name, url, reason, ..
            } = state;
            [
                name.clone(),
                String::from(word(state)),
                url.clone(),
                reason.clone(),
            ]
        })
        .collect();
    let table = table::aligned(["NAME", "HEALTH", "CLIENT", "REASON"], &rows);
    let cluster = match healthy {
        0 => "unhealthy",
        some if some == states.len() => "healthy",
        _ => "degraded",
    };
    format!("{table}cluster is {cluster}\n")
}

async fn state(session: &Session, member: Listed) -> State {
    let url = member.client_urls.first().cloned().unwrap_or_default();
    let trouble = match Address::parse_with_port(&url, PORT) {
        Ok(address) => trouble(session, address).await,
        Err(problem) => Some(format!("its address {problem}")),
    };
    State {
        name: member.name,
        healthy: trouble.is_none(),
        url,
        reason: trouble.unwrap_or_default(),
    }
}

/// What is wrong with a member; none if nothing is.
async fn trouble(session: &Session, member: Address) -> Option<String> {
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
        return (!healthy).then(|| reason.unwrap_or_else(|| String::from("it says so")));
    }
    // 0.4 had no such page: whether it can read with the others' consent is as good.
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
