//! Keeps the kernel's tables true while the node changes.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;
use tokio::time::Instant;

use super::notice::Notices;
use super::plan::{Plan, State, plan};
use crate::access::{FileObject, TargetId};
use crate::kernel::{Kernel, LoadError, TableError};
use crate::node::Root;
use crate::target::Target;

/// Least time between two plans. The kernel goes on matching directories and names meanwhile.
const PAUSE: Duration = Duration::from_millis(20);

/// At most a tenth of the time goes into plans: a directory that changes all the time must not cost a CPU.
const SHARE: u32 = 10;

/// A plan is due after this time in any case: not everything that can happen to a path is noticed, mounts are not.
const RESCAN: Duration = Duration::from_secs(10);

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
    targets: Vec<Target>,
    plan: Plan,
    notices: Notices,
    planned: Instant,
    pause: Duration,
}

impl Keeper {
    /// Arms what can be armed now.
    pub fn new(kernel: &mut Kernel, root: Root, targets: Vec<Target>) -> Result<Self, WatchError> {
        let notices = Notices::new().map_err(WatchError::Notices)?;
        let mut keeper =
            Self { root, targets, plan: Plan::default(), notices, planned: Instant::now(), pause: PAUSE };
        keeper.refresh(kernel)?;
        Ok(keeper)
    }

    /// Looks at the node again, and returns the targets that were armed or lost since.
    pub fn refresh(&mut self, kernel: &mut Kernel) -> Result<Vec<Change>, WatchError> {
        let started = Instant::now();
        let mut new = plan(kernel, &self.root, &self.targets)?;
        kernel.watch(&new.desired)?;
        self.notices.set(std::mem::take(&mut new.notices));
        let changes = (0..)
            .zip(&new.states)
            .zip(&self.plan.states)
            .filter(|((_, new), old)| armed(new) != armed(old))
            .map(|((id, state), _)| Change { target: TargetId(id), state: state.clone() })
            .collect();
        self.plan = new;
        self.planned = Instant::now();
        self.pause = PAUSE.max(started.elapsed() * SHARE);
        Ok(changes)
    }

    /// Waits until a new plan is due. Safe to cancel.
    pub async fn due(&mut self) {
        let earliest = self.planned + self.pause;
        let latest = earliest.max(self.planned + RESCAN);
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
        self.targets.get(usize::try_from(id.0).ok()?)
    }

    /// Every target with its state.
    pub fn states(&self) -> impl Iterator<Item = (&Target, &State)> {
        self.targets.iter().zip(&self.plan.states)
    }

    pub fn path_on_node(&self, id: TargetId, file: &FileObject, below: u32) -> Option<PathBuf> {
        self.plan.path_on_node(&self.targets, id, file, below)
    }
}

fn armed(state: &State) -> bool {
    *state == State::Armed
}
