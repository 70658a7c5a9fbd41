//! The counters of `/v2/stats/store`.

use std::sync::atomic::{AtomicU64, Ordering};

/// The counters, with their names in the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counter {
    GetsSuccess,
    GetsFail,
    SetsSuccess,
    SetsFail,
    DeleteSuccess,
    DeleteFail,
    UpdateSuccess,
    UpdateFail,
    CreateSuccess,
    CreateFail,
    CompareAndSwapSuccess,
    CompareAndSwapFail,
    CompareAndDeleteSuccess,
    CompareAndDeleteFail,
    ExpireCount,
}

const COUNTERS: usize = Counter::ExpireCount as usize + 1;

/// This member's counters since it started. They differ between members, so they are in neither image nor hash.
#[derive(Debug, Default)]
pub(super) struct Counters {
    counts: [AtomicU64; COUNTERS],
}

/// The counters at one moment, in the order of `/v2/stats/store`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Reads that succeeded.
    pub gets_success: u64,
    /// Reads that failed.
    pub gets_fail: u64,
    /// Unconditional writes that succeeded.
    pub sets_success: u64,
    /// Unconditional writes that failed, and creations below a file, as in etcd 0.4.
    pub sets_fail: u64,
    /// Deletions that succeeded.
    pub delete_success: u64,
    /// Deletions that failed.
    pub delete_fail: u64,
    /// Updates that succeeded.
    pub update_success: u64,
    /// Updates that failed.
    pub update_fail: u64,
    /// Creations that succeeded, in order or not.
    pub create_success: u64,
    /// Creations that failed.
    pub create_fail: u64,
    /// Swaps that succeeded.
    pub compare_and_swap_success: u64,
    /// Swaps that failed, and conditional deletions of a directory, as in etcd 0.4.
    pub compare_and_swap_fail: u64,
    /// Conditional deletions that succeeded.
    pub compare_and_delete_success: u64,
    /// Conditional deletions that failed.
    pub compare_and_delete_fail: u64,
    /// Keys and directories that expired.
    pub expire_count: u64,
}

impl Counters {
    /// Increment a counter.
    pub(super) fn count(&self, counter: Counter) {
        // Nothing depends on the order of these, or on two of them at once.
        if let Some(count) = self.counts.get(counter as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Increment `success` or `fail`.
    pub(super) fn count_result<T, E>(
        &self,
        result: &Result<T, E>,
        success: Counter,
        fail: Counter,
    ) {
        self.count(if result.is_ok() { success } else { fail });
    }

    /// The current counts.
    pub(super) fn counts(&self) -> Counts {
        let now = |counter: Counter| {
            let count = self.counts.get(counter as usize);
            count.map_or(0, |count| count.load(Ordering::Relaxed))
        };
        Counts {
            gets_success: now(Counter::GetsSuccess),
            gets_fail: now(Counter::GetsFail),
            sets_success: now(Counter::SetsSuccess),
            sets_fail: now(Counter::SetsFail),
            delete_success: now(Counter::DeleteSuccess),
            delete_fail: now(Counter::DeleteFail),
            update_success: now(Counter::UpdateSuccess),
            update_fail: now(Counter::UpdateFail),
            create_success: now(Counter::CreateSuccess),
            create_fail: now(Counter::CreateFail),
            compare_and_swap_success: now(Counter::CompareAndSwapSuccess),
            compare_and_swap_fail: now(Counter::CompareAndSwapFail),
            compare_and_delete_success: now(Counter::CompareAndDeleteSuccess),
            compare_and_delete_fail: now(Counter::CompareAndDeleteFail),
            expire_count: now(Counter::ExpireCount),
        }
    }
}
