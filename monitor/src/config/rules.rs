//! What is wrong with a rule: it has to say who, and what it says has to be able to happen.

use std::collections::HashSet;

use ipnet::IpNet;
use serde_saphyr::{Location, Spanned};

use super::file::{Allow, List};
use super::paths::shown;
use super::validate::Check;
use super::{Containers, Processes, Rule};
use crate::model::{Class, Group};

impl Check {
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

    pub(super) fn rule(&mut self, rule: Spanned<Allow>, ids: &mut HashSet<String>) {
        let at = rule.referenced;
        let Allow { id, targets: List(targets), access, process, container, source, destination, i_know } =
            rule.value;
        let of_process = process.is_some();
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
            ("source", source.as_ref().is_some_and(|list| list.0.is_empty())),
            ("destination", destination.as_ref().is_some_and(|list| list.0.is_empty())),
        ];
        for (field, _) in empty.iter().filter(|(_, empty)| *empty) {
            self.wrong(at, format!("`{field}` of rule `{name}` is an empty list; leave it out for any"));
        }
        let before = self.problems.len();
        let (process, mut wrong) = Processes::read(&name, process.unwrap_or_default());
        let container = container.map(|fields| {
            let (container, more) = Containers::read(&name, fields);
            wrong.extend(more);
            container
        });
        wrong.into_iter().for_each(|what| self.wrong(at, what));
        let fits = self.problems.len() == before;
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
        if let Some(List(groups)) = &access
            && !groups.is_empty()
        {
            self.groups(at, &name, &targets, groups);
        }
        let from_elsewhere = source.is_some();
        let source =
            source.map(|list| self.networks(at, &list.0, "a list as [10.0.0.0/8]")).unwrap_or_default();
        let destination = self.destination(at, &name, &targets, destination, source.is_empty());
        let access = access.map(|list| list.0);
        let rule = Rule { id, targets, access, process, container, source, destination };
        if fits && !from_elsewhere && !i_know && rule.is_for_anyone() {
            self.wrong(at, anyone(&rule, &name));
        }
        if self.problems.len() == problems {
            self.own.rules.push((rule, at.line()));
        }
    }
}

/// What to say of a rule that allows whoever comes.
fn anyone(rule: &Rule, name: &str) -> String {
    let (what, give) = if rule.accepts() {
        ("accepts connections from anywhere", "`source`")
    } else if rule.container.is_some() {
        ("allows every container", "`process` or `container`")
    } else if rule.process.uid.contains(&0) {
        ("allows whatever root runs", "`exe`, `unit` or `container`")
    } else if !rule.process.sha256.is_empty() {
        ("allows whoever brings such a file along", "`exe`, `unit` or `container` besides")
    } else if rule.process != Processes::default() {
        ("allows every process that looks so, which any can", "`exe`, `unit` or `container`")
    } else {
        ("allows every process", "`process` or `container`")
    };
    format!("rule `{name}` {what}; give {give}, or say `i_know: true` if you mean it")
}

/// Whether that kind of access can happen to targets of the class at all.
pub(crate) const fn applies(class: Class, group: Group) -> bool {
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
