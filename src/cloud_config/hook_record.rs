//! The record of the hooks that earlier runs wrote, compared with the files on the host; pure.
//!
//! A hook that is removed from the document is also removed from the host, but only if an earlier run wrote
//! it and its file has not been changed since. So each run records what it wrote: a JSON array of name and
//! content on each line. Hooks persist across boots, and so does the record.

use std::collections::BTreeMap;

/// The file of one hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookFile {
    /// The name of the hook: letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// The content of its file, YAML.
    pub content: String,
}

/// The hooks of a host before the run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostHooks {
    /// The contents that earlier runs wrote, by name.
    pub recorded: BTreeMap<String, String>,
    /// The contents of the files, by name; `None` for what is not a regular file or not text.
    pub files: BTreeMap<String, Option<String>>,
}

impl HostHooks {
    /// Whether the file of a hook has the content that an earlier run wrote.
    pub fn is_unchanged(&self, name: &str) -> bool {
        let file = self.files.get(name).and_then(Option::as_ref);
        file.is_some() && file == self.recorded.get(name)
    }
}

/// The text of a record of these hooks.
pub fn to_text<'h>(hooks: impl IntoIterator<Item = &'h HookFile>) -> String {
    let line = |hook: &HookFile| format!("{}\n", serde_json::json!([hook.name, hook.content]));
    hooks.into_iter().map(line).collect()
}

/// The hooks in the text of a record, by name. Lines of another form are skipped.
pub fn parse(text: &str) -> BTreeMap<String, String> {
    let hook = |line| serde_json::from_str::<(String, String)>(line).ok();
    text.lines().filter_map(hook).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_back_and_a_changed_file_is_noticed() {
        let hook = |name: &str, content: &str| HookFile {
            name: String::from(name),
            content: String::from(content),
        };
        let text = to_text(&[hook("a", "key: \"x\"\n"), hook("b", "key: y\n")]);
        let hooks = HostHooks {
            recorded: parse(&format!("{text}not JSON\n[1, 2]\n")),
            files: BTreeMap::from([
                (String::from("a"), Some(String::from("key: \"x\"\n"))),
                (String::from("b"), Some(String::from("key: z\n"))),
                (String::from("c"), None),
            ]),
        };
        assert_eq!(hooks.recorded.len(), 2);
        let unchanged = ["a", "b", "c", "d"].map(|name| hooks.is_unchanged(name));
        assert_eq!(unchanged, [true, false, false, false]);
    }
}
