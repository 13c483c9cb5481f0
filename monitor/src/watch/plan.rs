//! What the kernel is to watch for a list of targets, as the node looks now. It is made anew at every change and applied as
//! a difference.

use std::collections::{HashMap, HashSet};
use std::mem;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use monitor_abi::watch::{NameKey, WATCH_INBOUND, WATCH_NAMES, WATCH_SELF, WATCH_TREE, Watch};
use rustix::fs::fstat;

use super::arm::Arming;
use super::notice::Notice;
use super::targets::Targets;
use crate::access::ObjectKey;
use crate::kernel::{Desired, Kernel, LoadError};
use crate::model::Class;
use crate::node::{FileId, Mounts, Root};
use crate::target::What;

/// Whether a target is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    Armed,
    /// Not there yet, or not what it should be; it is armed as soon as that changes.
    Waiting(String),
}

#[derive(Debug, Default)]
pub struct Plan {
    pub desired: Desired,
    /// One for each target, in order.
    pub states: Vec<State>,
    /// Paths on the node of the files known by their object.
    pub paths: HashMap<ObjectKey, PathBuf>,
    /// What stat(2) shows of those objects, which is not always what the kernel holds.
    pub ids: HashMap<FileId, ObjectKey>,
    /// Which of those that have the same number one after the other they are, as far as they were looked at.
    pub generations: HashMap<ObjectKey, u32>,
    /// Devices on which the generation is a part of what an object is known by.
    pub exact: HashSet<u32>,
    /// The first part that is missing, of the path of a target that does not exist yet.
    pub places: HashMap<u32, PathBuf>,
    /// Such parts that were missing a moment ago: what was made beneath them then may be told only now.
    pub came: HashMap<(u32, PathBuf), Instant>,
    /// Where the path of a target really leads, if through a symbolic link.
    pub real: HashMap<u32, PathBuf>,
    /// Directories above targets.
    pub above: HashMap<ObjectKey, Above>,
    /// Directories in which a change means that a new plan is due.
    pub notices: Vec<Notice>,
    pub mounts: Mounts,
}

/// A directory above targets.
#[derive(Debug)]
pub struct Above {
    pub path: PathBuf,
    pub targets: Vec<u32>,
    /// When it was last found there.
    pub found: Instant,
}

/// Marks an entry of the map of objects that is not a target itself.
const NO_TARGET: u32 = u32::MAX;

/// Looks at every target through the kernel. Of the classes of `inbound`, connections from elsewhere count, too.
pub fn plan(
    kernel: &mut Kernel,
    root: &Root,
    targets: &Targets,
    inbound: &[Class],
) -> Result<Plan, LoadError> {
    let mounts = Mounts::read(root.mountinfo()).unwrap_or_else(|error| {
        tracing::warn!(%error, "cannot read the node's mounts: some paths will be those inside a file system");
        Mounts::default()
    });
    let left_out = State::Waiting("the policy does not name it any more".to_owned());
    let exact = mounts.in_parts().collect();
    let mut plan = Plan { mounts, exact, states: vec![left_out; targets.count()], ..Plan::default() };
    for (id, target) in targets.nearest_first() {
        let contents = target.is_cut();
        let mut arming = Arming { kernel, root, plan: &mut plan, id, contents };
        let state = match &target.what {
            What::Path(path) => arming.path(path)?,
            What::Glob { base, pattern } => arming.glob(base, pattern)?,
            What::Socket(path) => arming.socket(path)?,
            What::Sockets { base, pattern } => arming.sockets(base, pattern)?,
            What::Port { port, .. } => {
                let flags = if inbound.contains(&target.class) { WATCH_INBOUND } else { 0 };
                plan.desired.ports.entry(u32::from(*port)).or_insert(Watch {
                    target: id,
                    flags,
                    generation: 0,
                });
                State::Armed
            }
        };
        if let Some(known) = usize::try_from(id).ok().and_then(|id| plan.states.get_mut(id)) {
            *known = state;
        }
    }
    Ok(plan)
}

impl Plan {
    pub fn state(&self, id: u32) -> Option<&State> {
        self.states.get(usize::try_from(id).ok()?)
    }

    /// Adds a watch; where two targets share an object, the first keeps it.
    pub(super) fn object(&mut self, key: ObjectKey, target: u32, flags: u32) {
        let watch = self.entry(key);
        if watch.target == NO_TARGET {
            watch.target = target;
        }
        if watch.target == target {
            watch.flags |= flags;
        }
    }

    /// The same for one that is not where it was.
    pub(super) fn keep_object(&mut self, key: ObjectKey, known: Watch) {
        self.keep_exact(key);
        self.object(key, known.target, known.flags & (WATCH_SELF | WATCH_TREE));
        if !self.generations.contains_key(&key) {
            self.entry(key).generation = known.generation;
        }
    }

    /// What has a generation in its key is on such a device, also when that is not mounted here any more.
    fn keep_exact(&mut self, key: ObjectKey) {
        if key.generation != 0 {
            self.exact.insert(key.dev);
        }
    }

    fn entry(&mut self, key: ObjectKey) -> &mut Watch {
        let generation = self.generations.get(&key).copied().unwrap_or_default();
        self.desired.objects.entry(key).or_insert(Watch { target: NO_TARGET, flags: 0, generation })
    }

    /// Remembers as what else an object is known.
    pub(super) fn id(&mut self, fd: &OwnedFd, keys: &[ObjectKey]) {
        if let (Ok(stat), Some(key)) = (fstat(fd), keys.first()) {
            self.ids.entry(FileId::from(&stat)).or_insert(*key);
        }
    }

    /// Adds a watch on a name inside a directory. `false` when the name is too long for the kernel's table.
    pub(super) fn name(&mut self, dir: ObjectKey, name: &[u8], target: u32) -> bool {
        let Some(key) = NameKey::new(dir, name) else { return false };
        self.desired.names.entry(key).or_insert(target);
        self.entry(dir).flags |= WATCH_NAMES;
        true
    }

    /// Adds a directory above a target.
    pub(super) fn above(&mut self, dir: ObjectKey, path: &Path, target: u32) {
        self.desired.ancestors.entry(dir).or_insert(target);
        let above = self.above.entry(dir).or_insert_with(|| Above {
            path: path.to_owned(),
            targets: Vec::new(),
            found: Instant::now(),
        });
        if !above.targets.contains(&target) {
            above.targets.push(target);
        }
    }
}

impl Plan {
    /// Paths of targets, where they are said to be and where they really are.
    pub(super) fn paths_of(&self, targets: &Targets) -> Vec<PathBuf> {
        let own = targets.iter().filter_map(|(_, target)| target.path()).map(Path::to_owned);
        let mut paths: Vec<_> = own.chain(self.real.values().cloned()).collect();
        paths.sort();
        paths.dedup();
        paths
    }
}

impl Plan {
    /// Forgets targets that the policy no longer has, so that nothing of theirs is kept for the next plan.
    pub(super) fn forget(&mut self, gone: impl Fn(u32) -> bool) {
        self.desired.objects.retain(|_, watch| !gone(watch.target));
        self.above.retain(|_, above| {
            above.targets.retain(|id| !gone(*id));
            !above.targets.is_empty()
        });
        self.places.retain(|id, _| !gone(*id));
        self.came.retain(|(id, _), _| !gone(*id));
        self.real.retain(|id, _| !gone(*id));
    }
}

impl Plan {
    /// A directory that was above a target a moment ago may be so again before the next plan: it was renamed and comes back, or what
    /// covered it goes.
    pub(super) fn keep_above(&mut self, old: &mut Self) {
        for (dir, above) in old.above.drain() {
            let room = self.above.len() < MOST_ABOVE;
            if room && above.found.elapsed() < KEPT && !self.above.contains_key(&dir) {
                if let Some(target) = above.targets.first() {
                    self.desired.ancestors.entry(dir).or_insert(*target);
                }
                self.keep_exact(dir);
                self.above.insert(dir, above);
            }
        }
    }
}

impl Plan {
    /// Remembers which names were missing in the plan before.
    pub(super) fn keep_missing(&mut self, old: &mut Self) {
        self.came = mem::take(&mut old.came);
        self.came.retain(|_, since| since.elapsed() < KEPT);
        let came = old.places.drain().filter(|(id, name)| self.places.get(id) != Some(name));
        let room = MOST_CAME.saturating_sub(self.came.len());
        self.came.extend(came.take(room).map(|place| (place, Instant::now())));
    }
}

/// How long it counts what was so in an earlier plan.
const KEPT: Duration = Duration::from_secs(60);
/// With those that are kept. Whoever makes such directories all the time must not fill the kernel's table.
const MOST_ABOVE: usize = 256;
const MOST_CAME: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_object_stays_with_its_first_target() {
        let mut plan = Plan::default();
        let dir = ObjectKey::new(1, 2);
        assert!(plan.name(dir, b"a.sock", 3));
        plan.object(dir, 5, 2);
        plan.object(dir, 6, 1);
        assert_eq!(plan.desired.objects[&dir], Watch { target: 5, flags: WATCH_NAMES | 2, generation: 0 });
    }

    #[test]
    fn what_was_of_a_target_goes_with_it() {
        let mut plan = Plan::default();
        let [own, dir, other] = [1, 2, 3].map(|ino| ObjectKey::new(1, ino));
        plan.object(own, 3, 1);
        plan.object(other, 4, 1);
        plan.above(dir, Path::new("/etc"), 3);
        plan.above(other, Path::new("/"), 3);
        plan.above(other, Path::new("/"), 4);
        plan.forget(|id| id == 3);
        assert_eq!(plan.desired.objects.keys().collect::<Vec<_>>(), [&other]);
        assert_eq!(plan.above.keys().collect::<Vec<_>>(), [&other]);
        let mut next = Plan::default();
        next.keep_above(&mut plan);
        assert_eq!(next.desired.ancestors, [(other, 4)].into());
    }

    #[test]
    fn a_directory_is_above_many_targets() {
        let mut plan = Plan::default();
        let dir = ObjectKey::new(1, 2);
        for target in [3, 4, 3] {
            plan.above(dir, Path::new("/etc"), target);
        }
        assert_eq!(plan.above[&dir].targets, [3, 4]);
    }
}
