//! `bypassd report`, and what a real browser makes of its page.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Skip, trials};
use crate::actor::{copy_to, must};
use crate::daemon::{Daemon, command, manifests, program};
use crate::node::which;

pub fn all() -> Vec<Trial> {
    trials(
        "report",
        &[
            ("of_a_real_run", of_a_real_run),
            ("of_three_kinds", of_three_kinds),
            ("hostile_strings", hostile_strings),
            ("policy_of_the_page", policy_of_the_page),
            ("filters_and_pages", filters_and_pages),
            ("many_events", many_events),
            ("prints", prints),
            ("bad_lines", bad_lines),
            ("output", output),
        ],
    )
}

const STARTED: &str = include_str!("../../../monitor/tests/fixtures/events/lifecycle.started.json");
const OPENED: &str = include_str!("../../../monitor/tests/fixtures/events/credential.open.json");
const MANIFEST: &str = include_str!("../../../monitor/tests/fixtures/events/manifest.json");
const HELD: &str = include_str!("../../../monitor/tests/fixtures/events/snapshot.json");
const LOSS: &str = include_str!("../../../monitor/tests/fixtures/events/health.loss.json");
const FAILED: &str = include_str!("../../../monitor/tests/fixtures/events/posture.fail.json");

/// What would be seen in the page if any of it were more than text.
const HOSTILE: &str = "</script></td></code><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">\
    <!--\u{202e}\u{2066}\u{1b}[31m\u{2028}\\";

/// The title of an honest page.
const TITLE: &str = "<title>bypassd report</title>";

fn event(text: &str, changes: &[(&str, Value)]) -> Result<Value> {
    let mut event: Value = serde_json::from_str(text)?;
    for (place, value) in changes {
        *event.pointer_mut(place).with_context(|| format!("no {place}"))? = value.clone();
    }
    Ok(event)
}

struct Scene {
    dir: TempDir,
}

impl Scene {
    fn new() -> Result<Self> {
        Ok(Self { dir: tempfile::tempdir()? })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, events: &[Value]) -> Result<String> {
        let mut text = String::new();
        for event in events {
            writeln!(text, "{event}")?;
        }
        let path = self.path(name);
        fs::write(&path, text)?;
        Ok(path.to_string_lossy().into_owned())
    }

    /// The page of these files.
    fn report(&self, files: &[&str]) -> Result<PathBuf> {
        let page = self.path("report.html");
        let output = command(&[&["report", "--force", "--output", &page.to_string_lossy()], files].concat())?;
        ensure!(output.status.success() && output.stdout.is_empty(), "{output:?}");
        Ok(page)
    }

    /// The elements of a page, as they are when its script has run.
    fn open(&self, page: &Path) -> Result<String> {
        self.browse(page, "--dump-dom")
    }

    fn browse(&self, page: &Path, option: &str) -> Result<String> {
        // A page that asks something waits for an answer.
        let output = Command::new("timeout")
            .arg("120")
            .arg(browser()?)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--enable-logging=stderr",
            ])
            .arg(format!("--user-data-dir={}", self.path("browser").display()))
            .arg(option)
            .arg(format!("file://{}", page.display()))
            .stdin(Stdio::null())
            .output()?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{errors}");
        let said: Vec<_> = errors.lines().filter(|line| line.contains("CONSOLE")).collect();
        ensure!(said.is_empty(), "the browser complains: {said:#?}");
        Ok(String::from_utf8(output.stdout)?)
    }

    /// The same when somebody did something in it. What forbids other scripts is taken out for that, so nothing but the page itself
    /// keeps what was recorded from being one.
    fn act(&self, page: &Path, script: &str) -> Result<String> {
        let text = fs::read_to_string(page)?;
        let (head, tail) = text.split_once("<meta http-equiv").context("the page has no policy")?;
        let (_, tail) = tail.split_once('>').context("its policy has no end")?;
        let (body, end) = tail.rsplit_once("</body>").context("the page has no end")?;
        let acted = self.path("acted.html");
        fs::write(&acted, format!("{head}{body}<script>{script}</script></body>{end}"))?;
        self.open(&acted)
    }
}

fn browser() -> Result<PathBuf> {
    const NAME: &str = "chromium-headless-shell";
    let system = fs::read_to_string("/etc/os-release").unwrap_or_default();
    if which(NAME).is_err() && system.lines().any(|line| line == "ID=ubuntu") {
        bail!(Skip("Ubuntu's packages have no browser"));
    }
    which(NAME)
}

fn has(dom: &str, words: &[&str]) -> Result<()> {
    for word in words {
        ensure!(dom.contains(word), "no `{word}` in {:.4000}", visible(dom));
    }
    Ok(())
}

/// Without the style, the data and the script.
fn visible(dom: &str) -> &str {
    let body = dom.split_once("<body").map_or(dom, |(_, body)| body);
    body.split_once("<script").map_or(body, |(body, _)| body)
}

/// A real daemon tells of a real program, whose name and file are as bad as names can be.
fn of_a_real_run() -> Result<()> {
    let scene = Scene::new()?;
    let (watched, name) = (scene.path("manifests"), "<img src=x onerror=document.title=1>\u{202e}\u{1b}[31m");
    fs::create_dir(&watched)?;
    fs::write(watched.join(name), "kind: Pod\n")?;
    let program = copy_to(&scene.path("<svg onload=document.title=1>"))?;
    let mut daemon = Daemon::fresh(&manifests(&watched, ""))?;
    must(&program, ["open", &watched.join(name).to_string_lossy(), "r"])?;
    daemon.wait_for("the alert", |event| event["kind"] == "alert")?;
    let (_, events) = daemon.stop(Signal::TERM)?;
    let page = scene.report(&[&scene.write("events.ndjson", &events)?])?;
    let dom = scene.open(&page)?;
    let seen = visible(&dom);
    has(
        seen,
        &[
            "&lt;img src=x onerror=document.title=1&gt;\\u{202e}\\u{1b}[31m",
            "&lt;svg onload=document.title=1&gt;",
        ],
    )?;
    has(seen, &["Events 1–", "static_pod_manifest.read", "None: from 1 to the last"])?;
    ensure!(!seen.contains("<img") && !seen.contains("<svg onload"), "{seen:.4000}");
    Ok(())
}

/// Each told by what is in it, wherever it comes from.
fn of_three_kinds() -> Result<()> {
    let scene = Scene::new()?;
    let run = scene.write(
        "run.ndjson",
        &[
            event(STARTED, &[("/seq", json!(1))])?,
            event(OPENED, &[("/seq", json!(2))])?,
            event(MANIFEST, &[("/seq", json!(3))])?,
            event(LOSS, &[("/seq", json!(7))])?,
        ],
    )?;
    let of_snapshot = [("/run_id", json!("00000000-0000-0000-0000-00000000aaaa")), ("/seq", json!(1))];
    let snapshot = scene.write("snapshot.ndjson", &[event(HELD, &of_snapshot)?])?;
    let of_posture = [("/run_id", json!("00000000-0000-0000-0000-00000000bbbb")), ("/seq", json!(1))];
    let posture = scene.write("posture.ndjson", &[event(FAILED, &of_posture)?])?;
    let page = scene.path("report.html");
    let output = Command::new(program()?)
        .args(["report", &run, "-", &posture, "-o"])
        .arg(&page)
        .stdin(fs::File::open(snapshot)?)
        .output()?;
    ensure!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let hash = Command::new("sha256sum").arg(&run).output()?;
    let hash = String::from_utf8(hash.stdout)?;
    let dom = scene.open(&page)?;
    let kinds = ["<td>run</td>", "<td>snapshot</td>", "<td>posture</td>", "<code>stdin</code>"];
    has(visible(&dom), &kinds)?;
    has(
        visible(&dom),
        &[hash.split(' ').next().unwrap_or_default(), "<td>4–6</td>", "opens through io_uring"],
    )?;
    has(visible(&dom), &["lost_ring_full", "never in the API", "kubelet.anonymous_auth", "/usr/sbin/sshd"])
}

/// With the policy of the page and without it, nothing recorded is more than text, also where the script shows it.
fn hostile_strings() -> Result<()> {
    let scene = Scene::new()?;
    let hostile = json!(HOSTILE);
    let opened = [
        ("/seq", json!(1)),
        ("/target/path", hostile.clone()),
        ("/process/exe", hostile.clone()),
        ("/process/comm", hostile.clone()),
        ("/process/args", json!([HOSTILE, HOSTILE])),
        ("/process/parent/exe", hostile.clone()),
        ("/verdict/detail", hostile.clone()),
        ("/rule/id", hostile.clone()),
        ("/node/name", hostile.clone()),
    ];
    let manifest = [
        ("/seq", json!(2)),
        ("/manifest/pods/0/name", hostile.clone()),
        ("/manifest/pods/0/images", json!([HOSTILE])),
        ("/target/path", hostile.clone()),
    ];
    let failed = [("/seq", json!(3)), ("/posture/detail", hostile.clone()), ("/posture/mitigation", hostile)];
    let events = [event(OPENED, &opened)?, event(MANIFEST, &manifest)?, event(FAILED, &failed)?];
    // A file's name is for others to choose, too.
    let page = scene.report(&[&scene.write("<b>\u{202e}.ndjson", &events)?])?;
    let click = "document.querySelector('button.open').click()";
    for dom in [scene.open(&page)?, scene.act(&page, click)?] {
        has(&dom, &[TITLE, "\\u{202e}\\u{2066}\\u{1b}[31m\\u{2028}", "&lt;script&gt;document.title"])?;
        let seen = visible(&dom);
        ensure!(!seen.contains("<img") && !seen.contains("<b>\\"), "{seen:.4000}");
        ensure!(!dom.contains(['\u{202e}', '\u{2066}', '\u{1b}', '\u{2028}']), "{seen:.4000}");
    }
    has(
        visible(&scene.act(&page, click)?),
        &["class=\"detail\"", "<dt>arguments</dt>", "<dt>started by</dt>"],
    )
}

/// Whatever got into the page all the same would not run, and would reach nobody.
fn policy_of_the_page() -> Result<()> {
    let scene = Scene::new()?;
    let page = scene.report(&[&scene.write("events.ndjson", &[event(OPENED, &[])?])?])?;
    let text = fs::read_to_string(&page)?;
    let broken = text.replacen("<header>", "<header><script>document.title='owned'</script>", 1);
    ensure!(broken != text, "the page has no header");
    fs::write(&page, broken)?;
    let refused = scene.open(&page).err().context("the browser runs a script that is not the page's")?;
    ensure!(refused.to_string().contains("Content Security Policy"), "{refused:?}");
    ensure!(scene.act(&page, "")?.contains("<title>owned</title>"), "without it, it does not run either");
    Ok(())
}

fn events(count: u64) -> Result<Vec<Value>> {
    let opened: Value = serde_json::from_str(OPENED)?;
    let one = |seq: u64| {
        let mut event = opened.clone();
        event["seq"] = json!(seq);
        event["time"] =
            json!(format!("2026-11-23T{:02}:{:02}:{:02}.000001Z", seq / 3600 % 24, seq / 60 % 60, seq % 60));
        event["target"]["path"] = json!(format!("/etc/kubernetes/pki/{}.key", seq % 1000));
        event["process"]["entity_id"] = json!(format!("boot:{}:1", seq % 5000));
        event["process"]["pid"] = json!(seq % 5000);
        if seq.is_multiple_of(10) {
            event["kind"] = json!("allowed");
            event["verdict"] = json!({"result": "allowed", "reason": "rule_matched", "detail": "rule `a`"});
        }
        event
    };
    Ok((1..=count).map(one).collect())
}

fn filters_and_pages() -> Result<()> {
    let scene = Scene::new()?;
    let page = scene.report(&[&scene.write("events.ndjson", &events(2500)?)?])?;
    let set = |id: &str, value: &str| {
        format!(
            "document.getElementById('{id}').value='{value}';document.getElementById('{id}').dispatchEvent(new Event('input'));"
        )
    };
    let click = |id: &str| format!("document.getElementById('{id}').click();");
    let cases = [
        (String::new(), "Events 1–100 of 2,500."),
        (click("nextpage"), "Events 101–200 of 2,500."),
        (click("lastpage") + &click("previous"), "Events 2,301–2,400 of 2,500."),
        (set("verdict", "allowed"), "Events 1–100 of 250 that match, of 2,500 in all."),
        (set("text", "PKI/7.key"), "Events 1–3 of 3 that match, of 2,500 in all."),
        (set("text", "sshd"), "Events 1–100 of 2,500"),
        (set("severity", "low"), "No event of 2,500 matches."),
        (set("door", "credential") + &set("text", "rule `a`"), "Events 1–100 of 250 that match"),
        (click("lastpage") + &set("text", "no such word"), "No event of 2,500 matches."),
    ];
    for (script, shown) in cases {
        let dom = scene.act(&page, &script)?;
        let found = dom.split_once("id=\"shown\"").and_then(|(_, rest)| rest.split_once("</p>"));
        let (found, _) = found.context("no number of events")?;
        ensure!(found.contains(shown), "no `{shown}` after {script}: {found}");
    }
    Ok(())
}

fn many_events() -> Result<()> {
    const COUNT: u64 = 100_000;
    let scene = Scene::new()?;
    let file = scene.write("events.ndjson", &events(COUNT)?)?;
    let begin = Instant::now();
    let page = scene.report(&[&file])?;
    let made = begin.elapsed();
    // Without the data, because to write that down again takes longer than to show it.
    let dom = scene.act(&page, "document.getElementById('data').remove()")?;
    has(visible(&dom), &["Events 1–100 of 100,000.", "Page 1 of 1,000", "/etc/kubernetes/pki/1.key"])?;
    let ready = dom.split_once("data-ready=\"").and_then(|(_, rest)| rest.split_once('"'));
    let (ready, _) = ready.context("the script did not come to its end")?;
    eprintln!(
        "report of {COUNT} events: made in {} ms, {} KiB, its first page is there after {ready} ms",
        made.as_millis(),
        fs::metadata(&page)?.len() / 1024
    );
    Ok(())
}

fn refused(output: &Output, code: i32, word: &str) -> Result<()> {
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(code) && output.stdout.is_empty(), "{output:?}");
    ensure!(stderr.lines().count() == 1 && stderr.contains(word), "no `{word}`: {stderr}");
    Ok(())
}

/// On paper there are as many events as on the first page of the timeline, and all of the rest.
fn prints() -> Result<()> {
    let scene = Scene::new()?;
    let page = scene.report(&[&scene.write("events.ndjson", &events(2500)?)?])?;
    let paper = scene.path("report.pdf");
    scene.browse(&page, &format!("--print-to-pdf={}", paper.display()))?;
    let paper = fs::read(paper)?;
    let pages = String::from_utf8_lossy(&paper).lines().filter(|line| line.ends_with("/Type /Page")).count();
    ensure!(paper.starts_with(b"%PDF-") && (3..30).contains(&pages), "{pages} pages");
    Ok(())
}

fn bad_lines() -> Result<()> {
    let scene = Scene::new()?;
    let (mixed, empty, none) = (scene.path("mixed"), scene.path("empty"), scene.path("none"));
    let good = event(OPENED, &[("/seq", json!(1))])?;
    fs::write(
        &mixed,
        [b"\xff\x00<i>\n", good.to_string().as_bytes(), b"\n{\"schema\":", &[b'['; 1000]].concat(),
    )?;
    fs::write(&empty, "")?;
    fs::write(&none, "14:14:40  INFO  watching 8 targets\n")?;
    let page = scene.path("report.html");
    let report = |files: &[&Path]| {
        let files: Vec<_> = files.iter().map(|file| file.to_string_lossy()).collect();
        let files: Vec<_> = files.iter().map(AsRef::as_ref).collect();
        command(&[&["report", "-o", &page.to_string_lossy()], files.as_slice()].concat())
    };
    refused(&report(&[&empty])?, 2, "no line of it is an event")?;
    refused_at_last(&report(&[&mixed, &none])?)?;
    refused(&report(&[&scene.path("absent")])?, 2, "absent: cannot be opened")?;
    refused(&report(&[scene.dir.path()])?, 2, "cannot be read")?;
    ensure!(!page.exists() && fs::read_dir(scene.dir.path())?.count() == 3, "something is left");
    let output = report(&[&mixed])?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success() && stderr.lines().count() == 2, "{output:?}");
    ensure!(stderr.contains("mixed:1: is no event") && stderr.contains("mixed:3: is no event"), "{stderr}");
    has(visible(&scene.open(&page)?), &["Lines that could not be used", "Events 1–1 of 1."])
}

/// The last line says why there is no report.
fn refused_at_last(output: &Output) -> Result<()> {
    let stderr = String::from_utf8_lossy(&output.stderr);
    let last = stderr.lines().last().unwrap_or_default();
    ensure!(output.status.code() == Some(2) && last.contains("no line of it is an event"), "{output:?}");
    Ok(())
}

/// It is there whole or not at all, for its owner alone, and replaces nothing that it was not told to.
fn output() -> Result<()> {
    let scene = Scene::new()?;
    let file = scene.write("events.ndjson", &[event(OPENED, &[])?])?;
    let (page, link, aim) = (scene.path("report.html"), scene.path("link"), scene.path("aim"));
    let report = |path: &Path, more: &[&str]| {
        command(&[&["report", &file, "-o", &path.to_string_lossy()], more].concat())
    };
    ensure!(report(&page, &[])?.status.success(), "no report");
    ensure!(fs::metadata(&page)?.permissions().mode() & 0o777 == 0o600, "others can read it");
    fs::write(&page, "mine")?;
    refused(&report(&page, &[])?, 2, "--force")?;
    ensure!(fs::read_to_string(&page)? == "mine", "it was replaced");
    ensure!(report(&page, &["--force"])?.status.success(), "it was not replaced");
    ensure!(fs::read_to_string(&page)?.contains(TITLE), "it is no page");
    fs::write(&aim, "mine")?;
    symlink(&aim, &link)?;
    refused(&report(&link, &["--force"])?, 2, "symbolic link")?;
    ensure!(fs::read_to_string(&aim)? == "mine", "the link was followed");
    refused(&report(Path::new(&file), &["--force"])?, 2, "what it is made of")?;
    refused(&report(scene.dir.path(), &["--force"])?, 2, "not a regular file")?;
    refused(&report(&scene.path("absent/report.html"), &[])?, 2, "No such file")?;
    ensure!(fs::read_dir(scene.dir.path())?.count() == 4, "something is left");
    Ok(())
}
