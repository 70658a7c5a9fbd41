//! Simulation of a cluster: the consensus and storage code on a simulated disk, network and clock. A run has one
//! thread and one seed.
//!
//! `OXETCD_SEEDS=N` runs N seeds, `OXETCD_FIRST_SEED=S` starts with seed S, `OXETCD_SEED=S` runs seed S alone.

#![allow(unreachable_pub, reason = "a test is a crate of its own")]

mod bootstrap;
mod client;
mod disk;
mod expected_log;
mod expiry;
mod faults;
mod host;
mod membership;
mod network;
mod promises;
mod random;
mod reference;
mod requests;
mod watcher;
mod world;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use world::{Outcome, World};

/// Default number of seeds.
const SEEDS: u64 = 40;

/// Maximum number of threads that run seeds.
const THREADS_MAX: usize = 2;

/// Every so many seeds, one is run twice to check that runs are deterministic.
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

/// Run a seed, and some seeds twice.
fn run(seed: u64) -> Result<Outcome, String> {
    let run = || {
        std::panic::catch_unwind(|| World::new(seed).run())
            .unwrap_or_else(|_| Err("a panic".to_owned()))
    };
    let failed = |why| {
        format!("seed {seed}: {why}\nreplay with OXETCD_SEED={seed} cargo test --test simulation")
    };
    let outcome = run().map_err(failed)?;
    if seed.is_multiple_of(REPEAT_EVERY) && run().map_err(failed)?.trace != outcome.trace {
        return Err(failed("a second run of the seed differs".to_owned()));
    }
    Ok(outcome)
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}
