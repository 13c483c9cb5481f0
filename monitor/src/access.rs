//! One access, decoded: what the kernel saw, before anything was looked up or decided.
//!
//! Strings stay bytes until they are written out: names in a kernel are not always UTF-8, and all of them are the
//! actor's to choose.

use std::net::IpAddr;

pub use monitor_abi::watch::ObjectKey;

use crate::hash::Hashed;
use crate::model::{Action, Group};

/// Index into the table of targets, as the kernel side echoes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TargetId(pub u32);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Nanoseconds since boot, suspend included.
    pub boottime: u64,
    pub target: TargetId,
    pub action: Action,
    pub object: Object,
    pub outcome: Outcome,
    /// Nobody's for what comes from elsewhere.
    pub actor: Actor,
    /// Some part did not fit into the record.
    pub truncated: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    File(FileObject),
    Mount(MountObject),
    UnixSocket(UnixObject),
    InetSocket(InetObject),
    Process(ProcessObject),
}

/// How the attempt ended, as far as it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outcome {
    /// The hook runs before the end.
    #[default]
    Unknown,
    Success,
    /// With this error number.
    Failure(i32),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileObject {
    pub key: ObjectKey,
    /// Path inside the mount namespace it was opened in, which is not always the node's.
    pub path_seen: Vec<u8>,
    /// Path inside its file system, where the kernel knew no mount.
    pub path_inside: Vec<u8>,
    /// The other place of a rename or link.
    pub other: Option<OtherPlace>,
    pub read: bool,
    pub write: bool,
    pub directory: bool,
}

/// Where something comes from or goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherPlace {
    /// Path inside its file system.
    pub path_inside: Vec<u8>,
    /// It is the place it comes from.
    pub is_source: bool,
}

/// A mount over a target, or the end of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountObject {
    /// What is covered.
    pub key: ObjectKey,
    pub path_seen: Vec<u8>,
    /// As the actor named it, or where it was before. Empty when unknown.
    pub source: Vec<u8>,
    /// Empty for a bind mount.
    pub fstype: Vec<u8>,
    /// Other mount namespaces get the mount, too.
    pub shared: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnixObject {
    pub key: ObjectKey,
    pub path_seen: Vec<u8>,
    /// The process that listens, when known.
    pub peer_pid: Option<u32>,
    /// Path that the actor named, where no socket was reached.
    pub path_named: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InetObject {
    pub src_ip: IpAddr,
    pub src_port: u16,
    pub dst_ip: IpAddr,
    pub dst_port: u16,
    pub inbound: bool,
    /// The network namespace of the socket, which is not always the actor's.
    pub net_ns: u32,
}

/// A process that another took control of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessObject {
    pub pid: u32,
    /// Nanoseconds since boot.
    pub start: u64,
    pub exe: Executable,
}

/// The process that did it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actor {
    pub pid: u32,
    pub tid: u32,
    /// Nanoseconds since boot.
    pub start: u64,
    pub comm: Vec<u8>,
    pub exe: Executable,
    /// `None` when the process has no argument list or it could not be read.
    pub args: Option<Vec<Vec<u8>>>,
    pub args_truncated: bool,
    pub cwd: Vec<u8>,
    /// Another process has control of it.
    pub traced: bool,
    /// What the kernel tells repetitions by, beside the process.
    pub role: u32,
    pub uid: u32,
    pub euid: u32,
    pub gid: u32,
    pub egid: u32,
    /// `None` when the kernel keeps no login uid or nobody logged in.
    pub auid: Option<u32>,
    pub session_id: Option<u32>,
    pub caps_effective: u64,
    pub mnt_ns: u32,
    pub pid_ns: u32,
    pub net_ns: u32,
    pub cgroup_id: Option<u64>,
    /// Path below the cgroup root, as `/kubepods.slice/…`.
    pub cgroup: Vec<u8>,
    /// The parent first.
    pub ancestors: Vec<Ancestor>,
    /// Of the executable, when it was found out.
    pub exe_hash: Option<Hashed>,
}

impl Actor {
    /// `false` when it ended before anyone could describe it: its user and its namespaces are nobody's then.
    pub fn is_known(&self) -> bool {
        self.start != 0 || self.exe != Executable::default() || !self.comm.is_empty()
    }
}

/// The file a process runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Executable {
    /// The kernel's object; `None` for a kernel thread.
    pub key: Option<ObjectKey>,
    /// Path inside the actor's mount namespace. Empty when unknown.
    pub path: Vec<u8>,
    /// The last link to the file is gone.
    pub deleted: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ancestor {
    pub pid: u32,
    pub start: u64,
    pub uid: u32,
    pub comm: Vec<u8>,
    pub exe: Executable,
}

impl Access {
    /// The group a policy rule names the access by; `None` for what no rule can allow.
    pub fn group(&self) -> Option<Group> {
        match self.action {
            Action::Open => Some(Group::Read),
            Action::Create
            | Action::Write
            | Action::Truncate
            | Action::Rename
            | Action::Link
            | Action::Symlink
            | Action::Unlink
            | Action::Chmod
            | Action::Chown
            | Action::Setxattr
            | Action::Mount
            | Action::Umount => Some(Group::Write),
            Action::Connect => Some(Group::Connect),
            Action::Accept => Some(Group::Accept),
            Action::Receive => Some(match &self.object {
                Object::File(file) if file.write => Group::Write,
                Object::File(_) | Object::Mount(_) => Group::Read,
                Object::UnixSocket(_) | Object::InetSocket(_) | Object::Process(_) => Group::Connect,
            }),
            Action::Ptrace | Action::Masquerade => None,
        }
    }
}

impl Object {
    /// Of what is in a file system.
    pub fn key(&self) -> Option<ObjectKey> {
        match self {
            Self::File(file) => Some(file.key),
            Self::Mount(mount) => Some(mount.key),
            Self::UnixSocket(socket) => Some(socket.key),
            Self::InetSocket(_) | Self::Process(_) => None,
        }
    }

    pub fn key_mut(&mut self) -> Option<&mut ObjectKey> {
        match self {
            Self::File(file) => Some(&mut file.key),
            Self::Mount(mount) => Some(&mut mount.key),
            Self::UnixSocket(socket) => Some(&mut socket.key),
            Self::InetSocket(_) | Self::Process(_) => None,
        }
    }

    /// The same without a path that nobody saw.
    pub fn unseen(self) -> Self {
        match self {
            Self::Mount(mount) => Self::Mount(MountObject { path_seen: Vec::new(), ..mount }),
            Self::UnixSocket(socket) => Self::UnixSocket(UnixObject { path_seen: Vec::new(), ..socket }),
            Self::File(_) | Self::InetSocket(_) | Self::Process(_) => self,
        }
    }
}

/// The last name of a path.
pub fn last_name(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}

impl Executable {
    /// Made with memfd_create: the kernel names such files itself, outside of any directory.
    pub fn is_memfd(&self) -> bool {
        self.deleted && self.path.starts_with(b"/memfd:")
    }
}
