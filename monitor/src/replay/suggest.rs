//! The rule that would allow a recorded access, as narrow as the record is exact.

use std::ffi::OsStr;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use super::recorded::NODE;
use super::{Recorded, tools};
use crate::access::{Access, Object};
use crate::config::{Containers, HostNamespaces, Processes, Rule, Words, absolute, applies};
use crate::hash::Digest;
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
    if recorded.verdict.reason == Reason::ClientUnseen {
        return Err("it comes from this node, and nobody was seen to begin it");
    }
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
        let container = Some(containers(recorded, &whose)?);
        let name = whose.container.and_then(|container| container.name);
        let process = Processes { sha256: pinned(recorded, &access)?, ..Processes::default() };
        return Ok(Rule { container, process, ..rule(name.as_deref().unwrap_or("container")) });
    }
    if recorded.verdict.reason == Reason::ExeNotNodeFile {
        return Err("its executable is not the node's file of that path");
    }
    let path = std::str::from_utf8(&access.actor.exe.path).ok().and_then(|path| absolute(path).ok());
    let path = path.ok_or("the path of its executable is not known")?;
    let script = tools::script(&access).map(PathBuf::from);
    let name = script.as_deref().unwrap_or(&path).file_name().and_then(OsStr::to_str).unwrap_or_default();
    let id = rule(name);
    let process = Processes { sha256: pinned(recorded, &access)?, ..process(path, &access)? };
    Ok(Rule { process, ..id })
}

/// The content, where the policy asks for it: elsewhere every upgrade would need another rule.
fn pinned(recorded: &Recorded, access: &Access) -> Result<Vec<Digest>, &'static str> {
    if recorded.verdict.reason != Reason::Sha256Mismatch {
        return Ok(Vec::new());
    }
    let certain = access.actor.exe_hash.filter(|hashed| hashed.certain);
    certain.map(|hashed| vec![hashed.digest]).ok_or("what its executable held is not known for certain")
}

/// As a rule can be called.
fn named(name: &str) -> String {
    let plain = |char: char| if char.is_ascii_alphanumeric() || "._-".contains(char) { char } else { '-' };
    let name: String = name.chars().take(NAME_MAX).map(plain).collect();
    if name.is_empty() { "suggested".to_owned() } else { name }
}

fn process(path: PathBuf, access: &Access) -> Result<Processes, &'static str> {
    let actor = &access.actor;
    let mut uid = vec![actor.uid, actor.euid];
    uid.dedup();
    let args = tools::args(access)?;
    let unit = exact(tools::unit(actor), "")?;
    // Of a service, its unit says it, and how it is fenced off may change. A container that has the node's files has other namespaces.
    let own = |same: bool| (same && unit.is_empty()).then_some(true);
    let host_ns = HostNamespaces {
        mnt: own(actor.mnt_ns == NODE.mnt),
        pid: own(actor.pid_ns == NODE.pid),
        net: own(actor.net_ns == NODE.net),
    };
    Ok(Processes { exe: vec![path], uid, unit, args, host_ns, ..Processes::default() })
}

fn containers(recorded: &Recorded, whose: &Whose) -> Result<Containers, &'static str> {
    let (pod, container) = (whose.pod.as_ref(), whose.container.as_ref());
    let of_pod = pod.and_then(|pod| Some((pod.namespace.as_deref()?, pod.name.as_deref()?, pod.is_static)));
    // An image or a container's name alone is of many.
    let (namespace, name, is_static) = of_pod.ok_or("the name of its pod is not known")?;
    let image = container.and_then(|container| container.image.as_deref());
    // Only with an image it says enough to be a pattern.
    let family = if image.is_some() { family(name, is_static, &recorded.node.name) } else { name };
    let rest = if family == name { "" } else { "*" };
    Ok(Containers {
        namespace: exact(Some(namespace), "")?,
        pod: exact(Some(family), rest)?,
        name: exact(container.and_then(|container| container.name.as_deref()), "")?,
        image: exact(image, "")?,
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
    // The minute that a CronJob's job is for.
    let is_minute =
        |part: &str| matches!(part.len(), 8..=10) && part.bytes().all(|byte| byte.is_ascii_digit());
    let hash = rest.rsplit_once('-').filter(|end| is_random(8..=10)(end) || is_minute(end.1));
    let end = match hash {
        Some((_, hash)) => hash.len() + 1 + last.len(),
        None => last.len(),
    };
    &name[..name.len() - end]
}

/// Characters of a name that are kept.
const NAME_MAX: usize = 64;

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
