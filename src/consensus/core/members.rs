//! What the leader does about the membership, and how a member learns that it is none any more.

use std::collections::BTreeMap;
use std::time::Duration;

use raft::ProgressState;
use tracing::{debug, info, warn};

use super::Core;
use crate::cluster::{Liveness, Member, MemberId, Settings};
use crate::consensus::change::{self, Change, ChangeRefused};
use crate::consensus::member_changes::{self, Next};
use crate::store::codec;

/// How often the leader looks whether a member has to go; so at most one goes in that time.
const DEMOTE_EVERY: Duration = Duration::from_secs(1);

/// How many election timeouts a leader that is to leave waits for another to take over.
const SUCCESSION_MAX: u32 = 10;

/// What this member knows of who is there.
pub(super) struct Watch {
    /// When this member last heard from another.
    heard: BTreeMap<MemberId, Duration>,
    /// Since when it has led, and been awake.
    listens_since: Duration,
    /// When it last ticked.
    ticked: Duration,
    /// When it last looked who has to go.
    looked: Duration,
    /// Where members say that they are, other than on record: they moved, and without reaching them there
    /// may be no leader to put it on record.
    moved: BTreeMap<MemberId, String>,
    /// Since when it, the leader, wants to hand over in order to leave.
    leaves_since: Option<Duration>,
}

impl Watch {
    pub(super) fn new(now: Duration) -> Self {
        Self {
            heard: BTreeMap::new(),
            listens_since: now,
            ticked: now,
            looked: now,
            moved: BTreeMap::new(),
            leaves_since: None,
        }
    }

    /// It hears from a member.
    pub(super) fn hear(&mut self, from: MemberId, now: Duration) {
        self.heard.insert(from, now);
    }

    /// It leads from now on.
    pub(super) fn lead(&mut self, now: Duration) {
        (self.listens_since, self.looked) = (now, now);
        self.leaves_since = None;
    }

    /// It ticks. What passed while it was paused is not the others' silence.
    fn tick(&mut self, now: Duration, gap_max: Duration) {
        if now.saturating_sub(self.ticked) > gap_max {
            (self.listens_since, self.looked) = (now, now);
        }
        self.ticked = now;
    }
}

impl Core {
    /// The leader's part of a tick: learners that caught up get a vote, and who has to go goes.
    pub(super) fn maintain_members(&mut self, now: Duration) {
        self.watch.tick(now, self.election_timeout());
        if !self.leads() {
            return;
        }
        self.promote_learners();
        if now.saturating_sub(self.watch.looked) >= DEMOTE_EVERY {
            self.watch.looked = now;
            self.demote(now);
        }
    }

    /// Learners that have caught up get a vote.
    fn promote_learners(&mut self) {
        let raft = &self.raft.raft;
        let committed = raft.raft_log.committed;
        let caught_up = self.applier.configuration().learners.iter().filter(|id| {
            let progress = raft.prs().get(**id);
            progress.is_some_and(|progress| {
                let near = progress.matched + self.settings.learner_lag_max >= committed;
                near && progress.recent_active && progress.state == ProgressState::Replicate
            })
        });
        for id in caught_up
            .filter_map(|id| MemberId::new(*id))
            .collect::<Vec<_>>()
        {
            self.changes.add(Change::Promote(id), None);
        }
    }

    /// Take out a member that was silent for too long, or one of too many.
    fn demote(&mut self, now: Duration) {
        let settings: Settings = self.applier.with_store(change::settings);
        let census = self.census(now);
        let (who, why) = match (
            census.silent_too_long(&settings),
            census.too_many(&settings),
        ) {
            (Some(id), _) => (id, "nobody heard from it for the cluster's removeDelay"),
            (None, Some(id)) => (id, "there are more members than the cluster's activeSize"),
            (None, None) => return,
        };
        let name = self.applier.member(who).map(|member| member.name);
        info!(id = %who, name = name.unwrap_or_default(), "a member loses its place: {why}");
        self.changes.add(Change::Remove(who), None);
    }

    /// Propose the next change of the membership, if none is under way.
    pub(super) fn propose_change(&mut self, now: Duration) {
        // The raft crate drops proposals of a leader that hands over.
        if !self.leads() || self.changes.are_idle() || self.raft.raft.lead_transferee.is_some() {
            return;
        }
        let configuration = self.applier.configuration().clone();
        let census = self.census(now);
        let next = self
            .applier
            .with_store(|store| self.changes.next(store, &configuration, &census));
        let proposal = match next {
            Next::Wait => return,
            Next::TransferLeadership => return self.hand_over_to_leave(now),
            Next::Propose(proposal) => proposal,
        };
        // Entries put up before it keep their place.
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
                    .propose_conf_change(context, member_changes::conf_change(&[step]))
            }
        };
        let index = self.raft.raft.raft_log.last_index();
        self.changes.proposed(id, proposal, index);
        if let Err(error) = proposed {
            debug!(%error, "a change of the membership was dropped");
            self.changes.applied(index, None);
        }
    }

    /// The leader is to leave: another leads first, and takes it out when it is asked to.
    fn hand_over_to_leave(&mut self, now: Duration) {
        let since = *self.watch.leaves_since.get_or_insert(now);
        if now.saturating_sub(since) < self.election_timeout() * SUCCESSION_MAX {
            self.transfer_leadership();
        } else {
            self.watch.leaves_since = None;
            self.changes.refuse_next(ChangeRefused::NoSuccessor);
        }
    }

    /// A member says where it is reached.
    pub fn address_changed(&mut self, from: MemberId, at: String) {
        let Some(member) = self.applier.member(from) else {
            return;
        };
        let moved = &mut self.watch.moved;
        self.has_new_address |= if member.peer_url == at {
            moved.remove(&from).is_some()
        } else {
            info!(
                name = member.name,
                at, "a member is elsewhere than on record"
            );
            moved.insert(from, at.clone()) != Some(at)
        };
    }

    /// The members, each where it was last heard to be.
    pub(super) fn members_with_current_urls(&mut self) -> Vec<Member> {
        let mut members = self.applier.members();
        let Watch { heard, moved, .. } = &mut self.watch;
        let known = |id: &MemberId| members.iter().any(|member| member.id == *id);
        heard.retain(|id, _| known(id));
        moved.retain(|id, _| known(id));
        for member in &mut members {
            if let Some(at) = moved.get(&member.id) {
                member.peer_url.clone_from(at);
            }
        }
        members
    }

    /// Another member knows for certain that this one was removed.
    pub fn removed(&mut self, by: MemberId) {
        if !self.removed {
            warn!(%by, "this member was removed from the cluster");
            self.removed = true;
        }
    }

    /// Whether this member was removed, and nothing depends on it any more.
    pub fn is_removed(&self) -> bool {
        self.removed
    }

    fn census(&self, now: Duration) -> Liveness {
        let configuration = self.applier.configuration();
        let ids = |ids: &[u64]| ids.iter().filter_map(|id| MemberId::new(*id)).collect();
        let heard = self.watch.heard.iter();
        Liveness {
            leader: self.settings.member,
            voters: ids(&configuration.voters),
            learners: ids(&configuration.learners),
            heard: heard
                .map(|(id, at)| (*id, now.saturating_sub(*at)))
                .collect(),
            led_for: now.saturating_sub(self.watch.listens_since),
            living_max: 2 * self.election_timeout(),
        }
    }

    fn election_timeout(&self) -> Duration {
        let ticks = u32::try_from(self.settings.election_ticks).unwrap_or(u32::MAX);
        self.settings.tick.saturating_mul(ticks)
    }
}
