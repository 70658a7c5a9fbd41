//! `etcdctl`, the command line: parse, run, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    oxetcd::ctl::run(std::env::args_os())
}
