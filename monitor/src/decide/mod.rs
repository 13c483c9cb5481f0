//! Is this access expected? Pure functions over what is known: no files, no clock, no kernel.

mod control;
mod destination;
mod executables;

pub use self::control::control;
pub use self::destination::destination_counts;
pub use self::executables::{ExeTable, NodeFile};
use crate::access::{Access, Actor, Object};
use crate::config::Rule;
use crate::event::text::escaped_bytes;
use crate::model::{Action, Class, Group};
use crate::verdict::{Outcome, Reason, Verdict};

/// Allowed if one rule matches in every field. If not, the reason is the miss that tells most.
pub fn decide(rules: &[Rule], exes: &ExeTable, class: Class, access: &Access) -> Verdict {
    let mut nearest: Option<(Miss, &Rule)> = None;
    for rule in rules.iter().filter(|rule| rule.targets.contains(&class)) {
        match miss(rule, exes, access) {
            None => return allowed(rule),
            Some(miss) if nearest.is_none_or(|(best, _)| miss > best) => nearest = Some((miss, rule)),
            Some(_) => {}
        }
    }
    let (reason, detail) = match nearest {
        None => (Reason::NoRuleForTarget, format!("no rule is about {class}")),
        Some((miss, rule)) => (miss.reason(), miss.detail(rule, access)),
    };
    Verdict { result: Outcome::Violation, reason, detail, matched: None }
}

fn allowed(rule: &Rule) -> Verdict {
    Verdict {
        result: Outcome::Allowed,
        reason: Reason::RuleMatched,
        detail: format!("expected by rule {}", rule.id),
        matched: Some(rule.id.clone()),
    }
}

/// The field in which a rule failed, from what tells least to what tells most. A forged executable tells most: it must not
/// hide behind a rule for any executable that another field kept from matching.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Miss {
    Source,
    Exe,
    Access,
    Uid,
    Traced,
    NotNodeFile,
}

fn miss(rule: &Rule, exes: &ExeTable, access: &Access) -> Option<Miss> {
    let actor = &access.actor;
    if access.action == Action::Accept {
        return (!source_matches(rule, access)).then_some(Miss::Source);
    }
    if !rule.source.is_empty() {
        return Some(Miss::Access);
    }
    if !rule.exe.is_empty() && !rule.exe.iter().any(|path| exes.is(path, &actor.exe)) {
        let called_so = rule.exe.iter().any(|path| exes.is_called(path, &actor.exe));
        return Some(if called_so { Miss::NotNodeFile } else { Miss::Exe });
    }
    if !rule.exe.is_empty() && actor.traced {
        return Some(Miss::Traced);
    }
    let group = access.group();
    let among = |groups: &Vec<Group>| group.is_some_and(|group| groups.contains(&group));
    if group.is_none() || !rule.access.as_ref().is_none_or(among) {
        return Some(Miss::Access);
    }
    if !rule.uid.is_empty() && !uid_matches(rule, actor) {
        return Some(Miss::Uid);
    }
    None
}

/// What comes from elsewhere has an address and no process: only a rule about sources, or about anyone, can expect it.
fn source_matches(rule: &Rule, access: &Access) -> bool {
    let Object::InetSocket(inet) = &access.object else { return false };
    let wanted = rule.access.as_ref().is_none_or(|groups| groups.contains(&Group::Accept));
    let anyone = rule.source.is_empty() && rule.exe.is_empty() && rule.uid.is_empty();
    wanted && (anyone || rule.source.iter().any(|network| network.contains(&inet.src_ip)))
}

/// Both ids: a set-user-id program has the rule's user as one and whoever started it as the other.
fn uid_matches(rule: &Rule, actor: &Actor) -> bool {
    rule.uid.contains(&actor.uid) && rule.uid.contains(&actor.euid)
}

impl Miss {
    const fn reason(self) -> Reason {
        match self {
            Self::Exe => Reason::ExeMismatch,
            Self::NotNodeFile => Reason::ExeNotNodeFile,
            Self::Access => Reason::AccessNotAllowed,
            Self::Uid => Reason::UidMismatch,
            Self::Traced => Reason::ProcessControlled,
            Self::Source => Reason::SourceMismatch,
        }
    }

    fn detail(self, rule: &Rule, access: &Access) -> String {
        let Rule { id, .. } = rule;
        let actor = &access.actor;
        let exe = match actor.exe.key {
            None => "a process without an executable".to_owned(),
            Some(_) if actor.exe.path.is_empty() => "an executable of unknown path".to_owned(),
            Some(_) => escaped_bytes(&actor.exe.path),
        };
        match self {
            Self::Source => "no rule for this target expects connections from that address".to_owned(),
            Self::Traced => format!("rule {id} allows {exe} here, but another process has control of it"),
            Self::Exe => format!("{exe} is not an executable that any rule for this target names"),
            Self::NotNodeFile if actor.exe.deleted => {
                format!(
                    "{exe} is deleted or replaced since the process started; rule {id} means the file that is there"
                )
            }
            Self::NotNodeFile => {
                format!("{exe} has the path that rule {id} names, but is not the node's file")
            }
            Self::Access => {
                let what = access.group().map_or(access.action.name(), Group::name);
                format!("rule {id} allows {exe} here, but not to {what}")
            }
            Self::Uid => {
                format!(
                    "rule {id} allows {exe} here, but not as user {} (effective {})",
                    actor.uid, actor.euid
                )
            }
        }
    }
}

#[cfg(test)]
mod tests;
