//! Which target a file belongs to where several are about it: the nearest one. The kernel knows directories; patterns are
//! matched here.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::place::bytes;
use super::plan::Plan;
use super::targets::Targets;
use crate::access::{FileObject, Object, TargetId};
use crate::decode::Decoded;
use crate::event::Facts;
use crate::glob::Pattern;
use crate::model::Action;
use crate::target::{Target, What};

impl Plan {
    /// The target an access belongs to, given the one it was found by: a nearer one that is about the file, too, or another if a
    /// pattern does not fit. `None` if no target is about it.
    pub fn owner(
        &self,
        targets: &Targets,
        id: TargetId,
        decoded: &Decoded,
        facts: &Facts,
    ) -> Option<TargetId> {
        let target = targets.get(id)?;
        let (Object::File(file), Some(base), false) =
            (&decoded.access.object, target.path(), decoded.ancestor)
        else {
            return Some(id);
        };
        let path = bytes(&facts.path);
        let Ok(rest) = path.strip_prefix(base) else { return Some(id) };
        let real = self.really(id, base).join(rest);
        let fits = match &target.what {
            What::Glob { base, pattern } => {
                let fits = |path: &Path| path.strip_prefix(base).is_ok_and(|rest| pattern.fits(rest));
                // A directory takes what is in it along.
                let moved = file.directory && decoded.access.action == Action::Rename && pattern.depth() > 1;
                // Names that could not be read are any.
                let nameless = file.path_inside.is_empty() && file.path_seen.is_empty() && path == base;
                moved
                    || nameless
                    || fits(path)
                    || fits(bytes(&facts.other))
                    || self.is_known_by_object(base, pattern, file, decoded.below)
                    || self.is_disguised(file, path, &real)
            }
            What::Path(_) | What::Socket(_) | What::Port { .. } => true,
            What::Sockets { .. } => target.has_socket_at(path) || path == base,
        };
        let candidates = targets.nearest_first().into_iter().take_while(|(other, _)| !fits || *other != id.0);
        let mut others = candidates.filter(|(other, _)| *other != id.0);
        let wanted = others.find(|(other, target)| self.wants(*other, target, path, &real));
        wanted.map(|(other, _)| TargetId(other)).or(fits.then_some(id))
    }

    /// Whether the kernel knew the file itself: only those that fit are entered, and for a moment what just came into the directory.
    fn is_known_by_object(&self, base: &Path, pattern: &Pattern, file: &FileObject, below: u32) -> bool {
        let path = self.paths.get(&file.key).and_then(|path| path.strip_prefix(base).ok());
        below == 0 && !file.directory && path.is_none_or(|path| pattern.fits(path))
    }

    /// Whether what the file is called on the node cannot be known: it was reached through a mount under another name and is new.
    /// Then it counts, because a mount of a single file gives it any name.
    fn is_disguised(&self, file: &FileObject, path: &Path, real: &Path) -> bool {
        let plain = [path, real].iter().any(|path| file.path_seen.ends_with(path.as_os_str().as_bytes()));
        !plain && !file.path_seen.is_empty() && !file.directory && !self.paths.contains_key(&file.key)
    }

    /// Whether a target is about the file at this path, and really at that one.
    fn wants(&self, id: u32, target: &Target, path: &Path, real: &Path) -> bool {
        let Some(own) = target.path() else { return false };
        let own_real = self.really(TargetId(id), own);
        let rest = path.strip_prefix(own).or_else(|_| real.strip_prefix(own_real));
        match (&target.what, rest) {
            (What::Path(_), Ok(_)) => true,
            (What::Glob { pattern, .. }, Ok(rest)) => pattern.fits(rest),
            (What::Path(_) | What::Glob { .. }, Err(_))
            | (What::Socket(_) | What::Sockets { .. } | What::Port { .. }, _) => false,
        }
    }

    fn really<'a>(&'a self, id: TargetId, path: &'a Path) -> &'a Path {
        self.real.get(&id.0).map_or(path, PathBuf::as_path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::ObjectKey;
    use crate::event::samples;
    use crate::glob;
    use crate::model::Class;

    fn target(class: Class, path: &str) -> Target {
        let what = match glob::split(Path::new(path)) {
            Ok((base, pattern)) if glob::is_pattern(path) => What::Glob { base, pattern },
            _ => What::Path(path.into()),
        };
        Target { class, what }
    }

    /// A file that was found so many names below the directory of a target, opened under this name.
    fn opened(seen: &str, ino: u64, below: u32) -> Decoded {
        let mut object = samples::file(seen.as_bytes(), true, false);
        if let Object::File(file) = &mut object {
            file.key = ObjectKey::new(1, ino);
        }
        let access = samples::access(Action::Open, object, samples::actor(&[]));
        Decoded { below, ..Decoded::of(access) }
    }

    fn owner(plan: &Plan, targets: &[Target], id: u32, decoded: &Decoded, path: &str) -> Option<u32> {
        let targets = Targets::new(targets.to_vec());
        plan.owner(&targets, TargetId(id), decoded, &samples::facts(path.as_bytes())).map(|id| id.0)
    }

    fn kubernetes() -> Vec<Target> {
        vec![
            target(Class::KubeletConfig, "/etc/kubernetes"),
            target(Class::Credential, "/etc/kubernetes/*.conf"),
            target(Class::StaticPodManifest, "/etc/kubernetes/manifests"),
            target(Class::Credential, "/etc/kubernetes/pki/**/*.key"),
        ]
    }

    #[test]
    fn the_nearest_target_comes_first() {
        let targets = kubernetes();
        let order: Vec<_> = Targets::new(targets).nearest_first().into_iter().map(|(id, _)| id).collect();
        assert_eq!(order, [3, 2, 1, 0]);
    }

    #[test]
    fn what_does_not_fit_a_pattern_goes_to_whoever_wants_it_or_to_nobody() {
        let mut targets = kubernetes();
        let plan = Plan::default();
        for (path, found, below, wanted) in [
            ("/etc/kubernetes/admin.conf", 1, 1, Some(1)),
            ("/etc/kubernetes/README", 1, 1, Some(0)),
            ("/etc/kubernetes/pki/ca.key", 3, 1, Some(3)),
            ("/etc/kubernetes/pki/etcd/ca.key", 3, 2, Some(3)),
            ("/etc/kubernetes/pki/etcd/ca.crt", 3, 2, Some(0)),
            ("/etc/kubernetes/manifests/x.conf", 2, 1, Some(2)),
            // Known by the outer one, because it came while the daemon looked.
            ("/etc/kubernetes/admin.conf", 0, 0, Some(1)),
        ] {
            for seen in [path.to_owned(), format!("/host{path}")] {
                let found = owner(&plan, &targets, found, &opened(&seen, 7, below), path);
                assert_eq!(found, wanted, "{seen}");
            }
        }
        targets[0] = target(Class::KubeletConfig, "/elsewhere");
        for (path, found) in [("/etc/kubernetes/README", 1), ("/etc/kubernetes/pki/ca.crt", 3)] {
            assert_eq!(owner(&plan, &targets, found, &opened(path, 7, 1), path), None, "{path}");
        }
    }

    #[test]
    fn the_directory_of_a_pattern_is_not_what_it_is_about() {
        let targets = [target(Class::Credential, "/a/b/*.key")];
        let mut plan = Plan::default();
        let mut directory = opened("/a/b", 1, 0);
        if let Object::File(file) = &mut directory.access.object {
            file.directory = true;
        }
        assert_eq!(owner(&plan, &targets, 0, &directory, "/a/b"), None);
        let known = opened("/innocent", 2, 0);
        assert_eq!(owner(&plan, &targets, 0, &known, "/a/b"), Some(0));
        plan.paths.insert(ObjectKey::new(1, 2), "/a/b/x.crt".into());
        assert_eq!(owner(&plan, &targets, 0, &known, "/a/b/x.crt"), None);
    }

    #[test]
    fn a_new_file_that_a_mount_gives_another_name_counts() {
        let targets = [target(Class::Credential, "/a/b/*.key")];
        let mut plan = Plan::default();
        let innocent = opened("/innocent.txt", 5, 1);
        assert_eq!(owner(&plan, &targets, 0, &innocent, "/a/b/innocent.txt"), Some(0));
        // Known to be another file of that directory.
        plan.paths.insert(ObjectKey::new(1, 5), "/a/b/innocent.txt".into());
        assert_eq!(owner(&plan, &targets, 0, &innocent, "/a/b/innocent.txt"), None);
    }

    #[test]
    fn a_key_that_gets_an_innocent_name_is_a_key() {
        let targets = Targets::new(vec![target(Class::Credential, "/a/b/**/*.key")]);
        let plan = Plan::default();
        let mut renamed = opened("/a/b/innocent", 5, 1);
        renamed.access.action = Action::Rename;
        let mut facts = samples::facts(b"/a/b/innocent");
        assert_eq!(plan.owner(&targets, TargetId(0), &renamed, &facts), None);
        facts.other = b"/a/b/ca.key".to_vec();
        assert_eq!(plan.owner(&targets, TargetId(0), &renamed, &facts), Some(TargetId(0)));
        facts.other.clear();
        if let Object::File(file) = &mut renamed.access.object {
            file.directory = true;
        }
        assert_eq!(plan.owner(&targets, TargetId(0), &renamed, &facts), Some(TargetId(0)));
    }

    #[test]
    fn two_paths_to_one_directory_are_one() {
        let mut targets =
            vec![target(Class::Credential, "/real/*.key"), target(Class::KubeletConfig, "/link")];
        let mut plan = Plan::default();
        plan.real.insert(1, "/real".into());
        assert_eq!(owner(&plan, &targets, 0, &opened("/real/x", 5, 1), "/real/x"), Some(1));
        targets = vec![target(Class::KubeletConfig, "/real/sub"), target(Class::Credential, "/link/*.key")];
        assert_eq!(owner(&plan, &targets, 1, &opened("/real/sub/x", 5, 2), "/link/sub/x"), Some(0));
    }
}
