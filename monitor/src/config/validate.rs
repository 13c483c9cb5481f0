//! What YAML cannot say is wrong. Everything wrong is reported at once.

use std::collections::HashSet;
use std::net::IpAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use serde_saphyr::{Location, Spanned};

use super::error::Problem;
use super::file::{File, List, Paths, PathsAndPorts, PortsAt, Sockets, SocketsAndPorts, Targets};
use super::paths::{absolute, file_or_pattern, shown, socket_or_pattern};
use super::{Entry, Rule};
use crate::model::Class;
use crate::target::{Destinations, Target, What};

/// What a file adds to its profile.
#[derive(Debug, Default)]
pub(super) struct Own {
    /// With their lines.
    pub targets: Vec<(Target, u64)>,
    /// Where the file says it for all ports of the kubelet.
    pub destinations: Option<Destinations>,
    pub rules: Vec<(Rule, u64)>,
}

/// `known` are the profile's rules, whose ids are taken.
pub(super) fn validate(file: File, known: &[Entry<Rule>]) -> Result<Own, Vec<Problem>> {
    let File { version, profile: _, targets, allow, severity: _, discover: _ } = file;
    let mut check = Check { own: Own::default(), problems: Vec::new() };
    if version.value != 1 {
        check
            .wrong(version.referenced, format!("version {} is not known; write `version: 1`", version.value));
    }
    check.targets(targets);
    let mut ids: HashSet<_> = known.iter().map(|entry| entry.value.id.clone()).collect();
    for rule in allow {
        check.rule(rule, &mut ids);
    }
    let Check { own, mut problems } = check;
    problems.sort_by_key(Problem::place);
    if problems.is_empty() { Ok(own) } else { Err(problems) }
}

pub(super) struct Check {
    pub(super) own: Own,
    pub(super) problems: Vec<Problem>,
}

impl Check {
    pub(super) fn wrong(&mut self, at: Location, what: String) {
        self.problems.push(Problem::at(at, what));
    }

    fn targets(&mut self, targets: Targets) {
        let Targets {
            static_pod_manifest,
            kubelet_config,
            credential,
            datastore_file,
            runtime_api,
            datastore_api,
            kubelet_api,
        } = targets;
        if let Some(manifests) = static_pod_manifest {
            let at = manifests.referenced;
            let PathsAndPorts { paths, ports } = manifests.value;
            if paths.is_none() && ports.is_none() {
                let what =
                    "nothing of static_pod_manifest is named; give `paths` or `ports`, or leave it out";
                self.wrong(at, what.to_owned());
            }
            if let Some(paths) = paths {
                self.paths(Class::StaticPodManifest, paths);
            }
            if let Some(ports) = ports {
                self.filled("ports", &ports);
                self.ports(Class::StaticPodManifest, ports.value, &Destinations::Node);
            }
        }
        for (class, paths) in [
            (Class::KubeletConfig, kubelet_config),
            (Class::Credential, credential),
            (Class::DatastoreFile, datastore_file),
        ] {
            if let Some(Paths { paths }) = paths {
                self.paths(class, paths);
            }
        }
        if let Some(Sockets { sockets }) = runtime_api {
            self.filled("sockets", &sockets);
            for path in sockets.value {
                self.path(Class::RuntimeApi, &path, socket_or_pattern);
            }
        }
        if let Some(datastore) = datastore_api {
            let at = datastore.referenced;
            let SocketsAndPorts { sockets, ports } = datastore.value;
            if sockets.is_none() && ports.is_none() {
                let what = "nothing of datastore_api is named; give `sockets` or `ports`, or leave it out";
                self.wrong(at, what.to_owned());
            }
            if let Some(sockets) = sockets {
                self.filled("sockets", &sockets);
                for path in sockets.value {
                    self.path(Class::DatastoreApi, &path, socket_or_pattern);
                }
            }
            if let Some(ports) = ports {
                self.filled("ports", &ports);
                self.ports(Class::DatastoreApi, ports.value, &Destinations::Outside);
            }
        }
        if let Some(PortsAt { ports, destinations }) = kubelet_api {
            let ports = ports.map(|ports| {
                self.filled("ports", &ports);
                ports.value
            });
            let ports = ports.unwrap_or_default();
            self.own.destinations = destinations.map(|list| self.destinations(&list));
            let destinations = self.own.destinations.clone().unwrap_or(Destinations::Node);
            self.ports(Class::KubeletApi, ports, &destinations);
        }
    }

    fn filled<T>(&mut self, key: &str, list: &Spanned<Vec<T>>) {
        if list.value.is_empty() {
            let what = format!("`{key}` is an empty list, which adds nothing; leave it out");
            self.wrong(list.referenced, what);
        }
    }

    fn paths(&mut self, class: Class, paths: Spanned<Vec<Spanned<String>>>) {
        self.filled("paths", &paths);
        for path in paths.value {
            self.path(class, &path, file_or_pattern);
        }
    }

    fn path(&mut self, class: Class, path: &Spanned<String>, what: fn(PathBuf) -> Result<What, String>) {
        match absolute(&path.value).and_then(what) {
            Ok(what) => self.target(path.referenced, Target { class, what }),
            Err(why) => self.wrong(path.referenced, why),
        }
    }

    fn ports(&mut self, class: Class, ports: Vec<Spanned<i64>>, destinations: &Destinations) {
        for port in ports {
            match u16::try_from(port.value) {
                Ok(number) if number != 0 => {
                    let what = What::Port { port: number, destinations: destinations.clone() };
                    self.target(port.referenced, Target { class, what });
                }
                _ => {
                    let what = format!("{} is not a TCP port; write a number from 1 to 65535", port.value);
                    self.wrong(port.referenced, what);
                }
            }
        }
    }

    fn target(&mut self, at: Location, target: Target) {
        let taken = self.own.targets.iter().find(|(other, _)| other.name() == target.name());
        if let Some((taken, _)) = taken {
            self.wrong(
                at,
                format!("{} is given twice, first as {}; keep one", shown(&target.name()), taken.class),
            );
        } else {
            self.own.targets.push((target, at.line()));
        }
    }

    fn destinations(&mut self, list: &Spanned<List<String>>) -> Destinations {
        let List(words) = &list.value;
        match words.as_slice() {
            [word] if word == "node" => return Destinations::Node,
            [word] if word == "any" => return Destinations::Any,
            _ => {}
        }
        let networks = self.networks(list.referenced, words, "node, any, or a list as [10.0.0.0/8]");
        if words.is_empty() {
            self.wrong(
                list.referenced,
                "no destination would ever count; write node, any, or networks".to_owned(),
            );
        }
        Destinations::Networks(networks)
    }

    /// `instead` is what to write for a word that is none.
    pub(super) fn networks(&mut self, at: Location, words: &[String], instead: &str) -> Vec<IpNet> {
        let mut networks = Vec::new();
        for word in words {
            match word.parse::<IpNet>() {
                Ok(network) => networks.push(network),
                Err(_) => {
                    let hint = match word.parse::<IpAddr>() {
                        Ok(address) => format!("write {}", IpNet::from(address)),
                        Err(_) => format!("write {instead}"),
                    };
                    self.wrong(at, format!("`{}` is no network; {hint}", shown(word)));
                }
            }
        }
        networks
    }
}
