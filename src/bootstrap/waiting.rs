//! A machine that asks for a place, and waits for one while the cluster has none.

use std::time::Duration;

use tracing::info;

use super::beginning::{PreparedMember, identify};
use super::local::{Held, open_log};
use super::text;
use crate::cluster::{
    Address, ClusterId, JoinAnswer, JoinRequest, MemberId, MemberList, MemberSpec, peer_address,
};
use crate::consensus::core::Recovered;
use crate::host::Failure;
use crate::membership::api;
use crate::membership::client::{self, JoinFailure, RetryPolicy, join};
use crate::net::staggered_race;
use crate::net::tls::Connector;
use crate::store::{HistoryLimits, Store};
use crate::wal::{DataDir, Founding, SnapshotMeta};

/// A machine without a place asks once; the next sync comes soon enough.
const ONCE: RetryPolicy = RetryPolicy {
    attempts: 1,
    interval: Duration::ZERO,
};

/// Whom a machine may ask for a place besides the members it knows, and how those are called.
#[derive(Clone)]
pub struct Contacts {
    /// What is spoken with those whose URL is `https`.
    pub tls: Connector,
    /// The peers it was given.
    pub peers: Vec<Address>,
}

/// A machine that waits for a place. Its directory holds no data, only where the cluster is.
pub struct Waiting {
    directory: DataDir,
    machine: MemberSpec,
    /// The latest known.
    roster: MemberList,
    contacts: Contacts,
    limits: HistoryLimits,
}

/// How a start came out.
pub enum Started {
    /// This is a member.
    Member(Box<PreparedMember>),
    /// There is no place in the cluster, and it waits for one.
    Standby(Box<Waiting>),
}

impl Started {
    /// Who this machine is; its id, if it is a member.
    pub fn machine(&self) -> (MemberSpec, Option<MemberId>) {
        match self {
            Self::Member(beginning) => {
                let member = &beginning.member;
                (MemberSpec::from(member.clone()), Some(member.id))
            }
            Self::Standby(waiting) => (waiting.machine().clone(), None),
        }
    }
}

/// What asking for a place came to.
pub enum Asked {
    /// It has one.
    Place(Box<PreparedMember>),
    /// It has none, and why.
    None(Box<Waiting>, String),
}

impl Waiting {
    /// A machine that has no place in the cluster of `roster`, which its directory remembers from now on.
    /// A member that the directory held, and its data, are thrown away.
    ///
    /// # Errors
    ///
    /// The disk's.
    pub fn new(
        mut directory: DataDir,
        machine: MemberSpec,
        roster: MemberList,
        contacts: Contacts,
        limits: HistoryLimits,
    ) -> Result<Self, Failure> {
        directory.keep_standby_file(&api::member_list_out(&roster))?;
        if directory.identity().is_some() {
            directory.discard_member()?;
        }
        Ok(Self {
            directory,
            machine,
            roster,
            contacts,
            limits,
        })
    }

    /// What it is called and where it is reached.
    pub fn machine(&self) -> &MemberSpec {
        &self.machine
    }

    /// The latest known of the cluster.
    pub fn roster(&self) -> &MemberList {
        &self.roster
    }

    /// Ask the members who they are by now. Who knows a leader is believed before
    /// those who know none: they may be cut off.
    ///
    /// # Errors
    ///
    /// A sentence: none of them could tell; or the disk's.
    pub async fn sync(&mut self) -> Result<(), String> {
        let (tls, cluster) = (self.contacts.tls.clone(), self.roster.cluster);
        let contacts = self.contacts();
        let found = staggered_race(&contacts, |member| look(tls.clone(), member, cluster));
        let rest = match found.await {
            Ok(roster) => return self.remember(roster),
            Err(rest) => rest,
        };
        let (mut leaderless, mut reasons) = (None, Vec::new());
        for one in rest {
            match one {
                Seen::Leaderless(roster) => leaderless = leaderless.or(Some(*roster)),
                Seen::Nothing(why) => reasons.push(why),
            }
        }
        // Whoever led may not lead any more.
        self.roster.leader = None;
        match leaderless {
            Some(roster) => self.remember(roster),
            None => Err(reasons.join("; ")),
        }
    }

    fn remember(&mut self, roster: MemberList) -> Result<(), String> {
        if roster != self.roster {
            let json = api::member_list_out(&roster);
            self.directory.keep_standby_file(&json).map_err(text)?;
            self.roster = roster;
        }
        Ok(())
    }

    /// Ask for a place.
    ///
    /// # Errors
    ///
    /// The disk's.
    pub async fn ask(mut self: Box<Self>) -> Result<Asked, Failure> {
        let id = identify(&mut self.directory, &self.machine.name, Founding::Peers)?;
        let request = JoinRequest {
            member: self.machine.clone().member(id),
            cluster: Some(self.roster.cluster),
        };
        match join(&self.contacts.tls, &self.contacts(), &request, ONCE).await {
            Ok(answer) => {
                let begun = joined(self.directory, self.machine, answer, self.limits)?;
                Ok(Asked::Place(Box::new(begun)))
            }
            Err(failure) => {
                match &failure {
                    JoinFailure::NoPlace(roster) => self.roster = *roster.clone(),
                    // Next time it asks as someone new.
                    JoinFailure::Removed => {
                        self.directory.discard_member()?;
                    }
                    JoinFailure::Declined { .. }
                    | JoinFailure::Stranger { .. }
                    | JoinFailure::Nobody(_) => {}
                }
                Ok(Asked::None(self, failure.to_string()))
            }
        }
    }

    /// Whom to ask: the members, then the peers it was given, but not itself.
    fn contacts(&self) -> Vec<Address> {
        let members = self.roster.contacts().into_iter();
        let members = members.filter_map(|member| peer_address(&member.peer_url).ok());
        let own = peer_address(&self.machine.peer_url).ok();
        let mut contacts: Vec<Address> = Vec::new();
        for address in members.chain(self.contacts.peers.iter().cloned()) {
            if !own.as_ref().is_some_and(|own| own.is_same_place(&address))
                && !contacts.contains(&address)
            {
                contacts.push(address);
            }
        }
        contacts
    }
}

/// What a look at one member shows that is not good enough to look at no other.
enum Seen {
    Leaderless(Box<MemberList>),
    Nothing(String),
}

/// The roster of `cluster`, with its leader, as one member knows it.
async fn look(tls: Connector, member: Address, cluster: ClusterId) -> Result<MemberList, Seen> {
    match client::member_list(&tls, &member).await {
        Ok(roster) if roster.cluster != cluster => {
            let why = format!("{member}: it belongs to cluster {}", roster.cluster);
            Err(Seen::Nothing(why))
        }
        Ok(roster) if roster.leader().is_some() => Ok(roster),
        Ok(roster) => Err(Seen::Leaderless(Box::new(roster))),
        Err(why) => Err(Seen::Nothing(format!("{member}: {why}"))),
    }
}

/// What asking peers came to.
pub(super) enum Tried {
    /// This machine is something.
    Started(Started),
    /// It is nothing yet; its directory comes back.
    Failed(DataDir, JoinFailure),
}

/// Ask the peers for a place. The leader sends everything else; where there is none, the machine waits.
pub(super) async fn join_or_wait(
    directory: DataDir,
    machine: MemberSpec,
    contacts: Contacts,
    patience: RetryPolicy,
    limits: HistoryLimits,
) -> Result<Started, Failure> {
    let list: Vec<String> = contacts.peers.iter().map(Address::to_string).collect();
    info!(
        "{} asks for a place in the cluster of {}",
        machine.name,
        list.join(", ")
    );
    match try_to_join(directory, machine, contacts, patience, limits).await? {
        Tried::Started(begun) => Ok(begun),
        Tried::Failed(_, failure) => Err(failure.to_string().into()),
    }
}

/// The same, where it is not the end when nobody gives a place.
pub(super) async fn try_to_join(
    mut directory: DataDir,
    machine: MemberSpec,
    contacts: Contacts,
    patience: RetryPolicy,
    limits: HistoryLimits,
) -> Result<Tried, Failure> {
    loop {
        let id = identify(&mut directory, &machine.name, Founding::Peers)?;
        let cluster = directory.identity().and_then(|identity| identity.cluster);
        let member = machine.clone().member(id);
        let request = JoinRequest { member, cluster };
        match join(&contacts.tls, &contacts.peers, &request, patience).await {
            Ok(answer) => {
                let begun = joined(directory, machine, answer, limits)?;
                return Ok(Tried::Started(Started::Member(Box::new(begun))));
            }
            Err(JoinFailure::NoPlace(roster)) => {
                let waiting = Waiting::new(directory, machine, *roster, contacts, limits)?;
                return Ok(Tried::Started(Started::Standby(Box::new(waiting))));
            }
            Err(JoinFailure::Removed) => {
                info!("the place it once had is gone; it asks as a new machine");
                directory.discard_member()?;
            }
            Err(
                failure @ (JoinFailure::Declined { .. }
                | JoinFailure::Stranger { .. }
                | JoinFailure::Nobody(_)),
            ) => return Ok(Tried::Failed(directory, failure)),
        }
    }
}

/// A member that has a place, and nothing yet of the cluster's data.
fn joined(
    mut directory: DataDir,
    machine: MemberSpec,
    answer: JoinAnswer,
    limits: HistoryLimits,
) -> Result<PreparedMember, Failure> {
    let JoinAnswer { cluster, members } = answer;
    directory.set_cluster(cluster)?;
    info!("{} joins cluster {cluster}", machine.name);
    let (wal, recovered) = open_log(&directory)?;
    let held = Held {
        wal,
        recovered: Recovered {
            hard_state: recovered.hard_state,
            snapshot: SnapshotMeta::default(),
            entries: recovered.entries,
        },
        store: Store::new(limits),
    };
    Ok(PreparedMember {
        named: members,
        ..PreparedMember::new(directory, held, machine)?
    })
}

#[cfg(test)]
#[path = "waiting_tests.rs"]
mod tests;
