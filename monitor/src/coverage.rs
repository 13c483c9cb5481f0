//! Every known way to a door, and what each backend sees of it. Documents, `doctor` and the first event of a run are made from this
//! table, and the end-to-end tests go each way on each backend: seen has to be seen, not seen has to be silent.

use std::fmt::Write as _;

use crate::model::Backend;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    Seen,
    /// The file and who it was, not where else it came from or went to.
    Partly,
    /// Once the daemon has looked at the node again, some milliseconds after what comes first.
    Late,
    NotSeen,
}

use Sight::{Late, NotSeen, Partly, Seen};

/// Who looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    Backend(Backend),
    /// The `fentry` backend where the kernel lets programs read only what it knows the type of: lockdown=confidentiality.
    Sealed,
}

impl View {
    const ALL: [Self; 4] = [
        Self::Backend(Backend::Fentry),
        Self::Sealed,
        Self::Backend(Backend::Kprobe),
        Self::Backend(Backend::Syscall),
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Backend(backend) => backend.name(),
            Self::Sealed => "lockdown",
        }
    }
}

/// A way to use a door.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    /// Subject and way; stable.
    pub id: &'static str,
    /// For people.
    pub name: &'static str,
    fentry: Sight,
    sealed: Sight,
    kprobe: Sight,
    syscall: Sight,
}

impl Way {
    pub const fn sight(&self, view: View) -> Sight {
        match view {
            View::Backend(Backend::Fentry) => self.fentry,
            View::Backend(Backend::Kprobe) => self.kprobe,
            View::Backend(Backend::Syscall) => self.syscall,
            View::Sealed => self.sealed,
        }
    }

    /// No type leads to what the hooks look at until the daemon has looked.
    const fn late_untyped(self) -> Self {
        Self { sealed: Late, ..self }
    }

    /// What tells of it has no type that leads there.
    const fn untyped(self) -> Self {
        Self { sealed: NotSeen, ..self }
    }
}

/// All backends see it.
const fn all(id: &'static str, name: &'static str) -> Way {
    Way { id, name, fentry: Seen, sealed: Seen, kprobe: Seen, syscall: Seen }
}

/// fanotify tells of one place only.
const fn one_place(id: &'static str, name: &'static str) -> Way {
    Way { syscall: Partly, ..all(id, name) }
}

/// Only what runs inside the kernel's functions sees it.
const fn inside(id: &'static str, name: &'static str) -> Way {
    Way { syscall: NotSeen, ..all(id, name) }
}

/// Elsewhere what is new is known once the daemon has looked.
const fn late_told(id: &'static str, name: &'static str) -> Way {
    Way { syscall: Late, ..all(id, name) }
}

const fn nobody(id: &'static str, name: &'static str) -> Way {
    Way { id, name, fentry: NotSeen, sealed: NotSeen, kprobe: NotSeen, syscall: NotSeen }
}

pub const WAYS: &[Way] = &[
    all("open.read", "open for reading"),
    all("open.write", "open for writing"),
    all("open.create", "make a file"),
    all("open.creat", "make a file with creat"),
    all("open.openat2", "openat2"),
    all("open.symlink", "through a symbolic link"),
    all("open.symlinked_directory", "through a symbolic link to the directory"),
    all("open.hard_link", "through a hard link outside of the directory"),
    late_told("open.hard_link_new", "through a hard link to a file that was made a moment ago"),
    all("open.bind_directory", "through a bind mount of the directory, in another mount namespace"),
    all("open.bind_file", "through a bind mount of the file"),
    all("open.proc_root", "through /proc/PID/root"),
    all("open.user_namespace", "through a bind mount in a user namespace"),
    all("open.detached", "through a copy of its mount that is mounted nowhere"),
    all("open.proc_fd", "through /proc/self/fd of a descriptor that only names the file"),
    all("open.handle", "open_by_handle_at"),
    all("open.handle_uncached", "open_by_handle_at after the kernel dropped its caches"),
    all("open.uring", "io_uring"),
    all("open.uring_async", "io_uring, by a worker"),
    all("open.uring_poll", "io_uring, by the poller in the kernel"),
    inside("open.uring_direct", "io_uring, without a descriptor"),
    inside("open.overlay_lower", "through an overlay that has the directory below"),
    inside("open.overlay_upper", "through an overlay that has the directory above"),
    inside("open.overlay_ancestor", "through an overlay of a directory above"),
    all("open.mmap", "write to the file's memory"),
    all("open.inherited", "write by a child that inherits the descriptor: told as its parent's open"),
    inside("open.handed_over", "a descriptor that another process hands over"),
    all("change.overlay_upper", "make a file through an overlay that has the directory above"),
    one_place("change.rename_in", "rename a file into the directory"),
    one_place("change.rename_out", "rename a file out of the directory"),
    one_place("change.exchange", "exchange with a file outside"),
    one_place("change.link_in", "make a hard link in the directory"),
    one_place("change.link_out", "make a hard link outside"),
    all("change.tmpfile", "link a file without a name into the directory"),
    all("change.symlink_in", "make a symbolic link in the directory"),
    all("change.mknod", "mknod of a file"),
    all("change.fifo", "mknod of a fifo"),
    all("change.mkdir", "make a directory"),
    all("change.unlink", "remove a file"),
    all("change.rmdir", "remove a directory"),
    all("change.truncate", "truncate"),
    all("change.ftruncate", "ftruncate of a descriptor"),
    all("change.chmod", "chmod"),
    all("change.chown", "chown"),
    all("change.setxattr", "setxattr"),
    one_place("change.uring_rename", "rename by io_uring"),
    one_place("change.uring_link", "make a hard link by io_uring"),
    all("change.uring_unlink", "remove a file by io_uring"),
    one_place("change.ancestor_rename", "rename a directory above"),
    late_told(
        "change.ancestor_rename_write",
        "write right after another directory took the name of one above",
    )
    .late_untyped(),
    one_place("change.ancestor_exchange", "exchange a directory above"),
    late_told("change.ancestor_exchange_write", "write right after a directory above was exchanged")
        .late_untyped(),
    late_told("change.ancestor_rename_in", "rename into a directory that just took the name of one above")
        .late_untyped(),
    // The daemon may hold it at that moment, and then lets go of it last.
    late_told("change.ancestor_unlink", "remove a directory above"),
    late_told(
        "change.ancestor_unlink_write",
        "write right after a directory above was removed and made anew",
    )
    .late_untyped(),
    all("mount.tmpfs", "mount over the directory"),
    all("mount.tmpfs_write", "write right after a mount over the directory").late_untyped(),
    all("mount.bind", "bind mount over the directory"),
    all("mount.bind_write", "write right after a bind mount over the directory").late_untyped(),
    all("mount.bind_file", "bind mount over a file"),
    all("mount.bind_file_write", "write right after a bind mount over a file").late_untyped(),
    all("mount.ancestor", "mount over a directory above"),
    all("mount.ancestor_write", "write right after a mount over a directory above").late_untyped(),
    all("mount.propagated", "mount over the directory at another place that shares its mounts"),
    all("mount.propagated_write", "write right after a mount over the directory at another place")
        .late_untyped(),
    all("mount.move_mount", "fsmount and move_mount over the directory"),
    all("mount.move_mount_write", "write right after move_mount over the directory").late_untyped(),
    all("mount.open_tree", "open_tree and move_mount over the directory"),
    all("mount.open_tree_write", "write right after open_tree and move_mount over the directory")
        .late_untyped(),
    all("mount.umount", "end of a mount over the directory").untyped(),
    all("unix.stream", "connect to a unix socket"),
    all("unix.nonblocking", "connect without waiting"),
    all("unix.seqpacket", "connect a socket of type SEQPACKET"),
    all("unix.made_anew", "connect to a socket that was made anew a moment ago"),
    all("unix.symlink", "through a symbolic link"),
    all("unix.hard_link", "through a hard link"),
    all("unix.renamed", "after the socket was renamed"),
    all("unix.bind_mount", "through a bind mount of the socket"),
    all("unix.network_namespace", "from another network namespace"),
    all("unix.proc_fd", "through /proc/self/fd of a descriptor that only names the socket"),
    all("unix.uring", "io_uring"),
    all("unix.uring_poll", "io_uring, by the poller in the kernel"),
    inside("unix.swapped", "a descriptor that another thread replaces during the call"),
    all("unix.refused", "nobody listens").untyped(),
    all("unix.forbidden", "no permission for the socket").untyped(),
    inside("unix.handed_over", "a connection that another process hands over").untyped(),
    inside("unix.stolen", "a connection that is taken with pidfd_getfd").untyped(),
    all("tcp.connect", "connect"),
    all("tcp.refused", "nobody listens"),
    all("tcp.nonblocking", "connect without waiting"),
    all("tcp.fast_open", "MSG_FASTOPEN"),
    all("tcp.fast_open_connect", "TCP_FASTOPEN_CONNECT"),
    all("tcp.mptcp", "MPTCP"),
    all("tcp.mapped", "IPv4 in IPv6"),
    all("tcp.ipv6", "an IPv6 address"),
    all("tcp.redirected", "another address and port, from which the packet filter leads there"),
    all("tcp.loopback", "another loopback address"),
    all("tcp.own_address", "an address of the node"),
    all("tcp.network_namespace", "from another network namespace"),
    all("tcp.uring", "io_uring"),
    all("tcp.uring_fast_open", "io_uring, MSG_FASTOPEN"),
    inside("tcp.handed_over", "a connection that another process hands over").untyped(),
    inside("control.ptrace", "control of a process that a rule allows: ptrace, /proc/PID/mem"),
    inside("control.exe_file", "a process passes itself off as one that a rule allows: PR_SET_MM_EXE_FILE"),
    inside("control.exe_map", "the same by PR_SET_MM_MAP"),
    nobody("tcp.pod_loopback", "loopback of a pod, which is not the node's: no access"),
    nobody("unix.abstract", "an abstract socket with the name of the path: no access"),
];

/// The table, for a terminal and for documents: one line a way.
pub fn table(running: Option<View>) -> String {
    let mut text = String::new();
    let heads = View::ALL.map(|view| match running {
        Some(running) if running == view => format!("[{}]", view.name()),
        _ => view.name().to_owned(),
    });
    let mut line = |id: &str, columns: [&str; 4], name: &str| {
        let [fentry, sealed, kprobe, syscall] = columns;
        // Writing to a String cannot fail.
        let line = format!("{id:<24}  {fentry:<8}  {sealed:<10}  {kprobe:<8}  {syscall:<9}  {name}");
        let _infallible = writeln!(text, "{}", line.trim_end());
    };
    line("way", heads.each_ref().map(String::as_str), "");
    for way in WAYS {
        let columns = View::ALL.map(|view| match way.sight(view) {
            Seen => "seen",
            Partly => "partly",
            Late => "late",
            NotSeen => "not seen",
        });
        line(way.id, columns, way.name);
    }
    text
}

/// The table in short, in Markdown: how many of the ways that a backend can see at all each of them sees, by subject.
pub fn summary() -> String {
    const SUBJECTS: [(&str, &str); 6] = [
        ("open", "opening a file"),
        ("change", "changing a directory or a file's attributes"),
        ("mount", "mounting over it"),
        ("unix", "connecting to a unix socket"),
        ("tcp", "connecting to a port"),
        ("control", "acting in the name of an allowed process"),
    ];
    let heads = View::ALL.map(View::name).join("` | `");
    let mut text = format!("| ways of | `{heads}` |\n|---|---|---|---|---|\n");
    for (subject, name) in SUBJECTS {
        let ways = || {
            let of_subject = |way: &&Way| way.id.split_once('.').is_some_and(|(own, _)| own == subject);
            WAYS.iter().filter(of_subject).filter(|way| way.fentry == Seen)
        };
        let total = ways().count();
        let cells = View::ALL.map(|view| {
            let count = |sight| ways().filter(|way| way.sight(view) == sight).count();
            let partly = match count(Partly) + count(Late) {
                0 => String::new(),
                partly => format!(", {partly} in part"),
            };
            format!("{} of {total}{partly}", count(Seen))
        });
        // Writing to a String cannot fail.
        let _infallible = writeln!(text, "| {name} | {} |", cells.join(" | "));
    }
    text
}

/// What is not seen, by subject, in sentences.
pub fn gaps(view: View) -> Vec<String> {
    let best = View::Backend(Backend::Fentry);
    let mut gaps: Vec<(&str, Vec<&str>)> = Vec::new();
    let is_gap = |way: &&Way| matches!(way.sight(view), NotSeen | Late) && way.sight(best) == Seen;
    for way in WAYS.iter().filter(is_gap) {
        let subject = way.id.split('.').next().unwrap_or_default();
        match gaps.iter_mut().find(|(known, _)| *known == subject) {
            Some((_, names)) => names.push(way.name),
            None => gaps.push((subject, vec![way.name])),
        }
    }
    let mut gaps: Vec<_> =
        gaps.into_iter().map(|(subject, names)| format!("{subject}: {}", names.join(", "))).collect();
    if WAYS.iter().any(|way| way.sight(view) == Partly) {
        gaps.push("where outside of the target something was renamed or linked from or to".to_owned());
    }
    gaps
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn ids_are_unique() {
        let ids: HashSet<_> = WAYS.iter().map(|way| way.id).collect();
        assert_eq!(ids.len(), WAYS.len());
    }

    #[test]
    fn the_readme_has_the_summary() {
        let text =
            std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap();
        assert!(text.contains(&summary()), "README.md needs this table:\n{}", summary());
    }

    #[test]
    fn the_document_has_the_table() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/coverage.md");
        let text = std::fs::read_to_string(&path).unwrap();
        if !text.contains(&table(None)) && std::env::var_os("BYPASSD_UPDATE_FIXTURES").is_some() {
            let (before, rest) = text.split_once("```text\n").unwrap();
            let (_, after) = rest.split_once("```").unwrap();
            std::fs::write(&path, format!("{before}```text\n{}```{after}", table(None))).unwrap();
            return;
        }
        assert!(text.contains(&table(None)), "docs/coverage.md is old: run with BYPASSD_UPDATE_FIXTURES=1");
    }
}
