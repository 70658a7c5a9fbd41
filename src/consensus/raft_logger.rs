//! Passes the raft crate's log lines (`slog`) to `tracing`.

use std::fmt::Write;

use slog::{Drain, Level, Logger, OwnedKVList, Record, Serializer, o};
use tracing::{debug, error, trace, warn};

/// The logger for the raft crate. Its info lines are logged at debug level.
pub(super) fn logger() -> Logger {
    Logger::root(ToTracing, o!())
}

struct ToTracing;

impl Drain for ToTracing {
    type Ok = ();
    type Err = slog::Never;

    fn log(&self, record: &Record<'_>, _: &OwnedKVList) -> Result<(), slog::Never> {
        let enabled = match record.level() {
            Level::Critical | Level::Error => tracing::enabled!(tracing::Level::ERROR),
            Level::Warning => tracing::enabled!(tracing::Level::WARN),
            Level::Info | Level::Debug => tracing::enabled!(tracing::Level::DEBUG),
            Level::Trace => tracing::enabled!(tracing::Level::TRACE),
        };
        if !enabled {
            return Ok(());
        }
        let mut line = Line(record.msg().to_string());
        // A value that cannot be formatted is left out.
        let _ = slog::KV::serialize(&record.kv(), record, &mut line);
        let line = line.0;
        match record.level() {
            Level::Critical | Level::Error => error!("raft: {line}"),
            Level::Warning => warn!("raft: {line}"),
            Level::Info | Level::Debug => debug!("raft: {line}"),
            Level::Trace => trace!("raft: {line}"),
        }
        Ok(())
    }
}

struct Line(String);

impl Serializer for Line {
    fn emit_arguments(&mut self, key: slog::Key, value: &std::fmt::Arguments<'_>) -> slog::Result {
        Ok(write!(self.0, " {key}={value}")?)
    }
}
