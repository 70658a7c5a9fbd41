//! `etcdctl import`.

use std::fs::File;
use std::io::{BufReader, Read, stdin};
use std::sync::Arc;
use std::time::Duration;

use clap::{Arg, ArgMatches, Command, ValueHint};
use jiff::Timestamp;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::dump::{Dump, FORMAT, Saved};
use super::progress::Progress;
use super::session::Session;
use super::{Exit, Global, args, output, session};
use crate::client::{Client, Error, Put};

/// The number of concurrent writes.
const WRITES_MAX: usize = 64;

/// The number of attempts for a write that fails for a temporary reason.
const ATTEMPTS_MAX: u32 = 6;

/// The delay before the second attempt; it doubles with each.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// The number of failures that are printed one by one.
const FAILURES_SHOWN: usize = 10;

/// The command line.
pub(super) fn command() -> Command {
    Command::new("import")
        .about("Import a tree that was exported.")
        .after_help(
            "Examples:\n  \
             etcdctl import tree.json\n  \
             etcdctl -C http://old.example:4001 export | etcdctl import --prefix /services\n\
             \n\
             Existing keys are overwritten, other keys are not changed; an import may be repeated. TTLs \
             count from the time of the export: keys that have expired since are omitted.",
        )
        .args([
            Arg::new("file")
                .value_name("FILE")
                .value_hint(ValueHint::FilePath)
                .help("Input file (default: stdin)."),
            args::option("prefix", "KEY", "Directory or key to import (default: all)."),
        ])
}

/// The result for one node.
enum Outcome {
    Written,
    /// Its TTL has expired.
    Expired,
    /// The API refused the write.
    Refused(String, Error),
    /// The cluster cannot be reached, or cannot write.
    Unavailable(String, Error),
}

/// The results for all nodes.
#[derive(Default)]
struct Tally {
    written: usize,
    expired: usize,
    refused: Vec<String>,
}

/// Import a tree.
pub(super) fn run(global: &Global, matches: &ArgMatches) -> Result<(), Exit> {
    let mut dump = read(args::text(matches, "file"))?;
    if let Some(prefix) = args::text(matches, "prefix") {
        dump.nodes.retain(|saved| saved.is_in(prefix));
        if dump.nodes.is_empty() {
            return Err(Exit::usage(format!(
                "the export has no key {prefix} and none below it"
            )));
        }
    }
    session::run(global, async |session| write(session, dump).await)
}

fn read(file: Option<&str>) -> Result<Dump, Exit> {
    let named = file.filter(|file| *file != "-");
    let name = named.unwrap_or("stdin");
    let invalid = |what: String| Exit::usage(format!("{name}: {what}"));
    let mut text = String::new();
    let read = match named {
        None => stdin().read_to_string(&mut text),
        Some(file) => {
            File::open(file).and_then(|file| BufReader::new(file).read_to_string(&mut text))
        }
    };
    read.map_err(|error| invalid(error.to_string()))?;
    let dump: Dump = serde_json::from_str(&text)
        .map_err(|error| invalid(format!("not a file of etcdctl export: {error}")))?;
    if dump.format != FORMAT {
        return Err(invalid(format!(
            "unsupported format {:?}; expected {FORMAT:?}",
            dump.format
        )));
    }
    Ok(dump)
}

/// Write keys first, then directories with a TTL, so that none expires before its content is written.
async fn write(session: &Session, dump: Dump) -> Result<(), Exit> {
    let dump = Arc::new(dump);
    let mut tally = Tally::default();
    let mut progress = Progress::new();
    let is_last = |index: &usize| dump.nodes.get(*index).is_some_and(Saved::is_lease);
    let (last, first): (Vec<usize>, Vec<usize>) = (0..dump.nodes.len()).partition(is_last);
    let mut stopped = Ok(());
    for indices in [first, last] {
        if stopped.is_ok() {
            stopped = write_all(session, &dump, indices, &mut tally, &mut progress).await;
        }
    }
    progress.clear();
    let Tally {
        written,
        expired,
        refused,
    } = &tally;
    let total = dump.nodes.len();
    stopped.map_err(|(key, error)| {
        Exit::refused(format!(
            "{key}: {error}; {written} of {total} written; repeat the import to continue"
        ))
    })?;
    output::print(&format!(
        "imported {written} of {total}, expired since the export: {expired}\n"
    ))?;
    if refused.is_empty() {
        return Ok(());
    }
    for line in refused.iter().take(FAILURES_SHOWN) {
        eprintln!("{line}");
    }
    Err(Exit::refused(format!(
        "cannot write {} of the keys",
        refused.len()
    )))
}

async fn write_all(
    session: &Session,
    dump: &Arc<Dump>,
    indices: Vec<usize>,
    tally: &mut Tally,
    progress: &mut Progress,
) -> Result<(), (String, Error)> {
    let mut indices = indices.into_iter();
    let mut writes = JoinSet::new();
    loop {
        while writes.len() < WRITES_MAX
            && let Some(index) = indices.next()
        {
            writes.spawn(write_one(
                Arc::clone(&session.client),
                Arc::clone(dump),
                index,
            ));
        }
        // A panic in a write ends the program.
        let Some(Ok(outcome)) = writes.join_next().await else {
            return Ok(());
        };
        match outcome {
            Outcome::Written => tally.written += 1,
            Outcome::Expired => tally.expired += 1,
            Outcome::Refused(key, error) => tally.refused.push(format!("{key}: {error}")),
            Outcome::Unavailable(key, error) => return Err((key, error)),
        }
        progress.count(tally.written + tally.expired, dump.nodes.len());
    }
}

async fn write_one(client: Arc<Client>, dump: Arc<Dump>, index: usize) -> Outcome {
    let Some(saved) = dump.nodes.get(index) else {
        return Outcome::Expired;
    };
    let mut attempt = 1;
    let mut delay = RETRY_AFTER;
    loop {
        let ttl = match saved.ttl.map(|ttl| dump.left(ttl, Timestamp::now())) {
            Some(None) => return Outcome::Expired,
            Some(left) => left,
            None => None,
        };
        match put(&client, saved, ttl).await {
            Ok(()) => return Outcome::Written,
            Err(Error::Api(error)) if error.error_code / 100 != 3 => {
                return Outcome::Refused(saved.key.clone(), Error::Api(error));
            }
            Err(error) if attempt == ATTEMPTS_MAX => {
                return Outcome::Unavailable(saved.key.clone(), error);
            }
            // The same write may be sent twice.
            Err(_) => sleep(delay).await,
        }
        attempt += 1;
        delay *= 2;
    }
}

async fn put(client: &Client, saved: &Saved, ttl: Option<u64>) -> Result<(), Error> {
    let set = Put {
        value: saved.value.clone().map(Into::into),
        directory: saved.value.is_none(),
        ttl,
        ..Put::default()
    };
    if saved.value.is_some() {
        return client.put(&saved.key, &set).await.map(drop);
    }
    let make = Put {
        prev_exist: Some(false),
        ..set.clone()
    };
    match client.put(&saved.key, &make).await {
        Err(Error::Api(error)) if error.error_code == EXISTS => {}
        made => return made.map(drop),
    }
    if ttl.is_none() {
        return Ok(());
    }
    let refresh = Put {
        prev_exist: Some(true),
        ..set
    };
    client.put(&saved.key, &refresh).await.map(drop)
}

/// The API's error code "Key already exists".
const EXISTS: u64 = 105;

impl Saved {
    /// Whether it is a directory with a TTL.
    fn is_lease(&self) -> bool {
        self.value.is_none() && self.ttl.is_some()
    }
}
