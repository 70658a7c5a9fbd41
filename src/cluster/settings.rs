//! The cluster's settings, and the JSON that the tree and the administration page have them as.

use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value};

/// The fewest machines that may be wanted as members.
pub const ACTIVE_SIZE_MIN: u64 = 3;

/// The shortest time, in seconds, after which a silent member may lose its place.
pub const REMOVE_DELAY_MIN: f64 = 2.0;

/// The shortest time, in seconds, between two looks of a standby at the cluster.
pub const SYNC_INTERVAL_MIN: f64 = 1.0;

/// The largest number that is shown without an exponent, as Go's JSON has it.
const PLAIN_MAX: f64 = 1e21;

/// What the cluster as a whole is set to. Never below the minimums: smaller values are raised to them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    active_size: u64,
    /// In seconds, finite, as it was given.
    remove_delay: f64,
    /// In seconds, finite, as it was given.
    sync_interval: f64,
}

/// All of it is finite.
impl Eq for Settings {}

impl Default for Settings {
    /// As 0.4.6 has them before anyone changes them: 9 members, half an hour, 5 seconds.
    fn default() -> Self {
        Self {
            active_size: 9,
            remove_delay: 1_800.0,
            sync_interval: 5.0,
        }
    }
}

impl Settings {
    /// So many members; the times a member may be silent, and between two looks of a standby.
    pub fn new(active_size: u64, remove_delay: Duration, sync_interval: Duration) -> Self {
        Self {
            active_size: active_size.max(ACTIVE_SIZE_MIN),
            remove_delay: remove_delay.as_secs_f64().max(REMOVE_DELAY_MIN),
            sync_interval: sync_interval.as_secs_f64().max(SYNC_INTERVAL_MIN),
        }
    }

    /// How many members there are to be at the most.
    pub fn active_size(&self) -> u64 {
        self.active_size
    }

    /// How long a member may be silent before it loses its place.
    pub fn remove_delay(&self) -> Duration {
        duration(self.remove_delay)
    }

    /// How often a standby looks at the cluster.
    pub fn sync_interval(&self) -> Duration {
        duration(self.sync_interval)
    }

    /// These settings with so many members.
    #[must_use]
    pub fn with_active_size(mut self, active_size: u64) -> Self {
        self.active_size = active_size.max(ACTIVE_SIZE_MIN);
        self
    }

    /// What the tree holds, read back. What cannot be read is as by default: a cluster with odd settings
    /// is better than none.
    pub fn parse(text: &[u8]) -> Self {
        Self::default().changed(text).unwrap_or_default()
    }

    /// These settings as a JSON object changes them, field by field. Fields of other names and those that
    /// are `null` change nothing, as does `null` itself; a fraction of `activeSize` is cut off.
    ///
    /// # Errors
    ///
    /// A sentence: the text is no JSON object, or a field is no number.
    pub fn changed(&self, text: &[u8]) -> Result<Self, String> {
        let value: Value = serde_json::from_slice(text)
            .map_err(|error| format!("the settings are no JSON: {error}"))?;
        let fields = match value {
            Value::Object(fields) => fields,
            Value::Null => Map::new(),
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                return Err("the settings must be a JSON object".to_owned());
            }
        };
        let mut settings = *self;
        if let Some(number) = number(&fields, "activeSize")? {
            settings.active_size = whole(number).max(ACTIVE_SIZE_MIN);
        }
        if let Some(seconds) = number(&fields, "removeDelay")? {
            settings.remove_delay = seconds.max(REMOVE_DELAY_MIN);
        }
        if let Some(seconds) = number(&fields, "syncInterval")? {
            settings.sync_interval = seconds.max(SYNC_INTERVAL_MIN);
        }
        Ok(settings)
    }
}

/// The JSON, without a newline, byte for byte as 0.4.6 writes it.
impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{{\"activeSize\":{},\"removeDelay\":{},\"syncInterval\":{}}}",
            self.active_size,
            Number(self.remove_delay),
            Number(self.sync_interval)
        )
    }
}

/// A number of at least one, as Go's JSON writes it.
struct Number(f64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < PLAIN_MAX {
            return write!(f, "{}", self.0);
        }
        // Go signs an exponent that is not negative.
        f.write_str(&format!("{:e}", self.0).replace('e', "e+"))
    }
}

fn number(fields: &Map<String, Value>, name: &str) -> Result<Option<f64>, String> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_f64().filter(|number| number.is_finite()) {
            Some(number) => Ok(Some(number)),
            None => Err(format!("{name} must be a number, not {value}")),
        },
    }
}

/// The whole part; as near as can be if it is too small or too large.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "cutting off is what is asked for, and `as` goes to the nearest there is"
)]
fn whole(number: f64) -> u64 {
    number as u64
}

fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(text: &str) -> Result<String, String> {
        let settings = Settings::default().changed(text.as_bytes())?;
        assert_eq!(Settings::parse(settings.to_string().as_bytes()), settings);
        Ok(settings.to_string())
    }

    #[test]
    fn fields_change_one_by_one() {
        for (text, shown) in [
            ("{}", (9, "1800", "5")),
            ("null", (9, "1800", "5")),
            (" {\"foo\":1,\"ActiveSize\":4} ", (9, "1800", "5")),
            ("{\"activeSize\":null}", (9, "1800", "5")),
            ("{\"activeSize\":5.9}", (5, "1800", "5")),
            (
                "{\"activeSize\":0,\"removeDelay\":0.5,\"syncInterval\":-1}",
                (3, "2", "1"),
            ),
            (
                "{\"removeDelay\":99.5,\"syncInterval\":7.25}",
                (9, "99.5", "7.25"),
            ),
            (
                "{\"removeDelay\":1e3,\"activeSize\":0.5e1}",
                (5, "1000", "5"),
            ),
            ("{\"removeDelay\":1e21}", (9, "1e+21", "5")),
            ("{\"removeDelay\":1.5e300}", (9, "1.5e+300", "5")),
            ("{\"removeDelay\":123456789.125}", (9, "123456789.125", "5")),
        ] {
            let (size, delay, interval) = shown;
            let json = format!(
                "{{\"activeSize\":{size},\"removeDelay\":{delay},\"syncInterval\":{interval}}}"
            );
            assert_eq!(changed(text), Ok(json), "{text}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for text in [
            "",
            "{",
            "nonsense",
            "[]",
            "5",
            "\"x\"",
            "true",
            "{\"activeSize\":\"5\"}",
            "{\"activeSize\":true}",
            "{\"activeSize\":null,\"removeDelay\":[1]}",
            "{\"syncInterval\":{}}",
            "{\"removeDelay\":1e999}",
            "{\"activeSize\":6}{\"activeSize\":8}",
            "{\"activeSize\":7} trailing",
        ] {
            assert!(changed(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_too_long_to_measure_are_the_longest() {
        let settings = Settings::parse(b"{\"removeDelay\":1e300,\"syncInterval\":1.5}");
        assert_eq!(settings.remove_delay(), Duration::MAX);
        assert_eq!(settings.sync_interval(), Duration::from_millis(1_500));
        let huge = Settings::parse(b"{\"activeSize\":1e300}");
        assert_eq!(huge.active_size(), u64::MAX);
    }
}
