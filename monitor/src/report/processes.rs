//! The processes of all events, each once, and who started whom.

use std::collections::HashMap;

use super::escape::shown;
use super::record::{self, Record, Relative};
use super::strings::Strings;
use crate::model::{Class, Severity};

/// Real trees are not as deep, and forged ones are not to be walked for ever.
pub const DEEPEST: usize = 64;

/// One program that a process ran. All strings are spelled out; facts are numbers of strings.
#[derive(Debug)]
pub struct Process {
    pub pid: u32,
    /// Path of the executable, or what the process calls itself.
    pub name: String,
    pub uid: u32,
    pub parent: Option<u32>,
    /// What else is known of an actor, by name. Of the others nothing is.
    pub facts: Vec<(&'static str, u32)>,
    /// Index of its pod.
    pub pod: Option<u32>,
    pub violations: u64,
    pub allowed: u64,
    /// Of its violations.
    pub worst: Option<Severity>,
    pub classes: Vec<Class>,
}

#[derive(Debug, Default)]
pub struct Processes {
    pub list: Vec<Process>,
    /// By entity, executable and arguments.
    actors: HashMap<(String, String, String), u32>,
    /// By entity and executable: the first of them, whatever its arguments.
    known: HashMap<(String, String), u32>,
}

impl Processes {
    pub fn get(&self, number: u32) -> Option<&Process> {
        self.list.get(number as usize)
    }

    pub fn get_mut(&mut self, number: u32) -> Option<&mut Process> {
        self.list.get_mut(number as usize)
    }

    /// The actor of an event, with those that started it.
    pub fn add(
        &mut self,
        record: &Record,
        process: &record::Process,
        pod: Option<u32>,
        strings: &mut Strings,
    ) -> u32 {
        let entity = entity(record, &process.entity_id, process.pid);
        let name = name(process.exe.as_deref(), &process.comm, process.exe_deleted, process.exe_memfd);
        let args = process.args.as_deref().map(|args| command_line(args, process.args_truncated));
        let key = (entity, name, args.clone().unwrap_or_default());
        if let Some(number) = self.actors.get(&key) {
            return *number;
        }
        let place = (key.0.clone(), key.1.clone());
        // It may be there already as somebody's ancestor, of which nothing more is known.
        let bare = self
            .known
            .get(&place)
            .copied()
            .filter(|number| self.get(*number).is_some_and(|known| known.facts.is_empty()));
        let number = bare.unwrap_or_else(|| self.push(process.pid, place.1.clone(), process.uid));
        self.known.entry(place).or_insert(number);
        self.actors.insert(key, number);
        let facts = facts(process, args).map(|(name, value)| (name, strings.add(value))).collect();
        if let Some(own) = self.get_mut(number) {
            (own.facts, own.pod) = (facts, pod);
        }
        let mut child = number;
        for relative in process.parent.iter().chain(&process.ancestors) {
            let parent = self.relative(record, relative);
            self.link(child, parent);
            child = parent;
        }
        number
    }

    fn relative(&mut self, record: &Record, relative: &Relative) -> u32 {
        let Relative { pid, entity_id, comm, exe, exe_deleted, exe_memfd, uid } = relative;
        let name = name(exe.as_deref(), comm, *exe_deleted, *exe_memfd);
        let key = (entity(record, entity_id, *pid), name);
        if let Some(number) = self.known.get(&key) {
            return *number;
        }
        let number = self.push(*pid, key.1.clone(), *uid);
        self.known.insert(key, number);
        number
    }

    fn push(&mut self, pid: u32, name: String, uid: u32) -> u32 {
        let number = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        self.list.push(Process {
            pid,
            name,
            uid,
            parent: None,
            facts: Vec::new(),
            pod: None,
            violations: 0,
            allowed: 0,
            worst: None,
            classes: Vec::new(),
        });
        number
    }

    /// The first that an event says holds. Nothing becomes its own ancestor, whatever is written.
    fn link(&mut self, child: u32, parent: u32) {
        let mut above = Some(parent);
        for _ in 0..DEEPEST {
            match above {
                Some(number) if number == child => return,
                Some(number) => above = self.get(number).and_then(|process| process.parent),
                None => break,
            }
        }
        if above.is_none()
            && let Some(child) = self.get_mut(child)
        {
            child.parent.get_or_insert(parent);
        }
    }
}

/// Without an id of its own, a process is known by its number on its node.
fn entity(record: &Record, entity_id: &str, pid: u32) -> String {
    if entity_id.is_empty() { format!("{}:{pid}", record.node.name) } else { entity_id.to_owned() }
}

fn name(exe: Option<&str>, comm: &str, deleted: bool, memfd: bool) -> String {
    let what = match (memfd, deleted) {
        (true, _) => " (only in memory)",
        (false, true) => " (deleted)",
        (false, false) => "",
    };
    match exe {
        Some(exe) => format!("{}{what}", shown(exe)),
        None => format!("[{}]", shown(comm)),
    }
}

/// As a shell would take it, nearly.
fn command_line(args: &[String], truncated: bool) -> String {
    let is_plain = |arg: &str| !arg.is_empty() && !arg.contains([' ', '\t', '\n', '"', '\'']);
    let quoted =
        |arg: &String| if is_plain(arg) { arg.clone() } else { format!("\"{}\"", arg.replace('"', "\\\"")) };
    let line = args.iter().map(quoted).collect::<Vec<_>>().join(" ");
    shown(&line) + if truncated { " …" } else { "" }
}

fn facts(process: &record::Process, args: Option<String>) -> impl Iterator<Item = (&'static str, String)> {
    let container = process.container.as_ref().map(|container| {
        let parts = [container.name.as_deref(), container.image.as_deref(), Some(container.id.as_str())];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    });
    let user = match (process.uid == process.euid, process.auid) {
        (true, None) => process.uid.to_string(),
        (true, Some(auid)) => format!("{}, logged in as {auid}", process.uid),
        (false, None) => format!("{}, acts as {}", process.uid, process.euid),
        (false, Some(auid)) => format!("{}, acts as {}, logged in as {auid}", process.uid, process.euid),
    };
    let text = |text: &Option<String>| text.as_deref().map(shown);
    // None of them is there for a process that is only an ancestor, so this one tells an actor.
    let known = [
        ("user", Some(user)),
        ("arguments", args),
        ("called", Some(shown(&process.comm)).filter(|comm| !comm.is_empty())),
        ("directory", text(&process.cwd)),
        ("unit", text(&process.unit)),
        ("container", container.as_deref().map(shown)),
        ("SHA-256", text(&process.exe_sha256)),
        ("started", Some(shown(&process.start)).filter(|start| !start.is_empty())),
        ("control", process.traced.then(|| "another process had control of it".to_owned())),
    ];
    known.into_iter().filter_map(|(name, value)| Some((name, value?)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn add(processes: &mut Processes, process: &serde_json::Value) -> u32 {
        add_with(processes, process, &mut Strings::default())
    }

    fn add_with(processes: &mut Processes, process: &serde_json::Value, strings: &mut Strings) -> u32 {
        let event = json!({"schema": "1.0", "kind": "health", "time": "2026-11-23T14:45:12Z", "severity": "low",
            "process": process});
        let mut record = Record::parse(event.to_string().as_bytes()).unwrap();
        let process = record.process.take().unwrap();
        processes.add(&record, &process, None, strings)
    }

    #[test]
    fn an_ancestor_that_acts_is_one_process() {
        let (mut all, mut strings) = (Processes::default(), Strings::default());
        let child = json!({"pid": 3, "entity_id": "c", "exe": "/c", "args": ["c", "a b", ""],
            "parent": {"pid": 2, "entity_id": "b", "exe": "/b"},
            "ancestors": [{"pid": 1, "entity_id": "a", "exe": "/a"}]});
        let child = add_with(&mut all, &child, &mut strings);
        let parent = add(&mut all, &json!({"pid": 2, "entity_id": "b", "exe": "/b", "args": ["b"]}));
        assert_eq!(all.list.len(), 3);
        assert_eq!(all.get(child).unwrap().parent, Some(parent));
        let args = all.get(child).unwrap().facts.iter().find(|(name, _)| *name == "arguments").unwrap().1;
        assert_eq!(strings.get(args), "c \"a b\" \"\"");
        assert_eq!(add(&mut all, &json!({"pid": 2, "entity_id": "b", "exe": "/b", "args": ["b"]})), parent);
        // It runs something else since.
        assert_ne!(add(&mut all, &json!({"pid": 2, "entity_id": "b", "exe": "/x"})), parent);
    }

    #[test]
    fn nobody_is_their_own_ancestor() {
        let mut all = Processes::default();
        let one = |entity: &str, parent: &str| json!({"entity_id": entity, "exe": "/x", "parent": {"entity_id": parent, "exe": "/x"}});
        for (entity, parent) in [("a", "a"), ("a", "b"), ("b", "c"), ("c", "a")] {
            add(&mut all, &one(entity, parent));
        }
        let mut number = 0;
        for _ in 0..3 {
            match all.get(number).unwrap().parent {
                Some(parent) => number = parent,
                None => return,
            }
        }
        panic!("{:?}", all.list);
    }
}
