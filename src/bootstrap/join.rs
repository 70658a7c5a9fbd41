//! Joining a cluster: asking peers for a seat, and becoming a member or a standby.

use tracing::info;

use super::local::{Contacts, PreparedMember, PreparedStandby, Started, get_or_create_id};
use crate::cluster::{Address, ClusterId, JoinRequest, MemberSpec, Refusal};
use crate::host::Failure;
use crate::membership::client::{JoinFailure, RetryPolicy, join};
use crate::store::HistoryLimits;
use crate::wal::{DataDir, Founding};

/// What a request for a seat in a cluster led to.
pub enum SeatRequest {
    /// The member was admitted.
    Admitted(Box<PreparedMember>),
    /// It was not; its data directory comes back.
    Failed(DataDir, JoinFailure),
}

/// Ask peers for a seat in a cluster, which is `cluster` if that is known.
///
/// # Errors
///
/// [`Failure`]: the data directory cannot be read or written.
pub async fn request_seat(
    mut directory: DataDir,
    spec: MemberSpec,
    cluster: Option<ClusterId>,
    contacts: &Contacts,
    retry: RetryPolicy,
    limits: HistoryLimits,
) -> Result<SeatRequest, Failure> {
    let id = get_or_create_id(&mut directory, &spec.name, Founding::Peers)?;
    let member = spec.clone().into_member(id);
    let request = JoinRequest { member, cluster };
    Ok(
        match join(&contacts.tls, &contacts.peers, &request, retry).await {
            Ok(answer) => {
                let member = PreparedMember::admitted(directory, spec, answer, limits)?;
                SeatRequest::Admitted(Box::new(member))
            }
            Err(failure) => SeatRequest::Failed(directory, failure),
        },
    )
}

/// What an attempt to join a cluster led to.
pub(super) enum JoinAttempt {
    Started(Started),
    /// Neither a member nor a standby; its data directory comes back.
    Failed(DataDir, JoinFailure),
}

/// Ask peers for a seat in their cluster. Where the cluster is full, become a standby; where the id was removed, ask
/// again with a new one.
///
/// # Errors
///
/// [`Failure`]: the data directory cannot be read or written.
pub(super) async fn try_to_join(
    mut directory: DataDir,
    spec: MemberSpec,
    contacts: Contacts,
    retry: RetryPolicy,
    limits: HistoryLimits,
) -> Result<JoinAttempt, Failure> {
    loop {
        let cluster = directory.identity().and_then(|identity| identity.cluster);
        let asked = request_seat(directory, spec.clone(), cluster, &contacts, retry, limits);
        let (back, failure) = match asked.await? {
            SeatRequest::Admitted(member) => {
                return Ok(JoinAttempt::Started(Started::Member(member)));
            }
            SeatRequest::Failed(directory, failure) => (directory, failure),
        };
        directory = back;
        match failure.refusal() {
            Some(Refusal::Full(list)) => {
                let list = *list.clone();
                let standby = PreparedStandby::new(directory, spec, list, contacts, limits)?;
                return Ok(JoinAttempt::Started(Started::Standby(Box::new(standby))));
            }
            Some(Refusal::Removed) => {
                info!("removed from the cluster before; joining with a new id");
                directory.discard_member()?;
            }
            Some(_) | None => return Ok(JoinAttempt::Failed(directory, failure)),
        }
    }
}

/// The same, where it is an error that no peer admits the member.
///
/// # Errors
///
/// [`Failure::Other`] with the text of the [`JoinFailure`], or as for [`try_to_join`].
pub(super) async fn join_or_stand_by(
    directory: DataDir,
    spec: MemberSpec,
    contacts: Contacts,
    retry: RetryPolicy,
    limits: HistoryLimits,
) -> Result<Started, Failure> {
    let peers: Vec<String> = contacts.peers.iter().map(Address::to_string).collect();
    info!(name = %spec.name, peers = %peers.join(","), "joining a cluster");
    match try_to_join(directory, spec, contacts, retry, limits).await? {
        JoinAttempt::Started(started) => Ok(started),
        JoinAttempt::Failed(_, failure) => Err(failure.to_string().into()),
    }
}
