//! From a cloud-config to a machine that is set up as it says.
//!
//! The way of a document, one step each: [`sources`] have its bytes, [`form`] finds the text in them,
//! [`substitute`] puts the machine's addresses in, [`read`] makes nodes of it, [`document`] sections, as
//! they are written; [`merge`] adds what the document leaves to others, [`check`] finds out whether all
//! of it can be done, [`plan`] says how, and [`apply`] does it. Only the first and the last touch
//! anything. What is wrong with a document goes into a [`report`] on the way.

pub mod accounts;
pub mod addresses;
pub mod apply;
pub mod check;
pub mod command;
pub mod document;
pub mod form;
pub mod interfaces;
pub mod merge;
pub mod node;
pub mod plan;
pub mod quote;
pub mod read;
pub mod report;
mod scalar;
pub mod sources;
pub mod substitute;
pub mod written;

#[cfg(test)]
mod read_tests;

use addresses::Addresses;
use document::{Document, Sections};
use form::Form;
use merge::{Machine, Metadata};
use node::Node;
use plan::{File, Plan, Step, Wakes};
use report::{Place, Report};

/// What is known besides the document itself.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// Which sections count.
    pub sections: Sections,
    /// Who gets the keys at the top of the document.
    pub ssh_user: String,
    /// The machine's addresses.
    pub addresses: Addresses,
    /// What the machine says about itself.
    pub machine: Machine,
    /// What came beside the document.
    pub metadata: Metadata,
    /// The text of `/etc/environment`, if the addresses shall go there.
    pub environment: Option<String>,
}

/// What there is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing: there is no document, or it is another tool's.
    Nothing,
    /// This.
    Plan(Plan),
}

/// From bytes to a plan, pure. None, with an error in the report, if the document is refused.
pub fn prepare(bytes: &[u8], around: &Surroundings, report: &mut Report) -> Option<Outcome> {
    let document = match form::look(bytes, report)? {
        Form::CloudConfig(text) => {
            let substituted = substitute::substitute(&text, &around.addresses);
            let node = nodes(&text, &substituted, report)?;
            document::parse(&node, &around.sections, report)
        }
        Form::Empty if around.metadata == Metadata::default() => return Some(Outcome::Nothing),
        Form::Empty => Document::default(),
        Form::Ignition => {
            report.note(Place::default(), "this is for Ignition; nothing is done");
            return Some(Outcome::Nothing);
        }
    };
    let merged = document.merge(&around.metadata, &around.machine);
    let checked = check::check(&merged, &around.machine, &around.ssh_user, report)?;
    let mut plan = plan::plan(&checked, &around.machine.accounts);
    if let Some(text) = &around.environment {
        let named = merged
            .document
            .write_files
            .iter()
            .filter_map(|file| file.path.as_ref());
        // Whoever writes that file has the last word.
        if !named.into_iter().any(|path| path.value == ENVIRONMENT) {
            write_environment(text, &around.addresses, &mut plan);
        }
    }
    Some(Outcome::Plan(plan))
}

/// The nodes of a document with its addresses. An error is shown where it is in the text that was
/// written, if it is there already.
fn nodes(written: &str, substituted: &str, report: &mut Report) -> Option<Node> {
    let (mut said, mut said_of_written) = (Report::default(), Report::default());
    let node = read::read(substituted, &mut said);
    if node.is_none() && read::read(written, &mut said_of_written).is_none() {
        said = said_of_written;
    }
    report.append(said);
    node
}

/// Where the addresses go for others to read.
const ENVIRONMENT: &str = "/etc/environment";

fn write_environment(text: &str, addresses: &Addresses, plan: &mut Plan) {
    let mut there = String::from(text);
    for step in &plan.steps {
        if let Step::Write(file) = step
            && file.path == ENVIRONMENT
        {
            there = String::from_utf8_lossy(&file.content).into_owned();
        }
    }
    let merged = plan::merged(&there, addresses);
    if merged == there {
        return;
    }
    plan.steps
        .retain(|step| !matches!(step, Step::Write(file) if file.path == ENVIRONMENT));
    plan.steps.push(Step::Write(File {
        path: String::from(ENVIRONMENT),
        content: merged.into_bytes(),
        mode: check::MODE,
        owner: None,
        wakes: Wakes::Nobody,
    }));
}
