//! What to look for: the watched objects as /proc and the kernel's lists of sockets show them.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use monitor_abi::watch::{WATCH_INBOUND, WATCH_SELF, WATCH_TREE};

use super::sockets::bound;
use super::unix::Bound;
use crate::access::{ObjectKey, TargetId};
use crate::decide::ExeTable;
use crate::node::{FileId, Mounts, Namespaces};
use crate::target::{Target, What};
use crate::watch::Keeper;

/// Everything that a snapshot needs to know, to be taken on a thread of its own.
#[derive(Debug, Default)]
pub struct Wanted {
    /// Files and directories.
    pub(super) files: HashMap<FileId, (TargetId, ObjectKey)>,
    /// Devices that such are on.
    pub(super) devices: HashSet<u64>,
    /// Directories, where everything beneath counts.
    pub(super) trees: Vec<(PathBuf, TargetId)>,
    pub(super) sockets: HashMap<Bound, (TargetId, ObjectKey)>,
    pub(super) ports: HashMap<u16, Port>,
    /// Executables that rules name.
    pub(super) exes: HashMap<FileId, ObjectKey>,
    pub(super) mounts: Mounts,
    /// What is known of files whose number alone does not say which they are.
    pub(super) exact: HashMap<FileId, ObjectKey>,
    /// Files that hold network namespaces.
    pub(super) namespaces: Vec<PathBuf>,
    pub(super) node: Namespaces,
    /// The daemon, as /proc names it.
    pub(super) own_pid: u32,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Port {
    pub target: TargetId,
    /// Connections from elsewhere count, too.
    pub inbound: bool,
}

impl Wanted {
    /// What is armed now.
    pub fn new(keeper: &Keeper, exes: &ExeTable, node: Namespaces) -> Self {
        let plan = keeper.plan();
        let watch = |key: &ObjectKey| {
            let watch = plan.desired.objects.get(key)?;
            (watch.flags & (WATCH_SELF | WATCH_TREE) != 0).then_some((TargetId(watch.target), *key))
        };
        let is_socket = |id: TargetId| keeper.target(id).is_some_and(Target::is_socket);
        let (mut files, mut sockets) = (HashMap::new(), HashMap::new());
        for (key, (id, key_watched)) in plan.desired.objects.keys().filter_map(|key| Some((key, watch(key)?)))
        {
            if is_socket(id) {
                sockets.insert(bound(*key), (id, key_watched));
            }
        }
        for (file, key) in &plan.ids {
            if let Some((id, key)) = watch(key).filter(|(id, _)| !is_socket(*id)) {
                files.insert(*file, (id, key));
            }
        }
        let ports = plan.desired.ports.iter().filter_map(|(port, watch)| {
            let inbound = watch.flags & WATCH_INBOUND != 0;
            Some((u16::try_from(*port).ok()?, Port { target: TargetId(watch.target), inbound }))
        });
        let root = keeper.root().path();
        Self {
            devices: files.keys().map(|file: &FileId| file.dev).collect(),
            files,
            trees: trees(keeper),
            exact: plan
                .ids
                .iter()
                .filter(|(_, key)| key.generation != 0)
                .map(|(id, key)| (*id, *key))
                .collect(),
            sockets,
            ports: ports.collect(),
            exes: exes.ids().collect(),
            namespaces: plan.mounts.held_namespaces().map(|point| below(root, point)).collect(),
            mounts: plan.mounts.clone(),
            node,
            own_pid: own_pid(),
        }
    }

    /// What of it belongs to some targets.
    pub fn of(mut self, targets: &HashSet<TargetId>) -> Self {
        self.files.retain(|_, (id, _)| targets.contains(id));
        self.devices = self.files.keys().map(|file| file.dev).collect();
        self.trees.retain(|(_, id)| targets.contains(id));
        self.sockets.retain(|_, (id, _)| targets.contains(id));
        self.ports.retain(|_, port| targets.contains(&port.target));
        self
    }
}

/// Where the targets are and where they really are, the innermost first.
fn trees(keeper: &Keeper) -> Vec<(PathBuf, TargetId)> {
    let mut trees = Vec::new();
    for (id, target) in keeper.targets() {
        if let What::Path(path) | What::Glob { base: path, .. } = &target.what {
            trees.push((path.clone(), id));
            trees.extend(keeper.plan().real.get(&id.0).map(|real| (real.clone(), id)));
        }
    }
    trees.sort_by_key(|(path, _)| std::cmp::Reverse(path.components().count()));
    trees
}

fn below(root: &std::path::Path, point: &std::path::Path) -> PathBuf {
    root.join(point.strip_prefix("/").unwrap_or(point))
}

/// The daemon's number in the namespace that /proc shows.
fn own_pid() -> u32 {
    let own = std::fs::read_link("/proc/self").ok();
    own.and_then(|own| own.to_str()?.parse().ok()).unwrap_or_else(std::process::id)
}
