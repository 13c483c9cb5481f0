//! The programs that say where the doors are.

/// Which one, by the name of its executable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    Kubelet,
    Containerd,
    Crio,
    Etcd,
    Apiserver,
    K3s,
    Rke2,
    K0s,
    /// MicroK8s: kubelet, API server and others in one.
    Kubelite,
    Dockerd,
}

impl Program {
    pub const ALL: [Self; 10] = [
        Self::Kubelet,
        Self::Containerd,
        Self::Crio,
        Self::Etcd,
        Self::Apiserver,
        Self::K3s,
        Self::Rke2,
        Self::K0s,
        Self::Kubelite,
        Self::Dockerd,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Kubelet => "kubelet",
            Self::Containerd => "containerd",
            Self::Crio => "crio",
            Self::Etcd => "etcd",
            Self::Apiserver => "kube-apiserver",
            Self::K3s => "k3s",
            Self::Rke2 => "rke2",
            Self::K0s => "k0s",
            Self::Kubelite => "kubelite",
            Self::Dockerd => "dockerd",
        }
    }

    /// Of the path in /proc/PID/exe, which has a mark behind it when an upgrade replaced the file.
    pub fn of_exe(path: &[u8]) -> Option<Self> {
        let path = path.strip_suffix(b" (deleted)").unwrap_or(path);
        let name = path.rsplit(|byte| *byte == b'/').next()?;
        Self::ALL.into_iter().find(|program| program.name().as_bytes() == name)
    }

    /// Distributions run it as a static pod.
    pub const fn is_in_pods(self) -> bool {
        matches!(self, Self::Etcd | Self::Apiserver)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_known_by_their_whole_name() {
        assert_eq!(Program::of_exe(b"/usr/bin/kubelet"), Some(Program::Kubelet));
        assert_eq!(Program::of_exe(b"/usr/bin/kubelet (deleted)"), Some(Program::Kubelet));
        for other in [&b"/usr/bin/kubelet2"[..], b"/kubelet/x", b"", b"/usr/bin/containerd-shim-runc-v2"] {
            assert_eq!(Program::of_exe(other), None);
        }
    }
}
