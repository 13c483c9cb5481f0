//! Events as Elastic Common Schema has them. What has no field there is under `bypassd.*`.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::parts::{Parts, Tree, image, joined, split};
use super::table::{self, Thing, badness, row};
use super::words;

pub(super) fn event(event: Value) -> Value {
    let (mut from, mut to) = (Parts::new(event), Tree::default());
    to.set("ecs.version", table::ECS);
    to.put("@timestamp", from.take("/time"));
    to.put("message", from.take("/message"));
    to.put("labels", from.take("/labels"));
    what(&mut from, &mut to);
    rule(&mut from, &mut to);
    machine(&mut from, &mut to);
    process(&mut from, &mut to);
    container(&mut from, &mut to);
    target(&mut from, &mut to);
    for (key, value) in from.rest() {
        to.set(&format!("bypassd.{key}"), value);
    }
    to.into()
}

fn what(from: &mut Parts, to: &mut Tree) {
    let kind = match (from.text("/kind"), words::state(from)) {
        ("alert", _) | ("health", "loss" | "blind") => "alert",
        ("snapshot" | "posture", _) => "state",
        ("health", "heartbeat") => "metric",
        _ => "event",
    };
    to.set("event.kind", kind);
    to.set("event.module", "bypassd");
    to.set("event.dataset", format!("bypassd.{}", from.text("/kind")));
    match words::action(from).zip(words::thing(from)) {
        Some((action, thing)) => {
            let row = row(action, thing).ecs;
            to.set("event.category", json!([row.category]));
            to.set("event.type", json!(row.types));
            to.set("event.action", row.action);
        }
        None if from.text("/kind") == "posture" => {
            to.set("event.category", json!(["configuration"]));
            to.set("event.type", json!(["info"]));
        }
        None => {
            to.set("event.category", json!(["host"]));
            to.set("event.type", json!(["info"]));
            to.set_text("event.action", &words::state(from).replace('_', "-"));
        }
    }
    to.put("event.id", from.take("/id"));
    to.put("event.sequence", from.take("/seq"));
    let ecs = badness(words::severity(from)).ecs;
    to.set("event.severity", ecs);
    to.set("event.risk_score", ecs);
    to.put("event.outcome", from.take("/outcome/status"));
    to.put("error.code", from.take_as_text("/outcome/errno"));
    to.put("event.reason", from.take("/verdict/detail"));
    to.put("event.start", from.take("/first_time"));
    to.put("event.end", from.take("/last_time"));
}

fn rule(from: &mut Parts, to: &mut Tree) {
    if let Some(id) = from.take("/rule/id") {
        to.set("event.code", id.clone());
        to.set("rule.id", id);
        to.set("rule.ruleset", "bypassd");
        to.set_text("rule.category", from.text("/target/class"));
    }
    to.put("rule.name", from.take("/rule/name"));
    // The pairs stay where they are: here, nothing says which technique is for which tactic.
    let (mut tactics, mut techniques, mut subtechniques) = (Vec::new(), Vec::new(), Vec::new());
    for index in 0..from.len("/attack") {
        let technique = from.text(&format!("/attack/{index}/technique"));
        let (parent, sub) = technique.split_once('.').unwrap_or((technique, ""));
        add(&mut techniques, parent);
        add(&mut subtechniques, if sub.is_empty() { "" } else { technique });
        add(&mut tactics, from.text(&format!("/attack/{index}/tactic")));
    }
    if !techniques.is_empty() {
        to.set("threat.framework", "MITRE ATT&CK");
        to.set("bypassd.attack_version", table::ATTACK);
    }
    for (path, ids) in [
        ("threat.tactic.id", tactics),
        ("threat.technique.id", techniques),
        ("threat.technique.subtechnique.id", subtechniques),
    ] {
        to.put(path, (!ids.is_empty()).then(|| json!(ids)));
    }
}

fn add(list: &mut Vec<String>, text: &str) {
    if !text.is_empty() && !list.iter().any(|known| known == text) {
        list.push(text.to_owned());
    }
}

fn machine(from: &mut Parts, to: &mut Tree) {
    let name = from.take("/node/name");
    to.put("host.hostname", name.clone());
    to.put("host.name", name);
    to.put("host.id", from.take("/node/machine_id"));
    to.put("host.boot.id", from.take("/node/boot_id"));
    to.put("host.os.kernel", from.take("/node/kernel"));
    to.set("host.os.type", "linux");
    to.set("agent.type", "bypassd");
    to.put("agent.ephemeral_id", from.take("/run_id"));
    let version = from.take("/agent/version");
    to.put("agent.version", version.clone());
    to.put("observer.version", version);
    to.set("observer.vendor", "bypassd");
    to.set("observer.product", "bypassd");
    to.set("observer.type", "sensor");
}

fn process(from: &mut Parts, to: &mut Tree) {
    if !from.has("/process") {
        return;
    }
    to.put("process.pid", from.take("/process/pid"));
    to.put("process.thread.id", from.take("/process/tid"));
    to.put("process.entity_id", from.take("/process/entity_id"));
    to.put("process.start", from.take("/process/start"));
    // The thread's own name is anyone's choice; rules ask for that of the executable.
    to.set("process.name", words::name(from, "/process"));
    to.put("process.thread.name", from.take("/process/comm"));
    to.put("process.executable", from.take("/process/exe"));
    to.put("process.hash.sha256", from.take("/process/exe_sha256"));
    if let Some(args) = from.take("/process/args") {
        to.put("process.command_line", joined(&args));
        to.put("process.args", Some(args));
    }
    to.put("process.working_directory", from.take("/process/cwd"));
    to.put("process.real_group.id", from.take_as_text("/process/gid"));
    let (uid, euid) = (from.take_as_text("/process/uid"), from.take_as_text("/process/euid"));
    if uid != euid {
        to.put("user.effective.id", euid.clone());
    }
    to.put("user.id", uid.clone());
    to.put("process.real_user.id", uid);
    to.put("process.user.id", euid);
    if from.has("/process/parent") {
        to.set("process.parent.name", words::name(from, "/process/parent"));
        to.put("process.parent.thread.name", from.take("/process/parent/comm"));
        to.put("process.parent.pid", from.take("/process/parent/pid"));
        to.put("process.parent.entity_id", from.take("/process/parent/entity_id"));
        to.put("process.parent.executable", from.take("/process/parent/exe"));
        to.put("process.parent.real_user.id", from.take_as_text("/process/parent/uid"));
    }
}

fn container(from: &mut Parts, to: &mut Tree) {
    to.put("container.id", from.take("/process/container/id"));
    to.put("container.name", from.take("/process/container/name"));
    to.put("container.runtime", from.take("/process/container/runtime"));
    if let Some(reference) = from.take("/process/container/image") {
        let (name, tag, digest) = image(reference.as_str().unwrap_or_default());
        to.set_text("container.image.name", name);
        to.put("container.image.tag", (!tag.is_empty()).then(|| json!([tag])));
        to.put("container.image.hash.all", (!digest.is_empty()).then(|| json!([digest])));
    }
    if from.has("/process/pod") {
        to.set("orchestrator.type", "kubernetes");
        to.set("orchestrator.resource.type", "pod");
        to.put("orchestrator.namespace", from.take("/process/pod/namespace"));
        to.put("orchestrator.resource.name", from.take("/process/pod/name"));
        to.put("orchestrator.resource.id", from.take("/process/pod/uid"));
    }
}

fn target(from: &mut Parts, to: &mut Tree) {
    match words::thing(from) {
        Some(Thing::UnixSocket) if words::action(from).is_some_and(words::is_connection) => {
            to.put("destination.address", from.take("/target/path"));
            to.set("network.direction", "egress");
        }
        Some(Thing::File | Thing::Mount | Thing::UnixSocket) => {
            let path = from.take("/target/path");
            let (directory, name) = split(path.as_ref().and_then(Value::as_str).unwrap_or_default());
            to.set_text("file.directory", directory);
            to.set_text("file.name", name);
            // A name that begins with its only dot has none.
            let extension = name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty());
            to.set_text("file.extension", extension.map_or("", |(_, extension)| extension));
            to.put("file.path", path);
            to.put("file.inode", from.take_as_text("/target/ino"));
        }
        Some(Thing::InetSocket) => {
            let mut addresses = Vec::new();
            for (pointer, path) in [("/target/src", "source"), ("/target/dst", "destination")] {
                if let Some(ip) = from.take(&format!("{pointer}_ip")) {
                    to.set(&format!("{path}.address"), ip.clone());
                    to.set(&format!("{path}.ip"), ip.clone());
                    add(&mut addresses, ip.as_str().unwrap_or_default());
                }
                to.put(&format!("{path}.port"), from.take(&format!("{pointer}_port")));
            }
            let is_v6 =
                addresses.last().and_then(|ip| ip.parse::<IpAddr>().ok()).is_some_and(|ip| ip.is_ipv6());
            to.set("network.type", if is_v6 { "ipv6" } else { "ipv4" });
            to.set("network.transport", "tcp");
            let inbound = from.take("/target/direction").is_some_and(|direction| direction == "inbound");
            to.set("network.direction", if inbound { "ingress" } else { "egress" });
            to.set("related.ip", json!(addresses));
        }
        Some(Thing::Process) | None => {}
    }
}
