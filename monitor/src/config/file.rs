//! The policy file as it is written. What it means is worked out elsewhere.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_saphyr::Spanned;

use super::profile::{self, Profile};
use crate::model::{Class, Group, Severity};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub version: Spanned<u64>,
    #[serde(default)]
    pub profile: ProfileName,
    #[serde(default)]
    pub targets: Targets,
    #[serde(default)]
    pub allow: Vec<Spanned<Allow>>,
    #[serde(default)]
    pub severity: BTreeMap<Class, Severity>,
    /// Whether what runs on the node adds targets; if not given, with any profile.
    #[serde(default, deserialize_with = "given")]
    pub discover: Option<bool>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ProfileName {
    /// The one that fits the node.
    #[default]
    Auto,
    Kubeadm,
    K3s,
    Rke2,
    K0s,
    Microk8s,
    Openshift,
    Eks,
    Aks,
    Gke,
    Bottlerocket,
    Talos,
    Kind,
    Minikube,
    None,
}

impl ProfileName {
    /// The built-in one; `None` for none and for the one that fits.
    pub fn profile(self) -> Option<Profile> {
        match self {
            Self::Auto | Self::None => None,
            Self::Kubeadm => Some(profile::KUBEADM),
            Self::K3s => Some(profile::K3S),
            Self::Rke2 => Some(profile::RKE2),
            Self::K0s => Some(profile::K0S),
            Self::Microk8s => Some(profile::MICROK8S),
            Self::Openshift => Some(profile::OPENSHIFT),
            Self::Eks => Some(profile::EKS),
            Self::Aks => Some(profile::AKS),
            Self::Gke => Some(profile::GKE),
            Self::Bottlerocket => Some(profile::BOTTLEROCKET),
            Self::Talos => Some(profile::TALOS),
            Self::Kind => Some(profile::KIND),
            Self::Minikube => Some(profile::MINIKUBE),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Targets {
    #[serde(deserialize_with = "given")]
    pub static_pod_manifest: Option<Spanned<PathsAndPorts>>,
    #[serde(deserialize_with = "given")]
    pub kubelet_config: Option<Paths>,
    #[serde(deserialize_with = "given")]
    pub credential: Option<Paths>,
    #[serde(deserialize_with = "given")]
    pub datastore_file: Option<Paths>,
    #[serde(deserialize_with = "given")]
    pub runtime_api: Option<Sockets>,
    #[serde(deserialize_with = "given")]
    pub datastore_api: Option<Spanned<SocketsAndPorts>>,
    #[serde(deserialize_with = "given")]
    pub kubelet_api: Option<PortsAt>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PathsAndPorts {
    #[serde(default, deserialize_with = "given")]
    pub paths: Option<Spanned<Vec<Spanned<String>>>>,
    /// Where a server of the node gives its kubelet manifests.
    #[serde(default, deserialize_with = "given")]
    pub ports: Option<Spanned<Vec<Spanned<i64>>>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Paths {
    pub paths: Spanned<Vec<Spanned<String>>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sockets {
    pub sockets: Spanned<Vec<Spanned<String>>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SocketsAndPorts {
    /// kine listens on one instead of a port.
    #[serde(default, deserialize_with = "given")]
    pub sockets: Option<Spanned<Vec<Spanned<String>>>>,
    #[serde(default, deserialize_with = "given")]
    pub ports: Option<Spanned<Vec<Spanned<i64>>>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PortsAt {
    #[serde(default, deserialize_with = "given")]
    pub ports: Option<Spanned<Vec<Spanned<i64>>>>,
    /// Of all ports of the class, the profile's too.
    #[serde(default, deserialize_with = "given")]
    pub destinations: Option<Spanned<List<String>>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Allow {
    pub id: String,
    pub targets: List<Class>,
    #[serde(default, deserialize_with = "given")]
    pub access: Option<List<Group>>,
    #[serde(default, deserialize_with = "given")]
    pub process: Option<Process>,
    #[serde(default, deserialize_with = "given")]
    pub container: Option<Container>,
    /// Networks that connections come from.
    #[serde(default, deserialize_with = "given")]
    pub source: Option<List<String>>,
    /// Networks that connections go to.
    #[serde(default, deserialize_with = "given")]
    pub destination: Option<List<String>>,
    #[serde(default)]
    pub i_know: bool,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Process {
    #[serde(deserialize_with = "given")]
    pub exe: Option<List<String>>,
    #[serde(deserialize_with = "given")]
    pub sha256: Option<List<String>>,
    #[serde(deserialize_with = "given")]
    pub uid: Option<List<u32>>,
    #[serde(deserialize_with = "given")]
    pub unit: Option<List<String>>,
    #[serde(deserialize_with = "given")]
    pub args: Option<List<String>>,
    #[serde(deserialize_with = "given")]
    pub ancestors: Option<List<String>>,
    #[serde(deserialize_with = "given")]
    pub host_ns: Option<HostNs>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct HostNs {
    #[serde(deserialize_with = "given")]
    pub mnt: Option<bool>,
    #[serde(deserialize_with = "given")]
    pub pid: Option<bool>,
    #[serde(deserialize_with = "given")]
    pub net: Option<bool>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Container {
    #[serde(deserialize_with = "given")]
    pub namespace: Option<List<String>>,
    #[serde(deserialize_with = "given")]
    pub pod: Option<List<String>>,
    #[serde(deserialize_with = "given")]
    pub name: Option<List<String>>,
    #[serde(deserialize_with = "given")]
    pub image: Option<List<String>>,
}

/// A key without a value, as a template leaves it behind, is a mistake: taken for left out, it would make a rule match more
/// or leave a door unwatched.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// One value, or a list of them.
#[derive(Clone, Debug)]
pub(super) struct List<T>(pub Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListVisitor(PhantomData))
    }
}

struct ListVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
    type Value = List<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value or a list of values")
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Self::Value, E> {
        T::deserialize(de::value::StrDeserializer::new(value)).map(|value| List(vec![value]))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Self::Value, E> {
        T::deserialize(de::value::U64Deserializer::new(value)).map(|value| List(vec![value]))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Self::Value, E> {
        T::deserialize(de::value::I64Deserializer::new(value)).map(|value| List(vec![value]))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Err(E::invalid_type(de::Unexpected::Other("an empty value"), &self))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(seq)).map(List)
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(|value| List(vec![value]))
    }
}
