//! Executables on btrfs: a snapshot has each of them once more, with the same number and generation, and in a mount namespace of its own
//! anyone can give it the path of the node's file. Which of the two a process runs, /proc shows.

use std::path::Path;

use rustix::fs::stat;

use super::handler::Handler;
use crate::access::{Access, Executable};
use crate::node::FileId;

impl Handler {
    /// The access, if its executable only looks like one of the node's: by one that is not known.
    pub(super) fn doubted(&self, access: &Access) -> Option<Access> {
        let exact = &self.keeper.plan().exact;
        let actor = &access.actor;
        let is_in_doubt = |exe: &Executable| exe.key.is_some_and(|key| exact.contains(&key.dev));
        if exact.is_empty() || actor.mnt_ns == self.context.namespaces.mnt || !is_in_doubt(&actor.exe) {
            return None;
        }
        if self.is_the_nodes(actor.pid, &actor.exe) {
            return None;
        }
        let mut access = access.clone();
        access.actor.exe.key = None;
        Some(access)
    }

    /// Of a process that is gone nobody can tell.
    fn is_the_nodes(&self, pid: u32, exe: &Executable) -> bool {
        let path = Path::new("/proc").join(pid.to_string()).join("exe");
        let Ok(stat) = stat(path) else { return false };
        let id = FileId::from(&stat);
        self.exes.ids().any(|(known, key)| known == id && Some(key) == exe.key)
    }
}
