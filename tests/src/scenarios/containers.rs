//! Who did it: real containers of real containerd, and processes that only look like theirs.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::trials;
use crate::actor::{copy_to, must, program, shell};
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
            ("a_rule_is_about_its_container", a_rule_is_about_its_container),
            ("held_before_the_start", held_before_the_start),
            ("forged_cgroup", forged_cgroup),
            ("own_executable_at_an_allowed_path", own_executable_at_an_allowed_path),
            ("static_pod_that_claims_to_be_another", static_pod_that_claims_to_be_another),
        ],
    )
}

/// A static pod's.
const UID: &str = "09a70ae9c2d44f1e8b3a5c7d9e1f2a3b";

/// A pod's container, as the kubelet would have one made.
pub(super) struct Pod {
    pub(super) id: &'static str,
    pub(super) namespace: &'static str,
    pub(super) name: &'static str,
    pub(super) uid: &'static str,
    pub(super) container: &'static str,
    pub(super) image: &'static str,
}

const IMAGE: &str = "registry.k8s.io/etcd:3.5.15-0";

pub(super) const ETCD: Pod = Pod {
    id: "etcd-1",
    namespace: "kube-system",
    name: "etcd-node1",
    uid: UID,
    container: "etcd",
    image: IMAGE,
};

/// It has the name of another pod, which anyone who may make pods can give.
pub(super) const IMPOSTOR: Pod = Pod {
    id: "impostor-1",
    namespace: "default",
    name: "etcd-node1",
    uid: "8f29b4a0-7e5a-4d6e-9b1c-2a4f6c8e0d13",
    container: "etcd",
    image: IMAGE,
};

/// Whoever writes a manifest gives it the name and the namespace he wants. The image is what runs.
const CLAIMANT: Pod = Pod {
    id: "claimant-1",
    namespace: "kube-system",
    name: "etcd-node1",
    uid: "0b1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e",
    container: "etcd",
    image: "docker.io/library/busybox:latest",
};

/// In the same pod and of the same image, as an ephemeral container for debugging.
const BESIDE: Pod = Pod { id: "debugger-1", container: "debugger", ..ETCD };

const DIGEST: &str =
    "registry.k8s.io/etcd@sha256:5b2d7b1a3c9c1e0f4d6a8b7c5e3f1a2d4c6b8e0f1a3c5d7e9b1d3f5a7c9e1b3d";

/// The image that is meant, and one that only has its name.
const PINNED: Pod = Pod { id: "pinned-1", image: DIGEST, ..ETCD };

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
            ("container-name", self.container),
            ("container-type", "container"),
            ("image-name", self.image),
        ]
        .into_iter()
        .flat_map(|(key, value)| ["--annotation".to_owned(), format!("io.kubernetes.cri.{key}={value}")])
        .collect()
    }
}

/// A watched manifest, and a root file system that has it, too.
pub(super) struct Scene {
    containerd: Containerd,
    dir: TempDir,
    pub(super) manifest: PathBuf,
}

impl Scene {
    pub(super) fn new() -> Result<Self> {
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

    pub(super) fn watched(&self) -> &Path {
        self.manifest.parent().unwrap_or(Path::new("/"))
    }

    /// A place beside it.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.containerd.socket()
    }

    pub(super) fn containerd(&self) -> &Containerd {
        &self.containerd
    }

    pub(super) fn restart(&mut self) -> Result<()> {
        self.containerd.restart()
    }

    /// Its client may use the runtime.
    fn start(&self, rules: &str) -> Result<Daemon> {
        Daemon::fresh(&self.policy(&format!("{}, {rules}", ctr()?)))
    }

    /// The runtime's socket is named, so that its containers are found.
    pub(super) fn policy(&self, rules: &str) -> String {
        let runtime = format!("runtime_api: {{sockets: [{}]}}", self.containerd.socket().display());
        let manifests = paths("static_pod_manifest", &[self.watched()]);
        policy(&format!("{runtime}, {manifests}"), rules)
    }

    /// Runs a program in a container.
    fn run(&self, namespace: &str, id: &str, more: &[String], program: &[&str]) -> Result<()> {
        let mount = format!("type=bind,src={},dst=/watched,options=rbind:rw", self.watched().display());
        let rootfs = self.dir.path().join("rootfs");
        let rootfs = rootfs.to_string_lossy();
        let mut args = vec!["-n", namespace, "run", "--rootfs", "--mount", &mount];
        args.extend(more.iter().map(String::as_str));
        args.extend([&*rootfs, id]);
        args.extend(program);
        self.containerd.ctr(&args)
    }

    /// Runs a line of shell in a pod's container, to its end.
    pub(super) fn run_in(&self, pod: &Pod, line: &str) -> Result<()> {
        self.run_in_with(pod, &[], line)
    }

    fn run_in_with(&self, pod: &Pod, more: &[String], line: &str) -> Result<()> {
        let more = [&["--rm".to_owned()], more].concat();
        self.run_program(pod, &more, &["/bin/sh", "-ec", line])
    }

    pub(super) fn run_program(&self, pod: &Pod, more: &[String], program: &[&str]) -> Result<()> {
        let more = [&["--cgroup".to_owned(), pod.cgroup()], &pod.annotations()[..], more].concat();
        self.run("k8s.io", pod.id, &more, program)
    }

    /// While a container runs that has begun with a line of shell.
    pub(super) fn meanwhile(&self, pod: &Pod, line: &str, act: impl FnOnce() -> Result<()>) -> Result<()> {
        self.meanwhile_with(pod, &[], line, act)
    }

    /// The same with more arguments of ctr.
    pub(super) fn meanwhile_with(
        &self,
        pod: &Pod,
        more: &[String],
        line: &str,
        act: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        let running = self.watched().join("running");
        let line = format!(
            "{line}; busybox touch /watched/running; while busybox test -e /watched/running; do busybox sleep 0.1; done"
        );
        std::thread::scope(|scope| {
            let container = scope.spawn(|| self.run_in_with(pod, more, &line));
            wait_until("the container runs", || running.exists() || container.is_finished())?;
            let acted = if running.exists() { act() } else { Ok(()) };
            // It ends by that, and it may have ended before.
            let _gone = fs::remove_file(&running);
            container.join().ok().context("the container's thread")??;
            acted
        })
    }
}

/// A rule about the runtime's client.
pub(super) fn ctr() -> Result<String> {
    Ok(format!("{{id: ctr, targets: runtime_api, process: {{exe: {}}}}}", which("ctr")?.display()))
}

pub(super) const READ: &str = "busybox cat /watched/x.yaml >/dev/null";

pub(super) fn process_of(pod: &Pod) -> Value {
    json!({
        "exe": "/bin/busybox",
        "container": {
            "id": pod.id,
            "runtime": "containerd",
            "name": pod.container,
            "image": pod.image,
            "sandbox_id": "sandbox-1",
        },
        "pod": {
            "namespace": pod.namespace,
            "name": pod.name,
            "uid": pod.uid,
            "static": !pod.uid.contains('-'),
            "source": "bundle",
        },
    })
}

fn nothing_missing(event: &Value) -> Result<()> {
    // The container may be gone before its executable was opened; then nothing on the node has its path.
    let gone = |error: &Value| {
        error.as_str().is_some_and(|error| error.starts_with("exe_sha256: the process ended"))
    };
    let errors = at(event, "/enrichment_errors");
    let others = errors.as_array().is_some_and(|errors| !errors.iter().all(gone));
    ensure!(!others, "{errors}");
    Ok(())
}

fn of_no_pod() -> Result<()> {
    let scene = Scene::new()?;
    let mut daemon = scene.start("")?;
    scene.run("default", "lonely", &["--rm".to_owned()], &["/bin/sh", "-ec", READ])?;
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

fn a_rule_is_about_its_container() -> Result<()> {
    let scene = Scene::new()?;
    for (container, allowed, other) in [
        ("name: etcd".to_owned(), &ETCD, &BESIDE),
        (format!("image: '*/etcd@{}'", DIGEST.split_once('@').context("no digest")?.1), &PINNED, &ETCD),
    ] {
        let rule = format!(
            "{{id: etcd, targets: static_pod_manifest, container: {{namespace: kube-system, {container}}}}}"
        );
        let mut daemon = scene.start(&rule)?;
        scene.run_in(allowed, READ)?;
        let mismatch = json!({"verdict": {"reason": "container_mismatch"}, "process": process_of(other)});
        daemon.silent_until(|| scene.run_in(other, READ), &mismatch).context(container)?;
        daemon.finish()?;
    }
    Ok(())
}

/// As a container that brings its own /usr/bin/kubelet.
fn own_executable_at_an_allowed_path() -> Result<()> {
    let scene = Scene::new()?;
    // A container has a /run of its own.
    let dir = tempfile::tempdir()?;
    let kubelet = copy_to(&dir.path().join("kubelet"))?;
    let own = scene.dir.path().join("rootfs").join(kubelet.strip_prefix("/")?);
    fs::create_dir_all(own.parent().context("it is in a directory")?)?;
    copy_to(&own)?;
    let rule =
        format!("{{id: kubelet, targets: static_pod_manifest, process: {{exe: {}}}}}", kubelet.display());
    let mut daemon = scene.start(&rule)?;
    must(&kubelet, ["open", &scene.manifest.to_string_lossy(), "r"])?;
    let act = || scene.run_in(&IMPOSTOR, &format!("{} open /watched/x.yaml r", kubelet.display()));
    let mut process = process_of(&IMPOSTOR);
    process["exe"] = json!(kubelet);
    daemon.silent_until(act, &json!({"verdict": {"reason": "exe_not_node_file"}, "process": process}))?;
    daemon.finish().map(drop)
}

fn static_pod_that_claims_to_be_another() -> Result<()> {
    let scene = Scene::new()?;
    let mut daemon = scene.start(RULE)?;
    scene.run_in(&ETCD, READ)?;
    let claimant = json!({"verdict": {"reason": "container_mismatch"}, "process": process_of(&CLAIMANT)});
    daemon.silent_until(|| scene.run_in(&CLAIMANT, READ), &claimant)?;
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
