//! The container image, in real containerd, as the DaemonSet runs it.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::containers::{ETCD, READ, Scene, ctr, process_of};
use super::{Skip, trials};
use crate::actor::{Holder, act, program, shell};
use crate::daemon::Daemon;
use crate::daemonset::{Container, DaemonSet, mask};
use crate::event::{at, expect};
use crate::node::{Containerd, is_guest, wait_until};

pub fn all() -> Vec<Trial> {
    trials(
        "image",
        &[
            ("sees_the_node_and_its_containers", || sees_the_node_and_its_containers(&Way::default())),
            ("its_own_seccomp_profile_does", its_own_seccomp_profile_does),
            ("says_what_it_lacks", says_what_it_lacks),
        ],
    )
}

/// What `ctr` gives a container unless told otherwise.
const USUAL: [&str; 14] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "FSETID",
    "FOWNER",
    "MKNOD",
    "NET_RAW",
    "SETGID",
    "SETUID",
    "SETFCAP",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "SYS_CHROOT",
    "KILL",
    "AUDIT_WRITE",
];

const SECCOMP: &str = include_str!("../../../deploy/seccomp/bypassd.json");

const ID: &str = "bypassd-1";
const NODE: &str = "node-of-the-test";
const CGROUP: &str = "/kubepods/burstable/pod5d0c2f3e-9d4b-4c57-8a53-0c1f0d9f7b11/bypassd-1";

/// What is not as the DaemonSet says.
#[derive(Default)]
struct Way {
    backend: Option<&'static str>,
    /// Instead of the runtime's own.
    seccomp: Option<Value>,
}

impl Way {
    /// The DaemonSet's capabilities. Backends but `fentry` want one more, and so does fanotify where this is no guest: there, the kernel may
    /// leave nothing but the `syscall` backend.
    fn capabilities<'a>(&self, container: &'a Container) -> Result<Vec<&'a str>> {
        let held = held(Path::new("/proc/self/status"), "CapBnd")?;
        let wanted = container.security_context.capabilities.add.iter().map(String::as_str);
        let more = !is_guest() || self.backend.is_some_and(|backend| backend != "fentry");
        let mut all = Vec::new();
        for name in wanted.chain(more.then_some("SYS_ADMIN")) {
            // What the machine itself has not cannot be given, as on one that is a container.
            if held & mask([name])? != 0 {
                all.push(name);
            }
        }
        Ok(all)
    }
}

/// The DaemonSet's container, as a kubelet would have it run.
struct Pod<'a> {
    containerd: &'a Containerd,
    /// In a network namespace with loopback up, as every pod has.
    network: Holder,
    rootfs: TempDir,
}

impl<'a> Pod<'a> {
    fn new(containerd: &'a Containerd) -> Result<Self> {
        let archive =
            std::env::var("BYPASSD_IMAGE").context("BYPASSD_IMAGE names no image; run `cargo xtask e2e`")?;
        containerd.ctr(&["--namespace", "k8s.io", "image", "import", &archive])?;
        let network = Holder::in_namespace("-n", "open /dev/null r")?;
        Ok(Self { containerd, network, rootfs: tempfile::tempdir_in("/run")? })
    }

    /// The command that runs it, with a policy in a directory and other files in another.
    fn run(&self, way: &Way, daemon_set: &DaemonSet, policy: &Path, files: &Path) -> Result<Command> {
        let image = &daemon_set.container()?.image;
        let mut create = self.containerd.ctr_command()?;
        create
            .args(["container", "create"])
            .args(self.options(way, daemon_set, policy, files)?)
            .args([image, "template"]);
        output(&mut create)?;
        let mut info = self.containerd.ctr_command()?;
        let mut spec: Value =
            serde_json::from_slice(&output(info.args(["container", "info", "--spec", "template"]))?)?;
        ensure!(spec["process"]["args"] == json!(["/bypassd", "run"]), "{spec:#}");
        let arguments = daemon_set.container()?.args.iter().map(String::as_str);
        let backend = way.backend.iter().flat_map(|backend| ["--backend", backend]);
        spec["process"]["args"] = ["/bypassd"].into_iter().chain(arguments).chain(backend).collect();
        // `ctr` cannot leave the namespace of process ids out, as a kubelet does, only join another, which runc does not do with that of
        // process 1.
        let namespaces = spec["linux"]["namespaces"].as_array_mut().context("no namespaces")?;
        namespaces.retain(|namespace| namespace["type"] != "pid");
        spec["linux"]["cgroupsPath"] = json!(CGROUP);
        spec["root"]["path"] = json!(self.rootfs.path());
        let file = files.join("spec.json");
        fs::write(&file, spec.to_string())?;
        let mount = ["image", "mount", "--rw", image];
        output(self.containerd.ctr_command()?.args(mount).arg(self.rootfs.path()))?;
        let mut run = self.containerd.ctr_command()?;
        run.args(["run", "--rm", "--pid-file"]).arg(files.join("pid")).arg("--config").arg(file).arg(ID);
        Ok(run)
    }

    /// What `ctr` takes for what the DaemonSet says.
    fn options(&self, way: &Way, daemon_set: &DaemonSet, policy: &Path, files: &Path) -> Result<Vec<String>> {
        let (pod, container) = (&daemon_set.spec.template.spec, daemon_set.container()?);
        let security = &container.security_context;
        ensure!(pod.host_pid && !pod.host_network && security.capabilities.drop == ["ALL"], "another pod");
        let mut options = vec!["--seccomp".to_owned()];
        if let Some(profile) = &way.seccomp {
            let file = files.join("seccomp.json");
            fs::write(&file, profile.to_string())?;
            options.push(format!("--seccomp-profile={}", file.display()));
        }
        options.push(format!("--with-ns=network:/proc/{}/ns/net", self.network.pid()));
        options.extend(security.read_only_root_filesystem.then(|| "--read-only".to_owned()));
        options.extend(security.allow_privilege_escalation.then(|| "--allow-new-privs".to_owned()));
        options.extend(USUAL.map(|name| format!("--cap-drop=CAP_{name}")));
        options.extend(way.capabilities(container)?.iter().map(|name| format!("--cap-add=CAP_{name}")));
        for mount in &container.volume_mounts {
            let volume = pod.volumes.iter().find(|volume| volume.name == mount.name);
            let volume = volume.with_context(|| format!("no volume {}", mount.name))?;
            let (path, access) = (&mount.mount_path, if mount.read_only { "ro" } else { "rw" });
            options.push(if volume.config_map.is_some() {
                format!("--mount=type=bind,src={},dst={path},options=rbind:{access}", policy.display())
            } else {
                format!("--mount=type=tmpfs,src=tmpfs,dst={path},options=mode=0777:size=1m:{access}")
            });
        }
        options.extend(container.env.iter().map(|variable| format!("--env={}={NODE}", variable.name)));
        Ok(options)
    }
}

impl Pod<'_> {
    /// To a kubelet, which asks at the pod's address.
    fn answers(&self, path: &str) -> Result<()> {
        let namespace = format!("--net=/proc/{}/ns/net", self.network.pid());
        shell(&format!("nsenter {namespace} busybox wget -q -O /dev/null http://127.0.0.1:9820/{path}"))
    }
}

/// Runs a command, which has to succeed, and gives its stdout.
fn output(command: &mut Command) -> Result<Vec<u8>> {
    let output = command.output()?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(output.stdout)
}

impl Drop for Pod<'_> {
    fn drop(&mut self) {
        // All of it may be gone.
        let kill = ["--namespace", "k8s.io", "task", "rm", "--force", ID];
        let _gone = self.containerd.ctr(&kill);
        let _gone = shell(&format!("umount {}", self.rootfs.path().display()));
    }
}

/// A set of capabilities in a process's status.
fn held(status: &Path, set: &str) -> Result<u64> {
    let line = field(status, set)?;
    Ok(u64::from_str_radix(&line, 16)?)
}

fn field(status: &Path, name: &str) -> Result<String> {
    let text = fs::read_to_string(status).with_context(|| status.display().to_string())?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    Ok(value.with_context(|| format!("no {name} in {}", status.display()))?.trim().to_owned())
}

fn sees_the_node_and_its_containers(way: &Way) -> Result<()> {
    if fs::read_link("/proc/1/root").is_err() {
        bail!(Skip("process 1 of this machine lets not even root look at it"));
    }
    let scene = Scene::new()?;
    let daemon_set = DaemonSet::shipped()?;
    let pod = Pod::new(scene.containerd())?;
    let (policies, files) = (scene.path("policies"), tempfile::tempdir()?);
    fs::create_dir(&policies)?;
    let etcd = TcpListener::bind(("127.0.0.1", 0))?;
    let port = etcd.local_addr()?.port();
    let watched = format!("datastore_api: {{ports: [{port}]}}");
    // What the scene watches, and a port.
    let text = scene.policy(&ctr()?).replacen("targets: {", &format!("targets: {{{watched}, "), 1);
    fs::write(policies.join("policy.yaml"), text)?;
    let run = pod.run(way, &daemon_set, &policies, files.path())?;
    let pid_file = files.path().join("pid");
    let mut daemon = Daemon::start_by(run, files)?;
    let pid = fs::read_to_string(&pid_file)?;
    confined(&PathBuf::from("/proc").join(pid.trim()), way, daemon_set.container()?)?;
    let started = daemon.started().clone();
    ensure!(started["node"]["name"] == NODE, "{started:#}");
    let gaps = at(&started, "/lifecycle/coverage_gaps").to_string();
    ensure!(!gaps.contains("not proven"), "{gaps}");
    daemon.wait_for("the look at what is held", |event| event["lifecycle"]["state"] == "snapshot_taken")?;
    for probe in ["livez", "readyz"] {
        wait_until(probe, || pod.answers(probe).is_ok())?;
    }

    let host =
        json!({"exe": program()?, "container": null, "host_ns": {"mnt": true, "pid": true, "net": true}});
    act(["open", &scene.manifest.to_string_lossy(), "r"])?;
    expect(&daemon.alert()?, &json!({"target": {"path": scene.manifest}, "process": host}))?;
    act(["unix", &scene.socket().to_string_lossy()])?;
    expect(&daemon.alert()?, &json!({"target": {"path": scene.socket()}, "process": host}))?;
    act(["tcp", "127.0.0.1", &port.to_string()])?;
    expect(&daemon.alert()?, &json!({"target": {"dst_port": port}, "process": host}))?;
    scene.run_in(&ETCD, READ)?;
    let alert = daemon.alert()?;
    expect(&alert, &json!({"target": {"path": scene.manifest}, "process": process_of(&ETCD)}))?;
    expect(&alert, &json!({"process": {"host_ns": {"mnt": false, "pid": false, "net": false}}}))?;
    daemon.finish().map(drop)
}

/// It has what the DaemonSet gives it and nothing more, in namespaces of its own but for process ids.
fn confined(process: &Path, way: &Way, container: &Container) -> Result<()> {
    let status = process.join("status");
    let (wanted, held) = (mask(way.capabilities(container)?)?, held(&status, "CapEff")?);
    // What only loading took was given up since.
    ensure!(held & !wanted == 0 && held != 0, "capabilities {held:x}, not of {wanted:x}");
    ensure!(field(&status, "NoNewPrivs")? == "1" && field(&status, "Seccomp")? == "2");
    for (name, shared) in [("pid", true), ("mnt", false), ("net", false), ("ipc", false), ("uts", false)] {
        let link = |process: &Path| fs::read_link(process.join("ns").join(name));
        let is_shared = link(process)? == link(Path::new("/proc/self"))?;
        ensure!(is_shared == shared, "namespace {name}");
    }
    let cgroup = fs::read_to_string(process.join("cgroup"))?;
    ensure!(cgroup.contains(CGROUP), "{cgroup}");
    Ok(())
}

/// It takes no system call that the profile does not name. One that it should not miss would be refused without a word, so here it ends the
/// daemon; but with the `syscall` backend, which asks for mounts by calls that runtimes may not know the names of, and does without.
fn its_own_seccomp_profile_does() -> Result<()> {
    let profile: Value = serde_json::from_str(SECCOMP)?;
    let mut deadly = profile.clone();
    deadly["defaultAction"] = json!("SCMP_ACT_KILL_PROCESS");
    for (backend, profile) in [("fentry", &deadly), ("kprobe", &deadly), ("syscall", &profile)] {
        let way = Way { backend: Some(backend), seccomp: Some(profile.clone()) };
        sees_the_node_and_its_containers(&way).with_context(|| backend.to_owned())?;
    }
    Ok(())
}

/// Started by its own entrypoint, with no privileges.
fn says_what_it_lacks() -> Result<()> {
    let containerd = Containerd::start()?;
    let pod = Pod::new(&containerd)?;
    let daemon_set = DaemonSet::shipped()?;
    let image = &daemon_set.container()?.image;
    let output = pod.containerd.ctr_command()?.args(["run", "--rm", image, ID]).output()?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(3) && output.stdout.is_empty(), "{output:?}");
    match stderr.lines().find_map(|line| line.strip_prefix("bypassd: ")) {
        Some(_) => Ok(()),
        None => bail!("no word of its own: {stderr}"),
    }
}
