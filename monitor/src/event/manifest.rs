//! What a static pod manifest holds, as far as it matters to whoever reads the alert. Nothing else of the file is here: its
//! environment has secrets.

use schemars::JsonSchema;
use serde::Serialize;

use super::text::halve;
use crate::model::Class;

/// The content of a manifest after it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Manifest {
    /// Of the whole file; absent if it was not read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The file was read and is YAML or JSON.
    pub parses: bool,
    /// Why it was not read, or what is wrong with it. Nothing of the file is quoted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Where it leads, if it is a symbolic link. What is there was not read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// What deserves attention, of all its pods.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attention: Vec<Attention>,
    /// Of all its documents, also of those that the kubelet passes over: it runs the first.
    pub pods: Vec<ManifestPod>,
    /// How many pods, host paths and images are left out.
    #[serde(skip_serializing_if = "is_zero")]
    pub omitted: u64,
}

/// A pod of a manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ManifestPod {
    /// As the manifest has it: the kubelet adds the node's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `default` where the manifest names none, as for the kubelet.
    pub namespace: String,
    /// Whether a namespace can have that name. If not, the pod never shows in the API.
    pub namespace_valid: bool,
    pub host_pid: bool,
    pub host_network: bool,
    /// A container of it is.
    pub privileged: bool,
    pub host_paths: Vec<String>,
    /// Of all its containers, those that run first included.
    pub images: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Attention {
    /// The kubelet runs the pod, and it never shows in the API.
    InvalidNamespace,
    Privileged,
    /// Privileged, and with the node's processes, network or files in sight.
    PrivilegedOnHost,
    HostPid,
    HostNetwork,
    /// All of the node's files.
    HostPathRoot,
    /// Host paths that lead to watched targets, by the target's class.
    HostPathStaticPodManifest,
    HostPathKubeletConfig,
    HostPathCredential,
    HostPathDatastoreFile,
    /// etcd's own socket.
    HostPathDatastoreApi,
    HostPathRuntimeApi,
    HostPathKubeletApi,
    /// A symbolic link that leads out of its directory.
    SymlinkOut,
    /// The kubelet passes it over: its name begins with a dot, or it lies in a directory of its own.
    Ignored,
}

impl Attention {
    /// A host path that leads to a target of this class.
    pub fn host_path(class: Class) -> Self {
        match class {
            Class::StaticPodManifest => Self::HostPathStaticPodManifest,
            Class::KubeletConfig => Self::HostPathKubeletConfig,
            Class::Credential => Self::HostPathCredential,
            Class::DatastoreFile => Self::HostPathDatastoreFile,
            Class::DatastoreApi => Self::HostPathDatastoreApi,
            Class::RuntimeApi => Self::HostPathRuntimeApi,
            Class::KubeletApi => Self::HostPathKubeletApi,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::InvalidNamespace => "invalid_namespace",
            Self::Privileged => "privileged",
            Self::PrivilegedOnHost => "privileged_on_host",
            Self::HostPid => "host_pid",
            Self::HostNetwork => "host_network",
            Self::HostPathRoot => "host_path_root",
            Self::HostPathStaticPodManifest => "host_path_static_pod_manifest",
            Self::HostPathKubeletConfig => "host_path_kubelet_config",
            Self::HostPathCredential => "host_path_credential",
            Self::HostPathDatastoreFile => "host_path_datastore_file",
            Self::HostPathDatastoreApi => "host_path_datastore_api",
            Self::HostPathRuntimeApi => "host_path_runtime_api",
            Self::HostPathKubeletApi => "host_path_kubelet_api",
            Self::SymlinkOut => "symlink_out",
            Self::Ignored => "ignored",
        }
    }
}

impl Manifest {
    /// Drops a quarter of each list, or else half of each long text; says whether there was any.
    pub(super) fn shorten(&mut self) -> bool {
        let lists = self.pods.iter_mut().flat_map(|pod| [&mut pod.host_paths, &mut pod.images]);
        let mut dropped = lists.fold(0, |dropped, list| dropped + cut(list));
        if dropped == 0 {
            dropped = cut(&mut self.pods);
        }
        self.omitted += dropped;
        dropped > 0 || self.strings().fold(false, |cut, text| halve(text) | cut)
    }

    fn strings(&mut self) -> impl Iterator<Item = &mut String> {
        let of_pods = self.pods.iter_mut().flat_map(|pod| {
            let ManifestPod { name, namespace, host_paths, images, .. } = pod;
            name.iter_mut().chain([namespace]).chain(host_paths).chain(images)
        });
        self.link.iter_mut().chain(&mut self.problem).chain(of_pods)
    }
}

/// One is always left.
fn cut<T>(list: &mut Vec<T>) -> u64 {
    let kept = (list.len() * 3 / 4).max(1);
    let dropped = list.len().saturating_sub(kept);
    list.truncate(kept);
    dropped as u64
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}
