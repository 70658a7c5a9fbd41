//! The end of a run: repair, recovery and the final checks.

use super::*;

impl World {
    /// Repair all faults and wait until the members agree.
    pub(super) fn recover(&mut self) -> Result<(), String> {
        self.is_ending = true;
        self.repair_all();
        let deadline = self.now + RECOVERY_MAX;
        while !self.is_settled() {
            self.step()?;
            if self.now > deadline {
                let states: Vec<String> = self.hosts.iter().map(Host::describe).collect();
                let mut store = (
                    self.reference.last(),
                    self.reference.store().next_deadline(),
                    0,
                );
                store.2 = self
                    .watchers
                    .iter()
                    .filter(|watcher| watcher.is_settled(&self.reference))
                    .count();
                let sets = self.reference.configuration();
                return Err(format!(
                    "not recovered {RECOVERY_MAX:?} after the last fault: {states:?}, {store:?}, {sets:?}"
                ));
            }
        }
        for host in &self.hosts {
            if let Some(running) = &host.running {
                self.reference
                    .compare_all(running.core.applied_index(), &running.view().store)?;
            }
        }
        Ok(())
    }

    /// Whether no client waits, all members have applied the same entries, no key expires soon, and the watchers
    /// have received all events.
    pub(super) fn is_settled(&self) -> bool {
        let store = self.reference.store();
        let soon = |deadline: ClusterTime| deadline.since(store.clock()) < TTL_WAIT_MAX;
        let up_to_date = |host: &Host| match host.member_state {
            MemberState::Member => host.applied() == Some(self.reference.last()),
            MemberState::NotYet | MemberState::Former => true,
        };
        self.hosts.iter().all(up_to_date)
            && self.is_membership_settled()
            && !store.next_deadline().is_some_and(soon)
            && !self.is_client_waiting()
            && self
                .watchers
                .iter()
                .all(|watcher| watcher.is_settled(&self.reference))
    }

    /// Check a time to live over a power failure of all members after an idle time: it must not become shorter, and
    /// longer only by the time they were down and the time since the clock was last written.
    pub(super) fn check_ttl_over_power_loss(&mut self) -> Result<(), String> {
        let asked = self.now;
        let Some(leader) = self
            .hosts
            .iter()
            .position(|m| m.running.as_ref().is_some_and(|r| r.core.leads()))
        else {
            return Ok(());
        };
        let ttl = self.write_last_key(leader, LAST_KEY_TTL);
        let silence = self.random.micros(1_900_000, 2_400_000);
        self.run_for(silence)?;
        let down = self.random.micros(50_000, 500_000);
        (0..self.hosts.len()).for_each(|member| self.terminate(member, true, false));
        self.run_for(down)?;
        (0..self.hosts.len()).for_each(|member| self.start(member));
        let latest = asked + ttl + down + CLOCK_WRITTEN_EVERY + RESTART_MAX;
        while self.reference.store().get(&client::last_key()).is_ok() {
            self.step()?;
            if self.now > latest {
                return Err(format!(
                    "a key with a ttl of {ttl:?} that was set at {asked:?} did not expire"
                ));
            }
        }
        Ok(())
    }

    /// Check that an idle cluster writes nothing.
    pub(super) fn check_idle(&mut self) -> Result<(), String> {
        if self.reference.store().next_deadline().is_some() {
            return Ok(());
        }
        self.run_for(RETRIES_MAX)?;
        let (last, changes) = (self.reference.last(), self.disk_changes());
        self.run_for(IDLE)?;
        if self.reference.last() != last || self.disk_changes() != changes {
            return Err("an idle cluster wrote to disk".to_owned());
        }
        Ok(())
    }

    /// Run for a time.
    pub(super) fn run_for(&mut self, time: Duration) -> Result<(), String> {
        let until = self.now + time;
        while self.now < until {
            self.step()?;
        }
        Ok(())
    }

    /// Number of operations that changed a disk.
    pub(super) fn disk_changes(&self) -> u64 {
        self.hosts.iter().map(|host| host.disk.changes()).sum()
    }

    pub(super) fn into_outcome(mut self) -> Outcome {
        for host in &self.hosts {
            let counts = host.counts;
            for (name, count) in [
                ("(snapshots taken)", counts.taken),
                ("(snapshots received)", counts.installed),
                ("(snapshots received in a row)", counts.installed_in_a_row),
                ("(crashes at a snapshot)", counts.crashed_at_snapshot),
                ("(stops after a disk error)", counts.disk_failed),
                ("(starts)", host.incarnation.div_ceil(2)),
            ] {
                *self.counts.entry(name).or_default() += count;
            }
        }
        let seconds = self.now.as_secs();
        for (name, count) in [
            ("(operations)", self.operations.len() as u64),
            ("(entries)", self.reference.last()),
            ("(events)", self.reference.events() as u64),
            (
                "(events received)",
                self.watchers.iter().map(Watcher::received).sum(),
            ),
            (
                "(history cleared)",
                self.watchers.iter().map(Watcher::cleared).sum(),
            ),
            ("(terms)", self.leaders.len() as u64),
            ("(seconds)", seconds),
        ] {
            *self.counts.entry(name).or_default() += count;
        }
        Outcome {
            counts: self.counts,
            trace: self.trace.sum(),
        }
    }
}
