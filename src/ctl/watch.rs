//! `etcdctl watch`.

use std::time::Duration;

use clap::{ArgMatches, Command};
use tokio::time::sleep;

use super::session::Session;
use super::{Exit, Global, args, session};
use crate::client::{Answer, Error, Event, Request};

/// How long to wait before the members are tried again when none could be reached.
const PAUSE: Duration = Duration::from_millis(500);

/// The command line.
pub(super) fn command() -> Command {
    Command::new("watch")
        .about("Wait for a change of a key, and print the new value")
        .override_usage("etcdctl watch [OPTIONS] KEY")
        .after_help(
            "Examples:\n  \
             etcdctl watch /message\n  \
             etcdctl watch --recursive --forever /services\n  \
             etcdctl watch --after-index 170387 --exit-after 3 /message\n\
             \n\
             A removed key prints an empty line, a directory nothing; -o json prints the whole event.",
        )
        .args([
            args::key("The key; it need not be there yet"),
            args::rest(),
            args::switch("recursive", "Changes below it too"),
            args::switch("forever", "Go on until interrupted, across lost connections and members"),
            args::number("exit-after", "N", "Go on until this many changes were seen"),
            args::number("after-index", "INDEX", "Begin with the first change after this index"),
        ])
}

/// What is waited for.
struct Wanted<'a> {
    key: &'a str,
    recursive: bool,
    since: Option<u64>,
    /// How many changes; none for all.
    count: Option<u64>,
}

/// Watch a key.
pub(super) fn run(global: &Global, matches: &ArgMatches) -> Result<(), Exit> {
    session::run(global, async |session| {
        let after = args::read_number(matches, "after-index");
        let count = args::read_number(matches, "exit-after");
        let forever = matches.get_flag("forever");
        let wanted = Wanted {
            key: args::read_key(matches)?,
            recursive: matches.get_flag("recursive"),
            since: after.map(|index| index.saturating_add(1)),
            count: count.or((!forever).then_some(1)),
        };
        if !forever {
            return watch(session, wanted).await;
        }
        if !global.sync {
            // Members that were never there are not waited for.
            session.client.send(&Request::page("/version")).await?;
        }
        tokio::select! {
            ended = watch(session, wanted) => ended,
            interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
        }
    })
}

async fn watch(session: &Session, mut wanted: Wanted<'_>) -> Result<(), Exit> {
    let mut seen = 0;
    while wanted.count.is_none_or(|count| seen < count) {
        let (answer, event) = next(session, &wanted).await?;
        wanted.since = Some(event.node.modified_index.saturating_add(1));
        session.output.file(&answer, &event)?;
        seen += 1;
    }
    Ok(())
}

/// The next change. Once one is to be followed by others, members that are away are waited for.
async fn next(session: &Session, wanted: &Wanted<'_>) -> Result<(Answer, Event), Error> {
    loop {
        let found = session
            .client
            .watch(wanted.key, wanted.recursive, wanted.since);
        match found.await {
            Err(error) if wanted.count != Some(1) && passes(&error) => sleep(PAUSE).await,
            found => return found,
        }
    }
}

/// Whether it may be otherwise in a while: the cluster's trouble does, what it says of the key does not.
fn passes(error: &Error) -> bool {
    match error {
        Error::Api(error) => (300..400).contains(&error.error_code),
        Error::NoMember(_) | Error::Unanswered { .. } => true,
        Error::Garbage { status, .. } => *status >= 500,
    }
}
