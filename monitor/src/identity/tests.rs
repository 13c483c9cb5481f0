use std::fs;
use std::path::PathBuf;

use serde_json::json;

use super::*;

const UID: &str = "8f29b4a0-7e5a-4d6e-9b1c-2a4f6c8e0d13";
const STATIC: &str = "09a70ae9c2d44f1e8b3a5c7d9e1f2a3b";
const NODE: Namespaces = Namespaces { mnt: 1, pid: 1, net: 1 };

struct Node {
    dir: tempfile::TempDir,
    root: Root,
}

impl Node {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::at_dir(dir.path()).unwrap();
        Self { dir, root }
    }

    fn bundle(&self, id: &str, cgroup: &str, pod: Option<(&str, &str, &str)>) {
        let tasks = Path::new("/run/containerd/io.containerd.runtime.v2.task/k8s.io");
        let annotations = pod.map(|(namespace, name, uid)| {
            json!({
                "io.kubernetes.cri.sandbox-namespace": namespace,
                "io.kubernetes.cri.sandbox-name": name,
                "io.kubernetes.cri.sandbox-uid": uid,
                "io.kubernetes.cri.container-name": "main",
                "io.kubernetes.cri.image-name": "example.org/main:1",
            })
        });
        let annotations = annotations.unwrap_or(json!({}));
        let json = json!({"annotations": annotations, "linux": {"cgroupsPath": cgroup}});
        self.write(&tasks.join(id).join("config.json"), &json.to_string());
    }

    fn write(&self, path: &Path, text: &str) {
        let path = self.dir.path().join(path.strip_prefix("/").unwrap_or(path));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn at(&self, cgroup: &str) -> Whose {
        self.seen(cgroup, NODE.mnt + 1)
    }

    fn seen(&self, cgroup: &str, mnt_ns: u32) -> Whose {
        let actor = Actor { mnt_ns, cgroup: cgroup.as_bytes().to_vec(), ..Actor::default() };
        Identities::new(&self.root, &[], false).of(&self.root, &actor, NODE)
    }
}

fn cgroup(uid: &str, id: &str) -> String {
    format!("/kubepods/burstable/pod{uid}/{id}")
}

fn named(whose: &Whose) -> (Option<&str>, Option<&str>, Option<Source>) {
    let pod = whose.pod.as_ref();
    (
        pod.and_then(|pod| pod.namespace.as_deref()),
        pod.and_then(|pod| pod.name.as_deref()),
        pod.map(|pod| pod.source),
    )
}

#[test]
fn the_runtimes_configuration_says_it_best() {
    let node = Node::new();
    let path = cgroup(UID, "abc");
    node.bundle("abc", &path, Some(("shop", "web-0", UID)));
    node.write(Path::new(&format!("/var/log/pods/other_name_{UID}/x")), "");
    let whose = node.at(&format!("{path}/init"));
    assert_eq!(named(&whose), (Some("shop"), Some("web-0"), Some(Source::Bundle)));
    let container = whose.container.unwrap();
    assert_eq!((container.id.as_str(), container.runtime), ("abc", Some(Runtime::Containerd)));
    assert_eq!(container.image.as_deref(), Some("example.org/main:1"));
    assert!(whose.proven && whose.errors.is_empty() && !whose.pod.unwrap().is_static);
}

#[test]
fn a_static_pod_has_a_hash_for_a_uid() {
    let node = Node::new();
    let path = cgroup(STATIC, "abc");
    node.bundle("abc", &path, Some(("kube-system", "etcd-node1", STATIC)));
    assert!(node.at(&path).pod.unwrap().is_static);
}

#[test]
fn without_the_configuration_the_logs_say_which_pod_and_nothing_is_proven() {
    let node = Node::new();
    let path = cgroup(UID, "abc");
    let whose = node.at(&path);
    assert_eq!(named(&whose), (None, None, Some(Source::Cgroup)));
    assert_eq!(whose.pod.unwrap().uid.as_deref(), Some(UID));
    assert_eq!(whose.errors, ["the configuration of container abc is not there"]);
    node.write(Path::new(&format!("/var/log/pods/shop_web-0_{UID}/x")), "");
    let whose = node.at(&path);
    assert_eq!(named(&whose), (Some("shop"), Some("web-0"), Some(Source::LogDirectory)));
    assert!(!whose.proven);
}

#[test]
fn a_container_of_no_pod() {
    let node = Node::new();
    node.bundle("abc", "/default/abc", None);
    let whose = node.at("/default/abc");
    assert_eq!(
        (whose.container.unwrap().runtime, whose.pod, whose.proven),
        (Some(Runtime::Containerd), None, true)
    );
    // What only looks like one is none, and nothing is missing.
    assert_eq!(node.at("/default/def"), Whose::default());
    assert_eq!(node.seen("/default/abc", NODE.mnt), Whose::default());
}

#[test]
fn who_takes_the_name_of_another_container_is_nobody() {
    let node = Node::new();
    let etcd = cgroup(STATIC, "abc");
    node.bundle("abc", &etcd, Some(("kube-system", "etcd-node1", STATIC)));
    // A user's own part of the hierarchy.
    let whose = node.at(&format!("/user.slice/user-1000.slice/user@1000.service{etcd}"));
    assert_eq!((&whose.container, &whose.pod, whose.proven), (&None, &None, false));
    assert_eq!(whose.errors, ["the cgroup has the name of container abc, which its runtime put elsewhere"]);
    // A container that makes cgroups in its own.
    let own = cgroup(UID, "own");
    node.bundle("own", &own, Some(("shop", "web-0", UID)));
    let whose = node.at(&format!("{own}{etcd}"));
    assert_eq!(named(&whose), (Some("shop"), Some("web-0"), Some(Source::Bundle)));
    // Also one whose configuration cannot be read.
    node.write(&PathBuf::from("/run/containerd/io.containerd.runtime.v2.task/k8s.io/own/config.json"), "{");
    let whose = node.at(&format!("{own}{etcd}"));
    assert_eq!((whose.container.unwrap().id.as_str(), whose.proven), ("own", false));
    assert_eq!(whose.errors, ["the configuration of its container: it ends too early"]);
}

#[test]
fn a_node_that_is_a_container_has_containers_of_its_own() {
    let node = Node::new();
    let (outer, etcd) = (format!("/docker/{}", "a".repeat(64)), cgroup(STATIC, "abc"));
    node.bundle("abc", &etcd, Some(("kube-system", "etcd-node1", STATIC)));
    let path = format!("{outer}/kubelet{etcd}");
    assert!(!node.at(&path).proven);
    node.write(Path::new("/.dockerenv"), "");
    let whose = node.at(&path);
    assert_eq!(named(&whose), (Some("kube-system"), Some("etcd-node1"), Some(Source::Bundle)));
    assert!(whose.proven);
    // Above it is no container that the node could be.
    assert!(!node.at(&format!("/system.slice/runner.service{etcd}")).proven);
}

#[test]
fn a_process_of_the_node_is_in_no_container() {
    let node = Node::new();
    for path in ["/", "", "/system.slice/kubelet.service", "/user.slice/user-0.slice/session-3.scope"] {
        assert_eq!(node.at(path), Whose::default(), "{path}");
        assert_eq!(node.seen(path, NODE.mnt), Whose::default(), "{path}");
    }
}
