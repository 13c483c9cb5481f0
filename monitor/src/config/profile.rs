//! Built-in policies, each a readable file.

/// What a distribution's nodes have: its doors and who uses them.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    pub name: &'static str,
    pub(super) text: &'static str,
}

pub const KUBEADM: Profile = Profile { name: "kubeadm", text: include_str!("../../profiles/kubeadm.yaml") };

/// Nothing built in.
pub const NONE: &str = "none";

pub const NAMES: [&str; 2] = [KUBEADM.name, NONE];
