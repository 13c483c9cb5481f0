//! What YAML cannot say is wrong. Everything wrong is reported at once.

use std::collections::HashSet;
use std::net::IpAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use serde_saphyr::{Location, Spanned};

use super::error::Problem;
use super::file::{
    Allow, File, List, Paths, PathsAndPorts, PortsAt, Process, Sockets, SocketsAndPorts, Targets,
};
use super::paths::{absolute, file_or_pattern, shown, socket_or_pattern};
use super::{Containers, Entry, Rule, Words};
use crate::model::{Class, Group};
use crate::target::{Destinations, Target, What};

/// What a file adds to its profile.
#[derive(Debug, Default)]
pub(super) struct Own {
    pub targets: Vec<Target>,
    /// Where the file says it for all ports of the kubelet.
    pub destinations: Option<Destinations>,
    pub rules: Vec<Rule>,
}

/// `known` are the profile's rules, whose ids are taken.
pub(super) fn validate(file: File, known: &[Entry<Rule>]) -> Result<Own, Vec<Problem>> {
    let File { version, profile: _, targets, allow } = file;
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

struct Check {
    own: Own,
    problems: Vec<Problem>,
}

impl Check {
    fn wrong(&mut self, at: Location, what: String) {
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
                self.ports(Class::DatastoreApi, ports.value, &Destinations::Any);
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
        let taken = self.own.targets.iter().find(|other| other.name() == target.name());
        if let Some(taken) = taken {
            self.wrong(at, format!("{} is given twice, first as {}; keep one", target.name(), taken.class));
        } else {
            self.own.targets.push(target);
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
    fn networks(&mut self, at: Location, words: &[String], instead: &str) -> Vec<IpNet> {
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

    /// What can never happen is a mistake: the rule would allow less than it says.
    fn groups(&mut self, at: Location, name: &str, targets: &[Class], groups: &[Group]) {
        let idle = |class: &&Class| !groups.iter().any(|group| applies(**class, *group));
        let problems = self.problems.len();
        for class in targets.iter().filter(idle) {
            let what = format!("no `access` of rule `{name}` can happen to {class}");
            self.wrong(at, format!("{what}; add {}, or leave {class} out", groups_of(&[*class])));
        }
        if self.problems.len() > problems {
            return;
        }
        for group in groups.iter().filter(|group| !targets.iter().any(|class| applies(*class, **group))) {
            let what = format!("`{}` of rule `{name}` never happens to its targets", group.name());
            self.wrong(at, format!("{what}; write {}", groups_of(targets)));
        }
    }

    fn units(&mut self, at: Location, name: &str, units: Option<List<String>>) -> Vec<Words> {
        let mut words = Vec::new();
        for unit in units.into_iter().flat_map(|list| list.0) {
            match Words::new(&unit) {
                Ok(unit) => words.push(unit),
                Err(why) => self.wrong(at, format!("`{}` as `unit` of rule `{name}` {why}", shown(&unit))),
            }
        }
        words
    }

    /// Only ports have one. `outbound`: the rule is not about connections from elsewhere.
    fn destination(
        &mut self,
        at: Location,
        name: &str,
        targets: &[Class],
        networks: Option<List<String>>,
        outbound: bool,
    ) -> Vec<IpNet> {
        let Some(List(networks)) = networks else { return Vec::new() };
        if !outbound {
            let what = format!("rule `{name}` has `source` and `destination`");
            self.wrong(
                at,
                format!("{what}, but a connection from elsewhere goes to this node; leave one out"),
            );
        }
        let ports = [Class::DatastoreApi, Class::KubeletApi, Class::StaticPodManifest];
        if let Some(class) = targets.iter().find(|class| !ports.contains(class)) {
            let what = format!("`destination` of rule `{name}` never fits {class}, which has no addresses");
            self.wrong(at, format!("{what}; make two rules of it"));
        }
        self.networks(at, &networks, "a list as [10.0.0.0/8]")
    }

    fn rule(&mut self, rule: Spanned<Allow>, ids: &mut HashSet<String>) {
        let at = rule.referenced;
        let Allow { id, targets: List(targets), access, process, container, source, destination, i_know } =
            rule.value;
        let of_process = process.is_some();
        let Process { exe, uid, unit } = process.unwrap_or_default();
        let problems = self.problems.len();
        let name = shown(&id);
        if id.is_empty() {
            self.wrong(at, "the rule's `id` is empty; give it a name, events refer to it".to_owned());
        } else if id.chars().any(char::is_control) {
            self.wrong(at, format!("the rule id `{name}` has control characters; choose another"));
        } else if !ids.insert(id.clone()) {
            self.wrong(
                at,
                format!("the rule id `{name}` is taken already, maybe by the profile; choose another"),
            );
        }
        if targets.is_empty() {
            self.wrong(at, format!("rule `{name}` has no targets; list classes as [runtime_api]"));
        }
        let empty = [
            ("access", access.as_ref().is_some_and(|list| list.0.is_empty())),
            ("exe", exe.as_ref().is_some_and(|list| list.0.is_empty())),
            ("uid", uid.as_ref().is_some_and(|list| list.0.is_empty())),
            ("unit", unit.as_ref().is_some_and(|list| list.0.is_empty())),
            ("source", source.as_ref().is_some_and(|list| list.0.is_empty())),
            ("destination", destination.as_ref().is_some_and(|list| list.0.is_empty())),
        ];
        for (field, _) in empty.iter().filter(|(_, empty)| *empty) {
            self.wrong(at, format!("`{field}` of rule `{name}` is an empty list; leave it out for any"));
        }
        let (container, wrong) = container.map(|fields| Containers::read(&name, fields)).unzip();
        let container_fits = wrong.as_ref().is_none_or(Vec::is_empty);
        wrong.into_iter().flatten().for_each(|what| self.wrong(at, what));
        if source.is_some() && (of_process || container.is_some()) {
            let other = if of_process { "process" } else { "container" };
            let what = format!(
                "rule `{name}` has `source` and `{other}`, but what comes from elsewhere has no process here"
            );
            self.wrong(at, format!("{what}; make two rules of it"));
        }
        let only_accepts = access.as_ref().is_none_or(|List(groups)| groups.as_slice() == [Group::Accept]);
        if source.is_some() && !only_accepts {
            self.wrong(
                at,
                format!(
                    "`source` of rule `{name}` is about connections from elsewhere; write `access: [accept]`"
                ),
            );
        }
        let about_accept = access.as_ref().is_some_and(|List(groups)| groups.contains(&Group::Accept));
        if about_accept && source.is_none() && !i_know {
            let what = format!("rule `{name}` accepts connections from anywhere; give `source`");
            self.wrong(at, format!("{what}, or say `i_know: true` if you mean it"));
        } else if exe.is_none()
            && uid.is_none()
            && unit.is_none()
            && container.as_ref().is_none_or(Containers::are_any)
            && container_fits
            && source.is_none()
            && !i_know
        {
            let whom = if container.is_some() { "every container" } else { "every process" };
            let what = format!(
                "rule `{name}` allows {whom}; give `process` or `container`, or say `i_know: true` if you mean it"
            );
            self.wrong(at, what);
        }
        if let Some(List(groups)) = &access
            && !groups.is_empty()
        {
            self.groups(at, &name, &targets, groups);
        }
        let source =
            source.map(|list| self.networks(at, &list.0, "a list as [10.0.0.0/8]")).unwrap_or_default();
        let destination = self.destination(at, &name, &targets, destination, source.is_empty());
        let unit = self.units(at, &name, unit);
        let exe: Vec<_> = exe
            .into_iter()
            .flat_map(|list| list.0)
            .filter_map(|path| absolute(&path).map_err(|why| self.wrong(at, why)).ok())
            .collect();
        if self.problems.len() == problems {
            let (access, uid) = (access.map(|list| list.0), uid.map(|list| list.0).unwrap_or_default());
            self.own.rules.push(Rule { id, targets, access, exe, uid, unit, container, source, destination });
        }
    }
}

/// Whether that kind of access can happen to targets of the class at all.
fn applies(class: Class, group: Group) -> bool {
    match class {
        // A directory is read and written, a port connected to.
        Class::StaticPodManifest => true,
        Class::KubeletConfig | Class::Credential | Class::DatastoreFile => {
            matches!(group, Group::Read | Group::Write)
        }
        // A socket can be renamed, removed or replaced.
        Class::RuntimeApi => matches!(group, Group::Connect | Group::Write),
        Class::DatastoreApi => matches!(group, Group::Connect | Group::Accept | Group::Write),
        Class::KubeletApi => matches!(group, Group::Connect | Group::Accept),
    }
}

fn groups_of(targets: &[Class]) -> String {
    let groups = [Group::Read, Group::Write, Group::Connect, Group::Accept];
    let fit: Vec<_> = groups
        .iter()
        .filter(|group| targets.iter().any(|class| applies(*class, **group)))
        .map(|g| g.name())
        .collect();
    fit.join(" or ")
}
