//! The real daemon as real processes: started, used, killed, refused.

#![allow(
    unreachable_pub,
    clippy::cast_possible_truncation,
    reason = "a test is a crate of its own, with small numbers"
)]

mod authority;
mod cluster;
mod directories;
mod discovery;
mod durability;
mod exec_watch;
mod http;
mod manners;
mod members;
mod membership;
mod mock;
mod outages;
mod peer_pages;
mod service;
mod standby;
mod sync;
mod tls;
mod tokens;
mod walk;
mod writers;
