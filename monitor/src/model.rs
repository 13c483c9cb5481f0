//! The words the whole daemon shares: classes of targets, actions on them, groups of actions.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A side door.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// The directory the kubelet runs manifests from.
    StaticPodManifest,
    /// What the kubelet is told to do: its configuration, flags and unit.
    KubeletConfig,
    /// Private keys and kubeconfigs.
    Credential,
    /// etcd's own files.
    DatastoreFile,
    /// The container runtime's socket.
    RuntimeApi,
    /// etcd's client and peer ports.
    DatastoreApi,
    /// The kubelet's own port.
    KubeletApi,
}

impl Class {
    pub const ALL: [Self; 7] = [
        Self::StaticPodManifest,
        Self::KubeletConfig,
        Self::Credential,
        Self::DatastoreFile,
        Self::RuntimeApi,
        Self::DatastoreApi,
        Self::KubeletApi,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::StaticPodManifest => "static_pod_manifest",
            Self::KubeletConfig => "kubelet_config",
            Self::Credential => "credential",
            Self::DatastoreFile => "datastore_file",
            Self::RuntimeApi => "runtime_api",
            Self::DatastoreApi => "datastore_api",
            Self::KubeletApi => "kubelet_api",
        }
    }

    /// Why a use of it matters, in one sentence.
    pub const fn description(self) -> &'static str {
        match self {
            Self::StaticPodManifest => "a file in this directory runs as a pod, past admission and audit",
            Self::KubeletConfig => "whoever writes it says where the kubelet finds pods and whom it obeys",
            Self::Credential => "whoever has it is someone else to the API server, to etcd or to a kubelet",
            Self::DatastoreFile => "whoever reads it has every Secret of the cluster, without any port",
            Self::RuntimeApi => "whoever talks to this socket starts and enters any container",
            Self::DatastoreApi => "whoever talks to this port reads and writes every object of the cluster",
            Self::KubeletApi => {
                "whoever talks to this port runs commands in every pod of the node, unaudited"
            }
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What was done to a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Opened for reading.
    Open,
    /// Made by an open.
    Create,
    /// Opened for writing.
    Write,
    /// Cut or grown to a size.
    Truncate,
    /// Got another name, or took the name of the target.
    Rename,
    /// Got one more name.
    Link,
    /// Made as a symbolic link.
    Symlink,
    /// A name was removed.
    Unlink,
    Chmod,
    Chown,
    /// Extended attributes or access control lists.
    Setxattr,
    /// Covered by a mount.
    Mount,
    /// A mount that covered it was taken away.
    Umount,
    /// Connected to.
    Connect,
    /// A connection from elsewhere was accepted.
    Accept,
    /// Taken over from another process, open or connected.
    Receive,
    /// A process that is expected to use it was taken control of.
    Ptrace,
    /// A process that runs another file had the kernel say that it runs one that is expected to use it.
    Masquerade,
}

impl Action {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Create => "create",
            Self::Write => "write",
            Self::Truncate => "truncate",
            Self::Rename => "rename",
            Self::Link => "link",
            Self::Symlink => "symlink",
            Self::Unlink => "unlink",
            Self::Chmod => "chmod",
            Self::Chown => "chown",
            Self::Setxattr => "setxattr",
            Self::Mount => "mount",
            Self::Umount => "umount",
            Self::Connect => "connect",
            Self::Accept => "accept",
            Self::Receive => "receive",
            Self::Ptrace => "ptrace",
            Self::Masquerade => "masquerade",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Groups of actions, as the `access` key of a rule names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    Read,
    Write,
    Connect,
    Accept,
}

impl Group {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Connect => "connect",
            Self::Accept => "accept",
        }
    }
}

/// How bad it is, in five steps as OCSF and most SIEMs have them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Info,
    Low,
    Medium,
    High,
    Critical,
}

impl Severity {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// Which hooks are attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Backend {
    /// fentry on `security_*`, BTF tracepoints.
    Fentry,
    /// kprobes on the same functions, raw tracepoints.
    Kprobe,
    /// Raw tracepoints only: what a system call left behind.
    Syscall,
}

impl Backend {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fentry => "fentry",
            Self::Kprobe => "kprobe",
            Self::Syscall => "syscall",
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
