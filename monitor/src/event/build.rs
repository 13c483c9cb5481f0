//! From what is known about an access to its event.

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;

use super::detection::{detection, worse};
use super::process::Describe;
use super::{
    Agent, Event, Health, HealthState, Kind, Lifecycle, MISSED_RUNS, Manifest, Node, Outcome, Posture, Rule,
    SCHEMA, Status, Target, message, posture,
};
use crate::access::{self, Access, Object};
use crate::clock::Clock;
use crate::config::Severities;
use crate::identity::Whose;
use crate::model::{Action, Backend, Class, Severity};
use crate::node::Namespaces;
use crate::verdict::Verdict;

/// What all events of a run share.
#[derive(Clone, Debug)]
pub struct Context {
    pub run_id: Uuid,
    pub node: Arc<Node>,
    pub agent: Arc<Agent>,
    pub clock: Clock,
    pub namespaces: Namespaces,
    pub severities: Severities,
}

/// What was found out about an access besides what the kernel said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The object's path on the node; empty for a connection.
    pub path: Vec<u8>,
    /// The other place of a rename or link, on the node.
    pub other: Vec<u8>,
    /// The systemd unit of the actor.
    pub unit: Option<String>,
    /// The container and the pod of the actor.
    pub whose: Whose,
    /// The destination is this node.
    pub local: bool,
    pub errors: Vec<String>,
}

impl Context {
    /// The event of an access: an alert, or the report of an expected one.
    pub fn access(&self, class: Class, access: &Access, facts: Facts, verdict: Verdict) -> Event {
        let Facts { path, other, unit, mut whose, local, mut errors } = facts;
        errors.append(&mut whose.errors);
        let found = detection(class, access.group());
        let in_container = access.action != Action::Accept && access.actor.mnt_ns != self.namespaces.mnt;
        let describe = Describe {
            boot_id: self.node.boot_id.as_deref().unwrap_or_default(),
            node: self.namespaces,
            start: self.clock.at(access.actor.start),
            unit,
            whose,
        };
        let severity = match (verdict.is_violation(), self.severities.get(&class)) {
            (false, _) => Severity::Info,
            (true, Some(severity)) => *severity,
            (true, None) => found.severity_of(&access.actor, in_container),
        };
        Event {
            kind: if verdict.is_violation() { Kind::Alert } else { Kind::Allowed },
            time: self.clock.at(access.boottime),
            severity,
            rule: Some(found.rule),
            message: message::access(access, &path, &verdict),
            verdict: Some(verdict),
            action: Some(access.action),
            outcome: Some(outcome(access, self.agent.backend)),
            // What comes from elsewhere is done by nobody here.
            process: (access.action != Action::Accept && access.actor.pid != 0)
                .then(|| Arc::new(describe.process(&access.actor))),
            target: Some(Target::new(class, &path, &other, local, &access.object)),
            attack: found.attack,
            enrichment_errors: errors,
            truncated: access.truncated,
            ..self.bare()
        }
    }

    /// The event of an access again, for those that followed it. Times are nanoseconds since boot.
    pub fn repeated(&self, event: Event, count: u64, first: u64, last: u64) -> Event {
        let message = format!("{count} times more: {}", event.message);
        let (first, last) = (self.clock.at(first), self.clock.at(last));
        let time = last.clone();
        Event { time, message, count: Some(count), first_time: Some(first), last_time: Some(last), ..event }
    }

    /// The last of so many alerts of its detection that were not written.
    pub fn left_out(&self, event: Event, count: u64, first: u64, last: u64) -> Event {
        let repeated = self.repeated(event, count, first, last);
        let message =
            format!("{count} alerts of this detection were left out, the last of them: {}", repeated.message);
        Event { message, ..repeated }
    }

    /// The event of what was held already when the daemon began to watch, so many times.
    pub fn held(&self, event: Event, count: u64) -> Event {
        let times = if count > 1 { format!(" ({count} times)") } else { String::new() };
        let message = format!("since before the start{times}: {}", event.message);
        Event { kind: Kind::Snapshot, message, count: (count > 1).then_some(count), ..event }
    }

    /// The event of an access again, for what the manifest holds since.
    pub fn manifest(&self, event: Event, manifest: Manifest) -> Event {
        Event {
            time: self.clock.now(),
            severity: worse(event.severity, &manifest.attention),
            message: message::manifest(event.target.as_ref(), &manifest),
            follows: Some(event.id),
            manifest: Some(Box::new(manifest)),
            count: None,
            first_time: None,
            last_time: None,
            ..event
        }
    }

    pub fn lifecycle(&self, lifecycle: Lifecycle, severity: Severity, message: String) -> Event {
        Event { lifecycle: Some(Box::new(lifecycle)), severity, message, ..self.bare() }
    }

    pub fn health(&self, health: Health) -> Event {
        let (severity, message) = match health.state {
            HealthState::Heartbeat => (Severity::Info, "the monitor is running".to_owned()),
            // Whether a target was used in any of them is not known, and hardly ever was one.
            HealthState::Loss if health.lost.keys().all(|reason| reason == MISSED_RUNS) => {
                let programs = health.missing.join(", ");
                (Severity::Medium, format!("the kernel skipped programs since the start: {programs}"))
            }
            HealthState::Loss => {
                let lost: u64 = health.lost.values().sum();
                (Severity::High, format!("{lost} accesses or events were lost"))
            }
            HealthState::Blind => {
                (Severity::Critical, format!("the monitor is blind: {}", health.missing.join("; ")))
            }
            HealthState::Recovered => (Severity::Info, "the monitor sees again".to_owned()),
        };
        Event { kind: Kind::Health, health: Some(health), severity, message, ..self.bare() }
    }

    /// What the hooks did not tell of the daemon's own doings; nothing when they tell again.
    pub fn canary(&self, missing: Vec<String>, interval: u64) -> Event {
        let state = if missing.is_empty() { HealthState::Recovered } else { HealthState::Blind };
        self.health(Health { state, missing, interval, ..Health::default() })
    }

    /// The outcome of a check. How bad it is, is the check's to say where something is wrong.
    pub fn posture(&self, rule: Rule, severity: Severity, posture: Posture) -> Event {
        let severity = match posture.result {
            posture::Result::Fail => severity,
            posture::Result::Warn | posture::Result::Unknown => Severity::Low,
            posture::Result::Pass | posture::Result::NotApplicable => Severity::Info,
        };
        let message = format!("{} {}: {}", posture.result.name(), rule.id, posture.detail);
        let (rule, posture) = (Some(rule), Some(Box::new(posture)));
        Event { kind: Kind::Posture, rule, severity, message, posture, ..self.bare() }
    }

    /// `id` and `seq` are given when the event is accepted for writing.
    fn bare(&self) -> Event {
        Event {
            schema: SCHEMA,
            kind: Kind::Lifecycle,
            time: self.clock.now(),
            id: Uuid::nil(),
            seq: 0,
            run_id: self.run_id,
            node: Arc::clone(&self.node),
            agent: Arc::clone(&self.agent),
            severity: Severity::Info,
            rule: None,
            verdict: None,
            message: String::new(),
            action: None,
            outcome: None,
            process: None,
            target: None,
            manifest: None,
            follows: None,
            attack: &[],
            count: None,
            first_time: None,
            last_time: None,
            enrichment_errors: Vec::new(),
            truncated: false,
            labels: BTreeMap::new(),
            lifecycle: None,
            health: None,
            posture: None,
        }
    }
}

fn outcome(access: &Access, backend: Option<Backend>) -> Outcome {
    let (status, errno) = match (access.outcome, &access.object, backend) {
        (access::Outcome::Failure(errno), ..) => (Status::Failure, Some(errno)),
        (access::Outcome::Success, ..) => (Status::Success, None),
        // A finished call left something behind, or there would be no event.
        (access::Outcome::Unknown, Object::File(_) | Object::UnixSocket(_), Some(Backend::Syscall)) => {
            (Status::Success, None)
        }
        (access::Outcome::Unknown, ..) => (Status::Unknown, None),
    };
    Outcome { status, errno }
}
