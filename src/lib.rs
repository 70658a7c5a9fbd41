//! oxetcd: etcd 0.4, replicated by Raft, with every acknowledged write durable.
//!
//! This page is the map. The modules, in reading order:
//!
//! - [`store`]: the tree of keys. Pure: a command goes in, an event comes out.
//! - [`wal`]: the log on disk, snapshots, and the data directory.
//! - [`cluster`]: members and their ids, the settings of the cluster, and the rules for joining. Pure.
//! - [`consensus`]: Raft, the thread that drives it, and the handle by which other modules use it.
//! - [`transport`]: messages and snapshots between members.
//! - [`membership`]: joining, leaving and administration, and the pages of the peer port for them.
//! - [`bootstrap`]: at startup only: what a member does with its data directory, and how it finds its cluster.
//! - [`http`]: the v2 API on the client port, and the pages of the peer port.
//! - [`server`]: binds the ports, runs a member or a standby, and the daemon around it.
//! - [`net`]: connections to other hosts, and TLS.
//! - [`host`]: signals, the service manager, logging, and exit statuses.
//! - [`config`]: one table of options; from flags, variables and a file to a validated [`config::Config`].
//! - [`client`]: the HTTP client of the v2 API.
//! - [`ctl`]: the commands of `etcdctl`.
//! - [`hook`]: commands that run on changes, and the files that configure them.
//! - [`cloud_config`]: `etcd-cloudinit`, which configures a host from a cloud-config document.
//! - [`discovery`]: the discovery service, `etcd-discovery`.
//!
//! Who uses whom: the programs use `server`, `discovery`, `ctl` and `cloud_config`; `server` uses `http`,
//! `membership`, `transport` and `bootstrap`; these use `consensus`, which uses `wal` and `store`. `cluster` and
//! `config` are plain data. Nothing points back up, and no two modules use each other.
//!
//! Invariants:
//!
//! 1. `store` has no IO, clock, thread or randomness: the same log gives the same bytes on every member.
//! 2. Time enters as data. The leader stamps an entry with the cluster's clock, apply makes the deadline, expiry
//!    is a command from the leader, and reading takes `now`.
//! 3. Only `consensus` names the raft crate; `wal` and `transport` carry bytes. A write is acknowledged when a
//!    quorum has synced it and this member has applied it; a failed sync ends the process.
//! 4. Each piece of state has one owner, a thread or a task; others send it a message or hold a reading handle.
//! 5. Every queue has a bound, and its constructor says what happens when it is full.
//! 6. No lock is held across an `.await`; JSON is made after the lock is released.
//! 7. serde derives are at the edges (`http`, `membership`, `client`, `ctl`, `hook`), never on domain types.
//! 8. Each status number is named once: in `http/reply.rs`, and for the discovery service in
//!    `discovery/reply.rs`. Each path of the peer port is matched once, in `membership/api.rs`. Each rule about
//!    joining and leaving is written once, in `cluster`.

pub mod bootstrap;
pub mod client;
pub mod cloud_config;
pub mod cluster;
pub mod config;
pub mod consensus;
pub mod ctl;
pub mod discovery;
pub mod hook;
pub mod host;
pub mod http;
pub mod membership;
pub mod net;
pub mod server;
pub mod store;
pub mod transport;
pub mod wal;

// The simulated disk in tests/ names this crate as a dependency would; the unit tests include it.
#[cfg(test)]
extern crate self as oxetcd;
