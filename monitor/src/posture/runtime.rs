//! Checks of the sockets of runtimes and of the datastore: who may connect, and whether they can be reached otherwise. None is connected to.

use std::path::{Path, PathBuf};

use rustix::fs::FileType;

use super::View;
use super::checks;
use super::finding::{Finding, named, of_node};
use super::place::{Below, Seen, is_absent, is_closed};
use super::settings::{Place, Setting, Settings, boolean};
use crate::event::Origin;
use crate::event::PostureResult::{Fail, Pass, Unknown, Warn};
use crate::model::Class;
use crate::running::dockerd;
use crate::running::document::Document;
use crate::running::found::{address, is_loopback};
use crate::running::process::Process;
use crate::running::program::Program;
use crate::target::What;

/// Docker's usual ports, without and with certificates.
const DOCKER: [u16; 2] = [2375, 2376];
const CONTAINERD_CONFIG: &str = "/etc/containerd/config.toml";

pub(super) fn check(view: &View<'_>) -> Vec<Finding> {
    vec![sockets(view), network(view)]
}

fn sockets(view: &View<'_>) -> Finding {
    let mut finding = Finding::new(&checks::RUNTIME_SOCKETS);
    let of_class =
        view.targets.iter().filter(|target| matches!(target.class, Class::RuntimeApi | Class::DatastoreApi));
    let mut paths: Vec<PathBuf> = Vec::new();
    for target in of_class {
        match &target.what {
            What::Socket(path) => paths.push(path.clone()),
            What::Sockets { base, pattern } => {
                let below = Below::of(view.root, base, Some(pattern));
                below.missing.into_iter().for_each(|why| finding.unknown(why));
                paths.extend(below.files);
            }
            What::Path(_) | What::Glob { .. } | What::Port { .. } => {}
        }
    }
    paths.sort();
    paths.dedup();
    for path in paths {
        match Seen::at(view.root, &path) {
            Ok(seen) if seen.kind == FileType::Socket => socket(view, &mut finding, &seen),
            Ok(seen) => {
                let what = format!("{} is no socket", named(&path));
                finding.add(Unknown, what, of_node(&path, "owner and mode", seen.shown()));
            }
            Err(error) if is_absent(&error) => {}
            Err(error) => finding.unknown(format!("{}: {error}", named(&path))),
        }
    }
    finding.none();
    finding
}

/// To connect is to write. Whoever may is as good as root.
fn socket(view: &View<'_>, finding: &mut Finding, seen: &Seen) {
    const ANYONE: u32 = 0o002;
    const GROUP: u32 = 0o020;
    let mut worst = Pass;
    let mut wrong = |result, what: String| {
        finding.say(result, format!("{} {what}", named(&seen.path)));
        worst = worst.max(result);
    };
    if seen.uid != 0 {
        wrong(Fail, format!("belongs to user {}", seen.uid));
    }
    let closed = is_closed(view.root, &seen.path);
    if seen.mode & ANYONE != 0 {
        let (result, how) = if closed { (Warn, ", but for a directory above it") } else { (Fail, "") };
        wrong(result, format!("may be connected to by anyone{how}"));
    }
    if seen.mode & GROUP != 0 && seen.gid != 0 {
        wrong(Warn, format!("may be connected to by group {}, which is as good as root", seen.gid));
    }
    for entry in seen.acl.iter().filter(|entry| entry.write) {
        let who = if entry.user { "user" } else { "group" };
        wrong(Fail, format!("may be connected to by {who} {} by its access control list", entry.id));
    }
    finding.show(worst, of_node(&seen.path, "owner and mode", seen.shown()));
    if worst == Pass {
        finding.say(Pass, "only root may connect");
    }
}

fn network(view: &View<'_>) -> Finding {
    let mut finding = Finding::new(&checks::RUNTIME_NETWORK);
    let mut any = false;
    let mut containerds: Vec<_> = view
        .processes
        .iter()
        .filter(|process| process.program == Program::Containerd)
        .map(|process| {
            let config = process.whole(process.flags.last(&["config", "c"]).unwrap_or(CONTAINERD_CONFIG));
            (Settings::new(format!("containerd[{}]", process.pid), Place::Process(process)), config)
        })
        .collect();
    if containerds.is_empty() {
        let settings = Settings::new("containerd".to_owned(), Place::Node(view.root));
        containerds.push((settings, PathBuf::from(CONTAINERD_CONFIG)));
    }
    for (mut settings, config) in containerds {
        any |= containerd(&mut finding, &mut settings, &config);
    }
    any |= docker(view, &mut finding);
    match view.listening {
        Err(why) => finding.unknown(why.clone()),
        Ok(listening) => {
            for listener in listening.iter().filter(|listener| DOCKER.contains(&listener.port)) {
                any = true;
                let what = if listener.ip.is_loopback() {
                    "whoever is on the node"
                } else {
                    "whoever reaches the node"
                };
                let result = if listener.port == DOCKER[0] { Fail } else { Warn };
                let at = of_node(listener.table.as_ref(), "listen", listener.to_string());
                finding.add(result, format!("{what} reaches port {}, which is Docker's", listener.port), at);
            }
        }
    }
    if any {
        finding.say(Pass, "runtimes have sockets of the node alone");
    } else {
        finding.none();
    }
    finding
}

/// Says whether there is one.
fn containerd(finding: &mut Finding, settings: &mut Settings<'_>, config: &Path) -> bool {
    const TCP: &str = "grpc.tcp_address";
    let is_running = matches!(settings.place, Place::Process(_));
    match settings.place.read(config) {
        Err(error) if is_absent(&error) => return is_running,
        _ => {}
    }
    let Some(document) = settings.read(config, Document::toml) else {
        settings.unreadable.drain(..).for_each(|why| finding.unknown(why));
        return true;
    };
    settings.unreadable.drain(..).for_each(|why| finding.unknown(why));
    if let Some(value) = document.text(TCP).filter(|value| !value.is_empty()) {
        let (value, file, key) = (value.to_owned(), Some(config.to_owned()), TCP.to_owned());
        let setting = Setting { value, origin: Origin::File, file, key };
        // With an authority, it asks for a certificate.
        let asks = document.text("grpc.tcp_tls_ca").is_some_and(|value| !value.is_empty());
        let (result, why) = if asks {
            (Warn, "containerd listens on the network, for whoever has a certificate")
        } else {
            (Fail, "containerd listens on the network, for anyone")
        };
        finding.setting(result, why, settings, TCP, Some(&setting));
    }
    true
}

/// Says whether there is one.
fn docker(view: &View<'_>, finding: &mut Finding) -> bool {
    let running: Vec<_> =
        view.processes.iter().filter(|process| process.program == Program::Dockerd).collect();
    for process in &running {
        let settings = Settings::new(format!("dockerd[{}]", process.pid), Place::Process(process));
        dockerd(finding, settings, &process.whole(dockerd::config(process)), Some(process));
    }
    let config = dockerd::usual_config();
    if running.is_empty() && view.is_there(config) != Ok(false) {
        dockerd(finding, Settings::new("dockerd".to_owned(), Place::Node(view.root)), config, None);
        return true;
    }
    !running.is_empty()
}

fn dockerd(finding: &mut Finding, mut settings: Settings<'_>, config: &Path, process: Option<&Process>) {
    let is_there = !settings.place.read(config).is_err_and(|error| is_absent(&error));
    let document = if is_there { settings.read(config, Document::yaml) } else { None };
    let document = document.unwrap_or_default();
    settings.unreadable.drain(..).for_each(|why| finding.unknown(why));
    let (hosts, of_flags) = match process {
        Some(process) => dockerd::hosts(process, &document),
        None => (document.list("hosts").into_iter().flatten().map(String::as_str).collect(), false),
    };
    let of_file = document.text("tlsverify").and_then(boolean);
    let of_flag = process.and_then(|process| process.flags.switch(&["tlsverify"])).and_then(boolean);
    let asks = of_flag.or(of_file).unwrap_or(false);
    for host in hosts.into_iter().filter(|host| host.starts_with("tcp:")) {
        let is_here = address(&host.replacen("tcp:", "http:", 1)).is_some_and(|(host, _)| is_loopback(host));
        let (result, why) = match (asks, is_here) {
            (true, _) => (Warn, "Docker listens on the network, for whoever has a certificate"),
            (false, true) => (Fail, "Docker listens for anyone on the node"),
            (false, false) => (Fail, "Docker listens on the network, for anyone"),
        };
        let setting = if of_flags {
            Setting::flag("host", host)
        } else {
            let (value, file, key) = (host.to_owned(), Some(config.to_owned()), "hosts".to_owned());
            Setting { value, origin: Origin::File, file, key }
        };
        finding.setting(result, why, &settings, "hosts", Some(&setting));
    }
}
