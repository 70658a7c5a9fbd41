//! `etcdctl member list` and `etcdctl member remove`.

use clap::{Arg, ArgMatches, Command};
use hyper::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use super::members::{self, Member};
use super::session::Session;
use super::{Exit, Global, Output, args, output, session, table};
use crate::client::{Answer, ApiError, Request};
use crate::membership::api::PeerPage;

/// The command line.
pub(super) fn command() -> Command {
    Command::new("member")
        .about("List the members of the cluster, or remove one.")
        .subcommand_required(true)
        .after_help("Example: etcdctl member list")
        .subcommands([
            Command::new("list")
                .about("List the members with their state and URLs.")
                .after_help("Example: etcdctl member list"),
            Command::new("remove")
                .about("Remove a member from the cluster; it need not be running.")
                .override_usage("etcdctl member remove NAME")
                .after_help("Example: etcdctl member remove n3")
                .args([
                    Arg::new("name")
                        .value_name("NAME")
                        .required(true)
                        .help("Name or id of the member, as printed by member list."),
                    args::rest(),
                ]),
        ])
}

/// List members, or remove one.
pub(super) fn run(global: &Global, matches: &ArgMatches) -> Result<(), Exit> {
    session::run(global, async |session| match matches.subcommand() {
        Some(("remove", matches)) => {
            let name = args::text(matches, "name").unwrap_or_default();
            remove(session, name).await
        }
        _ => list(session).await,
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    id: &'a str,
    state: &'a str,
    #[serde(rename = "clientURLs")]
    client_urls: &'a [String],
    #[serde(rename = "peerURLs")]
    peer_urls: &'a [String],
}

async fn list(session: &Session) -> Result<(), Exit> {
    let members = members::list(session).await?;
    let has_leader = members.iter().any(|member| member.is_leader);
    let rows = members.iter().map(|member| Row {
        name: &member.name,
        id: &member.id,
        state: match (has_leader, member.is_leader) {
            (_, true) => "leader",
            (true, false) => "follower",
            (false, false) => "unknown",
        },
        client_urls: &member.client_urls,
        peer_urls: &member.peer_urls,
    });
    match session.output {
        Output::Json => {
            let rows: Vec<Row<'_>> = rows.collect();
            // Strings always have a JSON form.
            let text = serde_json::to_string(&rows).unwrap_or_default();
            output::print(&format!("{text}\n"))?;
        }
        Output::Simple | Output::Extended => {
            let rows: Vec<[String; 5]> = rows
                .map(|row| {
                    let urls = |urls: &[String]| urls.join(",");
                    [
                        String::from(row.name),
                        String::from(row.state),
                        urls(row.client_urls),
                        urls(row.peer_urls),
                        String::from(row.id),
                    ]
                })
                .collect();
            let head = ["NAME", "STATE", "CLIENT", "PEER", "ID"];
            output::print(&table::aligned(head, &rows))?;
        }
    }
    Ok(())
}

async fn remove(session: &Session, wanted: &str) -> Result<(), Exit> {
    let members = members::list(session).await?;
    let Some(member) = members
        .iter()
        .find(|member| member.name == wanted || !member.id.is_empty() && member.id == wanted)
    else {
        let names: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
        return Err(Exit::refused(format!(
            "member {wanted:?} not found; the members are {}",
            names.join(", ")
        )));
    };
    let answer = send_removal(session, &members, member).await?;
    if !answer.is_success() {
        return Err(Exit::from_answer(&answer));
    }
    output::print(&format!("Removed member {} from cluster\n", member.name))?;
    Ok(())
}

/// Send the removal to 0.4's page of the peer port, or to the client port of a later server.
async fn send_removal(
    session: &Session,
    members: &[Member],
    member: &Member,
) -> Result<Answer, Exit> {
    let delete = |path: &str| Request {
        method: Method::DELETE,
        ..Request::page(path)
    };
    // Prefer the other members: the one to be removed may not respond.
    let others: Vec<Member> = members
        .iter()
        .filter(|other| *other != member || members.len() == 1)
        .cloned()
        .collect();
    let admin = members::peer_client(session, &others)?;
    let answer = admin
        .send(&delete(&PeerPage::member_path(&member.name)))
        .await?;
    let is_unsupported =
        answer.status == 404 && serde_json::from_slice::<ApiError>(&answer.body).is_err();
    if is_unsupported && !member.id.is_empty() {
        let id = utf8_percent_encode(&member.id, NON_ALPHANUMERIC);
        let request = delete(&format!("/v2/members/{id}"));
        return Ok(session.client.send(&request).await?);
    }
    Ok(answer)
}
