//! Policies that are learned, and processes that are explained.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::containers::{ETCD, READ, Scene as Containers};
use super::trials;
use crate::actor::{Holder, copy_to, must, program as actor, shell};
use crate::daemon::{Daemon, command, paths, policy, program};
use crate::event::expect;
use crate::node::wait_until;

pub fn all() -> Vec<Trial> {
    trials(
        "learn",
        &[
            ("learned_is_silent", learned_is_silent),
            ("container_is_silent", container_is_silent),
            ("attacks_are_refused", attacks_are_refused),
            ("from_recorded_events", from_recorded_events),
            ("ends_by_itself", ends_by_itself),
            ("bad_input", bad_input),
            ("running_process", running_process),
            ("container_process", container_process),
        ],
    )
}

/// `bypassd learn`, which watches already.
struct Learning {
    child: Child,
    dir: TempDir,
}

impl Learning {
    fn start(policy: &str, args: &[&str]) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let config = dir.path().join("policy.yaml");
        fs::write(&config, policy)?;
        let stderr = File::create(dir.path().join("stderr"))?;
        let mut command = Command::new(program()?);
        command
            .args(["-vv", "learn", "--config"])
            .arg(config)
            .arg("--output")
            .arg(dir.path().join("learned.yaml"));
        let child = command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).spawn()?;
        let learning = Self { child, dir };
        wait_until("it watches", || {
            learning.stderr().contains(" armed") || learning.stderr().contains("bypassd:")
        })?;
        ensure!(!learning.stderr().contains("bypassd:"), "{}", learning.stderr());
        Ok(learning)
    }

    fn stderr(&self) -> String {
        fs::read_to_string(self.dir.path().join("stderr")).unwrap_or_default()
    }

    /// What it has learned, and its last line on stderr.
    fn end(mut self) -> Result<(String, String)> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        self.ended()
    }

    fn ended(&mut self) -> Result<(String, String)> {
        let status = self.child.wait()?;
        ensure!(status.success(), "it ended with {status}: {}", self.stderr());
        let policy = fs::read_to_string(self.dir.path().join("learned.yaml"))?;
        let last = self.stderr().lines().last().unwrap_or_default().to_owned();
        ensure!(last.starts_with("bypassd: learned "), "{last}");
        Ok((policy, last))
    }
}

impl Drop for Learning {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

/// A watched manifest and a key, and programs at paths of the node that not everyone can write to.
struct Scene {
    dir: TempDir,
    manifest: PathBuf,
    key: PathBuf,
}

impl Scene {
    fn new() -> Result<Self> {
        let dir = tempfile::tempdir_in("/run")?;
        for name in ["manifests", "keys"] {
            fs::create_dir(dir.path().join(name))?;
        }
        let (manifest, key) = (dir.path().join("manifests/etcd.yaml"), dir.path().join("keys/ca.key"));
        fs::write(&manifest, "kind: Pod\n")?;
        fs::write(&key, "secret\n")?;
        Ok(Self { dir, manifest, key })
    }

    fn actor(&self, name: &str) -> Result<PathBuf> {
        copy_to(&self.dir.path().join(name))
    }

    fn policy(&self, allow: &str) -> String {
        let of = |path: &Path| path.parent().map(Path::to_owned).unwrap_or_default();
        let manifests = paths("static_pod_manifest", &[&of(&self.manifest)]);
        policy(&format!("{manifests}, {}", paths("credential", &[&of(&self.key)])), allow)
    }

    fn file(&self, name: &str, text: &str) -> Result<String> {
        let path = self.dir.path().join(name);
        fs::write(&path, text)?;
        Ok(path.to_string_lossy().into_owned())
    }
}

fn touch(program: &Path, path: &Path, how: &str) -> Result<()> {
    must(program, ["open", &path.to_string_lossy(), how])
}

/// No violation, and none from before the start.
fn silent(mut daemon: Daemon, marker: &Path, path: &Path) -> Result<()> {
    daemon.silent_until(|| touch(marker, path, "r"), &json!({"process": {"exe": marker}}))?;
    let events = daemon.finish()?;
    let held: Vec<_> = events.iter().filter(|event| event["kind"] == "snapshot").collect();
    ensure!(held.is_empty(), "held and not allowed: {held:#?}");
    Ok(())
}

fn learned_is_silent() -> Result<()> {
    let scene = Scene::new()?;
    let (reader, writer) = (scene.actor("reader")?, scene.actor("writer")?);
    let (holder, known) = (scene.actor("holder")?, scene.actor("known")?);
    let rule =
        format!("{{id: known, targets: credential, access: read, process: {{exe: {}}}}}", known.display());
    let key = scene.key.to_string_lossy().into_owned();
    let _held = Holder::start(&holder, ["open", &key, "r"])?;
    let script = scene.file("script.sh", "while read -r line; do :; done <\"$1\"\n")?;
    let act = || {
        touch(&reader, &scene.manifest, "r")?;
        touch(&reader, &scene.key, "r")?;
        touch(&writer, &scene.key, "rw")?;
        touch(&known, &scene.key, "r")?;
        shell(&format!("/bin/sh {script} {key}; true"))
    };
    let learning = Learning::start(&scene.policy(&rule), &[])?;
    act()?;
    let (policy, stderr) = learning.end()?;
    ensure!(!stderr.contains("refused") && !stderr.contains("lost"), "{stderr}");
    for words in ["- id: reader", "- id: writer", "- id: holder", "- id: script.sh", "- id: known # from "] {
        ensure!(policy.matches(words).count() == 1, "not once {words} in {policy}");
    }
    ensure!(policy.contains(&format!("args: [\"{script} {key}\"]")), "{policy}");
    let daemon = Daemon::fresh(&policy)?;
    act()?;
    silent(daemon, &scene.actor("marker")?, &scene.key)?;
    // It allows no more: nobody was seen to write a manifest, and the script is not the shell.
    let mut daemon = Daemon::fresh(&policy)?;
    touch(&reader, &scene.key, "w")?;
    expect(&daemon.alert()?, &json!({"verdict": {"reason": "access_not_allowed"}}))?;
    shell(&format!("read line <{key}"))?;
    expect(&daemon.alert()?, &json!({"verdict": {"reason": "args_mismatch"}}))?;
    daemon.finish().map(drop)
}

fn container_is_silent() -> Result<()> {
    let scene = Containers::new()?;
    let learning = Learning::start(&scene.policy(""), &[])?;
    scene.run_in(&ETCD, READ)?;
    let (policy, stderr) = learning.end()?;
    ensure!(!stderr.contains("refused"), "{stderr} {policy}");
    let image = "image: [\"registry.k8s.io/etcd:3.5.15-0\"]";
    let container =
        format!("container: {{namespace: [kube-system], pod: [etcd-node1], name: [etcd], {image}}}");
    ensure!(policy.contains(&container), "no {container} in {policy}");
    let mut daemon = Daemon::fresh(&policy)?;
    scene.run_in(&ETCD, READ)?;
    let marker = || shell(&format!("cat {}", scene.manifest.display()));
    daemon.silent_until(marker, &json!({"process": {"comm": "cat"}}))?;
    daemon.finish().map(drop)
}

/// Each of them is in the policy as a comment with the reason, and alerts when the policy is loaded.
fn attacks_are_refused() -> Result<()> {
    let scene = Scene::new()?;
    let anyones = tempfile::Builder::new().tempdir_in("/tmp")?;
    let (of_anyone, editor) = (copy_to(&anyones.path().join("tool"))?, scene.actor("editor")?);
    let gone = format!(
        "cp {0} {1}; exec 3<{1}; rm {1}; exec /proc/self/fd/3 open {2} r",
        actor()?.display(),
        scene.dir.path().join("gone").display(),
        scene.key.display()
    );
    let act = || {
        touch(&of_anyone, &scene.key, "r")?;
        touch(&editor, &scene.manifest, "w")?;
        shell(&gone)?;
        shell(&format!("unshare -m {} open {} r", editor.display(), scene.key.display()))
    };
    let learning = Learning::start(&scene.policy(""), &[])?;
    act()?;
    let (policy, stderr) = learning.end()?;
    ensure!(
        stderr.contains("learned 0 accesses by 0 actors") && stderr.contains("4 are refused"),
        "{stderr}"
    );
    for words in [
        "directory that anyone can write to",
        "what the kubelet runs",
        "is deleted",
        "mount namespace of its own",
    ] {
        ensure!(policy.contains(words), "no `{words}` in {policy}");
    }
    let mut daemon = Daemon::fresh(&policy)?;
    act()?;
    for _ in 0..4 {
        daemon.alert()?;
    }
    daemon.finish()?;
    let learning = Learning::start(&scene.policy(""), &["--include-suspicious"])?;
    act()?;
    let (policy, stderr) = learning.end()?;
    ensure!(stderr.contains("1 are refused"), "{stderr}");
    let mut daemon = Daemon::fresh(&policy)?;
    act()?;
    expect(&daemon.alert()?, &json!({"process": {"exe_deleted": true}}))?;
    daemon.finish().map(drop)
}

fn from_stdin(args: &[&str], input: &str) -> Result<Output> {
    let mut command = Command::new(program()?);
    let command = command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    child.stdin.take().context("no stdin")?.write_all(input.as_bytes())?;
    Ok(child.wait_with_output()?)
}

fn from_recorded_events() -> Result<()> {
    let scene = Scene::new()?;
    let reader = scene.actor("reader")?;
    let config = scene.file("policy.yaml", &scene.policy(""))?;
    let mut daemon = Daemon::fresh(&scene.policy(""))?;
    touch(&reader, &scene.key, "r")?;
    daemon.alert()?;
    let events: Vec<_> = daemon.finish()?.iter().map(Value::to_string).collect();
    let lines = events.join("\n");
    let file = scene.file("events.ndjson", &lines)?;
    let of_file = command(&["learn", "--config", &config, "--from", &file])?;
    let of_stdin = from_stdin(&["learn", "--config", &config, "--from", "-"], &lines)?;
    ensure!(of_file.status.success() && of_file.stdout == of_stdin.stdout, "{of_file:?} {of_stdin:?}");
    let policy = String::from_utf8(of_file.stdout)?;
    ensure!(policy.contains("- id: reader"), "{policy}");
    let learned = scene.file("learned.yaml", &policy)?;
    let replayed = command(&["replay", &file, "--config", &learned, "--exit-code"])?;
    ensure!(replayed.status.success() && replayed.stdout.is_empty(), "{replayed:?}");
    // What it allows already is not learned again.
    let again = command(&["learn", "--config", &learned, "--from", &file])?;
    let (text, stderr) = (String::from_utf8_lossy(&again.stdout), String::from_utf8_lossy(&again.stderr));
    ensure!(stderr.contains("learned 0 accesses by 0 actors; 1 were allowed already"), "{stderr}");
    ensure!(text.matches("- id: reader").count() == 1, "{text}");
    let daemon = Daemon::fresh(&policy)?;
    touch(&reader, &scene.key, "r")?;
    silent(daemon, &scene.actor("marker")?, &scene.key)
}

fn ends_by_itself() -> Result<()> {
    let scene = Scene::new()?;
    let mut learning = Learning::start(&scene.policy(""), &["--duration", "1s"])?;
    let (policy, _) = learning.ended()?;
    ensure!(policy.contains("# Nothing was learned"), "{policy}");
    let stderr = learning.stderr();
    ensure!(
        !stderr.contains('\u{1b}') && !stderr.contains("learning for"),
        "progress without a terminal: {stderr}"
    );
    Daemon::fresh(&policy)?.finish().map(drop)
}

fn bad_input() -> Result<()> {
    let scene = Scene::new()?;
    let config = scene.file("policy.yaml", &scene.policy(""))?;
    let cases: [(&[&str], &[&str]); 6] = [
        (&["learn", "--config", "/nowhere/policy.yaml"], &["/nowhere/policy.yaml: cannot be read"]),
        (&["learn", "--output", &config], &["cannot write to", "it exists; name another file"]),
        (&["learn", "--output", "/nowhere/learned.yaml"], &["cannot write to", "No such file"]),
        (&["learn", "--from", "/nowhere/events"], &["/nowhere/events: cannot be opened"]),
        (&["explain", "--pid", "4194305"], &["process 4194305", "is not there"]),
        (&["explain", "--pid", "0"], &["process 0", "is not there"]),
    ];
    for (args, words) in cases {
        let output = command(args)?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.code() == Some(2) && output.stdout.is_empty(), "{args:?}: {output:?}");
        ensure!(
            stderr.lines().count() == 1 && words.iter().all(|word| stderr.contains(word)),
            "{args:?}: {stderr}"
        );
    }
    for args in [
        &["learn", "--duration", "soon"][..],
        &["learn", "--from", "-", "--backend", "auto"],
        &["explain"],
        &["explain", "--pid", "x"],
    ] {
        let output = command(args)?;
        ensure!(output.status.code() == Some(2) && output.stdout.is_empty(), "{args:?}: {output:?}");
    }
    let never = scene.dir.path().join("never.yaml").to_string_lossy().into_owned();
    command(&["learn", "--from", "/nowhere/events", "--output", &never])?;
    ensure!(!Path::new(&never).exists(), "a policy that is none stays behind");
    let output = from_stdin(
        &["learn", "--from", "-"],
        "{\"kind\": \"health\"}\n\u{1b}[2J\n\n{\"kind\": \"alert\"}\n",
    )?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(2), "{output:?}");
    ensure!(stderr.contains("-:2: ") && stderr.contains("-:4: ") && !stderr.contains('\u{1b}'), "{stderr}");
    Ok(())
}

/// One screen, which says what the daemon says.
fn running_process() -> Result<()> {
    let scene = Scene::new()?;
    let (known, other) = (scene.actor("known")?, scene.actor("other")?);
    let rule =
        format!("{{id: known, targets: credential, access: read, process: {{exe: {}}}}}", known.display());
    let config = scene.file("policy.yaml", &scene.policy(&rule))?;
    let key = scene.key.to_string_lossy().into_owned();
    let explain = |pid: u32, config: &str| {
        let output = command(&["explain", "--pid", &pid.to_string(), "--config", config])?;
        ensure!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout)?;
        ensure!(text.lines().count() < 40, "more than a screen: {text}");
        Ok(text)
    };
    let line = |text: &str, words: &[&str]| {
        text.lines().any(|line| line.split_whitespace().take(words.len()).eq(words.iter().copied()))
    };
    let held = Holder::start(&known, ["open", &key, "r"])?;
    let text = explain(held.pid(), &config)?;
    ensure!(line(&text, &["credential", "read", "yes", "known"]), "{text}");
    ensure!(line(&text, &["credential", "write", "no", "access_not_allowed:", "known"]), "{text}");
    ensure!(line(&text, &["static_pod_manifest", "read,", "write", "no", "no", "rule"]), "{text}");
    drop(held);
    let held = Holder::start(&other, ["open", &key, "r"])?;
    let text = explain(held.pid(), &config)?;
    ensure!(line(&text, &["credential", "read,", "write", "no", "exe_mismatch:", "known"]), "{text}");
    let rule = text.split_once("it needs:\n").context("no rule is suggested")?.1;
    let rule = rule.replace("targets: []", "targets: [credential]").replace("access: []", "access: [read]");
    let allowing =
        scene.file("allowing.yaml", &scene.policy("").replace("allow: []", &format!("allow:\n{rule}")))?;
    ensure!(line(&explain(held.pid(), &allowing)?, &["credential", "read", "yes", "other"]), "{text}");
    let daemon = Daemon::fresh(&fs::read_to_string(&allowing)?)?;
    touch(&other, &scene.key, "r")?;
    silent(daemon, &scene.actor("marker")?, &scene.key)?;
    let text = explain(std::process::id(), &config)?;
    ensure!(text.contains("the node's file of that path") && text.contains("container   none"), "{text}");
    Ok(())
}

fn container_process() -> Result<()> {
    let scene = Containers::new()?;
    let rule = "{id: etcd, targets: static_pod_manifest, access: read, container: {namespace: kube-system, pod: 'etcd-*'}}";
    let dir = tempfile::tempdir()?;
    let config = dir.path().join("policy.yaml");
    fs::write(&config, scene.policy(rule))?;
    scene.meanwhile(&ETCD, "exec 3</watched/x.yaml; echo $$ >/dev/null", || {
        let pids =
            fs::read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
        let is_it = |pid: &u32| {
            let exe = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
            let held = fs::read_link(format!("/proc/{pid}/fd/3")).unwrap_or_default();
            exe == Path::new("/bin/busybox") && held.ends_with("x.yaml")
        };
        let pid = pids.into_iter().find(is_it).context("no process of the container")?;
        let output = command(&["explain", "--pid", &pid.to_string(), "--config", &config.to_string_lossy()])?;
        let text = String::from_utf8(output.stdout)?;
        let container = "container etcd of image registry.k8s.io/etcd:3.5.15-0 in pod kube-system/etcd-node1";
        ensure!(text.contains(container) && text.contains("not the node's file"), "{text}");
        let yes = |line: &str| line.split_whitespace().eq(["static_pod_manifest", "read", "yes", "etcd"]);
        ensure!(text.lines().any(yes), "{text}");
        ensure!(text.contains("container: {namespace: [kube-system], pod: [etcd-node1]"), "{text}");
        Ok(())
    })
}
