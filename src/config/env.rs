//! The environment: `ETCD_*` variables and the host's name.

use std::ffi::OsString;

use super::Error;
use super::layer::{Layer, Source};
use super::options::OPTIONS;

/// What the variables say; `lookup` gives the value of one. A blank one says nothing, as in 0.4.
///
/// # Errors
///
/// A value that is no text.
pub fn read(lookup: impl Fn(&str) -> Option<OsString>) -> Result<Layer, Error> {
    let mut layer = Layer::default();
    for option in &OPTIONS {
        for variable in option.variables.iter().rev() {
            let Some(text) = lookup(variable) else {
                continue;
            };
            let source = Source::Variable(String::from(*variable));
            let Ok(text) = text.into_string() else {
                return Err(Error::NotText(source));
            };
            let text = text.trim();
            if !text.is_empty() {
                layer.set(option.key, source, String::from(text));
            }
        }
    }
    Ok(layer)
}

/// The name of this host, if it has one.
pub fn hostname() -> Option<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .or_else(|_| std::fs::read_to_string("/etc/hostname"))
        .ok()?;
    let name = text.trim();
    (!name.is_empty() && name != "(none)").then(|| String::from(name))
}
