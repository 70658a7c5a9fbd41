//! A command's session with the cluster: the list of members, requests, and the output of `--debug`.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use super::{Exit, Global, Output};
use crate::client::{Answer, Body, Client, Error, Event, Request, Step};
use crate::cluster::Address;

/// A session with the cluster.
pub(crate) struct Session {
    /// The client.
    pub(crate) client: Arc<Client>,
    /// The output format.
    pub(crate) output: Output,
    global: Global,
}

/// Open a session and do `work` in it.
///
/// # Errors
///
/// No runtime; no member returns the list of members; the error of `work`.
pub(crate) fn run<W>(global: &Global, work: W) -> Result<(), Exit>
where
    W: AsyncFnOnce(&Session) -> Result<(), Exit>,
{
    let runtime = runtime()?;
    let outcome = runtime.block_on(async {
        let session = Session::open(global).await?;
        work(&session).await
    });
    // Do not wait for a pending name lookup.
    runtime.shutdown_timeout(Duration::ZERO);
    outcome
}

/// The runtime of a command, on one thread.
///
/// # Errors
///
/// The system has no resources for it.
pub(crate) fn runtime() -> Result<Runtime, Exit> {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Exit::usage(format!("cannot start the runtime: {error}")))
}

impl Session {
    /// Open a session: fetch the list of members, unless `--no-sync` is given.
    ///
    /// # Errors
    ///
    /// No member returns the list of members.
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

    /// A client of other members, with the same flags.
    pub(crate) fn client_of(&self, members: Vec<Address>) -> Client {
        client(&self.global, members)
    }

    /// Send a request, and return the response and its event.
    ///
    /// # Errors
    ///
    /// The errors of the client, and those of the API.
    pub(crate) async fn send(&self, request: &Request) -> Result<(Answer, Event), Error> {
        let answer = self.client.send(request).await?;
        let event = answer.event()?;
        Ok((answer, event))
    }

    /// Send a request about a file, and print the response.
    ///
    /// # Errors
    ///
    /// Those of [`Session::send`]; stdout cannot be written.
    pub(crate) async fn print_file(&self, request: &Request) -> Result<(), Exit> {
        let (answer, event) = self.send(request).await?;
        Ok(self.output.print_file(&answer, &event)?)
    }

    /// Send a request about a directory, and print the response.
    ///
    /// # Errors
    ///
    /// Those of [`Session::send`]; stdout cannot be written.
    pub(crate) async fn print_directory(&self, request: &Request) -> Result<(), Exit> {
        let (answer, _) = self.send(request).await?;
        Ok(self.output.print_directory(&answer)?)
    }
}

/// A client of `members`, configured by the flags.
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
            eprintln!("Curl-Example: {}", format_curl(&member.url(), request));
        }
        Step::Failure(member, cause) => eprintln!("{}: {cause}", member.url()),
    }
}

/// A request as a `curl` command, in the format of 0.4: without quotes for a shell.
fn format_curl(url: &str, request: &Request) -> String {
    let data: String = match &request.body {
        None => String::new(),
        Some(Body::Form(form)) => form_urlencoded::parse(form)
            .map(|(name, value)| format!(" -d {name}={value}"))
            .collect(),
        Some(Body::Json(json)) => format!(" -d {}", String::from_utf8_lossy(json)),
    };
    format!("curl -X {} {url}{}{data}", request.method, request.target)
}
