//! Logging: to stderr, or to the journal with each field of an event.
//!
//! An event is one line: its message, then its fields as `name=value`.

use std::fmt;
use std::io::IsTerminal;
use std::os::linux::fs::MetadataExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::field::{Field, Value, Visit, display};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::Verbosity;
use crate::host::systemd;

/// The name of the message among the fields of an event.
const MESSAGE: &str = "message";

/// Maximum number of fields of an event that the journal gets as fields; the message has all of them.
const JOURNAL_FIELDS_MAX: usize = 16;

/// The logging of this process.
#[derive(Clone)]
pub struct Logging {
    level: reload::Handle<LevelFilter, Registry>,
    starting: Arc<AtomicBool>,
}

impl Logging {
    /// Start logging; only the first call in a process has an effect.
    ///
    /// If stderr is connected to the journal, events are sent to the journal, with each field as `ETCD_*`. If the
    /// journal does not accept them, they are written to stderr with their priority as a prefix.
    pub fn start(verbosity: Verbosity) -> Self {
        let (level, handle) = reload::Layer::new(level(verbosity));
        let starting = Arc::new(AtomicBool::new(false));
        let status = StartupStatus(starting.clone());
        let subscriber = Registry::default().with(level).with(status);
        // In a test, a second call has no effect.
        let _ = match (is_connected_to_journal(), journal()) {
            (true, Some(journal)) => subscriber.with(journal).try_init(),
            (true, None) => subscriber
                .with(
                    tracing_subscriber::fmt::layer()
                        .fmt_fields(LineFields)
                        .event_format(Prefixed)
                        .with_writer(std::io::stderr),
                )
                .try_init(),
            (false, _) => subscriber
                .with(
                    tracing_subscriber::fmt::layer()
                        .fmt_fields(LineFields)
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

    /// Change the lowest level that is logged.
    pub fn set_verbosity(&self, verbosity: Verbosity) {
        // This fails only without a subscriber.
        let _ = self.level.reload(level(verbosity));
    }

    /// While `starting`, the last event is also the status of the service.
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

/// The journal's native protocol; none if its socket is not there.
fn journal() -> Option<FieldsInMessage<tracing_journald::Layer>> {
    let layer = tracing_journald::layer().ok()?;
    let layer = layer.with_field_prefix(Some(String::from("ETCD")));
    let layer = layer.with_priority_mappings(PriorityMappings {
        error: Priority::Error,
        warn: Priority::Warning,
        info: Priority::Informational,
        debug: Priority::Debug,
        trace: Priority::Debug,
    });
    Some(FieldsInMessage(layer))
}

/// Whether stderr is connected to the journal: systemd sets `JOURNAL_STREAM` to its `DEVICE:INODE`.
fn is_connected_to_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else {
        return false;
    };
    let Ok(stderr) = std::fs::metadata("/proc/self/fd/2") else {
        return false;
    };
    stream == format!("{}:{}", stderr.st_dev(), stderr.st_ino())
}

/// Passes events on with their fields in the message too, for readers of `journalctl` without `-o`.
struct FieldsInMessage<L>(L);

impl<S, L> Layer<S> for FieldsInMessage<L>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    L: Layer<S>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        self.0.on_new_span(attributes, id, context);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        self.0.on_record(id, values, context);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let metadata = event.metadata();
        let Some(message) = metadata.fields().field(MESSAGE) else {
            return self.0.on_event(event, context);
        };
        let line = Line::from_event(event);
        let text = display(line.to_string());
        let fields: Vec<_> = line
            .fields
            .iter()
            .map(|(field, value)| (field, display(value)))
            .collect();
        // An event has its fields in an array: the unused ones are empty.
        let mut values: [(&Field, Option<&dyn Value>); JOURNAL_FIELDS_MAX + 1] =
            [(&message, None); JOURNAL_FIELDS_MAX + 1];
        values[0] = (&message, Some(&text));
        for (slot, (field, value)) in values[1..].iter_mut().zip(&fields) {
            *slot = (field, Some(value));
        }
        let values = metadata.fields().value_set(&values);
        self.0.on_event(&Event::new(metadata, &values), context);
    }
}

/// An event as text.
#[derive(Default)]
struct Line {
    message: String,
    fields: Vec<(Field, String)>,
}

impl Line {
    fn from_event(event: &Event<'_>) -> Self {
        let mut line = Self::default();
        event.record(&mut line);
        line
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            MESSAGE => value.clone_into(&mut self.message),
            _ => self.fields.push((field.clone(), value.to_owned())),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

impl fmt::Display for Line {
    /// The message, then the fields; a value with white space is quoted.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        for (field, value) in &self.fields {
            let separator = if self.message.is_empty() { "" } else { " " };
            write!(f, "{separator}{}=", field.name())?;
            match value.is_empty() || value.contains(char::is_whitespace) {
                true => write!(f, "{value:?}")?,
                false => f.write_str(value)?,
            }
        }
        Ok(())
    }
}

/// Formats the message and the fields of an event as a [`Line`].
struct LineFields;

impl<'writer> FormatFields<'writer> for LineFields {
    fn format_fields<R: RecordFields>(
        &self,
        mut writer: Writer<'writer>,
        fields: R,
    ) -> fmt::Result {
        let mut line = Line::default();
        fields.record(&mut line);
        write!(writer, "{line}")
    }
}

/// Formats events with their priority as a prefix, as in sd-daemon(3).
struct Prefixed;

impl<S> FormatEvent<S, LineFields> for Prefixed
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, LineFields>,
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

/// Sets the last event as the status of the service, during startup.
struct StartupStatus(Arc<AtomicBool>);

impl<S: Subscriber> Layer<S> for StartupStatus {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if self.0.load(Ordering::Relaxed) && *event.metadata().level() <= Level::INFO {
            systemd::status(&Line::from_event(event).to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Stores the line of each event, and the names of its fields.
    struct Recorder(Arc<Mutex<Vec<Recorded>>>);

    /// The line of an event, and the names of its fields.
    type Recorded = (String, Vec<String>);

    impl<S: Subscriber> Layer<S> for Recorder {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let line = Line::from_event(event);
            let names = line.fields.iter().map(|(field, _)| field.name().to_owned());
            let recorded = (line.message.clone(), names.collect());
            self.0.lock().expect("a lock").push(recorded);
        }
    }

    #[test]
    fn the_journal_gets_fields_in_the_message_and_as_fields() {
        let recorded = Arc::new(Mutex::new(Vec::new()));
        let layer = FieldsInMessage(Recorder(recorded.clone()));
        let subscriber = Registry::default().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(voters = 3, name = "m 1", url = %"http://a:1", "configuration {}", "changed");
            tracing::info!("stopped");
        });
        let recorded = recorded.lock().expect("a lock").clone();
        let names = ["voters", "name", "url"].map(String::from).to_vec();
        let line = "configuration changed voters=3 name=\"m 1\" url=http://a:1";
        assert_eq!(
            recorded,
            [
                (String::from(line), names),
                (String::from("stopped"), Vec::new())
            ]
        );
    }
}
