//! `bypassd explain --pid`: a running process as the daemon would see it, and what the rules say of it. It needs no kernel programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use uuid::Uuid;

use super::{CommandError, print};
use crate::access::{
    Access, Actor, Executable, FileObject, InetObject, Object, ObjectKey, Outcome, TargetId, UnixObject,
};
use crate::clock::{Clock, since_boot};
use crate::config::{self, Config, Rule, applies};
use crate::decide::{ExeTable, Policy, unit_of_node};
use crate::enrich;
use crate::event::text::{escaped, escaped_bytes};
use crate::event::{Agent, Context, Node};
use crate::exit::Exit;
use crate::identity::{Identities, Whose};
use crate::model::{Action, Backend, Class, Group};
use crate::node::{FIRST_PID_NS, Identity, Namespaces, Root, executables};
use crate::replay::{Recorded, suggest, suspect};
use crate::snapshot::{self, Wanted, namespaces_of, namespaces_of_node};
use crate::target::What;
use crate::verdict::Verdict;

/// Characters of a line that the process chooses.
const LINE_MAX: usize = 160;

pub(super) fn explain(pid: u32, policy: Option<&Path>) -> Result<Exit, CommandError> {
    let config = config::load(policy)?;
    let node = namespaces_of_node().map_err(CommandError::Root)?;
    let own = namespaces_of(std::process::id()).map_err(CommandError::Root)?;
    let root = Root::of_node(&Identity { pid, own, node }).map_err(CommandError::Root)?;
    let (actor, errors) = snapshot::describe(pid, &Wanted::default()).ok_or_else(|| CommandError::Event {
        name: format!("process {pid}"),
        what: "is not there; give the number of one that runs".to_owned(),
    })?;
    let whose = Identities::new(&root, &config.sockets(), true).of(&root, &actor, node);
    let rules: Vec<_> = config.rules.iter().map(|entry| entry.value.clone()).collect();
    let mut exes = ExeTable::new(&rules);
    executables::resolve_by_stat(&root, &mut exes);
    let is_node_file = executables::is_node_file(&root, &actor.exe);
    let seen = Seen { actor, whose, errors, node, is_node_file, root };
    print(&seen.explained(&config, &rules, &exes))
}

struct Seen {
    actor: Actor,
    whose: Whose,
    errors: Vec<String>,
    node: Namespaces,
    is_node_file: bool,
    root: Root,
}

/// What the rules say of one use of a class.
#[derive(PartialEq, Eq)]
struct Answer {
    is_allowed: bool,
    /// By rule, or why not by which rules.
    why: String,
}

impl Seen {
    fn explained(&self, config: &Config, rules: &[Rule], exes: &ExeTable) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _infallible = self.describe(&mut text).and_then(|()| self.decide(&mut text, config, rules, exes));
        text
    }

    fn describe(&self, out: &mut String) -> std::fmt::Result {
        let Self { actor, whose, errors, node, is_node_file, root: _ } = self;
        let name = if actor.exe.path.is_empty() { &actor.comm } else { &actor.exe.path };
        let unit = unit_of_node(&actor.cgroup).map_or("no unit of the node".to_owned(), escaped);
        let user = if actor.uid == actor.euid {
            format!("user {}", actor.uid)
        } else {
            format!("user {} (effective {})", actor.uid, actor.euid)
        };
        writeln!(out, "{}[{}]: {user}, {unit}", cut(&escaped_bytes(name)), actor.pid)?;
        let mut line = |what: &str, value: &str| writeln!(out, "  {what:<11} {}", cut(value));
        line("executable", &executable(&actor.exe, *is_node_file))?;
        let args = actor.args.iter().flatten().map(|arg| escaped_bytes(arg)).collect::<Vec<_>>().join(" ");
        if !args.is_empty() {
            line("arguments", &args)?;
        }
        line("container", &container(whose))?;
        let namespaces = [
            ("mnt", actor.mnt_ns, node.mnt),
            ("pid", actor.pid_ns, node.pid),
            ("net", actor.net_ns, node.net),
        ];
        let (own, others): (Vec<_>, Vec<_>) = namespaces.iter().partition(|(_, own, node)| own != node);
        let names =
            |list: &[&(&str, u32, u32)]| list.iter().map(|(name, ..)| *name).collect::<Vec<_>>().join(", ");
        let text = match (own.is_empty(), others.is_empty()) {
            (true, _) => "those of the node".to_owned(),
            (false, true) => "none is the node's".to_owned(),
            (false, false) => format!("{} of the node, {} not", names(&others), names(&own)),
        };
        line("namespaces", &text)?;
        let above = actor.ancestors.iter().map(|one| {
            let name = if one.exe.path.is_empty() { &one.comm } else { &one.exe.path };
            format!("{}[{}]", escaped_bytes(name), one.pid)
        });
        let above = above.collect::<Vec<_>>().join(" < ");
        line("started by", if above.is_empty() { "nobody that is known" } else { &above })?;
        if actor.traced {
            line("traced", "another process has control of it: no rule about it counts")?;
        }
        if node.pid != FIRST_PID_NS {
            line(
                "unknown",
                "/proc is not the node's here, but a container's: its first process is taken for the node's",
            )?;
        }
        errors.iter().chain(&whose.errors).try_for_each(|error| line("unknown", &escaped(error)))
    }

    /// Door by door, and what rule would open those that are closed.
    fn decide(&self, out: &mut String, config: &Config, rules: &[Rule], exes: &ExeTable) -> std::fmt::Result {
        let policy = Policy { rules, exes, node: self.node };
        writeln!(out, "\nAllowed by this policy, or not and by which rules that were tried:")?;
        let mut refused = None;
        for class in Class::ALL {
            let groups = [Group::Read, Group::Write, Group::Connect];
            let groups =
                groups.into_iter().filter(|group| applies(class, *group) && is_there(config, class, *group));
            let mut answers: Vec<(Answer, Vec<&str>)> = Vec::new();
            for group in groups {
                let access = self.access(class, group);
                let verdict = policy.decide(class, &access, &self.whose);
                let answer = answer(&policy, class, &access, &self.whose, &verdict);
                if !answer.is_allowed {
                    refused.get_or_insert((class, access, verdict));
                }
                match answers.iter_mut().find(|(known, _)| *known == answer) {
                    Some((_, groups)) => groups.push(group.name()),
                    None => answers.push((answer, vec![group.name()])),
                }
            }
            for (Answer { is_allowed, why }, groups) in answers {
                let yes = if is_allowed { "yes" } else { "no" };
                writeln!(out, "  {:<19} {:<14} {yes:<3} {why}", class.name(), groups.join(", "))?;
            }
        }
        let Some((class, access, verdict)) = refused else { return Ok(()) };
        let Some(recorded) = self.recorded(class, &access, verdict) else { return Ok(()) };
        match suggest(&recorded) {
            Ok(rule) => {
                if let Some(why) = suspect(&recorded) {
                    writeln!(out, "\nLook closely: {why}.")?;
                }
                writeln!(
                    out,
                    "\nIf it is expected, this under `allow` says so, with the targets and the access that it needs:"
                )?;
                let rule = Rule { targets: Vec::new(), access: None, ..rule };
                write!(
                    out,
                    "{}",
                    rule.to_yaml().replace("    targets: []\n", "    targets: []\n    access: []\n")
                )
            }
            Err(why) => writeln!(out, "\nNo rule should allow it more: {why}."),
        }
    }

    /// What it would be if the process did it.
    fn access(&self, class: Class, group: Group) -> Access {
        let file = |write: bool| {
            Object::File(FileObject {
                key: ObjectKey::default(),
                path_seen: Vec::new(),
                path_inside: Vec::new(),
                other: None,
                read: !write,
                write,
                directory: false,
            })
        };
        let (action, object) = match (group, class) {
            (Group::Read, _) => (Action::Open, file(false)),
            (Group::Write, _) => (Action::Write, file(true)),
            (Group::Connect | Group::Accept, Class::RuntimeApi) => {
                let (key, path_seen, path_named) = (ObjectKey::default(), Vec::new(), Vec::new());
                (
                    Action::Connect,
                    Object::UnixSocket(UnixObject { key, path_seen, peer_pid: None, path_named }),
                )
            }
            (Group::Connect | Group::Accept, _) => {
                let ip = Ipv4Addr::LOCALHOST.into();
                let (src_port, dst_port, net_ns) = (0, 0, self.actor.net_ns);
                let inet = InetObject { src_ip: ip, src_port, dst_ip: ip, dst_port, inbound: false, net_ns };
                (Action::Connect, Object::InetSocket(inet))
            }
        };
        let (boottime, target, outcome) = (since_boot(), TargetId(0), Outcome::Unknown);
        Access { boottime, target, action, object, outcome, actor: self.actor.clone(), truncated: false }
    }

    /// The same as an event would tell of it, and from there on it is one that was recorded.
    fn recorded(&self, class: Class, access: &Access, verdict: Verdict) -> Option<Recorded> {
        let backend = Backend::Syscall;
        let agent = Agent {
            version: env!("CARGO_PKG_VERSION"),
            backend: Some(backend),
            config_sha256: String::new(),
        };
        let context = Context {
            run_id: Uuid::nil(),
            node: Arc::new(Node::read(self.root.path())),
            agent: Arc::new(agent),
            clock: Clock::measure(),
            namespaces: self.node,
            severities: config::Severities::new(),
        };
        let facts = enrich::of_actor(&self.actor, self.whose.clone());
        let event = context.access(class, access, facts, verdict);
        Recorded::read(&serde_json::to_value(event).ok()?).ok()
    }
}

/// Manifests come from a port only where the policy names one.
fn is_there(config: &Config, class: Class, group: Group) -> bool {
    let of_class = || config.targets.iter().map(|entry| &entry.value).filter(|target| target.class == class);
    let has_port = || of_class().any(|target| matches!(target.what, What::Port { .. }));
    class != Class::StaticPodManifest || group != Group::Connect || has_port()
}

fn answer(policy: &Policy<'_>, class: Class, access: &Access, whose: &Whose, verdict: &Verdict) -> Answer {
    if let Some(rule) = &verdict.matched {
        return Answer { is_allowed: true, why: escaped(rule) };
    }
    let mut reasons: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for tried in policy.tried(class, access, whose) {
        if let Some((reason, _)) = tried.miss {
            let code = serde_json::to_value(reason).unwrap_or_default();
            reasons
                .entry(code.as_str().unwrap_or_default().to_owned())
                .or_default()
                .push(escaped(&tried.rule));
        }
    }
    let why = reasons.iter().map(|(code, rules)| format!("{code}: {}", rules.join(", ")));
    let why: Vec<_> = why.collect();
    let why = if why.is_empty() { "no rule is about it".to_owned() } else { why.join("; ") };
    Answer { is_allowed: !verdict.is_violation(), why }
}

fn executable(exe: &Executable, is_node_file: bool) -> String {
    let Some(key) = exe.key else { return "none: a thread of the kernel, or not to be read".to_owned() };
    let what = if exe.is_memfd() {
        "a file in memory that never had a name"
    } else if exe.deleted {
        "deleted or replaced since it started"
    } else if is_node_file {
        "the node's file of that path"
    } else {
        "not the node's file of that path"
    };
    format!(
        "{} (device {}:{}, inode {}), {what}",
        escaped_bytes(&exe.path),
        key.dev >> 20,
        key.dev & 0xf_ffff,
        key.ino
    )
}

fn container(whose: &Whose) -> String {
    let Whose { container, pod, proven, errors: _ } = whose;
    let pod = pod.as_ref().map(|pod| {
        let part = |part: &Option<String>| escaped(part.as_deref().unwrap_or("?"));
        format!("pod {}/{}", part(&pod.namespace), part(&pod.name))
    });
    let container = container.as_ref().map(|container| {
        let name = escaped(container.name.as_ref().unwrap_or(&container.id));
        let image = container.image.as_ref().map(|image| format!(" of image {}", escaped(image)));
        format!("container {name}{}", image.unwrap_or_default())
    });
    let parts: Vec<_> = container.into_iter().chain(pod).collect();
    match (parts.is_empty(), proven) {
        (true, _) => "none".to_owned(),
        (false, true) => format!("{}, as its runtime says", parts.join(" in ")),
        (false, false) => format!("{}, which is not proven", parts.join(" in ")),
    }
}

fn cut(text: &str) -> String {
    let more = if text.chars().nth(LINE_MAX).is_some() { "…" } else { "" };
    text.chars().take(LINE_MAX).chain(more.chars()).collect()
}
