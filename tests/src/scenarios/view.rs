//! `bypassd watch` on a real terminal of eighty columns: what it shows, and that it leaves the terminal as it was.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::trials;
use crate::actor::{act, program as actor};
use crate::daemon::{command, manifests, program};
use crate::node::{wait_until, which};

pub fn all() -> Vec<Trial> {
    trials(
        "view",
        &[
            ("shows_what_happens", shows_what_happens),
            ("leaves_the_terminal_as_it_was", leaves_the_terminal_as_it_was),
            ("ends_with_its_terminal", ends_with_its_terminal),
            ("events_of_another_node", events_of_another_node),
            ("no_events", no_events),
            ("daemon_that_cannot_run", daemon_that_cannot_run),
            ("without_a_terminal", without_a_terminal),
        ],
    )
}

/// A terminal in which a line of shell runs.
struct Terminal {
    tmux: PathBuf,
    dir: TempDir,
}

/// How it looks after the line, from a shell that reads as shells do.
const AFTER: &str = "echo ended with $?; stty -a | grep -o '[-]*icanon'; exec sleep 1000";

impl Terminal {
    fn new(line: &str) -> Result<Self> {
        let (tmux, dir) = (which("tmux")?, tempfile::tempdir()?);
        let terminal = Self { tmux, dir };
        let line = format!("{line}; {AFTER}");
        terminal.tmux(&[
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            "80",
            "-y",
            "24",
            "/bin/sh",
            "-c",
            &line,
        ])?;
        Ok(terminal)
    }

    /// A server of its own, which has nothing of the user's.
    fn tmux(&self, args: &[&str]) -> Result<String> {
        let mut tmux = Command::new(&self.tmux);
        tmux.arg("-S").arg(self.dir.path().join("socket")).args(args);
        let output =
            tmux.env("TERM", "xterm-256color").env("LC_ALL", "C.UTF-8").env_remove("TMUX").output()?;
        ensure!(output.status.success(), "tmux {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    }

    fn press(&self, keys: &[&str]) -> Result<()> {
        self.tmux(&[&["send-keys"], keys].concat()).map(drop)
    }

    /// Waits until the screen has this, and returns it.
    fn shows(&self, what: &str) -> Result<String> {
        self.until(what, |screen| screen.contains(what))
    }

    fn until(&self, what: &str, done: impl Fn(&str) -> bool) -> Result<String> {
        let deadline = Instant::now() + Duration::from_secs(120);
        loop {
            let screen = self.tmux(&["capture-pane", "-p"])?;
            if done(&screen) {
                return Ok(screen);
            }
            ensure!(Instant::now() < deadline, "waited in vain for {what:?}, the screen has\n{screen}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The process that shows events.
    fn watcher(&self) -> Result<Pid> {
        let shell = self.tmux(&["display-message", "-p", "#{pane_pid}"])?;
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", shell.trim()))?;
        let child = children.split_whitespace().next().context("nothing runs in the terminal")?;
        Pid::from_raw(child.parse()?).context("no process")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _gone = self.tmux(&["kill-server"]);
    }
}

/// A watched directory with a manifest, and who watches it.
struct Scene {
    dir: TempDir,
    manifest: PathBuf,
    terminal: Terminal,
}

impl Scene {
    fn new() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let manifest = dir.path().join("manifests/etcd.yaml");
        let manifests_dir = manifest.parent().unwrap_or(Path::new("/"));
        fs::create_dir(manifests_dir)?;
        fs::write(&manifest, "kind: Pod\n")?;
        let policy = dir.path().join("policy.yaml");
        fs::write(&policy, manifests(manifests_dir, ""))?;
        let terminal =
            Terminal::new(&format!("{} watch --config {}", program()?.display(), policy.display()))?;
        // Whoever holds something since before is told after that.
        terminal.shows("looked back at")?;
        Ok(Self { dir, manifest, terminal })
    }
}

fn shows_what_happens() -> Result<()> {
    let scene = Scene::new()?;
    let (terminal, manifest) = (&scene.terminal, scene.manifest.to_string_lossy());
    act(["open", &manifest, "r"])?;
    let screen = terminal.shows("open actor[")?;
    ensure!(screen.lines().any(|line| line.starts_with(" static_pod_manifest     1")), "{screen}");
    terminal.press(&["Tab", "Enter"])?;
    let screen = terminal.shows("started by")?;
    let args = format!("args       {} open", actor()?.display());
    // A long path goes on in the next line.
    ensure!(screen.contains(&args[..70.min(args.len())]), "{args} is not in\n{screen}");
    // What follows an escape at once belongs to it.
    terminal.press(&["Escape"])?;
    terminal.shows("q quit")?;
    terminal.press(&["/"])?;
    terminal.press(&["-l", "nothing like it"])?;
    terminal.press(&["Enter"])?;
    terminal.shows("nothing that has these words")?;
    terminal.press(&["Escape"])?;
    terminal.shows("open actor[")?;
    terminal.press(&["p"])?;
    terminal.shows("PAUSED, 0 more")?;
    act(["open", &manifest, "rw"])?;
    // One, or two with what it holds now.
    let screen = terminal.until("more events", |screen| !screen.contains("PAUSED, 0 more"))?;
    ensure!(screen.contains("PAUSED, ") && !screen.contains("write actor["), "{screen}");
    terminal.press(&["p"])?;
    terminal.shows("write actor[")?;
    terminal.press(&["q"])?;
    terminal.shows("ended with 0")?;
    Ok(())
}

fn leaves_the_terminal_as_it_was() -> Result<()> {
    for signal in [None, Some(Signal::TERM), Some(Signal::HUP), Some(Signal::INT)] {
        let scene = Scene::new()?;
        match signal {
            Some(signal) => kill_process(scene.terminal.watcher()?, signal)?,
            None => scene.terminal.press(&["C-c"])?,
        }
        let screen = scene.terminal.shows("ended with 0").with_context(|| format!("{signal:?}"))?;
        let screen = if screen.contains("icanon") { screen } else { scene.terminal.shows("icanon")? };
        ensure!(!screen.contains("-icanon") && !screen.contains("bypassd  "), "{signal:?}:\n{screen}");
        drop(scene.dir);
    }
    Ok(())
}

/// As when a connection breaks.
fn ends_with_its_terminal() -> Result<()> {
    let scene = Scene::new()?;
    let watcher = scene.terminal.watcher()?.as_raw_nonzero();
    let children = fs::read_to_string(format!("/proc/{watcher}/task/{watcher}/children"))?;
    let daemon = children.split_whitespace().next().context("it has no daemon")?;
    scene.terminal.tmux(&["kill-server"])?;
    for process in [&watcher.to_string(), daemon] {
        wait_until("the end of both", || !Path::new("/proc").join(process).exists())?;
    }
    Ok(())
}

fn no_events() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("events");
    fs::write(&file, "{\"class_uid\":1001}\n")?;
    for (name, word) in [(dir.path(), "directory"), (&file, "ocsf")] {
        let terminal = Terminal::new(&format!("{} watch {}", program()?.display(), name.display()))?;
        let screen = terminal.shows("ended with 2")?.replace('\n', "");
        ensure!(screen.contains("no line of it is an event") && screen.contains(word), "{screen}");
    }
    let terminal = Terminal::new(&format!("{} watch -", program()?.display()))?;
    let screen = terminal.shows("ended with 2")?;
    ensure!(screen.contains("pipe events into it"), "{screen}");
    Ok(())
}

/// As `kubectl logs --follow` would hand them on, and then no more.
fn events_of_another_node() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("events.ndjson");
    let event = r#"{"schema":"1.0","kind":"alert","time":"2026-11-27T10:00:00Z","severity":"critical","action":"connect","message":"x",
        "node":{"name":"far-away"},"verdict":{"result":"violation"},"target":{"class":"runtime_api","path":"/run/far.sock"}}"#;
    fs::write(&file, format!("{}\nnonsense\n", event.replace('\n', "")))?;
    let terminal = Terminal::new(&format!("cat {} | {} watch -", file.display(), program()?.display()))?;
    let screen = terminal.shows("no more events come")?;
    ensure!(screen.contains("far-away") && screen.contains("1 lines are no events"), "{screen}");
    ensure!(screen.contains("critical connect  /run/far.sock"), "{screen}");
    terminal.press(&["q"])?;
    terminal.shows("ended with 0")?;
    Ok(())
}

fn daemon_that_cannot_run() -> Result<()> {
    let terminal = Terminal::new(&format!("{} watch --config /nowhere.yaml", program()?.display()))?;
    let screen = terminal.shows("ended with 2")?;
    ensure!(screen.contains("/nowhere.yaml"), "{screen}");
    let nobody = "setpriv --reuid 65534 --regid 65534 --clear-groups";
    let terminal = Terminal::new(&format!("{nobody} {} watch", program()?.display()))?;
    let screen = terminal.shows("ended with 3")?;
    ensure!(screen.contains("the daemon ended"), "{screen}");
    Ok(())
}

fn without_a_terminal() -> Result<()> {
    let output = command(&["watch"])?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(2) && said.contains("no terminal"), "{output:?}");
    ensure!(output.stdout.is_empty(), "{output:?}");
    Ok(())
}
