//! Targets with who says so, as the readers of programs put them together.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::document::Document;
use super::process::Process;
use crate::config::{file_or_pattern, socket_or_pattern};
use crate::event::text::escaped;
use crate::model::Class;
use crate::target::{Destinations, Target, What};

/// Of one process: more than any has, and few enough to be watched.
const EACH_MAX: usize = 24;

/// What is a part of the node rather than a door.
const NAMES_MIN: usize = 2;

/// A target that a process of the node names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub target: Target,
    /// Which process, and where it says so.
    pub from: String,
}

/// What one process says.
pub struct Findings<'a> {
    process: &'a Process,
    pub found: Vec<Found>,
    /// What could not be found out, in sentences.
    pub notes: Vec<String>,
}

impl<'a> Findings<'a> {
    pub fn new(process: &'a Process) -> Self {
        Self { process, found: Vec::new(), notes: Vec::new() }
    }

    pub fn note(&mut self, what: &str) {
        let Process { program, pid, .. } = self.process;
        self.notes.push(format!("{}[{pid}]: {what}", program.name()));
    }

    /// A file that it reads; one that is not there says nothing.
    pub fn read(&mut self, path: &Path, parse: fn(&[u8]) -> Result<Document, String>) -> Option<Document> {
        let text = match self.process.read(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
            text => text.map_err(|error| error.to_string()),
        };
        text.and_then(|text| parse(&text))
            .inspect_err(|why| self.note(&format!("{} is not read: {why}", shown(path))))
            .ok()
    }

    /// A file or directory, or a pattern of them.
    pub fn path(&mut self, class: Class, path: &Path, from: &str) {
        self.place(class, path, from, file_or_pattern);
    }

    /// A unix socket, with or without its scheme. What is reached otherwise is no door of this kind.
    pub fn socket(&mut self, class: Class, endpoint: &str, from: &str) {
        let path = match endpoint.split_once("://") {
            Some(("unix", path)) => path,
            // etcd writes an address for a path.
            Some(("unixs", path)) => path,
            Some(_) => return self.note(&format!("{from} names no unix socket")),
            None => endpoint.strip_prefix("unix:").unwrap_or(endpoint),
        };
        if path.starts_with('@') {
            return self.note(&format!("{from} names an abstract socket, which is not watched"));
        }
        let path = self.process.whole(path);
        self.place(class, &path, from, socket_or_pattern);
    }

    fn place(&mut self, class: Class, path: &Path, from: &str, what: fn(PathBuf) -> Result<What, String>) {
        let Some(on_node) = self.process.on_node(path) else {
            return self.note(&format!("{from}: {} is not found on the node", shown(path)));
        };
        // Whoever watches all of /etc hears of nothing else.
        if on_node.components().count() <= NAMES_MIN {
            return self.note(&format!("{from}: {} is too much of the node to be watched", shown(&on_node)));
        }
        match what(on_node) {
            Ok(what) => self.add(Target { class, what }, from),
            Err(why) => self.note(&format!("{from}: {why}")),
        }
    }

    pub fn port(&mut self, class: Class, port: u16, from: &str) {
        if port != 0 {
            let destinations =
                if class == Class::DatastoreApi { Destinations::Any } else { Destinations::Node };
            self.add(Target { class, what: What::Port { port, destinations } }, from);
        }
    }

    fn add(&mut self, target: Target, from: &str) {
        let Process { program, pid, .. } = self.process;
        if self.found.iter().any(|known| known.target.name() == target.name()) {
            return;
        }
        if self.found.len() >= EACH_MAX {
            return self.note("names more than is watched of one process");
        }
        self.found.push(Found { target, from: format!("{}[{pid}], {from}", program.name()) });
    }

    /// `flag --config` or a file's key, for who says so.
    pub fn key(key: &str, file: &Path) -> String {
        format!("{key} in {}", shown(file))
    }
}

pub fn shown(path: &Path) -> String {
    escaped(&path.to_string_lossy())
}

/// Host and port of `https://10.0.0.7:2379/path`; the port is the scheme's own where none is given.
pub fn address(url: &str) -> Option<(&str, u16)> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let usual = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
        _ => (authority, usual),
    };
    Some((host.trim_matches(['[', ']']), port))
}

/// Whether a host is this machine, whatever its addresses.
pub fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_out_of_urls() {
        for (url, found) in [
            ("https://10.0.0.7:2379", Some(("10.0.0.7", 2379))),
            ("http://[::1]:7445/pods?x", Some(("::1", 7445))),
            ("http://u:p@localhost:1/x", Some(("localhost", 1))),
            ("https://example.org/x", Some(("example.org", 443))),
            ("http://[::1]", Some(("::1", 80))),
            ("http://a:99999", None),
            ("unix:///run/x", None),
            ("127.0.0.1:2379", None),
            ("", None),
        ] {
            assert_eq!(address(url), found, "{url}");
        }
        assert!(is_loopback("::1") && is_loopback("127.8.8.8") && is_loopback("localhost"));
        assert!(!is_loopback("10.0.0.7") && !is_loopback("localhost.example.org"));
    }
}
