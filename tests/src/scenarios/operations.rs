//! How those who keep the daemon running ask how it is: over HTTP, and systemd over its socket.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::trials;
use crate::actor::{act, shell};
use crate::daemon::{Daemon, command, manifests};
use crate::event::expect;
use crate::node::{free_port, wait_until, which};

pub fn all() -> Vec<Trial> {
    trials(
        "operations",
        &[
            ("pages", pages),
            ("address_in_use", address_in_use),
            ("no_more_alerts_than_wanted", no_more_alerts_than_wanted),
            ("each_repetition_is_told", each_repetition_is_told),
            ("nothing_to_watch", nothing_to_watch),
            ("metrics_are_as_prometheus_wants_them", metrics_are_as_prometheus_wants_them),
            ("scraped", scraped),
            ("alert_rules", alert_rules),
            ("notifies", notifies),
            ("unit", unit),
        ],
    )
}

/// The status line, head and body of an answer.
pub fn get(address: SocketAddr, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

pub fn is_ready(address: SocketAddr) -> bool {
    get(address, "/readyz").is_ok_and(|answer| answer.starts_with("HTTP/1.1 200 "))
}

/// A daemon that serves its pages there.
pub fn served(policy: &str) -> Result<(Daemon, SocketAddr)> {
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
    let daemon = Daemon::start_with(Some(policy), &["--http", &address.to_string()])?;
    Ok((daemon, address))
}

fn pages() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("etcd.yaml");
    fs::write(&path, "kind: Pod\n")?;
    let (mut daemon, address) = served(&manifests(dir.path(), ""))?;
    wait_until("the daemon to be ready", || is_ready(address))?;
    ensure!(get(address, "/livez")?.starts_with("HTTP/1.1 200 "));
    act(["open", &path.to_string_lossy(), "r"])?;
    daemon.alert()?;
    let line = "bypassd_alerts_total{rule=\"static_pod_manifest.read\",severity=\"low\"} 1";
    wait_until("the alert to be counted", || {
        get(address, "/metrics").is_ok_and(|page| page.lines().any(|known| known == line))
    })
    .with_context(|| get(address, "/metrics").unwrap_or_default())?;
    let metrics = get(address, "/metrics")?;
    for line in
        ["bypassd_targets{class=\"static_pod_manifest\",state=\"armed\"} 1", "bypassd_canary_missing 0"]
    {
        ensure!(metrics.lines().any(|known| known == line), "no {line} in {metrics}");
    }
    ensure!(metrics.contains("bypassd_hook_attached{hook="), "{metrics}");
    daemon.finish().map(drop)
}

fn address_in_use() -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?.to_string();
    let output = command(&["run", "--http", &address])?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(4), "{}: {stderr}", output.status);
    ensure!(output.stdout.is_empty(), "it says it started");
    for word in [address.as_str(), "--http"] {
        ensure!(stderr.contains(word), "no {word} in {stderr}");
    }
    Ok(())
}

/// What is beyond the limit is counted, in the events and in the metrics.
fn no_more_alerts_than_wanted() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("etcd.yaml");
    fs::write(&path, "kind: Pod\n")?;
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
    let listen = address.to_string();
    let args = ["--alerts-per-minute", "2", "--http", &listen];
    let mut daemon = Daemon::start_with(Some(&manifests(dir.path(), "")), &args)?;
    for _ in 0..5 {
        act(["open", &path.to_string_lossy(), "r"])?;
    }
    // Another detection has a limit of its own.
    act(["open", &path.to_string_lossy(), "w"])?;
    for action in ["open", "open", "write"] {
        expect(&daemon.alert()?, &json!({"action": action}))?;
    }
    let line = "bypassd_alerts_left_out_total{rule=\"static_pod_manifest.read\"} 3";
    wait_until("the alerts to be counted", || {
        get(address, "/metrics").is_ok_and(|page| page.lines().any(|known| known == line))
    })?;
    let (_, events) = daemon.stop(Signal::TERM)?;
    let is_alert = |event: &&Value| event["kind"] == "alert" && event["follows"].is_null();
    let alerts: Vec<_> = events.iter().filter(is_alert).collect();
    ensure!(alerts.len() == 4, "{alerts:#?}");
    expect(alerts[3], &json!({"action": "open", "count": 3}))?;
    ensure!(
        alerts[3]["message"].to_string().contains("3 alerts of this detection were left out"),
        "{:#}",
        alerts[3]
    );
    Ok(())
}

/// What one process does again is counted, unless each time is wanted.
fn each_repetition_is_told() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("etcd.yaml");
    fs::write(&path, "kind: Pod\n")?;
    for (window, counts) in [("0s", vec![None, None, None]), ("1m", vec![None, Some(2)])] {
        let mut daemon = Daemon::start_with(Some(&manifests(dir.path(), "")), &["--repeat-window", window])?;
        shell(&format!("exec 3<{0}; exec 3<{0}; exec 3<{0}", path.display()))?;
        daemon.alert()?;
        let (_, events) = daemon.stop(Signal::TERM)?;
        let alerts = events.iter().filter(|event| event["kind"] == "alert");
        let seen: Vec<_> = alerts.map(|event| event["count"].as_u64()).collect();
        ensure!(seen == counts, "{window}: {seen:?}");
    }
    Ok(())
}

/// Who watches nothing is alive, and not ready.
fn nothing_to_watch() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (daemon, address) = served(&manifests(&dir.path().join("not-there"), ""))?;
    let answer = get(address, "/readyz")?;
    ensure!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    ensure!(answer.contains("no target is there"), "{answer}");
    ensure!(get(address, "/livez")?.starts_with("HTTP/1.1 200 "));
    fs::create_dir(dir.path().join("not-there"))?;
    wait_until("the daemon to be ready", || is_ready(address))?;
    daemon.finish().map(drop)
}

fn metrics_are_as_prometheus_wants_them() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (daemon, address) = served(&manifests(dir.path(), ""))?;
    let answer = get(address, "/metrics")?;
    let (_, metrics) = answer.split_once("\r\n\r\n").context("no body")?;
    let mut promtool = Command::new(which("promtool")?)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    promtool.stdin.take().context("no stdin")?.write_all(plain(metrics).as_bytes())?;
    let output = promtool.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {said}\n{metrics}", output.status);
    ensure!(said.is_empty(), "{said}");
    daemon.finish().map(drop)
}

/// The older format that promtool reads: there, the name of a counter ends in what OpenMetrics adds to its samples.
fn plain(metrics: &str) -> String {
    let counters: Vec<_> = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter"))
        .map(str::to_owned)
        .collect();
    let plain = |line: &str| {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some(word @ ("TYPE" | "HELP")), Some(name), Some(rest))
                if counters.iter().any(|c| c == name) =>
            {
                format!("# {word} {name}_total {rest}\n")
            }
            (Some("#"), Some("EOF" | "UNIT"), ..) => String::new(),
            _ => format!("{line}\n"),
        }
    };
    metrics.lines().map(plain).collect()
}

struct Prometheus(Child);

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

/// A real Prometheus takes what is served, and answers a question about it.
fn scraped() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (daemon, address) = served(&manifests(dir.path(), ""))?;
    let files = tempfile::tempdir()?;
    let config = files.path().join("prometheus.yml");
    fs::write(
        &config,
        format!(
            "global: {{scrape_interval: 1s}}\nscrape_configs: [{{job_name: bypassd, static_configs: [{{targets: ['{address}']}}]}}]\n"
        ),
    )?;
    let own = SocketAddr::from(([127, 0, 0, 1], free_port()?));
    let log = fs::File::create(files.path().join("log"))?;
    let _prometheus = Prometheus(
        Command::new(which("prometheus")?)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", files.path().join("data").display()))
            .arg(format!("--web.listen-address={own}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?,
    );
    let asked = |query: &str| -> Result<Value> {
        let answer = get_closed(own, &format!("/api/v1/query?query={query}"))?;
        let (_, body) = answer.split_once("\r\n\r\n").context("no body")?;
        Ok(serde_json::from_str(body)?)
    };
    let has = |query: &str, wanted: &str| {
        asked(query).is_ok_and(|answer| answer["data"]["result"][0]["value"][1] == wanted)
    };
    wait_until("Prometheus to have scraped", || has("up", "1"))
        .with_context(|| fs::read_to_string(files.path().join("log")).unwrap_or_default())?;
    ensure!(has("bypassd_targets%7Bstate=%22armed%22%7D", "1"), "{:#}", asked("bypassd_targets")?);
    let records = asked("bypassd_kernel_records_total")?;
    ensure!(records["data"]["result"][0].is_object(), "{records:#}");
    let served = get(address, "/metrics")?;
    for expression in dashboard()? {
        let answer = asked(&escaped(&expression))?;
        ensure!(answer["status"] == "success", "{expression}: {answer:#}");
        let names = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let mut own = names.filter(|name| name.starts_with("bypassd_") || name.starts_with("process_"));
        let unknown = own.find(|name| !served.contains(&format!("\n# TYPE {} ", family(name))));
        ensure!(unknown.is_none(), "{expression}: nothing is called {unknown:?}");
    }
    daemon.finish().map(drop)
}

/// The expressions of the dashboard that is shipped, with what Grafana puts in.
fn dashboard() -> Result<Vec<String>> {
    let text = fs::read_to_string(shipped("prometheus").join("dashboard.json"))?;
    let dashboard: Value = serde_json::from_str(&text)?;
    let panels = dashboard["panels"].as_array().context("no panels")?;
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let expressions: Vec<_> = targets
        .filter_map(|target| target["expr"].as_str())
        .map(|text| text.replace("$__rate_interval", "1m").replace("$instance", ".*"))
        .collect();
    ensure!(expressions.len() >= panels.len(), "a panel asks nothing");
    Ok(expressions)
}

/// What a sample's name is without what its type adds to it.
fn family(name: &str) -> &str {
    ["_total", "_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name)
}

fn escaped(query: &str) -> String {
    query
        .bytes()
        .map(
            |byte| {
                if byte.is_ascii_alphanumeric() {
                    char::from(byte).to_string()
                } else {
                    format!("%{byte:02x}")
                }
            },
        )
        .collect()
}

/// As `get`, of a server that would keep the connection.
fn get_closed(address: SocketAddr, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// The alerting rules that are shipped are right, and fire when they should.
fn alert_rules() -> Result<()> {
    for (check, file) in [("check", "alerts.yaml"), ("test", "alerts.test.yaml")] {
        let file = shipped("prometheus").join(file);
        let output = Command::new(which("promtool")?).args([check, "rules"]).arg(&file).output()?;
        let said = [output.stdout, output.stderr].concat();
        ensure!(output.status.success(), "{}: {}", file.display(), String::from_utf8_lossy(&said));
    }
    Ok(())
}

fn shipped(part: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(part)
}

fn notifies() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path)?;
    socket.set_read_timeout(Some(Duration::from_secs(60)))?;
    let told = |wanted: &str| -> Result<String> {
        let mut buffer = [0; 4096];
        loop {
            let length = socket.recv(&mut buffer).with_context(|| format!("waiting for {wanted}"))?;
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if text.lines().any(|line| line == wanted) {
                return Ok(text);
            }
        }
    };
    let watched = dir.path().join("manifests");
    fs::create_dir(&watched)?;
    let path = path.to_string_lossy().into_owned();
    let envs = [("NOTIFY_SOCKET", path.as_str()), ("WATCHDOG_USEC", "2000000")];
    let daemon = Daemon::start_in(Some(&manifests(&watched, "")), &[], &envs)?;
    let ready = told("READY=1")?;
    ensure!(ready.contains("STATUS=watching 1 targets"), "{ready}");
    told("WATCHDOG=1")?;
    told("WATCHDOG=1")?;
    kill_process(Pid::from_raw(daemon.pid().try_into()?).context("no pid")?, Signal::HUP)?;
    ensure!(told("RELOADING=1")?.contains("MONOTONIC_USEC="));
    ensure!(told("READY=1")?.contains("STATUS=the policy was read again"));
    let (status, _) = daemon.stop(Signal::TERM)?;
    ensure!(status.success(), "{status}");
    told("STOPPING=1").map(drop)
}

/// systemd finds nothing to complain about, and as little exposed as can be.
fn unit() -> Result<()> {
    let unit = shipped("systemd").join("bypassd.service");
    let dir = tempfile::tempdir()?;
    // The program has to be where the unit says, or systemd says that it is not.
    let text = fs::read_to_string(&unit)?
        .replace("/usr/local/bin/bypassd", &crate::daemon::program()?.to_string_lossy());
    let copy = dir.path().join("bypassd.service");
    fs::write(&copy, text)?;
    let analyze = |args: &[&str]| -> Result<String> {
        let output = Command::new(which("systemd-analyze")?).args(args).arg(&copy).output()?;
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        ensure!(output.status.success(), "systemd-analyze {}: {said}", args.join(" "));
        Ok(said)
    };
    let said = analyze(&["verify", "--man=no"])?;
    ensure!(!said.contains("bypassd.service"), "{said}");
    analyze(&["security", "--offline=true", "--threshold=40", "--no-pager"]).map(drop)
}
