//! The rule that would allow a recorded access, as narrow as the record is exact.

use std::ffi::OsStr;
use std::path::Path;

use super::Recorded;
use crate::access::{Access, Object};
use crate::config::{Containers, Processes, Rule, Words};
use crate::decide::unit_of_node;
use crate::identity::Whose;
use crate::model::Action;
use crate::verdict::Reason;

/// Or why no rule should.
pub fn suggest(recorded: &Recorded) -> Result<Rule, &'static str> {
    let (access, whose) = (recorded.access(), recorded.whose());
    let group = access.group().ok_or("no rule allows to take control of an allowed process")?;
    let rule = |id: String| Rule {
        id,
        targets: vec![recorded.target.class],
        access: Some(vec![group]),
        process: Processes::default(),
        container: None,
        source: Vec::new(),
        destination: Vec::new(),
    };
    if access.action == Action::Accept {
        let Object::InetSocket(inet) = &access.object else { return Err("it has no address") };
        return Ok(Rule { source: vec![inet.src_ip.into()], ..rule(format!("from-{}", inet.src_ip)) });
    }
    if recorded.verdict.reason == Reason::ProcessControlled || access.actor.traced {
        return Err("another process had control of it, so that it was not itself");
    }
    if access.actor.exe.deleted {
        return Err("its executable is deleted or never was a file, so that nobody can say what it was");
    }
    if whose.container.is_some() || whose.pod.is_some() {
        if !whose.proven {
            return Err("it is in a container that is not proven to be the one it seems to be");
        }
        let container = containers(recorded, &whose).ok_or("too little is known of its container")?;
        let name = whose.container.and_then(|container| container.name);
        return Ok(Rule { container: Some(container), ..rule(name.unwrap_or("container".to_owned())) });
    }
    let path = std::str::from_utf8(&access.actor.exe.path).ok().filter(|path| path.starts_with('/'));
    let path = Path::new(path.ok_or("the path of its executable is not known")?);
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or("process");
    Ok(Rule { process: process(path, &access), ..rule(name.to_owned()) })
}

fn process(path: &Path, access: &Access) -> Processes {
    let actor = &access.actor;
    let mut uid = vec![actor.uid, actor.euid];
    uid.dedup();
    let unit = unit_of_node(&actor.cgroup).filter(|unit| !unit.ends_with(".scope"));
    let unit = unit.and_then(|unit| Words::new(unit).ok()).into_iter().collect();
    Processes { exe: vec![path.to_owned()], uid, unit, ..Processes::default() }
}

fn containers(recorded: &Recorded, whose: &Whose) -> Option<Containers> {
    let words =
        |text: Option<&String>| text.and_then(|text| Words::new(text).ok()).into_iter().collect::<Vec<_>>();
    let (pod, container) = (whose.pod.as_ref(), whose.container.as_ref());
    let name = pod.and_then(|pod| Some(family(pod.name.as_ref()?, pod.is_static, &recorded.node.name)));
    let containers = Containers {
        namespace: words(pod.and_then(|pod| pod.namespace.as_ref())),
        pod: words(name.as_ref()),
        name: words(container.and_then(|container| container.name.as_ref())),
        image: words(container.and_then(|container| container.image.as_ref())),
    };
    // A namespace or an image alone is of many.
    let says_which = !containers.namespace.is_empty() && !containers.pod.is_empty();
    says_which.then_some(containers)
}

/// The name of a pod without what is another one's in every copy: a node's name, or what the API server appended.
fn family(name: &str, is_static: bool, node: &str) -> String {
    if is_static
        && !node.is_empty()
        && let Some(own) = name.strip_suffix(node)
    {
        return format!("{own}*");
    }
    let random = |part: &str, length: std::ops::RangeInclusive<usize>| {
        length.contains(&part.len()) && part.chars().all(|char| RANDOM.contains(char))
    };
    let Some((rest, _)) = name.rsplit_once('-').filter(|(_, last)| random(last, 5..=5)) else {
        return name.to_owned();
    };
    let without_hash = rest.rsplit_once('-').filter(|(_, hash)| random(hash, 8..=10));
    format!("{}-*", without_hash.map_or(rest, |(rest, _)| rest))
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
            ("etcd-node-1", true, "etcd-*"),
            ("etcd-node-1", false, "etcd-node-1"),
            ("metrics-server-7db7cd66f9-x2b4k", false, "metrics-server-*"),
            ("kube-proxy-x2b4k", false, "kube-proxy-*"),
            ("web-0", false, "web-0"),
            ("backup", false, "backup"),
        ] {
            assert_eq!(family(name, is_static, "node-1"), wanted, "{name}");
        }
    }
}
