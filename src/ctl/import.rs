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

/// How many writes are under way at a time.
const WRITES_MAX: usize = 64;

/// How often a write is tried when the cluster cannot take it just now.
const ATTEMPTS_MAX: u32 = 6;

/// How long to wait before the second attempt; the wait doubles with each.
const PAUSE: Duration = Duration::from_millis(200);

/// How many failures are told one by one.
const FAILURES_SHOWN: usize = 10;

/// The command line.
pub(super) fn command() -> Command {
    Command::new("import")
        .about("Write a tree that was exported")
        .after_help(
            "Examples:\n  \
             etcdctl import tree.json\n  \
             etcdctl -C http://old.example:4001 export | etcdctl import --prefix /services\n\
             \n\
             Keys that are there are overwritten, others are left alone; it can be run again. Times \
             to live go on from when the tree was exported: what would be gone by now is left out.",
        )
        .args([
            Arg::new("file")
                .value_name("FILE")
                .value_hint(ValueHint::FilePath)
                .help("Where from; without it, stdin"),
            args::option("prefix", "KEY", "Only what is in this directory, or this key"),
        ])
}

/// What became of a node.
enum Outcome {
    Written,
    /// It would be gone by now.
    Gone,
    /// The API said no.
    Refused(String, Error),
    /// The cluster cannot be reached, or not take it.
    Stopped(String, Error),
}

/// What became of all.
#[derive(Default)]
struct Tally {
    written: usize,
    gone: usize,
    refused: Vec<String>,
}

/// Write a tree.
pub(super) fn run(global: &Global, matches: &ArgMatches) -> Result<(), Exit> {
    let mut dump = read(args::text(matches, "file"))?;
    if let Some(prefix) = args::text(matches, "prefix") {
        dump.nodes.retain(|saved| saved.is_in(prefix));
        if dump.nodes.is_empty() {
            return Err(Exit::usage(format!(
                "there is nothing in it below {prefix}"
            )));
        }
    }
    session::run(global, async |session| write(session, dump).await)
}

fn read(file: Option<&str>) -> Result<Dump, Exit> {
    let named = file.filter(|file| *file != "-");
    let name = named.unwrap_or("stdin");
    let fault = |what: String| Exit::usage(format!("{name}: {what}"));
    let mut text = String::new();
    let read = match named {
        None => stdin().read_to_string(&mut text),
        Some(file) => {
            File::open(file).and_then(|file| BufReader::new(file).read_to_string(&mut text))
        }
    };
    read.map_err(|error| fault(error.to_string()))?;
    let dump: Dump = serde_json::from_str(&text)
        .map_err(|error| fault(format!("this is not what etcdctl export writes: {error}")))?;
    if dump.format != FORMAT {
        return Err(fault(format!(
            "its format is {:?}, and only {FORMAT:?} is known here",
            dump.format
        )));
    }
    Ok(dump)
}

/// Keys first, and directories that will go when all that is in them is there.
async fn write(session: &Session, dump: Dump) -> Result<(), Exit> {
    let dump = Arc::new(dump);
    let mut tally = Tally::default();
    let mut progress = Progress::new();
    let is_last = |place: &usize| dump.nodes.get(*place).is_some_and(Saved::is_lease);
    let (last, first): (Vec<usize>, Vec<usize>) = (0..dump.nodes.len()).partition(is_last);
    let mut stopped = Ok(());
    for places in [first, last] {
        if stopped.is_ok() {
            stopped = write_all(session, &dump, places, &mut tally, &mut progress).await;
        }
    }
    progress.clear();
    let Tally {
        written,
        gone,
        refused,
    } = &tally;
    let total = dump.nodes.len();
    stopped.map_err(|(key, error)| {
        Exit::refused(format!(
            "{key}: {error}; {written} of {total} were written, run it again to go on"
        ))
    })?;
    output::print(&format!(
        "imported {written} of {total}, expired since: {gone}\n"
    ))?;
    if refused.is_empty() {
        return Ok(());
    }
    for line in refused.iter().take(FAILURES_SHOWN) {
        eprintln!("{line}");
    }
    Err(Exit::refused(format!(
        "{} could not be written",
        refused.len()
    )))
}

async fn write_all(
    session: &Session,
    dump: &Arc<Dump>,
    places: Vec<usize>,
    tally: &mut Tally,
    progress: &mut Progress,
) -> Result<(), (String, Error)> {
    let mut places = places.into_iter();
    let mut writes = JoinSet::new();
    loop {
        while writes.len() < WRITES_MAX
            && let Some(place) = places.next()
        {
            writes.spawn(write_one(
                Arc::clone(&session.client),
                Arc::clone(dump),
                place,
            ));
        }
        // A write that panicked would have ended the program.
        let Some(Ok(outcome)) = writes.join_next().await else {
            return Ok(());
        };
        match outcome {
            Outcome::Written => tally.written += 1,
            Outcome::Gone => tally.gone += 1,
            Outcome::Refused(key, error) => tally.refused.push(format!("{key}: {error}")),
            Outcome::Stopped(key, error) => return Err((key, error)),
        }
        progress.count(tally.written + tally.gone, dump.nodes.len());
    }
}

async fn write_one(client: Arc<Client>, dump: Arc<Dump>, place: usize) -> Outcome {
    let Some(saved) = dump.nodes.get(place) else {
        return Outcome::Gone;
    };
    let mut attempt = 1;
    let mut pause = PAUSE;
    loop {
        let ttl = match saved.ttl.map(|ttl| dump.left(ttl, Timestamp::now())) {
            Some(None) => return Outcome::Gone,
            Some(left) => left,
            None => None,
        };
        match put(&client, saved, ttl).await {
            Ok(()) => return Outcome::Written,
            Err(Error::Api(error)) if error.error_code / 100 != 3 => {
                return Outcome::Refused(saved.key.clone(), Error::Api(error));
            }
            Err(error) if attempt == ATTEMPTS_MAX => {
                return Outcome::Stopped(saved.key.clone(), error);
            }
            // To write the same again does no harm.
            Err(_) => sleep(pause).await,
        }
        attempt += 1;
        pause *= 2;
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

/// The API's number for a key that is there already.
const EXISTS: u64 = 105;

impl Saved {
    /// Whether it is a directory that will go.
    fn is_lease(&self) -> bool {
        self.value.is_none() && self.ttl.is_some()
    }
}
