//! The shipped DaemonSet, as strict as it has to stay: a key that is not here is an error, so nothing is added or misspelt unnoticed.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde::Deserialize;

/// Namespace, ConfigMap and DaemonSet, as they are shipped.
pub const NAMESPACE: &str = include_str!("../../deploy/kubernetes/namespace.yaml");
pub const CONFIG_MAP: &str = include_str!("../../deploy/kubernetes/configmap.yaml");
pub const DAEMON_SET: &str = include_str!("../../deploy/kubernetes/daemonset.yaml");

/// What capabilities are called in it, and their numbers.
/// <https://elixir.bootlin.com/linux/v6.12/source/include/uapi/linux/capability.h#L105>
const CAPABILITIES: [(&str, u32); 6] = [
    ("DAC_READ_SEARCH", 2),
    ("SYS_PTRACE", 19),
    ("SYS_ADMIN", 21),
    ("SYS_RESOURCE", 24),
    ("PERFMON", 38),
    ("BPF", 39),
];

/// A set of capabilities, as a process's status has it.
pub fn mask(names: impl IntoIterator<Item: AsRef<str>>) -> Result<u64> {
    names.into_iter().try_fold(0, |mask, name| {
        let (_, number) = CAPABILITIES
            .iter()
            .find(|(known, _)| *known == name.as_ref())
            .with_context(|| format!("capability {} has no number here", name.as_ref()))?;
        Ok(mask | 1 << number)
    })
}

type Labels = BTreeMap<String, String>;

#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DaemonSet {
    pub api_version: String,
    pub kind: String,
    pub metadata: Metadata,
    pub spec: Spec,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metadata {
    pub name: Option<String>,
    pub labels: Labels,
    pub annotations: Option<Labels>,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spec {
    pub selector: Selector,
    pub update_strategy: UpdateStrategy,
    pub template: Template,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Selector {
    pub match_labels: Labels,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdateStrategy {
    pub r#type: String,
    pub rolling_update: RollingUpdate,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RollingUpdate {
    pub max_unavailable: u32,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Template {
    pub metadata: Metadata,
    pub spec: Pod,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pod {
    #[serde(rename = "hostPID")]
    pub host_pid: bool,
    pub host_network: bool,
    #[serde(rename = "hostIPC")]
    pub host_ipc: bool,
    pub host_users: bool,
    pub automount_service_account_token: bool,
    pub enable_service_links: bool,
    pub tolerations: Vec<Toleration>,
    pub node_selector: Labels,
    pub priority_class_name: String,
    pub termination_grace_period_seconds: u32,
    pub security_context: PodSecurity,
    pub containers: Vec<Container>,
    pub volumes: Vec<Volume>,
}

/// Nothing but the operator: a key or an effect would leave nodes out.
#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Toleration {
    pub operator: String,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PodSecurity {
    pub run_as_user: u32,
    pub run_as_group: u32,
    pub seccomp_profile: Kind,
    pub app_armor_profile: Kind,
    pub se_linux_options: Kind,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Kind {
    pub r#type: String,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Container {
    pub name: String,
    pub image: String,
    pub image_pull_policy: String,
    pub args: Vec<String>,
    pub env: Vec<Variable>,
    pub ports: Vec<Port>,
    pub liveness_probe: Probe,
    pub readiness_probe: Probe,
    pub resources: Resources,
    pub security_context: Security,
    pub volume_mounts: Vec<Mount>,
    pub termination_message_policy: String,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Variable {
    pub name: String,
    pub value_from: FieldOf,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FieldOf {
    pub field_ref: FieldRef,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FieldRef {
    pub field_path: String,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Port {
    pub name: String,
    pub container_port: u16,
    pub protocol: String,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Probe {
    pub http_get: HttpGet,
    pub period_seconds: u32,
    pub timeout_seconds: u32,
    pub failure_threshold: Option<u32>,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpGet {
    pub path: String,
    pub port: String,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Resources {
    pub requests: Labels,
    pub limits: Labels,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Security {
    pub privileged: bool,
    pub allow_privilege_escalation: bool,
    pub read_only_root_filesystem: bool,
    pub capabilities: Capabilities,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Capabilities {
    pub drop: Vec<String>,
    pub add: Vec<String>,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Mount {
    pub name: String,
    pub mount_path: String,
    #[serde(default)]
    pub read_only: bool,
}

/// No `hostPath`, on purpose.
#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Volume {
    pub name: String,
    pub config_map: Option<Named>,
    pub empty_dir: Option<EmptyDir>,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Named {
    pub name: String,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EmptyDir {
    pub medium: String,
    pub size_limit: String,
}

impl DaemonSet {
    pub fn shipped() -> Result<Self> {
        serde_saphyr::from_str(DAEMON_SET).context("deploy/kubernetes/daemonset.yaml")
    }

    /// There is one.
    pub fn container(&self) -> Result<&Container> {
        let [container] = self.spec.template.spec.containers.as_slice() else {
            anyhow::bail!("the DaemonSet has not one container");
        };
        Ok(container)
    }
}
