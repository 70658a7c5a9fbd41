//! Damaged documents and configuration files: whatever is in them, nothing panics, hangs, or is carried
//! out although it was refused, and what systemd reads from a drop-in is what was checked.
//!
//! `OXETCD_FUZZ_SECONDS=N cargo test --release --test fuzz` runs for so long (2 s by default), half of it
//! on each target. `OXETCD_FUZZ_SEED=N` begins with that seed. A failure names the seed of its text.
//!
//! The texts are the recorded ones, damaged at random: bytes changed, parts cut, repeated and exchanged
//! between texts, words put in. Nothing follows which code a text reaches, so this finds less in an hour
//! than a fuzzer that does; it needs no other compiler, though, and runs with all other tests.

#![allow(unreachable_pub, reason = "a test is a crate of its own")]

#[path = "../simulation/random.rs"]
#[allow(dead_code, reason = "the simulation draws more kinds of chance")]
mod random;
#[path = "../cloud_config/systemd.rs"]
mod systemd;

use std::path::Path;
use std::time::{Duration, Instant};

use oxetcd::cloud_config::addresses::{Addresses, Kind};
use oxetcd::cloud_config::plan::Step;
use oxetcd::cloud_config::report::Report;
use oxetcd::cloud_config::{Outcome, Surroundings, prepare, quote};
use oxetcd::config::file;
use random::Random;

/// The longest text that is tried, in bytes; damage may double it.
const TEXT_BYTES_MAX: usize = 1 << 16;

/// A text of at most that length that takes longer hangs. Builds for tests are slow, and so are machines
/// with other work.
const PATIENCE: Duration = Duration::from_secs(20);

/// Words that mean something to one of the readers.
const WORDS: &[&str] = &[
    "#cloud-config\n",
    "coreos:\n",
    "  etcd:\n",
    "    name: ",
    "<<: *a",
    "&a ",
    "*a",
    "!!binary ",
    "!x ",
    "---\n",
    "...\n",
    "$private_ipv4",
    "\\$public_ipv4",
    "%",
    "\\",
    "\"",
    "'",
    "\u{0}",
    "\u{7f}",
    "\u{85}",
    "\u{2028}",
    "\u{feff}",
    "\u{fffe}",
    "\u{e000}private_ipv4",
    "[",
    "]",
    "{",
    "}",
    "[[[[[[[[",
    "- - - - ",
    "? ",
    "|\n",
    ">-\n",
    "0x",
    "1e999",
    "null",
    "~",
    "write_files:\n",
    "units:\n",
    "[peer]\n",
    "= ",
    "'''",
    "\"\"\"",
    "\t",
    "\r\n",
    "1_000",
    "999999999999999999999",
];

fn seconds() -> u64 {
    let text = std::env::var("OXETCD_FUZZ_SECONDS").unwrap_or_default();
    text.parse().unwrap_or(2)
}

fn first_seed() -> u64 {
    let text = std::env::var("OXETCD_FUZZ_SEED").unwrap_or_default();
    text.parse().unwrap_or(1)
}

/// Try damaged texts for half of the time.
fn fuzz(texts: &[Vec<u8>], target: impl Fn(&[u8]) + std::panic::RefUnwindSafe) -> u64 {
    assert!(!texts.is_empty());
    let end = Instant::now() + Duration::from_secs(seconds()) / 2;
    let mut seed = first_seed();
    let mut tried = 0;
    while Instant::now() < end {
        let text = damaged(texts, &mut Random::new(seed));
        let begin = Instant::now();
        let result = std::panic::catch_unwind(|| target(&text));
        let took = begin.elapsed();
        assert!(
            result.is_ok(),
            "seed {seed}: {:?}",
            String::from_utf8_lossy(&text)
        );
        assert!(took < PATIENCE, "seed {seed} took {took:?}");
        tried += 1;
        seed += 1;
    }
    tried
}

fn damaged(texts: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut text = random.pick(texts).clone();
    for _ in 0..=random.below(12) {
        let at = random.place(text.len() + 1);
        let end = (at + random.place(40)).min(text.len());
        match random.below(7) {
            0 if at < text.len() => text[at] = u8::try_from(random.below(256)).expect("a byte"),
            1 => drop(text.drain(at..end)),
            2 => {
                let part = text[at..end].to_vec();
                let times = 1 + random.place(40);
                let part = part.repeat(times);
                text.splice(at..at, part);
            }
            3 => {
                let other = random.pick(texts);
                let from = random.place(other.len() + 1);
                let to = (from + random.place(200)).min(other.len());
                text.splice(at..end, other[from..to].iter().copied());
            }
            4 => text.truncate(at.max(14)),
            _ => {
                let word = random.pick(WORDS).bytes();
                text.splice(at..at, word);
            }
        }
        text.truncate(TEXT_BYTES_MAX);
    }
    text
}

#[test]
fn damaged_documents() {
    let mut texts = Vec::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for entry in std::fs::read_dir(root.join("tests/data/cloud-config")).expect("a folder") {
        let text = std::fs::read_to_string(entry.expect("an entry").path()).expect("text");
        let cases: Vec<serde_json::Value> = serde_json::from_str(&text).expect("cases");
        let inputs = cases.iter().filter_map(|case| case["input"].as_str());
        texts.extend(inputs.map(|input| input.as_bytes().to_vec()));
    }
    for entry in std::fs::read_dir(root.join("cloud-config")).expect("a folder") {
        texts.push(std::fs::read(entry.expect("an entry").path()).expect("a file"));
    }
    let mut addresses = Addresses::default();
    addresses
        .set(Kind::PrivateIpv4, "10.0.0.1")
        .expect("an address");
    let around = Surroundings {
        addresses,
        ssh_user: String::from("core"),
        environment: Some(String::from("A=1\n")),
        ..Surroundings::default()
    };
    let tried = fuzz(&texts, |text| {
        let mut report = Report::default();
        let outcome = prepare(text, &around, &mut report);
        assert_eq!(outcome.is_none(), report.has_errors());
        let _ = (report.text("x"), report.json("x"));
        if let Some(Outcome::Plan(plan)) = outcome {
            plan.steps.iter().for_each(is_sound);
        }
    });
    println!("{tried} documents tried");
}

/// What every step holds to, wherever it came from.
fn is_sound(step: &Step) {
    let path = match step {
        Step::Write(file) => &file.path,
        Step::Mask { path, .. } | Step::Unmask { path, .. } | Step::Remove { path, .. } => path,
        Step::Hostname(_) | Step::Run(_) | Step::Keys(_) => return,
    };
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    assert!(path.starts_with('/') && !path.contains('\0'), "{path:?}");
    assert!(
        parts.iter().all(|part| !matches!(*part, "" | "." | "..")),
        "{path:?}"
    );
    if let Step::Write(file) = step
        && path.ends_with("/20-cloudinit.conf")
        && path.starts_with("/run/systemd/system/")
        && file.content.starts_with(b"[Service]\nEnvironment=\"")
    {
        let text = String::from_utf8(file.content.clone()).expect("text");
        for (name, value) in systemd::environment(&text) {
            let known = ["ETCD_", "FLEET_", "LOCKSMITHD_", "REBOOT_WINDOW_"];
            assert!(
                known.iter().any(|begin| name.starts_with(begin)),
                "{name}={value}"
            );
            assert_eq!(quote::unfit(&name, &value), None);
        }
    }
}

#[test]
fn damaged_configuration_files() {
    let texts: Vec<Vec<u8>> = [
        "name = \"a\"\naddr = \"10.0.0.1:4001\"\npeers = [\"10.0.0.2:7001\"]\nsnapshot = true\n",
        "verbose = false\nmax_retry_attempts = 3\n\n[peer]\naddr = \"10.0.0.1:7001\"\nheartbeat_interval = 50\n\n\
         [cluster]\nactive_size = 9\nremove_delay = 1800.0\n",
        "cors = [\"*\"]\ndata_dir = '/var/lib/etcd'\nnmae = 1\nwhen = 2014-09-28\n[other]\nx = {y = [1, 'a']}\n",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into();
    let tried = fuzz(&texts, |text| {
        // Where it is refused the error is a sentence; what is taken is checked like flags are.
        match file::parse("etcd.conf", &String::from_utf8_lossy(text)) {
            Ok(layer) => {
                let _ = layer
                    .or(oxetcd::config::Layer::defaults())
                    .validate(Some("host1"));
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    });
    println!("{tried} configuration files tried");
}
