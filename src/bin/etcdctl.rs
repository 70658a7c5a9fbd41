//! `etcdctl`, the command line.

fn main() {}
