//! The policy: what to watch and what to expect.

mod container;
mod error;
mod file;
mod parse;
mod paths;
mod process;
pub mod profile;
mod rules;
mod show;
mod validate;
mod words;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use monitor_abi::watch::PORTS_MAX;

pub use self::container::Containers;
pub use self::error::ConfigErrors;
use self::error::Problem;
pub(crate) use self::paths::absolute;
pub use self::process::{HostNamespaces, Processes};
pub(crate) use self::rules::applies;
pub use self::words::Words;
use crate::hash::sha256;
use crate::model::{Class, Group, Severity};
use crate::target::{Target, What};

/// A policy file is a page or two; anything larger is a mistake.
const SIZE_MAX: u64 = 1 << 20;

/// A policy, resolved: the profile and the file together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Name of the profile it builds on.
    pub profile: &'static str,
    pub path: Option<PathBuf>,
    /// Of the file, or of the built-in profile where there is none.
    pub sha256: String,
    pub targets: Vec<Entry<Target>>,
    pub rules: Vec<Entry<Rule>>,
    /// Where they are not the usual ones.
    pub severities: Severities,
}

/// How bad every alert of a class is.
pub type Severities = BTreeMap<Class, Severity>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<T> {
    pub value: T,
    pub origin: Origin,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    Profile,
    File,
}

/// Who is expected where. The fields of a rule all have to match; of a list, one element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pub id: String,
    pub targets: Vec<Class>,
    /// `None` for any.
    pub access: Option<Vec<Group>>,
    pub process: Processes,
    /// Containers that the process is in one of; `None` for any, and for none.
    pub container: Option<Containers>,
    /// Networks that connections come from. Such a rule is about nothing else.
    pub source: Vec<IpNet>,
    /// Networks that connections go to; empty for any.
    pub destination: Vec<IpNet>,
}

impl Config {
    /// The sockets of runtimes.
    pub fn sockets(&self) -> Vec<PathBuf> {
        self.targets.iter().filter_map(|entry| entry.value.socket()).map(Path::to_owned).collect()
    }

    /// The classes of which connections from elsewhere are reported: those that some rule expects any of.
    pub fn inbound(&self) -> Vec<Class> {
        let about_accept = |rule: &&Rule| !rule.source.is_empty() || rule.accepts();
        let rules = self.rules.iter().map(|entry| &entry.value).filter(about_accept);
        rules.flat_map(|rule| rule.targets.iter().copied()).collect()
    }
}

impl Rule {
    /// Whether it names connections from elsewhere.
    fn accepts(&self) -> bool {
        self.access.as_ref().is_some_and(|groups| groups.contains(&Group::Accept))
    }

    /// Whether somebody has to say that this is meant: it allows whoever comes.
    fn is_for_anyone(&self) -> bool {
        let any_container = self.container.as_ref().is_none_or(Containers::are_any);
        self.source.is_empty() && (self.accepts() || self.process.are_any() && any_container)
    }
}

/// Reads a policy file, or takes the built-in profile alone.
pub fn load(path: Option<&Path>) -> Result<Config, ConfigErrors> {
    let Some(path) = path else {
        let profile = profile::KUBEADM;
        return build(profile.name, profile.text, None);
    };
    let name = path.display().to_string();
    let text = read(path).map_err(|why| ConfigErrors::new(&name, vec![Problem::whole(why)]))?;
    build(&name, &text, Some(path))
}

pub(crate) fn build(name: &str, text: &str, path: Option<&Path>) -> Result<Config, ConfigErrors> {
    let errors = |problems| ConfigErrors::new(name, problems);
    let file = parse::parse(text).map_err(|problem| errors(vec![problem]))?;
    let (profile, mut targets, mut rules) = match (path, file.profile) {
        (None, _) => (profile::KUBEADM.name, Vec::new(), Vec::new()),
        (Some(_), file::ProfileName::None) => (profile::NONE, Vec::new(), Vec::new()),
        (Some(_), file::ProfileName::Auto | file::ProfileName::Kubeadm) => {
            let base = build(profile::KUBEADM.name, profile::KUBEADM.text, None)?;
            (base.profile, base.targets, base.rules)
        }
    };
    let severities = file.severity.clone();
    let origin = if path.is_some() { Origin::File } else { Origin::Profile };
    let own = validate::validate(file, &rules).map_err(errors)?;
    // What the file names again is the file's.
    targets.retain(|entry| own.targets.iter().all(|target| target.name() != entry.value.name()));
    if let Some(wanted) = own.destinations {
        let kubelet = targets.iter_mut().filter(|entry| entry.value.class == Class::KubeletApi);
        for entry in kubelet {
            if let What::Port { destinations, .. } = &mut entry.value.what {
                destinations.clone_from(&wanted);
            }
        }
    }
    targets.extend(own.targets.into_iter().map(|value| Entry { value, origin }));
    let ports = targets.iter().filter(|entry| matches!(entry.value.what, What::Port { .. })).count();
    if ports > PORTS_MAX as usize {
        let what = format!("{ports} ports are watched; {PORTS_MAX} at most fit, leave some out");
        return Err(errors(vec![Problem::whole(what)]));
    }
    rules.extend(own.rules.into_iter().map(|value| Entry { value, origin }));
    let sha256 = sha256(text.as_bytes());
    Ok(Config { profile, path: path.map(Path::to_owned), sha256, targets, rules, severities })
}

fn read(path: &Path) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("cannot be read: {error}");
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Err("is a directory; name the policy file in it".to_owned());
    }
    let mut bytes = Vec::new();
    file.take(SIZE_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > SIZE_MAX {
        return Err(format!("is larger than {SIZE_MAX} bytes; a policy file is a page or two"));
    }
    String::from_utf8(bytes).map_err(|_| "is not UTF-8 text; write the policy in YAML".to_owned())
}

#[cfg(test)]
mod tests;
