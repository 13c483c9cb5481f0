//! The one table from class and action to the detection: rule, severity, ATT&CK.

use schemars::JsonSchema;
use serde::Serialize;

use super::Attention;
use crate::access::Actor;
use crate::model::{Class, Group, Severity};

/// The detection an access falls under. Ids are stable and never used for something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Rule {
    pub id: &'static str,
    pub name: &'static str,
}

/// A technique of MITRE ATT&CK Enterprise 19.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Attack {
    pub technique: &'static str,
    pub tactic: &'static str,
}

#[derive(Clone, Copy, Debug)]
pub struct Detection {
    pub rule: Rule,
    severity: Severity,
    pub attack: &'static [Attack],
}

const fn attack(technique: &'static str, tactic: &'static str) -> Attack {
    Attack { technique, tactic }
}

const fn found(
    id: &'static str,
    name: &'static str,
    severity: Severity,
    attack: &'static [Attack],
) -> Detection {
    Detection { rule: Rule { id, name }, severity, attack }
}

const MANIFEST_WRITE: Detection = found(
    "static_pod_manifest.write",
    "Static pod manifest written",
    Severity::High,
    &[attack("T1543.005", "TA0003"), attack("T1053.007", "TA0002"), attack("T1610", "TA0002")],
);

const MANIFEST_READ: Detection = found(
    "static_pod_manifest.read",
    "Static pod manifest read",
    Severity::Low,
    &[attack("T1613", "TA0007")],
);

const MANIFEST_CONNECT: Detection = found(
    "static_pod_manifest.connect",
    "Server of static pod manifests connected to",
    Severity::Low,
    &[attack("T1613", "TA0007")],
);

const KUBELET_CONFIG_WRITE: Detection = found(
    "kubelet_config.write",
    "Kubelet configuration written",
    Severity::High,
    &[attack("T1543.005", "TA0003"), attack("T1543.002", "TA0003")],
);

const KUBELET_CONFIG_READ: Detection =
    found("kubelet_config.read", "Kubelet configuration read", Severity::Low, &[attack("T1613", "TA0007")]);

const CREDENTIAL_WRITE: Detection = found(
    "credential.write",
    "Private key or kubeconfig written",
    Severity::High,
    &[attack("T1098", "TA0003")],
);

const CREDENTIAL_READ: Detection = found(
    "credential.read",
    "Private key or kubeconfig read",
    Severity::High,
    &[attack("T1552.004", "TA0006"), attack("T1552.001", "TA0006")],
);

const DATASTORE_FILE_WRITE: Detection = found(
    "datastore_file.write",
    "Cluster datastore's file written",
    Severity::High,
    &[attack("T1565.001", "TA0040")],
);

const DATASTORE_FILE_READ: Detection = found(
    "datastore_file.read",
    "Cluster datastore's file read",
    Severity::High,
    &[attack("T1213.006", "TA0009"), attack("T1005", "TA0009")],
);

const RUNTIME_CONNECT: Detection = found(
    "runtime_api.connect",
    "Container runtime socket connected to",
    Severity::Medium,
    &[
        attack("T1609", "TA0002"),
        attack("T1610", "TA0002"),
        attack("T1611", "TA0004"),
        attack("T1613", "TA0007"),
    ],
);

const RUNTIME_WRITE: Detection = found(
    "runtime_api.write",
    "Container runtime socket replaced or changed",
    Severity::High,
    &[attack("T1557", "TA0006"), attack("T1610", "TA0002")],
);

const DATASTORE_CONNECT: Detection = found(
    "datastore_api.connect",
    "Cluster datastore connected to",
    Severity::High,
    &[attack("T1552.007", "TA0006"), attack("T1213.006", "TA0009")],
);

const DATASTORE_ACCEPT: Detection = found(
    "datastore_api.accept",
    "Cluster datastore connected to from elsewhere",
    Severity::High,
    &[attack("T1552.007", "TA0006"), attack("T1213.006", "TA0009")],
);

const KUBELET_ACCEPT: Detection = found(
    "kubelet_api.accept",
    "Kubelet port connected to from elsewhere",
    Severity::Medium,
    &[attack("T1613", "TA0007"), attack("T1609", "TA0002"), attack("T1552.007", "TA0006")],
);

const KUBELET_CONNECT: Detection = found(
    "kubelet_api.connect",
    "Kubelet port connected to",
    Severity::Medium,
    &[attack("T1613", "TA0007"), attack("T1609", "TA0002"), attack("T1552.007", "TA0006")],
);

/// Without a group, it is as bad as the worst that can be done to the class.
pub(super) const fn detection(class: Class, group: Option<Group>) -> Detection {
    match (class, group) {
        (Class::StaticPodManifest, Some(Group::Write) | None) => MANIFEST_WRITE,
        (Class::StaticPodManifest, Some(Group::Read)) => MANIFEST_READ,
        (Class::StaticPodManifest, Some(Group::Connect | Group::Accept)) => MANIFEST_CONNECT,
        (Class::KubeletConfig, Some(Group::Write) | None) => KUBELET_CONFIG_WRITE,
        (Class::KubeletConfig, Some(_)) => KUBELET_CONFIG_READ,
        (Class::Credential, Some(Group::Write)) => CREDENTIAL_WRITE,
        (Class::Credential, _) => CREDENTIAL_READ,
        (Class::DatastoreFile, Some(Group::Write)) => DATASTORE_FILE_WRITE,
        (Class::DatastoreFile, _) => DATASTORE_FILE_READ,
        (Class::RuntimeApi, Some(Group::Write)) => RUNTIME_WRITE,
        (Class::RuntimeApi, _) => RUNTIME_CONNECT,
        (Class::DatastoreApi, Some(Group::Accept)) => DATASTORE_ACCEPT,
        (Class::KubeletApi, Some(Group::Accept)) => KUBELET_ACCEPT,
        (Class::DatastoreApi, _) => DATASTORE_CONNECT,
        (Class::KubeletApi, _) => KUBELET_CONNECT,
    }
}

/// Every detection there is.
pub const fn detections() -> [Detection; 15] {
    [
        MANIFEST_WRITE,
        MANIFEST_READ,
        MANIFEST_CONNECT,
        KUBELET_CONFIG_WRITE,
        KUBELET_CONFIG_READ,
        CREDENTIAL_WRITE,
        CREDENTIAL_READ,
        DATASTORE_FILE_WRITE,
        DATASTORE_FILE_READ,
        RUNTIME_CONNECT,
        RUNTIME_WRITE,
        DATASTORE_CONNECT,
        DATASTORE_ACCEPT,
        KUBELET_CONNECT,
        KUBELET_ACCEPT,
    ]
}

impl Detection {
    /// For a process of the node itself.
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// One step worse for an actor in a container, or one whose executable is gone or never was a file.
    pub(super) fn severity_of(&self, actor: &Actor, in_container: bool) -> Severity {
        if in_container || actor.exe.deleted { raised(self.severity) } else { self.severity }
    }
}

/// As bad as it gets: a pod that nobody sees in the API, or one that can do to the node what it likes. Whoever is allowed to write
/// such a manifest still is, and a file that the kubelet passes over runs nothing.
pub(super) fn worse(severity: Severity, attention: &[Attention]) -> Severity {
    let grave = |attention: &Attention| {
        matches!(
            attention,
            Attention::InvalidNamespace
                | Attention::PrivilegedOnHost
                | Attention::HostPathRoot
                | Attention::HostPathRuntimeApi
        )
    };
    let harmless = severity == Severity::Info || attention.contains(&Attention::Ignored);
    if !harmless && attention.iter().any(grave) { Severity::Critical } else { severity }
}

const fn raised(severity: Severity) -> Severity {
    match severity {
        Severity::Info => Severity::Low,
        Severity::Low => Severity::Medium,
        Severity::Medium => Severity::High,
        Severity::High | Severity::Critical => Severity::Critical,
    }
}
