//! Whether the node's side doors are shut as far as they can be: settings of the kubelet, etcd, the API server and runtimes as they are in
//! force, and who may do what with the files and sockets of each.
//!
//! It only looks. Files are read and never written, no socket is connected to, and what cannot be read is never fine.

mod acl;
mod apiserver;
mod authority;
pub mod checks;
mod containers;
mod datastore;
mod etcd;
mod finding;
mod kubelet;
mod kubelet_api;
mod listening;
mod manifests;
mod permissions;
mod place;
mod runtime;
mod settings;
pub mod table;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use self::authority::Authority;
pub use self::containers::{Mounted, containers};
pub use self::finding::Finding;
pub use self::listening::{Listener, listening};
use self::manifests::Manifests;
use self::settings::Settings;
use crate::config::Rule;
use crate::manifest::Doors;
use crate::node::{Mounts, Root};
use crate::running::process::Process;
use crate::running::program::Program;
use crate::target::Target;

/// What a kubelet with these flags would have in force if every file that it reads had the same text, or why that is not known.
pub(crate) fn made(cmdline: &[u8], text: &[u8]) -> Vec<Result<String, String>> {
    let process = Process::made(Program::Kubelet, cmdline, b"", text);
    let mut settings = Settings::new("kubelet".to_owned(), settings::Place::Process(&process));
    kubelet::of_flags(&mut settings, &process.flags);
    let value = |key| Ok(settings.get(key)?.map(|setting| setting.value.clone()).unwrap_or_default());
    [kubelet::ANONYMOUS, kubelet::MODE, kubelet::READ_ONLY_PORT, kubelet::PATH].map(value).into()
}

/// What is kept of a file of certificates, an access control list and a table of sockets with these bytes: how many of each.
pub(crate) fn counted(bytes: &[u8]) -> (Result<usize, &'static str>, Option<usize>, usize) {
    let keys = authority::keys(bytes).map(|keys| keys.len());
    (
        keys,
        acl::parse(bytes).map(|list| list.len()),
        listening::parse("", &String::from_utf8_lossy(bytes)).count(),
    )
}

/// What is known of the node before anything is judged.
pub struct Node<'a> {
    pub root: &'a Root,
    /// Of the policy, and those that what runs here names.
    pub targets: Vec<Target>,
    pub rules: &'a [Rule],
    /// The distribution, if anything tells of one.
    pub profile: Option<&'static str>,
    pub processes: &'a [Process],
    /// Programs of which something runs that is not known to be the node's own.
    pub others: &'a [Program],
    /// Processes of the same programs that were not looked at.
    pub too_many: usize,
    /// Why there may be more of them.
    pub hidden: Option<String>,
    pub listening: &'a Result<Vec<Listener>, String>,
    pub containers: &'a Result<(Vec<Mounted>, Vec<String>), String>,
}

/// The same with what the checks share.
struct View<'a> {
    root: &'a Root,
    targets: Vec<Target>,
    rules: &'a [Rule],
    profile: Option<&'static str>,
    processes: &'a [Process],
    others: &'a [Program],
    hidden: Option<String>,
    listening: &'a Result<Vec<Listener>, String>,
    containers: &'a Result<(Vec<Mounted>, Vec<String>), String>,
    mounts: Result<Mounts, String>,
    manifests: Manifests,
    /// Whether it runs here as static pods, as far as that can be known.
    control_plane: Result<bool, String>,
    /// Whom kubelets and API servers take certificates of.
    clusters: Result<Vec<Authority>, String>,
    /// Their files, on the node.
    authorities: Vec<PathBuf>,
}

/// What is there only on a node.
const SIGNS: [&str; 2] = ["/etc/kubernetes", "/var/lib/kubelet"];

impl Node<'_> {
    /// Whether anything here tells of Kubernetes.
    pub fn is_node(&self) -> bool {
        let is_of_kubernetes = |process: &Process| {
            !matches!(process.program, Program::Containerd | Program::Crio | Program::Dockerd)
        };
        self.profile.is_some()
            || self.processes.iter().any(is_of_kubernetes)
            || SIGNS.iter().any(|sign| self.root.open(Path::new(sign), OFlags::PATH).is_ok())
    }
}

/// Every check, in the order of the table.
pub fn look(node: Node<'_>) -> Vec<Finding> {
    let is_node = node.is_node();
    let mut findings = if is_node { judge(node) } else { Vec::new() };
    if !is_node {
        findings.extend(checks::ALL.iter().map(|check| {
            let mut finding = Finding::new(check);
            finding.absent("nothing here tells of a Kubernetes node");
            finding
        }));
    }
    let place = |finding: &Finding| checks::ALL.iter().position(|check| std::ptr::eq(*check, finding.check));
    findings.sort_by_key(place);
    findings
}

fn judge(node: Node<'_>) -> Vec<Finding> {
    let Node { root, targets, rules, profile, processes, others, too_many, hidden, listening, containers } =
        node;
    let doors = Doors::of(targets.iter());
    let manifests = Manifests::read(root, &targets, &doors);
    let mounts = Mounts::read(root.mountinfo()).map_err(|error| format!("mounts are not known: {error}"));
    let (control_plane, clusters, authorities) = (Ok(false), Ok(Vec::new()), Vec::new());
    let mut view = View {
        root,
        targets,
        rules,
        profile,
        processes,
        others,
        hidden,
        listening,
        containers,
        mounts,
        manifests,
        control_plane,
        clusters,
        authorities,
    };
    let (kubelets, etcds, apiservers) =
        (kubelet::kubelets(&view), etcd::etcds(&view), apiserver::apiservers(&view));
    view.control_plane = match (view.manifests.has_control_plane(), view.manifests.missing.first()) {
        (true, _) => Ok(true),
        (false, Some(why)) => Err(why.clone()),
        (false, None) => Ok(false),
    };
    view.trust(&kubelets, kubelet::CLIENT_CA);
    view.trust(&apiservers, "client-ca-file");
    let mut findings = kubelet_api::check(&view, &kubelets);
    findings.extend(datastore::check(&view, &etcds));
    findings.extend(apiserver::check(&view, &apiservers));
    if too_many > 0 {
        let why = format!("{too_many} more processes of the same programs were not looked at");
        findings.iter_mut().for_each(|finding| finding.unknown(why.clone()));
    }
    findings.extend(manifests::check(&view));
    findings.extend(permissions::check(&view));
    findings.extend(runtime::check(&view));
    findings.push(containers::check(&view, &doors));
    findings
}

impl View<'_> {
    /// An error says why it cannot be known.
    fn is_there(&self, path: &Path) -> Result<bool, String> {
        match self.root.open(path, OFlags::PATH) {
            Ok(_) => Ok(true),
            Err(error) if place::is_absent(&error) => Ok(false),
            Err(error) => Err(format!("{}: {error}", finding::named(path))),
        }
    }

    /// Notes the authorities that a setting of these programs names.
    fn trust(&mut self, programs: &[Settings<'_>], key: &str) {
        for settings in programs {
            let setting = match settings.text(key) {
                Ok(Some(setting)) => setting,
                Ok(None) => continue,
                Err(why) => {
                    self.clusters = Err(why);
                    continue;
                }
            };
            let path = settings.place.whole(&setting.value);
            self.authorities.extend(settings.place.on_node(&path));
            match (Authority::read(settings.place, &path), &mut self.clusters) {
                (Ok(authority), Ok(known)) if !known.contains(&authority) => known.push(authority),
                (Ok(_), _) => {}
                (Err(why), clusters) => *clusters = Err(why),
            }
        }
    }

    /// None of them was found, in words.
    fn no_process(&self, program: &str) -> String {
        match &self.hidden {
            Some(why) => format!("no {program} could be seen ({why})"),
            None => format!("no {program} runs here"),
        }
    }

    /// A check of a program that is not there.
    fn without(&self, finding: &mut Finding, program: Program) {
        let name = program.name();
        self.manifests.missing.iter().for_each(|why| finding.unknown(why.clone()));
        // Every node has a kubelet.
        let is_missing = program == Program::Kubelet && self.profile.is_some();
        if self.others.contains(&program) {
            finding
                .unknown(format!("something runs here as {name}, and nothing proves that it is the node's"));
        } else if self.hidden.is_some() || is_missing {
            finding.unknown(self.no_process(name));
        } else {
            finding.absent(self.no_process(name));
        }
    }
}
