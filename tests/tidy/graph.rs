//! The module graph has no circle: neither between rooms (the folders of `src/`) nor inside one.
//!
//! The graph is read from the text: `use` lines, and paths that begin with `crate`, `super`, `self` or the
//! name of a child module. A name is followed through re-exports to the file that defines it. A file that
//! names what its own folder's `mod.rs` defines is no arrow: a parent declares its children, and `impl`
//! blocks of one type may be spread over them. Unit tests are left out.

use std::collections::{BTreeMap, BTreeSet};

use crate::report;
use crate::source::{Source, code, is_test, sources};

/// A path of names, such as `["store", "path", "Path"]`; the first is below the crate's root.
type Names = Vec<String>;

/// The files of `src/`, each a module, and what they name.
#[derive(Default)]
struct Modules {
    /// Per module its file.
    files: BTreeMap<Names, String>,
    /// Per module the names it imports, and the paths they stand for.
    imports: BTreeMap<Names, BTreeMap<String, Names>>,
    /// Per module the paths it names; re-exports are not among them.
    named: BTreeMap<Names, BTreeSet<Names>>,
}

/// An arrow of the graph, and the name that makes it.
type Arrows = BTreeMap<String, BTreeMap<String, String>>;

#[test]
fn the_module_graph_has_no_circle() {
    let modules = Modules::read(&sources("src"));
    let files = modules.arrows();
    assert!(files.len() > 100, "the modules were not found");
    let mut complaints = circles(&rooms(&files));
    complaints.extend(circles(&files));
    report(&complaints);
}

impl Modules {
    fn read(sources: &[Source]) -> Self {
        let mut modules = Self::default();
        let of_module = |source: &&Source| !is_test(&source.path) && !is_program(&source.path);
        let sources: Vec<_> = sources.iter().filter(of_module).collect();
        for source in &sources {
            let module = module_of(&source.path);
            modules.files.insert(module, source.path.clone());
        }
        for source in &sources {
            modules.read_names(source);
        }
        modules
    }

    /// Note what one file imports and names.
    fn read_names(&mut self, source: &Source) {
        let module = module_of(&source.path);
        let text: Vec<String> = code(&source.text)
            .into_iter()
            .map(|(_, line)| line)
            .collect();
        let (statements, rest) = split_uses(&text.join("\n"));
        let mut imports = BTreeMap::new();
        let mut named = BTreeSet::new();
        for (exported, tree) in statements {
            for (path, name) in expand(&tree) {
                let Some(path) = self.absolute(&module, &path) else {
                    continue;
                };
                if !exported {
                    named.insert(path.clone());
                }
                imports.insert(name, path);
            }
        }
        for path in paths(&rest) {
            let first_is_import = imports.contains_key(&path[0]);
            if !first_is_import && let Some(path) = self.absolute(&module, &path) {
                named.insert(path);
            }
        }
        self.imports.insert(module.clone(), imports);
        self.named.insert(module, named);
    }

    /// The path from the crate's root; none if it leads out of the crate.
    fn absolute(&self, module: &[String], path: &[String]) -> Option<Names> {
        let mut base = module.to_vec();
        let mut rest = path;
        match rest.first()?.as_str() {
            "crate" => {
                base.clear();
                rest = &rest[1..];
            }
            "self" => rest = &rest[1..],
            "super" => {
                while rest.first().is_some_and(|name| name == "super") {
                    base.pop()?;
                    rest = &rest[1..];
                }
            }
            child => {
                let mut child_path = base.clone();
                child_path.push(child.to_owned());
                self.files.get(&child_path)?;
            }
        }
        base.extend(rest.iter().cloned());
        Some(base)
    }

    /// The module that defines what the path names.
    fn definer(&self, path: &[String]) -> Names {
        // Re-exports of re-exports end somewhere.
        const STEPS_MAX: usize = 16;
        let mut path = path.to_vec();
        for _ in 0..STEPS_MAX {
            let mut depth = path.len();
            while depth > 0 && !self.files.contains_key(&path[..depth]) {
                depth -= 1;
            }
            let module = path[..depth].to_vec();
            let Some(name) = path.get(depth) else {
                return module;
            };
            match self.imports.get(&module).and_then(|names| names.get(name)) {
                Some(origin) => path = [origin, &path[depth + 1..]].concat(),
                None => return module,
            }
        }
        path
    }

    /// From each file to the others it takes something from.
    fn arrows(&self) -> Arrows {
        let mut arrows = Arrows::new();
        for (module, paths) in &self.named {
            let from = &self.files[module];
            let targets = arrows.entry(from.clone()).or_default();
            for path in paths {
                let definer = self.definer(path);
                let is_parent = module.starts_with(&definer);
                if let Some(to) = self.files.get(&definer)
                    && !is_parent
                {
                    targets.insert(to.clone(), path.join("::"));
                }
            }
        }
        arrows
    }
}

/// The same arrows between rooms.
fn rooms(files: &Arrows) -> Arrows {
    let room = |file: &str| {
        let below = file.strip_prefix("src/").unwrap_or(file);
        let name = below.split('/').next().unwrap_or_default();
        format!("src/{}", name.trim_end_matches(".rs"))
    };
    let mut rooms = Arrows::new();
    for (from, targets) in files {
        for (to, name) in targets {
            let (from, to) = (room(from), room(to));
            if from != to {
                let targets = rooms.entry(from).or_default();
                targets.insert(to, name.clone());
            }
        }
    }
    rooms
}

/// Each set of nodes that can all reach each other, as a sentence.
fn circles(arrows: &Arrows) -> Vec<String> {
    let reached: BTreeMap<&str, BTreeSet<&str>> = arrows
        .keys()
        .map(|from| (from.as_str(), reach(arrows, from)))
        .collect();
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for (from, targets) in &reached {
        if !targets.contains(from) || seen.contains(from) {
            continue;
        }
        let returns = |to: &&&str| reached.get(**to).is_some_and(|back| back.contains(from));
        let circle: BTreeSet<&str> = targets.iter().filter(returns).copied().collect();
        seen.extend(circle.iter().copied());
        let mut ties = Vec::new();
        for (from, targets) in arrows
            .iter()
            .filter(|(from, _)| circle.contains(from.as_str()))
        {
            for (to, name) in targets
                .iter()
                .filter(|(to, _)| circle.contains(to.as_str()))
            {
                ties.push(format!("    {from} -> {to} ({name})"));
            }
        }
        found.push(format!(
            "a circle of {}:\n{}",
            circle.len(),
            ties.join("\n")
        ));
    }
    found
}

/// All nodes that an arrow or several lead to.
fn reach<'a>(arrows: &'a Arrows, from: &str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<&str> = vec![from];
    while let Some(node) = open.pop() {
        for to in arrows
            .get(node)
            .into_iter()
            .flat_map(|targets| targets.keys())
        {
            if reached.insert(to.as_str()) {
                open.push(to);
            }
        }
    }
    reached
}

/// Whether a file is a program or the crate's root: nothing can import it.
fn is_program(path: &str) -> bool {
    path.starts_with("src/bin/") || path == "src/lib.rs"
}

/// The module that a file is.
fn module_of(path: &str) -> Names {
    let below = path.strip_prefix("src/").unwrap_or(path);
    let below = below.strip_suffix(".rs").unwrap_or(below);
    let names = below.split('/').map(str::to_owned);
    names.filter(|name| name != "mod").collect()
}

/// The `use` statements, whether each is a re-export, and the text without them.
fn split_uses(text: &str) -> (Vec<(bool, String)>, String) {
    let mut statements = Vec::new();
    let mut rest = String::new();
    let mut open: Option<(bool, String)> = None;
    for line in text.lines() {
        let trimmed = line.trim();
        if let Some((_, tree)) = &mut open {
            tree.push_str(trimmed);
        } else if let Some((before, tree)) = trimmed.split_once("use ")
            && (before.is_empty() || before.starts_with("pub"))
        {
            open = Some((!before.is_empty(), tree.to_owned()));
        } else {
            rest.push_str(line);
            rest.push('\n');
        }
        if open.as_ref().is_some_and(|(_, tree)| tree.ends_with(';')) {
            statements.extend(open.take());
        }
    }
    (statements, rest)
}

/// The paths of a `use` tree, and the name each is imported under.
fn expand(tree: &str) -> Vec<(Names, String)> {
    let tree = tree.trim().trim_end_matches(';').trim();
    if let Some((before, inside)) = tree.split_once('{') {
        let inside = inside.strip_suffix('}').unwrap_or(inside);
        let prefix = names_of(before);
        let mut found = Vec::new();
        for part in parts(inside) {
            for (path, name) in expand(part) {
                let path: Names = if path == ["self"] {
                    prefix.clone()
                } else {
                    prefix.iter().chain(&path).cloned().collect()
                };
                let name = if name == "self" {
                    path.last().cloned().unwrap_or_default()
                } else {
                    name
                };
                found.push((path, name));
            }
        }
        return found;
    }
    let (path, renamed) = match tree.split_once(" as ") {
        Some((path, name)) => (path, Some(name.trim().to_owned())),
        None => (tree, None),
    };
    let path = names_of(path);
    match path.last() {
        Some(last) if last != "*" => {
            let name = renamed.unwrap_or_else(|| last.clone());
            vec![(path, name)]
        }
        Some(_) | None => Vec::new(),
    }
}

/// The parts of a list, split at the commas outside of its braces.
fn parts(list: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                found.push(&list[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    found.push(&list[start..]);
    found
        .into_iter()
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect()
}

fn names_of(path: &str) -> Names {
    let names = path.split("::").map(str::trim);
    names
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The paths of two names or more in the text.
fn paths(text: &str) -> Vec<Names> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    text.split(|c: char| !is_part(c))
        .filter(|word| word.contains("::") && !word.starts_with(':'))
        .map(names_of)
        .filter(|names| names.len() > 1)
        .collect()
}

/// The checks above can fail.
mod can_fail {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let source = |(path, text): &(&str, &str)| Source {
            path: String::from(*path),
            text: String::from(*text),
        };
        let sources: Vec<_> = files.iter().map(source).collect();
        let files = Modules::read(&sources).arrows();
        let mut all = circles(&rooms(&files));
        all.extend(circles(&files));
        all
    }

    #[test]
    fn a_circle_is_found_through_a_re_export() {
        let circle = found(&[
            ("src/a/mod.rs", "mod one;\nmod two;\npub use one::One;"),
            ("src/a/one.rs", "use super::two::{self, Two};"),
            ("src/a/two.rs", "fn f() { super::One::new(); }"),
        ]);
        assert_eq!(circle.len(), 1, "{circle:?}");
        assert!(
            circle[0].contains("src/a/two.rs -> src/a/one.rs"),
            "{circle:?}"
        );
        let line = found(&[
            ("src/a/mod.rs", "mod one;\nmod two;\npub use one::One;"),
            (
                "src/a/one.rs",
                "use super::two::Two;\n#[cfg(test)]\nmod tests {\n    use super::super::two;\n}",
            ),
            (
                "src/a/two.rs",
                "// use super::One;\nlet s = \"super::One::new\";",
            ),
        ]);
        assert!(line.is_empty(), "{line:?}");
    }

    #[test]
    fn rooms_are_looked_at_too() {
        let circle = found(&[
            ("src/a/mod.rs", "mod one;\nmod two;"),
            ("src/a/one.rs", "use crate::b::three::Three;"),
            ("src/a/two.rs", "pub struct Two;"),
            ("src/b/mod.rs", "pub mod three;\nmod four;"),
            ("src/b/three.rs", "pub struct Three;"),
            ("src/b/four.rs", "use crate::a::two::{Two as T};"),
        ]);
        assert_eq!(circle.len(), 1, "{circle:?}");
        assert!(circle[0].contains("src/a -> src/b"), "{circle:?}");
    }

    #[test]
    fn what_a_parent_defines_is_no_arrow() {
        let split = found(&[
            ("src/a/mod.rs", "mod one;\nfn f() { one::g(); }\nstruct A;"),
            ("src/a/one.rs", "use super::A;\nimpl A {}\nfn g() {}"),
        ]);
        assert!(split.is_empty(), "{split:?}");
    }

    #[test]
    fn use_trees_are_read() {
        let path = |text: &str| names_of(text);
        assert_eq!(
            expand("crate::{a::{B, c as D}, e::{self}, f::*};"),
            [
                (path("crate::a::B"), String::from("B")),
                (path("crate::a::c"), String::from("D")),
                (path("crate::e"), String::from("e")),
            ]
        );
    }
}
