//! The samples in `docs/disk-format.md` and `docs/peer-protocol.md` against the program: what the pages
//! show is what it writes, or what it reads.
//!
//! A sample is the fenced block after `<!-- sample: NAME -->`. In a hex dump each line is an offset, bytes,
//! and after a `|` what they mean.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use oxetcd::cluster::{ClusterId, Member, MemberId};
use oxetcd::consensus::command_of;
use oxetcd::consensus::message::{Body, RaftKind};
use oxetcd::membership::api::CONNECTIONS;
use oxetcd::net::tls::Connector;
use oxetcd::store::{
    ClusterTime, Command, CommandId, Content, HistoryLimits, Path as Key, Stamped, Store, codec,
    image,
};
use oxetcd::transport::{ConnectionKind, Inbox, Listener, Local, ReceiveSnapshot, Report, Stats};
use oxetcd::wal::{
    Batch, Configuration, Disk, Entry, EntryKind, Founding, HardState, Identity, LogOptions,
    RealDisk, SnapshotMeta, Wal, write_snapshot,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

const DISK: &str = "disk-format.md";
const PEER: &str = "peer-protocol.md";

/// The member n1 and the cluster of all samples, and the other member, n2.
const N1: u64 = 0x5e3f_0c1a_2b3c_4d5e;
const N2: u64 = 0xa1b2_c3d4_e5f6_0718;
const CLUSTER: u64 = 0x1f2e_3d4c_5b6a_7988;

/// The seed and the length of the sample's segment.
const SEED: u64 = 7;
const SEGMENT_BYTES: u64 = 4096;

/// The bytes of a frame before what its checksum covers.
const PREFIX_BYTES: usize = 8;

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

fn sample(page: &str, name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("docs")
        .join(page);
    let text = fs::read_to_string(path).expect("the page");
    let marker = format!("<!-- sample: {name} -->\n");
    let (_, after) = text.split_once(&marker).expect("the sample's marker");
    let (_, block) = after.split_once('\n').expect("the fence");
    let (block, _) = block.split_once("```").expect("the end of the block");
    block.to_owned()
}

fn hex_sample(page: &str, name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in sample(page, name).lines() {
        let line = line.split('|').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let offset = words.next().map(|word| usize::from_str_radix(word, 16));
        assert_eq!(offset, Some(Ok(bytes.len())), "{name}: {line}");
        bytes.extend(words.map(|word| u8::from_str_radix(word, 16).expect("a byte")));
    }
    bytes
}

fn assert_shows(page: &str, name: &str, bytes: &[u8]) {
    let mut dump = String::new();
    for (line, row) in bytes.chunks(16).enumerate() {
        let _ = write!(dump, "\n{:04x}", line * 16);
        for byte in row {
            let _ = write!(dump, " {byte:02x}");
        }
    }
    let same = hex_sample(page, name) == bytes;
    assert!(same, "{page}: the sample {name} should be{dump}");
}

fn id(number: u64) -> MemberId {
    MemberId::new(number).expect("not zero")
}

fn cluster() -> ClusterId {
    ClusterId::new(CLUSTER).expect("not zero")
}

fn member(number: u64, name: &str, host: &str) -> Member {
    Member {
        id: id(number),
        name: name.to_owned(),
        client_url: format!("http://{host}:4001"),
        peer_url: format!("http://{host}:7001"),
    }
}

/// `PUT /v2/keys/a -d value=1`, the first write of the first start of n1, half a second into the
/// cluster's time.
fn command() -> Stamped {
    Stamped {
        stamp: ClusterTime::from_nanos(500_000_000),
        id: Some(CommandId {
            member: id(N1),
            sequence: 1 << 40,
        }),
        command: Command::Set {
            path: Key::parse("/a").expect("clean"),
            content: Content::Value(Bytes::from_static(b"1")),
            ttl: None,
        },
    }
}

fn first_snapshot() -> SnapshotMeta {
    SnapshotMeta {
        index: 1,
        term: 1,
        configuration: Configuration {
            voters: vec![N1],
            ..Configuration::default()
        },
    }
}

fn entry(index: u64, data: Bytes) -> Entry {
    Entry {
        index,
        term: 2,
        kind: EntryKind::Command,
        data,
    }
}

fn hard_state(term: u64, vote: u64, commit: u64) -> Option<HardState> {
    Some(HardState { term, vote, commit })
}

#[test]
fn the_segment_is_what_a_founder_writes() {
    let folder = tempfile::tempdir().expect("a folder");
    let disk = RealDisk::new(folder.path());
    let options = LogOptions {
        segment_bytes: SEGMENT_BYTES,
        seed: SEED,
    };
    Wal::create(&disk, options).expect("made");
    let (mut wal, _) = Wal::open(disk, options).expect("opened");
    let founded = Batch {
        hard_state: hard_state(1, 0, 1),
        reset: Some(first_snapshot()),
        ..Batch::default()
    };
    let elected = Batch {
        hard_state: hard_state(2, N1, 1),
        entries: vec![entry(2, Bytes::new())],
        ..Batch::default()
    };
    let written = Batch {
        hard_state: hard_state(2, N1, 2),
        entries: vec![entry(3, codec::encode_stamped(&command()))],
        ..Batch::default()
    };
    for batch in [founded, elected, written] {
        wal.write(&batch, true).expect("written");
    }
    let segment = fs::read(folder.path().join("wal/0000000000000001.wal")).expect("the segment");
    let end = segment.iter().rposition(|byte| *byte != 0).unwrap_or(0) + 1;
    let records = segment.get(..end.next_multiple_of(8)).expect("whole");
    assert_shows(DISK, "segment", records);
}

#[test]
fn the_snapshot_is_what_is_written_for_one_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let disk = RealDisk::new(folder.path());
    disk.make_folder("snap").expect("made");
    let mut store = Store::new(HistoryLimits::default());
    let applied = store.apply(&command(), &mut Vec::new());
    assert!(applied.is_ok());
    write_snapshot(&disk, &first_snapshot(), image::encode(&store)).expect("written");
    let name = "snap/0000000000000001-0000000000000001.snap";
    let file = fs::read(folder.path().join(name)).expect("the snapshot");
    assert_shows(DISK, "snapshot", &file);
}

#[test]
fn the_member_file_is_what_is_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let identity = Identity {
        id: id(N1),
        cluster: Some(cluster()),
        name: "n1".to_owned(),
        founding: Founding::Alone,
        boots: 1,
    };
    identity.save(&RealDisk::new(folder.path())).expect("saved");
    let file = fs::read_to_string(folder.path().join("member")).expect("the file");
    assert_eq!(sample(DISK, "member"), file);
}

#[test]
fn a_membership_entry_has_its_steps_before_the_command() {
    let stamped = Stamped {
        stamp: ClusterTime::from_nanos(2_000_000_000),
        id: None,
        command: Command::PutMember(member(N2, "n2", "10.0.0.2")),
    };
    let entry = Bytes::from(hex_sample(DISK, "membership"));
    let command = command_of(entry.clone()).expect("a membership entry");
    assert_eq!(codec::decode_stamped(&command), Ok(stamped));
    assert_eq!(entry.len() - command.len(), 1 + 9);
}

/// A frame of the page for connection `number`, with the checksum that it has there.
fn frame_for(name: &str, number: u64) -> Vec<u8> {
    let mut frame = hex_sample(PEER, name);
    let sum = |number: u64, frame: &[u8]| {
        crc32c::crc32c_append(
            crc32c::crc32c(&number.to_le_bytes()),
            &frame[PREFIX_BYTES..],
        )
    };
    let shown = u64::from_str_radix("00c0ffee00c0ffee", 16).expect("hex");
    assert_eq!(frame[4..8], sum(shown, &frame).to_le_bytes(), "{name}");
    let bytes = u32::try_from(frame.len() - PREFIX_BYTES).expect("small");
    assert_eq!(frame[..4], bytes.to_le_bytes(), "{name}");
    let checksum = sum(number, &frame).to_le_bytes();
    frame[4..8].copy_from_slice(&checksum);
    frame
}

/// The peer port of n1, and what it hears there.
async fn peer_port() -> (u16, mpsc::UnboundedReceiver<Report>) {
    let (sender, news) = mpsc::unbounded_channel();
    let inbox: Inbox = Arc::new(move |news| {
        let _ = sender.send(news);
    });
    let local = Local {
        cluster: cluster(),
        id: id(N1),
        name: "n1".to_owned(),
        tls: Connector::default(),
        peer_url: "http://10.0.0.1:7001".to_owned(),
        paths: CONNECTIONS,
    };
    let receive: ReceiveSnapshot = Arc::new(|_, _| Err(std::io::Error::other("no snapshots here")));
    let gone = watch::Sender::new(BTreeSet::new());
    let listener = Listener::new(
        local,
        inbox,
        Arc::new(Stats::default()),
        receive,
        gone.subscribe(),
    );
    let socket = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = socket.local_addr().expect("an address").port();
    tokio::spawn(async move {
        let _held = gone;
        while let Ok((stream, _)) = socket.accept().await {
            let listener = listener.clone();
            let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
                let listener = listener.clone();
                let kind = match request.uri().path() == CONNECTIONS.snapshot {
                    true => ConnectionKind::Snapshot,
                    false => ConnectionKind::Messages,
                };
                async move { Ok::<_, std::convert::Infallible>(listener.upgrade(kind, request)) }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades();
            tokio::spawn(connection);
        }
    });
    (port, news)
}

/// The head of an answer, and what of its body came with it.
async fn ask(port: u16, request: &str) -> (TcpStream, String, Vec<u8>) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("open");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut read = Vec::new();
    loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            let rest = read.split_off(end + 4);
            let head = String::from_utf8(read).expect("text");
            return (stream, head, rest);
        }
        let count = timeout(PATIENCE, stream.read_buf(&mut read)).await;
        assert_ne!(count.expect("in time").expect("read"), 0);
    }
}

#[tokio::test]
async fn a_connection_opens_and_carries_frames_as_shown() {
    let (port, mut news) = peer_port().await;
    let request = sample(PEER, "upgrade").replace('\n', "\r\n") + "\r\n";
    let (mut stream, head, rest) = ask(port, &request).await;
    let mut number = None;
    for line in sample(PEER, "switched").lines() {
        match line.strip_prefix("oxetcd-connection: ") {
            None => assert!(head.lines().any(|other| other == line), "{line} in {head}"),
            Some(_) => {
                let mut lines = head.lines();
                let line = lines.find_map(|line| line.strip_prefix("oxetcd-connection: "));
                number = u64::from_str_radix(line.expect("a number"), 16).ok();
            }
        }
    }
    let number = number.expect("hex digits");
    for name in ["ping", "append"] {
        let frame = frame_for(name, number);
        stream.write_all(&frame).await.expect("sent");
    }
    let pong = frame_for("pong", number);
    let mut read = rest;
    while read.len() < pong.len() {
        let count = timeout(PATIENCE, stream.read_buf(&mut read)).await;
        assert_ne!(count.expect("in time").expect("read"), 0);
    }
    assert_eq!(read, pong);
    let message = loop {
        match timeout(PATIENCE, news.recv()).await.expect("in time") {
            Some(Report::Received(received)) => break received.into_parts().0,
            Some(Report::AddressChanged { from, peer_url: at }) => {
                assert_eq!((from, at.as_str()), (id(N2), "http://10.0.0.2:7001"));
            }
            Some(_) | None => panic!("something else"),
        }
    };
    assert_eq!((message.from, message.to), (id(N2), id(N1)));
    let Body::Raft(raft) = message.body else {
        panic!("not a message of Raft");
    };
    assert_eq!(raft.kind, RaftKind::Append);
    assert_eq!((raft.term, raft.log_term), (2, 2));
    assert_eq!((raft.index, raft.commit), (2, 2));
    let entries = [entry(3, codec::encode_stamped(&command()))];
    assert_eq!(raft.entries, entries);
}
