//! `/v2/stats`: what this member, its store and its followers have been doing.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::{BufMut, BytesMut};
use hyper::Uri;
use jiff::Timestamp;

use super::about::{member_by_id, with_path};
use super::reply::{self, Reply};
use super::{Pages, json};
use crate::consensus::Role;
use crate::transport::stats::{Follower, Traffic};

/// This member's own statistics.
pub(super) fn own(pages: &Pages) -> Reply {
    let (standing, led_for, leader) = {
        let view = pages.handle.applied();
        let led_for = view
            .origin
            .elapsed()
            .saturating_sub(view.raft_status.led_since);
        (
            view.raft_status,
            led_for,
            view.raft_status
                .leader
                .and_then(|id| member_by_id(&view, id)),
        )
    };
    let led_since = Timestamp::now()
        .checked_sub(led_for)
        .unwrap_or(pages.facts.started);
    let reading = pages.facts.traffic.read(Instant::now());
    let mut out = BytesMut::with_capacity(512);
    field(&mut out, "{\"name\":", |out| {
        json::string(out, pages.facts.name.as_bytes())
    });
    field(&mut out, ",\"state\":", |out| {
        json::string(out, state(standing.role).as_bytes())
    });
    field(&mut out, ",\"startTime\":", |out| {
        reply::time(out, pages.facts.started)
    });
    let leader = leader.map(|member| member.name).unwrap_or_default();
    field(&mut out, ",\"leaderInfo\":{\"leader\":", |out| {
        json::string(out, leader.as_bytes())
    });
    field(&mut out, ",\"uptime\":", |out| {
        json::string(out, duration(led_for).as_bytes())
    });
    field(&mut out, ",\"startTime\":", |out| {
        reply::time(out, led_since)
    });
    field(&mut out, "},\"recvAppendRequestCnt\":", |out| {
        json::integer(out, reading.received.count)
    });
    rates(
        &mut out,
        ["recvPkgRate", "recvBandwidthRate"],
        reading.received,
    );
    field(&mut out, ",\"sendAppendRequestCnt\":", |out| {
        json::integer(out, reading.sent.count)
    });
    rates(&mut out, ["sendPkgRate", "sendBandwidthRate"], reading.sent);
    out.put_u8(b'}');
    reply::json(out.freeze())
}

/// How often what was done to this member's store.
pub(super) fn store(pages: &Pages) -> Reply {
    let counts = pages.handle.applied().store.counters();
    let fields = [
        ("getsSuccess", counts.gets_success),
        ("getsFail", counts.gets_fail),
        ("setsSuccess", counts.sets_success),
        ("setsFail", counts.sets_fail),
        ("deleteSuccess", counts.delete_success),
        ("deleteFail", counts.delete_fail),
        ("updateSuccess", counts.update_success),
        ("updateFail", counts.update_fail),
        ("createSuccess", counts.create_success),
        ("createFail", counts.create_fail),
        ("compareAndSwapSuccess", counts.compare_and_swap_success),
        ("compareAndSwapFail", counts.compare_and_swap_fail),
        ("compareAndDeleteSuccess", counts.compare_and_delete_success),
        ("compareAndDeleteFail", counts.compare_and_delete_fail),
        ("expireCount", counts.expire_count),
        ("watchers", pages.watchers.load(Ordering::Relaxed)),
    ];
    let mut out = BytesMut::with_capacity(512);
    for (place, (name, count)) in fields.into_iter().enumerate() {
        out.put_u8(if place == 0 { b'{' } else { b',' });
        json::string(&mut out, name.as_bytes());
        out.put_u8(b':');
        json::integer(&mut out, count);
    }
    out.put_u8(b'}');
    reply::json(out.freeze())
}

/// How the followers answer, at the leader; elsewhere, where the leader is.
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
        let elsewhere =
            leader.and_then(|leader| reply::redirect(&with_path(&leader.client_url, uri)));
        return elsewhere.unwrap_or_else(|| reply::leaderless(index));
    }
    let reading = pages.facts.traffic.read(Instant::now());
    let followers: BTreeMap<_, _> = members
        .iter()
        .filter_map(|member| Some((&member.name, *reading.followers.get(&member.id)?)))
        .collect();
    let mut out = BytesMut::with_capacity(512);
    field(&mut out, "{\"leader\":", |out| {
        json::string(out, pages.facts.name.as_bytes())
    });
    out.extend_from_slice(b",\"followers\":{");
    for (place, (name, numbers)) in followers.into_iter().enumerate() {
        if place > 0 {
            out.put_u8(b',');
        }
        json::string(&mut out, name.as_bytes());
        follower(&mut out, &numbers);
    }
    out.extend_from_slice(b"}}");
    reply::json(out.freeze())
}

fn follower(out: &mut BytesMut, follower: &Follower) {
    let latency = follower.latency;
    field(out, ":{\"latency\":{\"current\":", |out| {
        json::number(out, latency.current)
    });
    field(out, ",\"average\":", |out| {
        json::number(out, latency.average)
    });
    field(out, ",\"standardDeviation\":", |out| {
        json::number(out, latency.standard_deviation)
    });
    field(out, ",\"minimum\":", |out| {
        json::number(out, latency.minimum)
    });
    field(out, ",\"maximum\":", |out| {
        json::number(out, latency.maximum)
    });
    field(out, "},\"counts\":{\"fail\":", |out| {
        json::integer(out, follower.fail)
    });
    field(out, ",\"success\":", |out| {
        json::integer(out, follower.success)
    });
    out.extend_from_slice(b"}}");
}

/// Rates are left out when they are zero.
fn rates(out: &mut BytesMut, names: [&str; 2], traffic: Traffic) {
    for (name, rate) in names
        .into_iter()
        .zip([traffic.package_rate, traffic.byte_rate])
    {
        if rate != 0.0 {
            field(out, &format!(",\"{name}\":"), |out| json::number(out, rate));
        }
    }
}

fn field(out: &mut BytesMut, name: &str, value: impl FnOnce(&mut BytesMut)) {
    out.extend_from_slice(name.as_bytes());
    value(out);
}

fn state(role: Role) -> &'static str {
    match role {
        Role::Leader => "leader",
        Role::Follower => "follower",
        Role::Candidate => "candidate",
    }
}

/// A duration as Go prints one: `1h2m3.5s`, `24.6ms`.
fn duration(duration: Duration) -> String {
    let nanos = duration.subsec_nanos();
    if duration.is_zero() {
        return "0s".to_owned();
    }
    if duration.as_secs() == 0 {
        return match nanos {
            0..1_000 => format!("{nanos}ns"),
            1_000..1_000_000 => fraction(nanos.into(), 3, "µs"),
            _ => fraction(nanos.into(), 6, "ms"),
        };
    }
    let (hours, minutes) = (duration.as_secs() / 3600, duration.as_secs() / 60 % 60);
    let seconds = duration.as_secs() % 60 * 1_000_000_000 + u64::from(nanos);
    let seconds = fraction(seconds, 9, "s");
    match (hours, minutes) {
        (0, 0) => seconds,
        (0, _) => format!("{minutes}m{seconds}"),
        _ => format!("{hours}h{minutes}m{seconds}"),
    }
}

/// A number of nanoseconds in a unit of 10^`digits` of them, without trailing zeros.
fn fraction(nanos: u64, digits: usize, unit: &str) -> String {
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
    fn durations_look_like_gos() {
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
            assert_eq!(duration(Duration::from_nanos(nanos)), text);
        }
    }
}
