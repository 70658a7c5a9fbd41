//! `/v2/stats`: statistics of this member, of its store, and of its followers.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use hyper::Uri;
use jiff::Timestamp;
use serde::Serialize;

use super::about::{member_by_id, with_path};
use super::reply::{self, Reply};
use super::{Pages, json};
use crate::consensus::Role;
use crate::transport::stats::Follower;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SelfStats<'a> {
    name: &'a str,
    state: &'static str,
    start_time: Timestamp,
    leader_info: LeaderStatus,
    recv_append_request_cnt: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    recv_pkg_rate: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recv_bandwidth_rate: Option<f64>,
    send_append_request_cnt: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    send_pkg_rate: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    send_bandwidth_rate: Option<f64>,
}

/// The leader that this member follows, and since when.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LeaderStatus {
    /// Its name; empty if there is no leader.
    leader: String,
    uptime: String,
    start_time: Timestamp,
}

/// Counters of operations on the store of this member.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StoreStats {
    gets_success: u64,
    gets_fail: u64,
    sets_success: u64,
    sets_fail: u64,
    delete_success: u64,
    delete_fail: u64,
    update_success: u64,
    update_fail: u64,
    create_success: u64,
    create_fail: u64,
    compare_and_swap_success: u64,
    compare_and_swap_fail: u64,
    compare_and_delete_success: u64,
    compare_and_delete_fail: u64,
    expire_count: u64,
    watchers: u64,
}

#[derive(Serialize)]
struct LeaderStats<'a> {
    leader: &'a str,
    /// By name.
    followers: BTreeMap<&'a str, FollowerStats>,
}

#[derive(Serialize)]
struct FollowerStats {
    latency: LatencyStats,
    counts: FollowerCounts,
}

/// The latency of messages to a follower, in milliseconds.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LatencyStats {
    current: f64,
    average: f64,
    standard_deviation: f64,
    minimum: f64,
    maximum: f64,
}

#[derive(Serialize)]
struct FollowerCounts {
    fail: u64,
    success: u64,
}

/// The statistics of this member.
pub(super) fn own(pages: &Pages) -> Reply {
    let (status, led_for, leader) = {
        let view = pages.handle.applied();
        let led_for = view
            .origin
            .elapsed()
            .saturating_sub(view.raft_status.led_since);
        let leader = view
            .raft_status
            .leader
            .and_then(|id| member_by_id(&view, id));
        (view.raft_status, led_for, leader)
    };
    let led_since = Timestamp::now()
        .checked_sub(led_for)
        .unwrap_or(pages.member.started);
    let reading = pages.member.traffic.read(Instant::now());
    let (received, sent) = (reading.received, reading.sent);
    reply::json(json::encode(&SelfStats {
        name: &pages.member.name,
        state: state(status.role),
        start_time: pages.member.started,
        leader_info: LeaderStatus {
            leader: leader.map(|member| member.name).unwrap_or_default(),
            uptime: format_duration(led_for),
            start_time: led_since,
        },
        recv_append_request_cnt: received.count,
        recv_pkg_rate: rate(received.package_rate),
        recv_bandwidth_rate: rate(received.byte_rate),
        send_append_request_cnt: sent.count,
        send_pkg_rate: rate(sent.package_rate),
        send_bandwidth_rate: rate(sent.byte_rate),
    }))
}

/// The statistics of this member's store.
pub(super) fn store(pages: &Pages) -> Reply {
    let counts = pages.handle.applied().store.counters();
    reply::json(json::encode(&StoreStats {
        gets_success: counts.gets_success,
        gets_fail: counts.gets_fail,
        sets_success: counts.sets_success,
        sets_fail: counts.sets_fail,
        delete_success: counts.delete_success,
        delete_fail: counts.delete_fail,
        update_success: counts.update_success,
        update_fail: counts.update_fail,
        create_success: counts.create_success,
        create_fail: counts.create_fail,
        compare_and_swap_success: counts.compare_and_swap_success,
        compare_and_swap_fail: counts.compare_and_swap_fail,
        compare_and_delete_success: counts.compare_and_delete_success,
        compare_and_delete_fail: counts.compare_and_delete_fail,
        expire_count: counts.expire_count,
        watchers: pages.watchers.load(Ordering::Relaxed),
    }))
}

/// The statistics of the followers; a member that is not the leader redirects to it.
pub(super) fn leader(pages: &Pages, uri: &Uri) -> Reply {
    let (leads, leader, members, index) = {
        let view = pages.handle.applied();
        let leader = view
            .raft_status
            .leader
            .and_then(|id| member_by_id(&view, id));
        let members: Vec<_> = view.store.members().cloned().collect();
        (
            view.raft_status.role == Role::Leader,
            leader,
            members,
            view.store.index(),
        )
    };
    if !leads {
        let redirect =
            leader.and_then(|leader| reply::redirect(&with_path(&leader.client_url, uri)));
        return redirect.unwrap_or_else(|| reply::leaderless(index));
    }
    let reading = pages.member.traffic.read(Instant::now());
    let followers = members.iter().filter_map(|member| {
        let follower = reading.followers.get(&member.id)?;
        Some((member.name.as_str(), follower_stats(follower)))
    });
    reply::json(json::encode(&LeaderStats {
        leader: &pages.member.name,
        followers: followers.collect(),
    }))
}

fn follower_stats(follower: &Follower) -> FollowerStats {
    let latency = follower.latency;
    FollowerStats {
        latency: LatencyStats {
            current: finite(latency.current),
            average: finite(latency.average),
            standard_deviation: finite(latency.standard_deviation),
            minimum: finite(latency.minimum),
            maximum: finite(latency.maximum),
        },
        counts: FollowerCounts {
            fail: follower.fail,
            success: follower.success,
        },
    }
}

/// A rate, left out if it is zero.
fn rate(rate: f64) -> Option<f64> {
    (rate != 0.0).then(|| finite(rate))
}

/// Replace infinities and NaN, which JSON cannot represent, by 0.
fn finite(number: f64) -> f64 {
    if number.is_finite() { number } else { 0.0 }
}

fn state(role: Role) -> &'static str {
    match role {
        Role::Leader => "leader",
        Role::Follower => "follower",
        Role::Candidate => "candidate",
    }
}

/// Format a duration as Go does: `1h2m3.5s`, `24.6ms`.
fn format_duration(duration: Duration) -> String {
    let nanos = duration.subsec_nanos();
    if duration.is_zero() {
        return "0s".to_owned();
    }
    if duration.as_secs() == 0 {
        return match nanos {
            0..1_000 => format!("{nanos}ns"),
            1_000..1_000_000 => format_fraction(nanos.into(), 3, "µs"),
            _ => format_fraction(nanos.into(), 6, "ms"),
        };
    }
    let (hours, minutes) = (duration.as_secs() / 3600, duration.as_secs() / 60 % 60);
    let seconds = duration.as_secs() % 60 * 1_000_000_000 + u64::from(nanos);
    let seconds = format_fraction(seconds, 9, "s");
    match (hours, minutes) {
        (0, 0) => seconds,
        (0, _) => format!("{minutes}m{seconds}"),
        _ => format!("{hours}h{minutes}m{seconds}"),
    }
}

/// Format nanoseconds in a unit of 10^`digits` nanoseconds, without trailing zeros.
fn format_fraction(nanos: u64, digits: usize, unit: &str) -> String {
    let text = format!("{nanos:0>width$}", width = digits + 1);
    let (whole, fraction) = text.split_at(text.len() - digits);
    match fraction.trim_end_matches('0') {
        "" => format!("{whole}{unit}"),
        fraction => format!("{whole}.{fraction}{unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_formatted_as_in_go() {
        for (nanos, text) in [
            (0, "0s"),
            (999, "999ns"),
            (1_500, "1.5µs"),
            (24_600_000, "24.6ms"),
            (1_000_000_000, "1s"),
            (78_544_996_775, "1m18.544996775s"),
            (3_600_000_000_000, "1h0m0s"),
            (90_061_001_000_000, "25h1m1.001s"),
        ] {
            assert_eq!(format_duration(Duration::from_nanos(nanos)), text);
        }
    }
}
