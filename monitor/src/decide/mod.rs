//! Is this access expected? Pure functions over what is known: no files, no clock, no kernel.

mod control;
mod destination;
mod executables;
mod unit;

pub use self::control::control;
pub use self::destination::destination_counts;
pub use self::executables::{ExeTable, NodeFile};
use crate::access::{Access, Actor, Object};
use crate::config::{Containers, Rule};
use crate::event::text::{escaped, escaped_bytes};
use crate::identity::Whose;
use crate::model::{Action, Class, Group};
use crate::verdict::{Outcome, Reason, Verdict};

/// Allowed if one rule matches in every field. If not, the reason is the miss that tells most.
pub fn decide(rules: &[Rule], exes: &ExeTable, class: Class, access: &Access, whose: &Whose) -> Verdict {
    let mut nearest: Option<(Miss, &Rule)> = None;
    for rule in rules.iter().filter(|rule| rule.targets.contains(&class)) {
        match miss(rule, exes, access, whose) {
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
    NoContainer,
    Exe,
    Container,
    UnknownContainer,
    Access,
    Destination,
    Unit,
    Uid,
    Traced,
    NotNodeFile,
}

fn miss(rule: &Rule, exes: &ExeTable, access: &Access, whose: &Whose) -> Option<Miss> {
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
    if let Some(miss) = rule.container.as_ref().and_then(|containers| miss_of(containers, whose)) {
        return Some(miss);
    }
    let named = !rule.exe.is_empty() || rule.container.is_some();
    if named && actor.traced {
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
    if !rule.unit.is_empty() && !unit_matches(rule, actor) {
        return Some(Miss::Unit);
    }
    (!destination_matches(rule, access)).then_some(Miss::Destination)
}

fn unit_matches(rule: &Rule, actor: &Actor) -> bool {
    let unit = unit::of_node(&actor.cgroup);
    unit.is_some_and(|unit| rule.unit.iter().any(|words| words.fits(unit)))
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
    rule.exe.is_empty() && rule.uid.is_empty() && rule.unit.is_empty() && rule.container.is_none()
}

/// Both ids: a set-user-id program has the rule's user as one and whoever started it as the other.
fn uid_matches(rule: &Rule, actor: &Actor) -> bool {
    rule.uid.contains(&actor.uid) && rule.uid.contains(&actor.euid)
}

impl Miss {
    const fn reason(self) -> Reason {
        match self {
            Self::Exe => Reason::ExeMismatch,
            Self::NoContainer | Self::Container => Reason::ContainerMismatch,
            Self::UnknownContainer => Reason::ContainerUnknown,
            Self::NotNodeFile => Reason::ExeNotNodeFile,
            Self::Access => Reason::AccessNotAllowed,
            Self::Uid => Reason::UidMismatch,
            Self::Unit => Reason::UnitMismatch,
            Self::Destination => Reason::DestinationMismatch,
            Self::Traced => Reason::ProcessControlled,
            Self::Source => Reason::SourceMismatch,
        }
    }

    fn detail(self, rule: &Rule, access: &Access, whose: &Whose) -> String {
        let Rule { id, .. } = rule;
        let actor = &access.actor;
        let exe = match actor.exe.key {
            None => "a process without an executable".to_owned(),
            Some(_) if actor.exe.path.is_empty() => "an executable of unknown path".to_owned(),
            Some(_) => escaped_bytes(&actor.exe.path),
        };
        match self {
            Self::Source => "no rule for this target expects connections from that address".to_owned(),
            Self::NoContainer => {
                format!("{exe} is in no container, and rules for this target name containers")
            }
            Self::Container => format!("{exe} is in {}, which no rule for this target names", place(whose)),
            Self::UnknownContainer => {
                format!(
                    "{exe} seems to be in {}, but that is not proven, so that rule {id} does not count",
                    place(whose)
                )
            }
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
            Self::Unit => {
                let unit = unit::of_node(&actor.cgroup).map_or("no unit of the node".to_owned(), escaped);
                format!("rule {id} allows {exe} here, but it is in {unit}")
            }
            Self::Destination => format!("rule {id} allows {exe} to connect, but not to that address"),
            Self::Uid => {
                format!(
                    "rule {id} allows {exe} here, but not as user {} (effective {})",
                    actor.uid, actor.euid
                )
            }
        }
    }
}

/// The pod or else the container, for people.
fn place(whose: &Whose) -> String {
    let pod = whose.pod.as_ref().and_then(|pod| Some((pod.namespace.as_ref()?, pod.name.as_ref()?)));
    let name = whose.container.as_ref().and_then(|container| container.name.as_ref());
    match (pod, name, &whose.container) {
        (Some((namespace, pod)), Some(name), _) => {
            format!("container {} of pod {}/{}", escaped(name), escaped(namespace), escaped(pod))
        }
        (Some((namespace, pod)), None, _) => format!("pod {}/{}", escaped(namespace), escaped(pod)),
        (None, _, Some(container)) => format!("container {}", escaped(&container.id)),
        (None, _, None) => "a container".to_owned(),
    }
}

#[cfg(test)]
mod tests;
