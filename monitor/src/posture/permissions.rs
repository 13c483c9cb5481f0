//! Checks of who may do what with the node's files, class by class. Which files these are, the policy and what runs say.

use std::collections::BTreeSet;
use std::path::Path;

use rustix::fs::FileType;

use super::View;
use super::checks::{self, Check};
use super::finding::{Finding, named, of_node};
use super::place::{Below, Limit, Seen, is_absent, is_closed};
use crate::event::PostureResult::{self, Fail, Pass, Warn};
use crate::glob::{self, Pattern};
use crate::model::Class;
use crate::target::What;

pub(super) fn check(view: &View<'_>) -> Vec<Finding> {
    let mut findings = vec![manifests(view), directory(view)];
    findings.push(of_class(view, &checks::KUBELET_FILES, Class::KubeletConfig, Limit::CONFIG, |_| true));
    findings.push(of_class(view, &checks::CREDENTIALS, Class::Credential, Limit::SECRET, |path| {
        !is_certificate(path)
    }));
    findings.push(certificates(view));
    findings.push(datastore(view));
    findings
}

/// `kubelet.crt`, and not `kubelet-client-current.pem`, which has the key in it.
fn is_certificate(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "crt" || end == "pub")
}

/// A file: what is wrong with it, or that nothing is. One that is not there is nothing.
pub(super) fn judge(view: &View<'_>, finding: &mut Finding, path: &Path, limit: Limit) -> Option<Seen> {
    let seen = match Seen::at(view.root, path) {
        Ok(seen) => seen,
        Err(error) if is_absent(&error) => return None,
        Err(error) => {
            finding.unknown(format!("{}: {error}", named(path)));
            return None;
        }
    };
    let limit =
        if seen.is_dir() { Limit { mode: Limit::DIRECTORY.mode, secret: false, ..limit } } else { limit };
    tell(view, finding, &seen, limit);
    Some(seen)
}

pub(super) fn tell(view: &View<'_>, finding: &mut Finding, seen: &Seen, limit: Limit) {
    let wrong = seen.judge(limit, false);
    let wrong = if wrong.is_empty() { wrong } else { seen.judge(limit, is_closed(view.root, &seen.path)) };
    let worst = wrong.iter().map(|(result, _)| *result).max().unwrap_or(Pass);
    for (result, what) in wrong {
        finding.say(result, format!("{} {what}", named(&seen.path)));
    }
    finding.show(worst, of_node(&seen.path, "owner and mode", seen.shown()));
    if worst == Pass {
        finding.say(Pass, "nobody but root may do more than is needed");
    }
}

/// The files of all targets of a class, once each.
fn of_class(
    view: &View<'_>,
    check: &'static Check,
    class: Class,
    limit: Limit,
    wanted: impl Fn(&Path) -> bool,
) -> Finding {
    let mut finding = Finding::new(check);
    let mut known = BTreeSet::new();
    for (base, pattern) in places(view, class) {
        if pattern.is_none() && wanted(base) && known.insert(base.to_owned()) {
            let Some(seen) = judge(view, &mut finding, base, limit) else { continue };
            if !seen.is_dir() {
                continue;
            }
        }
        let below = Below::of(view.root, base, pattern);
        below.missing.into_iter().for_each(|why| finding.unknown(why));
        for path in below.files.into_iter().filter(|path| wanted(path)) {
            if known.insert(path.clone()) {
                judge(view, &mut finding, &path, limit);
            }
        }
    }
    finding.none();
    finding
}

fn places<'a>(view: &'a View<'_>, class: Class) -> impl Iterator<Item = (&'a Path, Option<&'a Pattern>)> {
    let of_class = view.targets.iter().filter(move |target| target.class == class);
    of_class.filter_map(|target| match &target.what {
        What::Path(path) => Some((path.as_path(), None)),
        What::Glob { base, pattern } => Some((base.as_path(), Some(pattern))),
        What::Socket(_) | What::Sockets { .. } | What::Port { .. } => None,
    })
}

/// Certificates lie beside the keys, in directories that nobody else may write to either.
fn certificates(view: &View<'_>) -> Finding {
    let mut finding = Finding::new(&checks::CERTIFICATES);
    let mut known = BTreeSet::new();
    for (base, pattern) in places(view, Class::Credential) {
        let beside = pattern.map(|pattern| {
            let keys = pattern.to_string();
            let certificates = base.join(format!("{}.crt", keys.strip_suffix(".key")?));
            glob::split(&certificates).ok().map(|(_, pattern)| pattern)
        });
        // Beside kubeconfigs, certificates are none of the node's.
        if beside.as_ref().is_some_and(Option::is_none) {
            continue;
        }
        match Seen::at(view.root, base) {
            Ok(seen) if seen.is_dir() => {}
            Err(error) if !is_absent(&error) => {
                finding.unknown(format!("{}: {error}", named(base)));
                continue;
            }
            _ => continue,
        }
        if known.insert(base.to_owned()) {
            judge(view, &mut finding, base, Limit::DIRECTORY);
        }
        let below = Below::of(view.root, base, beside.flatten().as_ref());
        below.missing.into_iter().for_each(|why| finding.unknown(why));
        for path in below.files.into_iter().filter(|path| is_certificate(path)) {
            // Its directory, too, up to the one that is known.
            for path in path.ancestors().take_while(|above| *above != base) {
                if known.insert(path.to_owned()) {
                    judge(view, &mut finding, path, Limit::PUBLIC);
                }
            }
        }
    }
    for authority in &view.authorities {
        if known.insert(authority.clone()) {
            judge(view, &mut finding, authority, Limit::PUBLIC);
        }
    }
    finding.none();
    finding
}

fn manifests(view: &View<'_>) -> Finding {
    let mut finding = Finding::new(&checks::MANIFEST_FILES);
    view.manifests.missing.iter().for_each(|why| finding.unknown(why.clone()));
    for file in &view.manifests.files {
        judge(view, &mut finding, &file.path, Limit::CONFIG);
    }
    if view.manifests.files.is_empty() && view.manifests.missing.is_empty() {
        finding.absent("there are no manifests");
    }
    finding
}

/// Whoever may write to a directory above, or mount over it, puts another in its place.
fn directory(view: &View<'_>) -> Finding {
    let mut finding = Finding::new(&checks::MANIFEST_DIRECTORY);
    for (base, _) in places(view, Class::StaticPodManifest) {
        let Some(seen) = judge(view, &mut finding, base, Limit::DIRECTORY) else { continue };
        for above in base.ancestors().skip(1) {
            above_it(view, &mut finding, above);
        }
        match &view.mounts {
            Ok(mounts) if mounts.is_mount_point(base) => {
                let why = format!(
                    "{} is a mount point: what is there is not what the node's disk has",
                    named(base)
                );
                finding.add(Warn, why, of_node(base, "mount point", "yes"));
            }
            Ok(_) => {}
            Err(why) => finding.unknown(why.clone()),
        }
        if seen.kind != FileType::Directory && seen.kind != FileType::RegularFile {
            finding.say(Warn, format!("{} is neither a directory nor a file", named(base)));
        }
    }
    finding.none();
    finding
}

fn above_it(view: &View<'_>, finding: &mut Finding, above: &Path) {
    const STICKY: u32 = 0o1000;
    match Seen::at(view.root, above) {
        Ok(seen) => {
            // Others may not rename what is not theirs in a sticky directory.
            let result =
                |result: PostureResult| if seen.mode & STICKY != 0 { result.min(Warn) } else { result };
            for (found, what) in seen.judge(Limit::DIRECTORY, false) {
                let (why, at) =
                    (format!("{} {what}", named(above)), of_node(above, "owner and mode", seen.shown()));
                finding.add(result(found), why, at);
            }
        }
        Err(error) => finding.unknown(format!("{}: {error}", named(above))),
    }
}

fn datastore(view: &View<'_>) -> Finding {
    let mut finding = Finding::new(&checks::DATASTORE_FILES);
    let owner = user(view, "etcd");
    for (base, _) in places(view, Class::DatastoreFile) {
        match Seen::at(view.root, base) {
            Ok(seen) => {
                // The mode of the directory decides about everything in it.
                let limit = Limit { mode: 0o700, secret: true, owner };
                tell(view, &mut finding, &seen, limit);
                if seen.mode & 0o011 != 0 && seen.is_dir() && !is_closed(view.root, base) {
                    finding.say(Fail, format!("{} may be entered by others", named(base)));
                }
            }
            Err(error) if is_absent(&error) => {}
            Err(error) => finding.unknown(format!("{}: {error}", named(base))),
        }
    }
    finding.none();
    finding
}

/// The number of a user of the node.
fn user(view: &View<'_>, name: &str) -> Option<u32> {
    const SIZE_MAX: u64 = 1 << 20;
    let text = view.root.read_linked(Path::new("/etc/passwd"), SIZE_MAX).ok()?;
    let text = String::from_utf8_lossy(&text);
    let mut fields = text
        .lines()
        .map(|line| line.split(':'))
        .find_map(|mut line| (line.next()? == name).then_some(line))?;
    fields.nth(1)?.parse().ok()
}
