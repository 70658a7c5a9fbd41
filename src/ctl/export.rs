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

/// The timeout for reading the whole tree, unless `--timeout` is given.
const TIMEOUT: Duration = Duration::from_secs(600);

/// The API's error code "Key not found".
const NOT_FOUND: u64 = 100;

/// Hidden directories in common use, read by name from a server that does not list hidden keys.
const HIDDEN: [&str; 2] = ["/_coreos.com", "/_etcd/registry"];

/// The command line.
pub(super) fn command() -> Command {
    Command::new("export")
        .about("Export the tree, or a part of it, as JSON.")
        .after_help(
            "Examples:\n  \
             etcdctl -C http://old.example:4001 export > tree.json\n  \
             etcdctl export --prefix /services services.json\n\
             \n\
             Works with any server that has the v2 API. The export contains directories, values and TTLs, but \
             no indices. The keys of the cluster itself in /_etcd are omitted. Servers other than oxetcd \
             do not list hidden keys (those that begin with _): except for /_coreos.com and \
             /_etcd/registry, export them with --prefix.",
        )
        .args([
            Arg::new("file")
                .value_name("FILE")
                .value_hint(ValueHint::FilePath)
                .help("Output file (default: stdout)."),
            args::option("prefix", "KEY", "Directory or key to export (default: /)."),
            args::switch(
                "local",
                "Read from one member without a quorum, for a cluster that has lost its quorum.",
            ),
        ])
}

/// Export a tree.
pub(super) fn run(global: &Global, matches: &ArgMatches) -> Result<(), Exit> {
    session::run(global, async |session| {
        let prefix = args::text(matches, "prefix").unwrap_or("/");
        let mut progress = Progress::new();
        progress.show("reading the tree");
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
            "exported {count} keys and directories of {} at index {}",
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
    let (answer, event) = session.send(&request(prefix)).await?;
    let mut nodes = Vec::new();
    dump::flatten(&event.node, &mut nodes);
    if event.node.shown_key() == "/" && !answer.is_oxetcd {
        for hidden in HIDDEN {
            match session.send(&request(hidden)).await {
                Ok((_, event)) => dump::flatten(&event.node, &mut nodes),
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

/// Write the head on one line, then one line per node.
fn write(dump: &Dump, output: impl Write) -> io::Result<()> {
    let mut output = BufWriter::new(output);
    let head = Dump {
        nodes: Vec::new(),
        ..dump.clone()
    };
    let head = serde_json::to_string(&head)?;
    // The head ends with an empty list.
    output.write_all(head.trim_end_matches("]}").as_bytes())?;
    for (index, node) in dump.nodes.iter().enumerate() {
        output.write_all(if index == 0 { b"\n" } else { b",\n" })?;
        serde_json::to_writer(&mut output, node)?;
    }
    output.write_all(b"\n]}\n")?;
    output.flush()
}
