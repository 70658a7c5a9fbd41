//! The whole consensus and storage path under a simulated disk, network and clock: one thread, one seed.
//!
//! `OXETCD_SEEDS=N` runs N seeds, `OXETCD_SEED=S` runs seed S alone, `OXETCD_FIRST_SEED=S` begins there.
//! In release (`cargo test --release --test simulation`) some thousand take a few minutes.

#![allow(unreachable_pub, reason = "a test is a crate of its own")]

mod client;
mod disk;
mod door;
mod faults;
mod founding;
mod lifetimes;
mod machine;
mod network;
mod promises;
mod random;
mod reshape;
mod shadow;
mod truth;
mod watcher;
mod world;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use world::{Outcome, World};

/// How many seeds a plain test run tries.
const SEEDS: u64 = 40;

/// How many threads run seeds at the most.
const THREADS_MAX: usize = 2;

/// Of so many seeds one is run twice, to see whether it repeats.
const REPEAT_EVERY: u64 = 20;

#[test]
fn every_seed_holds() {
    let (first, count) = match number("OXETCD_SEED") {
        Some(seed) => (seed, 1),
        None => (
            number("OXETCD_FIRST_SEED").unwrap_or(1),
            number("OXETCD_SEEDS").unwrap_or(SEEDS),
        ),
    };
    let next = AtomicU64::new(first);
    let counts: Mutex<BTreeMap<&'static str, u64>> = Mutex::default();
    let failures: Mutex<Vec<String>> = Mutex::default();
    let threads = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(THREADS_MAX);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first.saturating_add(count)
                        || !failures.lock().expect("no panic").is_empty()
                    {
                        return;
                    }
                    match run(seed) {
                        Ok(outcome) => {
                            let mut counts = counts.lock().expect("no panic");
                            outcome
                                .counts
                                .into_iter()
                                .for_each(|(name, n)| *counts.entry(name).or_default() += n);
                        }
                        Err(why) => failures.lock().expect("no panic").push(why),
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().expect("no panic");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    println!(
        "{count} seeds, each with at least {} operations and {} faults:",
        world::OPERATIONS,
        world::FAULTS
    );
    for (name, times) in counts.into_inner().expect("no panic") {
        println!("  {name:<32} {times}");
    }
}

/// Run a seed, some of them twice.
fn run(seed: u64) -> Result<Outcome, String> {
    let run = || {
        std::panic::catch_unwind(|| World::new(seed).run())
            .unwrap_or_else(|_| Err("a panic".to_owned()))
    };
    let failed = |why| {
        format!(
            "seed {seed}: {why}\nreplay with OXETCD_SEED={seed} cargo test --release --test simulation"
        )
    };
    let outcome = run().map_err(failed)?;
    if seed.is_multiple_of(REPEAT_EVERY) && run().map_err(failed)?.trace != outcome.trace {
        return Err(failed("it does not repeat".to_owned()));
    }
    Ok(outcome)
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}
