//! `etcdctl export`.

use std::fs::File;
use std::io::{self, BufWriter, Write, stdout};
use std::time::Duration;

use clap::{Arg, ArgMatches, Command, ValueHint};
use jiff::Timestamp;

use super::dump::{self, Dump, FORMAT};
use super::progress::Progress;
use super::session::Session;
use super::{Exit, Global, args, session};
use crate::client::{Error, Get, Request};

/// How long reading the whole tree may take, unless `--timeout` says otherwise.
const TIMEOUT: Duration = Duration::from_secs(600);

/// The API's number for a key that is not there.
const NOT_FOUND: u64 = 100;

/// Hidden directories that people have; a server that lists nothing hidden is asked for them by name.
const HIDDEN: [&str; 2] = ["/_coreos.com", "/_etcd/registry"];

/// The command line.
pub(super) fn command() -> Command {
    Command::new("export")
        .about("Write the tree, or a part of it, as JSON")
        .after_help(
            "Examples:\n  \
             etcdctl -C http://old.example:4001 export > tree.json\n  \
             etcdctl export --prefix /services services.json\n\
             \n\
             Any server with the v2 API will do. Directories, values and times to live are kept; \
             indices are not. What the cluster keeps about itself in /_etcd is left out. Servers \
             other than this project's do not list keys that begin with _: but for /_coreos.com and \
             /_etcd/registry such have to be exported by name.",
        )
        .args([
            Arg::new("file")
                .value_name("FILE")
                .value_hint(ValueHint::FilePath)
                .help("Where to; without it, stdout"),
            args::option("prefix", "KEY", "Only this directory, or this key"),
            args::switch(
                "local",
                "Take what one member has, for a cluster that has lost its quorum",
            ),
        ])
}

/// Write a tree.
pub(super) fn run(global: &Global, matches: &ArgMatches) -> Result<(), Exit> {
    session::run(global, async |session| {
        let prefix = args::text(matches, "prefix").unwrap_or("/");
        let mut progress = Progress::new();
        progress.say("reading the tree");
        let read = read(session, prefix, matches.get_flag("local")).await;
        progress.clear();
        let dump = read?;
        match args::text(matches, "file").filter(|file| *file != "-") {
            None => write(&dump, stdout().lock())?,
            Some(file) => {
                let written = File::create(file).and_then(|file| {
                    write(&dump, &file)?;
                    file.sync_all()
                });
                written.map_err(|error| Exit::usage(format!("{file}: {error}")))?;
            }
        }
        let count = dump.nodes.len();
        eprintln!(
            "exported {count} keys and directories of {} as of index {}",
            prefix, dump.etcd_index
        );
        Ok(())
    })
}

async fn read(session: &Session, prefix: &str, local: bool) -> Result<Dump, Exit> {
    let version = session.client.send(&Request::page("/version")).await?;
    let get = Get {
        recursive: true,
        sorted: true,
        hidden: true,
        quorum: !local,
        ..Get::default()
    };
    let request = |key: &str| Request {
        timeout: Some(TIMEOUT),
        ..get.request(key)
    };
    let exported = Timestamp::now();
    let (answer, event) = session.ask(&request(prefix)).await?;
    let mut nodes = Vec::new();
    dump::flat(&event.node, &mut nodes);
    if event.node.shown_key() == "/" && !answer.is_oxetcd {
        for hidden in HIDDEN {
            match session.ask(&request(hidden)).await {
                Ok((_, event)) => dump::flat(&event.node, &mut nodes),
                Err(Error::Api(error)) if error.error_code == NOT_FOUND => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(Dump {
        format: String::from(FORMAT),
        server: String::from_utf8_lossy(&version.body).trim().to_owned(),
        exported,
        etcd_index: answer.index.unwrap_or_default(),
        prefix: String::from(event.node.shown_key()),
        nodes,
    })
}

/// The head on one line, then each node on its own.
fn write(dump: &Dump, output: impl Write) -> io::Result<()> {
    let mut output = BufWriter::new(output);
    let head = Dump {
        nodes: Vec::new(),
        ..dump.clone()
    };
    let head = serde_json::to_string(&head)?;
    // It ends with an empty list.
    output.write_all(head.trim_end_matches("]}").as_bytes())?;
    for (place, node) in dump.nodes.iter().enumerate() {
        output.write_all(if place == 0 { b"\n" } else { b",\n" })?;
        serde_json::to_writer(&mut output, node)?;
    }
    output.write_all(b"\n]}\n")?;
    output.flush()
}
