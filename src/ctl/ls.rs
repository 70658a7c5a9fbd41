//! `etcdctl ls`.

use std::fmt::Write as _;

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::{Exit, Global, Output, args, output, session};
use crate::client::{Get, Node};

/// The command line.
pub(super) fn command() -> Command {
    Command::new("ls")
        .about("List the keys in a directory")
        .override_usage("etcdctl ls [OPTIONS] [KEY]")
        .after_help(
            "Examples:\n  \
             etcdctl ls /\n  \
             etcdctl ls --recursive -p --sort /services",
        )
        .args([
            args::key("The directory; without it, all there is"),
            args::rest(),
            args::switch("recursive", "What is in the directories below, too"),
            args::switch("sort", "In order of the keys"),
            Arg::new("p")
                .short('p')
                .action(ArgAction::SetTrue)
                .overrides_with("p")
                .help("Print a / behind directories"),
            args::switch("values", "Print values too, behind a tab"),
            args::switch(
                "hidden",
                "Keys that begin with _ too; servers other than this project's do not tell them",
            ),
        ])
}

/// What to print of each node.
#[derive(Clone, Copy)]
struct Style {
    slashes: bool,
    values: bool,
}

/// List a directory.
pub(super) fn run(global: &Global, matches: &ArgMatches) -> Result<(), Exit> {
    session::run(global, async |session| {
        let key = args::text(matches, "key").unwrap_or("/");
        let get = Get {
            recursive: matches.get_flag("recursive"),
            sorted: matches.get_flag("sort"),
            hidden: matches.get_flag("hidden"),
            consistent: true,
            ..Get::default()
        };
        let (answer, event) = session.ask(&get.request(key)).await?;
        let style = Style {
            slashes: matches.get_flag("p"),
            values: matches.get_flag("values"),
        };
        match session.output {
            Output::Json => session.output.directory(&answer)?,
            Output::Simple | Output::Extended => output::print(&listing(&event.node, style))?,
        }
        Ok(())
    })
}

/// A line for each node in a directory, or for the file that it is.
fn listing(node: &Node, style: Style) -> String {
    let mut text = String::new();
    if !node.dir {
        line(&mut text, node, style);
    }
    below(&mut text, node, style);
    text
}

fn below(text: &mut String, node: &Node, style: Style) {
    for child in &node.nodes {
        line(text, child, style);
        below(text, child, style);
    }
}

fn line(text: &mut String, node: &Node, style: Style) {
    let slash = if style.slashes && node.dir { "/" } else { "" };
    // Writing to a string cannot fail.
    let _ = write!(text, "{}{slash}", node.key);
    if let Some(value) = node.value.as_deref().filter(|_| style.values && !node.dir) {
        let _ = write!(text, "\t{value}");
    }
    text.push('\n');
}
