//! Which distribution made the node, by what only its nodes have. The running programs are not asked: they may not run yet.

use std::path::Path;

use rustix::fs::OFlags;

use super::profile::{self, Profile};
use crate::node::Root;

/// The files that are looked into are a page or two.
const SIZE_MAX: u64 = 64 << 10;

/// What is there only on nodes of one kind.
#[derive(Clone, Copy, Debug)]
enum Sign {
    /// Something has that path.
    Path(&'static str),
    /// The file has this line; blanks and quotes around its parts do not count.
    Line(&'static [&'static str], &'static str),
}

use Sign::{Line, Path as There};

/// /etc/os-release is a link to one of them.
const OS_RELEASE: &[&str] = &["/usr/lib/os-release", "/etc/os-release"];

/// One of the signs is enough, and each is one or more that have to be there together. What is more special comes first: there are
/// kubeadm's files on nodes of many.
const SIGNS: &[(Profile, &[&[Sign]])] = &[
    (profile::BOTTLEROCKET, &[&[Line(OS_RELEASE, "ID=bottlerocket")]]),
    (profile::TALOS, &[&[Line(OS_RELEASE, "ID=talos")], &[There("/system/secrets")]]),
    (profile::OPENSHIFT, &[&[Line(&["/etc/kubernetes/kubelet.conf"], "kind: KubeletConfiguration")]]),
    (profile::GKE, &[&[There("/home/kubernetes")]]),
    (profile::AKS, &[&[There("/etc/default/kubeletconfig.json")]]),
    (profile::EKS, &[&[There("/etc/kubernetes/kubelet/config.json")]]),
    (profile::RKE2, &[&[There("/var/lib/rancher/rke2")]]),
    (profile::K3S, &[&[There("/var/lib/rancher/k3s")]]),
    (profile::K0S, &[&[There("/var/lib/k0s")]]),
    (profile::MICROK8S, &[&[There("/var/snap/microk8s")]]),
    (profile::MINIKUBE, &[&[There("/var/lib/minikube")]]),
    (profile::KIND, &[&[There("/kind"), There("/etc/kubernetes/manifests")]]),
    (profile::KUBEADM, &[&[There("/var/lib/kubelet/config.yaml"), There("/etc/kubernetes/manifests")]]),
];

/// A profile that fits the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detected {
    pub profile: &'static str,
    /// What is there, in a few words.
    pub evidence: String,
}

/// All that fit, the best first.
pub fn detect(root: &Root) -> Vec<Detected> {
    let fits = |(profile, signs): &(Profile, &[&[Sign]])| {
        let found = signs.iter().find(|all| all.iter().all(|sign| sign.is_there(root)))?;
        let evidence = found.iter().map(Sign::described).collect::<Vec<_>>().join(" and ");
        Some(Detected { profile: profile.name, evidence })
    };
    SIGNS.iter().filter_map(fits).collect()
}

impl Sign {
    fn is_there(&self, root: &Root) -> bool {
        match self {
            There(path) => root.open(Path::new(path), OFlags::PATH).is_ok(),
            Line(files, wanted) => files.iter().any(|file| {
                let text = root.read_linked(Path::new(file), SIZE_MAX).unwrap_or_default();
                let plain = |line: &str| line.replace(['"', '\'', ' ', '\t', '\r'], "");
                String::from_utf8_lossy(&text).lines().any(|line| plain(line) == plain(wanted))
            }),
        }
    }

    fn described(&self) -> String {
        match self {
            There(path) => (*path).to_owned(),
            Line([file, ..], line) => format!("`{line}` in {file}"),
            Line([], line) => format!("`{line}`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    /// A node with these files; a path that ends with a slash is a directory.
    fn detected(files: &[(&str, &str)]) -> Vec<&'static str> {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let place = dir.path().join(path.trim_start_matches('/'));
            fs::create_dir_all(if path.ends_with('/') { &place } else { place.parent().unwrap() }).unwrap();
            if !path.ends_with('/') {
                fs::write(place, text).unwrap();
            }
        }
        let found = detect(&Root::at_dir(dir.path()).unwrap());
        assert!(found.iter().all(|found| !found.evidence.is_empty()), "{found:?}");
        found.into_iter().map(|found| found.profile).collect()
    }

    const CONFIG: &str = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n";

    #[test]
    fn each_layout_is_known() {
        let kubeadm = [("/var/lib/kubelet/config.yaml", CONFIG), ("/etc/kubernetes/manifests/", "")];
        for (first, files) in [
            ("kubeadm", &kubeadm[..]),
            ("k3s", &[("/var/lib/rancher/k3s/agent/pod-manifests/", ""), ("/etc/rancher/k3s/k3s.yaml", "")]),
            ("rke2", &[("/var/lib/rancher/rke2/agent/pod-manifests/", ""), ("/run/k3s/containerd/", "")]),
            ("k0s", &[("/var/lib/k0s/bin/", ""), ("/run/k0s/kubelet/config.yaml", CONFIG)]),
            ("microk8s", &[("/var/snap/microk8s/current/args/kubelet", "--x\n")]),
            ("openshift", &[("/etc/kubernetes/kubelet.conf", CONFIG), ("/etc/kubernetes/manifests/", "")]),
            ("eks", &[("/etc/kubernetes/kubelet/config.json", "{}"), ("/etc/kubernetes/manifests/", "")]),
            ("aks", &[("/etc/default/kubeletconfig.json", "{}"), ("/etc/kubernetes/manifests/", "")]),
            ("gke", &[("/home/kubernetes/kubelet-config.yaml", CONFIG), ("/etc/kubernetes/manifests/", "")]),
            ("bottlerocket", &[("/usr/lib/os-release", "NAME=Bottlerocket\nID=bottlerocket\n")]),
            ("talos", &[("/etc/os-release", "NAME=\"Talos\"\nID=\"talos\"\n")]),
            ("talos", &[("/system/secrets/kubelet/", ""), ("/etc/kubernetes/manifests/", "")]),
            ("kind", &[kubeadm[0], kubeadm[1], ("/kind/version", "")]),
            ("minikube", &[kubeadm[0], kubeadm[1], ("/var/lib/minikube/certs/", "")]),
        ] {
            assert_eq!(detected(files).first(), Some(&first), "{files:?}");
        }
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        for files in [
            &[][..],
            &[("/etc/kubernetes/manifests/", "")],
            &[("/etc/default/kubelet", "")],
            &[("/usr/lib/os-release", "ID=debian\nBUG=bottlerocket\n# ID=talos\n")],
            &[("/etc/kubernetes/kubelet.conf", "kind: Config\n")],
        ] {
            assert_eq!(detected(files), [""; 0], "{files:?}");
        }
    }

    #[test]
    fn nothing_that_lies_there_does_harm() {
        let dir = tempfile::tempdir().unwrap();
        let etc = dir.path().join("etc/kubernetes");
        fs::create_dir_all(&etc).unwrap();
        symlink("kubelet.conf", etc.join("kubelet.conf")).unwrap();
        fs::create_dir_all(dir.path().join("usr/lib/os-release")).unwrap();
        fs::write(dir.path().join("etc/os-release"), vec![b'x'; 1 << 20]).unwrap();
        assert_eq!(detect(&Root::at_dir(dir.path()).unwrap()), []);
    }
}
