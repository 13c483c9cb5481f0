//! The targets of the policy together with those that were found.

use std::path::{Path, PathBuf};

use monitor_abi::watch::{PORTS_MAX, TREE_DEPTH};

use super::{Found, Running};
use crate::model::Class;
use crate::target::{Destinations, Target, What};

/// Found ones that are kept, those of processes that have ended meanwhile included.
const FOUND_MAX: usize = 64;

/// Found in the whole run: the number of a target is never given to another.
const EVER_MAX: usize = 4096;

#[derive(Debug, Default)]
pub struct Known {
    policy: Vec<Target>,
    /// The latest last.
    found: Vec<Found>,
    ever: usize,
}

/// What a look changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct News {
    pub added: Vec<Found>,
    /// Found, but too many.
    pub left_out: usize,
}

impl Known {
    pub fn new(policy: Vec<Target>) -> Self {
        Self { policy, found: Vec::new(), ever: 0 }
    }

    /// Takes the targets of another policy, which may not want those that were found.
    pub fn replace(&mut self, policy: Vec<Target>, keep: bool) {
        self.policy = policy;
        let found = std::mem::take(&mut self.found);
        self.found = found.into_iter().filter(|found| keep && !self.is_covered(&found.target)).collect();
    }

    /// The policy's targets first.
    pub fn targets(&self) -> impl Iterator<Item = Target> {
        self.policy.iter().chain(self.found.iter().map(|found| &found.target)).cloned()
    }

    /// The sockets of runtimes.
    pub fn sockets(&self) -> Vec<PathBuf> {
        self.targets().filter_map(|target| target.socket().map(Path::to_owned)).collect()
    }

    /// Adds what was found and is not known. What was found earlier stays: its process may be starting again. Where there
    /// is no room, what was found longest ago and is not there any more makes some.
    pub fn add(&mut self, running: &Running) -> News {
        let mut news = News::default();
        for Found { target, from } in &running.found {
            if self.is_covered(target) || self.found.iter().any(|known| known.target.name() == target.name())
            {
                continue;
            }
            let found = Found { target: self.as_elsewhere(target), from: from.clone() };
            if self.ever < EVER_MAX && self.has_room_for(target, running) {
                self.ever += 1;
                self.found.push(found.clone());
                news.added.push(found);
            } else {
                news.left_out += 1;
            }
        }
        news
    }

    fn has_room_for(&mut self, target: &Target, running: &Running) -> bool {
        let is_port = |target: &Target| matches!(target.what, What::Port { .. });
        let full = |this: &Self| {
            let ports = this.targets().filter(is_port).count();
            this.found.len() >= FOUND_MAX || is_port(target) && ports >= PORTS_MAX as usize
        };
        while full(self) {
            let is_gone = |known: &Found| {
                let still = running.found.iter().any(|found| found.target.name() == known.target.name());
                !still && (self.found.len() >= FOUND_MAX || is_port(&known.target))
            };
            let Some(oldest) = self.found.iter().position(is_gone) else { return false };
            self.found.remove(oldest);
        }
        true
    }

    /// Whether the policy has it, alone or with others.
    fn is_covered(&self, target: &Target) -> bool {
        self.policy.iter().any(|known| covers(known, target))
    }

    /// The policy says which destinations count for all of the kubelet's ports.
    fn as_elsewhere(&self, target: &Target) -> Target {
        let mut target = target.clone();
        let of_policy = self.policy.iter().find_map(|known| match (&known.what, known.class) {
            (What::Port { destinations, .. }, Class::KubeletApi) => Some(destinations.clone()),
            _ => None,
        });
        if let What::Port { destinations, .. } = &mut target.what
            && target.class == Class::KubeletApi
        {
            *destinations = of_policy.unwrap_or(Destinations::Node);
        }
        target
    }
}

fn covers(known: &Target, target: &Target) -> bool {
    if known.name() == target.name() {
        return true;
    }
    if known.class != target.class {
        return false;
    }
    match (&known.what, &target.what) {
        (What::Path(dir), What::Path(path)) => path.strip_prefix(dir).is_ok_and(|rest| {
            u32::try_from(rest.components().count()).is_ok_and(|depth| depth <= TREE_DEPTH)
        }),
        (What::Glob { base, pattern }, What::Path(path))
        | (What::Sockets { base, pattern }, What::Socket(path)) => {
            path.strip_prefix(base).is_ok_and(|rest| pattern.fits(rest))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(class: Class, path: &str) -> Target {
        Target { class, what: What::Path(path.into()) }
    }

    fn port(port: u16) -> Target {
        Target { class: Class::KubeletApi, what: What::Port { port, destinations: Destinations::Node } }
    }

    fn running(targets: impl IntoIterator<Item = Target>) -> Running {
        let found =
            targets.into_iter().map(|target| Found { target, from: "a[1], --x".to_owned() }).collect();
        Running { found, notes: Vec::new() }
    }

    fn names(targets: impl Iterator<Item = Target>) -> Vec<String> {
        targets.map(|target| target.name()).collect()
    }

    #[test]
    fn what_the_policy_has_is_not_added_again() {
        let (base, pattern) = crate::glob::split("/k/*.conf".as_ref()).unwrap();
        let glob = Target { class: Class::Credential, what: What::Glob { base, pattern } };
        let mut known = Known::new(vec![target(Class::Credential, "/pki"), glob]);
        let found = [
            target(Class::Credential, "/pki/a/b.key"),
            target(Class::Credential, "/k/a.conf"),
            target(Class::KubeletConfig, "/pki"),
            target(Class::KubeletConfig, "/k/b.conf"),
            target(Class::Credential, "/k/a.key"),
            target(Class::Credential, "/pki/1/2/3/4/5"),
        ];
        let news = known.add(&running(found));
        assert_eq!(
            names(news.added.into_iter().map(|found| found.target)),
            ["/k/b.conf", "/k/a.key", "/pki/1/2/3/4/5"]
        );
    }

    #[test]
    fn nothing_is_ever_taken_away_by_what_is_found() {
        let mut known = Known::new(vec![target(Class::Credential, "/pki")]);
        known.add(&running([target(Class::StaticPodManifest, "/a/b")]));
        assert_eq!(known.add(&running([target(Class::StaticPodManifest, "/a/c")])).added.len(), 1);
        assert_eq!(known.add(&Running::default()), News::default());
        assert_eq!(names(known.targets()), ["/pki", "/a/b", "/a/c"]);
        // Another policy has one of them.
        known.replace(vec![target(Class::StaticPodManifest, "/a/c")], true);
        assert_eq!(names(known.targets()), ["/a/c", "/a/b"]);
        known.replace(Vec::new(), false);
        assert_eq!(known.targets().count(), 0);
    }

    #[test]
    fn whoever_names_much_pushes_out_only_what_is_gone() {
        let mut known = Known::new(Vec::new());
        let real = target(Class::StaticPodManifest, "/real/pods");
        known.add(&running([real.clone()]));
        let noise = |round: usize| {
            (0..24).map(move |index| target(Class::Credential, &format!("/n/{round}/{index}")))
        };
        for round in 0..20 {
            let news = known.add(&running(noise(round).chain([real.clone()])));
            assert_eq!((news.added.len(), news.left_out), (24, 0), "{round}");
            assert!(known.targets().any(|known| known == real) && known.targets().count() <= FOUND_MAX);
        }
        let news =
            known.add(&running((0..100).map(|index| target(Class::Credential, &format!("/m/{index}")))));
        assert_eq!((news.added.len(), news.left_out), (64, 36));
    }

    #[test]
    fn ports_that_the_kernel_has_no_room_for_are_left_out() {
        let mut known = Known::new((1..60).map(port).collect());
        let news = known.add(&running((100..110).map(port)));
        assert_eq!((news.added.len(), news.left_out), (5, 5));
        // What is gone makes room.
        let news = known.add(&running((200..203).map(port)));
        assert_eq!((news.added.len(), news.left_out), (3, 0));
    }
}
