//! oxetcd: etcd as the CoreOS era knew it, replicated by Raft and durable before it answers.
//!
//! This page is the map. The modules, in the order to read them:
//!
//! - [`store`]: the tree of keys, pure: a command goes in, an event comes out.
//! - [`wal`]: the log on disk, snapshots and the data directory.
//! - [`cluster`]: who the members are, pure.
//! - [`consensus`]: Raft, the one thread that drives it, and the handle others talk to it through.
//! - [`transport`]: what members say to each other, and how.
//! - [`bootstrap`]: how a starting member finds its cluster.
//! - [`membership`] and [`administration`]: machines that ask for a place, members that are taken out.
//! - [`tls`]: TLS, for ports and for connections of ours.
//! - [`http`]: the v2 API on the client port, the pages of the peer port.
//! - [`config`]: one table of options, from flags and environment to a checked [`config::Config`].
//! - [`systemd`] and [`journal`]: the service manager, and where lines for people go.
//! - [`failure`]: why a program ends, and with which exit status.
//! - [`daemon`]: a server under signals and a service manager.
//! - [`server`]: opens and binds everything, and runs it until told to stop.
//! - [`standby`]: what a machine without a place in the cluster does.
//! - [`cloud_config`]: `etcd-cloudinit`, from a cloud-config to a machine that is set up.
//! - [`discovery`]: the discovery service, `etcd-discovery`.
//! - [`client`] and [`ctl`]: the HTTP client of this API and the `etcdctl` commands on top of it.
//!
//! What holds everywhere:
//!
//! 1. `store` has no IO, clock, thread or randomness: the same log gives the same bytes on every member.
//! 2. Time enters as data. The leader stamps an entry with the cluster's clock, apply makes the deadline
//!    of it, expiry is a command from the leader, and reading takes `now`.
//! 3. Only `consensus` names the raft crate; `wal` and `transport` carry bytes. Nothing is answered
//!    before a quorum has it on disk and this member has applied it; a failed sync ends the process.
//! 4. Each piece of state has one owner, a thread or a task; others send it a message or hold a
//!    reading handle.
//! 5. Every queue has a bound, and its constructor says what happens when it is full.
//! 6. No lock is held across an `.await`; JSON is made after the lock is dropped.
//! 7. serde derives live at the edges (`http`, `client`, `ctl`), never on the domain's types.

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

// The simulated disk in tests/ names this crate from outside; the unit tests use it from inside.
#[cfg(test)]
extern crate self as oxetcd;
