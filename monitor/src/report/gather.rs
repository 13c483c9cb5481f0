//! What a report tells, gathered event by event. All strings are spelled out as they come in.

use std::collections::{BTreeMap, HashMap};

use super::escape::{said, shown};
use super::processes::Processes;
use super::record::{Kind, Manifest, Posture, Record};
use super::runs::{Numbers, Run};
use super::strings::Strings;
use super::tally::Tally;
use super::words::{object, outcome, unknown, why};
use crate::model::{Class, Severity};
use crate::verdict::Outcome;

/// Nobody has more in a pod, and forged ones are not to be compared for ever.
const CONTAINERS: usize = 16;

/// An access, small enough for some hundred thousand of them.
#[derive(Debug)]
pub struct Access {
    /// Microseconds since 1970.
    pub at: i64,
    pub seq: u64,
    pub input: u32,
    pub line: u64,
    pub kind: Kind,
    pub class: Class,
    pub severity: Severity,
    pub is_violation: bool,
    pub process: Option<u32>,
    /// How many it stands for.
    pub count: u64,
    pub action: u32,
    pub object: u32,
    /// Why it was decided so.
    pub why: u32,
    pub rule: u32,
    /// How it ended.
    pub outcome: u32,
    /// What is not known of it.
    pub unknown: u32,
}

#[derive(Debug, Default)]
pub struct Pod {
    pub name: String,
    pub violations: u64,
    pub allowed: u64,
    pub worst: Option<Severity>,
    pub classes: Vec<Class>,
    pub containers: Vec<String>,
}

#[derive(Debug)]
pub struct Written {
    pub time: String,
    pub severity: Severity,
    pub path: String,
    pub process: Option<u32>,
    pub input: u32,
    pub line: u64,
    pub manifest: Manifest,
}

#[derive(Debug)]
pub struct Checked {
    pub time: String,
    pub node: String,
    pub check: String,
    pub name: String,
    pub posture: Posture,
}

/// Something that the daemon said of itself, and since when.
#[derive(Debug)]
pub struct Said {
    pub time: String,
    pub node: String,
    pub what: String,
}

#[derive(Debug, Default)]
pub struct Collected {
    pub strings: Strings,
    pub processes: Processes,
    pub accesses: Vec<Access>,
    pub pods: Vec<Pod>,
    pods_known: HashMap<String, u32>,
    /// By id: its name, its worst severity, violations.
    pub rules: BTreeMap<String, (String, Severity, u64)>,
    pub written: Vec<Written>,
    pub checked: Vec<Checked>,
    pub runs: Vec<Run>,
    runs_known: HashMap<String, usize>,
    /// Losses by reason.
    pub lost: BTreeMap<String, u64>,
    pub losses: Vec<Said>,
    /// What is not seen, each with how often it was said.
    pub gaps: BTreeMap<String, u64>,
    /// Other news of the daemon.
    pub news: Vec<Said>,
    /// Events whose number in their run was there already.
    pub repeated: u64,
    /// Events of which the daemon left something out, or could not find something out.
    pub incomplete: u64,
}

impl Collected {
    /// An event of that line of that input.
    pub fn add(&mut self, record: Record, input: u32, line: u64) {
        if !self.count(&record) {
            self.repeated += 1;
            return;
        }
        match record.kind {
            Kind::Alert | Kind::Allowed | Kind::Snapshot => self.access(record, input, line),
            Kind::Posture => self.posture(record),
            Kind::Health => self.health(&record),
            Kind::Lifecycle => self.lifecycle(&record),
        }
    }

    /// Says whether it is new.
    fn count(&mut self, record: &Record) -> bool {
        let number = *self.runs_known.entry(record.run_id.clone()).or_insert_with(|| {
            self.runs.push(run(record));
            self.runs.len() - 1
        });
        let Some(run) = self.runs.get_mut(number) else { return true };
        // Without a number nothing can be said of it.
        if record.seq > 0 && !run.numbers.add(record.seq) {
            return false;
        }
        run.events += 1;
        (run.first, run.last) = (run.first.min(record.at), run.last.max(record.at));
        run.is_posture &= record.kind == Kind::Posture;
        run.stopped |= record.lifecycle.as_ref().is_some_and(|lifecycle| lifecycle.state == "stopping");
        if run.backend.is_empty() {
            run.backend = shown(record.agent.backend.as_deref().unwrap_or_default());
        }
        true
    }

    fn access(&mut self, mut record: Record, input: u32, line: u64) {
        let Some(target) = record.target.take() else { return };
        let is_violation =
            record.verdict.as_ref().is_some_and(|verdict| verdict.result == Outcome::Violation);
        let pod = self.pod(&record);
        let process = record
            .process
            .take()
            .map(|process| self.processes.add(&record, &process, pod, &mut self.strings));
        if let Some(manifest) = record.manifest.take() {
            self.written.push(Written {
                time: shown(&record.time),
                severity: record.severity,
                path: shown(&target.path),
                process,
                input,
                line,
                manifest: *manifest,
            });
        }
        // It adds to an access that is counted already.
        if record.follows.is_some() {
            return;
        }
        let count = record.count.unwrap_or(1).max(1);
        let tally = Tally { is_violation, count, severity: record.severity, class: target.class };
        if let Some(process) = process.and_then(|number| self.processes.get_mut(number)) {
            tally.add(
                &mut process.violations,
                &mut process.allowed,
                &mut process.worst,
                &mut process.classes,
            );
        }
        if let Some(pod) = pod.and_then(|number| self.pods.get_mut(number as usize)) {
            tally.add(&mut pod.violations, &mut pod.allowed, &mut pod.worst, &mut pod.classes);
        }
        let rule = record.rule.as_ref().map_or_else(String::new, |rule| shown(&rule.id));
        if is_violation && let Some(own) = &record.rule {
            let name = || (shown(&own.name), record.severity, 0);
            let known = self.rules.entry(rule.clone()).or_insert_with(name);
            known.1 = known.1.max(record.severity);
            known.2 = known.2.saturating_add(count);
        }
        let unknown = unknown(&record);
        self.incomplete += u64::from(!unknown.is_empty());
        let strings = &mut self.strings;
        self.accesses.push(Access {
            at: record.at.as_microsecond(),
            seq: record.seq,
            input,
            line,
            kind: record.kind,
            class: target.class,
            severity: record.severity,
            is_violation,
            process,
            count,
            action: strings.add(shown(record.action.as_deref().unwrap_or_default())),
            object: strings.add(object(&target)),
            why: strings.add(why(&record)),
            rule: strings.add(rule),
            outcome: strings.add(outcome(&record)),
            unknown: strings.add(unknown),
        });
    }

    fn pod(&mut self, record: &Record) -> Option<u32> {
        let process = record.process.as_ref()?;
        let pod = process.pod.as_ref()?;
        let part = |part: &Option<String>| shown(part.as_deref().unwrap_or("?"));
        let kind = if pod.is_static { ", static" } else { "" };
        let name = format!("{}/{} ({}{kind})", part(&pod.namespace), part(&pod.name), part(&pod.uid));
        let number = *self.pods_known.entry(name.clone()).or_insert_with(|| {
            self.pods.push(Pod { name, ..Pod::default() });
            u32::try_from(self.pods.len() - 1).unwrap_or(u32::MAX)
        });
        let container = process.container.as_ref();
        let container =
            container.map(|container| format!("{} ({})", part(&container.name), part(&container.image)));
        if let (Some(container), Some(pod)) = (container, self.pods.get_mut(number as usize))
            && pod.containers.len() < CONTAINERS
            && !pod.containers.contains(&container)
        {
            pod.containers.push(container);
        }
        Some(number)
    }

    fn posture(&mut self, record: Record) {
        let Record { time, node, rule, posture: Some(posture), .. } = record else { return };
        let (check, name) = rule.map_or_else(Default::default, |rule| (shown(&rule.id), shown(&rule.name)));
        self.checked.push(Checked {
            time: shown(&time),
            node: shown(&node.name),
            check,
            name,
            posture: *posture,
        });
    }

    fn health(&mut self, record: &Record) {
        let Some(health) = &record.health else { return };
        for (reason, count) in &health.lost {
            let known = self.lost.entry(shown(reason)).or_default();
            *known = known.saturating_add(*count);
        }
        if health.state != "heartbeat" || !health.lost.is_empty() {
            self.losses.push(told(record));
        }
        self.gap("not seen for a while", health.missing.iter().map(|missing| said(missing)));
    }

    fn lifecycle(&mut self, record: &Record) {
        let Some(lifecycle) = &record.lifecycle else { return };
        self.gap("not covered", lifecycle.coverage_gaps.iter().map(|gap| said(gap)));
        let of_hooks = lifecycle.hooks_missing.iter();
        self.gap("hook missing", of_hooks.map(|hook| format!("{}: {}", shown(&hook.hook), said(&hook.why))));
        let of_targets = lifecycle.targets_waiting.iter();
        self.gap(
            "waits",
            of_targets.map(|target| format!("{}: {}", shown(&target.target), said(&target.why))),
        );
        self.gap("policy", lifecycle.policy_warnings.iter().map(|warning| said(warning)));
        self.gap("not found out", lifecycle.notes.iter().map(|note| said(note)));
        for (count, what) in [
            (lifecycle.unreadable, "of the processes could not be looked at whole"),
            (lifecycle.left_out, "holders or targets were too many to be told"),
        ] {
            self.gap("left out", (count > 0).then(|| format!("{count} {what}")).into_iter());
        }
        self.news.push(told(record));
    }

    fn gap(&mut self, kind: &str, gaps: impl Iterator<Item = String>) {
        for gap in gaps {
            *self.gaps.entry(format!("{kind}: {gap}")).or_default() += 1;
        }
    }

    /// In the order of time. Files may have come in any.
    pub fn finish(&mut self) {
        self.accesses.sort_by_key(|access| (access.at, access.seq));
        self.written.sort_by(|one, other| one.time.cmp(&other.time));
        self.losses.sort_by(|one, other| one.time.cmp(&other.time));
        self.news.sort_by(|one, other| one.time.cmp(&other.time));
        self.runs.sort_by_key(|run| run.first);
        self.runs_known.clear();
    }
}

fn run(record: &Record) -> Run {
    Run {
        id: shown(&record.run_id),
        node: shown(&record.node.name),
        kernel: shown(&record.node.kernel),
        version: shown(&record.agent.version),
        backend: String::new(),
        config_sha256: shown(&record.agent.config_sha256),
        first: record.at,
        last: record.at,
        events: 0,
        numbers: Numbers::default(),
        stopped: false,
        is_posture: true,
    }
}

fn told(record: &Record) -> Said {
    Said { time: shown(&record.time), node: shown(&record.node.name), what: said(&record.message) }
}
