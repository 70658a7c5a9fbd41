//! `etcd-cloudinit`, from a cloud-config to systemd: parse, run, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    oxetcd::cloud_config::command::run(std::env::args_os())
}
