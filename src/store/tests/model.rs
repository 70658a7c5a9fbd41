//! The store against a plain map of strings that is too simple to be wrong.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::arbitrary::clients_command;
use super::*;

/// A node of the model: value (none for a directory), created, modified, deadline.
type Entry = (Option<String>, u64, u64, Option<u64>);

/// The answer to a command: the key, or the code and the cause.
type Outcome = Result<String, (Code, String)>;

/// A map from keys to nodes, without the root.
#[derive(Default)]
struct Model {
    nodes: BTreeMap<String, Entry>,
    index: u64,
    now: u64,
}

impl Model {
    fn is_directory(&self, key: &str) -> bool {
        key == "/" || self.nodes.get(key).is_some_and(|node| node.0.is_none())
    }

    fn below(&self, key: &str) -> Vec<String> {
        let prefix = if key == "/" {
            "/".to_owned()
        } else {
            format!("{key}/")
        };
        let keys = self.nodes.keys().filter(|other| other.starts_with(&prefix));
        keys.cloned().collect()
    }

    /// The directories above a key, from the top.
    fn above(key: &str) -> Vec<String> {
        let parts: Vec<_> = key.split('/').skip(1).collect();
        (1..parts.len())
            .map(|count| format!("/{}", parts[..count].join("/")))
            .collect()
    }

    fn find(&self, key: &str) -> Result<Entry, (Code, String)> {
        for directory in Self::above(key) {
            match self.nodes.get(&directory) {
                None => return Err((Code::KeyNotFound, directory)),
                Some((Some(_), ..)) => return Err((Code::NotDirectory, directory)),
                Some(_) => {}
            }
        }
        let root = (None, 0, 0, None);
        let node = if key == "/" {
            Some(&root)
        } else {
            self.nodes.get(key)
        };
        node.cloned().ok_or((Code::KeyNotFound, key.to_owned()))
    }

    fn place(
        &mut self,
        key: &str,
        content: &Content,
        ttl: Option<Duration>,
        replace: bool,
    ) -> Outcome {
        if key == "/" {
            return Err((Code::RootReadOnly, key.to_owned()));
        }
        match self.find(key) {
            Err((Code::NotDirectory, cause)) => return Err((Code::NotDirectory, cause)),
            Ok(_) if !replace => return Err((Code::NodeExists, key.to_owned())),
            Ok((None, ..)) => return Err((Code::NotFile, key.to_owned())),
            Ok(_) | Err(_) => {}
        }
        self.index += 1;
        for directory in Self::above(key) {
            let made = (None, self.index, self.index, None);
            self.nodes.entry(directory).or_insert(made);
        }
        let value = match content {
            Content::Value(value) => Some(lossy(value).into_owned()),
            Content::Directory => None,
        };
        let node = (value, self.index, self.index, self.deadline(ttl));
        self.nodes.insert(key.to_owned(), node);
        Ok(key.to_owned())
    }

    fn deadline(&self, ttl: Option<Duration>) -> Option<u64> {
        ttl.map(|ttl| self.now + u64::try_from(ttl.as_nanos()).expect("short"))
    }

    fn change(&mut self, key: &str, value: Option<String>, ttl: Option<Duration>) -> Outcome {
        self.index += 1;
        let (index, deadline) = (self.index, self.deadline(ttl));
        let node = self.nodes.get_mut(key).expect("it was found");
        if node.0.is_some() {
            (node.0, node.2) = (value, index);
        }
        node.3 = deadline;
        Ok(key.to_owned())
    }

    fn remove(&mut self, key: &str) -> Outcome {
        self.index += 1;
        for gone in self.below(key) {
            self.nodes.remove(&gone);
        }
        self.nodes.remove(key);
        Ok(key.to_owned())
    }

    fn compare(&self, key: &str, condition: &Condition) -> Result<Entry, (Code, String)> {
        let node = self.find(key)?;
        let Some(value) = node.0.clone() else {
            return Err((Code::NotFile, key.to_owned()));
        };
        let mut causes = Vec::new();
        let wanted = lossy(condition.value.as_deref().unwrap_or_default()).into_owned();
        if !wanted.is_empty() && wanted != value {
            causes.push(format!("[{wanted} != {value}]"));
        }
        let wanted = condition.index.unwrap_or(0);
        if wanted != 0 && wanted != node.2 {
            causes.push(format!("[{wanted} != {}]", node.2));
        }
        if causes.is_empty() {
            Ok(node)
        } else {
            Err((Code::TestFailed, causes.join(" ")))
        }
    }

    fn refresh(&mut self, key: &str, condition: &Condition, ttl: Option<Duration>) -> Outcome {
        let value = condition.value.as_deref().unwrap_or_default();
        let node = if value.is_empty() && condition.index.unwrap_or(0) == 0 {
            self.find(key)
        } else {
            self.compare(key, condition)
        };
        self.change(key, node?.0, ttl)
    }

    fn delete(&mut self, key: &str, directory: bool, recursive: bool) -> Outcome {
        self.find(key)?;
        if self.is_directory(key) && !recursive {
            if !directory {
                return Err((Code::NotFile, key.to_owned()));
            }
            if !self.below(key).is_empty() {
                return Err((Code::DirectoryNotEmpty, key.to_owned()));
            }
        }
        self.remove(key)
    }

    fn apply(&mut self, command: &Command) -> Outcome {
        let root = |key: &str| match key {
            "/" => Err((Code::RootReadOnly, key.to_owned())),
            _ => Ok(()),
        };
        match command {
            Command::Set { path, content, ttl } => self.place(path.text(), content, *ttl, true),
            Command::Create { path, content, ttl } => self.place(path.text(), content, *ttl, false),
            Command::CreateInOrder {
                directory,
                content,
                ttl,
            } => {
                let name = |number: u64| Path::clean(&format!("{directory}/{number:020}"));
                let free =
                    (self.index + 1..).find(|&number| !self.nodes.contains_key(&name(number)));
                self.place(&name(free.expect("there is one")), content, *ttl, false)
            }
            Command::Update {
                path,
                value,
                directory,
                ttl,
            } => {
                root(path.text())?;
                let node = self.find(path.text())?;
                let value = value
                    .as_ref()
                    .map(|value| lossy(value).into_owned())
                    .unwrap_or_default();
                match node.0 {
                    None if !value.is_empty() => Err((Code::NotFile, path.to_string())),
                    Some(_) if *directory => Err((Code::NotDirectory, path.to_string())),
                    _ => self.change(path.text(), Some(value), *ttl),
                }
            }
            Command::Refresh {
                path,
                condition,
                ttl,
            } => {
                root(path.text())?;
                self.refresh(path.text(), condition, *ttl)
            }
            Command::CompareAndSwap {
                path,
                condition,
                value,
                ttl,
            } => {
                root(path.text())?;
                self.compare(path.text(), condition)?;
                self.change(path.text(), Some(lossy(value).into_owned()), *ttl)
            }
            Command::Delete {
                path,
                directory,
                recursive,
            } => {
                root(path.text())?;
                self.delete(path.text(), *directory, *recursive)
            }
            Command::CompareAndDelete { path, condition } => {
                self.compare(path.text(), condition)?;
                self.remove(path.text())
            }
            Command::Expire
            | Command::Tick
            | Command::PutMember(_)
            | Command::RemoveMember { .. }
            | Command::PutSettings(_) => unreachable!("no client's"),
        }
    }

    fn expire(&mut self) -> Vec<String> {
        let mut gone = Vec::new();
        loop {
            let due = self
                .nodes
                .iter()
                .filter_map(|(key, node)| Some((node.3?, key)));
            let due = due.filter(|(deadline, _)| *deadline <= self.now);
            // Nodes with equal deadlines expire by depth, then by text.
            let first =
                due.min_by_key(|(deadline, key)| (*deadline, key.matches('/').count(), *key));
            let Some((_, key)) = first else {
                return gone;
            };
            gone.extend(self.remove(&key.clone()));
        }
    }
}

/// The store's tree, in the form of the model.
fn nodes(store: &Store) -> BTreeMap<String, Entry> {
    let mut all: BTreeMap<_, _> = store
        .tree
        .nodes()
        .iter()
        .map(|(path, node)| {
            let value = node.value.as_deref().map(|value| lossy(value).into_owned());
            let deadline = node.deadline.map(ClusterTime::as_nanos);
            (
                path.to_string(),
                (value, node.created, node.modified, deadline),
            )
        })
        .collect();
    assert!(
        all.remove("/")
            .is_some_and(|root| root == (None, 0, 0, None))
    );
    all
}

proptest! {
    #[test]
    fn the_store_is_a_map_of_strings(
        commands in prop::collection::vec((0u64..4, clients_command()), 0..60),
    ) {
        let mut run = Run::new();
        let mut model = Model::default();
        for (half_seconds, command) in commands {
            run.wait(Duration::from_millis(500 * half_seconds));
            model.now = run.clock.as_nanos();
            run.events.clear();
            prop_assert_eq!(run.apply(Command::Expire), Ok(None));
            let expired: Vec<_> = run.events.iter().map(|event| event.node.path.to_string()).collect();
            prop_assert_eq!(expired, model.expire());
            let soonest = model.nodes.values().filter_map(|node| node.3).min();
            prop_assert_eq!(run.store.next_deadline().map(ClusterTime::as_nanos), soonest);
            let later = model.nodes.values().filter_map(|node| node.3).filter(|time| Some(*time) > soonest);
            let after = run.store.next_deadline().and_then(|time| run.store.next_deadline_after(time));
            prop_assert_eq!(after.map(ClusterTime::as_nanos), later.min());

            if reserved::reserved_path(&command).is_some() {
                prop_assert_eq!(run.refused(command).0, Code::Reserved);
                continue;
            }
            let expected = model.apply(&command);
            let answer = run.apply(command);
            let answer = answer.map(|event| event.expect("an answer").node.path.to_string());
            prop_assert_eq!(answer.map_err(|error| (error.code, error.cause)), expected);
            prop_assert_eq!(run.store.index(), model.index);
            prop_assert_eq!(nodes(&run.store), model.nodes.clone());
        }
    }

    #[test]
    fn events_tell_the_whole_story(
        commands in prop::collection::vec((0u64..4, clients_command()), 0..60),
    ) {
        let mut run = Run::new();
        let mut told: BTreeMap<String, (Option<Bytes>, u64)> = BTreeMap::new();
        for (half_seconds, command) in commands {
            run.wait(Duration::from_millis(500 * half_seconds));
            run.events.clear();
            prop_assert_eq!(run.apply(Command::Expire), Ok(None));
            let refresh = matches!(command, Command::Refresh { .. });
            let answer = run.apply(command);
            if let (Ok(Some(event)), false) = (&answer, refresh) {
                prop_assert_eq!(run.events.last(), Some(event));
            }
            for event in &run.events {
                let key = event.node.path.to_string();
                let before = told.get(&key).map(|(value, _)| value.clone());
                let prev_node = event.prev_node.as_ref().map(|node| node.value.clone());
                if before.is_some() || !event.node.directory {
                    prop_assert_eq!(prev_node, before);
                }
                match event.action {
                    Action::Delete | Action::CompareAndDelete | Action::Expire => {
                        told.remove(&key);
                        for gone in &event.removed {
                            told.remove(gone.text());
                        }
                    }
                    Action::Get
                    | Action::Set
                    | Action::Create
                    | Action::Update
                    | Action::CompareAndSwap => {
                        told.insert(key, (event.node.value.clone(), event.node.created));
                    }
                }
            }
            let files = run.store.tree.nodes().iter().filter(|(_, node)| !node.is_directory());
            let files: BTreeMap<_, _> =
                files.map(|(path, node)| (path.to_string(), (node.value.clone(), node.created))).collect();
            told.retain(|_, (value, _)| value.is_some());
            prop_assert_eq!(&told, &files);
        }
    }
}
