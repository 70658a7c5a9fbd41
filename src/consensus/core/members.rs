//! The leader's part in the membership: it promotes learners, removes members, and proposes changes. And what each
//! member knows of the others: when they were last heard from, and their current addresses.

use std::collections::BTreeMap;
use std::time::Duration;

use raft::ProgressState;
use tracing::{debug, info, warn};

use super::Core;
use crate::cluster::{Liveness, Member, MemberId, Refusal, Settings};
use crate::consensus::change::{self, Change};
use crate::consensus::member_changes::{self, Next};
use crate::store::codec;

/// The time between two checks whether a member is to be removed; each check removes one member at most.
const REMOVAL_CHECK_EVERY: Duration = Duration::from_secs(1);

/// How many election timeouts a leader that is to be removed waits for a successor.
const SUCCESSION_TIMEOUTS: u32 = 10;

/// What this member knows of the others from their messages.
pub(super) struct PeerActivity {
    /// When each other member was last heard from.
    last_heard: BTreeMap<MemberId, Duration>,
    /// The start of its leadership, or of the last pause of its process if that was later.
    leads_since: Duration,
    /// The last tick.
    last_tick: Duration,
    /// The last check whether a member is to be removed.
    last_removal_check: Duration,
    /// The peer URLs of members that moved, where they differ from those on record: without a connection to them
    /// there may be no leader that could record them.
    new_addresses: BTreeMap<MemberId, String>,
    /// When it, the leader that is to be removed, first tried to transfer leadership.
    transfers_since: Option<Duration>,
}

impl PeerActivity {
    pub(super) fn new(now: Duration) -> Self {
        Self {
            last_heard: BTreeMap::new(),
            leads_since: now,
            last_tick: now,
            last_removal_check: now,
            new_addresses: BTreeMap::new(),
            transfers_since: None,
        }
    }

    /// Record a message from another member.
    pub(super) fn record_message(&mut self, from: MemberId, now: Duration) {
        self.last_heard.insert(from, now);
    }

    /// Record that this member became leader.
    pub(super) fn become_leader(&mut self, now: Duration) {
        (self.leads_since, self.last_removal_check) = (now, now);
        self.transfers_since = None;
    }

    /// Record a tick. Time that passed while this process was paused does not count as silence of the others.
    fn tick(&mut self, now: Duration, gap_max: Duration) {
        if now.saturating_sub(self.last_tick) > gap_max {
            (self.leads_since, self.last_removal_check) = (now, now);
        }
        self.last_tick = now;
    }
}

impl Core {
    /// The leader's part of a tick: promote learners that have caught up, and remove silent or surplus members.
    pub(super) fn maintain_members(&mut self, now: Duration) {
        self.peer_activity.tick(now, self.election_timeout());
        if !self.leads() {
            return;
        }
        self.promote_learners();
        if now.saturating_sub(self.peer_activity.last_removal_check) >= REMOVAL_CHECK_EVERY {
            self.peer_activity.last_removal_check = now;
            self.remove_one_member(now);
        }
    }

    /// Make learners that have caught up voters.
    fn promote_learners(&mut self) {
        let raft = &self.raft.raft;
        let committed = raft.raft_log.committed;
        let caught_up = self.applier.configuration().learners.iter().filter(|id| {
            let progress = raft.prs().get(**id);
            progress.is_some_and(|progress| {
                let is_near = progress.matched + self.settings.learner_lag_max >= committed;
                is_near && progress.recent_active && progress.state == ProgressState::Replicate
            })
        });
        for id in caught_up
            .filter_map(|id| MemberId::new(*id))
            .collect::<Vec<_>>()
        {
            self.changes.add(Change::Promote(id), None);
        }
    }

    /// Remove a member that was silent for too long, or one of too many.
    fn remove_one_member(&mut self, now: Duration) {
        let settings: Settings = self.applier.with_store(change::read_settings);
        let liveness = self.liveness(now);
        let silent = liveness.find_silent_member(&settings);
        let (id, reason) = match (silent, liveness.find_surplus_member(&settings)) {
            (Some(id), _) => (id, "silent for longer than removeDelay"),
            (None, Some(id)) => (id, "more members than activeSize"),
            (None, None) => return,
        };
        let name = self.applier.member(id).map(|member| member.name);
        info!(%id, name = name.unwrap_or_default(), reason, "removing member");
        self.changes.add(Change::Remove(id), None);
    }

    /// Propose the next change of the membership, unless one is in progress.
    pub(super) fn propose_change(&mut self, now: Duration) {
        // The raft crate drops proposals while leadership is being transferred.
        if !self.leads() || self.changes.are_idle() || self.raft.raft.lead_transferee.is_some() {
            return;
        }
        let configuration = self.applier.configuration().clone();
        let liveness = self.liveness(now);
        let next = self
            .applier
            .with_store(|store| self.changes.next(store, &configuration, &liveness));
        let proposal = match next {
            Next::Wait => return,
            Next::TransferLeadership => return self.transfer_leadership_to_leave(now),
            Next::Propose(proposal) => proposal,
        };
        // Commands that came before it are proposed before it.
        self.propose();
        let id = self.writes.next_id();
        let stamped = codec::entry(
            self.stamp(now),
            Some(id),
            &codec::encode_command(&proposal.command),
        );
        let proposed = match proposal.step {
            None => self.raft.propose(Vec::new(), stamped.to_vec()),
            Some(step) => {
                let context = member_changes::encode(&[step], &stamped).to_vec();
                self.raft
                    .propose_conf_change(context, member_changes::to_conf_change(&[step]))
            }
        };
        let index = self.raft.raft.raft_log.last_index();
        self.changes.set_proposed(id, proposal, index);
        if let Err(error) = proposed {
            debug!(%error, "membership change dropped");
            self.changes.set_applied(index, None);
        }
    }

    /// Transfer leadership because the leader is to be removed: its successor removes it when the request is sent again.
    fn transfer_leadership_to_leave(&mut self, now: Duration) {
        let since = *self.peer_activity.transfers_since.get_or_insert(now);
        if now.saturating_sub(since) < self.election_timeout() * SUCCESSION_TIMEOUTS {
            self.transfer_leadership();
        } else {
            self.peer_activity.transfers_since = None;
            self.changes.refuse_next(Refusal::NoSuccessor);
        }
    }

    /// Record the peer URL that a member gave when it connected.
    pub fn address_changed(&mut self, from: MemberId, peer_url: String) {
        let Some(member) = self.applier.member(from) else {
            return;
        };
        let new_addresses = &mut self.peer_activity.new_addresses;
        self.has_new_address |= if member.peer_url == peer_url {
            new_addresses.remove(&from).is_some()
        } else {
            info!(
                name = member.name,
                peer_url,
                recorded = member.peer_url,
                "member has a new peer address"
            );
            new_addresses.insert(from, peer_url.clone()) != Some(peer_url)
        };
    }

    /// The members with their current peer URLs.
    pub(super) fn members_with_current_urls(&mut self) -> Vec<Member> {
        let mut members = self.applier.members();
        let PeerActivity {
            last_heard,
            new_addresses,
            ..
        } = &mut self.peer_activity;
        let is_member = |id: &MemberId| members.iter().any(|member| member.id == *id);
        last_heard.retain(|id, _| is_member(id));
        new_addresses.retain(|id, _| is_member(id));
        for member in &mut members {
            if let Some(peer_url) = new_addresses.get(&member.id) {
                member.peer_url.clone_from(peer_url);
            }
        }
        members
    }

    /// Record that this member was removed: `by` has that on its disk.
    pub fn removed(&mut self, by: MemberId) {
        if !self.removed {
            warn!(%by, "removed from the cluster");
            self.removed = true;
        }
    }

    /// Whether this member was removed, and no other member depends on it.
    pub fn is_removed(&self) -> bool {
        self.removed
    }

    fn liveness(&self, now: Duration) -> Liveness {
        let configuration = self.applier.configuration();
        let ids = |ids: &[u64]| ids.iter().filter_map(|id| MemberId::new(*id)).collect();
        let last_heard = self.peer_activity.last_heard.iter();
        Liveness {
            leader: self.settings.member,
            voters: ids(&configuration.voters),
            learners: ids(&configuration.learners),
            last_heard: last_heard
                .map(|(id, at)| (*id, now.saturating_sub(*at)))
                .collect(),
            led_for: now.saturating_sub(self.peer_activity.leads_since),
            silence_max: 2 * self.election_timeout(),
        }
    }

    fn election_timeout(&self) -> Duration {
        let ticks = u32::try_from(self.settings.election_ticks).unwrap_or(u32::MAX);
        self.settings.tick.saturating_mul(ticks)
    }
}
