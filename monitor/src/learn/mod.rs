//! A policy from what happens: each use that no rule allows yet becomes part of a rule that allows what was seen and no more.
//!
//! It reads events as they are written, so what runs now and what was recorded go the same way.

mod merge;
mod seen;
mod write;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use self::seen::Seen;
use crate::config::{Config, Rule, Words};
use crate::event::text::escaped;
use crate::model::{Class, Group};
use crate::replay::{self, Recorded, is_access, suggest, suspect};

/// Actors that are told apart. Whoever starts programs under other names all the time does not get all of the memory.
const ACTORS_MAX: usize = 1024;

/// Command lines of one of them. A script that has more of them may have any.
const CALLS_MAX: usize = 64;

/// Different accesses that no rule can allow.
const REFUSED_MAX: usize = 256;

/// Nodes that are named.
const NODES_MAX: usize = 8;

/// What was done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// That no rule of the policy allows.
    pub accesses: u64,
    pub actors: u64,
    /// That the policy allows already.
    pub known: u64,
    /// That are in no rule, because of what they look like.
    pub refused: u64,
    /// That are in no rule, because there were too many actors.
    pub left_out: u64,
    /// That the daemon lost.
    pub lost: u64,
}

/// How to learn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mode {
    /// Make rules of what looks like an attack, too.
    pub include_suspicious: bool,
    /// The events are those of a daemon that decides by the same policy, and knows more than its records say.
    pub is_live: bool,
}

/// What was seen of everybody.
#[derive(Debug)]
pub struct Learner {
    mode: Mode,
    config: Config,
    rules: Vec<Rule>,
    actors: BTreeMap<Key, Actor>,
    /// By the rule without arguments, with how many there are.
    alike: BTreeMap<Key, usize>,
    refused: BTreeMap<Refusal, Seen>,
    nodes: BTreeSet<String>,
    counts: Counts,
}

/// The rule about an actor without what it may do, and why it is refused.
type Key = (Option<&'static str>, String);

#[derive(Debug)]
struct Actor {
    rule: Rule,
    refused: Option<&'static str>,
    uses: Uses,
}

type Uses = BTreeMap<(Class, Group), Seen>;

/// An access that no rule can allow.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Refusal {
    why: &'static str,
    class: Class,
    action: &'static str,
    who: String,
}

impl Learner {
    pub fn new(config: Config, mode: Mode) -> Self {
        let rules = config.rules.iter().map(|entry| entry.value.clone()).collect();
        let (actors, alike, refused) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let (nodes, counts) = (BTreeSet::new(), Counts::default());
        Self { mode, config, rules, actors, alike, refused, nodes, counts }
    }

    pub fn counts(&self) -> Counts {
        let actors = self.alike.keys().filter(|(refused, _)| refused.is_none()).count();
        Counts { actors: actors as u64, ..self.counts }
    }

    /// One line of output of a daemon.
    pub fn add(&mut self, line: &[u8]) -> Result<(), serde_json::Error> {
        let event: Value = serde_json::from_slice(line)?;
        if event["kind"] == "health" {
            let lost = event["health"]["lost"].as_object().into_iter().flat_map(|lost| lost.values());
            let lost = lost.filter_map(Value::as_u64).fold(0, u64::saturating_add);
            self.counts.lost = self.counts.lost.saturating_add(lost);
        }
        if !is_access(&event) {
            return Ok(());
        }
        self.learn(&Recorded::read(&event)?);
        Ok(())
    }

    fn learn(&mut self, recorded: &Recorded) {
        let seen = Seen::of(recorded);
        let expected =
            if self.mode.is_live { recorded.verdict.clone() } else { replay::decide(&self.rules, recorded) };
        let add = |counter: &mut u64| *counter = counter.saturating_add(seen.count);
        if !expected.is_violation() {
            return add(&mut self.counts.known);
        }
        add(&mut self.counts.accesses);
        if self.nodes.len() < NODES_MAX && !recorded.node.name.is_empty() {
            self.nodes.insert(recorded.node.name.clone());
        }
        let rule = match suggest(recorded) {
            Ok(rule) => rule,
            Err(why) => {
                add(&mut self.counts.refused);
                return self.refuse(recorded, why, seen);
            }
        };
        let refused = suspect(recorded).filter(|_| !self.mode.include_suspicious);
        if refused.is_some() {
            add(&mut self.counts.refused);
        }
        let uses = uses_of(&rule);
        let rule = Rule { targets: Vec::new(), access: None, ..rule };
        let Some(actor) = self.actor(rule, refused) else { return add(&mut self.counts.left_out) };
        for used in uses {
            actor.uses.entry(used).or_default().merge(seen.clone());
        }
    }

    /// `None` if there are too many.
    fn actor(&mut self, mut rule: Rule, refused: Option<&'static str>) -> Option<&mut Actor> {
        let mut alike = rule.clone();
        alike.process.args = Vec::new();
        let alike = (refused, alike.to_yaml());
        let calls = self.alike.get(&alike).copied().unwrap_or_default();
        let mut key = (refused, rule.to_yaml());
        if calls >= CALLS_MAX && !self.actors.contains_key(&key) {
            let any = merge::any_call(&rule.id, rule.process.args.first()?)?;
            rule.process.args = any.iter().filter_map(|line| Words::line(line).ok()).collect();
            key.1 = rule.to_yaml();
        }
        if !self.actors.contains_key(&key) {
            if self.actors.len() >= ACTORS_MAX {
                return None;
            }
            *self.alike.entry(alike).or_default() += 1;
        }
        Some(self.actors.entry(key).or_insert_with(|| Actor { rule, refused, uses: Uses::new() }))
    }

    fn refuse(&mut self, recorded: &Recorded, why: &'static str, seen: Seen) {
        let access = recorded.access();
        let who = match &recorded.process.container {
            Some(container) => format!("container {}", container.name.as_ref().unwrap_or(&container.id)),
            None if access.actor.exe.path.is_empty() => "a process of unknown executable".to_owned(),
            None => String::from_utf8_lossy(&access.actor.exe.path).into_owned(),
        };
        let (class, action) = (recorded.target.class, recorded.action.name());
        let refusal = Refusal { why, class, action, who: seen::short(&escaped(&who)) };
        if self.refused.len() < REFUSED_MAX || self.refused.contains_key(&refusal) {
            self.refused.entry(refusal).or_default().merge(seen);
        }
    }

    /// The policy so far: what was there, and the rules that were learned.
    pub fn policy(&self) -> String {
        write::policy(self)
    }
}

/// What a rule allows, one by one.
fn uses_of(rule: &Rule) -> Vec<(Class, Group)> {
    let groups = rule.access.as_deref().unwrap_or_default();
    rule.targets.iter().flat_map(|class| groups.iter().map(|group| (*class, *group))).collect()
}

#[cfg(test)]
mod tests;
