//! From what every actor did to as few rules as allow no more.

use std::collections::{BTreeMap, BTreeSet};

use super::{Actor, Key, Uses};
use crate::config::{Rule, Words, applies};
use crate::hash::sha256;
use crate::model::{Class, Group};

/// Command lines that one rule lists. More of a script become one for all.
const LINES_MAX: usize = 8;

/// A rule that was learned.
#[derive(Clone, Debug)]
pub(super) struct Learned {
    pub rule: Rule,
    /// Why it is only proposed.
    pub refused: Option<&'static str>,
    pub uses: Uses,
}

/// In the order of their ids. `taken` are those of other rules.
pub(super) fn rules(actors: &BTreeMap<Key, Actor>, taken: &BTreeSet<&str>) -> Vec<Learned> {
    let mut merged: BTreeMap<(String, Option<&'static str>), Learned> = BTreeMap::new();
    for learned in actors.values().flat_map(split) {
        let mut alike = learned.rule.clone();
        alike.process.args = Vec::new();
        match merged.entry((alike.to_yaml(), learned.refused)) {
            std::collections::btree_map::Entry::Vacant(place) => drop(place.insert(learned)),
            std::collections::btree_map::Entry::Occupied(mut place) => place.get_mut().join(learned),
        }
    }
    let mut rules: Vec<_> = merged.into_values().collect();
    rules.iter_mut().for_each(Learned::shorten);
    name(&mut rules, taken);
    rules.sort_by(|one, other| one.rule.id.cmp(&other.rule.id));
    rules
}

/// Classes share a rule where it allows no more than was seen: each kind of access that can happen to a class was seen of it.
fn split(actor: &Actor) -> Vec<Learned> {
    let mut seen: BTreeMap<Class, BTreeSet<Group>> = BTreeMap::new();
    for (class, group) in actor.uses.keys() {
        seen.entry(*class).or_default().insert(*group);
    }
    let mut parts: Vec<BTreeMap<Class, BTreeSet<Group>>> = Vec::new();
    for (class, groups) in seen {
        let fits = |part: &&mut BTreeMap<_, _>| is_exact(part, class, &groups);
        match parts.iter_mut().find(fits) {
            Some(part) => drop(part.insert(class, groups)),
            None => parts.push(BTreeMap::from([(class, groups)])),
        }
    }
    let learned = parts.into_iter().map(|part| {
        let uses = actor.uses.iter().filter(|((class, _), _)| part.contains_key(class));
        let uses = uses.map(|(used, seen)| (*used, seen.clone())).collect();
        let groups: BTreeSet<_> = part.values().flatten().copied().collect();
        let (targets, access) = (part.into_keys().collect(), Some(groups.into_iter().collect()));
        Learned { rule: Rule { targets, access, ..actor.rule.clone() }, refused: actor.refused, uses }
    });
    learned.collect()
}

/// Whether one rule for all of them would allow each class only what it was used for.
fn is_exact(part: &BTreeMap<Class, BTreeSet<Group>>, class: Class, groups: &BTreeSet<Group>) -> bool {
    let all: BTreeSet<_> = part.values().flatten().chain(groups).copied().collect();
    let mut together = part.iter().chain([(&class, groups)]);
    together.all(|(class, own)| all.iter().all(|group| own.contains(group) || !applies(*class, *group)))
}

impl Learned {
    /// The same with other arguments.
    fn join(&mut self, other: Self) {
        let args = &mut self.rule.process.args;
        args.extend(other.rule.process.args);
        args.sort_by_key(ToString::to_string);
        args.dedup();
        for (used, seen) in other.uses {
            self.uses.entry(used).or_default().merge(seen);
        }
    }

    /// A script that is called with other arguments every time.
    fn shorten(&mut self) {
        let args = &self.rule.process.args;
        let calls: BTreeSet<_> = args.iter().map(|line| any_call(&self.rule.id, line)).collect();
        if args.len() > LINES_MAX
            && calls.len() == 1
            && let Some(Some(any)) = calls.into_iter().next()
        {
            self.rule.process.args = any.iter().filter_map(|line| Words::line(line).ok()).collect();
        }
    }

    /// Whether a pattern stands for more than what was seen.
    pub(super) fn is_any_call(&self) -> bool {
        self.rule.process.args.iter().any(|line| line.to_string().ends_with(" *"))
    }

    /// By what it may do.
    fn longer(&self) -> String {
        let groups = self.rule.access.iter().flatten().map(|group| group.name());
        [self.rule.id.as_str()].into_iter().chain(groups).collect::<Vec<_>>().join("-")
    }
}

/// What stands for every call of the script that a rule is called after. `None` for what is no script of its own.
pub(super) fn any_call(id: &str, line: &Words) -> Option<[String; 2]> {
    let line = line.to_string();
    let script = line.split(' ').next()?;
    let is_its_own = script.starts_with('/') && script.ends_with(&format!("/{id}")) && !script.contains('?');
    is_its_own.then(|| [script.to_owned(), format!("{script} *")])
}

/// Ids that stay the same when more is learned: by what it is, else by what it does, else by a number that is made of the rule.
fn name(rules: &mut [Learned], taken: &BTreeSet<&str>) {
    let ways: [fn(&Learned) -> String; 3] = [
        |learned| learned.rule.id.clone(),
        Learned::longer,
        |learned| {
            let number = sha256(learned.rule.to_yaml().as_bytes());
            let reason = sha256(learned.refused.unwrap_or_default().as_bytes());
            let (number, reason) = (number.get(..6).unwrap_or_default(), reason.get(..2).unwrap_or_default());
            let reason = if learned.refused.is_some() { reason } else { "" };
            format!("{}-{number}{reason}", learned.rule.id)
        },
    ];
    let names: Vec<_> = rules.iter().map(|learned| ways.map(|way| way(learned))).collect();
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for name in names.iter().flat_map(|ways| ways.iter().collect::<BTreeSet<_>>()) {
        *times.entry(name).or_default() += 1;
    }
    let mut given = BTreeSet::new();
    for (learned, ways) in rules.iter_mut().zip(&names) {
        let free = |name: &&String| times.get(name.as_str()) == Some(&1) && !taken.contains(name.as_str());
        let chosen = ways.iter().find(free).unwrap_or(&ways[2]);
        let mut id = chosen.clone();
        while taken.contains(id.as_str()) || !given.insert(id.clone()) {
            id.push('x');
        }
        learned.rule.id = id;
    }
}
