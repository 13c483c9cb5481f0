//! Which door an access concerns, and whether it was expected.

use std::os::unix::ffi::OsStrExt as _;
use std::time::Duration;

use super::doors::{is_at, is_door};
use super::handler::Handler;
use super::origin::Origin;
use crate::access::{Access, Object, TargetId};
use crate::decide::Policy;
use crate::decode::Decoded;
use crate::enrich;
use crate::event::Facts;
use crate::identity::Whose;
use crate::model::Class;
use crate::snapshot::{self, Wanted};
use crate::target::Target;
use crate::verdict::{Reason, Verdict};

/// Least time between two looks at the allowed executables that an unexpected actor can cause.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

impl Handler {
    /// Completes what the kernel side could read only numbers of.
    pub(super) fn name(&self, decoded: &mut Decoded) {
        if decoded.unnamed {
            let wanted = Wanted::new(&self.keeper, &self.exes, self.context.namespaces);
            decoded.errors.append(&mut snapshot::name(&mut decoded.access.actor, &wanted));
        }
    }

    /// A directory above targets concerns each class of them.
    pub(super) fn access(&mut self, decoded: &Decoded) {
        let Access { object, boottime, .. } = &decoded.access;
        if decoded.stale && !self.keeper.is_itself(object, self.context.clock.since_1970(*boottime)) {
            tracing::debug!(?object, "has the number of a watched one that is gone");
            return;
        }
        let id = match &decoded.access.object {
            Object::Process(_) => return self.control(decoded),
            Object::UnixSocket(socket) if !socket.path_named.is_empty() => {
                match self.keeper.named(socket, &decoded.access.actor, self.context.namespaces) {
                    Some(id) => id,
                    None => return,
                }
            }
            _ => decoded.access.target,
        };
        // What is found in other ways is told each time.
        if !decoded.stale && !decoded.across {
            self.repeats.expect(&decoded.access);
        }
        if decoded.across {
            return self.across(id, decoded);
        }
        if !decoded.ancestor {
            return self.access_to(id, decoded);
        }
        let mut classes = Vec::new();
        for id in self.keeper.below(id, &decoded.access.object) {
            let class = self.keeper.target(id).map(|target| target.class);
            if !classes.contains(&class) {
                classes.push(class);
                self.access_to(id, decoded);
            }
        }
    }

    /// What lies beneath a directory above targets can be of any of them.
    fn across(&mut self, id: TargetId, decoded: &Decoded) {
        let others = self.keeper.targets().map(|(other, _)| other).filter(|other| *other != id);
        let ids: Vec<_> = std::iter::once(id).chain(others).collect();
        if let Some(judged) = ids.into_iter().find_map(|id| self.judge(id, decoded)) {
            self.told(decoded, judged);
        }
    }

    fn access_to(&mut self, id: TargetId, decoded: &Decoded) {
        if let Some(judged) = self.judge(id, decoded) {
            self.told(decoded, judged);
        }
    }

    fn told(&mut self, decoded: &Decoded, (class, facts, verdict): (Class, Facts, Verdict)) {
        if decoded.unnamed {
            let access = decoded.access.clone();
            let access = Access { object: access.object.unseen(), ..access };
            self.emit(class, &access, facts, verdict);
        } else {
            self.emit(class, &decoded.access, facts, verdict);
        }
    }

    /// What is to be said about an access; `None` if it is not one of a door.
    pub(super) fn judge(&mut self, id: TargetId, decoded: &Decoded) -> Option<(Class, Facts, Verdict)> {
        if let Object::InetSocket(inet) = &decoded.access.object {
            // Either end may be the node's since a moment ago.
            self.addresses.check(&[inet.src_ip, inet.dst_ip]);
        }
        let Some(target) = self.keeper.target(id) else {
            tracing::error!(target = id.0, "a record names an unknown target");
            self.health.undecodable += 1;
            return None;
        };
        if self.keeper.has(id) {
            return self.judge_at(id, decoded, None);
        }
        // The kernel may still tell of what was watched before a reload.
        let place = self.facts(id, target, decoded).path;
        let heirs = self.keeper.heirs(target, &place, decoded);
        heirs.into_iter().find_map(|heir| self.judge_at(heir, decoded, Some(&place)))
    }

    fn facts(&self, id: TargetId, target: &Target, decoded: &Decoded) -> Facts {
        enrich::facts(decoded, target, id, &self.keeper, self.context.namespaces, self.addresses.known())
    }

    /// The same for a target of the policy. `place` is where it was, if it was found by another target.
    fn judge_at(
        &mut self,
        id: TargetId,
        decoded: &Decoded,
        place: Option<&[u8]>,
    ) -> Option<(Class, Facts, Verdict)> {
        let access = &decoded.access;
        let origin = match &access.object {
            Object::InetSocket(inet) if inet.inbound => Some(self.origin(inet)),
            _ => None,
        };
        let target = self.keeper.target(id)?;
        match origin {
            Some(Origin::Reported) => return None,
            // Without a rule that says who is expected, nobody from elsewhere can be unexpected.
            Some(Origin::Elsewhere) if !self.keeper.expects_clients(target.class) => return None,
            _ => {}
        }
        if !is_door(target, decoded, self.context.namespaces, self.addresses.known()) {
            return None;
        }
        let mut facts = self.facts(id, target, decoded);
        if let Some(place) = place {
            place.clone_into(&mut facts.path);
        }
        if let Some(above) = self.keeper.removed_above(decoded) {
            facts.path = above;
        } else if !is_at(target, decoded, &facts.path) {
            return None;
        }
        let class = self.keeper.owner(id, decoded, &facts)?.class;
        facts.whose = self.identities.of(self.keeper.root(), &access.actor, self.context.namespaces);
        let verdict = match origin {
            Some(Origin::Unseen(error)) => {
                facts.errors.extend(error.map(|error| format!("client: cannot ask for its socket: {error}")));
                Verdict::client_unseen()
            }
            _ => self.decide(class, access, &facts.whose),
        };
        Some((class, facts, verdict))
    }

    fn control(&mut self, decoded: &Decoded) {
        let mut named = decoded.clone();
        // The kernel side told the path inside the file system only.
        if let (Object::Process(process), true) = (&mut named.access.object, decoded.unnamed)
            && let Some(path) = process.exe.key.and_then(|key| self.exes.path_of(key))
        {
            process.exe.path = path.as_os_str().as_bytes().to_vec();
        }
        let decoded = &named;
        if let Some((class, verdict)) = self.policy().control(&decoded.access) {
            let actor = &decoded.access.actor;
            let whose = self.identities.of(self.keeper.root(), actor, self.context.namespaces);
            let facts = enrich::of_actor(actor, whose);
            self.emit(class, &decoded.access, facts, verdict);
        }
    }

    pub(super) fn policy(&self) -> Policy<'_> {
        Policy { rules: &self.rules, exes: &self.exes, node: self.context.namespaces }
    }

    /// An allowed executable may have been replaced since it was looked at, by an upgrade for example: then the actor runs the
    /// file that now has the path, and a second look finds it; or the one that had it, if that exists by what was told until now.
    fn decide(&mut self, class: Class, access: &Access, whose: &Whose) -> Verdict {
        let actor = &access.actor;
        if actor.exe.deleted || actor.ancestors.iter().any(|above| above.exe.deleted) {
            self.hear_of_executables();
        }
        let verdict = self.policy().decide(class, access, whose);
        if verdict.reason != Reason::ExeNotNodeFile {
            return verdict;
        }
        self.hear_of_executables();
        // A change that was told of is looked at once, however soon after the last.
        if !self.exes_changed && self.exes_seen.elapsed() < LOOK_AGAIN {
            return verdict;
        }
        self.look_at_executables();
        self.policy().decide(class, access, whose)
    }
}
