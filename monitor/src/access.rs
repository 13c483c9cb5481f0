//! One access, decoded: what the kernel saw, before anything was looked up or decided.
//!
//! Strings stay bytes until they are written out: names in a kernel are not always UTF-8, and all of them are the
//! actor's to choose.

use std::net::IpAddr;

pub use monitor_abi::watch::ObjectKey;

use crate::model::Action;

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
    pub actor: Actor,
    /// Some part did not fit into the record.
    pub truncated: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    File(FileObject),
    UnixSocket(UnixObject),
    InetSocket(InetObject),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileObject {
    pub key: ObjectKey,
    /// Path inside the mount namespace it was opened in, which is not always the node's.
    pub path_seen: Vec<u8>,
    pub read: bool,
    pub write: bool,
    pub directory: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnixObject {
    pub key: ObjectKey,
    pub path_seen: Vec<u8>,
    /// The process that listens, when known.
    pub peer_pid: Option<u32>,
    pub errno: Option<i32>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InetObject {
    pub src_ip: IpAddr,
    pub src_port: u16,
    pub dst_ip: IpAddr,
    pub dst_port: u16,
    pub inbound: bool,
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

impl Executable {
    /// Made with memfd_create: the kernel names such files itself, outside of any directory.
    pub fn is_memfd(&self) -> bool {
        self.deleted && self.path.starts_with(b"/memfd:")
    }
}
