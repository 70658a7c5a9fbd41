//! Runs a command and waits for it.

use std::io::Write;
use std::process::Stdio;

use super::error::Error;
use crate::cloud_config::plan::Command;

/// Runs a command with its standard input.
///
/// # Errors
///
/// - [`Error::Start`]: the program cannot be started, or waited for.
/// - [`Error::Command`]: its exit status is not 0.
pub(super) fn run(command: &Command) -> Result<(), Error> {
    let Some((program, arguments)) = command.words.split_first() else {
        return Ok(());
    };
    let shown = without_password(&command.words).join(" ");
    eprintln!("etcd-cloudinit: run {shown}");
    let start = |error| Error::Start {
        command: shown.clone(),
        error,
    };
    let mut child = std::process::Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::inherit())
        .stderr(Stdio::inherit())
        .spawn()
        .map_err(start)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A command that does not read all of its input fails by its exit status.
        let _ = stdin.write_all(command.input.as_bytes());
    }
    let status = child.wait().map_err(start)?;
    match status.success() {
        true => Ok(()),
        false => Err(Error::Command {
            command: shown,
            status,
        }),
    }
}

/// The words of a command without the password hash, which only root may read.
fn without_password(words: &[String]) -> Vec<&str> {
    let before = std::iter::once("").chain(words.iter().map(String::as_str));
    let pairs = before.zip(words);
    let hide = |(before, word)| if before == "--password" { "..." } else { word };
    pairs
        .map(|(before, word)| hide((before, word.as_str())))
        .collect()
}
