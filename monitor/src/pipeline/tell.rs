//! Telling of an access, once the hash of its actor's executable is known or cannot be waited for.

use std::time::Instant;

use super::handler::Handler;
use super::limits::LeftOut;
use super::manifests;
use super::unhashed::Unhashed;
use crate::access::{Access, Object};
use crate::event::{Event, Facts, Kind};
use crate::exe_hash::{Found, Job};
use crate::model::{Action, Class};
use crate::verdict::Verdict;

impl Handler {
    /// What is to be told waits for the hash. Others are told in their order.
    pub(super) fn emit(&mut self, class: Class, access: &Access, facts: Facts, verdict: Verdict) {
        if !verdict.is_violation() {
            self.tally.allowed(class);
        }
        if self.is_told(&verdict) {
            let job = self.jobs()(access);
            self.unhashed.push(Unhashed { class, access: access.clone(), facts, verdict }, job);
            self.tell_hashed();
        }
    }

    /// Says of an access whose executable is to be hashed.
    pub(super) fn jobs(&self) -> impl Fn(&Access) -> Option<Job> + Send + use<> {
        let (node, clock) = (self.context.namespaces, self.context.clock);
        move |access| {
            let by_nobody = access.action == Action::Accept;
            let at = clock.since_1970(access.boottime);
            Job::of(&access.actor, access.actor.mnt_ns == node.mnt, at).filter(|_| !by_nobody)
        }
    }

    pub(super) fn is_told(&self, verdict: &Verdict) -> bool {
        verdict.is_violation() || self.show_allowed
    }

    /// Takes an answer, and tells what waits no more.
    pub(super) fn take_hash(&mut self, answer: Option<(u64, Found)>) {
        if let Some((ticket, found)) = answer
            && !self.take_upgrade(ticket, &found)
        {
            self.unhashed.answered(ticket, found);
        }
        self.tell_hashed();
    }

    /// Tells all that waits, each as soon as it can be.
    pub(super) async fn tell_all(&mut self) {
        while !self.unhashed.is_empty() {
            let answer = self.unhashed.ready().await;
            self.take_hash(answer);
        }
    }

    fn tell_hashed(&mut self) {
        while let Some(Unhashed { class, access, facts, mut verdict }) = self.unhashed.take() {
            // The hash may be what a rule asks for.
            if verdict.is_violation() && access.actor.exe_hash.is_some() {
                verdict = self.decide_again(class, &access, &facts, verdict);
                if !verdict.is_violation() {
                    self.tally.allowed(class);
                }
            }
            if self.is_told(&verdict) {
                self.tell_now(class, &access, facts, verdict);
            }
        }
    }

    /// Says how many alerts were left out.
    pub(super) fn report_left_out(&mut self, all: bool) {
        for LeftOut { last, count, first_at, last_at } in self.limits.due(Instant::now(), all) {
            self.emitter.emit(self.context.left_out(*last, count, first_at, last_at));
        }
    }

    fn decide_again(&self, class: Class, access: &Access, facts: &Facts, verdict: Verdict) -> Verdict {
        match access.object {
            Object::Process(_) => self.policy().control(access).map_or(verdict, |(_, verdict)| verdict),
            _ if self
                .rules
                .iter()
                .any(|rule| rule.targets.contains(&class) && !rule.process.sha256.is_empty()) =>
            {
                self.policy().decide(class, access, &facts.whose)
            }
            _ => verdict,
        }
    }

    fn tell_now(&mut self, class: Class, access: &Access, facts: Facts, verdict: Verdict) {
        let manifest = manifests::changed(class, access, &facts.path);
        let mut event = self.context.access(class, access, facts, verdict);
        self.actors.share(&mut event);
        if event.kind == Kind::Alert {
            self.alerts += 1;
            self.count_alert(access, &event);
        }
        self.repeats.note(access, &event);
        if event.kind == Kind::Alert && self.limits.leave_out(&event, access.boottime, Instant::now()) {
            return;
        }
        let Some(path) = manifest else {
            self.emitter.emit(event);
            return;
        };
        let id = self.emitter.emit(event.clone());
        self.manifests.written(path, Event { id, ..event });
    }
}
