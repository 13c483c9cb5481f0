//! Ways to a container runtime's socket.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;

use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use super::{own_exe, trials};
use crate::actor::{act, program, run, shell};
use crate::daemon::{Daemon, policy, socket};
use crate::event::{at, expect};

pub fn all() -> Vec<Trial> {
    trials(
        "sockets",
        &[
            ("connect", connect),
            ("symlink", through_symlink),
            ("bind_mount", through_bind_mount),
            ("network_namespace", from_another_network_namespace),
            ("made_later", made_later),
            ("made_anew", made_anew),
            ("renamed_away", renamed_away),
            ("another_socket_is_silent", another_socket_is_silent),
            ("opening_is_no_connect", opening_is_no_connect),
            ("not_a_socket", not_a_socket),
            ("of_a_datastore", of_a_datastore),
            ("by_a_pattern", by_a_pattern),
        ],
    )
}

fn connect() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("runtime.sock");
    let _listener = UnixListener::bind(&path)?;
    let mut daemon = Daemon::start(&socket(&path, ""))?;
    act(["unix", &path.to_string_lossy()])?;
    expect(
        &daemon.alert()?,
        &json!({
            "action": "connect",
            "severity": "medium",
            "rule": {"id": "runtime_api.connect"},
            "target": {
                "class": "runtime_api",
                "type": "unix_socket",
                "path": path,
                "peer_pid": std::process::id(),
            },
            "process": {
                "exe": program()?,
                "args": [program()?, "unix", path],
                "parent": {"pid": std::process::id(), "exe": own_exe()?},
            },
        }),
    )?;
    daemon.finish().map(drop)
}

/// kine listens on one.
fn of_a_datastore() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("kine.sock");
    let _listener = UnixListener::bind(&path)?;
    let mut daemon =
        Daemon::start(&policy(&format!("datastore_api: {{sockets: [{}]}}", path.display()), ""))?;
    act(["unix", &path.to_string_lossy()])?;
    let target = json!({"class": "datastore_api", "type": "unix_socket", "path": path});
    expect(&daemon.alert()?, &json!({"action": "connect", "target": target}))?;
    daemon.finish().map(drop)
}

/// One that is there, one that is made later, one by another name, and one that does not fit.
fn by_a_pattern() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let shims = dir.path().join("s");
    fs::create_dir(&shims)?;
    let [first, second, other] = ["a.sock", "b.sock", "other"].map(|name| shims.join(name));
    let (_first, _other) = (UnixListener::bind(&first)?, UnixListener::bind(&other)?);
    let pattern = format!("runtime_api: {{sockets: [\"{}/*.sock\"]}}", shims.display());
    let mut daemon = Daemon::start(&policy(&pattern, ""))?;
    let elsewhere = dir.path().join("elsewhere");
    fs::hard_link(&first, &elsewhere)?;
    let seen = |path: &Path| json!({"action": "connect", "target": {"class": "runtime_api", "type": "unix_socket", "path": path}});
    let is = |event: &Value, wanted: &Value| expect(event, wanted).is_ok();
    for (named, path) in [(&first, &first), (&elsewhere, &first)] {
        act(["unix", &named.to_string_lossy()])?;
        daemon.wait_for("the connect", |event| is(event, &seen(path)))?;
    }
    act(["unix", &other.to_string_lossy()])?;
    let _second = UnixListener::bind(&second)?;
    act(["unix", &second.to_string_lossy()])?;
    daemon.wait_for("the connect to the new one", |event| is(event, &seen(&second)))?;
    ensure!(!daemon.seen().iter().any(|event| is(event, &seen(&other))), "it does not fit the pattern");
    Ok(())
}

fn through_symlink() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (path, link) = (dir.path().join("runtime.sock"), dir.path().join("link.sock"));
    let _listener = UnixListener::bind(&path)?;
    symlink(&path, &link)?;
    let mut daemon = Daemon::start(&socket(&path, ""))?;
    act(["unix", &link.to_string_lossy()])?;
    expect(&daemon.alert()?, &json!({"target": {"path": path}}))?;
    daemon.finish().map(drop)
}

fn through_bind_mount() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (path, point) = (dir.path().join("runtime.sock"), dir.path().join("inside.sock"));
    let _listener = UnixListener::bind(&path)?;
    fs::write(&point, "")?;
    let mut daemon = Daemon::start(&socket(&path, ""))?;
    let actor = program()?;
    let (path_text, point, actor) = (path.display(), point.display(), actor.display());
    shell(&format!("unshare -m sh -ec 'mount --bind {path_text} {point}; exec {actor} unix {point}'"))?;
    expect(
        &daemon.alert()?,
        &json!({
            "severity": "high",
            "target": {"path": path},
            "process": {"host_ns": {"mnt": false}},
        }),
    )?;
    daemon.finish().map(drop)
}

fn from_another_network_namespace() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("runtime.sock");
    let _listener = UnixListener::bind(&path)?;
    let mut daemon = Daemon::start(&socket(&path, ""))?;
    shell(&format!("unshare -n {} unix {}", program()?.display(), path.display()))?;
    expect(
        &daemon.alert()?,
        &json!({"target": {"path": path}, "process": {"host_ns": {"mnt": true, "net": false}}}),
    )?;
    daemon.finish().map(drop)
}

fn made_later() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("runtime.sock");
    let mut daemon = Daemon::start(&socket(&path, ""))?;
    let _listener = UnixListener::bind(&path)?;
    // Without waiting: the very first use counts.
    act(["unix", &path.to_string_lossy()])?;
    expect(&daemon.alert()?, &json!({"target": {"path": path}}))?;
    daemon.wait_for("the target to be armed", |event| at(event, "/lifecycle/state") == "target_armed")?;
    daemon.finish().map(drop)
}

fn made_anew() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("runtime.sock");
    let mut listener = Some(UnixListener::bind(&path)?);
    let mut daemon = Daemon::start(&socket(&path, ""))?;
    for _ in 0..50 {
        drop(listener.take());
        fs::remove_file(&path)?;
        listener = Some(UnixListener::bind(&path)?);
        act(["unix", &path.to_string_lossy()])?;
        expect(&daemon.alert()?, &json!({"target": {"path": path}}))?;
    }
    daemon.finish().map(drop)
}

fn renamed_away() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (path, other) = (dir.path().join("runtime.sock"), dir.path().join("hidden.sock"));
    let _listener = UnixListener::bind(&path)?;
    let mut daemon = Daemon::start(&socket(&path, ""))?;
    // Known by its object until the daemon has looked again, so this is a matter of the first use.
    fs::hard_link(&path, &other)?;
    act(["unix", &other.to_string_lossy()])?;
    expect(&daemon.alert()?, &json!({"target": {"path": path}}))?;
    daemon.finish().map(drop)
}

fn another_socket_is_silent() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (path, other) = (dir.path().join("runtime.sock"), dir.path().join("other.sock"));
    let _listener = UnixListener::bind(&path)?;
    let _other = UnixListener::bind(&other)?;
    let mut daemon = Daemon::start(&socket(&path, ""))?;
    act(["unix", &other.to_string_lossy()])?;
    daemon.silent_until(
        || act(["unix", &path.to_string_lossy()]),
        &json!({"target": {"path": path}, "process": {"args": [program()?, "unix", path]}}),
    )?;
    daemon.finish().map(drop)
}

/// The open fails, but gets as far as the hook for files; nobody talks to the runtime that way.
fn opening_is_no_connect() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("runtime.sock");
    let _listener = UnixListener::bind(&path)?;
    let mut daemon = Daemon::start(&socket(&path, ""))?;
    let opened = run(&program()?, ["open", &path.to_string_lossy(), "r"])?;
    ensure!(!opened.status.success(), "a socket was opened");
    daemon.silent_until(|| act(["unix", &path.to_string_lossy()]), &json!({"action": "connect"}))?;
    daemon.finish().map(drop)
}

fn not_a_socket() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (directory, file) = (dir.path().join("directory"), dir.path().join("file"));
    fs::create_dir(&directory)?;
    fs::write(&file, "")?;
    let sockets = format!("runtime_api: {{sockets: [{}, {}]}}", directory.display(), file.display());
    let daemon = Daemon::fresh(&policy(&sockets, ""))?;
    expect(
        daemon.started(),
        &json!({"lifecycle": {"targets_armed": [], "targets_waiting": [
            {"class": "runtime_api", "target": directory, "why": "is a directory, not a socket"},
            {"class": "runtime_api", "target": file, "why": "is a regular file, not a socket"},
        ]}}),
    )?;
    daemon.finish().map(drop)
}
