//! `etcdctl completion`: a shell's completion script for commands and flags.

use clap::{Arg, ArgMatches, Command, value_parser};
use clap_complete::Shell;

use super::{Exit, Global, output};

/// The command line.
pub(super) fn command() -> Command {
    Command::new("completion")
        .about("Print the completion script for a shell.")
        .after_help(
            "Examples:\n  \
             source <(etcdctl completion bash)\n  \
             etcdctl completion zsh > /usr/share/zsh/vendor-completions/_etcdctl\n  \
             etcdctl completion fish > ~/.config/fish/completions/etcdctl.fish",
        )
        .arg(
            Arg::new("shell")
                .value_name("SHELL")
                .required(true)
                .value_parser(value_parser!(Shell))
                .help("Shell: bash, zsh, fish, elvish or powershell."),
        )
}

/// Print the completion script.
pub(super) fn run(_: &Global, matches: &ArgMatches) -> Result<(), Exit> {
    let Some(shell) = matches.get_one::<Shell>("shell") else {
        return Err(Exit::usage("completion: expected the name of a shell"));
    };
    let mut text = Vec::new();
    clap_complete::generate(*shell, &mut super::command(), "etcdctl", &mut text);
    output::print(&String::from_utf8_lossy(&text))?;
    Ok(())
}
