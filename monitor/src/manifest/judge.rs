//! What deserves attention in a manifest. The node's doors are those of the policy.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use crate::event::{Attention, Manifest, ManifestPod};
use crate::glob::Pattern;
use crate::model::Class;
use crate::target::{Target, What};

/// More in an event help nobody.
const PODS_MAX: usize = 8;
const LIST_MAX: usize = 16;
const TEXT_MAX: usize = 256;

/// Watched paths of the node.
#[derive(Clone, Debug, Default)]
pub struct Doors(Vec<Door>);

#[derive(Clone, Debug)]
struct Door {
    class: Class,
    path: PathBuf,
    /// Of what is below the path, if not all of it.
    pattern: Option<Pattern>,
}

impl Doors {
    pub fn of<'a, T: Iterator<Item = &'a Target>>(targets: T) -> Self {
        let door = |target: &Target| {
            let (path, pattern) = match &target.what {
                What::Path(path) | What::Socket(path) => (path, None),
                What::Glob { base, pattern } | What::Sockets { base, pattern } => {
                    (base, Some(pattern.clone()))
                }
                What::Port { .. } => return None,
            };
            Some(Door { class: target.class, path: plain(path), pattern })
        };
        Self(targets.filter_map(door).collect())
    }

    /// The classes that a host path leads to: it is above a door, is one, or lies in one.
    pub(crate) fn reached(&self, path: &Path) -> impl Iterator<Item = Class> {
        let path = plain(path);
        self.0.iter().filter(move |door| door.is_reached(&path)).map(|door| door.class)
    }

    /// Whether the kubelet looks at a path: it does not look into directories of its directory.
    fn is_looked_at(&self, path: &Path) -> bool {
        let path = plain(path);
        self.0
            .iter()
            .filter(|door| door.class == Class::StaticPodManifest)
            .any(|door| path == door.path || path.parent() == Some(&door.path) || door.pattern.is_some())
    }
}

impl Door {
    fn is_reached(&self, path: &Path) -> bool {
        if self.path.starts_with(path) {
            return true;
        }
        let Ok(below) = path.strip_prefix(&self.path) else { return false };
        self.pattern.as_ref().is_none_or(|pattern| {
            // A directory on the way to files that fit leads to them.
            let depth = u32::try_from(below.components().count()).unwrap_or(u32::MAX);
            pattern.fits(below) || depth < pattern.depth()
        })
    }
}

/// A path without `.`, `..` and doubled slashes, and by the name that /var/run has on every node.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::Normal(name) => plain.push(name),
            Component::ParentDir => {
                plain.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
        if plain == Path::new("/var/run") {
            plain = PathBuf::from("/run");
        }
    }
    plain
}

/// What is to be said of pods.
pub(super) fn judge(pods: Vec<ManifestPod>, doors: &Doors) -> Manifest {
    let mut attention: Vec<_> = pods.iter().flat_map(|pod| of_pod(pod, doors)).collect();
    attention.sort_unstable();
    attention.dedup();
    let mut manifest = Manifest { attention, pods, ..Manifest::default() };
    manifest.omitted += cut(&mut manifest.pods, PODS_MAX);
    for pod in &mut manifest.pods {
        pod.name.iter_mut().for_each(shorten);
        shorten(&mut pod.namespace);
        for list in [&mut pod.host_paths, &mut pod.images] {
            manifest.omitted += cut(list, LIST_MAX);
            list.iter_mut().for_each(shorten);
        }
    }
    manifest
}

fn of_pod(pod: &ManifestPod, doors: &Doors) -> Vec<Attention> {
    let on_host = pod.host_pid || pod.host_network || !pod.host_paths.is_empty();
    let mut attention: Vec<_> = [
        (!pod.namespace_valid, Attention::InvalidNamespace),
        (pod.privileged, Attention::Privileged),
        (pod.privileged && on_host, Attention::PrivilegedOnHost),
        (pod.host_pid, Attention::HostPid),
        (pod.host_network, Attention::HostNetwork),
    ]
    .into_iter()
    .filter_map(|(is_so, attention)| is_so.then_some(attention))
    .collect();
    for path in pod.host_paths.iter().filter(|path| !path.is_empty()).map(Path::new) {
        if plain(path) == Path::new("/") {
            attention.push(Attention::HostPathRoot);
        } else {
            attention.extend(doors.reached(path).map(Attention::host_path));
        }
    }
    attention
}

/// What is to be said of where a manifest is.
pub(super) fn place(manifest: &mut Manifest, path: &Path, doors: &Doors) {
    let name = path.file_name().map(OsStr::as_bytes).unwrap_or_default();
    if name.starts_with(b".") || !doors.is_looked_at(path) {
        manifest.attention.push(Attention::Ignored);
    }
    let dir = path.parent().unwrap_or(Path::new("/"));
    if manifest.link.as_ref().is_some_and(|link| plain(&dir.join(link)).parent() != Some(&plain(dir))) {
        manifest.attention.push(Attention::SymlinkOut);
    }
    manifest.attention.sort_unstable();
    manifest.link.iter_mut().for_each(shorten);
}

fn cut<T>(list: &mut Vec<T>, most: usize) -> u64 {
    let dropped = list.len().saturating_sub(most);
    list.truncate(most);
    dropped as u64
}

fn shorten(text: &mut String) {
    text.truncate(text.floor_char_boundary(TEXT_MAX));
}
