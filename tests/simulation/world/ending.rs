//! How a run ends: everything mended, everyone well, time lost and rest kept, and what it came to.

use super::*;

impl World {
    /// Mend everything and wait until the members agree.
    pub(super) fn recover(&mut self) -> Result<(), String> {
        self.ends = true;
        self.mend_all();
        let deadline = self.now + RECOVERY_MAX;
        while !self.is_settled() {
            self.step()?;
            if self.now > deadline {
                let standing: Vec<String> = self.machines.iter().map(Machine::describe).collect();
                let mut store = (self.truth.last(), self.truth.store().next_deadline(), 0);
                store.2 = self
                    .watchers
                    .iter()
                    .filter(|watcher| watcher.is_settled(&self.truth))
                    .count();
                let shape = self.truth.configuration();
                return Err(format!(
                    "not well {RECOVERY_MAX:?} after the last fault: {standing:?}, {store:?}, {shape:?}"
                ));
            }
        }
        for machine in &self.machines {
            if let Some(running) = &machine.running {
                self.truth
                    .compare_all(running.core.applied_index(), &running.view().store)?;
            }
        }
        Ok(())
    }

    /// Nobody waits, all members are at the same place, nothing is to go soon, and the watchers have heard
    /// all of it.
    pub(super) fn is_settled(&self) -> bool {
        let store = self.truth.store();
        let soon = |deadline: ClusterTime| deadline.since(store.clock()) < LIFETIME_MAX;
        let up_to_date = |machine: &Machine| match machine.standing {
            RaftStatus::Member => machine.applied() == Some(self.truth.last()),
            RaftStatus::Outside | RaftStatus::Gone => true,
        };
        self.machines.iter().all(up_to_date)
            && self.is_shaped()
            && !store.next_deadline().is_some_and(soon)
            && !self.clients_wait()
            && self
                .watchers
                .iter()
                .all(|watcher| watcher.is_settled(&self.truth))
    }

    /// A key with a time to live, a long silence, and the power of all fails: the life gets no shorter, and
    /// no longer than by the time they were down and since the clock was last written.
    pub(super) fn lose_time(&mut self) -> Result<(), String> {
        let asked = self.now;
        let Some(leader) = self
            .machines
            .iter()
            .position(|m| m.running.as_ref().is_some_and(|r| r.core.leads()))
        else {
            return Ok(());
        };
        let ttl = self.ask_last(leader, LAST_LIFETIME);
        let silence = self.random.micros(1_900_000, 2_400_000);
        self.pass(silence)?;
        let down = self.random.micros(50_000, 500_000);
        (0..self.machines.len()).for_each(|member| self.die(member, true, false));
        self.pass(down)?;
        (0..self.machines.len()).for_each(|member| self.start(member));
        let latest = asked + ttl + down + CLOCK_WRITTEN_EVERY + RESTART_MAX;
        while self.truth.store().get(&client::last()).is_ok() {
            self.step()?;
            if self.now > latest {
                return Err(format!(
                    "a life of {ttl:?} that began at {asked:?} has not ended"
                ));
            }
        }
        Ok(())
    }

    /// Nothing is written when there is nothing to write.
    pub(super) fn rest(&mut self) -> Result<(), String> {
        if self.truth.store().next_deadline().is_some() {
            return Ok(());
        }
        self.pass(CALM)?;
        let (last, changes) = (self.truth.last(), self.disk_changes());
        self.pass(IDLE)?;
        if self.truth.last() != last || self.disk_changes() != changes {
            return Err("something was written, and nobody asked".to_owned());
        }
        Ok(())
    }

    /// Let so much time pass.
    pub(super) fn pass(&mut self, time: Duration) -> Result<(), String> {
        let until = self.now + time;
        while self.now < until {
            self.step()?;
        }
        Ok(())
    }

    /// How often anything was done to the members' disks.
    pub(super) fn disk_changes(&self) -> u64 {
        self.machines
            .iter()
            .map(|machine| machine.disk.changes())
            .sum()
    }

    pub(super) fn sum_up(mut self) -> Outcome {
        for machine in &self.machines {
            let counts = machine.counts;
            for (name, count) in [
                ("(snapshots taken)", counts.taken),
                ("(snapshots received)", counts.installed),
                ("(snapshots received in a row)", counts.installed_in_a_row),
                ("(crashes at a snapshot)", counts.trapped),
                ("(ends by the disk)", counts.disk_failed),
                ("(lives)", machine.life.div_ceil(2)),
            ] {
                *self.counts.entry(name).or_default() += count;
            }
        }
        let seconds = self.now.as_secs();
        for (name, count) in [
            ("(operations)", self.operations.len() as u64),
            ("(entries)", self.truth.last()),
            ("(events)", self.truth.events() as u64),
            (
                "(events heard)",
                self.watchers.iter().map(Watcher::heard).sum(),
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
