//! What is watched: an object of the node with a class.

use std::path::{Path, PathBuf};

use ipnet::IpNet;

use crate::glob::Pattern;
use crate::model::Class;

/// One thing to watch, as the policy or a profile names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub class: Class,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A file, or a directory and everything in it, whichever is there. The path is the node's.
    Path(PathBuf),
    /// The files below a directory of the node that fit a pattern.
    Glob { base: PathBuf, pattern: Pattern },
    /// A unix socket, by its path on the node.
    Socket(PathBuf),
    /// The unix sockets in a directory of the node whose names fit a pattern.
    Sockets { base: PathBuf, pattern: Pattern },
    /// A TCP port, where its destination counts.
    Port { port: u16, destinations: Destinations },
}

/// Which destination addresses of a port belong to the node's door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destinations {
    /// The node's own addresses, loopback in the node's network namespace included.
    Node,
    Any,
    /// Any but the loopback of another network namespace than the node's, which is a pod's own.
    Outside,
    Networks(Vec<IpNet>),
}

impl Target {
    /// Whether it matters that a file is cut. Databases are written to all the time, and not cut from outside.
    pub fn is_cut(&self) -> bool {
        self.class != Class::DatastoreFile
    }

    pub fn is_socket(&self) -> bool {
        matches!(self.what, What::Socket(_) | What::Sockets { .. })
    }

    /// Whether a path of the node is one of a target that stands for the sockets of a directory.
    pub fn has_socket_at(&self, path: &Path) -> bool {
        match &self.what {
            What::Sockets { base, pattern } => path.strip_prefix(base).is_ok_and(|name| pattern.fits(name)),
            What::Socket(_) => true,
            What::Path(_) | What::Glob { .. } | What::Port { .. } => false,
        }
    }

    /// Whether it is about a place that `former` was about.
    pub fn succeeds(&self, former: &Self, place: &Path) -> bool {
        match (&self.what, &former.what) {
            (What::Port { port, .. }, What::Port { port: former, .. }) => port == former,
            (What::Socket(path), What::Socket(_) | What::Sockets { .. }) => path == place,
            (What::Sockets { .. }, What::Socket(_) | What::Sockets { .. }) => self.has_socket_at(place),
            (What::Path(base) | What::Glob { base, .. }, What::Path(_) | What::Glob { .. }) => {
                place.starts_with(base)
            }
            _ => false,
        }
    }

    /// The path on the node, for targets that have one; of a pattern, the directory it is about.
    pub fn path(&self) -> Option<&Path> {
        match &self.what {
            What::Path(path)
            | What::Socket(path)
            | What::Glob { base: path, pattern: _ }
            | What::Sockets { base: path, pattern: _ } => Some(path),
            What::Port { .. } => None,
        }
    }
}

impl Target {
    /// The path on the node, of a unix socket.
    pub fn socket(&self) -> Option<&Path> {
        if let What::Socket(path) = &self.what { Some(path) } else { None }
    }

    /// What is watched, without its class: the path on the node, with its pattern if it has one, or `tcp/PORT`.
    pub fn name(&self) -> String {
        match &self.what {
            What::Path(path) | What::Socket(path) => path.display().to_string(),
            What::Glob { base, pattern } | What::Sockets { base, pattern } => {
                format!("{}/{pattern}", base.display())
            }
            What::Port { port, .. } => format!("tcp/{port}"),
        }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.class, self.name())
    }
}
