//! The real daemon as real processes: started, used, killed, refused.

#![allow(
    unreachable_pub,
    clippy::cast_possible_truncation,
    reason = "a test is a crate of its own, with small numbers"
)]

mod cluster;
mod durability;
mod exec_watch;
mod http;
mod manners;
mod sync;
