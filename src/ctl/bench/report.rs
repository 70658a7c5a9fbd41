//! The report, as text and as JSON.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use serde::Serialize;

use super::outcome::Outcome;
use super::{Limit, Plan};

/// The percentiles that are shown.
const PERCENTILES: [(&str, f64); 4] =
    [("p50", 50.0), ("p90", 90.0), ("p99", 99.0), ("p99.9", 99.9)];

/// The width of the longest bar, in columns.
const BAR: u64 = 40;

#[derive(Serialize)]
struct Report<'a> {
    server: &'a str,
    workload: &'a str,
    clients: usize,
    rate: Option<f64>,
    value_size: usize,
    keys: u64,
    seconds: f64,
    requests: u64,
    failed: u64,
    failures: &'a std::collections::BTreeMap<String, u64>,
    per_second: f64,
    latency_ms: Latency,
    histogram: Vec<Row>,
}

#[derive(Serialize)]
struct Latency {
    mean: f64,
    p50: f64,
    p90: f64,
    p99: f64,
    #[serde(rename = "p99.9")]
    p999: f64,
    max: f64,
}

#[derive(Serialize)]
struct Row {
    up_to_ms: f64,
    count: u64,
}

/// Print the report as text.
pub(super) fn print_text(plan: &Plan, server: &str, outcome: &Outcome) {
    print(&text(plan, server, outcome));
}

/// Print the report as one JSON object on one line.
pub(super) fn print_json(plan: &Plan, server: &str, outcome: &Outcome) {
    print(&json(plan, server, outcome));
}

fn print(text: &str) {
    let mut stdout = std::io::stdout();
    // Fails only if stdout is closed.
    let _ = stdout.write_all(text.as_bytes());
    let _ = stdout.flush();
}

fn text(plan: &Plan, server: &str, outcome: &Outcome) -> String {
    let failed: u64 = outcome.failures.values().sum();
    let pace = match plan.rate {
        Some(rate) => format!("{rate} requests/s"),
        None => String::from("closed loop"),
    };
    let limit = match plan.limit {
        Limit::Duration(duration) => format!("for {} s", duration.as_secs_f64()),
        Limit::Total(total) => format!("{total} requests"),
    };
    // Writing to a string cannot fail.
    let mut text = String::new();
    let _ = writeln!(text, "server      {server}");
    let _ = writeln!(
        text,
        "workload    {}, clients: {}, {pace}, {limit}; value size: {} bytes, keys: {}",
        plan.workload.name(),
        plan.clients,
        plan.value_size,
        plan.keys
    );
    let _ = writeln!(
        text,
        "succeeded   {} in {:.2} s: {:.1} requests/s; {failed} failed",
        outcome.count(),
        outcome.elapsed.as_secs_f64(),
        per_second(outcome)
    );
    for (failure, count) in &outcome.failures {
        let _ = writeln!(text, "  failed    {count}: {failure}");
    }
    let _ = write!(text, "latency     mean {}", format_duration(outcome.mean()));
    for (name, percent) in PERCENTILES {
        let _ = write!(
            text,
            "  {name} {}",
            format_duration(outcome.percentile(percent))
        );
    }
    let _ = writeln!(text, "  max {}", format_duration(outcome.max()));
    write_bars(&mut text, outcome);
    text
}

fn json(plan: &Plan, server: &str, outcome: &Outcome) -> String {
    let report = Report {
        server,
        workload: plan.workload.name(),
        clients: plan.clients,
        rate: plan.rate,
        value_size: plan.value_size,
        keys: plan.keys,
        seconds: outcome.elapsed.as_secs_f64(),
        requests: outcome.count(),
        failed: outcome.failures.values().sum(),
        failures: &outcome.failures,
        per_second: per_second(outcome),
        latency_ms: Latency {
            mean: ms(outcome.mean()),
            p50: ms(outcome.percentile(50.0)),
            p90: ms(outcome.percentile(90.0)),
            p99: ms(outcome.percentile(99.0)),
            p999: ms(outcome.percentile(99.9)),
            max: ms(outcome.max()),
        },
        histogram: rows(outcome)
            .into_iter()
            .map(|(bound, count)| Row {
                up_to_ms: ms(bound),
                count,
            })
            .collect(),
    };
    // Strings and numbers always have a JSON form.
    let mut text = serde_json::to_string(&report).unwrap_or_default();
    text.push('\n');
    text
}

fn write_bars(text: &mut String, outcome: &Outcome) {
    let rows = rows(outcome);
    let most = rows
        .iter()
        .map(|(_, count)| *count)
        .max()
        .unwrap_or(0)
        .max(1);
    for (bound, count) in rows {
        let length = usize::try_from((count * BAR).div_ceil(most)).unwrap_or(0);
        #[expect(clippy::cast_precision_loss, reason = "shown to two digits")]
        let percent = 100.0 * count as f64 / outcome.count().max(1) as f64;
        let bar = "#".repeat(length);
        let _ = writeln!(
            text,
            "  <= {:>9}  {percent:6.2} %  {bar}",
            format_duration(bound)
        );
    }
}

/// The bounds 1, 2, 5, 10 µs and so on from the first to the last with a count, with their counts.
fn rows(outcome: &Outcome) -> Vec<(Duration, u64)> {
    let mut bounds = Vec::new();
    let mut decade = Duration::from_micros(1);
    while decade < outcome.max() * 10 && bounds.len() < 60 {
        bounds.extend([decade, decade * 2, decade * 5]);
        decade *= 10;
    }
    let mut rows: Vec<(Duration, u64)> = bounds
        .iter()
        .copied()
        .zip(outcome.counts(&bounds))
        .skip_while(|(_, count)| *count == 0)
        .collect();
    while rows.last().is_some_and(|(_, count)| *count == 0) {
        rows.pop();
    }
    rows
}

fn per_second(outcome: &Outcome) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "shown to one digit")]
    let count = outcome.count() as f64;
    count / outcome.elapsed.as_secs_f64().max(1e-9)
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn format_duration(duration: Duration) -> String {
    let micros = duration.as_secs_f64() * 1e6;
    if micros < 1000.0 {
        format!("{micros:.0} us")
    } else if micros < 1e6 {
        format!("{:.2} ms", micros / 1e3)
    } else {
        format!("{:.2} s", micros / 1e6)
    }
}
