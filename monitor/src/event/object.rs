//! What an access was done to.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Serialize;

use super::process::optional;
use super::text::lossless;
use crate::access::{FileObject, InetObject, Object, ObjectKey, UnixObject};
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
    UnixSocket(UnixSocket),
    InetSocket(InetSocket),
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
    /// What it was opened for.
    pub access: Vec<Mode>,
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
    pub(super) fn new(class: Class, path: &[u8], local: bool, object: &Object) -> Self {
        let object = match object {
            Object::File(object) => Kind::File(file(path, object)),
            Object::UnixSocket(object) => Kind::UnixSocket(unix(path, object)),
            Object::InetSocket(object) => Kind::InetSocket(inet(object, local)),
        };
        Self { class, object }
    }
}

impl Target {
    /// Drops the exact bytes beside replaced text; says whether there were any.
    pub(super) fn drop_exact(&mut self) -> bool {
        self.place()
            .is_some_and(|place| place.path_b64.take().is_some() | place.path_seen_b64.take().is_some())
    }

    /// Every string that an actor can make long.
    pub(super) fn strings(&mut self) -> impl Iterator<Item = &mut String> {
        self.place().into_iter().flat_map(|place| [Some(&mut place.path), place.path_seen.as_mut()]).flatten()
    }

    fn place(&mut self) -> Option<&mut Place> {
        match &mut self.object {
            Kind::File(File { place, .. }) | Kind::UnixSocket(UnixSocket { place, .. }) => Some(place),
            Kind::InetSocket(_) => None,
        }
    }
}

fn file(path: &[u8], object: &FileObject) -> File {
    let FileObject { key, path_seen, read, write, directory: _ } = object;
    let access = [(*read, Mode::Read), (*write, Mode::Write)];
    let access = access.into_iter().filter_map(|(on, mode)| on.then_some(mode)).collect();
    File { place: Place::new(path, path_seen, *key), access }
}

fn unix(path: &[u8], object: &UnixObject) -> UnixSocket {
    let UnixObject { key, path_seen, peer_pid, errno: _ } = object;
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
    let InetObject { src_ip, src_port, dst_ip, dst_port, inbound } = *object;
    InetSocket {
        src_ip: (!src_ip.is_unspecified()).then_some(src_ip),
        src_port: (src_port != 0).then_some(src_port),
        dst_ip,
        dst_port,
        direction: if inbound { Direction::Inbound } else { Direction::Outbound },
        local,
    }
}
