//! What was held before the daemon began to watch.

use std::fs;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Skip, own_exe, trials};
use crate::actor::{Holder, copy_to, program};
use crate::daemon::{Daemon, command, manifests, policy, socket};
use crate::event::{at, expect};
use crate::node::free_port;

pub fn all() -> Vec<Trial> {
    trials(
        "snapshot",
        &[
            ("nothing_held", nothing_held),
            ("open_for_writing", open_for_writing),
            ("directory", directory),
            ("path_only_is_silent", path_only_is_silent),
            ("hard_link", through_hard_link),
            ("mount_namespace", in_a_mount_namespace),
            ("removed", removed),
            ("descriptors_of_a_thread", descriptors_of_a_thread),
            ("first_thread_ended", first_thread_ended),
            ("unix", unix),
            ("unix_not_accepted", unix_not_accepted),
            ("unix_bind_mount", unix_through_bind_mount),
            ("unix_network_namespace", unix_from_a_network_namespace),
            ("tcp", tcp),
            ("tcp_taken_along", tcp_taken_along),
            ("tcp_of_a_pod", tcp_of_a_pod),
            ("tcp_from_elsewhere", tcp_from_elsewhere),
            ("allowed", allowed),
            ("hostile_names", hostile_names),
            ("exit_code", exit_code),
            ("alone", alone),
        ],
    )
}

/// A directory with one manifest, and a policy that watches it.
struct Scene {
    dir: TempDir,
    manifests: PathBuf,
    manifest: PathBuf,
}

impl Scene {
    fn new() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let manifests = dir.path().join("manifests");
        fs::create_dir(&manifests)?;
        let manifest = manifests.join("etcd.yaml");
        fs::write(&manifest, "kind: Pod\n")?;
        Ok(Self { dir, manifests, manifest })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn held(&self) -> Result<Vec<Value>> {
        held(&manifests(&self.manifests, ""))
    }
}

/// What a daemon finds when it gets a policy, and nothing but that.
fn held(policy: &str) -> Result<Vec<Value>> {
    held_by(Daemon::start(policy)?)
}

fn held_with(policy: &str, args: &[&str]) -> Result<Vec<Value>> {
    held_by(Daemon::start_with(Some(policy), args)?)
}

fn held_by(mut daemon: Daemon) -> Result<Vec<Value>> {
    let is_taken = |event: &Value| at(event, "/lifecycle/state") == "snapshot_taken";
    daemon.wait_for("the snapshot", is_taken)?;
    let events = daemon.finish()?;
    let held: Vec<_> = events.iter().filter(|event| event["kind"] == "snapshot").cloned().collect();
    let before = events.iter().take_while(|event| !is_taken(event));
    let of_itself = |event: &Value| event["kind"] == "lifecycle" || event["kind"] == "health";
    let before: Vec<_> = before.filter(|event| !of_itself(event)).cloned().collect();
    ensure!(before == held, "something came between: {events:#?}");
    let taken = events.iter().find(|event| is_taken(event)).context("no snapshot")?;
    let told = |what: &str| at(taken, &format!("/lifecycle/{what}")).as_u64();
    ensure!(at(taken, "/lifecycle/coverage_gaps") == &json!([]), "{taken:#}");
    ensure!(told("processes") > Some(0) && told("left_out") == Some(0), "{taken:#}");
    let violations = held.iter().filter(|event| at(event, "/verdict/result") == "violation").count();
    ensure!(told("violations") == u64::try_from(violations).ok(), "{taken:#}");
    Ok(held)
}

/// The only one that is held.
fn only(held: Vec<Value>) -> Result<Value> {
    let [event] = <[Value; 1]>::try_from(held).map_err(|held| anyhow::anyhow!("not one: {held:#?}"))?;
    Ok(event)
}

fn nothing_held() -> Result<()> {
    let (scene, socket, port) = (Scene::new()?, tempfile::tempdir()?, free_port()?);
    let path = socket.path().join("runtime.sock");
    let _listener = UnixListener::bind(&path)?;
    let _server = TcpListener::bind(("127.0.0.1", port))?;
    // Of the same file system, and beside the watched one.
    let other = scene.path("other");
    fs::write(&other, "")?;
    let _other = Holder::of(["open", &other.to_string_lossy(), "w"])?;
    let targets = format!(
        "static_pod_manifest: {{paths: [{}]}}, runtime_api: {{sockets: [{}]}}, datastore_api: {{ports: [{port}]}}",
        scene.manifests.display(),
        path.display()
    );
    let held = held(&policy(&targets, ""))?;
    ensure!(held.is_empty(), "{held:#?}");
    Ok(())
}

fn open_for_writing() -> Result<()> {
    let scene = Scene::new()?;
    let path = scene.manifest.to_string_lossy();
    let holder = Holder::of(["open", &path, "rw"])?;
    let event = only(scene.held()?)?;
    expect(
        &event,
        &json!({
            "kind": "snapshot",
            "action": "write",
            "severity": "high",
            "rule": {"id": "static_pod_manifest.write"},
            "verdict": {"result": "violation", "reason": "no_rule_for_target"},
            "outcome": {"status": "success"},
            "target": {
                "class": "static_pod_manifest",
                "type": "file",
                "path": scene.manifest,
                "access": ["read", "write"],
            },
            "process": {
                "pid": holder.pid(),
                "tid": holder.pid(),
                "comm": "actor",
                "exe": program()?,
                "args": [program()?, "hold", "open", path, "rw"],
                "args_truncated": false,
                "cwd": std::env::current_dir()?,
                "uid": 0,
                "euid": 0,
                "host_ns": {"mnt": true, "pid": true, "net": true},
                "parent": {"pid": std::process::id(), "exe": own_exe()?},
            },
        }),
    )?;
    ensure!(at(&event, "/target/path_seen").is_null(), "path_seen repeats the path: {event:#}");
    ensure!(at(&event, "/enrichment_errors").is_null(), "{event:#}");
    live_as_well(&scene, &event)
}

/// An access is described as what is held is: by the same numbers, as far as they are the same.
fn live_as_well(scene: &Scene, held: &Value) -> Result<()> {
    let mut daemon = Daemon::start(&manifests(&scene.manifests, ""))?;
    crate::actor::act(["open", &scene.manifest.to_string_lossy(), "rw"])?;
    let alert = daemon.alert()?;
    for place in [
        "/target",
        "/process/exe_dev",
        "/process/exe_ino",
        "/process/ns",
        "/process/caps_eff",
        "/process/cgroup",
        "/process/parent/exe_ino",
    ] {
        ensure!(at(&alert, place) == at(held, place), "{place} of {alert:#} and {held:#}");
    }
    daemon.finish().map(drop)
}

fn directory() -> Result<()> {
    let scene = Scene::new()?;
    let inner = scene.manifests.join("inner");
    fs::create_dir(&inner)?;
    for dir in [&scene.manifests, &inner] {
        let _holder = Holder::of(["open", &dir.to_string_lossy(), "r"])?;
        expect(
            &only(scene.held()?)?,
            &json!({"action": "open", "severity": "low", "target": {"path": dir, "access": ["read"]}}),
        )?;
    }
    Ok(())
}

/// As for an access: it opens nothing.
fn path_only_is_silent() -> Result<()> {
    let scene = Scene::new()?;
    let _holder = Holder::of(["open", &scene.manifest.to_string_lossy(), "path"])?;
    let held = scene.held()?;
    ensure!(held.is_empty(), "{held:#?}");
    Ok(())
}

fn through_hard_link() -> Result<()> {
    let scene = Scene::new()?;
    let link = scene.path("innocent");
    fs::hard_link(&scene.manifest, &link)?;
    let _holder = Holder::of(["open", &link.to_string_lossy(), "w"])?;
    expect(
        &only(scene.held()?)?,
        &json!({"action": "write", "target": {"path": scene.manifest, "path_seen": link}}),
    )
}

fn in_a_mount_namespace() -> Result<()> {
    let scene = Scene::new()?;
    let point = scene.path("elsewhere");
    fs::create_dir(&point)?;
    let _holder = Holder::bound(&scene.manifests, &point, &format!("open {}/etcd.yaml r", point.display()))?;
    expect(
        &only(scene.held()?)?,
        &json!({
            "action": "open",
            "severity": "medium",
            "target": {"path": scene.manifest, "path_seen": point.join("etcd.yaml"), "access": ["read"]},
            "process": {"exe": program()?, "host_ns": {"mnt": false, "net": true}},
        }),
    )
}

/// No object is left on the node to know it by, and it was reached by another path.
fn removed() -> Result<()> {
    let scene = Scene::new()?;
    let point = scene.path("elsewhere");
    fs::create_dir(&point)?;
    let _holder = Holder::bound(&scene.manifests, &point, &format!("open {}/etcd.yaml w", point.display()))?;
    fs::remove_file(&scene.manifest)?;
    expect(
        &only(scene.held()?)?,
        &json!({
            "action": "write",
            "target": {"path": scene.manifest, "path_seen": point.join("etcd.yaml")},
        }),
    )
}

fn descriptors_of_a_thread() -> Result<()> {
    let scene = Scene::new()?;
    let holder = Holder::of(["apart", "open", &scene.manifest.to_string_lossy(), "r"])?;
    let event = only(scene.held()?)?;
    expect(&event, &json!({"target": {"path": scene.manifest}, "process": {"pid": holder.pid()}}))?;
    ensure!(at(&event, "/process/tid") != holder.pid(), "{event:#}");
    Ok(())
}

fn first_thread_ended() -> Result<()> {
    let scene = Scene::new()?;
    let path = scene.manifest.to_string_lossy();
    let holder = Holder::of(["orphan", "open", &path, "r"])?;
    expect(
        &only(scene.held()?)?,
        &json!({
            "target": {"path": scene.manifest},
            "process": {
                "pid": holder.pid(),
                "exe": program()?,
                "args": [program()?, "hold", "orphan", "open", path, "r"],
            },
        }),
    )
}

/// A socket in a directory of its own.
struct Runtime {
    dir: TempDir,
    path: PathBuf,
    listener: UnixListener,
}

impl Runtime {
    fn new() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("runtime.sock");
        let listener = UnixListener::bind(&path)?;
        Ok(Self { dir, path, listener })
    }

    fn held(&self) -> Result<Vec<Value>> {
        held(&socket(&self.path, ""))
    }
}

fn unix() -> Result<()> {
    let runtime = Runtime::new()?;
    let path = runtime.path.to_string_lossy();
    let holder = Holder::of(["unix", &path])?;
    let _accepted = runtime.listener.accept()?;
    expect(
        &only(runtime.held()?)?,
        &json!({
            "kind": "snapshot",
            "action": "connect",
            "severity": "medium",
            "rule": {"id": "runtime_api.connect"},
            "target": {
                "class": "runtime_api",
                "type": "unix_socket",
                "path": path,
                "peer_pid": std::process::id(),
            },
            "process": {"pid": holder.pid(), "exe": program()?, "args": [program()?, "hold", "unix", path]},
        }),
    )
}

fn unix_not_accepted() -> Result<()> {
    let runtime = Runtime::new()?;
    let holder = Holder::of(["unix", &runtime.path.to_string_lossy()])?;
    expect(
        &only(runtime.held()?)?,
        &json!({"target": {"path": runtime.path}, "process": {"pid": holder.pid()}}),
    )
}

fn unix_through_bind_mount() -> Result<()> {
    let runtime = Runtime::new()?;
    let point = runtime.dir.path().join("inside.sock");
    fs::write(&point, "")?;
    let _holder = Holder::bound(&runtime.path, &point, &format!("unix {}", point.display()))?;
    let _accepted = runtime.listener.accept()?;
    expect(
        &only(runtime.held()?)?,
        &json!({"severity": "high", "target": {"path": runtime.path}, "process": {"host_ns": {"mnt": false}}}),
    )
}

/// The kernel lists it in the namespace it was connected in.
fn unix_from_a_network_namespace() -> Result<()> {
    let runtime = Runtime::new()?;
    let _holder = Holder::in_namespace("-n", &format!("unix {}", runtime.path.display()))?;
    let _accepted = runtime.listener.accept()?;
    expect(
        &only(runtime.held()?)?,
        &json!({
            "target": {"path": runtime.path, "peer_pid": std::process::id()},
            "process": {"host_ns": {"mnt": true, "net": false}},
        }),
    )
}

fn datastore(port: u16) -> String {
    policy(&format!("datastore_api: {{ports: [{port}]}}"), "")
}

fn tcp() -> Result<()> {
    for ip in ["127.0.0.1", "[::1]"] {
        let listener = TcpListener::bind(format!("{ip}:0"))?;
        let address = listener.local_addr()?;
        let holder = Holder::of(["tcp", &address.to_string(), "3"])?;
        let _accepted = listener.accept()?;
        let event = only(held(&datastore(address.port()))?)?;
        expect(
            &event,
            &json!({
                "action": "connect",
                "severity": "high",
                "rule": {"id": "datastore_api.connect"},
                "count": 3,
                "target": {
                    "class": "datastore_api",
                    "type": "inet_socket",
                    "src_ip": address.ip(),
                    "dst_ip": address.ip(),
                    "dst_port": address.port(),
                    "direction": "outbound",
                    "local": true,
                },
                "process": {"pid": holder.pid(), "exe": program()?},
            }),
        )?;
        ensure!(at(&event, "/target/src_port").as_u64() > Some(0), "{event:#}");
    }
    Ok(())
}

/// The process is in another namespace than its socket.
fn tcp_taken_along() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let _holder = Holder::of(["leave", "tcp", &address.to_string(), "1"])?;
    let kubelet = policy(&format!("kubelet_api: {{ports: [{}], destinations: node}}", address.port()), "");
    let wanted = json!({"target": {"dst_port": address.port()}, "process": {"host_ns": {"net": false}}});
    expect(&only(held(&kubelet)?)?, &wanted)
}

/// What has the port on a pod's loopback is not the node's, unless any is meant.
fn tcp_of_a_pod() -> Result<()> {
    let port = free_port()?;
    let holder = Holder::in_namespace("-n", &format!("tcp-own 127.0.0.1:{port}"))?;
    let kubelet = |destinations: &str| {
        policy(&format!("kubelet_api: {{ports: [{port}], destinations: {destinations}}}"), "")
    };
    let on_node = held(&kubelet("node"))?;
    ensure!(on_node.is_empty(), "{on_node:#?}");
    expect(
        &only(held(&kubelet("any"))?)?,
        &json!({"action": "connect", "process": {"pid": holder.pid(), "host_ns": {"net": false}}}),
    )
}

fn tcp_from_elsewhere() -> Result<()> {
    let port = free_port()?;
    let holder = match Holder::in_namespace("-n", &format!("elsewhere {port}")) {
        Err(error) if format!("{error:#}").contains("unsupported") => {
            return Err(Skip("the kernel has no tunnels").into());
        }
        holder => holder?,
    };
    let rule = "{id: peers, targets: datastore_api, access: accept, source: 192.0.2.0/24}";
    let event = only(held(&policy(&format!("datastore_api: {{ports: [{port}]}}"), rule))?)?;
    expect(
        &event,
        &json!({
            "kind": "snapshot",
            "action": "accept",
            "verdict": {"reason": "source_mismatch"},
            "target": {
                "direction": "inbound",
                "src_ip": "10.99.0.2",
                "src_port": 40_000,
                "dst_ip": "10.99.0.1",
                "dst_port": port,
            },
        }),
    )?;
    ensure!(at(&event, "/process").is_null(), "nobody here did it: {event:#}");
    // Without a rule that says who is expected, nobody can be unexpected.
    let unasked = held(&datastore(port))?;
    drop(holder);
    ensure!(unasked.is_empty(), "{unasked:#?}");
    Ok(())
}

fn allowed() -> Result<()> {
    let scene = Scene::new()?;
    let kubelet = copy_to(&scene.path("kubelet"))?;
    let path = scene.manifest.to_string_lossy();
    let _holder = Holder::start(&kubelet, ["open", &path, "r"])?;
    let rule = |access: &str| {
        let exe = kubelet.display();
        format!("{{id: kubelet, targets: static_pod_manifest, access: {access}, process: {{exe: {exe}}}}}")
    };
    let expected = manifests(&scene.manifests, &rule("read"));
    let silent = held(&expected)?;
    ensure!(silent.is_empty(), "{silent:#?}");
    expect(
        &only(held_with(&expected, &["--show-allowed"])?)?,
        &json!({
            "kind": "snapshot",
            "severity": "info",
            "verdict": {"result": "allowed", "matched": "kubelet"},
            "process": {"exe": kubelet},
        }),
    )?;
    expect(
        &only(held(&manifests(&scene.manifests, &rule("write")))?)?,
        &json!({"verdict": {"result": "violation", "reason": "access_not_allowed"}}),
    )
}

/// What a process calls itself is no part of anything else.
fn hostile_names() -> Result<()> {
    let scene = Scene::new()?;
    let exe = copy_to(&scene.path("x) S 1 1 (\u{1b}[31m\nUid:\t9"))?;
    let path = scene.manifest.to_string_lossy();
    let words = ["open", &path, "r", "\u{7}", "two words\n0::/init.scope", ""];
    let holder = Holder::start(&exe, words)?;
    let event = only(scene.held()?)?;
    expect(
        &event,
        &json!({
            "process": {
                "pid": holder.pid(),
                "comm": "x) S 1 1 (\u{1b}[31m",
                "exe": exe,
                "args": [exe, "hold", words[0], words[1], words[2], words[3], words[4], words[5]],
                "uid": 0,
                "parent": {"pid": std::process::id()},
            },
        }),
    )?;
    let message = at(&event, "/message").as_str().context("no message")?;
    ensure!(!message.contains(char::is_control), "{message:?}");
    Ok(())
}

fn exit_code() -> Result<()> {
    let scene = Scene::new()?;
    let run = |path: &Path| -> Result<Option<i32>> {
        let policy = scene.path("policy.yaml");
        fs::write(&policy, manifests(path, ""))?;
        let policy = policy.to_string_lossy();
        Ok(command(&["run", "--config", &policy, "--duration", "1s", "--exit-code"])?.status.code())
    };
    let _holder = Holder::of(["open", &scene.manifest.to_string_lossy(), "r"])?;
    let (held, free) = (run(&scene.manifests)?, run(&scene.path("nothing"))?);
    ensure!((held, free) == (Some(1), Some(0)), "{held:?} and {free:?}");
    Ok(())
}

/// A command that looks and ends: 1 when somebody holds a door who is not expected to.
fn alone() -> Result<()> {
    let scene = Scene::new()?;
    let policy = scene.path("policy.yaml");
    fs::write(&policy, manifests(&scene.manifests, ""))?;
    let look = || command(&["snapshot", "--config", &policy.to_string_lossy()]);
    let nobody = look()?;
    ensure!(nobody.status.code() == Some(0), "{}", String::from_utf8_lossy(&nobody.stderr));
    let holder = Holder::of(["open", &scene.manifest.to_string_lossy(), "r"])?;
    let output = look()?;
    ensure!(output.status.code() == Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    let events: Vec<Value> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let found: Vec<_> = events.iter().filter(|event| event["kind"] == "snapshot").collect();
    ensure!(found.len() == 1, "{text}");
    let wanted =
        json!({"target": {"path": scene.manifest}, "process": {"pid": holder.pid(), "exe": program()?}});
    expect(found[0], &wanted)?;
    ensure!(events.iter().any(|event| at(event, "/lifecycle/state") == "snapshot_taken"), "{text}");
    Ok(())
}
