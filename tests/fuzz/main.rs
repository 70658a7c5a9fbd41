//! Random texts for the parsers of documents, values and configuration files: no text causes a panic or a hang, a
//! refused document has no plan, and systemd reads from a drop-in what was written.
//!
//! Existing texts are mutated at random: bytes are changed, parts are cut, repeated and exchanged, words are
//! inserted. `OXETCD_FUZZ_SECONDS=N` sets the seconds for each check (default 1), `OXETCD_FUZZ_SEED=N` the first
//! seed; a failure has the seed of its text.
//!
//! `tests/fuzz/run` runs the same checks with a coverage-guided fuzzer.

#![allow(unreachable_pub, reason = "a test is a crate of its own")]

mod checks;
#[path = "../simulation/random.rs"]
#[allow(dead_code, reason = "the simulation uses more of its functions")]
mod random;
#[path = "../cloud_config/systemd.rs"]
mod systemd;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use random::Random;

/// Maximum length of a text, in bytes.
const TEXT_BYTES_MAX: usize = 1 << 16;

/// A check that takes longer hangs, even in a test build on a busy host.
const CHECK_TIME_MAX: Duration = Duration::from_secs(20);

fn number(variable: &str, default: u64) -> u64 {
    let text = std::env::var(variable).unwrap_or_default();
    text.parse().unwrap_or(default)
}

#[test]
fn checks_hold_for_mutated_texts() {
    let texts = texts();
    let words = words();
    for (name, check) in checks::CHECKS {
        let end = Instant::now() + Duration::from_secs(number("OXETCD_FUZZ_SECONDS", 1));
        let first = number("OXETCD_FUZZ_SEED", 1);
        let mut seed = first;
        while Instant::now() < end {
            let text = mutate(&texts, &words, &mut Random::new(seed));
            let begin = Instant::now();
            let result = std::panic::catch_unwind(|| check(&text));
            let took = begin.elapsed();
            let shown = || String::from_utf8_lossy(&text);
            assert!(result.is_ok(), "{name}, seed {seed}: {:?}", shown());
            assert!(took < CHECK_TIME_MAX, "{name}, seed {seed} took {took:?}");
            seed += 1;
        }
        println!("{name}: {} texts tried", seed - first);
    }
}

/// The recorded documents, the examples, and the seeds in this folder.
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

/// The words of a dictionary in the format of libFuzzer: each in quotes, with `\\`, `\"` and `\xHH`.
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
                    (b'\\', [byte, ..]) => {
                        bytes.push(*byte);
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

fn mutate(texts: &[Vec<u8>], words: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut text = random.pick(texts).clone();
    for _ in 0..=random.below(12) {
        let at = random.index(text.len() + 1);
        let end = (at + random.index(40)).min(text.len());
        match random.below(7) {
            0 if at < text.len() => text[at] = u8::try_from(random.below(256)).expect("a byte"),
            1 => drop(text.drain(at..end)),
            2 => {
                let part = text[at..end].to_vec();
                let times = 1 + random.index(40);
                let part = part.repeat(times);
                text.splice(at..at, part);
            }
            3 => {
                let other = random.pick(texts);
                let from = random.index(other.len() + 1);
                let to = (from + random.index(200)).min(other.len());
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
