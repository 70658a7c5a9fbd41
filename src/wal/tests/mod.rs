//! The guarantees of the log on the simulated disk, and the longer tests of its parts.

mod batch;
mod crash;
mod damage;
mod data_dir;
mod identity;
mod model;
mod snapshots;
mod state;
