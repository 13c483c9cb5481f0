//! Distributions that are one program: what would be flags of others is in its own configuration, and everything is beneath one directory.
//! <https://docs.k3s.io/cli/server> <https://docs.rke2.io/reference/server_config>
//! <https://docs.k0sproject.io/stable/configuration/> <https://microk8s.io/docs/configuring-services>

use std::path::{Path, PathBuf};

use super::document::Document;
use super::flags::{Flags, variable};
use super::found::Findings;
use super::process::Process;
use super::{apiserver, kubelet};
use crate::model::Class;

/// What a distribution has beneath its directory.
type Beneath = [(Class, &'static str)];

const K3S: [(Class, &str); 9] = [
    (Class::StaticPodManifest, "agent/pod-manifests"),
    (Class::KubeletConfig, "agent/etc/kubelet.conf.d"),
    (Class::Credential, "agent/*.key"),
    (Class::Credential, "agent/*.kubeconfig"),
    (Class::Credential, "server/tls/**/*.key"),
    (Class::Credential, "server/cred"),
    (Class::Credential, "server/token"),
    (Class::Credential, "server/node-token"),
    (Class::DatastoreFile, "server/db"),
];

const K0S: [(Class, &str); 6] = [
    (Class::KubeletConfig, "kubelet-config.yaml"),
    (Class::Credential, "kubelet.conf"),
    (Class::Credential, "kubelet/pki"),
    (Class::Credential, "pki/**/*.key"),
    (Class::DatastoreFile, "etcd"),
    (Class::DatastoreFile, "db"),
];

/// k3s and RKE2, which hide their flags from /proc once they run: the environment and files say the same.
pub fn k3s(process: &Process, findings: &mut Findings<'_>) {
    let flags = &process.flags;
    let Own { config, drop_ins, document, dir, from } =
        Own::read(process, &mut |file| findings.read(file, Document::yaml));
    findings.path(Class::KubeletConfig, &config, "its configuration");
    findings.path(Class::KubeletConfig, &drop_ins, "its configuration");
    beneath(&dir, &K3S, &from, findings);
    findings.socket(Class::DatastoreApi, &dir.join("server/kine.sock").to_string_lossy(), &from);
    for key in ["container-runtime-endpoint", "image-service-endpoint"] {
        if let Some(endpoint) =
            flags.last(&[key]).or_else(|| document.text(key)).filter(|value| !value.is_empty())
        {
            findings.socket(Class::RuntimeApi, endpoint, key);
        }
    }
    if let Some(path) = flags.last(&["write-kubeconfig", "o"]).or_else(|| document.text("write-kubeconfig")) {
        findings.path(Class::Credential, &process.whole(path), "write-kubeconfig");
    }
    kubelet::of_flags(process, &part(process, &document, "kubelet-arg"), findings);
    apiserver::of_flags(process, &part(process, &document, "kube-apiserver-arg"), findings);
}

/// k3s' own configuration.
pub(crate) struct Own {
    pub config: PathBuf,
    pub drop_ins: PathBuf,
    pub document: Document,
    /// Everything else is beneath it.
    pub dir: PathBuf,
    /// Who says which directory that is.
    pub from: String,
}

impl Own {
    pub(crate) fn read(process: &Process, read: &mut impl FnMut(&Path) -> Option<Document>) -> Self {
        let name = process.program.name();
        let prefix = name.to_uppercase();
        let of_environ = |what: &str| variable(&process.environ, &format!("{prefix}_{what}"));
        let flags = &process.flags;
        let usual = format!("/etc/rancher/{name}/config.yaml");
        let config = flags.last(&["config", "c"]).or_else(|| of_environ("CONFIG_FILE")).unwrap_or(&usual);
        let config = process.whole(config);
        let mut drop_ins = config.clone().into_os_string();
        drop_ins.push(".d");
        let drop_ins = PathBuf::from(drop_ins);
        let mut document = Document::default();
        let mut from = Findings::key("data-dir", &config);
        let files = std::iter::once(config.clone()).chain(process.list(&drop_ins));
        for file in files.filter(|file| file.extension().is_some_and(|end| end == "yaml" || end == "yml")) {
            let Some(read) = read(&file) else { continue };
            if read.text("data-dir").is_some() {
                from = Findings::key("data-dir", &file);
            }
            document.merge(read);
        }
        let flag = flags.last(&["data-dir", "d"]).map(|dir| (dir, "--data-dir".to_owned()));
        let flag = flag.or_else(|| of_environ("DATA_DIR").map(|dir| (dir, format!("{prefix}_DATA_DIR"))));
        let usual = format!("/var/lib/rancher/{name}");
        let (dir, from) = flag
            .or_else(|| document.text("data-dir").map(|dir| (dir, from)))
            .unwrap_or((&usual, "its usual directory".to_owned()));
        let dir = process.whole(dir);
        Self { config, drop_ins, document, dir, from }
    }
}

/// The flags of a part, which it takes as `name=value`.
pub(crate) fn part(process: &Process, document: &Document, key: &str) -> Flags {
    let of_flags = process.flags.all(&[key]).map(str::to_owned).collect::<Vec<_>>();
    Flags::of_pairs(&[document.list(key).unwrap_or_default(), &of_flags].concat())
}

/// k0s: kubelet, containerd and etcd are processes of their own, and say the rest themselves.
pub fn k0s(process: &Process, findings: &mut Findings<'_>) {
    let (dir, from) = match process.flags.last(&["data-dir"]) {
        Some(dir) => (process.whole(dir), "--data-dir"),
        None => (PathBuf::from("/var/lib/k0s"), "its usual directory"),
    };
    beneath(&dir, &K0S, from, findings);
}

/// MicroK8s: files of flags for each part.
pub fn kubelite(process: &Process, findings: &mut Findings<'_>) {
    for (part, read) in [
        ("kubelet", kubelet::of_flags as fn(&Process, &Flags, &mut Findings<'_>)),
        ("apiserver", apiserver::of_flags),
    ] {
        let Some(file) = process.flags.last(&[&format!("{part}-args-file")]).map(|path| process.whole(path))
        else {
            continue;
        };
        findings.path(Class::KubeletConfig, &file, &format!("--{part}-args-file"));
        match process.read(&file) {
            Ok(text) => read(process, &Flags::of_file(&text, &process.environ), findings),
            Err(error) => findings.note(&format!("--{part}-args-file is not read: {error}")),
        }
    }
}

fn beneath(dir: &Path, places: &Beneath, from: &str, findings: &mut Findings<'_>) {
    for (class, place) in places {
        findings.path(*class, &dir.join(place), from);
    }
}

#[cfg(test)]
mod tests {
    use super::super::program::Program;
    use super::super::testing::Node;

    fn has(found: &[String], line: &str) -> bool {
        found.iter().any(|known| known == line)
    }

    #[test]
    fn k3s_says_where_it_is_by_environment_and_files() {
        let node = Node::new(&[
            (
                "/etc/rancher/k3s/config.yaml",
                "data-dir: /srv/k3s\ntoken: secret\nkubelet-arg: [pod-manifest-path=/srv/pods]\n",
            ),
            ("/etc/rancher/k3s/config.yaml.d/1.yaml", "write-kubeconfig: /srv/admin.yaml\n"),
        ]);
        let (found, notes) = node.says(Program::K3s, "k3s server", b"");
        assert!(
            has(
                &found,
                "static_pod_manifest /srv/k3s/agent/pod-manifests < k3s[7], data-dir in /etc/rancher/k3s/config.yaml"
            ),
            "{found:#?}"
        );
        assert!(has(&found, "static_pod_manifest /srv/pods < k3s[7], --pod-manifest-path"), "{found:#?}");
        assert!(has(&found, "credential /srv/admin.yaml < k3s[7], write-kubeconfig"), "{found:#?}");
        assert!(
            has(&found, "kubelet_config /etc/rancher/k3s/config.yaml.d < k3s[7], its configuration"),
            "{found:#?}"
        );
        assert!(notes.is_empty() && !found.iter().any(|line| line.contains("secret")), "{notes:?}");
        let (found, _) = node.says(Program::K3s, "k3s agent", b"K3S_DATA_DIR=/srv/other\0");
        assert!(
            has(&found, "datastore_api /srv/other/server/kine.sock < k3s[7], K3S_DATA_DIR"),
            "{found:#?}"
        );
        let (found, _) = node.says(Program::Rke2, "rke2 server", b"");
        assert!(
            has(&found, "datastore_file /var/lib/rancher/rke2/server/db < rke2[7], its usual directory"),
            "{found:#?}"
        );
    }

    #[test]
    fn microk8s_has_flags_in_files() {
        let node = Node::new(&[
            (
                "/args/kubelet",
                "--kubeconfig=${SNAP_DATA}/credentials/kubelet.config\n--pod-manifest-path=${SNAP_DATA}/pods\n",
            ),
            ("/args/api", "--etcd-servers=\"unix://${SNAP_DATA}/kine.sock:12379\"\n"),
        ]);
        let (found, _) = node.says(
            Program::Kubelite,
            "kubelite --kubelet-args-file=/args/kubelet --apiserver-args-file=/args/api",
            b"SNAP_DATA=/var/snap/microk8s/7\0",
        );
        for line in [
            "kubelet_config /args/kubelet < kubelite[7], --kubelet-args-file",
            "static_pod_manifest /var/snap/microk8s/7/pods < kubelite[7], --pod-manifest-path",
            "credential /var/snap/microk8s/7/credentials/kubelet.config < kubelite[7], --kubeconfig",
            "datastore_api /var/snap/microk8s/7/kine.sock:12379 < kubelite[7], --etcd-servers",
        ] {
            assert!(has(&found, line), "{line}: {found:#?}");
        }
    }

    #[test]
    fn k0s_has_everything_beneath_one_directory() {
        let (found, _) = Node::new(&[]).says(Program::K0s, "k0s controller --data-dir /srv/k0s", b"");
        assert!(has(&found, "credential /srv/k0s/pki/**/*.key < k0s[7], --data-dir"), "{found:#?}");
    }
}
