//! Who did it: real containers of real containerd, and processes that only look like theirs.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::trials;
use crate::actor::{program, shell};
use crate::daemon::{Daemon, paths, policy};
use crate::event::{at, expect};
use crate::node::{Containerd, wait_until, which};

pub fn all() -> Vec<Trial> {
    trials(
        "containers",
        &[
            ("of_no_pod", of_no_pod),
            ("of_a_pod", of_a_pod),
            ("a_rule_is_about_its_pod", a_rule_is_about_its_pod),
            ("held_before_the_start", held_before_the_start),
            ("forged_cgroup", forged_cgroup),
        ],
    )
}

/// A static pod's.
const UID: &str = "09a70ae9c2d44f1e8b3a5c7d9e1f2a3b";

/// A pod's container, as the kubelet would have one made.
struct Pod {
    id: &'static str,
    namespace: &'static str,
    name: &'static str,
    uid: &'static str,
}

const ETCD: Pod = Pod { id: "etcd-1", namespace: "kube-system", name: "etcd-node1", uid: UID };

/// It has the name of another pod, which anyone who may make pods can give.
const IMPOSTOR: Pod = Pod {
    id: "impostor-1",
    namespace: "default",
    name: "etcd-node1",
    uid: "8f29b4a0-7e5a-4d6e-9b1c-2a4f6c8e0d13",
};

impl Pod {
    fn cgroup(&self) -> String {
        format!("/kubepods/burstable/pod{}/{}", self.uid, self.id)
    }

    fn annotations(&self) -> Vec<String> {
        [
            ("sandbox-namespace", self.namespace),
            ("sandbox-name", self.name),
            ("sandbox-uid", self.uid),
            ("sandbox-id", "sandbox-1"),
            ("container-name", "etcd"),
            ("container-type", "container"),
            ("image-name", "registry.k8s.io/etcd:3.5.15-0"),
        ]
        .into_iter()
        .flat_map(|(key, value)| ["--annotation".to_owned(), format!("io.kubernetes.cri.{key}={value}")])
        .collect()
    }
}

/// A watched manifest, and a root file system that has it, too.
struct Scene {
    containerd: Containerd,
    dir: TempDir,
    manifest: PathBuf,
}

impl Scene {
    fn new() -> Result<Self> {
        let containerd = Containerd::start()?;
        let dir = tempfile::tempdir_in("/run")?;
        let rootfs = dir.path().join("rootfs");
        for name in ["bin", "proc", "sys", "dev", "tmp", "run", "watched"] {
            fs::create_dir_all(rootfs.join(name))?;
        }
        fs::copy(which("busybox")?, rootfs.join("bin/busybox"))?;
        fs::set_permissions(rootfs.join("bin/busybox"), fs::Permissions::from_mode(0o755))?;
        symlink("busybox", rootfs.join("bin/sh"))?;
        let watched = dir.path().join("watched");
        fs::create_dir(&watched)?;
        fs::write(watched.join("x.yaml"), "kind: Pod\n")?;
        Ok(Self { containerd, dir, manifest: watched.join("x.yaml") })
    }

    fn watched(&self) -> &Path {
        self.manifest.parent().unwrap_or(Path::new("/"))
    }

    /// The runtime's socket is named, so that its containers are found; its own client may use it.
    fn start(&self, rules: &str) -> Result<Daemon> {
        let runtime = format!("runtime_api: {{sockets: [{}]}}", self.containerd.socket().display());
        let ctr = format!("{{id: ctr, targets: runtime_api, process: {{exe: {}}}}}", which("ctr")?.display());
        let manifests = paths("static_pod_manifest", &[self.watched()]);
        Daemon::start(&policy(&format!("{runtime}, {manifests}"), &format!("{ctr}, {rules}")))
    }

    /// Runs a line of shell in a container.
    fn run(&self, namespace: &str, id: &str, more: &[String], line: &str) -> Result<()> {
        let mount = format!("type=bind,src={},dst=/watched,options=rbind:rw", self.watched().display());
        let rootfs = self.dir.path().join("rootfs");
        let rootfs = rootfs.to_string_lossy();
        let mut args = vec!["-n", namespace, "run", "--rm", "--rootfs", "--mount", &mount];
        args.extend(more.iter().map(String::as_str));
        args.extend([&*rootfs, id, "/bin/sh", "-ec", line]);
        self.containerd.ctr(&args)
    }

    fn run_in(&self, pod: &Pod, line: &str) -> Result<()> {
        let more = [vec!["--cgroup".to_owned(), pod.cgroup()], pod.annotations()].concat();
        self.run("k8s.io", pod.id, &more, line)
    }

    /// While a container runs that has begun with a line of shell.
    fn meanwhile(&self, pod: &Pod, line: &str, act: impl FnOnce() -> Result<()>) -> Result<()> {
        let running = self.watched().join("running");
        let line = format!(
            "{line}; busybox touch /watched/running; while busybox test -e /watched/running; do busybox sleep 0.1; done"
        );
        std::thread::scope(|scope| {
            let container = scope.spawn(|| self.run_in(pod, &line));
            wait_until("the container runs", || running.exists() || container.is_finished())?;
            let acted = if running.exists() { act() } else { Ok(()) };
            // It ends by that, and it may have ended before.
            let _gone = fs::remove_file(&running);
            container.join().ok().context("the container's thread")??;
            acted
        })
    }
}

const READ: &str = "busybox cat /watched/x.yaml >/dev/null";

fn process_of(pod: &Pod) -> Value {
    json!({
        "exe": "/bin/busybox",
        "container": {
            "id": pod.id,
            "runtime": "containerd",
            "name": "etcd",
            "image": "registry.k8s.io/etcd:3.5.15-0",
            "sandbox_id": "sandbox-1",
        },
        "pod": {
            "namespace": pod.namespace,
            "name": pod.name,
            "uid": pod.uid,
            "static": pod.uid == UID,
            "source": "bundle",
        },
    })
}

fn nothing_missing(event: &Value) -> Result<()> {
    let errors = at(event, "/enrichment_errors");
    ensure!(errors.is_null(), "{errors}");
    Ok(())
}

fn of_no_pod() -> Result<()> {
    let scene = Scene::new()?;
    let mut daemon = scene.start("")?;
    scene.run("default", "lonely", &[], READ)?;
    let alert = daemon.alert()?;
    let process = json!({"container": {"id": "lonely", "runtime": "containerd"}, "pod": null});
    expect(&alert, &json!({"target": {"path": scene.manifest}, "process": process}))?;
    nothing_missing(&alert)?;
    daemon.finish().map(drop)
}

fn of_a_pod() -> Result<()> {
    let scene = Scene::new()?;
    let mut daemon = scene.start("")?;
    for pod in [ETCD, IMPOSTOR] {
        scene.run_in(&pod, READ)?;
        let alert = daemon.alert()?;
        expect(&alert, &json!({"target": {"path": scene.manifest}, "process": process_of(&pod)}))?;
        nothing_missing(&alert)?;
    }
    // Who is in no container says nothing of one.
    shell(&format!("cat {}", scene.manifest.display()))?;
    expect(&daemon.alert()?, &json!({"process": {"comm": "cat", "container": null, "pod": null}}))?;
    daemon.finish().map(drop)
}

const RULE: &str = "{id: etcd, targets: static_pod_manifest, access: read, \
    container: {namespace: kube-system, pod: 'etcd-*', image: 'registry.k8s.io/etcd:*'}}";

fn a_rule_is_about_its_pod() -> Result<()> {
    let scene = Scene::new()?;
    let mut daemon = scene.start(RULE)?;
    scene.run_in(&ETCD, READ)?;
    let impostor = json!({"verdict": {"reason": "container_mismatch"}, "process": process_of(&IMPOSTOR)});
    daemon.silent_until(|| scene.run_in(&IMPOSTOR, READ), &impostor)?;
    scene.run_in(&ETCD, "busybox touch /watched/new.yaml")?;
    let written = json!({"verdict": {"reason": "access_not_allowed"}, "process": process_of(&ETCD)});
    expect(&daemon.alert()?, &written)?;
    daemon.finish().map(drop)
}

fn held_before_the_start() -> Result<()> {
    let scene = Scene::new()?;
    scene.meanwhile(&ETCD, "exec 3</watched/x.yaml", || {
        let mut daemon = scene.start("")?;
        let event = daemon.wait_for("the snapshot", |event| {
            event["kind"] == "snapshot" && at(event, "/target/path") == &json!(scene.manifest)
        })?;
        expect(&event, &json!({"process": process_of(&ETCD)}))?;
        daemon.finish().map(drop)
    })
}

/// A process of the node that makes itself a cgroup of the same name somewhere else.
fn forged_cgroup() -> Result<()> {
    let scene = Scene::new()?;
    let unified = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].map(Path::new);
    let unified = unified.into_iter().find(|dir| dir.join("cgroup.procs").exists());
    let unified = unified.context("no unified hierarchy")?;
    let top = unified.join("bypassd-test-user@1.service");
    let forged = top.join(&ETCD.cgroup()[1..]);
    let actor = program()?;
    let (actor, manifest) = (actor.display(), scene.manifest.display());
    let line = format!(
        "mkdir -p {0}; echo $$ >{0}/cgroup.procs; exec unshare -m {actor} open {manifest} r",
        forged.display()
    );
    let result = scene.meanwhile(&ETCD, "true", || {
        let mut daemon = scene.start(RULE)?;
        shell(&line)?;
        let alert = daemon.alert()?;
        let process = json!({"exe": program()?, "container": null, "pod": null});
        expect(&alert, &json!({"verdict": {"reason": "container_unknown"}, "process": process}))?;
        let errors = at(&alert, "/enrichment_errors/0").as_str().unwrap_or_default();
        ensure!(errors.contains("has the name of container etcd-1"), "{errors}");
        daemon.finish().map(drop)
    });
    // From the innermost on; it may not have been made.
    for dir in forged.ancestors().take_while(|dir| dir.starts_with(&top)) {
        let _gone = fs::remove_dir(dir);
    }
    result
}
