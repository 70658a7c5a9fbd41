//! `etcdctl member list` and `etcdctl member remove`.

use clap::{Arg, ArgMatches, Command};
use hyper::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use super::roster::{self, Listed};
use super::session::Session;
use super::{Exit, Global, Output, args, output, session, table};
use crate::client::{Answer, ApiError, Error, Request};

/// The command line.
pub(super) fn command() -> Command {
    Command::new("member")
        .about("List the members of the cluster, or remove one")
        .subcommand_required(true)
        .after_help("Example: etcdctl member list")
        .subcommands([
            Command::new("list")
                .about("List the members")
                .after_help("Example: etcdctl member list"),
            Command::new("remove")
                .about("Remove a member, dead or alive")
                .override_usage("etcdctl member remove NAME")
                .after_help("Example: etcdctl member remove n3")
                .args([
                    Arg::new("name")
                        .value_name("NAME")
                        .required(true)
                        .help("Its name or its id, as member list prints them"),
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
    let members = roster::members(session).await?;
    let led = members.iter().any(|member| member.leads);
    let rows = members.iter().map(|member| Row {
        name: &member.name,
        id: &member.id,
        state: match (led, member.leads) {
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
            // Texts always have a JSON form.
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
    let members = roster::members(session).await?;
    let Some(member) = members
        .iter()
        .find(|member| member.name == wanted || !member.id.is_empty() && member.id == wanted)
    else {
        let names: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
        return Err(Exit::refused(format!(
            "{wanted:?} is no member; the members are {}",
            names.join(", ")
        )));
    };
    let answer = ask_to_remove(session, &members, member).await?;
    if !answer.is_success() {
        return Err(said(&answer));
    }
    output::print(&format!("Removed member {} from cluster\n", member.name))?;
    Ok(())
}

/// By the page of the peer port that 0.4 had, or where there is none by that of later clients' ports.
async fn ask_to_remove(
    session: &Session,
    members: &[Listed],
    member: &Listed,
) -> Result<Answer, Exit> {
    let page = |path: &str, name: &str| Request {
        method: Method::DELETE,
        ..Request::page(&format!(
            "{path}/{}",
            utf8_percent_encode(name, NON_ALPHANUMERIC)
        ))
    };
    // Another one had better answer.
    let others: Vec<Listed> = members
        .iter()
        .filter(|other| *other != member || members.len() == 1)
        .cloned()
        .collect();
    let admin = roster::peers(session, &others)?;
    let answer = admin
        .send(&page("/v2/admin/machines", &member.name))
        .await?;
    let has_no_such_page =
        answer.status == 404 && serde_json::from_slice::<ApiError>(&answer.body).is_err();
    if has_no_such_page && !member.id.is_empty() {
        return Ok(session
            .client
            .send(&page("/v2/members", &member.id))
            .await?);
    }
    Ok(answer)
}

/// What a server says that did not do it.
pub(super) fn said(answer: &Answer) -> Exit {
    match serde_json::from_slice::<ApiError>(&answer.body) {
        Ok(error) => Exit::from(Error::Api(error)),
        Err(_) => {
            let text = String::from_utf8_lossy(&answer.body);
            let text = text.trim();
            Exit::refused(format!(
                "{}: answered {}: {text}",
                answer.member, answer.status
            ))
        }
    }
}
