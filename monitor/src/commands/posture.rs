//! `bypassd posture`: whether the node's side doors are shut as far as they can be. It needs no kernel programs.

use std::io::{self, IsTerminal as _};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use uuid::{NoContext, Timestamp, Uuid};

use super::{CommandError, complain, print};
use crate::cli::{FailOn, Posture, PostureFormat};
use crate::clock::Clock;
use crate::config::{self, Config, detect};
use crate::emit::{self, Alerts, Format, Shape};
use crate::event::{self, Agent, Context, PostureResult};
use crate::exit::Exit;
use crate::node::{FIRST_PID_NS, Namespaces, Root};
use crate::posture::{self, Finding, table};
use crate::running::process::{self, All};
use crate::running::{self, Known};
use crate::snapshot::namespaces_of_node;

/// Files of others may be on file systems that never answer.
const LOOK: Duration = Duration::from_secs(60);

pub(super) fn posture(opts: &Posture) -> Result<Exit, CommandError> {
    let config = config::load(opts.config.as_deref())?;
    let root = Root::here().map_err(CommandError::Root)?;
    let machine = event::Node::read(root.path());
    let (sha256, severities) = (config.sha256.clone(), config.severities.clone());
    let Looked { findings, is_node, profile } = look(root, config)?;
    if !is_node {
        complain("nothing here tells of a Kubernetes node, so no check is about this machine");
    } else if !rustix::process::geteuid().is_root() {
        complain("not run as root: what only root may read is unknown");
    }
    let exit = exit(opts.fail_on, &findings);
    let about = match profile {
        Some((profile, evidence)) => format!("{}: a node of {profile} ({evidence})", machine.name),
        None if is_node => format!("{}: a node of a distribution that is not known", machine.name),
        None => format!("{}: no node of Kubernetes", machine.name),
    };
    let context = Context {
        run_id: Uuid::new_v4(),
        node: Arc::new(machine),
        agent: Arc::new(Agent { version: env!("CARGO_PKG_VERSION"), backend: None, config_sha256: sha256 }),
        clock: Clock::measure(),
        namespaces: Namespaces::default(),
        severities,
    };
    match (opts.format, io::stdout().is_terminal()) {
        (Some(PostureFormat::Text), _) | (None, true) => {
            let colour = matches!(Format::text(false), Format::Text(look) if look.colour);
            let found: Vec<_> =
                findings.into_iter().map(|finding| (finding.check.rule, finding.posture())).collect();
            print(&table::table(&about, &found, colour))?;
        }
        (Some(PostureFormat::Ocsf), _) => write(&context, findings, Some(Shape::Ocsf(Alerts::Activity)))?,
        (Some(PostureFormat::Native) | None, _) => write(&context, findings, None)?,
    }
    Ok(exit)
}

fn exit(fail_on: FailOn, findings: &[Finding]) -> Exit {
    let least = match fail_on {
        FailOn::Warn => PostureResult::Warn,
        FailOn::Fail => PostureResult::Fail,
    };
    if findings.iter().any(|finding| finding.result() >= least) { Exit::Findings } else { Exit::Fine }
}

fn write(context: &Context, findings: Vec<Finding>, shape: Option<Shape>) -> Result<(), CommandError> {
    for (finding, seq) in findings.into_iter().zip(1..) {
        let (rule, severity) = (finding.check.rule, finding.check.severity);
        let mut event = context.posture(rule, severity, finding.posture());
        event.seq = seq;
        event.id = Uuid::new_v7(Timestamp::now(NoContext));
        let failed = |error: serde_json::Error| CommandError::Io {
            doing: "cannot write an event as JSON",
            source: error.into(),
        };
        let line = emit::line(&mut event, shape).map_err(failed)?;
        print(&String::from_utf8_lossy(&line))?;
    }
    Ok(())
}

struct Looked {
    findings: Vec<Finding>,
    is_node: bool,
    /// The distribution, and what tells of it.
    profile: Option<(&'static str, String)>,
}

/// On a thread of its own, so that no file can keep the command for ever.
fn look(root: Root, config: Config) -> Result<Looked, CommandError> {
    let (sender, receiver) = mpsc::channel();
    let thread = thread::Builder::new().name("posture".to_owned()).spawn(move || {
        // Nobody waits any more when it took too long.
        let _late = sender.send(looked(&root, config));
    });
    let ended = |source| CommandError::Io { doing: "cannot look at the node", source };
    thread.map_err(ended)?;
    receiver.recv_timeout(LOOK).map_err(|_| {
        ended(io::Error::other("the look did not end; some file system of the node may not answer"))
    })
}

fn looked(root: &Root, mut config: Config) -> Looked {
    let sockets = config.sockets();
    let mut hidden = hidden();
    let all = process::all(root, &sockets).unwrap_or_else(|error| {
        hidden = Some(format!("processes are not known: {error}"));
        All::default()
    });
    if config.discover {
        let mut known = Known::new(config.targets.iter().map(|entry| entry.value.clone()).collect());
        config.add_found(known.add(&running::say(&all.believed)).added);
    }
    let detected = detect::detect(root).into_iter().next();
    let rules: Vec<_> = config.rules.iter().map(|entry| entry.value.clone()).collect();
    let node = posture::Node {
        root,
        targets: config.targets.iter().map(|entry| entry.value.clone()).collect(),
        rules: &rules,
        profile: detected.as_ref().map(|detected| detected.profile),
        processes: &all.believed,
        others: &all.others,
        too_many: all.too_many,
        hidden,
        listening: &posture::listening(),
        containers: &posture::containers(root, &config.sockets()),
    };
    let is_node = node.is_node();
    let findings = posture::look(node);
    Looked { findings, is_node, profile: detected.map(|detected| (detected.profile, detected.evidence)) }
}

/// Why there may be programs that are not seen.
fn hidden() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("only root sees whose processes they are".to_owned());
    }
    match namespaces_of_node() {
        Ok(first) if first.pid != FIRST_PID_NS => {
            Some("/proc is not the node's here, but a container's".to_owned())
        }
        Ok(_) => None,
        Err(error) => Some(format!("process 1 may not be looked at: {error}")),
    }
}
