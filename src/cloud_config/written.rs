//! Which hooks earlier runs wrote, pure: the record of them, beside the files that are there.
//!
//! A hook that is taken out of the document is to go from the machine, too, but only if it came from here
//! and nobody has changed it since. So each run leaves a record of what it wrote, a JSON array of name and
//! content on each line. Hooks outlive a boot, and the record does.

use std::collections::BTreeMap;

use super::check::Hook;

/// Where hooks are.
pub const FOLDER: &str = "/etc/etcd/hooks.d";

/// How the name of a hook's file ends.
pub const ENDING: &str = ".yaml";

/// Where the record is.
pub const RECORD: &str = "/var/lib/etcd-cloudinit/hooks";

/// The hooks of a machine as it is found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hooks {
    /// What earlier runs wrote, by name.
    pub written: BTreeMap<String, String>,
    /// What the files say that are there, by name; none for what is no file or no text.
    pub there: BTreeMap<String, Option<String>>,
}

impl Hooks {
    /// Whether a hook's file says what an earlier run wrote.
    pub fn is_as_written(&self, name: &str) -> bool {
        let there = self.there.get(name).and_then(Option::as_ref);
        there.is_some() && there == self.written.get(name)
    }
}

/// Where a hook's file is.
pub fn path(name: &str) -> String {
    format!("{FOLDER}/{name}{ENDING}")
}

/// The text of a record.
pub fn record<'h>(hooks: impl IntoIterator<Item = &'h Hook>) -> String {
    let line = |hook: &Hook| format!("{}\n", serde_json::json!([hook.name, hook.content]));
    hooks.into_iter().map(line).collect()
}

/// What a record says. A line that is none of ours is left out.
pub fn recorded(text: &str) -> BTreeMap<String, String> {
    let hook = |line| serde_json::from_str::<(String, String)>(line).ok();
    text.lines().filter_map(hook).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_back_and_only_what_is_unchanged_is_ours() {
        let hook = |name: &str, content: &str| Hook {
            name: String::from(name),
            content: String::from(content),
        };
        let text = record(&[hook("a", "key: \"x\"\n"), hook("b", "key: y\n")]);
        let hooks = Hooks {
            written: recorded(&format!("{text}no JSON\n[1, 2]\n")),
            there: BTreeMap::from([
                (String::from("a"), Some(String::from("key: \"x\"\n"))),
                (String::from("b"), Some(String::from("key: z\n"))),
                (String::from("c"), None),
            ]),
        };
        assert_eq!(hooks.written.len(), 2);
        let ours = ["a", "b", "c", "d"].map(|name| hooks.is_as_written(name));
        assert_eq!(ours, [true, false, false, false]);
    }
}
