//! The cluster's settings, and their JSON in the tree and on the administration page.

use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value};

/// The smallest active size.
pub const ACTIVE_SIZE_MIN: u64 = 3;

/// The shortest remove delay, in seconds.
pub const REMOVE_DELAY_MIN: f64 = 2.0;

/// The shortest sync interval, in seconds.
pub const SYNC_INTERVAL_MIN: f64 = 1.0;

/// Numbers from this one on are written with an exponent, as by Go's JSON encoder.
const PLAIN_MAX: f64 = 1e21;

/// The cluster's settings. Values below a minimum are raised to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    active_size: u64,
    /// In seconds, finite, as it was set.
    remove_delay: f64,
    /// In seconds, finite, as it was set.
    sync_interval: f64,
}

/// All numbers are finite.
impl Eq for Settings {}

impl Default for Settings {
    /// The defaults of 0.4.6: 9 members, half an hour, 5 seconds.
    fn default() -> Self {
        Self {
            active_size: 9,
            remove_delay: 1_800.0,
            sync_interval: 5.0,
        }
    }
}

/// Why a change of the settings is not valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvalidSettings {
    /// The text is not JSON, and why.
    NotJson(String),
    /// It is another JSON value than an object.
    NotAnObject,
    /// A field is not a finite number.
    NotANumber {
        /// The field.
        field: &'static str,
        /// Its value.
        value: String,
    },
}

impl fmt::Display for InvalidSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson(error) => write!(f, "the settings are not valid JSON: {error}"),
            Self::NotAnObject => f.write_str("the settings must be a JSON object"),
            Self::NotANumber { field, value } => write!(f, "{field} must be a number, not {value}"),
        }
    }
}

impl std::error::Error for InvalidSettings {}

impl Settings {
    /// Settings from these values, each raised to its minimum.
    pub fn new(active_size: u64, remove_delay: Duration, sync_interval: Duration) -> Self {
        Self {
            active_size: active_size.max(ACTIVE_SIZE_MIN),
            remove_delay: remove_delay.as_secs_f64().max(REMOVE_DELAY_MIN),
            sync_interval: sync_interval.as_secs_f64().max(SYNC_INTERVAL_MIN),
        }
    }

    /// The number of members that the cluster is to have; further ones become standbys.
    pub fn active_size(&self) -> u64 {
        self.active_size
    }

    /// The silence after which a member is removed.
    pub fn remove_delay(&self) -> Duration {
        to_duration(self.remove_delay)
    }

    /// The time between two requests of a standby for the member list.
    pub fn sync_interval(&self) -> Duration {
        to_duration(self.sync_interval)
    }

    /// These settings with another active size.
    #[must_use]
    pub fn with_active_size(mut self, active_size: u64) -> Self {
        self.active_size = active_size.max(ACTIVE_SIZE_MIN);
        self
    }

    /// Parse what the tree holds. Settings that cannot be parsed are the defaults, so that the cluster goes on.
    pub fn parse(text: &[u8]) -> Self {
        Self::default().with_changes(text).unwrap_or_default()
    }

    /// These settings with the changes that a JSON object names. Other fields and `null` change nothing; a fraction of
    /// `activeSize` is cut off.
    ///
    /// # Errors
    ///
    /// - [`InvalidSettings::NotJson`]: the text is not JSON.
    /// - [`InvalidSettings::NotAnObject`]: it is another JSON value than an object or `null`.
    /// - [`InvalidSettings::NotANumber`]: a field is not a finite number.
    pub fn with_changes(&self, text: &[u8]) -> Result<Self, InvalidSettings> {
        let value: Value = serde_json::from_slice(text)
            .map_err(|error| InvalidSettings::NotJson(error.to_string()))?;
        let fields = match value {
            Value::Object(fields) => fields,
            Value::Null => Map::new(),
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                return Err(InvalidSettings::NotAnObject);
            }
        };
        let mut settings = *self;
        if let Some(number) = number_in(&fields, "activeSize")? {
            settings.active_size = truncate(number).max(ACTIVE_SIZE_MIN);
        }
        if let Some(seconds) = number_in(&fields, "removeDelay")? {
            settings.remove_delay = seconds.max(REMOVE_DELAY_MIN);
        }
        if let Some(seconds) = number_in(&fields, "syncInterval")? {
            settings.sync_interval = seconds.max(SYNC_INTERVAL_MIN);
        }
        Ok(settings)
    }
}

/// The JSON without a newline, byte for byte as 0.4.6 writes it.
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

/// A number of at least one, as Go's JSON encoder writes it.
struct Number(f64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < PLAIN_MAX {
            return write!(f, "{}", self.0);
        }
        // Go writes the sign of a positive exponent.
        f.write_str(&format!("{:e}", self.0).replace('e', "e+"))
    }
}

fn number_in(
    fields: &Map<String, Value>,
    name: &'static str,
) -> Result<Option<f64>, InvalidSettings> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_f64().filter(|number| number.is_finite()) {
            Some(number) => Ok(Some(number)),
            None => Err(InvalidSettings::NotANumber {
                field: name,
                value: value.to_string(),
            }),
        },
    }
}

/// The whole part, or the nearest number that fits.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the fraction is to be cut off, and `as` saturates"
)]
fn truncate(number: f64) -> u64 {
    number as u64
}

fn to_duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(text: &str) -> Result<String, InvalidSettings> {
        let settings = Settings::default().with_changes(text.as_bytes())?;
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
    fn invalid_settings_are_refused() {
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
    fn times_that_do_not_fit_are_the_longest() {
        let settings = Settings::parse(b"{\"removeDelay\":1e300,\"syncInterval\":1.5}");
        assert_eq!(settings.remove_delay(), Duration::MAX);
        assert_eq!(settings.sync_interval(), Duration::from_millis(1_500));
        let huge = Settings::parse(b"{\"activeSize\":1e300}");
        assert_eq!(huge.active_size(), u64::MAX);
    }
}
