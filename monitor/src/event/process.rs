//! The process of an event, and those that started it.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use super::text::{lossless, lossless_list};
use crate::access::{Actor, Ancestor, Executable};
use crate::identity::{Container, Pod, Whose};
use crate::node::Namespaces;

/// The process that did it, as the kernel described it at that moment. Ids are the node's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Process {
    pub pid: u32,
    pub tid: u32,
    /// `boot_id:pid:start`, where start is in nanoseconds since boot: never used twice.
    pub entity_id: String,
    /// RFC 3339, nanoseconds, UTC. In a snapshot, to the hundredth of a second.
    pub start: String,
    /// The name the thread gave itself; anyone can choose any.
    pub comm: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comm_b64: Option<String>,
    #[serde(flatten)]
    pub exe: Exe,
    /// SHA-256 of the file it runs, hexadecimal; of a script, that is its interpreter. No rule counts it where `enrichment_errors` say
    /// that the file was changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exe_sha256: Option<String>,
    /// As the process keeps them in its memory; it can change them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args_b64: Option<Vec<String>>,
    pub args_truncated: bool,
    /// Another process had control of it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub traced: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cwd_b64: Option<String>,
    pub uid: u32,
    pub euid: u32,
    pub gid: u32,
    /// Login uid: who logged in, whatever `su` and `sudo` did since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<u32>,
    /// Effective capabilities, hexadecimal as in /proc/PID/status.
    pub caps_eff: String,
    /// Inode numbers of its namespaces.
    pub ns: Ns,
    /// Whether each is the node's.
    pub host_ns: HostNs,
    /// Path in the unified cgroup hierarchy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroup_b64: Option<String>,
    /// The systemd unit, from the cgroup.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// The container it is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<Container>,
    /// The pod it is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<Pod>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<Arc<Relative>>,
    /// From the grandparent upwards, up to six.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ancestors: Vec<Arc<Relative>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Ns {
    pub mnt: u32,
    pub pid: u32,
    pub net: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct HostNs {
    pub mnt: bool,
    pub pid: bool,
    pub net: bool,
}

/// The file a process runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Exe {
    /// Path in the mount namespace the process runs in; absent for a kernel thread.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exe: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exe_b64: Option<String>,
    /// Device of the file in the kernel's own encoding: major << 20 | minor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exe_dev: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exe_ino: Option<u64>,
    /// The file has no name left.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub exe_deleted: bool,
    /// The file was made with memfd_create and never had a name.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub exe_memfd: bool,
}

/// A process that started another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Relative {
    pub pid: u32,
    pub entity_id: String,
    pub comm: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comm_b64: Option<String>,
    #[serde(flatten)]
    pub exe: Exe,
    pub uid: u32,
}

pub(super) struct Describe<'a> {
    pub boot_id: &'a str,
    pub node: Namespaces,
    pub start: String,
    pub unit: Option<String>,
    pub whose: Whose,
}

impl Describe<'_> {
    pub(super) fn process(self, actor: &Actor) -> Process {
        let (comm, comm_b64) = lossless(&actor.comm);
        let (args, args_b64) = match actor.args.as_deref().map(lossless_list) {
            Some((args, exact)) => (Some(args), exact),
            None => (None, None),
        };
        let (cwd, cwd_b64) = optional(&actor.cwd);
        let (cgroup, cgroup_b64) = optional(&actor.cgroup);
        let mut relatives = actor.ancestors.iter().map(|ancestor| Arc::new(self.relative(ancestor)));
        let parent = relatives.next();
        let ancestors = relatives.collect();
        Process {
            pid: actor.pid,
            tid: actor.tid,
            entity_id: self.entity_id(actor.pid, actor.start),
            start: self.start,
            comm,
            comm_b64,
            exe: exe(&actor.exe),
            exe_sha256: actor.exe_hash.map(|hashed| hashed.digest.to_string()),
            args,
            args_b64,
            args_truncated: actor.args_truncated,
            traced: actor.traced,
            cwd,
            cwd_b64,
            uid: actor.uid,
            euid: actor.euid,
            gid: actor.gid,
            auid: actor.auid,
            session_id: actor.session_id,
            caps_eff: format!("{:016x}", actor.caps_effective),
            ns: Ns { mnt: actor.mnt_ns, pid: actor.pid_ns, net: actor.net_ns },
            host_ns: HostNs {
                mnt: actor.mnt_ns == self.node.mnt,
                pid: actor.pid_ns == self.node.pid,
                net: actor.net_ns == self.node.net,
            },
            cgroup,
            cgroup_b64,
            unit: self.unit,
            container: self.whose.container,
            pod: self.whose.pod,
            parent,
            ancestors,
        }
    }

    fn relative(&self, ancestor: &Ancestor) -> Relative {
        let (comm, comm_b64) = lossless(&ancestor.comm);
        Relative {
            pid: ancestor.pid,
            entity_id: self.entity_id(ancestor.pid, ancestor.start),
            comm,
            comm_b64,
            exe: exe(&ancestor.exe),
            uid: ancestor.uid,
        }
    }

    fn entity_id(&self, pid: u32, start: u64) -> String {
        format!("{}:{pid}:{start}", self.boot_id)
    }
}

pub(super) fn optional(bytes: &[u8]) -> (Option<String>, Option<String>) {
    if bytes.is_empty() {
        return (None, None);
    }
    let (text, exact) = lossless(bytes);
    (Some(text), exact)
}

fn exe(file: &Executable) -> Exe {
    let (path, exe_b64) = optional(&file.path);
    Exe {
        exe: path,
        exe_b64,
        exe_dev: file.key.map(|key| key.dev),
        exe_ino: file.key.map(|key| key.ino),
        exe_deleted: file.deleted,
        exe_memfd: file.is_memfd(),
    }
}
