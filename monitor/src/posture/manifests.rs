//! Checks of the static pods of the node, by their manifests.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::View;
use super::checks;
use super::finding::{Finding, named, of_node};
use super::place::is_absent;
use crate::event::PostureResult::{Fail, Pass, Unknown, Warn};
use crate::event::{Attention, Evidence, Manifest};
use crate::manifest::{Command, Doors, Seen, commands, look};
use crate::model::Class;
use crate::node::Root;
use crate::running::document::SIZE_MAX;
use crate::target::{Target, What};

/// Manifests of one directory that are looked at.
const MANIFESTS_MAX: usize = 256;

/// What distributions run as static pods, by the name of the manifest or of its pod.
const CONTROL_PLANE: [&str; 6] = [
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "cloud-controller-manager",
];

/// Their namespaces.
const NAMESPACES: [&str; 5] = [
    "kube-system",
    "openshift-etcd",
    "openshift-kube-apiserver",
    "openshift-kube-controller-manager",
    "openshift-kube-scheduler",
];

#[derive(Debug, Default)]
pub(super) struct Manifests {
    pub files: Vec<File>,
    /// What could not be looked at, in sentences.
    pub missing: Vec<String>,
    /// There is a directory of them.
    pub any: bool,
}

#[derive(Debug)]
pub(super) struct File {
    pub path: PathBuf,
    pub manifest: Manifest,
    pub commands: Vec<Command>,
}

impl Manifests {
    pub(super) fn read(root: &Root, targets: &[Target], doors: &Doors) -> Self {
        let mut found = Self::default();
        let of_manifests = targets.iter().filter(|target| target.class == Class::StaticPodManifest);
        for target in of_manifests {
            let What::Path(path) = &target.what else { continue };
            match root.list(path, MANIFESTS_MAX) {
                Ok(mut names) => {
                    found.any = true;
                    names.sort();
                    if names.len() >= MANIFESTS_MAX {
                        found.missing.push(format!("{} has more files than are looked at", named(path)));
                    }
                    names.iter().for_each(|name| found.add(root, path.join(name), doors));
                }
                // One file may stand for the directory.
                Err(error) if error.raw_os_error() == Some(libc::ENOTDIR) => {
                    found.add(root, path.clone(), doors);
                }
                Err(error) if is_absent(&error) => {}
                Err(error) => found.missing.push(format!("{} cannot be listed: {error}", named(path))),
            }
        }
        found
    }

    fn add(&mut self, root: &Root, path: PathBuf, doors: &Doors) {
        let Seen::Settled(manifest) = look(root, &path, None, true, doors) else {
            // A directory is none, and nothing is what is gone again.
            match root.open(&path, OFlags::PATH | OFlags::NOFOLLOW) {
                Err(error) if !is_absent(&error) => self.missing.push(format!("{}: {error}", named(&path))),
                _ => {}
            }
            return;
        };
        self.any = true;
        let leads_in = manifest.link.is_some() && !manifest.attention.contains(&Attention::SymlinkOut);
        if manifest.sha256.is_none() && !leads_in && !is_hidden(&path) {
            let problem = manifest.problem.as_deref().unwrap_or("it was not read");
            self.missing.push(format!("{}: {problem}", named(&path)));
        }
        let is_run = !is_hidden(&path) && manifest.parses;
        let text = is_run.then(|| root.read(&path, SIZE_MAX).ok()).flatten();
        let commands = text.map(|text| commands(&text)).unwrap_or_default();
        self.files.push(File { path, manifest, commands });
    }

    pub(super) fn has_control_plane(&self) -> bool {
        self.files.iter().any(|file| !is_hidden(&file.path) && file.is_control_plane())
    }

    /// The container of that name, in a pod of the control plane that the kubelet runs.
    pub(super) fn command(&self, name: &str) -> Option<(&File, &Command)> {
        let of_control_plane = self.files.iter().filter(|file| file.is_in_system());
        of_control_plane
            .flat_map(|file| file.commands.iter().map(move |one| (file, one)))
            .find(|(_, one)| one.name == name)
    }
}

impl File {
    fn is_in_system(&self) -> bool {
        self.manifest.pods.iter().all(|pod| NAMESPACES.contains(&pod.namespace.as_str()))
    }

    fn is_control_plane(&self) -> bool {
        let is_known = |name: Option<&str>| name.is_some_and(|name| CONTROL_PLANE.contains(&name));
        let pods = &self.manifest.pods;
        !pods.is_empty() && self.is_in_system() && pods.iter().all(|pod| is_known(pod.name.as_deref()))
    }

    fn evidence(&self, key: &str, value: impl Into<String>) -> Evidence {
        of_node(&self.path, key, value)
    }
}

/// The kubelet passes it over, until it is renamed.
fn is_hidden(path: &Path) -> bool {
    path.file_name().map(OsStr::as_bytes).unwrap_or_default().starts_with(b".")
}

type Look = fn(&View<'_>, &File, &mut Finding);

pub(super) fn check(view: &View<'_>) -> Vec<Finding> {
    let checks: [(&'static checks::Check, Look); 4] = [
        (&checks::INVISIBLE, invisible),
        (&checks::HIDDEN, hidden),
        (&checks::UNEXPECTED, unexpected),
        (&checks::HOST_PATHS, host_paths),
    ];
    let of_each = checks.into_iter().map(|(check, look)| {
        let mut finding = Finding::new(check);
        view.manifests.missing.iter().for_each(|why| finding.unknown(why.clone()));
        view.manifests.files.iter().for_each(|file| look(view, file, &mut finding));
        match (view.manifests.any, view.manifests.files.is_empty() && view.manifests.missing.is_empty()) {
            (false, true) => finding.absent("there is no directory of manifests"),
            (true, true) => finding.say(Pass, "there are no manifests"),
            (_, false) => {}
        }
        finding
    });
    of_each.collect()
}

/// What was not read is not known to be harmless; what does not parse may be understood by the kubelet all the same.
fn readable(file: &File, finding: &mut Finding) -> bool {
    let Manifest { sha256, parses, problem, link, .. } = &file.manifest;
    if *parses {
        return true;
    }
    let problem = problem.as_deref().unwrap_or("it was not read");
    let result = if sha256.is_some() { Warn } else { Unknown };
    // A link inside the directory leads to a manifest of its own.
    let leads_in = link.is_some() && !file.manifest.attention.contains(&Attention::SymlinkOut);
    if !is_hidden(&file.path) && !leads_in {
        finding.add(result, format!("{}: {problem}", named(&file.path)), file.evidence("problem", problem));
    }
    false
}

fn invisible(_: &View<'_>, file: &File, finding: &mut Finding) {
    if is_hidden(&file.path) || !readable(file, finding) {
        return;
    }
    let invalid: Vec<_> = file.manifest.pods.iter().filter(|pod| !pod.namespace_valid).collect();
    for pod in &invalid {
        let why = format!("a pod of {} runs in a namespace that there cannot be", named(&file.path));
        finding.add(Fail, why, file.evidence("metadata.namespace", pod.namespace.clone()));
    }
    if let Some(account) = file.commands.iter().find_map(|one| one.service_account.as_ref()) {
        let why = format!(
            "{} asks for a service account, with which the API server takes no static pod",
            named(&file.path)
        );
        finding.add(Warn, why, file.evidence("spec.serviceAccountName", account.clone()));
    } else if invalid.is_empty() {
        finding.say(Pass, "no pod has a namespace that there cannot be");
    }
}

fn hidden(_: &View<'_>, file: &File, finding: &mut Finding) {
    if is_hidden(&file.path) {
        let why = format!("{} runs as soon as somebody renames it", named(&file.path));
        finding.add(Warn, why, file.evidence("name", "begins with a dot"));
    } else if file.manifest.attention.contains(&Attention::SymlinkOut) {
        let link = file.manifest.link.clone().unwrap_or_default();
        let why = format!("{} is a link: what runs is whatever is elsewhere", named(&file.path));
        finding.add(Warn, why, file.evidence("link", link));
    } else {
        finding.say(Pass, "no manifest is hidden or elsewhere");
    }
}

fn unexpected(_: &View<'_>, file: &File, finding: &mut Finding) {
    if is_hidden(&file.path) || !readable(file, finding) {
        return;
    }
    let sha256 = file.evidence("sha256", file.manifest.sha256.clone().unwrap_or_default());
    if file.is_control_plane() {
        finding.add(Pass, "only the control plane runs as static pods", sha256);
    } else {
        finding.add(Warn, format!("{} is no part of the control plane", named(&file.path)), sha256);
    }
}

fn host_paths(_: &View<'_>, file: &File, finding: &mut Finding) {
    if is_hidden(&file.path) || !readable(file, finding) {
        return;
    }
    let mut worst = Pass;
    for attention in &file.manifest.attention {
        let result = match attention {
            Attention::HostPathRoot
            | Attention::HostPathRuntimeApi
            | Attention::HostPathStaticPodManifest => Fail,
            Attention::HostPathKubeletConfig | Attention::HostPathCredential if file.is_control_plane() => {
                Pass
            }
            Attention::HostPathDatastoreFile | Attention::HostPathDatastoreApi if file.is_control_plane() => {
                Pass
            }
            Attention::HostPathKubeletConfig => Fail,
            Attention::HostPathCredential
            | Attention::HostPathDatastoreFile
            | Attention::HostPathDatastoreApi => Fail,
            _ => continue,
        };
        let what = attention.name().trim_start_matches("host_path_");
        if result != Pass {
            finding.say(result, format!("{} has a host path to {what}", named(&file.path)));
        }
        finding.show(result, file.evidence("host path to", what));
        worst = worst.max(result);
    }
    if worst == Pass {
        finding.say(Pass, "no static pod has a host path that it does not need");
    }
}
