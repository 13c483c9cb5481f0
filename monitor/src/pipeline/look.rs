//! Looking at the node again: what the targets are now, which files rules mean, which addresses it has.

use std::time::Instant;

use super::Handler;
use crate::event::Lifecycle;
use crate::model::Severity;
use crate::node;
use crate::watch::{Change, State};

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
        self.look_at_addresses();
    }

    pub(super) fn look_at_executables(&mut self) {
        if let Err(error) = node::executables::resolve(&mut self.kernel, self.keeper.root(), &mut self.exes) {
            tracing::error!(%error, "cannot look at the allowed executables");
        }
        self.guard();
        self.exes_seen = Instant::now();
    }

    /// Tells the kernel which processes nobody is to take control of.
    pub(super) fn guard(&mut self) {
        if let Err(error) = self.kernel.guard(self.exes.keys()) {
            tracing::error!(%error, "cannot watch who takes control of allowed processes");
        }
    }

    pub(super) fn look_at_addresses(&mut self) {
        match node::addresses() {
            Ok(addresses) => self.addresses = addresses,
            Err(error) => tracing::warn!(%error, "cannot read the node's addresses"),
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
