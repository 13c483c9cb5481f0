//! In which field a rule failed, and how that is told.

use super::unit;
use crate::access::Access;
use crate::config::Rule;
use crate::event::text::{escaped, escaped_bytes};
use crate::identity::Whose;
use crate::model::Group;
use crate::verdict::Reason;

/// The field in which a rule failed, from what tells least to what tells most. A forged executable tells most: it must not
/// hide behind a rule for any executable that another field kept from matching.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Miss {
    Source,
    NoContainer,
    Exe,
    /// Of a rule that is about the content of any executable.
    Content,
    Container,
    UnknownContainer,
    Access,
    Destination,
    Args,
    Ancestors,
    Unit,
    Namespace,
    Uid,
    Traced,
    Sha256,
    NotNodeFile,
}

impl Miss {
    pub(super) const fn reason(self) -> Reason {
        match self {
            Self::Exe => Reason::ExeMismatch,
            Self::NoContainer | Self::Container => Reason::ContainerMismatch,
            Self::UnknownContainer => Reason::ContainerUnknown,
            Self::NotNodeFile => Reason::ExeNotNodeFile,
            Self::Content | Self::Sha256 => Reason::Sha256Mismatch,
            Self::Access => Reason::AccessNotAllowed,
            Self::Uid => Reason::UidMismatch,
            Self::Unit => Reason::UnitMismatch,
            Self::Args => Reason::ArgsMismatch,
            Self::Ancestors => Reason::AncestorMismatch,
            Self::Namespace => Reason::NamespaceMismatch,
            Self::Destination => Reason::DestinationMismatch,
            Self::Traced => Reason::ProcessControlled,
            Self::Source => Reason::SourceMismatch,
        }
    }

    pub(super) fn detail(self, rule: &Rule, access: &Access, whose: &Whose) -> String {
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
            Self::Content | Self::Sha256 => match actor.exe_hash {
                Some(hashed) if hashed.certain => {
                    format!(
                        "rule {id} says what {exe} has to hold, and its SHA-256 is another: {}",
                        hashed.digest
                    )
                }
                Some(_) => {
                    format!(
                        "rule {id} says what {exe} has to hold, but the file was changed at the time of the access or since"
                    )
                }
                None => format!("rule {id} says what {exe} has to hold, and that is not known"),
            },
            Self::NotNodeFile if actor.exe.deleted => {
                format!(
                    "{exe} is deleted or replaced since the process started; rule {id} means the file that is there"
                )
            }
            Self::NotNodeFile if actor.exe.key.is_none() => {
                format!(
                    "{exe} has the path that rule {id} names, but nothing proves that it is the node's file"
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
            Self::Args if actor.args.is_none() || actor.args_truncated => {
                format!("rule {id} allows {exe} here with certain arguments, and its own are not known whole")
            }
            Self::Args => format!("rule {id} allows {exe} here, but not with these arguments"),
            Self::Ancestors => {
                let parent = actor.ancestors.first().map(|parent| escaped_bytes(&parent.exe.path));
                let parent = parent.filter(|path| !path.is_empty()).unwrap_or("nobody known".to_owned());
                format!("rule {id} allows {exe} here below certain ancestors, but {parent} started it")
            }
            Self::Namespace => {
                format!("rule {id} allows {exe} here, but it is in other namespaces than the rule says")
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
