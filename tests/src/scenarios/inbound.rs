//! Connections to this node's ports from elsewhere.

use std::net::TcpListener;

use anyhow::{Result, bail, ensure};
use libtest_mimic::Trial;
use serde_json::json;

use super::{Skip, trials};
use crate::actor::{act, program, shell, shell_output};
use crate::daemon::{Daemon, policy};
use crate::event::{at, expect};
use crate::node::{free_port, is_guest};

pub fn all() -> Vec<Trial> {
    trials(
        "inbound",
        &[
            ("from_elsewhere", from_elsewhere),
            ("expected_source", expected_source),
            ("from_here_is_reported_once", from_here_is_reported_once),
            ("from_a_pod_is_reported_once", from_a_pod_is_reported_once),
            ("not_asked_for", not_asked_for),
            ("of_the_kubelet", of_the_kubelet),
        ],
    )
}

/// A machine of its own connects to a port here, in a network namespace made for it.
fn connect(port: u16) -> Result<()> {
    let output = shell_output(&format!("exec unshare -n {} elsewhere {port}", program()?.display()))?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    if stderr.contains("unsupported") {
        bail!(Skip("the kernel has no tunnels"));
    }
    ensure!(output.status.success(), "{stderr}");
    Ok(())
}

fn start(port: u16, source: &str) -> Result<Daemon> {
    let rule = format!("{{id: peers, targets: datastore_api, access: accept, source: {source}}}");
    Daemon::start(&policy(&format!("datastore_api: {{ports: [{port}]}}"), &rule))
}

fn from_elsewhere() -> Result<()> {
    let port = free_port()?;
    let mut daemon = start(port, "192.0.2.0/24")?;
    connect(port)?;
    let alert = daemon.alert()?;
    expect(
        &alert,
        &json!({
            "action": "accept",
            "rule": {"id": "datastore_api.accept"},
            "verdict": {"reason": "source_mismatch"},
            "target": {
                "class": "datastore_api",
                "type": "inet_socket",
                "direction": "inbound",
                "src_ip": "10.99.0.2",
                "src_port": 40_000,
                "dst_ip": "10.99.0.1",
                "dst_port": port,
            },
        }),
    )?;
    ensure!(at(&alert, "/process").is_null(), "nobody here did it: {alert:#}");
    daemon.finish().map(drop)
}

fn expected_source() -> Result<()> {
    let port = free_port()?;
    let mut daemon = start(port, "[192.0.2.0/24, 10.99.0.0/16]")?;
    connect(port)?;
    daemon.silent_until(|| act(["tcp", "127.0.0.1", &port.to_string()]), &json!({"action": "connect"}))?;
    daemon.finish().map(drop)
}

fn from_here_is_reported_once() -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let port = listener.local_addr()?.port();
    let mut daemon = start(port, "192.0.2.0/24")?;
    act(["tcp", "127.0.0.1", &port.to_string()])?;
    let process = json!({"exe": program()?});
    expect(
        &daemon.alert()?,
        &json!({"action": "connect", "process": process, "outcome": {"status": "success"}}),
    )?;
    daemon.finish().map(drop)
}

/// A pod's process is seen where it connects, whatever comes out of the cable at the node's end. The cable goes with the pod.
fn from_a_pod_is_reported_once() -> Result<()> {
    if !is_guest() {
        bail!(Skip("this machine's devices are not the test's to change"));
    }
    let listener = TcpListener::bind(("0.0.0.0", 0))?;
    let port = listener.local_addr()?.port();
    let mut daemon = start(port, "192.0.2.0/24")?;
    let actor = program()?;
    shell(&format!(
        "mkfifo /tmp/pod /tmp/plugged; ip link add node0 type veth; ip link set veth0 name pod0; \
         unshare -n sh -ec 'echo $$ >/tmp/pod; read _ </tmp/plugged; ip addr add 10.96.5.2/24 dev pod0; \
         ip link set pod0 up; exec {} tcp 10.96.5.1 {port}' & \
         read pid </tmp/pod; ip link set pod0 netns $pid; ip addr add 10.96.5.1/24 dev node0; ip link set node0 up; \
         echo >/tmp/plugged; wait $!; rm /tmp/pod /tmp/plugged",
        actor.display()
    ))?;
    let target = json!({"class": "datastore_api", "direction": "outbound", "src_ip": "10.96.5.2", "dst_ip": "10.96.5.1"});
    let process = json!({"exe": actor, "host_ns": {"net": false}});
    expect(
        &daemon.alert()?,
        &json!({"action": "connect", "process": process, "target": target, "outcome": {"status": "success"}}),
    )?;
    daemon.finish().map(drop)
}

/// Without a rule that says who is expected, nobody can be unexpected.
fn not_asked_for() -> Result<()> {
    let port = free_port()?;
    let mut daemon = Daemon::start(&policy(&format!("datastore_api: {{ports: [{port}]}}"), ""))?;
    connect(port)?;
    daemon.silent_until(|| act(["tcp", "127.0.0.1", &port.to_string()]), &json!({"action": "connect"}))?;
    daemon.finish().map(drop)
}

fn of_the_kubelet() -> Result<()> {
    let port = free_port()?;
    let rule = "{id: control-plane, targets: kubelet_api, access: accept, source: 192.0.2.0/24}";
    let mut daemon =
        Daemon::start(&policy(&format!("kubelet_api: {{ports: [{port}], destinations: any}}"), rule))?;
    connect(port)?;
    expect(
        &daemon.alert()?,
        &json!({
            "action": "accept",
            "rule": {"id": "kubelet_api.accept"},
            "verdict": {"reason": "source_mismatch"},
            "target": {"class": "kubelet_api", "direction": "inbound", "src_ip": "10.99.0.2", "dst_port": port},
        }),
    )?;
    daemon.finish().map(drop)
}
