use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

use super::*;
use crate::event::Attention;
use crate::glob;
use crate::model::Class;
use crate::target::{Target, What};

const MANIFESTS: &str = "/etc/kubernetes/manifests";

const POD: &str = r#"
apiVersion: v1
kind: Pod
metadata:
  name: x
  namespace: NO_SUCH
spec:
  hostPID: true
  hostNetwork: true
  initContainers:
  - {name: a, image: "registry.example/a:1"}
  containers:
  - name: b
    image: registry.example/b@sha256:00
    env: [{name: PASSWORD, value: hunter2-in-env}]
    command: [sh, -c, "echo hunter2-in-command"]
    securityContext: {privileged: true}
  volumes:
  - {name: r, hostPath: {path: /run/containerd/containerd.sock}}
  - {name: s, secret: {secretName: hunter2-in-volume}}
"#;

fn doors() -> Doors {
    let (base, pattern) = glob::split(Path::new("/etc/kubernetes/pki/**/*.key")).unwrap();
    let targets = [
        (Class::StaticPodManifest, What::Path(MANIFESTS.into())),
        (Class::KubeletConfig, What::Path("/var/lib/kubelet/config.yaml".into())),
        (Class::Credential, What::Glob { base, pattern }),
        (Class::RuntimeApi, What::Socket("/run/containerd/containerd.sock".into())),
    ];
    Doors::of(targets.map(|(class, what)| Target { class, what }).iter())
}

fn of(text: &str) -> Manifest {
    summary(text.as_bytes(), &doors())
}

fn attention_for(host_path: &str) -> Vec<Attention> {
    let manifest =
        of(&format!("{{kind: Pod, spec: {{volumes: [{{hostPath: {{path: \"{host_path}\"}}}}]}}}}"));
    assert_eq!(manifest.pods[0].host_paths, [host_path]);
    manifest.attention
}

#[test]
fn a_pod_is_summarised() {
    let manifest = of(POD);
    assert!(manifest.parses && manifest.problem.is_none() && manifest.sha256.is_some());
    assert_eq!(
        manifest.attention,
        [
            Attention::InvalidNamespace,
            Attention::Privileged,
            Attention::PrivilegedOnHost,
            Attention::HostPid,
            Attention::HostNetwork,
            Attention::HostPathRuntimeApi
        ]
    );
    let [pod] = manifest.pods.try_into().unwrap();
    assert_eq!((pod.name.as_deref(), pod.namespace.as_str()), (Some("x"), "NO_SUCH"));
    assert!(!pod.namespace_valid && pod.host_pid && pod.host_network && pod.privileged);
    assert_eq!(pod.images, ["registry.example/a:1", "registry.example/b@sha256:00"]);
    assert_eq!(pod.host_paths, ["/run/containerd/containerd.sock"]);
}

#[test]
fn nothing_secret_is_kept_or_quoted() {
    let broken = POD.replace("metadata:", "metadata: [hunter2");
    for text in [POD, &broken] {
        let manifest = serde_json::to_string(&of(text)).unwrap();
        assert!(!manifest.contains("hunter2"), "{manifest}");
    }
    assert!(!of(&broken).parses);
}

#[test]
fn json_and_yaml_are_the_same() {
    let json = r#"{"kind": "Pod", "metadata": {"name": "x"}, "spec": {"hostPID": true, "containers": [{"image": "a"}]}}"#;
    let yaml = "kind: Pod\nmetadata: {name: x}\nspec:\n  hostPID: yes\n  containers:\n  - image: a\n";
    let (json, yaml) = (of(json), of(yaml));
    assert_eq!(json.pods, yaml.pods);
    assert_eq!(json.pods[0].namespace, "default");
    assert!(json.pods[0].namespace_valid && json.pods[0].host_pid);
}

#[test]
fn every_document_and_every_item_of_a_list_counts() {
    let list = "kind: List\nitems:\n- {kind: Pod, metadata: {name: a}}\n- {kind: Service, metadata: {name: s}}\n---\n";
    let names: Vec<_> = of(&format!("{list}{{kind: Pod, metadata: {{name: b}}}}\n---\nkind: PodList\nitems: [{{spec: {{containers: []}}}}]"))
        .pods
        .into_iter()
        .map(|pod| pod.name)
        .collect();
    assert_eq!(names, [Some("a".to_owned()), Some("b".to_owned()), None]);
}

#[test]
fn the_later_of_two_keys_counts() {
    assert!(of("kind: Pod\nspec: {hostPID: false}\nspec: {hostPID: true}\n").pods[0].host_pid);
}

#[test]
fn a_host_path_leads_to_what_is_at_above_and_beneath_it() {
    for (path, attention) in [
        ("/", vec![Attention::HostPathRoot]),
        ("//", vec![Attention::HostPathRoot]),
        ("/etc/..", vec![Attention::HostPathRoot]),
        ("/var/run/containerd", vec![Attention::HostPathRuntimeApi]),
        ("/run/../run/./containerd/containerd.sock", vec![Attention::HostPathRuntimeApi]),
        ("/etc/kubernetes/manifests/sub", vec![Attention::HostPathStaticPodManifest]),
        ("/etc/kubernetes", vec![Attention::HostPathStaticPodManifest, Attention::HostPathCredential]),
        ("/etc/kubernetes/pki/etcd", vec![Attention::HostPathCredential]),
        ("/etc/kubernetes/pki/etcd/server.key", vec![Attention::HostPathCredential]),
        // It may be a directory, with keys in it.
        ("/etc/kubernetes/pki/ca.crt", vec![Attention::HostPathCredential]),
        ("/etc/kubernetes/pkiother", vec![]),
        ("/etc/kubernetes-other", vec![]),
        ("/data", vec![]),
        ("", vec![]),
    ] {
        let attention: Vec<Attention> = attention;
        assert_eq!(attention_for(path), attention, "{path}");
    }
}

/// None of these may take long, or take what the daemon has.
#[test]
fn hostile_texts_are_refused_in_words() {
    let bomb: String = (0..12).fold("a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned(), |text, level| {
        let aliases = vec![format!("*a{level}"); 9].join(", ");
        format!("{text}a{}: &a{} [{aliases}]\n", level + 1, level + 1)
    });
    for text in [
        bomb,
        "[".repeat(100_000),
        "{a: ".repeat(100_000),
        "- ".repeat(100_000),
        "{\"a\":".repeat(100_000),
        "\u{0}\u{1}".repeat(1000),
        "&a ".repeat(10_000),
        "? ".repeat(10_000),
    ] {
        let manifest = of(&text);
        assert!(!manifest.parses, "{}", &text[..20]);
        assert!(manifest.problem.is_some_and(|problem| problem.len() < 100));
    }
    assert_eq!(summary(b"kind: \xff", &doors()).problem.as_deref(), Some("it is no UTF-8"));
}

#[test]
fn what_is_no_pod_holds_none() {
    for text in [
        "",
        "---\n---\n",
        "just words",
        "[1, 2]",
        "kind: Deployment",
        "a: {kind: Pod}",
        "items: 3",
        "~",
        "1e999",
    ] {
        let manifest = of(text);
        assert!(manifest.pods.is_empty() && manifest.attention.is_empty(), "{text}: {manifest:?}");
    }
}

#[test]
fn lists_and_texts_have_bounds() {
    let volumes = "{hostPath: {path: /data}},".repeat(100);
    let pod =
        format!("{{kind: Pod, metadata: {{name: {}}}, spec: {{volumes: [{volumes}]}}}}\n", "n".repeat(5000));
    let manifest = of(&vec![pod; 20].join("---\n"));
    assert!(manifest.pods.len() <= 8 && manifest.omitted > 600, "{}", manifest.omitted);
    assert!(serde_json::to_vec(&manifest).unwrap().len() < 64 << 10);
}

/// A node's root with a directory of manifests.
struct Node {
    dir: TempDir,
    root: Root,
}

impl Node {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("etc/kubernetes/manifests/sub")).unwrap();
        let root = Root::at_dir(dir.path()).unwrap();
        Self { dir, root }
    }

    /// Where a file of the directory really is.
    fn real(&self, name: &str) -> PathBuf {
        self.dir.path().join("etc/kubernetes/manifests").join(name)
    }

    fn look(&self, name: &str) -> Seen {
        look(&self.root, &Path::new(MANIFESTS).join(name), None, true, &doors())
    }

    fn settled(&self, name: &str) -> Manifest {
        match self.look(name) {
            Seen::Settled(manifest) => manifest,
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn a_file_counts_once_it_no_longer_changes() {
    let node = Node::new();
    let path = Path::new(MANIFESTS).join("x.yaml");
    let look = |before| look(&node.root, &path, before, false, &doors());
    fs::write(node.real("x.yaml"), "kind: Po").unwrap();
    let Seen::Changing(first) = look(None) else { panic!("nobody looked at it before") };
    fs::write(node.real("x.yaml"), POD).unwrap();
    let Seen::Changing(second) = look(Some(first)) else { panic!("it was changed since") };
    let Seen::Settled(manifest) = look(Some(second)) else { panic!("it was not changed since") };
    assert_eq!(manifest.pods.len(), 1);
}

#[test]
fn links_are_named_and_not_followed() {
    let node = Node::new();
    fs::write(node.dir.path().join("pod.yaml"), POD).unwrap();
    fs::write(node.real("a.yaml"), POD).unwrap();
    symlink("/pod.yaml", node.real("out.yaml")).unwrap();
    symlink("a.yaml", node.real("in.yaml")).unwrap();
    symlink("../manifests/./a.yaml", node.real("round.yaml")).unwrap();
    let out = node.settled("out.yaml");
    assert_eq!(
        (out.link.as_deref(), out.attention.as_slice()),
        (Some("/pod.yaml"), &[Attention::SymlinkOut][..])
    );
    assert!(out.pods.is_empty() && out.sha256.is_none() && out.problem.is_some());
    assert_eq!(node.settled("in.yaml").attention, []);
    assert_eq!(node.settled("round.yaml").attention, []);
}

#[test]
fn what_the_kubelet_passes_over_is_said() {
    let node = Node::new();
    for name in [".hidden.yaml", "sub/x.yaml"] {
        fs::write(node.real(name), POD).unwrap();
        assert!(node.settled(name).attention.contains(&Attention::Ignored), "{name}");
    }
}

#[test]
fn nobody_waits_for_what_is_no_file() {
    let node = Node::new();
    let (kind, mode) = (FileType::Fifo, Mode::RUSR | Mode::WUSR);
    mknodat(CWD, node.real("fifo.yaml"), kind, mode, 0).unwrap();
    assert_eq!(node.settled("fifo.yaml").problem.as_deref(), Some("it is no regular file"));
    assert!(matches!(node.look("sub"), Seen::Nothing));
    assert!(matches!(node.look("absent.yaml"), Seen::Nothing));
}

#[test]
fn a_large_file_is_not_read() {
    let node = Node::new();
    let file = fs::File::create(node.real("large.yaml")).unwrap();
    file.set_len(1 << 40).unwrap();
    let manifest = node.settled("large.yaml");
    assert!(manifest.problem.is_some_and(|problem| problem.contains("larger than")));
    assert!(manifest.sha256.is_none());
}
