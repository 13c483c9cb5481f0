//! Who a process is to the node: the login, the unit, the capabilities, and where it connects to.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use libtest_mimic::Trial;
use serde_json::json;

use super::{Skip, trials};
use crate::actor::{act, copy_to, program, run_as_nobody, shell};
use crate::daemon::{Daemon, manifests, policy};
use crate::event::{at, expect};

pub fn all() -> Vec<Trial> {
    trials(
        "actors",
        &[("login", login), ("unit", unit), ("capabilities", capabilities), ("destination", destination)],
    )
}

struct Scene {
    dir: tempfile::TempDir,
    manifest: PathBuf,
}

impl Scene {
    fn new() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        // Another user has to get at the files.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755))?;
        fs::create_dir(dir.path().join("manifests"))?;
        let manifest = dir.path().join("manifests/etcd.yaml");
        fs::write(&manifest, "kind: Pod\n")?;
        Ok(Self { dir, manifest })
    }

    fn daemon(&self, rule: &str) -> Result<Daemon> {
        Daemon::start(&manifests(&self.dir.path().join("manifests"), rule))
    }

    /// The end of a line of shell that becomes the actor.
    fn read(&self) -> Result<String> {
        Ok(format!("exec {} open {} r", program()?.display(), self.manifest.display()))
    }
}

/// Whoever logged in stays that, whatever user he becomes.
fn login() -> Result<()> {
    let kept = Path::new("/proc/self/loginuid").exists() && Path::new("/proc/self/sessionid").exists();
    if !kept {
        bail!(Skip("this kernel keeps no logins"));
    }
    let scene = Scene::new()?;
    let mut daemon = scene.daemon("")?;
    let id = scene.dir.path().join("id");
    let line = "echo 4711 >/proc/self/loginuid; cat /proc/self/sessionid";
    shell(&format!("{line} >{}; {}", id.display(), scene.read()?))?;
    let alert = daemon.alert()?;
    let session: u32 = fs::read_to_string(id)?.trim().parse()?;
    expect(&alert, &json!({"process": {"auid": 4711, "session_id": session, "uid": 0}}))?;
    daemon.finish().map(drop)
}

/// A service of the node is known by its cgroup, and so are rules about it.
fn unit() -> Result<()> {
    let scene = Scene::new()?;
    let unified = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].map(Path::new);
    let unified = unified.into_iter().find(|dir| dir.join("cgroup.procs").exists());
    let slice = unified.context("no unified hierarchy")?.join("system.slice");
    let made = !slice.exists();
    let (backup, other) =
        (slice.join("bypassd-test-backup.service"), slice.join("bypassd-test-other.service"));
    let within = |unit: &Path| -> Result<()> {
        shell(&format!("mkdir -p {0}; echo $$ >{0}/cgroup.procs; {1}", unit.display(), scene.read()?))
    };
    let result = || -> Result<()> {
        let rule =
            "{id: backup, targets: [static_pod_manifest], process: {unit: bypassd-test-backup.service}}";
        let mut daemon = scene.daemon(rule)?;
        within(&backup)?;
        within(&other)?;
        let wanted = json!({
            "verdict": {"reason": "unit_mismatch"},
            "process": {"unit": "bypassd-test-other.service", "exe": program()?},
        });
        expect(&daemon.alert()?, &wanted)?;
        daemon.finish().map(drop)
    };
    let result = result();
    for dir in [&backup, &other].into_iter().chain(made.then_some(&slice)) {
        let _gone = fs::remove_dir(dir);
    }
    result
}

/// What a process may do is what it had in that moment.
fn capabilities() -> Result<()> {
    let scene = Scene::new()?;
    let mut daemon = scene.daemon("")?;
    act(["open", &scene.manifest.to_string_lossy(), "r"])?;
    let all = daemon.alert()?;
    let status = fs::read_to_string("/proc/self/status")?;
    let own = status.lines().find_map(|line| line.strip_prefix("CapEff:")).context("no CapEff")?.trim();
    expect(&all, &json!({"process": {"caps_eff": own}}))?;
    let copy = copy_to(&scene.dir.path().join("reader"))?;
    let output = run_as_nobody(&copy, ["open", &scene.manifest.to_string_lossy(), "r"])?;
    ensure!(output.status.success(), "{output:?}");
    let none = daemon.alert()?;
    expect(&none, &json!({"process": {"caps_eff": "0000000000000000", "exe": copy}}))?;
    daemon.finish().map(drop)
}

/// A rule can say where to, and somewhere else is not there.
fn destination() -> Result<()> {
    let listeners = TcpListener::bind(("0.0.0.0", 0))?;
    let port = listeners.local_addr()?.port();
    let rule = format!(
        "{{id: peer, targets: [datastore_api], process: {{exe: {}}}, destination: [127.0.0.2/32]}}",
        program()?.display()
    );
    let mut daemon = Daemon::start(&policy(&format!("datastore_api: {{ports: [{port}]}}"), &rule))?;
    act(["tcp", "127.0.0.2", &port.to_string()])?;
    act(["tcp", "127.0.0.1", &port.to_string()])?;
    let wanted = json!({
        "verdict": {"reason": "destination_mismatch"},
        "target": {"dst_ip": "127.0.0.1", "dst_port": port},
    });
    expect(&daemon.alert()?, &wanted)?;
    ensure!(daemon.seen().iter().all(|event| at(event, "/target/dst_ip") != "127.0.0.2"));
    daemon.finish().map(drop)
}
