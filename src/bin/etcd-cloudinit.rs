//! `etcd-cloudinit`, which applies a cloud-config to the host: parse, run, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    oxetcd::cloud_config::command::run(std::env::args_os())
}
