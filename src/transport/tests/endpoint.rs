//! A member's transport, with the test as its driver.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::watch;
use tokio::time::timeout;

use super::super::{
    ConnectionKind, Inbox, Listener, Local, OpenSnapshot, Peers, ReceiveSnapshot, Received, Report,
    Stats,
};
use crate::cluster::{ClusterId, Member, MemberId};
use crate::consensus::message::{Body, Message};

/// A timeout that is much longer than any step.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) fn local(cluster: u64, id: u64) -> Local {
    Local {
        cluster: ClusterId::new(cluster).expect("not zero"),
        id: MemberId::new(id).expect("not zero"),
        name: format!("m{id}"),
        tls: crate::net::tls::Connector::default(),
        peer_url: format!("http://10.0.0.{id}:7001"),
        paths: super::PATHS,
    }
}

/// A member.
pub(super) struct Endpoint {
    pub(super) local: Local,
    pub(super) peers: Peers,
    pub(super) stats: Arc<Stats>,
    pub(super) port: u16,
    inbox: Inbox,
    reports: UnboundedReceiver<Report>,
    listener: Arc<Mutex<Arc<Listener>>>,
    receive: ReceiveSnapshot,
    gone: watch::Sender<BTreeSet<MemberId>>,
}

impl Endpoint {
    /// A member without peers and snapshots.
    pub(super) async fn new(cluster: u64, id: u64) -> Self {
        let none: OpenSnapshot = Arc::new(|_| Err(io::Error::other("no snapshot here")));
        let refuse: ReceiveSnapshot = Arc::new(|_, _| Err(io::Error::other("no room here")));
        Self::with(cluster, id, none, refuse, 65_537).await
    }

    pub(super) async fn with(
        cluster: u64,
        id: u64,
        open: OpenSnapshot,
        receive: ReceiveSnapshot,
        room_kib: usize,
    ) -> Self {
        let local = local(cluster, id);
        let (sender, reports) = unbounded_channel();
        let inbox: Inbox = Arc::new(move |report| {
            let _ = sender.send(report);
        });
        let stats = Arc::new(Stats::default());
        let gone = watch::Sender::default();
        let listener = Listener::with_unhandled_max(
            local.clone(),
            inbox.clone(),
            stats.clone(),
            receive.clone(),
            gone.subscribe(),
            room_kib,
        );
        let listener = Arc::new(Mutex::new(listener));
        let port = serve(listener.clone()).await;
        let peers = Peers::new(
            local.clone(),
            Handle::current(),
            inbox.clone(),
            open,
            stats.clone(),
        );
        Self {
            local,
            peers,
            stats,
            port,
            inbox,
            reports,
            listener,
            receive,
            gone,
        }
    }

    pub(super) fn member(&self) -> Member {
        Member {
            id: self.local.id,
            name: self.local.name.clone(),
            client_url: "http://127.0.0.1:1".to_owned(),
            peer_url: format!("http://127.0.0.1:{}", self.port),
        }
    }

    /// Send `body` to `to`.
    pub(super) fn send(&mut self, to: &Endpoint, body: Body) {
        self.peers.send(Message {
            from: self.local.id,
            to: to.local.id,
            body,
        });
    }

    /// The next report.
    pub(super) async fn report(&mut self) -> Report {
        let report = timeout(PATIENCE, self.reports.recv()).await;
        report.expect("a report in time").expect("the inbox lives")
    }

    /// The next report within a moment, other than of an address.
    pub(super) async fn report_soon(&mut self) -> Option<Report> {
        loop {
            let soon = timeout(Duration::from_millis(50), self.reports.recv()).await;
            match soon.ok().flatten() {
                Some(Report::AddressChanged { .. }) => {}
                report => return report,
            }
        }
    }

    /// The next message, with its permit.
    pub(super) async fn received(&mut self) -> Received {
        loop {
            match self.report().await {
                Report::Received(received) => return received,
                Report::Unreachable(_)
                | Report::AddressChanged { .. }
                | Report::Removed(_)
                | Report::SnapshotSent { .. } => {}
            }
        }
    }

    /// Mark a member as removed, at this one.
    pub(super) fn forget(&self, member: &Endpoint) {
        self.gone.send_modify(|gone| {
            gone.insert(member.local.id);
        });
    }

    /// Send `body` to `to` until it is received: repeatedly while there is no connection.
    pub(super) async fn send_until_received(&mut self, to: &mut Endpoint, body: Body) -> Message {
        for _ in 0..400 {
            self.send(to, body.clone());
            if let Some(Report::Received(received)) = to.report_soon().await {
                return received.into_parts().0;
            }
        }
        panic!("{:?} did not get there", body);
    }

    /// Restart: close all connections, and start a new listener.
    pub(super) fn restart(&self) {
        let fresh = Listener::new(
            self.local.clone(),
            self.inbox.clone(),
            self.stats.clone(),
            self.receive.clone(),
            self.gone.subscribe(),
        );
        let mut listener = self.listener.lock().expect("no panic");
        std::mem::replace(&mut *listener, fresh).close();
    }
}

/// Serve a listener on a free port.
async fn serve(listener: Arc<Mutex<Arc<Listener>>>) -> u16 {
    let socket = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = socket.local_addr().expect("bound").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = socket.accept().await {
            let listener = listener.clone();
            let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
                let listener = listener.lock().expect("no panic").clone();
                let kind = match request.uri().path() == super::PATHS.snapshot {
                    true => ConnectionKind::Snapshot,
                    false => ConnectionKind::Messages,
                };
                let response = listener.upgrade(kind, request);
                async { Ok::<_, std::convert::Infallible>(response) }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades();
            tokio::spawn(connection);
        }
    });
    port
}

/// An index, and the received bytes.
pub(super) type Image = (u64, Vec<u8>);

/// Received snapshots, in memory.
#[derive(Clone, Default)]
pub(super) struct Stored(pub(super) Arc<Mutex<Vec<Image>>>);

impl Stored {
    pub(super) fn receive(&self) -> ReceiveSnapshot {
        let stored = self.0.clone();
        Arc::new(move |meta, bytes| {
            let mut body = Vec::new();
            bytes.read_to_end(&mut body)?;
            stored.lock().expect("no panic").push((meta.index, body));
            Ok(())
        })
    }
}
