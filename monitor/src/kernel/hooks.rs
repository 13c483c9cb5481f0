//! Where programs of ours sit in the kernel: the one list of hooks, by backend.

use std::collections::HashSet;

use monitor_abi::fields::Field;

use super::attach::Attach;
use crate::btf::Types;
use crate::model::Backend;

/// One place in the kernel where a program of ours can sit.
#[derive(Debug)]
pub struct Hook {
    /// The program's name without the ending that says how it is attached.
    name: &'static str,
    pub place: Place,
    /// What is not seen without it, as in "not seen: …".
    pub sees: &'static str,
    /// Fields it reads besides [`ACTOR`].
    needs: &'static [&'static [Field]],
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
pub enum Place {
    Function(&'static str),
    Tracepoint(&'static str),
}

/// What kernels make different of a function.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Everywhere,
    /// The directory entry is the first or the second argument; there is a program for each.
    EntryMoves,
    /// The program runs when the function returns, which needs a trampoline: at its return a kprobe no longer has the arguments.
    Exit,
    /// Not all kernels have the fields. Without them there is a gap, but all else works.
    NewerType,
    /// Not all kernels have the function; those without do its work elsewhere.
    Newer,
    /// For kernels that do not have that function.
    Without(&'static str),
}

impl Place {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Function(name) | Self::Tracepoint(name) => name,
        }
    }
}

impl Hook {
    const fn function(
        name: &'static str,
        function: &'static str,
        sees: &'static str,
        needs: &'static [&'static [Field]],
    ) -> Self {
        Self { name, place: Place::Function(function), sees, needs, kind: Kind::Everywhere }
    }

    const fn tracepoint(
        name: &'static str,
        tracepoint: &'static str,
        sees: &'static str,
        needs: &'static [&'static [Field]],
    ) -> Self {
        Self { name, place: Place::Tracepoint(tracepoint), sees, needs, kind: Kind::Everywhere }
    }

    const fn of_kind(self, kind: Kind) -> Self {
        Self { kind, ..self }
    }

    /// Whether the running kernel has the place at all.
    pub fn applies(&self, types: &Types) -> bool {
        match self.kind {
            Kind::Everywhere | Kind::EntryMoves | Kind::Exit => true,
            Kind::NewerType => self.fields().all(|field| types.offsets.has(field)),
            Kind::Newer => types.parameters.contains_key(self.place.name()),
            Kind::Without(newer) => !types.parameters.contains_key(newer),
        }
    }

    /// The program for this backend and kernel.
    pub fn program(&self, backend: Backend, types: &Types) -> String {
        let name = self.name;
        let ending = match (backend, self.place) {
            (Backend::Fentry | Backend::Kprobe, Place::Function(_)) if self.ends() => "fexit",
            (Backend::Fentry, Place::Function(_)) => "fentry",
            (Backend::Fentry, Place::Tracepoint(_)) => "btf",
            (Backend::Kprobe, Place::Function(_)) => "kprobe",
            (Backend::Kprobe | Backend::Syscall, Place::Tracepoint(_))
            | (Backend::Syscall, Place::Function(_)) => "raw",
        };
        match self.kind {
            Kind::Everywhere | Kind::Exit | Kind::Newer | Kind::NewerType | Kind::Without(_) => {
                format!("{name}_{ending}")
            }
            Kind::EntryMoves => {
                let parameters = types.parameters.get(self.place.name());
                let at = parameters.and_then(|names| names.iter().position(|name| name == "dentry"));
                format!("{name}_{}_{ending}", at.unwrap_or_default())
            }
        }
    }

    pub fn attach(&self, backend: Backend) -> Attach {
        match (backend, self.place) {
            (Backend::Fentry | Backend::Kprobe, Place::Function(name)) if self.ends() => Attach::Fexit(name),
            (Backend::Fentry, Place::Function(name)) => Attach::Fentry(name),
            (Backend::Fentry, Place::Tracepoint(name)) => Attach::BtfTracepoint(name),
            (Backend::Kprobe, Place::Function(name)) => Attach::Kprobe(name),
            (Backend::Kprobe | Backend::Syscall, Place::Tracepoint(name))
            | (Backend::Syscall, Place::Function(name)) => Attach::RawTracepoint(name),
        }
    }

    fn ends(&self) -> bool {
        matches!(self.kind, Kind::Exit)
    }

    /// Whether a backend is chosen without it: kernels that have kprobes alone have no trampolines.
    pub fn is_optional(&self, backend: Backend) -> bool {
        self.ends() && backend == Backend::Kprobe
    }

    pub fn fields(&self) -> impl Iterator<Item = Field> {
        [ACTOR].into_iter().chain(self.needs.iter().copied()).flatten().copied()
    }
}

/// The hooks of a backend.
pub fn of(backend: Backend) -> impl Iterator<Item = &'static Hook> {
    let (common, own) = match backend {
        Backend::Fentry => (&FUNCTIONS[..], &FENTRY[..]),
        Backend::Kprobe => (&FUNCTIONS[..], &KPROBE[..]),
        Backend::Syscall => (&[][..], &SYSCALL[..]),
    };
    common.iter().chain(own)
}

/// Functions whose parameters are looked up, because they differ between kernels.
pub fn functions() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().filter(|hook| !matches!(hook.kind, Kind::Everywhere)).map(|hook| hook.place.name())
}

/// What the places are called among the kernel's types.
pub fn type_names() -> HashSet<String> {
    let name = |hook: &Hook| match hook.place {
        Place::Function(name) => name.to_owned(),
        Place::Tracepoint(name) => format!("btf_trace_{name}"),
    };
    FUNCTIONS.iter().chain(&FENTRY).chain(&KPROBE).map(name).collect()
}

const EXE_FILE: &str = "replace_mm_exe_file";
const MASQUERADES: &str = "processes that pass themselves off as ones that rules allow";

const FUNCTIONS: [Hook; 21] = [
    // The smallest comes first: where this way to attach fails, it fails soonest.
    Hook::function(
        "ptrace",
        "security_ptrace_access_check",
        "control taken of processes that rules allow",
        &[],
    ),
    Hook::function("exe_file", EXE_FILE, MASQUERADES, &[]).of_kind(Kind::Newer),
    Hook::function("prctl", "security_task_prctl", MASQUERADES, &[DESCRIPTOR])
        .of_kind(Kind::Without(EXE_FILE)),
    Hook::function("file_open", "security_file_open", "files being opened", &[FILE]),
    Hook::function("inode_create", "security_inode_create", "files made without an open", &[CHANGE]),
    Hook::function("inode_mkdir", "security_inode_mkdir", "directories being made", &[CHANGE]),
    Hook::function("inode_mknod", "security_inode_mknod", "devices, fifos and sockets being made", &[CHANGE]),
    Hook::function("inode_symlink", "security_inode_symlink", "symbolic links being made", &[CHANGE]),
    Hook::function("inode_link", "security_inode_link", "hard links being made", &[CHANGE]),
    Hook::function("inode_unlink", "security_inode_unlink", "files being removed", &[CHANGE]),
    Hook::function("inode_rmdir", "security_inode_rmdir", "directories being removed", &[CHANGE]),
    Hook::function("inode_rename", "security_inode_rename", "files being renamed", &[CHANGE]),
    Hook::function(
        "inode_setattr",
        "security_inode_setattr",
        "files being truncated and changes of mode and owner",
        &[CHANGE, ATTRIBUTES],
    )
    .of_kind(Kind::EntryMoves),
    Hook::function("inode_setxattr", "security_inode_setxattr", "changes of extended attributes", &[CHANGE])
        .of_kind(Kind::EntryMoves),
    Hook::function("inode_set_acl", "security_inode_set_acl", "changes of access control lists", &[CHANGE])
        .of_kind(Kind::Newer),
    Hook::function("sb_mount", "security_sb_mount", "mounts over watched paths", &[MOUNT]),
    Hook::function("move_mount", "security_move_mount", "mounts moved over watched paths", &[MOUNT]),
    Hook::function("sb_umount", "security_sb_umount", "mounts over watched paths that end", &[MOUNT]),
    Hook::function(
        "unix_connect",
        "security_unix_stream_connect",
        "connections to unix sockets",
        &[FILE, UNIX],
    ),
    Hook::function(
        "file_receive",
        "security_file_receive",
        "open files and connections that are handed over",
        &[FILE, UNIX, INET, SOCKET],
    ),
    Hook::function("unix_refused", "unix_stream_connect", "failed connections to unix sockets", &[])
        .of_kind(Kind::Exit),
];

const FENTRY: [Hook; 1] = [Hook::tracepoint("inet_state", "inet_sock_set_state", "TCP connections", &[INET])];

const KPROBE: [Hook; 1] =
    [Hook::function("tcp_state", "tcp_set_state", "TCP connections", &[INET, &[Field::SockState]])];

const SYSCALL: [Hook; 3] = [
    Hook::tracepoint(
        "sys_exit",
        "sys_exit",
        "files being opened and connections to unix sockets",
        &[FILE, UNIX, DESCRIPTOR],
    ),
    Hook::tracepoint("inet_state", "inet_sock_set_state", "TCP connections", &[INET]),
    Hook::tracepoint(
        "uring_complete",
        "io_uring_complete",
        "opens and connects through io_uring",
        &[FILE, UNIX, DESCRIPTOR, REQUEST],
    )
    .of_kind(Kind::NewerType),
];

/// Without these an access could not be told from another, or its actor would be described wrongly.
const ACTOR: &[Field] = &[
    Field::FileInode,
    Field::FileMnt,
    Field::FileDentry,
    Field::InodeSb,
    Field::InodeIno,
    Field::InodeGeneration,
    Field::InodeNlink,
    Field::SbDev,
    Field::DentryParent,
    Field::DentryInode,
    Field::DentrySb,
    Field::DentryName,
    Field::VfsmountRoot,
    Field::MountVfsmount,
    Field::MountParent,
    Field::MountMountpoint,
    Field::TaskTgid,
    Field::TaskLeader,
    Field::TaskParent,
    Field::TaskPtrace,
    Field::TaskStart,
    Field::TaskComm,
    Field::TaskMm,
    Field::TaskCred,
    Field::TaskNsproxy,
    Field::TaskPid,
    Field::TaskFs,
    Field::MmExeFile,
    Field::MmArgStart,
    Field::MmArgEnd,
    Field::CredUid,
    Field::CredEuid,
    Field::CredGid,
    Field::CredEgid,
    Field::CredCapEffective,
    Field::NsproxyMnt,
    Field::NsproxyNet,
    Field::MntNsInum,
    Field::NetNsInum,
    Field::PidNsInum,
    Field::PidLevel,
    Field::PidNumbers,
    Field::UpidNr,
    Field::UpidNs,
    Field::FsPwdMnt,
    Field::FsPwdDentry,
];
const FILE: &[Field] = &[Field::FileFlags, Field::FileMode, Field::InodeMode];
const CHANGE: &[Field] = &[Field::InodeMode];
const ATTRIBUTES: &[Field] = &[Field::IattrValid];
const REQUEST: &[Field] = &[Field::RequestOpcode, Field::RequestFile, Field::RequestResult];
const MOUNT: &[Field] = &[
    Field::PathMnt,
    Field::PathDentry,
    Field::VfsmountFlags,
    Field::VfsmountSb,
    Field::SbType,
    Field::FsTypeName,
];
const SOCKET: &[Field] =
    &[Field::FilePrivate, Field::SocketSk, Field::SockFamily, Field::UnixPeer, Field::SockState];
const UNIX: &[Field] = &[Field::UnixMnt, Field::UnixDentry, Field::SockPeerPid];
const INET: &[Field] = &[
    Field::SockFamily,
    Field::SockNet,
    Field::SockError,
    Field::SockDport,
    Field::SockNum,
    Field::SockDaddr,
    Field::SockSaddr,
];
const DESCRIPTOR: &[Field] = &[
    Field::TaskFiles,
    Field::FilesFdt,
    Field::FdtableMax,
    Field::FdtableFd,
    Field::FilePrivate,
    Field::SocketSk,
    Field::SockFamily,
    Field::UnixPeer,
    Field::RegsSyscall,
    Field::RegsArg0,
];
