//! `etcdctl watch`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use clap::{ArgMatches, Command};
use tokio::time::sleep;

use super::session::Session;
use super::{Exit, Global, args, session};
use crate::client::watch::{Change, Watch, WatchEvent, WatchSubject};
use crate::client::{Answer, Error};
use crate::hook::{self, Subject};

/// The delay before the members are tried again.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// The command line.
pub(super) fn command() -> Command {
    Command::new("watch")
        .about("Wait for a change of a key and print the new value.")
        .override_usage("etcdctl watch [OPTIONS] KEY")
        .after_help(
            "Examples:\n  \
             etcdctl watch /message\n  \
             etcdctl watch --recursive --forever /services\n  \
             etcdctl watch --after-index 170387 --exit-after 3 /message\n\
             \n\
             For a removed key an empty line is printed, for a directory nothing; -o json prints the whole event.",
        )
        .args([
            args::key("Key to watch; it need not exist."),
            args::rest(),
            args::switch("recursive", "Also watch all keys below the key."),
            args::switch("forever", "Print changes until interrupted, across lost connections and members."),
            args::number("exit-after", "N", "Exit after this number of changes."),
            args::number("after-index", "INDEX", "Start with the first change after this index."),
        ])
}

/// Watch a key.
pub(super) fn run(global: &Global, matches: &ArgMatches) -> Result<(), Exit> {
    session::run(global, async |session| {
        let key = args::read_key(matches)?;
        let recursive = matches.get_flag("recursive");
        let after = args::read_number(matches, "after-index");
        let since = after.map(|index| index.saturating_add(1));
        let count = args::read_number(matches, "exit-after");
        let forever = matches.get_flag("forever");
        if !forever && count.unwrap_or(1) == 1 {
            let (answer, event) = session.client.watch(key, recursive, since).await?;
            return Ok(session.output.print_file(&answer, &event)?);
        }
        let subject = Subject {
            key: format!("/{}", key.trim_matches('/')),
            recursive,
        };
        let mut following = Following::new(session, subject, since);
        if !forever {
            return following.print(count).await;
        }
        tokio::select! {
            ended = following.print(count) => ended,
            interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
        }
    })
}

/// A watch of several changes.
struct Following<'s> {
    session: &'s Session,
    subject: Subject,
    watch: Watch,
    /// The lowest possible index of the next change; none until the watch is established.
    since: Option<u64>,
    /// The member that is watched, with its indices.
    at: Option<Answer>,
}

impl<'s> Following<'s> {
    fn new(session: &'s Session, subject: Subject, since: Option<u64>) -> Self {
        Self {
            watch: start(session, &subject, since),
            session,
            subject,
            since: None,
            at: None,
        }
    }

    /// Print this number of changes, or all.
    async fn print(&mut self, count: Option<u64>) -> Result<(), Exit> {
        let mut seen = 0;
        while count.is_none_or(|count| seen < count) {
            match self.watch.next().await {
                Ok(WatchEvent::Change(change)) => {
                    self.print_change(&change)?;
                    seen += 1;
                }
                Ok(WatchEvent::Established {
                    member,
                    index,
                    since,
                    raft_index,
                    raft_term,
                }) => {
                    self.since = Some(since);
                    self.at = Some(Answer {
                        member,
                        status: 200,
                        index: Some(index),
                        raft_index,
                        raft_term,
                        // Not part of the output.
                        is_oxetcd: false,
                        body: Bytes::new(),
                    });
                }
                Ok(WatchEvent::Progress { index }) => self.since = Some(index.saturating_add(1)),
                Ok(WatchEvent::Lost { .. }) => {}
                Err(error) => match self.since {
                    Some(since) if error.is_history_cleared() => {
                        for change in self.catch_up(since, &error).await? {
                            if count.is_none_or(|count| seen < count) {
                                self.print_change(&change)?;
                                seen += 1;
                            }
                        }
                    }
                    Some(_) | None => return Err(error.into()),
                },
            }
        }
        Ok(())
    }

    fn print_change(&mut self, change: &Change) -> Result<(), Exit> {
        let index = change.event.node.modified_index;
        self.since = Some(index.saturating_add(1));
        if let Some(at) = &mut self.at {
            at.body = change.json.clone();
            self.session.output.print_file(at, &change.event)?;
            at.index = at.index.max(Some(index));
        }
        Ok(())
    }

    /// The server's history no longer has the changes since `since`. Returns the keys that changed since then and
    /// still exist, and restarts the watch at the index of that listing.
    async fn catch_up(&mut self, since: u64, error: &Error) -> Result<Vec<Arc<Change>>, Exit> {
        let client = &self.session.client;
        let (index, existing) = loop {
            match hook::list_changes(client, &self.subject, since.saturating_sub(1)).await {
                Err(error) if is_temporary(&error) => sleep(RETRY_AFTER).await,
                read => break read?,
            }
        };
        eprintln!(
            "etcdctl: {error}; printing the keys that changed from index {since} to {index}, without removed keys"
        );
        let next = index.saturating_add(1);
        self.since = Some(next);
        self.watch = start(self.session, &self.subject, Some(next));
        let is_new = |change: &Arc<Change>| change.event.node.modified_index >= since;
        Ok(existing.into_iter().filter(is_new).collect())
    }
}

fn start(session: &Session, subject: &Subject, since: Option<u64>) -> Watch {
    let subject = WatchSubject {
        key: subject.key.clone(),
        recursive: subject.recursive,
        since,
    };
    Watch::start(Arc::clone(&session.client), subject)
}

/// Whether an error is about the current state of the cluster, and not about the key.
fn is_temporary(error: &Error) -> bool {
    match error {
        Error::Api(error) => (300..400).contains(&error.error_code),
        Error::NoMember(_) | Error::NoResponse { .. } => true,
        Error::InvalidResponse { status, .. } => *status >= 500,
    }
}
