//! Damaged documents, values and configuration files: whatever is in them, nothing panics, hangs, or is
//! carried out although it was refused, and what systemd reads from a drop-in is what was written.
//!
//! Here texts are damaged at random, with all other tests and by the same compiler: bytes changed, parts cut,
//! repeated and exchanged between texts, words put in. `OXETCD_FUZZ_SECONDS=N cargo test --release --test
//! fuzz` takes so long for each check (1 s by default), `OXETCD_FUZZ_SEED=N` begins with that seed; a failure
//! names the seed of its text.
//!
//! `tests/fuzz/run` gives the same checks to a fuzzer that follows which code a text reaches.

#![allow(unreachable_pub, reason = "a test is a crate of its own")]

mod checks;
#[path = "../simulation/random.rs"]
#[allow(dead_code, reason = "the simulation draws more kinds of chance")]
mod random;
#[path = "../cloud_config/systemd.rs"]
mod systemd;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use random::Random;

/// The longest text that is tried, in bytes; damage may double it.
const TEXT_BYTES_MAX: usize = 1 << 16;

/// A text of at most that length that takes longer hangs. Builds for tests are slow, and so are machines
/// with other work.
const PATIENCE: Duration = Duration::from_secs(20);

fn number(variable: &str, default: u64) -> u64 {
    let text = std::env::var(variable).unwrap_or_default();
    text.parse().unwrap_or(default)
}

#[test]
fn whatever_is_in_a_text() {
    let texts = texts();
    let words = words();
    for (name, check) in checks::CHECKS {
        let end = Instant::now() + Duration::from_secs(number("OXETCD_FUZZ_SECONDS", 1));
        let first = number("OXETCD_FUZZ_SEED", 1);
        let mut seed = first;
        while Instant::now() < end {
            let text = damaged(&texts, &words, &mut Random::new(seed));
            let begin = Instant::now();
            let result = std::panic::catch_unwind(|| check(&text));
            let took = begin.elapsed();
            let shown = || String::from_utf8_lossy(&text);
            assert!(result.is_ok(), "{name}, seed {seed}: {:?}", shown());
            assert!(took < PATIENCE, "{name}, seed {seed} took {took:?}");
            seed += 1;
        }
        println!("{name}: {} texts tried", seed - first);
    }
}

/// The recorded documents, those for users, and the values and configuration files that are here.
fn texts() -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut texts = Vec::new();
    for path in files(&root.join("tests/data/cloud-config")) {
        let text = std::fs::read_to_string(path).expect("text");
        let cases: Vec<serde_json::Value> = serde_json::from_str(&text).expect("cases");
        let inputs = cases.iter().filter_map(|case| case["input"].as_str());
        texts.extend(inputs.map(|input| input.as_bytes().to_vec()));
    }
    for folder in ["cloud-config", "tests/fuzz/seeds"] {
        let read = |path| std::fs::read(path).expect("a file");
        texts.extend(files(&root.join(folder)).into_iter().map(read));
    }
    texts
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    files
}

/// Words that mean something to one of the readers: a dictionary as libFuzzer has them, each in quotes, with
/// `\\`, `\"` and `\xHH`.
fn words() -> Vec<Vec<u8>> {
    let text = include_str!("words.dict");
    let words: Vec<Vec<u8>> = text
        .lines()
        .filter_map(|line| line.strip_prefix('"')?.strip_suffix('"'))
        .map(|word| {
            let mut bytes = Vec::new();
            let mut rest = word.as_bytes();
            while let Some((&first, behind)) = rest.split_first() {
                let taken = match (first, behind) {
                    (b'\\', [b'x', high, low, ..]) => {
                        let digits = String::from_utf8(vec![*high, *low]).expect("digits");
                        bytes.push(u8::from_str_radix(&digits, 16).expect("hexadecimal"));
                        3
                    }
                    (b'\\', [letter, ..]) => {
                        bytes.push(*letter);
                        1
                    }
                    _ => {
                        bytes.push(first);
                        0
                    }
                };
                rest = &behind[taken..];
            }
            bytes
        })
        .collect();
    assert!(words.len() > 20, "{words:?}");
    words
}

fn damaged(texts: &[Vec<u8>], words: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
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
                text.splice(at..at, random.pick(words).iter().copied());
            }
        }
        text.truncate(TEXT_BYTES_MAX);
    }
    text
}
