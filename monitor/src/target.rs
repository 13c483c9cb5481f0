//! What is watched: an object of the node with a class.

use std::path::{Path, PathBuf};

use ipnet::IpNet;

use crate::model::Class;

/// One thing to watch, as the policy or a profile names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub class: Class,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A directory and everything in it. The path is the node's.
    Directory(PathBuf),
    /// A unix socket, by its path on the node.
    Socket(PathBuf),
    /// A TCP port, where its destination counts.
    Port { port: u16, destinations: Destinations },
}

/// Which destination addresses of a port belong to the node's door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destinations {
    /// The node's own addresses, loopback in the node's network namespace included.
    Node,
    Any,
    Networks(Vec<IpNet>),
}

impl Target {
    /// The path on the node, for targets that have one.
    pub fn path(&self) -> Option<&Path> {
        match &self.what {
            What::Directory(path) | What::Socket(path) => Some(path),
            What::Port { .. } => None,
        }
    }
}

impl Target {
    /// What is watched, without its class: the path on the node, or `tcp/PORT`.
    pub fn name(&self) -> String {
        match &self.what {
            What::Directory(path) | What::Socket(path) => path.display().to_string(),
            What::Port { port, .. } => format!("tcp/{port}"),
        }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.class, self.name())
    }
}
