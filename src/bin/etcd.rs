//! `etcd`, the daemon.

fn main() {}
