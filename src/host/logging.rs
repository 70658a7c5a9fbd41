//! Where lines for people go: to stderr, one an event, or to the journal with all their fields.

use std::fmt;
use std::io::IsTerminal;
use std::os::linux::fs::MetadataExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::fmt::format::{DefaultFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::Verbosity;
use crate::host::systemd;

/// The lines that are written, from now on.
#[derive(Clone)]
pub struct Journal {
    level: reload::Handle<LevelFilter, Registry>,
    starting: Arc<AtomicBool>,
}

impl Journal {
    /// Write lines from now on; the first call in a process counts.
    ///
    /// They go to the journal itself where stderr leads there, with each field an `ETCD_*` one. If the
    /// journal does not take them, they go through stderr with their priority in front.
    pub fn start(verbosity: Verbosity) -> Self {
        let (level, handle) = reload::Layer::new(level(verbosity));
        let starting = Arc::new(AtomicBool::new(false));
        let progress = Progress(starting.clone());
        let lines = Registry::default().with(level).with(progress);
        // A second call, in a test, leaves the first one's in place.
        let _ = match (leads_to_journal(), native()) {
            (true, Some(native)) => lines.with(native).try_init(),
            (true, None) => lines
                .with(
                    tracing_subscriber::fmt::layer()
                        .event_format(Prefixed)
                        .with_writer(std::io::stderr),
                )
                .try_init(),
            (false, _) => lines
                .with(
                    tracing_subscriber::fmt::layer()
                        .with_writer(std::io::stderr)
                        .with_ansi(std::io::stderr().is_terminal())
                        .with_target(false),
                )
                .try_init(),
        };
        Self {
            level: handle,
            starting,
        }
    }

    /// Say more, or less.
    pub fn set_verbosity(&self, verbosity: Verbosity) {
        // Only a subscriber that is gone cannot be changed.
        let _ = self.level.reload(level(verbosity));
    }

    /// While it starts, what it says is also what `systemctl status` shows of it.
    pub fn set_starting(&self, starting: bool) {
        self.starting.store(starting, Ordering::Relaxed);
    }
}

fn level(verbosity: Verbosity) -> LevelFilter {
    match verbosity {
        Verbosity::Normal => LevelFilter::INFO,
        Verbosity::Verbose => LevelFilter::DEBUG,
        Verbosity::VeryVerbose => LevelFilter::TRACE,
    }
}

/// The journal's own way in.
fn native() -> Option<tracing_journald::Layer> {
    let layer = tracing_journald::layer().ok()?;
    let layer = layer.with_field_prefix(Some(String::from("ETCD")));
    Some(layer.with_priority_mappings(PriorityMappings {
        error: Priority::Error,
        warn: Priority::Warning,
        info: Priority::Informational,
        debug: Priority::Debug,
        trace: Priority::Debug,
    }))
}

/// Whether stderr leads to the journal: systemd says which file that would be, as `DEVICE:INODE`.
fn leads_to_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else {
        return false;
    };
    let Ok(stderr) = std::fs::metadata("/proc/self/fd/2") else {
        return false;
    };
    stream == format!("{}:{}", stderr.st_dev(), stderr.st_ino())
}

/// Lines with their priority in front, as sd-daemon(3) has them.
struct Prefixed;

impl<S> FormatEvent<S, DefaultFields> for Prefixed
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, DefaultFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let priority = match *event.metadata().level() {
            Level::ERROR => 3,
            Level::WARN => 4,
            Level::INFO => 6,
            Level::DEBUG | Level::TRACE => 7,
        };
        write!(writer, "<{priority}>")?;
        context.format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}

/// Shows the last line as the service's status, while it is wanted.
struct Progress(Arc<AtomicBool>);

impl<S: Subscriber> Layer<S> for Progress {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if self.0.load(Ordering::Relaxed) && *event.metadata().level() <= Level::INFO {
            let mut message = Message(String::new());
            event.record(&mut message);
            systemd::status(&message.0);
        }
    }
}

/// An event's message, without its fields.
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}
