//! Telling what the manifests hold that were written.

use super::handler::Handler;
use super::manifests::Answer;
use crate::manifest::Doors;
use crate::watch::Keeper;

impl Handler {
    /// Tells what a manifest holds, and begins to look at those that are due.
    pub(super) fn look_at_manifests(&mut self, answer: Option<Answer>) {
        if let Some((event, manifest)) = answer.and_then(|answer| self.manifests.answered(answer)) {
            self.emitter.emit(self.context.manifest(event, manifest));
        }
        let keeper = &self.keeper;
        self.manifests.look(keeper.root(), || doors(keeper));
    }

    /// Tells what manifests hold that were written a moment ago.
    pub(super) async fn last_manifests(&mut self) {
        let keeper = &self.keeper;
        for (event, manifest) in self.manifests.last(keeper.root(), || doors(keeper)).await {
            self.emitter.emit(self.context.manifest(event, manifest));
        }
    }
}

fn doors(keeper: &Keeper) -> Doors {
    Doors::of(keeper.targets().map(|(_, target)| target))
}
