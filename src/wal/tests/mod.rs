//! What is promised of the log as a whole, over the simulated disk.

mod crash;
mod damage;
mod data_dir;
mod model;
mod snapshots;
