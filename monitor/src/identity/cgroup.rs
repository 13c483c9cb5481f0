//! What the path of a cgroup says: which containers a process is in, the outermost first, and of which pod each is.
//!
//! Runtimes and the kubelet choose these names, but so can whoever is given a part of the hierarchy. Nothing here is a proof.

use super::Runtime;

/// A container in a container in a container is as deep as anyone goes.
const CONTAINERS_MAX: usize = 4;

/// containerd takes 76 characters, the others take 64 digits.
const ID_MAX: usize = 76;

/// The longest that a label of the API server can be.
const UID_MAX: usize = 63;

/// A container whose cgroup is on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    pub id: String,
    pub runtime: Option<Runtime>,
    pub pod: Option<PodCgroup>,
    /// Where the name of its cgroup ends in the path.
    pub end: usize,
    /// No such name is usual for anything else.
    pub sure: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodCgroup {
    /// As the API server writes it, or without dashes for a static pod.
    pub uid: String,
    pub qos: Qos,
}

/// The kubelet's class of service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Qos {
    Guaranteed,
    Burstable,
    BestEffort,
}

impl PodCgroup {
    /// A static pod's uid is a hash of its manifest, unless the manifest names another.
    pub fn is_static(&self) -> bool {
        is_static(&self.uid)
    }
}

pub fn is_static(uid: &str) -> bool {
    uid.len() == 32 && uid.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The containers of a path as `/kubepods.slice/…/cri-containerd-ID.scope`.
pub fn containers(path: &[u8]) -> Vec<Named> {
    let mut walk = Walk::default();
    let mut end = 0;
    for (depth, name) in path.split(|byte| *byte == b'/').enumerate() {
        end += name.len() + usize::from(depth > 0);
        // A name that is no text is nobody's.
        let Ok(name) = std::str::from_utf8(name) else {
            walk.before = None;
            continue;
        };
        if let Some(found) = walk.step(name, depth) {
            walk.pod = None;
            walk.found.push(Named { end, ..found });
        }
        walk.before = Some(name);
        if walk.found.len() == CONTAINERS_MAX {
            break;
        }
    }
    walk.found
}

#[derive(Default)]
struct Walk<'a> {
    found: Vec<Named>,
    pod: Option<PodCgroup>,
    /// The name above.
    before: Option<&'a str>,
    /// Beneath the kubelet's cgroups.
    kubepods: bool,
    qos: Option<Qos>,
}

impl Walk<'_> {
    fn step(&mut self, name: &str, depth: usize) -> Option<Named> {
        if let Some((slice, rest)) = name.split_once(':') {
            return self.colons(slice, rest);
        }
        if let Some(scope) = name.strip_suffix(".scope") {
            return self.scope(scope);
        }
        if let Some(slice) = name.strip_suffix(".slice") {
            self.slice(slice);
            return None;
        }
        if name == "kubepods" {
            (self.kubepods, self.qos) = (true, None);
            return None;
        }
        if let Some(uid) = name.strip_prefix("pod").filter(|uid| self.kubepods && is_uid(uid)) {
            self.pod = Some(PodCgroup { uid: uid.to_owned(), qos: self.qos.unwrap_or(Qos::Guaranteed) });
            return None;
        }
        self.qos = qos(name).or(self.qos);
        self.directory(name, depth)
    }

    /// `kubepods-burstable-podUID.slice:cri-containerd:ID`, where a runtime makes a directory of what was meant for systemd.
    fn colons(&mut self, slice: &str, rest: &str) -> Option<Named> {
        let (prefix, id) = rest.split_once(':')?;
        if let Some(slice) = slice.strip_suffix(".slice") {
            self.slice(slice);
        }
        let prefix = PREFIXES.iter().find(|known| known.name == prefix && is_id(id))?;
        Some(self.named(id, prefix.runtime, true))
    }

    /// `cri-containerd-ID.scope`. A monitor's own scope as `crio-conmon-ID.scope` is not the container's.
    fn scope(&self, scope: &str) -> Option<Named> {
        let (prefix, id) = prefixed(scope)?;
        (is_hash(id) || prefix.any_id && is_id(id)).then(|| self.named(id, prefix.runtime, true))
    }

    /// `kubelet-kubepods-burstable-podUID`
    fn slice(&mut self, slice: &str) {
        let mut parts = slice.split('-');
        if !parts.any(|part| part == "kubepods") {
            return;
        }
        self.kubepods = true;
        let Some((above, uid)) = slice.rsplit_once("-pod") else { return };
        // systemd takes a dash for a step down.
        let uid = uid.replace('_', "-");
        if is_uid(&uid) {
            let qos = above.rsplit('-').next().and_then(qos).unwrap_or(Qos::Guaranteed);
            self.pod = Some(PodCgroup { uid, qos });
        }
    }

    /// A container's directory, made without systemd.
    fn directory(&self, name: &str, depth: usize) -> Option<Named> {
        if let Some((prefix, id)) = prefixed(name).filter(|(_, id)| is_hash(id)) {
            return Some(self.named(id, prefix.runtime, true));
        }
        let below_pod = self.pod.is_some() && is_id(name);
        if is_hash(name) || below_pod {
            let runtime = self.before.filter(|before| *before == "docker").and(Some(Runtime::Docker));
            return Some(self.named(name, runtime, true));
        }
        // `/NAMESPACE/ID` is what containerd takes when nobody names another.
        let unit = |name: &str| [".service", ".slice", ".scope"].iter().any(|kind| name.ends_with(kind));
        let plain = |name: &str| is_id(name) && !unit(name) && qos(name).is_none();
        let above = self.before.filter(|before| depth == 2 && plain(before) && plain(name) && !self.kubepods);
        above.map(|_| self.named(name, Some(Runtime::Containerd), false))
    }

    fn named(&self, id: &str, runtime: Option<Runtime>, sure: bool) -> Named {
        Named { id: id.to_owned(), runtime, pod: self.pod.clone(), end: 0, sure }
    }
}

/// What runtimes put before the id.
struct Prefix {
    name: &'static str,
    /// `None` for what several use.
    runtime: Option<Runtime>,
    /// People can choose the id.
    any_id: bool,
}

const PREFIXES: [Prefix; 6] = [
    Prefix { name: "cri-containerd", runtime: Some(Runtime::Containerd), any_id: true },
    Prefix { name: "nerdctl", runtime: Some(Runtime::Containerd), any_id: true },
    Prefix { name: "crio", runtime: Some(Runtime::Crio), any_id: false },
    Prefix { name: "docker", runtime: Some(Runtime::Docker), any_id: false },
    Prefix { name: "libpod", runtime: Some(Runtime::Podman), any_id: false },
    Prefix { name: "crun", runtime: None, any_id: true },
];

/// `PREFIX-ID`
fn prefixed(name: &str) -> Option<(&'static Prefix, &str)> {
    let id = |prefix: &Prefix| name.strip_prefix(prefix.name)?.strip_prefix('-');
    PREFIXES.iter().find_map(|prefix| Some((prefix, id(prefix)?)))
}

fn qos(name: &str) -> Option<Qos> {
    match name {
        "burstable" => Some(Qos::Burstable),
        "besteffort" => Some(Qos::BestEffort),
        _ => None,
    }
}

/// What runtimes give themselves.
fn is_hash(id: &str) -> bool {
    id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// What a runtime takes for an id: it can be joined to a path and leads nowhere else.
fn is_id(id: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    id.len() <= ID_MAX
        && id.bytes().all(inner)
        && id.starts_with(|char: char| char.is_ascii_alphanumeric())
        && id.ends_with(|char: char| char.is_ascii_alphanumeric())
}

fn is_uid(uid: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    !uid.is_empty() && uid.len() <= UID_MAX && uid.bytes().all(inner)
}

#[cfg(test)]
mod tests;
