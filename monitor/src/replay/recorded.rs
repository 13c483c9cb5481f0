//! An access as an event tells of it, for deciding it again.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

use crate::access::{
    self, Access, Actor, Ancestor, Executable, FileObject, InetObject, Object, ObjectKey, ProcessObject,
    TargetId,
};
use crate::decide::NodeFile;
use crate::hash::Hashed;
use crate::identity::{Container, Pod, Source, Whose};
use crate::model::{Action, Class};
use crate::node::Namespaces;
use crate::verdict::{Reason, Verdict};

/// What an event says that deciding takes. Fields of later versions are passed over.
#[derive(Debug, Deserialize)]
pub struct Recorded {
    pub message: String,
    pub action: Action,
    pub target: Target,
    #[serde(default)]
    pub process: Process,
    pub verdict: Verdict,
    #[serde(default)]
    truncated: bool,
    /// RFC 3339.
    #[serde(default)]
    pub time: String,
    pub first_time: Option<String>,
    /// How many accesses it stands for.
    pub count: Option<u64>,
    #[serde(default)]
    pub enrichment_errors: Vec<String>,
    #[serde(default)]
    pub node: Node,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Node {
    pub name: String,
}

#[derive(Debug, Deserialize)]
pub struct Target {
    pub class: Class,
    #[serde(rename = "type")]
    kind: Kind,
    #[serde(default)]
    access: Vec<String>,
    #[serde(default)]
    pub path: String,
    src_ip: Option<IpAddr>,
    dst_ip: Option<IpAddr>,
    #[serde(default)]
    dst_port: u16,
    #[serde(default)]
    pid: u32,
    #[serde(default)]
    exe: String,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    File,
    Mount,
    UnixSocket,
    InetSocket,
    Process,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Process {
    pid: u32,
    #[serde(flatten)]
    exe: Exe,
    exe_sha256: Option<String>,
    args: Option<Vec<String>>,
    args_truncated: bool,
    traced: bool,
    uid: u32,
    euid: u32,
    host_ns: HostNs,
    cgroup: String,
    pub container: Option<Container>,
    pub pod: Option<Pod>,
    parent: Option<Exe>,
    ancestors: Vec<Exe>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Exe {
    exe: Option<String>,
    exe_dev: u32,
    exe_ino: u64,
    exe_deleted: bool,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct HostNs {
    mnt: bool,
    pid: bool,
    net: bool,
}

/// The numbers of the node's namespaces in what is made of a record, which says of each only whether it is the node's.
pub const NODE: Namespaces = Namespaces { mnt: 1, pid: 1, net: 1 };

impl Recorded {
    pub fn read(event: &Value) -> Result<Self, serde_json::Error> {
        Self::deserialize(event)
    }

    pub fn access(&self) -> Access {
        let Self { action, target, process, verdict, truncated, .. } = self;
        let namespace = |is_host: bool| if is_host { 1 } else { 2 };
        let ancestors = process.parent.iter().chain(&process.ancestors);
        let args = process.args.as_ref();
        let actor = Actor {
            pid: process.pid,
            exe: process.exe.executable(),
            args: args.map(|args| args.iter().map(|arg| arg.clone().into_bytes()).collect()),
            args_truncated: process.args_truncated || *truncated,
            traced: process.traced
                || verdict.reason == Reason::ProcessControlled && *action != Action::Ptrace,
            uid: process.uid,
            euid: process.euid,
            mnt_ns: namespace(process.host_ns.mnt),
            pid_ns: namespace(process.host_ns.pid),
            net_ns: namespace(process.host_ns.net),
            cgroup: process.cgroup.clone().into_bytes(),
            ancestors: ancestors
                .map(|exe| Ancestor { exe: exe.executable(), ..Ancestor::default() })
                .collect(),
            exe_hash: self.hash(),
            ..Actor::default()
        };
        Access {
            boottime: 0,
            target: TargetId(0),
            action: *action,
            object: target.object(*action),
            outcome: access::Outcome::Unknown,
            actor,
            truncated: *truncated,
        }
    }

    /// What was cut off may have said that it is not certain.
    fn hash(&self) -> Option<Hashed> {
        let digest = self.process.exe_sha256.as_ref()?.parse().ok()?;
        let doubted = self.enrichment_errors.iter().any(|error| error.starts_with("exe_sha256:"));
        Some(Hashed { digest, certain: !doubted && !self.truncated })
    }

    pub fn whose(&self) -> Whose {
        let (container, pod) = (self.process.container.clone(), self.process.pod.clone());
        let from_bundle = pod.as_ref().map_or(container.is_some(), |pod| pod.source == Source::Bundle);
        let unknown = self.verdict.reason == Reason::ContainerUnknown;
        let errors = if unknown { vec!["not proven when it was recorded".to_owned()] } else { Vec::new() };
        Whose { proven: from_bundle && !unknown, container, pod, errors }
    }

    /// The executables that were the node's files of their paths, as far as the record can tell: those of processes outside of
    /// containers, unless it says otherwise.
    pub fn files(&self) -> BTreeMap<PathBuf, NodeFile> {
        let Self { process, verdict, target, .. } = self;
        let mut files = BTreeMap::<PathBuf, NodeFile>::new();
        let on_node = process.container.is_none() && process.pod.is_none();
        let forged = !on_node || verdict.reason == Reason::ExeNotNodeFile;
        let own = (!forged).then(|| process.exe.executable());
        let above = process.parent.iter().chain(&process.ancestors).map(Exe::executable);
        let above = above.filter(|_| on_node);
        let controlled = (!target.exe.is_empty()).then(|| controlled(&target.exe));
        for exe in own.into_iter().chain(above).chain(controlled).filter(|exe| !exe.path.is_empty()) {
            let path = PathBuf::from(String::from_utf8_lossy(&exe.path).into_owned());
            let file = files.entry(path.clone()).or_insert_with(|| NodeFile { path, ..NodeFile::default() });
            file.keys.extend(exe.key);
        }
        files
    }
}

impl Process {
    pub fn is_in_node_mounts(&self) -> bool {
        self.host_ns.mnt
    }
}

impl Target {
    /// What it is, for people.
    pub fn name(&self) -> String {
        match self.kind {
            Kind::InetSocket => match self.dst_ip {
                Some(address) => std::net::SocketAddr::new(address, self.dst_port).to_string(),
                None => format!("port {}", self.dst_port),
            },
            Kind::Process => format!("{}[{}]", self.exe, self.pid),
            Kind::File | Kind::Mount | Kind::UnixSocket => self.path.clone(),
        }
    }

    fn object(&self, action: Action) -> Object {
        match self.kind {
            Kind::InetSocket => Object::InetSocket(InetObject {
                src_ip: self.src_ip.unwrap_or(Ipv4Addr::UNSPECIFIED.into()),
                src_port: 0,
                dst_ip: self.dst_ip.unwrap_or(Ipv4Addr::UNSPECIFIED.into()),
                dst_port: self.dst_port,
                inbound: action == Action::Accept,
                net_ns: 0,
            }),
            Kind::Process => {
                Object::Process(ProcessObject { pid: self.pid, start: 0, exe: controlled(&self.exe) })
            }
            Kind::UnixSocket => Object::UnixSocket(access::UnixObject {
                key: ObjectKey::default(),
                path_seen: Vec::new(),
                peer_pid: None,
                path_named: Vec::new(),
            }),
            // What rules ask of a mount, they ask of a file.
            Kind::File | Kind::Mount => Object::File(FileObject {
                key: ObjectKey::default(),
                path_seen: Vec::new(),
                path_inside: Vec::new(),
                other: None,
                read: self.access.iter().any(|mode| mode == "read"),
                write: self.access.iter().any(|mode| mode == "write"),
                directory: false,
            }),
        }
    }
}

/// A process that was taken control of: the record has only its path, and that a rule was about it.
fn controlled(path: &str) -> Executable {
    Executable { key: Some(ObjectKey::default()), path: path.into(), deleted: false }
}

impl Exe {
    fn executable(&self) -> Executable {
        let Self { exe, exe_dev, exe_ino, exe_deleted } = self;
        let path = exe.clone().unwrap_or_default().into_bytes();
        Executable {
            key: exe.as_ref().map(|_| ObjectKey::new(*exe_dev, *exe_ino)),
            path,
            deleted: *exe_deleted,
        }
    }
}
