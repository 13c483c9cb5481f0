//! Which container and which pod a process is in, without asking the API server or a runtime.
//!
//! The cgroup names the container, the runtime's configuration of it the pod. Whoever may make cgroups can give one the name of
//! another's container, so a name counts only where the configuration says that the container is there.

mod bundle;
mod cache;
pub mod cgroup;
mod logs;
mod place;
pub(crate) mod spec;
mod v1;

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Instant;

use rustix::fs::OFlags;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::bundle::{Bundles, Found};
use self::cache::Cache;
use self::cgroup::{Named, containers, is_static};
use self::spec::Spec;
use crate::access::Actor;
use crate::node::{Namespaces, Root};

/// What runs containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Runtime {
    Containerd,
    /// CRI-O.
    Crio,
    Docker,
    Podman,
}

/// The container of a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Container {
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime: Option<Runtime>,
    /// Its name in its pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// As the runtime was asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sandbox_id: Option<String>,
}

impl Container {
    /// Every part that someone can make long.
    pub fn strings(&mut self) -> impl Iterator<Item = &mut String> {
        let optional = [&mut self.name, &mut self.image, &mut self.sandbox_id];
        optional.into_iter().flatten().chain([&mut self.id])
    }
}

/// The pod of a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pod {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// It comes from a manifest and not from the API server, as its uid shows: a hash, unless the manifest names another.
    #[serde(rename = "static")]
    pub is_static: bool,
    pub source: Source,
}

impl Pod {
    /// Every part that someone can make long.
    pub fn strings(&mut self) -> impl Iterator<Item = &mut String> {
        [&mut self.namespace, &mut self.name, &mut self.uid].into_iter().flatten()
    }
}

/// What a pod is known by, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The runtime's configuration of the container.
    Bundle,
    /// The uid in the cgroup's name, and the kubelet's directory of logs of that uid.
    LogDirectory,
    /// The cgroup's name alone.
    Cgroup,
}

/// What is known of where a process belongs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Whose {
    pub container: Option<Container>,
    pub pod: Option<Pod>,
    /// The container is the one it seems to be: its runtime put it where the process is.
    pub proven: bool,
    /// What was expected to be there and is not.
    pub errors: Vec<String>,
}

/// Finds out, and remembers for a while.
#[derive(Debug)]
pub struct Identities {
    bundles: Bundles,
    found: Cache<Found>,
    logs: Cache<(String, String)>,
    node_is_container: bool,
    /// /proc shows the node's processes.
    sees_processes: bool,
}

impl Identities {
    /// With the sockets of runtimes that the policy names.
    pub fn new(root: &Root, sockets: &[PathBuf], sees_processes: bool) -> Self {
        // systemd, Docker and podman leave these in a container, as kind's nodes are.
        let marks = ["/run/systemd/container", "/.dockerenv", "/run/.containerenv"];
        let node_is_container = marks.iter().any(|mark| root.open(Path::new(mark), OFlags::PATH).is_ok());
        let bundles = Bundles::new(sockets);
        Self { bundles, found: Cache::default(), logs: Cache::default(), node_is_container, sees_processes }
    }

    /// The policy names other sockets now.
    pub fn look_beside(&mut self, sockets: &[PathBuf]) {
        self.bundles = Bundles::new(sockets);
        self.found = Cache::default();
    }

    pub fn of(&mut self, root: &Root, actor: &Actor, node: Namespaces) -> Whose {
        let in_other_mounts = actor.mnt_ns != node.mnt;
        // Without a mount namespace of its own, only a name that is usual for nothing else is a container's.
        let look = |path: &[u8]| -> Vec<_> {
            containers(path).into_iter().filter(|named| named.sure || in_other_mounts).collect()
        };
        let named = look(&actor.cgroup);
        if !named.is_empty() || !in_other_mounts || !self.sees_processes {
            return self.among(root, &actor.cgroup, &named);
        }
        // Where the runtime uses the old hierarchies, the new one says nothing.
        for path in v1::paths(actor).unwrap_or_default() {
            let whose = self.among(root, &path, &look(&path));
            if whose != Whose::default() {
                return whose;
            }
        }
        Whose::default()
    }

    /// The outermost container that is the node's. What is above it is there when the node is a container itself; what is below
    /// it was named by the container.
    fn among(&mut self, root: &Root, path: &[u8], named: &[Named]) -> Whose {
        let now = Instant::now();
        for container in named {
            let bundles = &self.bundles;
            let Some(found) = self.found.get(&container.id, now, || bundles.find(root, &container.id)) else {
                continue;
            };
            let end = path.get(..container.end).unwrap_or_default();
            let in_node = self.node_is_container && named.first() != Some(container);
            return match &found.spec {
                Ok(spec) if place::is_at(end, &spec.cgroup, in_node) => {
                    self.known(root, container, found.runtime, spec, now)
                }
                Ok(_) => misplaced(container),
                Err(why) => {
                    let whose = self.unknown(root, container, now);
                    Whose { errors: vec![why.clone()], ..whose }
                }
            };
        }
        let sure = || named.iter().filter(|named| named.sure);
        let Some(container) = sure().find(|named| named.pod.is_some()).or(sure().next()) else {
            return Whose::default();
        };
        let why = format!("the configuration of container {} is not there", container.id);
        Whose { errors: vec![why], ..self.unknown(root, container, now) }
    }

    fn known(&mut self, root: &Root, named: &Named, runtime: Runtime, spec: &Spec, now: Instant) -> Whose {
        let container = Container {
            id: named.id.clone(),
            runtime: Some(runtime),
            name: spec.container.clone(),
            image: spec.image.clone(),
            sandbox_id: spec.sandbox_id.clone(),
        };
        let of_cgroup = named.pod.as_ref().map(|pod| pod.uid.clone());
        let pod = if spec.pod.is_some() || spec.namespace.is_some() {
            let uid = spec.uid.clone().or(of_cgroup);
            Some(Pod {
                namespace: spec.namespace.clone(),
                name: spec.pod.clone(),
                is_static: uid.as_deref().is_some_and(is_static),
                uid,
                source: Source::Bundle,
            })
        } else {
            of_cgroup.map(|uid| self.pod(root, uid, now))
        };
        Whose { container: Some(container), pod, proven: true, errors: Vec::new() }
    }

    /// By the names of the cgroups alone.
    fn unknown(&mut self, root: &Root, named: &Named, now: Instant) -> Whose {
        let pod = named.pod.as_ref().map(|pod| self.pod(root, pod.uid.clone(), now));
        Whose { container: Some(bare(named)), pod, proven: false, errors: Vec::new() }
    }

    fn pod(&mut self, root: &Root, uid: String, now: Instant) -> Pod {
        let logged: Option<Rc<_>> = self.logs.get(&uid, now, || logs::pod(root, &uid));
        let source = if logged.is_some() { Source::LogDirectory } else { Source::Cgroup };
        let (namespace, name) = logged.map(|names| (*names).clone()).unzip();
        Pod { namespace, name, is_static: is_static(&uid), uid: Some(uid), source }
    }
}

fn bare(named: &Named) -> Container {
    Container { id: named.id.clone(), runtime: named.runtime, name: None, image: None, sandbox_id: None }
}

/// How it is told that a cgroup has a name it should not have.
pub(crate) const MISPLACED: &str = "the cgroup has the name of container ";

/// Nothing is said of the container: it is another.
fn misplaced(named: &Named) -> Whose {
    let why = format!("{MISPLACED}{}, which its runtime put elsewhere", named.id);
    Whose { errors: vec![why], ..Whose::default() }
}

impl Runtime {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Containerd => "containerd",
            Self::Crio => "crio",
            Self::Docker => "docker",
            Self::Podman => "podman",
        }
    }
}

#[cfg(test)]
mod tests;
