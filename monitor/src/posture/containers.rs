//! Containers that run and have a door of the node mounted: by their lists of mounts, whoever asked for it and however.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::View;
use super::checks;
use super::finding::Finding;
use crate::access::Actor;
use crate::config::Rule;
use crate::event::PostureResult::{Fail, Pass, Warn};
use crate::event::{Evidence, Origin};
use crate::identity::{Identities, Whose};
use crate::manifest::Doors;
use crate::model::Class;
use crate::node::{Mounts, Namespaces, Root};
use crate::running::belief::{is_contained, paths};
use crate::snapshot::{Process, namespaces_of, namespaces_of_node};

/// Processes and containers that are looked at.
const PROCESSES_MAX: usize = 1 << 16;
const CONTAINERS_MAX: usize = 4096;

/// What one container has of the node.
#[derive(Clone, Debug, Default)]
pub struct Mounted {
    /// Any of its processes.
    pub pid: u32,
    pub whose: Whose,
    /// Where it has it, where the node has it, and whether it may only read.
    pub mounts: Vec<(PathBuf, PathBuf, bool)>,
}

/// All containers of the node, by one process each. What could not be looked at comes in sentences.
pub fn containers(root: &Root, sockets: &[PathBuf]) -> Result<(Vec<Mounted>, Vec<String>), String> {
    let wrong = |what: &str, error: std::io::Error| {
        format!("what containers have of the node is not known: {what}: {error}")
    };
    let node = Mounts::read(root.mountinfo()).map_err(|error| wrong("its mounts", error))?;
    let namespaces = namespaces_of_node().map_err(|error| wrong("process 1", error))?;
    let own = namespaces_of(std::process::id()).map_err(|error| wrong("/proc/self", error))?;
    let mut identities = Identities::new(root, sockets, true);
    let (mut found, mut known, mut refused) = (Vec::new(), BTreeSet::from([namespaces.mnt, own.mnt]), 0);
    for entry in fs::read_dir("/proc").map_err(|error| wrong("/proc", error))?.take(PROCESSES_MAX) {
        let pid = entry.ok().and_then(|entry| entry.file_name().to_str()?.parse().ok());
        let Some(process) = pid.and_then(|pid| Process::open(pid).ok()) else { continue };
        let Some(mnt_ns) = process.namespace("mnt") else {
            // One that ended meanwhile has no cgroup either.
            refused += u64::from(is_contained(&process.read("cgroup").unwrap_or_default()));
            continue;
        };
        let cgroups = process.read("cgroup").unwrap_or_default();
        if !is_contained(&cgroups) || !known.insert(mnt_ns) {
            continue;
        }
        if found.len() >= CONTAINERS_MAX {
            return Ok((found, vec!["there are more containers than are looked at".to_owned()]));
        }
        let Ok(mounts) = Mounts::read(Path::new(&format!("/proc/{}/mountinfo", process.pid))) else {
            continue;
        };
        let whose = whose(&mut identities, root, &process, mnt_ns, &cgroups, namespaces);
        found.push(Mounted { pid: process.pid, whose, mounts: mounts.seen_by(&node) });
    }
    let missing = (refused > 0).then(|| format!("{refused} processes of containers may not be looked at"));
    Ok((found, missing.into_iter().collect()))
}

fn whose(
    identities: &mut Identities,
    root: &Root,
    process: &Process,
    mnt_ns: u32,
    cgroups: &[u8],
    node: Namespaces,
) -> Whose {
    let start = process.start().unwrap_or_default();
    let of_path = paths(cgroups).map(|path| {
        let actor = Actor { pid: process.pid, start, mnt_ns, cgroup: path.to_vec(), ..Actor::default() };
        identities.of(root, &actor, node)
    });
    of_path.into_iter().find(|whose| whose.container.is_some()).unwrap_or_default()
}

pub(super) fn check(view: &View<'_>, doors: &Doors) -> Finding {
    let mut finding = Finding::new(&checks::CONTAINERS);
    let (containers, missing) = match view.containers {
        Ok(found) => found,
        Err(why) => {
            finding.unknown(why.clone());
            return finding;
        }
    };
    missing.iter().for_each(|why| finding.unknown(why.clone()));
    for container in containers {
        judge(&mut finding, container, doors, view.rules);
    }
    if containers.is_empty() {
        finding.absent("no container runs here");
    }
    finding
}

fn judge(finding: &mut Finding, container: &Mounted, doors: &Doors, rules: &[Rule]) {
    let name = described(container);
    let mut worst = Pass;
    for (inside, on_node, read_only) in &container.mounts {
        let is_root = on_node == Path::new("/");
        let mut classes: Vec<Class> = doors.reached(on_node).collect();
        classes.sort_unstable();
        classes.dedup();
        classes.retain(|class| !is_expected(rules, *class, &container.whose));
        if classes.is_empty() {
            continue;
        }
        // A socket can be connected to, and a key read, through a mount that nothing can be written to.
        let of_write = |class: &Class| matches!(class, Class::StaticPodManifest | Class::KubeletConfig);
        let result = if *read_only && classes.iter().all(of_write) { Warn } else { Fail };
        let what = if is_root {
            "all of the node's files".to_owned()
        } else {
            classes.iter().map(|class| class.name()).collect::<Vec<_>>().join(", ")
        };
        finding.say(result, format!("{name} has {what}"));
        let value = format!("{}{}", on_node.display(), if *read_only { " (read only)" } else { "" });
        let evidence = Evidence {
            result,
            origin: Origin::Node,
            process: Some(name.clone()),
            file: None,
            file_b64: None,
            key: "mount".to_owned(),
            value: Some(value),
        };
        finding.show(result, evidence.at(inside.as_os_str().as_encoded_bytes()));
        worst = worst.max(result);
    }
    if worst == Pass {
        finding.say(Pass, "containers have no door of the node but those that the policy expects there");
    }
}

/// Some rule of the policy says that this container uses such a door.
fn is_expected(rules: &[Rule], class: Class, whose: &Whose) -> bool {
    let fits = |rule: &&Rule| {
        rule.targets.contains(&class)
            && rule.container.as_ref().is_some_and(|containers| containers.have(whose))
    };
    whose.proven && rules.iter().any(|rule| fits(&rule))
}

fn described(container: &Mounted) -> String {
    use crate::event::text::escaped;
    let Whose { container: own, pod, .. } = &container.whose;
    let part = |part: &Option<String>| part.as_deref().map_or_else(|| "?".to_owned(), escaped);
    let name = own.as_ref().map(|own| escaped(own.name.as_ref().unwrap_or(&own.id)));
    match (pod, name) {
        (Some(pod), Some(name)) => format!("{}/{}/{name}", part(&pod.namespace), part(&pod.name)),
        (Some(pod), None) => format!("{}/{}", part(&pod.namespace), part(&pod.name)),
        (None, Some(name)) => name,
        (None, None) => format!("process {}", container.pid),
    }
}
