//! Tests of the programs as real processes.

#![allow(
    unreachable_pub,
    clippy::cast_possible_truncation,
    reason = "a test is a crate of its own, with small numbers"
)]

mod authority;
mod cluster;
mod discovery;
mod discovery_notify;
mod discovery_service;
mod durability;
mod etcdctl_directories;
mod exec_watch;
mod http;
mod identity;
mod lifecycle;
mod membership;
mod mock_discovery;
mod notify;
mod outages;
mod peer_pages;
mod resize;
mod standby;
mod sync;
mod tls;
mod writers;
