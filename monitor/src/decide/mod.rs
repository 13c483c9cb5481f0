//! Is this access expected? Pure functions over what is known: no files, no clock, no kernel.

mod control;
mod destination;
mod executables;
mod miss;
mod process;
mod unit;

pub use self::destination::destination_counts;
pub use self::executables::{Change, ExeTable, NodeFile};
use self::miss::Miss;
use self::process::{args_match, sha256_matches, uid_matches, unit_matches};
pub use self::unit::of_node as unit_of_node;
use crate::access::{Access, Object};
use crate::config::{Containers, Processes, Rule};
use crate::identity::Whose;
use crate::model::{Action, Class, Group};
use crate::node::Namespaces;
use crate::verdict::{Outcome, Reason, Verdict};

/// The rules, and what of the node they are about.
#[derive(Clone, Copy, Debug)]
pub struct Policy<'a> {
    pub rules: &'a [Rule],
    pub exes: &'a ExeTable,
    pub node: Namespaces,
}

/// How one rule fared.
#[derive(Clone, Debug)]
pub struct Tried {
    pub rule: String,
    /// Why it does not match, if so.
    pub miss: Option<(Reason, String)>,
}

impl Policy<'_> {
    /// Every rule about the class.
    pub fn tried(&self, class: Class, access: &Access, whose: &Whose) -> Vec<Tried> {
        let about = self.rules.iter().filter(|rule| rule.targets.contains(&class));
        let tried = about.map(|rule| {
            let miss = miss(self, rule, access, whose);
            Tried {
                rule: rule.id.clone(),
                miss: miss.map(|miss| (miss.reason(), miss.detail(rule, access, whose))),
            }
        });
        tried.collect()
    }
}

impl Policy<'_> {
    /// Allowed if one rule matches in every field. If not, the reason is the miss that tells most.
    pub fn decide(&self, class: Class, access: &Access, whose: &Whose) -> Verdict {
        let mut nearest: Option<(Miss, &Rule)> = None;
        for rule in self.rules.iter().filter(|rule| rule.targets.contains(&class)) {
            match miss(self, rule, access, whose) {
                None => return allowed(rule),
                Some(miss) if nearest.is_none_or(|(best, _)| miss > best) => nearest = Some((miss, rule)),
                Some(_) => {}
            }
        }
        let (reason, detail) = match nearest {
            None => (Reason::NoRuleForTarget, format!("no rule is about {class}")),
            Some((miss, rule)) => (miss.reason(), miss.detail(rule, access, whose)),
        };
        Verdict { result: Outcome::Violation, reason, detail, matched: None }
    }
}

fn allowed(rule: &Rule) -> Verdict {
    Verdict {
        result: Outcome::Allowed,
        reason: Reason::RuleMatched,
        detail: format!("expected by rule {}", rule.id),
        matched: Some(rule.id.clone()),
    }
}

fn miss(policy: &Policy<'_>, rule: &Rule, access: &Access, whose: &Whose) -> Option<Miss> {
    let actor = &access.actor;
    let Processes { exe, sha256, uid, unit, args, ancestors, host_ns } = &rule.process;
    if access.action == Action::Accept {
        return (!source_matches(rule, access)).then_some(Miss::Source);
    }
    if !rule.source.is_empty() {
        return Some(Miss::Access);
    }
    if !exe.is_empty() && !exe.iter().any(|path| policy.exes.is(path, &actor.exe)) {
        let called_so = exe.iter().any(|path| policy.exes.is_called(path, &actor.exe));
        return Some(if called_so { Miss::NotNodeFile } else { Miss::Exe });
    }
    if let Some(miss) = rule.container.as_ref().and_then(|containers| miss_of(containers, whose)) {
        return Some(miss);
    }
    if !sha256_matches(sha256, actor) {
        let bare = exe.is_empty() && rule.container.is_none();
        return Some(if bare { Miss::Content } else { Miss::Sha256 });
    }
    let named = !exe.is_empty() || !ancestors.is_empty() || rule.container.is_some();
    if named && actor.traced {
        return Some(Miss::Traced);
    }
    let group = access.group();
    let among = |groups: &Vec<Group>| group.is_some_and(|group| groups.contains(&group));
    if group.is_none() || !rule.access.as_ref().is_none_or(among) {
        return Some(Miss::Access);
    }
    if !uid.is_empty() && !uid_matches(uid, actor) {
        return Some(Miss::Uid);
    }
    if !policy.namespaces_match(*host_ns, actor) {
        return Some(Miss::Namespace);
    }
    if !unit.is_empty() && !unit_matches(unit, actor) {
        return Some(Miss::Unit);
    }
    if !ancestors.is_empty() && !policy.ancestors_match(ancestors, actor) {
        return Some(Miss::Ancestors);
    }
    if !args.is_empty() && !args_match(args, actor) {
        return Some(Miss::Args);
    }
    (!destination_matches(rule, access)).then_some(Miss::Destination)
}

fn destination_matches(rule: &Rule, access: &Access) -> bool {
    match &access.object {
        Object::InetSocket(inet) if !rule.destination.is_empty() => {
            rule.destination.iter().any(|network| network.contains(&inet.dst_ip))
        }
        // A file of the same class has no address.
        _ => rule.destination.is_empty(),
    }
}

/// A name that is not proven is a claim, and allows nothing.
fn miss_of(containers: &Containers, whose: &Whose) -> Option<Miss> {
    match whose {
        Whose { container: None, pod: None, errors, .. } if errors.is_empty() => Some(Miss::NoContainer),
        Whose { proven: false, .. } => Some(Miss::UnknownContainer),
        _ => (!containers.have(whose)).then_some(Miss::Container),
    }
}

/// What comes from elsewhere has an address and no process: only a rule about sources, or about anyone, can expect it.
fn source_matches(rule: &Rule, access: &Access) -> bool {
    let Object::InetSocket(inet) = &access.object else { return false };
    let wanted = rule.access.as_ref().is_none_or(|groups| groups.contains(&Group::Accept));
    let anyone = rule.source.is_empty() && is_about_nobody(rule);
    wanted && (anyone || rule.source.iter().any(|network| network.contains(&inet.src_ip)))
}

fn is_about_nobody(rule: &Rule) -> bool {
    rule.process == Processes::default() && rule.container.is_none()
}

#[cfg(test)]
mod tests;
