//! Keeps the kernel's tables true while the node changes.

use std::collections::HashSet;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use monitor_abi::probe::News;
use thiserror::Error;
use tokio::time::Instant;

use super::notice::Notices;
use super::place::bytes;
use super::plan::{Plan, State, plan};
use super::targets::Targets;
use crate::access::{Actor, Object, ObjectKey, TargetId, UnixObject};
use crate::decode::Decoded;
use crate::event::Facts;
use crate::kernel::{Kernel, LoadError, TableError};
use crate::model::{Action, Class};
use crate::node::{self, Namespaces, Root};
use crate::target::{Target, What};

/// Least time between two plans. The kernel goes on matching directories and names meanwhile.
const PAUSE: Duration = Duration::from_millis(20);

/// At most a tenth of the time goes into plans: a directory that changes all the time must not cost a CPU.
const SHARE: u32 = 10;

/// A plan is due after this time in any case: not everything that can happen to a path is noticed, mounts are not.
const RESCAN: Duration = Duration::from_secs(10);

/// No mount and no creation of a file takes longer from the hook to its end.
const SETTLED: Duration = Duration::from_secs(2);

#[derive(Debug, Error)]
pub enum WatchError {
    #[error(transparent)]
    Kernel(#[from] LoadError),
    #[error(transparent)]
    Table(#[from] TableError),
    #[error("cannot watch directories for changes: {0}")]
    Notices(#[source] io::Error),
}

/// A target whose state changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub target: TargetId,
    pub state: State,
}

pub struct Keeper {
    root: Root,
    targets: Targets,
    inbound: Vec<Class>,
    plan: Plan,
    notices: Notices,
    planned: Instant,
    pause: Duration,
    /// What the kernel side noted and the tables may not show yet, and since when that is known.
    news: Option<(News, Instant)>,
}

impl Keeper {
    /// Arms what can be armed now.
    pub fn new(
        kernel: &mut Kernel,
        root: Root,
        targets: Vec<Target>,
        inbound: Vec<Class>,
    ) -> Result<Self, WatchError> {
        let notices = Notices::new(root.mountinfo()).map_err(WatchError::Notices)?;
        let (plan, planned) = (Plan::default(), Instant::now());
        let targets = Targets::new(targets);
        let mut keeper = Self { root, targets, inbound, plan, notices, planned, pause: PAUSE, news: None };
        keeper.refresh(kernel)?;
        Ok(keeper)
    }

    /// Whether a rule says who of elsewhere may connect to the class.
    pub fn expects_clients(&self, class: Class) -> bool {
        self.inbound.contains(&class)
    }

    /// Looks at the node again, and returns the targets that were armed or lost since.
    pub fn refresh(&mut self, kernel: &mut Kernel) -> Result<Vec<Change>, WatchError> {
        let started = Instant::now();
        let news = kernel.news()?;
        kernel.listener_mut().begin();
        let mut new = plan(kernel, &self.root, &self.targets, &self.inbound)?;
        kernel.listener_mut().end(|| new.paths_of(&self.targets));
        let known = &self.plan.desired.objects;
        let kept = self.notices.set(std::mem::take(&mut new.notices), |key| known.contains_key(key));
        self.keep(&kept, &mut new);
        new.keep_above(&mut self.plan);
        new.keep_missing(&mut self.plan);
        kernel.watch(&new.desired)?;
        self.settle(kernel, news, started)?;
        let is_armed = |plan: &Plan, id| plan.state(id) == Some(&State::Armed);
        let changes = (0..)
            .zip(&new.states)
            .filter(|(id, state)| (**state == State::Armed) != is_armed(&self.plan, *id))
            .map(|(id, state)| Change { target: TargetId(id), state: state.clone() })
            .collect();
        self.plan = new;
        self.planned = Instant::now();
        self.pause = PAUSE.max(started.elapsed() * SHARE);
        Ok(changes)
    }

    /// Objects that are not where they were but still exist: whoever holds or finds them uses the same door.
    fn keep(&self, kept: &HashSet<ObjectKey>, new: &mut Plan) {
        for key in kept {
            if new.paths.contains_key(key) {
                continue;
            }
            let (Some(watch), Some(path)) = (self.plan.desired.objects.get(key), self.plan.paths.get(key))
            else {
                continue;
            };
            new.keep_object(*key, *watch);
            new.paths.insert(*key, path.clone());
        }
    }

    /// The kernel side notes a change when it begins. Only what was noted a while ago is over, and in the plan.
    fn settle(&mut self, kernel: &mut Kernel, news: News, now: Instant) -> Result<(), TableError> {
        match self.news {
            Some((noted, since)) if noted == news => {
                if now.duration_since(since) >= SETTLED {
                    kernel.seen(news)?;
                }
            }
            _ => self.news = Some((news, now)),
        }
        Ok(())
    }

    /// Takes the targets of another policy, and returns those that are new; the next plan arms them.
    pub fn replace(
        &mut self,
        inbound: Vec<Class>,
        targets: impl Iterator<Item = Target>,
    ) -> HashSet<TargetId> {
        self.inbound = inbound;
        let new = self.targets.replace(targets);
        self.plan.forget(|id| !self.targets.has(id));
        new
    }

    /// Whether the policy that holds now has it.
    pub fn has(&self, id: TargetId) -> bool {
        self.targets.has(id.0)
    }

    /// The targets that are now about a place that one was about which the policy no longer has.
    pub fn heirs(&self, former: &Target, path: &[u8], decoded: &Decoded) -> Vec<TargetId> {
        let above = match &decoded.access.object {
            Object::File(file) if decoded.ancestor => {
                self.plan.mounts.on_node(file.key.dev, bytes(&file.path_inside))
            }
            Object::Mount(mount) if decoded.ancestor => Some(bytes(&mount.path_seen).to_owned()),
            _ => None,
        };
        let succeeds = |target: &Target| match &above {
            Some(above) => target.path().is_some_and(|path| path.starts_with(above)),
            None => target.succeeds(former, bytes(path)),
        };
        let heirs = self.targets.iter().filter(|(_, target)| succeeds(target));
        heirs.map(|(id, _)| TargetId(id)).collect()
    }

    /// Takes other targets under the same policy.
    pub fn retarget(&mut self, targets: impl Iterator<Item = Target>) -> HashSet<TargetId> {
        self.replace(self.inbound.clone(), targets)
    }

    /// Waits until a new plan is due. Safe to cancel.
    pub async fn due(&mut self) {
        let earliest = self.planned + self.pause;
        let settling = self.news.is_some_and(|(_, since)| self.planned < since + SETTLED);
        let latest = earliest.max(self.planned + if settling { SETTLED } else { RESCAN });
        tokio::time::sleep_until(earliest).await;
        tokio::select! {
            changed = self.notices.changed() => {
                if let Err(error) = changed {
                    tracing::warn!(%error, "cannot read changes of directories");
                    tokio::time::sleep_until(latest).await;
                }
            }
            () = tokio::time::sleep_until(latest) => {}
        }
    }

    pub fn root(&self) -> &Root {
        &self.root
    }

    pub fn target(&self, id: TargetId) -> Option<&Target> {
        self.targets.get(id)
    }

    /// The targets below an object; the given one at least.
    pub fn below(&self, id: TargetId, object: &Object) -> Vec<TargetId> {
        let key = match object {
            Object::File(file) => Some(file.key),
            Object::Mount(mount) => Some(mount.key),
            Object::UnixSocket(_) | Object::InetSocket(_) | Object::Process(_) => None,
        };
        match key.and_then(|key| self.plan.above.get(&key)) {
            Some(above) => above.targets.iter().copied().map(TargetId).collect(),
            None => vec![id],
        }
    }

    /// The directory above targets that an access removed before the daemon knew that it was there again: until then, it is the first
    /// name that is missing. Of hooks only, because fanotify tells it once more.
    pub fn removed_above(&self, decoded: &Decoded) -> Option<Vec<u8>> {
        let (Action::Unlink, Object::File(file), true, false) =
            (decoded.access.action, &decoded.access.object, decoded.hooked, decoded.ancestor)
        else {
            return None;
        };
        let place = self.plan.mounts.on_node(file.key.dev, bytes(&file.path_inside))?;
        let is_above = self.plan.above.get(&file.key).is_some_and(|above| above.path == place);
        is_above.then(|| place.into_os_string().into_vec())
    }

    /// The socket target that a path leads to, as an actor named it.
    pub fn named(&self, socket: &UnixObject, actor: &Actor, node: Namespaces) -> Option<TargetId> {
        let named = node::socket_at(&self.root, &socket.path_named, actor, node)?;
        let is_it = |id: u32, target: &Target| match &target.what {
            What::Socket(path) => node::file_id(&self.root, path) == Some(named),
            What::Sockets { .. } => {
                let watch = self.plan.ids.get(&named).and_then(|key| self.plan.desired.objects.get(key));
                watch.is_some_and(|watch| watch.target == id)
            }
            What::Path(_) | What::Glob { .. } | What::Port { .. } => false,
        };
        self.targets.iter().find(|(id, target)| is_it(*id, target)).map(|(id, _)| TargetId(id))
    }

    /// The target at or above a path of the node, the nearest one, and how many names the path lies below it.
    pub fn around(&self, path: &Path) -> Option<(TargetId, u32)> {
        let found = self.targets.nearest_first().into_iter().find_map(|(id, target)| {
            let own = target.path()?;
            let real = self.plan.real.get(&id).map_or(own, PathBuf::as_path);
            let rest = path.strip_prefix(own).or_else(|_| path.strip_prefix(real)).ok()?;
            Some((TargetId(id), rest.components().count()))
        });
        found.and_then(|(id, below)| Some((id, u32::try_from(below).ok()?)))
    }

    /// The targets of the policy, by number.
    pub fn targets(&self) -> impl Iterator<Item = (TargetId, &Target)> {
        self.targets.iter().map(|(id, target)| (TargetId(id), target))
    }

    /// Every target with its state.
    pub fn states(&self) -> impl Iterator<Item = (&Target, &State)> {
        self.targets.iter().filter_map(|(id, target)| Some((target, self.plan.state(id)?)))
    }

    /// Whether what has the number of a watched object is that object, and was at that time (nanoseconds since 1970). Its generation alone proves nothing: on ext4, whoever owns
    /// a file may be able to change that of a living one (`EXT4_IOC_SETVERSION`).
    pub fn is_itself(&self, object: &Object, since: i128) -> bool {
        object.key().is_none_or(|key| self.plan.is_there(&self.root, key, since))
    }

    /// Completes which object it was, where a number does not say it.
    pub fn tell_apart(&self, decoded: &mut Decoded) {
        if let Some(key) = decoded.access.object.key_mut()
            && self.plan.exact.contains(&key.dev)
        {
            key.generation = decoded.generation;
        }
    }

    /// The target an access belongs to, which is not always the one whose directory it was found in.
    pub fn owner(&self, id: TargetId, decoded: &Decoded, facts: &Facts) -> Option<&Target> {
        self.target(self.plan.owner(&self.targets, id, decoded, facts)?)
    }

    pub fn plan(&self) -> &Plan {
        &self.plan
    }
}
