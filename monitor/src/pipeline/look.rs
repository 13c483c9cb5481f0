//! Looking at the node again: what the targets are now, which files rules mean, which addresses it has.

use std::io;
use std::time::{Duration, Instant};

use tokio::time::sleep_until;

use super::Handler;
use crate::event::Lifecycle;
use crate::model::Severity;
use crate::node::{self, Lives};
use crate::watch::{Change, State};

/// Least time between two looks at the allowed executables that nobody waits for, however often something happens to one.
const LOOK_SOON: Duration = Duration::from_millis(20);

impl Handler {
    /// Looks at the node again.
    pub(super) fn refresh(&mut self) {
        // What was told until now is about the node as it was known.
        self.hear();
        match self.keeper.refresh(&mut self.kernel) {
            Ok(changes) => changes.into_iter().for_each(|change| self.report(change)),
            Err(error) => {
                tracing::error!(%error, "cannot look at the targets again; what is watched stays watched");
            }
        }
        self.look_at_executables();
        self.addresses.read_again();
    }

    pub(super) fn look_at_executables(&mut self) {
        // What ended until now is not what is found now.
        self.hear_of_executables();
        let Self { kernel, keeper, lives, exes, .. } = self;
        match node::executables::resolve(kernel, keeper.root(), lives, exes) {
            Ok(changes) => self.read_executables(changes),
            Err(error) => tracing::error!(%error, "cannot look at the allowed executables"),
        }
        self.guard();
        self.exes_seen = Instant::now();
        self.exes_changed = false;
    }

    /// Forgets executables that are no more.
    pub(super) fn hear_of_executables(&mut self) {
        let fates = self.lives.read();
        self.exes.forget(&fates);
        self.exes_changed |= fates.any;
    }

    /// Waits until an allowed executable is another one. Safe to cancel.
    pub(super) async fn executables_changed(lives: &Lives, seen: Instant) -> io::Result<()> {
        sleep_until((seen + LOOK_SOON).into()).await;
        lives.changed().await
    }

    /// Tells the kernel which processes nobody is to take control of.
    pub(super) fn guard(&mut self) {
        if let Err(error) = self.kernel.guard(self.exes.keys()) {
            tracing::error!(%error, "cannot watch who takes control of allowed processes");
        }
    }

    fn report(&mut self, change: Change) {
        let Some(target) = self.keeper.target(change.target) else { return };
        let (class, name) = (target.class, target.name());
        let (lifecycle, severity, message) = match change.state {
            State::Armed => (
                Lifecycle::TargetArmed { class, target: name.clone() },
                Severity::Info,
                format!("watching {class} {name}"),
            ),
            State::Waiting(why) => (
                Lifecycle::TargetLost { class, target: name.clone(), why: why.clone() },
                Severity::Medium,
                format!("{class} {name} is gone: {why}"),
            ),
        };
        self.emit_lifecycle(lifecycle, severity, message);
    }
}
