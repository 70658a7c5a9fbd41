//! What is promised of the log as a whole, over the simulated disk, and the longer tests of its parts.

mod batch;
mod crash;
mod damage;
mod data_dir;
mod identity;
mod model;
mod snapshots;
mod state;
