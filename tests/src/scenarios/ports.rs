//! Ways to the ports of etcd and the kubelet.

use std::net::TcpListener;

use anyhow::{Result, bail};
use libtest_mimic::Trial;
use serde_json::json;

use super::{Skip, trials};
use crate::actor::{act, program, shell};
use crate::daemon::{Daemon, policy};
use crate::event::expect;
use crate::node::{free_port, is_guest};

pub fn all() -> Vec<Trial> {
    trials(
        "ports",
        &[
            ("v4", v4),
            ("v6", v6),
            ("v4_in_v6", v4_in_v6),
            ("refused", refused),
            ("any_loopback_address", any_loopback_address),
            ("another_port_is_silent", another_port_is_silent),
            ("kubelet_on_the_node", kubelet_on_the_node),
            ("kubelet_port_of_a_pod_is_silent", kubelet_port_of_a_pod_is_silent),
            ("kubelet_port_anywhere_if_asked", kubelet_port_anywhere_if_asked),
            ("address_made_a_moment_ago", address_made_a_moment_ago),
            ("network_made_local", network_made_local),
            ("datastore_port_of_a_pod_is_silent", datastore_port_of_a_pod_is_silent),
        ],
    )
}

fn datastore(port: u16) -> Result<Daemon> {
    Daemon::start(&policy(&format!("datastore_api: {{ports: [{port}]}}"), ""))
}

fn connect(ip: &str, port: u16) -> Result<()> {
    act(["tcp", ip, &port.to_string()])
}

fn v4() -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let port = listener.local_addr()?.port();
    let mut daemon = datastore(port)?;
    connect("127.0.0.1", port)?;
    expect(
        &daemon.alert()?,
        &json!({
            "action": "connect",
            "severity": "high",
            "rule": {"id": "datastore_api.connect"},
            "target": {
                "class": "datastore_api",
                "type": "inet_socket",
                "dst_ip": "127.0.0.1",
                "dst_port": port,
                "direction": "outbound",
                "local": true,
            },
            "process": {"exe": program()?, "args": [program()?, "tcp", "127.0.0.1", port.to_string()]},
        }),
    )?;
    daemon.finish().map(drop)
}

fn v6() -> Result<()> {
    let port = free_port()?;
    let mut daemon = datastore(port)?;
    connect("::1", port)?;
    expect(&daemon.alert()?, &json!({"target": {"dst_ip": "::1", "dst_port": port}}))?;
    daemon.finish().map(drop)
}

fn v4_in_v6() -> Result<()> {
    let port = free_port()?;
    let mut daemon = datastore(port)?;
    connect("::ffff:127.0.0.1", port)?;
    expect(&daemon.alert()?, &json!({"target": {"dst_ip": "127.0.0.1", "dst_port": port}}))?;
    daemon.finish().map(drop)
}

fn refused() -> Result<()> {
    let port = free_port()?;
    let mut daemon = datastore(port)?;
    connect("127.0.0.1", port)?;
    expect(&daemon.alert()?, &json!({"target": {"dst_port": port}}))?;
    daemon.finish().map(drop)
}

fn any_loopback_address() -> Result<()> {
    let port = free_port()?;
    let mut daemon = datastore(port)?;
    connect("127.77.0.9", port)?;
    expect(&daemon.alert()?, &json!({"target": {"dst_ip": "127.77.0.9", "local": true}}))?;
    daemon.finish().map(drop)
}

fn another_port_is_silent() -> Result<()> {
    let port = free_port()?;
    let mut daemon = datastore(port)?;
    connect("127.0.0.1", if port == u16::MAX { port - 1 } else { port + 1 })?;
    daemon.silent_until(|| connect("127.0.0.1", port), &json!({"target": {"dst_port": port}}))?;
    daemon.finish().map(drop)
}

fn kubelet(port: u16, destinations: &str) -> Result<Daemon> {
    let targets = format!("kubelet_api: {{ports: [{port}], destinations: {destinations}}}");
    Daemon::start(&policy(&targets, ""))
}

fn kubelet_on_the_node() -> Result<()> {
    let port = free_port()?;
    let mut daemon = kubelet(port, "node")?;
    connect("127.0.0.1", port)?;
    expect(
        &daemon.alert()?,
        &json!({"rule": {"id": "kubelet_api.connect"}, "target": {"class": "kubelet_api"}}),
    )?;
    // What listens on that port at another address is not this node's kubelet.
    connect_in_a_pod("192.0.2.1", port)?;
    daemon.silent_until(|| connect("::1", port), &json!({"target": {"dst_ip": "::1"}}))?;
    daemon.finish().map(drop)
}

/// As a pod does: in a network namespace of its own, which has no way out. The address is one of its loopback.
fn connect_in_a_pod(ip: &str, port: u16) -> Result<()> {
    let actor = program()?;
    shell(&format!(
        "unshare -n sh -ec 'ip link set lo up; ip addr add {ip}/32 dev lo || true; exec {} tcp {ip} {port}'",
        actor.display()
    ))
}

fn kubelet_port_of_a_pod_is_silent() -> Result<()> {
    let port = free_port()?;
    let mut daemon = kubelet(port, "node")?;
    connect_in_a_pod("127.0.0.1", port)?;
    daemon.silent_until(
        || connect("127.0.0.1", port),
        &json!({"target": {"dst_port": port}, "process": {"host_ns": {"net": true}}}),
    )?;
    daemon.finish().map(drop)
}

fn kubelet_port_anywhere_if_asked() -> Result<()> {
    let port = free_port()?;
    let mut daemon = kubelet(port, "any")?;
    connect_in_a_pod("127.0.0.1", port)?;
    let alert = daemon.alert()?;
    expect(&alert, &json!({"target": {"dst_port": port}, "process": {"host_ns": {"net": false}}}))?;
    daemon.finish().map(drop)
}

/// Without waiting: the node has it, whether or not the daemon looked since.
fn address_made_a_moment_ago() -> Result<()> {
    if !is_guest() {
        bail!(Skip("this machine's addresses are not the test's to change"));
    }
    let port = free_port()?;
    let mut daemon = kubelet(port, "node")?;
    for last in 2..10 {
        let address = format!("10.98.7.{last}");
        shell(&format!("ip addr add {address}/32 dev lo"))?;
        connect(&address, port)?;
        expect(
            &daemon.alert()?,
            &json!({"target": {"class": "kubelet_api", "dst_ip": address, "local": true}}),
        )?;
    }
    daemon.finish().map(drop)
}

/// A route makes a whole network the node's, with no address on any device.
fn network_made_local() -> Result<()> {
    if !is_guest() {
        bail!(Skip("this machine's routes are not the test's to change"));
    }
    let port = free_port()?;
    let mut daemon = kubelet(port, "node")?;
    shell("ip route add local 10.97.0.0/16 dev lo")?;
    connect("10.97.8.9", port)?;
    let target = json!({"class": "kubelet_api", "dst_ip": "10.97.8.9", "local": true});
    expect(&daemon.alert()?, &json!({"target": target}))?;
    shell("ip -6 route add local 2001:db8:97::/48 dev lo")?;
    connect("2001:db8:97::1", port)?;
    let target = json!({"class": "kubelet_api", "dst_ip": "2001:db8:97::1", "local": true});
    expect(&daemon.alert()?, &json!({"target": target}))?;
    daemon.finish().map(drop)
}

/// What listens on a pod's own loopback is not the node's datastore.
fn datastore_port_of_a_pod_is_silent() -> Result<()> {
    let port = free_port()?;
    let mut daemon = datastore(port)?;
    connect_in_a_pod("127.0.0.1", port)?;
    daemon.silent_until(
        || connect_in_a_pod("192.0.2.1", port),
        &json!({"target": {"dst_ip": "192.0.2.1"}, "process": {"host_ns": {"net": false}}}),
    )?;
    daemon.finish().map(drop)
}
