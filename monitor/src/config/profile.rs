//! Built-in policies, each a readable file.

/// What a distribution's nodes have: its doors and who uses them.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    pub name: &'static str,
    pub(super) text: &'static str,
}

macro_rules! profiles {
    ($($constant:ident $name:literal,)*) => {
        $(pub const $constant: Profile =
            Profile { name: $name, text: include_str!(concat!("../../profiles/", $name, ".yaml")) };)*

        pub const ALL: &[Profile] = &[$($constant,)*];
    };
}

profiles! {
    KUBEADM "kubeadm",
    K3S "k3s",
    RKE2 "rke2",
    K0S "k0s",
    MICROK8S "microk8s",
    OPENSHIFT "openshift",
    EKS "eks",
    AKS "aks",
    GKE "gke",
    BOTTLEROCKET "bottlerocket",
    TALOS "talos",
    KIND "kind",
    MINIKUBE "minikube",
}

/// Nothing built in.
pub const NONE: &str = "none";

impl Profile {
    pub fn named(name: &str) -> Option<Self> {
        ALL.iter().find(|profile| profile.name == name).copied()
    }
}
