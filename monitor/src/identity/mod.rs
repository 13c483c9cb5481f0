//! Which container and which pod a process is in, without asking the API server or a runtime.

pub mod cgroup;

use schemars::JsonSchema;
use serde::Serialize;

/// What runs containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Runtime {
    Containerd,
    /// CRI-O.
    Crio,
    Docker,
    Podman,
}

impl Runtime {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Containerd => "containerd",
            Self::Crio => "crio",
            Self::Docker => "docker",
            Self::Podman => "podman",
        }
    }
}
