//! A command's conversation with the cluster: finding it, asking it, and saying what is asked.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use super::{Exit, Global, Output};
use crate::client::{Answer, Body, Client, Error, Event, Request, Step};
use crate::cluster::Address;

/// A cluster that was found.
pub(crate) struct Session {
    /// To ask it.
    pub(crate) client: Arc<Client>,
    /// How to print what it answers.
    pub(crate) output: Output,
    global: Global,
}

/// Find the cluster, and do `work` with it.
///
/// # Errors
///
/// Nobody is there; and what `work` says.
pub(crate) fn run<W>(global: &Global, work: W) -> Result<(), Exit>
where
    W: AsyncFnOnce(&Session) -> Result<(), Exit>,
{
    let runtime = runtime()?;
    let outcome = runtime.block_on(async {
        let session = Session::open(global).await?;
        work(&session).await
    });
    // A name that is still being looked up is not waited for.
    runtime.shutdown_timeout(Duration::ZERO);
    outcome
}

/// What runs a command: one thread is enough.
///
/// # Errors
///
/// The system has none left.
pub(crate) fn runtime() -> Result<Runtime, Exit> {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Exit::usage(format!("the system gives no runtime: {error}")))
}

impl Session {
    /// Find the cluster.
    ///
    /// # Errors
    ///
    /// Nobody is there.
    pub(crate) async fn open(global: &Global) -> Result<Self, Exit> {
        let mut client = client(global, global.members.clone());
        let mut members = global.members.clone();
        if global.sync {
            let synced = client.sync().await;
            members = synced.map_err(|_| cannot_sync(&global.members))?;
        }
        if global.debug {
            eprintln!("Cluster-Peers: {}", urls(&members, " "));
        }
        Ok(Self {
            client: Arc::new(client),
            output: global.output,
            global: global.clone(),
        })
    }

    /// A client of others, told what this one was told.
    pub(crate) fn client_of(&self, members: Vec<Address>) -> Client {
        client(&self.global, members)
    }

    /// Have a request answered, and the event that is in the answer.
    ///
    /// # Errors
    ///
    /// What the client or the API says.
    pub(crate) async fn ask(&self, request: &Request) -> Result<(Answer, Event), Error> {
        let answer = self.client.send(request).await?;
        let event = answer.event()?;
        Ok((answer, event))
    }

    /// Do something to a file, and print what became of it.
    ///
    /// # Errors
    ///
    /// What the client or the API says, or printing.
    pub(crate) async fn file(&self, request: &Request) -> Result<(), Exit> {
        let (answer, event) = self.ask(request).await?;
        Ok(self.output.file(&answer, &event)?)
    }

    /// Do something to a directory, and print what became of it.
    ///
    /// # Errors
    ///
    /// What the client or the API says, or printing.
    pub(crate) async fn directory(&self, request: &Request) -> Result<(), Exit> {
        let (answer, _) = self.ask(request).await?;
        Ok(self.output.directory(&answer)?)
    }
}

/// A client of `members`, as the flags want it.
pub(crate) fn client(global: &Global, members: Vec<Address>) -> Client {
    let mut client = Client::new(members).with_tls(global.tls.clone());
    if let Some(limit) = global.timeout {
        client = client.with_timeout(limit);
    }
    if global.debug {
        client = client.with_observer(print_step);
    }
    client
}

fn cannot_sync(members: &[Address]) -> Exit {
    let peers = urls(members, ", ");
    Exit::unreachable(format!("Cannot sync with the cluster using peers {peers}"))
}

fn urls(members: &[Address], between: &str) -> String {
    let urls: Vec<String> = members.iter().map(Address::url).collect();
    urls.join(between)
}

/// Print what `--debug` shows.
fn print_step(step: Step<'_>) {
    match step {
        Step::Request(member, request) => {
            eprintln!("Curl-Example: {}", curl(&member.url(), request));
        }
        Step::Failure(member, cause) => eprintln!("{}: {cause}", member.url()),
    }
}

/// A request as `curl` makes it. What is written is shown as it is, without quotes for a shell.
fn curl(url: &str, request: &Request) -> String {
    let written: String = match &request.body {
        None => String::new(),
        Some(Body::Form(form)) => form_urlencoded::parse(form)
            .map(|(name, value)| format!(" -d {name}={value}"))
            .collect(),
        Some(Body::Json(json)) => format!(" -d {}", String::from_utf8_lossy(json)),
    };
    format!(
        "curl -X {} {url}{}{written}",
        request.method, request.target
    )
}
