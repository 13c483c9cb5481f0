//! The rule that would allow a recorded access, as narrow as the record is exact.

use std::ffi::OsStr;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use super::Recorded;
use crate::access::{Access, Object};
use crate::config::{Containers, Processes, Rule, Words, absolute, applies};
use crate::decide::unit_of_node;
use crate::identity::Whose;
use crate::model::Action;
use crate::verdict::Reason;

/// Or why no rule should.
pub fn suggest(recorded: &Recorded) -> Result<Rule, &'static str> {
    let (access, whose, class) = (recorded.access(), recorded.whose(), recorded.target.class);
    let group = access.group().ok_or("no rule allows to take control of an allowed process")?;
    if !applies(class, group) {
        return Err("that cannot happen to such a target");
    }
    let rule = |id: &str| Rule {
        id: named(id),
        targets: vec![class],
        access: Some(vec![group]),
        process: Processes::default(),
        container: None,
        source: Vec::new(),
        destination: Vec::new(),
    };
    if access.action == Action::Accept {
        let Object::InetSocket(inet) = &access.object else { return Err("it has no address") };
        return Ok(Rule { source: vec![inet.src_ip.into()], ..rule(&format!("from-{}", inet.src_ip)) });
    }
    if recorded.verdict.reason == Reason::ProcessControlled || access.actor.traced {
        return Err("another process had control of it, so that it was not itself");
    }
    if access.actor.exe.deleted {
        return Err("its executable is deleted or never was a file, so that nobody can say what it was");
    }
    if whose.container.is_some() || whose.pod.is_some() {
        if !whose.proven || whose.container.is_none() {
            return Err("it is in a container that is not proven to be the one it seems to be");
        }
        let container = containers(recorded, &whose)?;
        let name = whose.container.and_then(|container| container.name);
        return Ok(Rule { container: Some(container), ..rule(name.as_deref().unwrap_or("container")) });
    }
    let path = std::str::from_utf8(&access.actor.exe.path).ok().and_then(|path| absolute(path).ok());
    let path = path.ok_or("the path of its executable is not known")?;
    let id = rule(path.file_name().and_then(OsStr::to_str).unwrap_or_default());
    Ok(Rule { process: process(path, &access)?, ..id })
}

/// As a rule can be called.
fn named(name: &str) -> String {
    let name: String = name.chars().filter(|char| !char.is_control()).collect();
    if name.is_empty() { "suggested".to_owned() } else { name }
}

fn process(path: PathBuf, access: &Access) -> Result<Processes, &'static str> {
    let actor = &access.actor;
    let mut uid = vec![actor.uid, actor.euid];
    uid.dedup();
    // Scopes have another name every time.
    let unit = unit_of_node(&actor.cgroup).filter(|unit| !unit.ends_with(".scope"));
    let unit = exact(unit, "")?;
    Ok(Processes { exe: vec![path], uid, unit, ..Processes::default() })
}

fn containers(recorded: &Recorded, whose: &Whose) -> Result<Containers, &'static str> {
    let (pod, container) = (whose.pod.as_ref(), whose.container.as_ref());
    let of_pod = pod.and_then(|pod| Some((pod.namespace.as_deref()?, pod.name.as_deref()?, pod.is_static)));
    // An image or a container's name alone is of many.
    let (namespace, name, is_static) = of_pod.ok_or("the name of its pod is not known")?;
    let family = family(name, is_static, &recorded.node.name);
    let rest = if family == name { "" } else { "*" };
    Ok(Containers {
        namespace: exact(Some(namespace), "")?,
        pod: exact(Some(family), rest)?,
        name: exact(container.and_then(|container| container.name.as_deref()), "")?,
        image: exact(container.and_then(|container| container.image.as_deref()), "")?,
    })
}

/// A name that stands for itself, and what may follow it.
fn exact(name: Option<&str>, rest: &str) -> Result<Vec<Words>, &'static str> {
    let why = "a name of it cannot be written in a rule";
    let Some(name) = name else { return Ok(Vec::new()) };
    if name.contains(['*', '?']) {
        return Err(why);
    }
    Words::new(&format!("{name}{rest}")).map(|words| vec![words]).map_err(|_| why)
}

/// The begin of a pod's name that all its copies share, without a node's name or what the API server appended; all of it, if it has
/// no such end.
fn family<'a>(name: &'a str, is_static: bool, node: &str) -> &'a str {
    if is_static && let Some(own) = name.strip_suffix(node).filter(|own| own.ends_with('-')) {
        return own;
    }
    let random = |part: &str, length: RangeInclusive<usize>| {
        length.contains(&part.len()) && part.chars().all(|char| RANDOM.contains(char))
    };
    let is_random =
        |length: RangeInclusive<usize>| move |(_, part): &(&str, &str)| random(part, length.clone());
    let Some((rest, last)) = name.rsplit_once('-').filter(is_random(5..=5)) else { return name };
    let end = match rest.rsplit_once('-').filter(is_random(8..=10)) {
        Some((_, hash)) => hash.len() + 1 + last.len(),
        None => last.len(),
    };
    &name[..name.len() - end]
}

/// The letters that the API server makes names of.
/// <https://github.com/kubernetes/apimachinery/blob/master/pkg/util/rand/rand.go>
const RANDOM: &str = "bcdfghjklmnpqrstvwxz2456789";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_is_named_by_its_family() {
        for (name, is_static, wanted) in [
            ("etcd-node-1", true, "etcd-"),
            ("etcd-node-1", false, "etcd-node-1"),
            ("metrics-server-7db7cd66f9-x2b4k", false, "metrics-server-"),
            ("kube-proxy-x2b4k", false, "kube-proxy-"),
            ("web-0", false, "web-0"),
            ("backup", false, "backup"),
            ("node-1", true, "node-1"),
            ("bcdfg", false, "bcdfg"),
        ] {
            assert_eq!(family(name, is_static, "node-1"), wanted, "{name}");
        }
    }
}
