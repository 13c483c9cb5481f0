//! Nodes of several distributions, made of a few files and processes, and what is found on them.

mod distributions;
mod hostile;
mod kubeadm;
mod kubelet;
mod permissions;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{Listener, Mounted, Node, look};
use crate::config::detect::{Detected, detect};
use crate::config::{self, Rule};
use crate::event::{Posture, PostureResult};
use crate::node::Root;
use crate::running::process::Process;
use crate::running::program::Program;
use crate::running::{Known, say};

/// Of two authorities; the second file of the cluster's has the same key under another name.
pub(super) const CLUSTER: &str = include_str!("../../../tests/fixtures/pki/cluster.crt");
pub(super) const CLUSTER_RENEWED: &str = include_str!("../../../tests/fixtures/pki/cluster-renewed.crt");
pub(super) const ETCD: &str = include_str!("../../../tests/fixtures/pki/etcd.crt");
pub(super) const RSA: &str = include_str!("../../../tests/fixtures/pki/rsa.crt");

/// The kubelet's configuration as kubeadm writes it.
pub(super) const CONFIG: &str = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nauthentication:\n  anonymous: {enabled: false}\n  \
                      webhook: {cacheTTL: 0s, enabled: true}\n  x509: {clientCAFile: /etc/kubernetes/pki/ca.crt}\nauthorization:\n  mode: Webhook\n\
                      staticPodPath: /etc/kubernetes/manifests\n";

pub(super) const KUBELET_CHECKS: [&str; 4] = [
    "kubelet.anonymous_auth",
    "kubelet.authorization_mode",
    "kubelet.authentication",
    "kubelet.read_only_port",
];
pub(super) const ETCD_CHECKS: [&str; 8] = [
    "etcd.tls",
    "etcd.client_cert_auth",
    "etcd.auto_tls",
    "etcd.peer_tls",
    "etcd.peer_client_cert_auth",
    "etcd.peer_auto_tls",
    "etcd.separate_ca",
    "etcd.listen",
];
pub(super) const STATIC_PODS: [&str; 4] =
    ["static_pods.invisible", "static_pods.hidden", "static_pods.unexpected", "static_pods.host_paths"];

pub(super) struct Fixture {
    pub dir: TempDir,
    pub processes: Vec<(Program, String, Vec<u8>)>,
    pub others: Vec<Program>,
    pub too_many: usize,
    pub hidden: Option<String>,
    pub listening: Result<Vec<Listener>, String>,
    pub containers: Result<(Vec<Mounted>, Vec<String>), String>,
}

/// Findings by the ids of their checks.
pub(super) type Found = BTreeMap<&'static str, Posture>;

impl Fixture {
    /// Files are their owner's alone; a path that ends with a slash is a directory.
    pub fn new(files: &[(&str, &str)]) -> Self {
        let fixture = Self {
            dir: tempfile::tempdir().unwrap(),
            processes: Vec::new(),
            others: Vec::new(),
            too_many: 0,
            hidden: None,
            listening: Ok(Vec::new()),
            containers: Ok((Vec::new(), Vec::new())),
        };
        // As /, which everybody enters.
        fs::set_permissions(fixture.dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        files.iter().for_each(|(path, text)| fixture.write(path, text.as_bytes()));
        fixture
    }

    pub fn real(&self, path: &str) -> PathBuf {
        self.dir.path().join(path.trim_start_matches('/'))
    }

    pub fn write(&self, path: &str, text: &[u8]) {
        let real = self.real(path);
        let is_dir = path.ends_with('/');
        fs::create_dir_all(if is_dir { &real } else { real.parent().unwrap() }).unwrap();
        if !is_dir {
            fs::write(&real, text).unwrap();
            self.mode(path, 0o600);
        }
    }

    pub fn link(&self, to: &str, path: &str) {
        fs::create_dir_all(self.real(path).parent().unwrap()).unwrap();
        symlink(to, self.real(path)).unwrap();
    }

    pub fn mode(&self, path: &str, mode: u32) {
        fs::set_permissions(self.real(path), fs::Permissions::from_mode(mode)).unwrap();
    }

    pub fn runs(mut self, program: Program, cmdline: &str, environ: &[u8]) -> Self {
        self.processes.push((program, cmdline.to_owned(), environ.to_vec()));
        self
    }

    pub fn look(&self) -> Found {
        let root = Root::at_dir(self.dir.path()).unwrap();
        let processes = self
            .processes
            .iter()
            .map(|(program, cmdline, environ)| Process::fixture(*program, self.dir.path(), cmdline, environ));
        let processes: Vec<_> = processes.collect();
        let detected = detect(&root).into_iter().next();
        let usual = Detected { profile: "kubeadm", evidence: String::new() };
        let mut config = config::built_in(detected.as_ref().unwrap_or(&usual)).unwrap();
        let mut known = Known::new(config.targets.iter().map(|entry| entry.value.clone()).collect());
        config.add_found(known.add(&say(&processes)).added);
        let rules: Vec<Rule> = config.rules.iter().map(|entry| entry.value.clone()).collect();
        let findings = look(Node {
            root: &root,
            targets: config.targets.iter().map(|entry| entry.value.clone()).collect(),
            rules: &rules,
            profile: detected.map(|detected| detected.profile),
            processes: &processes,
            others: &self.others,
            too_many: self.too_many,
            hidden: self.hidden.clone(),
            listening: &self.listening,
            containers: &self.containers,
        });
        let found: Found =
            findings.into_iter().map(|finding| (finding.check.rule.id, finding.posture())).collect();
        assert_eq!(found.len(), super::checks::ALL.len(), "each check has one finding");
        found
    }
}

/// What has this result.
#[track_caller]
pub(super) fn expect(found: &Found, result: PostureResult, ids: &[&str]) {
    for id in ids {
        let posture = &found[id];
        assert_eq!(posture.result, result, "{id}: {posture:#?}");
    }
}

/// `value < origin file` of the first piece of evidence for a key.
pub(super) fn evidence(posture: &Posture, key: &str) -> String {
    let Some(found) = posture.evidence.iter().find(|evidence| evidence.key == key) else {
        return format!("none of {:?}", posture.evidence);
    };
    let file = found.file.as_ref().map(|file| format!(" {file}")).unwrap_or_default();
    format!("{} < {}{file}", found.value.as_deref().unwrap_or("-"), found.origin.name())
}

pub(super) fn node_of(path: &Path) -> Root {
    Root::at_dir(path).unwrap()
}
