//! The policy: what to watch and what to expect.

mod container;
pub mod detect;
mod error;
mod file;
mod interpreters;
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
use self::detect::Detected;
pub use self::error::ConfigErrors;
use self::error::Problem;
pub use self::interpreters::warnings;
pub(crate) use self::paths::{absolute, file_or_pattern, socket_or_pattern};
pub use self::process::{HostNamespaces, Processes};
use self::profile::Profile;
pub(crate) use self::rules::applies;
pub use self::words::Words;
use crate::hash::sha256;
use crate::model::{Class, Group, Severity};
use crate::node::Root;
use crate::running::Found;
use crate::target::{Target, What};

/// A policy file is a page or two; anything larger is a mistake.
const SIZE_MAX: u64 = 1 << 20;

/// A policy, resolved: the profile and the file together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Name of the profile it builds on.
    pub profile: &'static str,
    /// Why it is that one, if nobody named it.
    pub evidence: Option<String>,
    pub path: Option<PathBuf>,
    /// Of the file, or of the built-in profile where there is none.
    pub sha256: String,
    pub targets: Vec<Entry<Target>>,
    pub rules: Vec<Entry<Rule>>,
    /// Where they are not the usual ones.
    pub severities: Severities,
    /// Whether what runs on the node adds targets.
    pub discover: bool,
}

/// How bad every alert of a class is.
pub type Severities = BTreeMap<Class, Severity>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<T> {
    pub value: T,
    pub origin: Origin,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// With its name.
    Profile(&'static str),
    /// With its line; 0 if that is not known.
    File(u64),
    /// What runs on the node: which process, and where it says so.
    Found(String),
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
    /// Adds what runs on the node says, as `run` does.
    pub fn add_found(&mut self, found: Vec<Found>) {
        let found = found
            .into_iter()
            .map(|Found { target, from }| Entry { value: target, origin: Origin::Found(from) });
        self.targets.extend(found);
    }

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

/// Reads a policy file, or takes the built-in profile alone. If the file does not say which, it is the one that fits this node.
pub fn load(path: Option<&Path>) -> Result<Config, ConfigErrors> {
    let Some(path) = path else { return built_in(&detected()) };
    let name = path.display().to_string();
    let text = read(path).map_err(|why| ConfigErrors::new(&name, vec![Problem::whole(why)]))?;
    build_on(&name, &text, Some(path), detected)
}

/// The profile that fits this node; kubeadm's where nothing tells.
fn detected() -> Detected {
    let found = Root::here().map(|root| detect::detect(&root)).unwrap_or_default();
    found.into_iter().next().unwrap_or_else(usual)
}

/// Where nothing tells which profile it is.
fn usual() -> Detected {
    Detected { profile: profile::KUBEADM.name, evidence: "nothing here tells of another".to_owned() }
}

pub(crate) fn built_in(detected: &Detected) -> Result<Config, ConfigErrors> {
    let profile = Profile::named(detected.profile).unwrap_or(profile::KUBEADM);
    let config = build(profile.name, profile.text, None)?;
    Ok(Config { evidence: Some(detected.evidence.clone()), ..config })
}

/// A policy of that text, the same on every node.
pub(crate) fn build(name: &str, text: &str, path: Option<&Path>) -> Result<Config, ConfigErrors> {
    build_on(name, text, path, usual)
}

/// Without a path it is a profile's, and may build on another one; `detected` says which it is if none is named.
fn build_on(
    name: &str,
    text: &str,
    path: Option<&Path>,
    detected: impl FnOnce() -> Detected,
) -> Result<Config, ConfigErrors> {
    let errors = |problems| ConfigErrors::new(name, problems);
    let file = parse::parse(text).map_err(|problem| errors(vec![problem]))?;
    let own_profile = Profile::named(name).filter(|_| path.is_none()).map(|profile| profile.name);
    let base = match (file.profile.profile(), file.profile) {
        (Some(base), _) => Some(build(base.name, base.text, None)?),
        (None, file::ProfileName::Auto) if path.is_some() => Some(built_in(&detected())?),
        (None, _) => None,
    };
    let (profile, evidence, mut targets, mut rules) = match base {
        Some(base) => (base.profile, base.evidence, base.targets, base.rules),
        None => (profile::NONE, None, Vec::new(), Vec::new()),
    };
    let profile = own_profile.unwrap_or(profile);
    let severities = file.severity.clone();
    let discover = file.discover.unwrap_or(profile != profile::NONE);
    let origin = |line| own_profile.map_or(Origin::File(line), Origin::Profile);
    let own = validate::validate(file, &rules).map_err(errors)?;
    // What the file names again is the file's.
    targets.retain(|entry| own.targets.iter().all(|(target, _)| target.name() != entry.value.name()));
    if let Some(wanted) = own.destinations {
        let kubelet = targets.iter_mut().filter(|entry| entry.value.class == Class::KubeletApi);
        for entry in kubelet {
            if let What::Port { destinations, .. } = &mut entry.value.what {
                destinations.clone_from(&wanted);
            }
        }
    }
    targets.extend(own.targets.into_iter().map(|(value, line)| Entry { value, origin: origin(line) }));
    let ports = targets.iter().filter(|entry| matches!(entry.value.what, What::Port { .. })).count();
    if ports > PORTS_MAX as usize {
        let what = format!("{ports} ports are watched; {PORTS_MAX} at most fit, leave some out");
        return Err(errors(vec![Problem::whole(what)]));
    }
    rules.extend(own.rules.into_iter().map(|(value, line)| Entry { value, origin: origin(line) }));
    let sha256 = sha256(text.as_bytes());
    Ok(Config {
        profile,
        evidence,
        path: path.map(Path::to_owned),
        sha256,
        targets,
        rules,
        severities,
        discover,
    })
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
