//! Who used what.

use serde::Deserialize;

use crate::model::Class;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Process {
    pub pid: u32,
    pub entity_id: String,
    pub start: String,
    pub comm: String,
    pub exe: Option<String>,
    pub exe_deleted: bool,
    pub exe_memfd: bool,
    pub exe_sha256: Option<String>,
    pub args: Option<Vec<String>>,
    pub args_truncated: bool,
    pub traced: bool,
    pub cwd: Option<String>,
    pub uid: u32,
    pub euid: u32,
    pub auid: Option<u32>,
    pub unit: Option<String>,
    pub container: Option<Container>,
    pub pod: Option<Pod>,
    pub parent: Option<Relative>,
    pub ancestors: Vec<Relative>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Relative {
    pub pid: u32,
    pub entity_id: String,
    pub comm: String,
    pub exe: Option<String>,
    pub exe_deleted: bool,
    pub exe_memfd: bool,
    pub uid: u32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Container {
    pub id: String,
    pub name: Option<String>,
    pub image: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Pod {
    pub namespace: Option<String>,
    pub name: Option<String>,
    pub uid: Option<String>,
    #[serde(rename = "static")]
    pub is_static: bool,
}

#[derive(Debug, Deserialize)]
pub struct Target {
    pub class: Class,
    #[serde(default)]
    pub path: String,
    pub path_seen: Option<String>,
    pub from: Option<String>,
    pub to: Option<String>,
    pub source: Option<String>,
    pub src_ip: Option<String>,
    pub dst_ip: Option<String>,
    pub dst_port: Option<u16>,
    pub pid: Option<u32>,
    pub exe: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Manifest {
    pub sha256: Option<String>,
    pub problem: Option<String>,
    pub link: Option<String>,
    pub attention: Vec<String>,
    pub pods: Vec<ManifestPod>,
    pub omitted: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ManifestPod {
    pub name: Option<String>,
    pub namespace: String,
    pub namespace_valid: bool,
    pub host_pid: bool,
    pub host_network: bool,
    pub privileged: bool,
    pub host_paths: Vec<String>,
    pub images: Vec<String>,
}
