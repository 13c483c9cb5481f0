//! What an access was done to.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Serialize;

use super::process::optional;
use super::text::lossless;
use crate::access::{FileObject, InetObject, MountObject, Object, ObjectKey, UnixObject};
use crate::model::Class;

/// A watched object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Target {
    pub class: Class,
    #[serde(flatten)]
    pub object: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Kind {
    File(File),
    Mount(Mount),
    UnixSocket(UnixSocket),
    InetSocket(InetSocket),
    Process(ControlledProcess),
}

/// A process that rules allow, and that another took control of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ControlledProcess {
    pub pid: u32,
    /// Path of its executable.
    pub exe: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exe_b64: Option<String>,
}

/// Where a file or a socket is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Place {
    /// Path on the node.
    pub path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_b64: Option<String>,
    /// Path in the mount namespace of the actor, or for a socket of its server, where it differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_seen: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_seen_b64: Option<String>,
    /// Device in the kernel's own encoding: major << 20 | minor.
    pub dev: u32,
    pub ino: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct File {
    #[serde(flatten)]
    pub place: Place,
    /// What it was opened for; absent if it was not opened.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub access: Vec<Mode>,
    /// Path on the node that it was renamed or linked from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_b64: Option<String>,
    /// Path on the node that it was renamed or linked to, where that is outside of the target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_b64: Option<String>,
}

/// A mount over the target, over something beneath it, or over a directory above it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Mount {
    #[serde(flatten)]
    pub place: Place,
    /// What is mounted, as the actor named it, or where it was before it was moved here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_b64: Option<String>,
    /// Type of the file system; absent for a bind mount.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fstype: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    Read,
    Write,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct UnixSocket {
    #[serde(flatten)]
    pub place: Place,
    /// The process that listens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer_pid: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct InetSocket {
    /// Absent while the kernel has not chosen one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub src_ip: Option<IpAddr>,
    /// Absent while the kernel has not chosen one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub src_port: Option<u16>,
    /// IPv4 in IPv6 is written as IPv4.
    pub dst_ip: IpAddr,
    pub dst_port: u16,
    pub direction: Direction,
    /// The destination is this node.
    pub local: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    Outbound,
    Inbound,
}

impl Target {
    /// `path` and `other` are paths on the node.
    pub(super) fn new(class: Class, path: &[u8], other: &[u8], local: bool, object: &Object) -> Self {
        let object = match object {
            Object::File(object) => Kind::File(file(path, other, object)),
            Object::Mount(object) => Kind::Mount(mount(path, object)),
            Object::UnixSocket(object) => Kind::UnixSocket(unix(path, object)),
            Object::InetSocket(object) => Kind::InetSocket(inet(object, local)),
            Object::Process(object) => {
                let (exe, exe_b64) = lossless(&object.exe.path);
                Kind::Process(ControlledProcess { pid: object.pid, exe, exe_b64 })
            }
        };
        Self { class, object }
    }
}

impl Target {
    /// Drops the exact bytes beside replaced text; says whether there were any.
    pub(super) fn drop_exact(&mut self) -> bool {
        let more = match &mut self.object {
            Kind::File(file) => file.from_b64.take().is_some() | file.to_b64.take().is_some(),
            Kind::Mount(mount) => mount.source_b64.take().is_some(),
            Kind::Process(process) => process.exe_b64.take().is_some(),
            Kind::UnixSocket(_) | Kind::InetSocket(_) => false,
        };
        let place = self.place();
        more | place
            .is_some_and(|place| place.path_b64.take().is_some() | place.path_seen_b64.take().is_some())
    }

    /// Its path on the node, if it has one.
    pub(super) fn path(&self) -> Option<&str> {
        match &self.object {
            Kind::File(File { place, .. })
            | Kind::Mount(Mount { place, .. })
            | Kind::UnixSocket(UnixSocket { place, .. }) => Some(&place.path),
            Kind::InetSocket(_) | Kind::Process(_) => None,
        }
    }

    /// Every string that an actor can make long.
    pub(super) fn strings(&mut self) -> impl Iterator<Item = &mut String> {
        let (place, more) = match &mut self.object {
            Kind::File(File { place, from, to, .. }) => (Some(place), [from.as_mut(), to.as_mut()]),
            Kind::Mount(Mount { place, source, fstype, .. }) => {
                (Some(place), [source.as_mut(), fstype.as_mut()])
            }
            Kind::UnixSocket(UnixSocket { place, .. }) => (Some(place), [None, None]),
            Kind::Process(process) => (None, [Some(&mut process.exe), None]),
            Kind::InetSocket(_) => (None, [None, None]),
        };
        let place = place.into_iter().flat_map(|place| [Some(&mut place.path), place.path_seen.as_mut()]);
        place.chain(more).flatten()
    }

    fn place(&mut self) -> Option<&mut Place> {
        match &mut self.object {
            Kind::File(File { place, .. })
            | Kind::Mount(Mount { place, .. })
            | Kind::UnixSocket(UnixSocket { place, .. }) => Some(place),
            Kind::InetSocket(_) | Kind::Process(_) => None,
        }
    }
}

fn file(path: &[u8], other_path: &[u8], object: &FileObject) -> File {
    let FileObject { key, path_seen, path_inside: _, other, read, write, directory: _ } = object;
    let access = [(*read, Mode::Read), (*write, Mode::Write)];
    let access = access.into_iter().filter_map(|(on, mode)| on.then_some(mode)).collect();
    let is_source = other.as_ref().is_some_and(|other| other.is_source);
    let (from, to) = if is_source { (other_path, &[][..]) } else { (&[][..], other_path) };
    let ((from, from_b64), (to, to_b64)) = (optional(from), optional(to));
    File { place: Place::new(path, path_seen, *key), access, from, from_b64, to, to_b64 }
}

fn mount(path: &[u8], object: &MountObject) -> Mount {
    let MountObject { key, path_seen, source, fstype, shared: _ } = object;
    let (source, source_b64) = optional(source);
    let (fstype, _) = optional(fstype);
    Mount { place: Place::new(path, path_seen, *key), source, source_b64, fstype }
}

fn unix(path: &[u8], object: &UnixObject) -> UnixSocket {
    let UnixObject { key, path_seen, peer_pid, path_named: _ } = object;
    UnixSocket { place: Place::new(path, path_seen, *key), peer_pid: *peer_pid }
}

impl Place {
    /// The path seen is left out where it is the node's.
    fn new(path: &[u8], seen: &[u8], key: ObjectKey) -> Self {
        let (path_seen, path_seen_b64) = if seen == path { (None, None) } else { optional(seen) };
        let (path, path_b64) = lossless(path);
        Self { path, path_b64, path_seen, path_seen_b64, dev: key.dev, ino: key.ino }
    }
}

fn inet(object: &InetObject, local: bool) -> InetSocket {
    let InetObject { src_ip, src_port, dst_ip, dst_port, inbound, net_ns: _ } = *object;
    InetSocket {
        src_ip: (!src_ip.is_unspecified()).then_some(src_ip),
        src_port: (src_port != 0).then_some(src_port),
        dst_ip,
        dst_port,
        direction: if inbound { Direction::Inbound } else { Direction::Outbound },
        local,
    }
}
