//! `bypassd posture` beside programs that run.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::{Value, json};

use super::running::StandIn;
use super::trials;
use crate::actor::{act, copy_to, run_as_nobody};
use crate::daemon::{Daemon, command, program};
use crate::event::at;
use crate::node::{Containerd, Etcd};

pub fn all() -> Vec<Trial> {
    trials(
        "posture",
        &[
            ("kubelet", kubelet),
            ("etcd", etcd),
            ("without_root", without_root),
            ("touches_nothing", touches_nothing),
        ],
    )
}

fn findings(stdout: &[u8]) -> Result<Vec<Value>> {
    let text = std::str::from_utf8(stdout)?;
    text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

fn look() -> Result<Vec<Value>> {
    let output = command(&["posture", "--format", "native"])?;
    ensure!(matches!(output.status.code(), Some(0 | 1)), "{output:?}");
    findings(&output.stdout)
}

fn of<'a>(found: &'a [Value], check: &str) -> Result<&'a Value> {
    found
        .iter()
        .find(|event| at(event, "/rule/id") == check)
        .with_context(|| format!("no finding of {check}"))
}

/// A piece of evidence that a process is named in.
fn says(event: &Value, process: &str) -> Result<Value> {
    let list = at(event, "/posture/evidence").as_array();
    let found = list.into_iter().flatten().find(|evidence| evidence["process"] == process);
    found.cloned().with_context(|| format!("nothing of {process} in {event:#}"))
}

/// Flags over drop-ins over the file of one that runs.
fn kubelet() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let program = copy_to(&dir.path().join("kubelet"))?;
    let (config, drop_ins) = (dir.path().join("config.yaml"), dir.path().join("config.d"));
    let drop_in = drop_ins.join("10-open.conf");
    fs::create_dir(&drop_ins)?;
    fs::write(&config, "kind: KubeletConfiguration\nreadOnlyPort: 0\n")?;
    fs::write(&drop_in, "kind: KubeletConfiguration\nreadOnlyPort: 10255\n")?;
    let flags = [
        format!("--config={}", config.display()),
        format!("--config-dir={}", drop_ins.display()),
        "--anonymous-auth=true".to_owned(),
    ];
    let running = StandIn::start(&program, &flags)?;
    let name = format!("kubelet[{}]", running.id());
    let found = look()?;
    for (check, result) in [("kubelet.anonymous_auth", "fail"), ("kubelet.read_only_port", "fail")] {
        let event = of(&found, check)?;
        ensure!(at(event, "/posture/result") == result, "{event:#}");
    }
    let of_flag = says(of(&found, "kubelet.anonymous_auth")?, &name)?;
    ensure!(
        of_flag
            == json!({"result": "fail", "origin": "flag", "process": name, "key": "--anonymous-auth", "value": "true"}),
        "{of_flag:#}"
    );
    let of_drop_in = says(of(&found, "kubelet.read_only_port")?, &name)?;
    ensure!(of_drop_in["origin"] == "drop_in" && of_drop_in["file"] == json!(drop_in), "{of_drop_in:#}");
    let of_default = says(of(&found, "kubelet.authorization_mode")?, &name)?;
    ensure!(of_default["origin"] == "default" && of_default["value"] == "Webhook", "{of_default:#}");
    let output = command(&["posture"])?;
    ensure!(output.status.code() == Some(1), "{output:?}");
    Ok(())
}

/// A real one, that lets everybody in.
fn etcd() -> Result<()> {
    let _etcd = Etcd::start()?;
    let found = look()?;
    for check in ["etcd.client_cert_auth", "etcd.tls", "etcd.peer_client_cert_auth", "etcd.peer_tls"] {
        let event = of(&found, check)?;
        ensure!(at(event, "/posture/result") == "fail", "{event:#}");
    }
    Ok(())
}

/// What only root may see is unknown, and nothing fails that could be read.
fn without_root() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let program_of_kubelet = copy_to(&dir.path().join("kubelet"))?;
    let _running = StandIn::start(&program_of_kubelet, &["--config=/none".to_owned()])?;
    let _etcd = Etcd::start()?;
    let output = run_as_nobody(&program()?, ["posture"])?;
    ensure!(matches!(output.status.code(), Some(0 | 1)), "{output:?}");
    for event in findings(&output.stdout)? {
        let result = at(&event, "/posture/result");
        let of_program = ["kubelet.anonymous_auth", "kubelet.authorization_mode", "etcd.client_cert_auth"];
        let is_of_program = of_program.iter().any(|check| at(&event, "/rule/id") == check);
        ensure!(!is_of_program || result != "pass", "{event:#}");
    }
    Ok(())
}

/// It connects to no door, and changes none.
fn touches_nothing() -> Result<()> {
    let (etcd, containerd) = (Etcd::start()?, Containerd::start()?);
    let mut daemon = Daemon::fresh("version: 1\nprofile: kubeadm\n")?;
    let is_known = |event: &Value, target: &str| {
        let list = at(event, "/lifecycle/targets").as_array();
        list.into_iter().flatten().any(|found| found["target"] == target)
    };
    let port = format!("tcp/{}", etcd.port);
    daemon.wait_for("etcd's port to be found", |event| is_known(event, &port))?;
    look()?;
    // The last that is done, so that everything before is told.
    act(["open", &etcd.data().join("member/snap/db").to_string_lossy(), "r"])?;
    daemon.wait_for("the alert", |event| at(event, "/target/class") == "datastore_file")?;
    let (_, events) = daemon.stop(Signal::TERM)?;
    let program = program()?;
    let touched = events.iter().find(|event| {
        let is_ours = at(event, "/process/exe").as_str().is_some_and(|exe| Path::new(exe) == program);
        is_ours && !["open", ""].contains(&at(event, "/action").as_str().unwrap_or_default())
    });
    ensure!(touched.is_none(), "{touched:#?}");
    drop(containerd);
    Ok(())
}
