//! `etcdctl ls`.

use std::fmt::Write as _;

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::{Exit, Global, Output, args, output, session};
use crate::client::{Get, Node};

/// The command line.
pub(super) fn command() -> Command {
    Command::new("ls")
        .about("List the keys in a directory.")
        .override_usage("etcdctl ls [OPTIONS] [KEY]")
        .after_help(
            "Examples:\n  \
             etcdctl ls /\n  \
             etcdctl ls --recursive -p --sort /services",
        )
        .args([
            args::key("Directory to list (default: /)."),
            args::rest(),
            args::switch("recursive", "Also list all directories below."),
            args::switch("sort", "Sort by key."),
            Arg::new("p")
                .short('p')
                .action(ArgAction::SetTrue)
                .overrides_with("p")
                .help("Append / to directories."),
            args::switch("values", "Print values too, after a tab."),
            args::switch(
                "hidden",
                "Also list hidden keys (those that begin with _); only oxetcd supports this.",
            ),
        ])
}

/// The format of a line.
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
        let (answer, event) = session.send(&get.request(key)).await?;
        let style = Style {
            slashes: matches.get_flag("p"),
            values: matches.get_flag("values"),
        };
        match session.output {
            Output::Json => session.output.print_directory(&answer)?,
            Output::Simple | Output::Extended => {
                output::print(&format_listing(&event.node, style))?
            }
        }
        Ok(())
    })
}

/// One line for each node in a directory, or one for a file.
fn format_listing(node: &Node, style: Style) -> String {
    let mut text = String::new();
    if !node.dir {
        push_line(&mut text, node, style);
    }
    push_children(&mut text, node, style);
    text
}

fn push_children(text: &mut String, node: &Node, style: Style) {
    for child in &node.nodes {
        push_line(text, child, style);
        push_children(text, child, style);
    }
}

fn push_line(text: &mut String, node: &Node, style: Style) {
    let slash = if style.slashes && node.dir { "/" } else { "" };
    // Writing to a string cannot fail.
    let _ = write!(text, "{}{slash}", node.key);
    if let Some(value) = node.value.as_deref().filter(|_| style.values && !node.dir) {
        let _ = write!(text, "\t{value}");
    }
    text.push('\n');
}
