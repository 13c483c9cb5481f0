//! Executables on btrfs: a snapshot has each of them once more, with the same number and generation, and with a mount anyone can give it
//! the path of the node's file. Which of the two a process runs, /proc shows.

use super::handler::Handler;
use crate::access::{Actor, Executable};
use crate::snapshot::Process;

/// Whether a process runs the node's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proof {
    /// By its number alone, or it is none that a rule names.
    Needless,
    Given,
    Refuted,
    /// It is gone.
    None,
}

impl Handler {
    /// Leaves out what is not proven: which executable it is, of a process or one above it.
    pub(super) fn doubt(&self, actor: &mut Actor) {
        if self.keeper.plan().exact.is_empty() {
            return;
        }
        let is_elsewhere = actor.mnt_ns != self.context.namespaces.mnt;
        match self.proof(actor.pid, actor.start, &actor.exe) {
            Proof::Refuted => actor.exe.key = None,
            Proof::None if is_elsewhere => actor.exe.key = None,
            Proof::None | Proof::Needless | Proof::Given => {}
        }
        for above in &mut actor.ancestors {
            if self.proof(above.pid, above.start, &above.exe) == Proof::Refuted {
                above.exe.key = None;
            }
        }
    }

    fn proof(&self, pid: u32, start: u64, exe: &Executable) -> Proof {
        let Some(key) = exe.key.filter(|key| self.keeper.plan().exact.contains(&key.dev)) else {
            return Proof::Needless;
        };
        let mut own = self.exes.ids().filter(|(_, known)| *known == key).map(|(id, _)| id).peekable();
        if own.peek().is_none() {
            return Proof::Needless;
        }
        let process = Process::open(pid).ok().filter(|process| process.started_at(start));
        match process.and_then(|process| process.runs().ok()) {
            Some(runs) if own.any(|id| id == runs) => Proof::Given,
            Some(_) => Proof::Refuted,
            None => Proof::None,
        }
    }
}
