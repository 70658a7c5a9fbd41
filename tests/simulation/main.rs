//! The whole consensus and storage path under a simulated disk, network and clock: one thread, one seed.
//!
//! `OXETCD_SEEDS=N` runs N seeds, `OXETCD_SEED=S` runs seed S alone, `OXETCD_FIRST_SEED=S` begins there.

#![allow(unreachable_pub, reason = "a test is a crate of its own")]

mod client;
mod disk;
mod faults;
mod history;
mod machine;
mod network;
mod random;
mod world;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many seeds a plain test run tries.
const SEEDS: u64 = 60;

#[test]
fn every_seed_holds() {
    let number = |name| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse::<u64>().ok())
    };
    let (first, count) = match number("OXETCD_SEED") {
        Some(seed) => (seed, 1),
        None => (
            number("OXETCD_FIRST_SEED").unwrap_or(1),
            number("OXETCD_SEEDS").unwrap_or(SEEDS),
        ),
    };
    let next = AtomicU64::new(first);
    let faults: Mutex<BTreeMap<&'static str, u64>> = Mutex::default();
    let failures: Mutex<Vec<String>> = Mutex::default();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count || !failures.lock().expect("no panic").is_empty() {
                        return;
                    }
                    let run = std::panic::catch_unwind(|| world::World::new(seed).run());
                    match run {
                        Ok(Ok(counts)) => {
                            let mut faults = faults.lock().expect("no panic");
                            counts
                                .into_iter()
                                .for_each(|(name, n)| *faults.entry(name).or_default() += n);
                        }
                        Ok(Err(why)) => failures
                            .lock()
                            .expect("no panic")
                            .push(format!("seed {seed}: {why}")),
                        Err(_) => failures
                            .lock()
                            .expect("no panic")
                            .push(format!("seed {seed}: a panic")),
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().expect("no panic");
    assert!(
        failures.is_empty(),
        "{}\nreplay with OXETCD_SEED=N cargo test --test simulation",
        failures.join("\n")
    );
    println!(
        "{count} seeds, at least {} operations each; faults:",
        world::OPERATIONS
    );
    for (name, times) in faults.into_inner().expect("no panic") {
        println!("  {name:<20} {times}");
    }
}
