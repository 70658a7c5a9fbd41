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
            return Ok(session.output.file(&answer, &event)?);
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

/// A watch that goes on.
struct Following<'s> {
    session: &'s Session,
    subject: Subject,
    watch: Watch,
    /// The next change has this index at least; none until a member has answered.
    since: Option<u64>,
    /// The member that is watched, with its indices.
    at: Option<Answer>,
}

impl<'s> Following<'s> {
    fn new(session: &'s Session, subject: Subject, since: Option<u64>) -> Self {
        Self {
            watch: watch(session, &subject, since),
            session,
            subject,
            since: None,
            at: None,
        }
    }

    /// Print changes, so many or without end.
    async fn print(&mut self, count: Option<u64>) -> Result<(), Exit> {
        let mut seen = 0;
        while count.is_none_or(|count| seen < count) {
            match self.watch.next().await {
                Ok(WatchEvent::Change(change)) => {
                    self.show(&change)?;
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
                                self.show(&change)?;
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

    fn show(&mut self, change: &Change) -> Result<(), Exit> {
        let index = change.event.node.modified_index;
        self.since = Some(index.saturating_add(1));
        if let Some(at) = &mut self.at {
            at.body = change.json.clone();
            self.session.output.file(at, &change.event)?;
            at.index = at.index.max(Some(index));
        }
        Ok(())
    }

    /// The server has forgotten what happened since then. Gives what is there now and is younger, and
    /// watches on behind it.
    async fn catch_up(&mut self, since: u64, error: &Error) -> Result<Vec<Arc<Change>>, Exit> {
        let client = &self.session.client;
        let (index, there) = loop {
            match hook::list_changes(client, &self.subject, since.saturating_sub(1)).await {
                Err(error) if passes(&error) => sleep(PAUSE).await,
                read => break read?,
            }
        };
        eprintln!(
            "etcdctl: {error}; what is there by index {index} and is younger than {since} follows, but \
             nothing that was removed meanwhile"
        );
        let next = index.saturating_add(1);
        self.since = Some(next);
        self.watch = watch(self.session, &self.subject, Some(next));
        let is_younger = |change: &Arc<Change>| change.event.node.modified_index >= since;
        Ok(there.into_iter().filter(is_younger).collect())
    }
}

fn watch(session: &Session, subject: &Subject, since: Option<u64>) -> Watch {
    let subject = WatchSubject {
        key: subject.key.clone(),
        recursive: subject.recursive,
        since,
    };
    Watch::start(Arc::clone(&session.client), subject)
}

/// Whether it may be otherwise in a while: the cluster's trouble does, what it says of the key does not.
fn passes(error: &Error) -> bool {
    match error {
        Error::Api(error) => (300..400).contains(&error.error_code),
        Error::NoMember(_) | Error::NoResponse { .. } => true,
        Error::InvalidResponse { status, .. } => *status >= 500,
    }
}
