//! From the bytes of a document to a plan, without IO.

use super::addresses::Addresses;
use super::check::{self, MODE};
use super::document::{self, Document, Sections};
use super::form::{self, Form};
use super::merge::{HostState, Metadata};
use super::node::Node;
use super::paths::ENVIRONMENT;
use super::plan::{self, File, Notify, Plan, Step};
use super::read;
use super::report::{Position, Report};
use super::substitute;

/// The input besides the document itself.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// The sections to apply.
    pub sections: Sections,
    /// The user who gets the keys at the top level of the document.
    pub ssh_user: String,
    /// The addresses of the host.
    pub addresses: Addresses,
    /// The state of the host.
    pub host: HostState,
    /// Metadata from the source of the document.
    pub metadata: Metadata,
    /// The text of `/etc/environment` if the addresses are to be written there.
    pub environment: Option<String>,
}

/// The result of preparing a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// There is nothing to apply: the document is empty, or for another tool.
    Nothing,
    /// The plan to apply.
    Plan(Plan),
}

/// Makes a plan of a document. `None`, with an error in the report, if the document is rejected.
pub fn prepare(bytes: &[u8], context: &Context, report: &mut Report) -> Option<Outcome> {
    let document = match form::detect(bytes, report)? {
        Form::CloudConfig(text) => {
            let substituted = substitute::substitute(&text, &context.addresses);
            let node = read_nodes(&text, &substituted, report)?;
            document::parse(&node, &context.sections, report)
        }
        Form::Empty if context.metadata == Metadata::default() => return Some(Outcome::Nothing),
        Form::Empty => Document::default(),
        Form::Ignition => {
            let message = "this is an Ignition configuration; nothing is applied";
            report.note(Position::default(), message);
            return Some(Outcome::Nothing);
        }
    };
    let merged = document.merge(&context.metadata, &context.host);
    let checked = check::check(&merged, &context.host, &context.ssh_user, report)?;
    let mut plan = plan::plan(&checked, &context.host.accounts);
    if let Some(text) = &context.environment {
        let files = &merged.document.write_files;
        let mut paths = files.iter().filter_map(|file| file.path.as_ref());
        // A document that writes this file overrides the addresses.
        if !paths.any(|path| path.value == ENVIRONMENT) {
            write_environment(text, &context.addresses, &mut plan);
        }
    }
    Some(Outcome::Plan(plan))
}

/// Reads the substituted document. An error that the document as written has too is reported at its position
/// there.
fn read_nodes(written: &str, substituted: &str, report: &mut Report) -> Option<Node> {
    let (mut findings, mut findings_as_written) = (Report::default(), Report::default());
    let node = read::read(substituted, &mut findings);
    if node.is_none() && read::read(written, &mut findings_as_written).is_none() {
        findings = findings_as_written;
    }
    report.append(findings);
    node
}

fn write_environment(text: &str, addresses: &Addresses, plan: &mut Plan) {
    let mut current = String::from(text);
    for step in &plan.steps {
        if let Step::Write(file) = step
            && file.path == ENVIRONMENT
        {
            current = String::from_utf8_lossy(&file.content).into_owned();
        }
    }
    let merged = plan::merge_environment(&current, addresses);
    if merged == current {
        return;
    }
    plan.steps
        .retain(|step| !matches!(step, Step::Write(file) if file.path == ENVIRONMENT));
    plan.steps.push(Step::Write(File {
        path: String::from(ENVIRONMENT),
        content: merged.into_bytes(),
        mode: MODE,
        owner: None,
        notify: Notify::Nothing,
    }));
}
