//! io_uring: inline, by a worker, by the poller in the kernel, and without a descriptor.

use std::os::unix::net::UnixListener;

use anyhow::{Result, bail, ensure};
use libtest_mimic::Trial;
use serde_json::json;

use super::files::Scene;
use super::{Skip, trials};
use crate::actor::{program, run};
use crate::daemon::{Daemon, socket};
use crate::event::{at, expect};

pub fn all() -> Vec<Trial> {
    trials(
        "uring",
        &[
            ("open", || open("inline")),
            ("open_async", || open("async")),
            ("open_poll", || open("poll")),
            ("open_direct", || open("direct")),
            ("connect", || connect("inline")),
            ("connect_async", || connect("async")),
            ("connect_poll", || connect("poll")),
        ],
    )
}

/// The kernel may be too old for it, or not have io_uring at all.
fn act(args: [&str; 3]) -> Result<()> {
    let output = run(&program()?, args)?;
    if output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    let unsupported = ["without descriptors", "set up a ring", "too old"];
    if unsupported.iter().any(|word| stderr.contains(word)) {
        bail!(Skip("this io_uring cannot"));
    }
    bail!("{stderr}")
}

fn open(how: &str) -> Result<()> {
    let mut scene = Scene::new()?;
    let path = scene.manifest.to_string_lossy().into_owned();
    act(["uring-open", how, &path])?;
    if how == "direct" && at(scene.daemon.started(), "/lifecycle/backend") == "syscall" {
        bail!(Skip("without a descriptor, raw tracepoints show no file"));
    }
    let alert = scene.daemon.alert()?;
    let process = json!({"exe": program()?, "args": [program()?, "uring-open", how, path]});
    expect(&alert, &json!({"action": "open", "target": {"path": scene.manifest}, "process": process}))?;
    let by_worker = at(&alert, "/process/pid") != at(&alert, "/process/tid");
    ensure!(by_worker == (how == "poll" || how == "async") || how == "direct", "{alert:#}");
    scene.daemon.finish().map(drop)
}

fn connect(how: &str) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("runtime.sock");
    let _listener = UnixListener::bind(&path)?;
    let mut daemon = Daemon::start(&socket(&path, ""))?;
    act(["uring-connect", how, &path.to_string_lossy()])?;
    let process = json!({"exe": program()?, "args": [program()?, "uring-connect", how, path]});
    expect(
        &daemon.alert()?,
        &json!({"action": "connect", "target": {"class": "runtime_api", "path": path}, "process": process}),
    )?;
    daemon.finish().map(drop)
}
