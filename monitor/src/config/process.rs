//! Which processes a rule means.

use std::path::PathBuf;

use super::Words;
use super::file::{HostNs, List, Process};
use super::paths::{absolute, shown};
use crate::hash::Digest;

/// The fields all have to match; of a list, one element. An empty list is for any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Processes {
    /// Executables of the node.
    pub exe: Vec<PathBuf>,
    /// Of the executable's content.
    pub sha256: Vec<Digest>,
    pub uid: Vec<u32>,
    /// systemd units of the node.
    pub unit: Vec<Words>,
    /// What follows the program's own name, with a blank between two.
    pub args: Vec<Words>,
    /// Executables of the node, one of which the parent runs, or who is above it.
    pub ancestors: Vec<PathBuf>,
    pub host_ns: HostNamespaces,
}

/// Whether the process is to be in those of the node; `None` for any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostNamespaces {
    pub mnt: Option<bool>,
    pub pid: Option<bool>,
    pub net: Option<bool>,
}

impl HostNamespaces {
    /// Every field with its key.
    pub fn fields(self) -> [(&'static str, Option<bool>); 3] {
        let Self { mnt, pid, net } = self;
        [("mnt", mnt), ("pid", pid), ("net", net)]
    }
}

impl Processes {
    /// The fields as they are written in a rule of that name, and what is wrong with them.
    pub(super) fn read(rule: &str, fields: Process) -> (Self, Vec<String>) {
        let Process { exe, sha256, uid, unit, args, ancestors, host_ns } = fields;
        let mut reading = Reading { rule, wrong: Vec::new() };
        let exe = reading.paths("exe", exe);
        let sha256 = reading.digests(sha256);
        let uid = reading.list("uid", uid);
        let unit = reading.words("unit", unit, Words::new);
        let args = reading.words("args", args, Words::line);
        let ancestors = reading.paths("ancestors", ancestors);
        let host_ns = reading.host_ns(host_ns);
        (Self { exe, sha256, uid, unit, args, ancestors, host_ns }, reading.wrong)
    }

    /// No field says who it is: arguments are for anybody to choose, root is whoever is root, and a file with the same content is for
    /// anybody to bring along.
    pub(super) fn are_any(&self) -> bool {
        let Self { exe, sha256: _, uid, unit, args: _, ancestors, host_ns: _ } = self;
        let any_user = uid.is_empty() || uid.contains(&0);
        exe.is_empty() && any_user && unit.is_empty() && ancestors.is_empty()
    }
}

struct Reading<'a> {
    rule: &'a str,
    wrong: Vec<String>,
}

impl Reading<'_> {
    fn list<T>(&mut self, field: &str, list: Option<List<T>>) -> Vec<T> {
        let Some(List(list)) = list else { return Vec::new() };
        if list.is_empty() {
            let rule = self.rule;
            self.wrong.push(format!("`{field}` of rule `{rule}` is an empty list; leave it out for any"));
        }
        list
    }

    fn paths(&mut self, field: &str, list: Option<List<String>>) -> Vec<PathBuf> {
        let mut paths = Vec::new();
        for path in self.list(field, list) {
            match absolute(&path) {
                Ok(path) => paths.push(path),
                Err(why) => self.wrong.push(why),
            }
        }
        paths
    }

    fn digests(&mut self, list: Option<List<String>>) -> Vec<Digest> {
        let mut digests = Vec::new();
        for text in self.list("sha256", list) {
            match text.parse() {
                Ok(digest) => digests.push(digest),
                Err(()) => {
                    let what = format!("`{}` as `sha256` of rule `{}` is none", shown(&text), self.rule);
                    self.wrong.push(format!("{what}; write its 64 hexadecimal digits, as `sha256sum` does"));
                }
            }
        }
        digests
    }

    fn words(
        &mut self,
        field: &str,
        list: Option<List<String>>,
        new: impl Fn(&str) -> Result<Words, String>,
    ) -> Vec<Words> {
        let mut words = Vec::new();
        for text in self.list(field, list) {
            match new(&text) {
                Ok(fit) => words.push(fit),
                Err(why) => {
                    let rule = self.rule;
                    self.wrong.push(format!("`{}` as `{field}` of rule `{rule}` {why}", shown(&text)));
                }
            }
        }
        words
    }

    fn host_ns(&mut self, fields: Option<HostNs>) -> HostNamespaces {
        let Some(HostNs { mnt, pid, net }) = fields else { return HostNamespaces::default() };
        if (mnt, pid, net) == (None, None, None) {
            let what = format!("`host_ns` of rule `{}` says nothing", self.rule);
            self.wrong.push(format!("{what}; write it as {{mnt: true, pid: true, net: true}}"));
        }
        HostNamespaces { mnt, pid, net }
    }
}
