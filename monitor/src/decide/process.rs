//! Whether a process is what a rule says beyond its executable.

use std::path::PathBuf;

use super::{Policy, unit};
use crate::access::Actor;
use crate::config::{HostNamespaces, Words};
use crate::hash::Digest;

impl Policy<'_> {
    /// Of the parent and those above that are known, one runs such a file of the node.
    pub(super) fn ancestors_match(&self, wanted: &[PathBuf], actor: &Actor) -> bool {
        let is_wanted = |path: &PathBuf| actor.ancestors.iter().any(|above| self.exes.is(path, &above.exe));
        wanted.iter().any(is_wanted)
    }

    pub(super) fn namespaces_match(&self, wanted: HostNamespaces, actor: &Actor) -> bool {
        let HostNamespaces { mnt, pid, net } = wanted;
        let known = actor.is_known();
        let fits =
            |wanted: Option<bool>, own, node| wanted.is_none_or(|wanted| known && wanted == (own == node));
        fits(mnt, actor.mnt_ns, self.node.mnt)
            && fits(pid, actor.pid_ns, self.node.pid)
            && fits(net, actor.net_ns, self.node.net)
    }
}

/// Both ids: a set-user-id program has the rule's user as one and whoever started it as the other.
pub(super) fn uid_matches(wanted: &[u32], actor: &Actor) -> bool {
    actor.is_known() && wanted.contains(&actor.uid) && wanted.contains(&actor.euid)
}

pub(super) fn unit_matches(wanted: &[Words], actor: &Actor) -> bool {
    let unit = unit::of_node(&actor.cgroup);
    unit.is_some_and(|unit| wanted.iter().any(|words| words.fits(unit)))
}

/// What was cut off may be anything.
pub(super) fn args_match(wanted: &[Words], actor: &Actor) -> bool {
    let Some(args) = actor.args.as_ref().filter(|_| !actor.args_truncated) else { return false };
    let args: Vec<_> = args.iter().skip(1).map(|arg| String::from_utf8_lossy(arg)).collect();
    let line = args.join(" ");
    wanted.iter().any(|words| words.fits(&line))
}

/// What is not known for certain is no match.
pub(super) fn sha256_matches(wanted: &[Digest], actor: &Actor) -> bool {
    let certain = actor.exe_hash.filter(|hashed| hashed.certain);
    wanted.is_empty() || certain.is_some_and(|hashed| wanted.contains(&hashed.digest))
}
