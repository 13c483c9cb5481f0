//! Events in the shape of Falco's alerts, for Falcosidekick and what else reads those. `output_fields` is flat; what has no field of
//! Falco's is in it as `bypassd.*`.

use std::net::{IpAddr, SocketAddr};

use serde_json::{Map, Value, json};

use super::parts::{Parts, image, joined, split};
use super::table::{Thing, badness, row};
use super::words;
use crate::model::Action;

pub(super) fn event(event: Value) -> Value {
    let mut from = Parts::new(event);
    let mut fields = Map::new();
    let priority = badness(words::severity(&from)).falco;
    let tags = tags(&from);
    let rule = from.take("/rule/name").unwrap_or_else(|| {
        let (kind, state) = (from.text("/kind"), words::state(&from));
        format!("bypassd {kind} {state}").trim_end().into()
    });
    what(&mut from, &mut fields);
    process(&mut from, &mut fields);
    container(&mut from, &mut fields);
    target(&mut from, &mut fields);
    let head = [
        ("time", from.take("/time")),
        ("rule", Some(rule)),
        ("priority", Some(priority.into())),
        ("source", Some("bypassd".into())),
        ("hostname", from.take("/node/name")),
        ("output", from.take("/message")),
        ("tags", Some(json!(tags))),
    ];
    flatten("bypassd", from.rest().into(), &mut fields);
    let mut alert: Map<String, Value> =
        head.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    alert.insert("output_fields".to_owned(), fields.into());
    alert.into()
}

/// Sorted, as Falco has them.
fn tags(from: &Parts) -> Vec<String> {
    let mut tags = vec!["bypassd".to_owned(), from.text("/kind").to_owned()];
    tags.extend(Some(from.text("/target/class")).filter(|class| !class.is_empty()).map(str::to_owned));
    for index in 0..from.len("/attack") {
        for id in ["technique", "tactic"] {
            tags.push(from.text(&format!("/attack/{index}/{id}")).to_owned());
        }
    }
    tags.sort_unstable();
    tags.dedup();
    tags
}

fn put(fields: &mut Map<String, Value>, name: &str, value: Option<Value>) {
    fields.extend(value.map(|value| (name.to_owned(), value)));
}

fn what(from: &mut Parts, fields: &mut Map<String, Value>) {
    if let Some((action, thing)) = words::action(from).zip(words::thing(from)) {
        put(fields, "evt.type", Some(row(action, thing).falco.into()));
        let flag = match action {
            Action::Open => Some("evt.is_open_read"),
            Action::Create => Some("evt.is_open_create"),
            Action::Write => Some("evt.is_open_write"),
            _ => None,
        };
        fields.extend(flag.map(|flag| (flag.to_owned(), true.into())));
    }
    let failed = match from.text("/outcome/status") {
        "success" => Some(false.into()),
        "failure" => Some(true.into()),
        _ => None,
    };
    put(fields, "evt.failed", failed);
}

fn process(from: &mut Parts, fields: &mut Map<String, Value>) {
    for (name, pointer) in [
        ("proc.pid", "/process/pid"),
        ("thread.tid", "/process/tid"),
        ("proc.name", "/process/comm"),
        ("proc.exepath", "/process/exe"),
        ("proc.exe_ino", "/process/exe_ino"),
        ("proc.is_exe_from_memfd", "/process/exe_memfd"),
        ("proc.cwd", "/process/cwd"),
        ("user.uid", "/process/uid"),
        ("user.loginuid", "/process/auid"),
        ("group.gid", "/process/gid"),
        ("proc.ppid", "/process/parent/pid"),
        ("proc.pname", "/process/parent/comm"),
        ("proc.pexepath", "/process/parent/exe"),
    ] {
        put(fields, name, from.take(pointer));
    }
    put(fields, "proc.cmdline", from.get("/process/args").and_then(joined));
    for index in 0..from.len("/process/ancestors") {
        let pointer = format!("/process/ancestors/{index}");
        // The process itself is 0, its parent 1.
        let level = index + 2;
        put(fields, &format!("proc.apid[{level}]"), from.take(&format!("{pointer}/pid")));
        put(fields, &format!("proc.aname[{level}]"), from.take(&format!("{pointer}/comm")));
        put(fields, &format!("proc.aexepath[{level}]"), from.take(&format!("{pointer}/exe")));
    }
}

fn container(from: &mut Parts, fields: &mut Map<String, Value>) {
    let on_node = from.get("/process/host_ns/mnt").is_some_and(|on_node| on_node == true);
    let host = (on_node && !from.has("/process/container")).then(|| "host".into());
    put(fields, "container.id", from.take("/process/container/id").or(host));
    put(fields, "container.name", from.take("/process/container/name"));
    let reference = from.text("/process/container/image");
    let (repository, tag, digest) = image(reference);
    for (name, text) in [
        ("container.image", reference),
        ("container.image.repository", repository),
        ("container.image.tag", tag),
        ("container.image.digest", digest),
    ] {
        put(fields, name, (!text.is_empty()).then(|| text.into()));
    }
    let _moved = from.take("/process/container/image");
    put(fields, "k8s.ns.name", from.take("/process/pod/namespace"));
    put(fields, "k8s.pod.name", from.take("/process/pod/name"));
    put(fields, "k8s.pod.uid", from.take("/process/pod/uid"));
}

fn target(from: &mut Parts, fields: &mut Map<String, Value>) {
    match words::thing(from) {
        Some(thing @ (Thing::File | Thing::Mount | Thing::UnixSocket)) => {
            let path = from.take("/target/path");
            let (directory, name) = split(path.as_ref().and_then(Value::as_str).unwrap_or_default());
            put(fields, "fd.directory", Some(directory.into()));
            put(fields, "fd.filename", Some(name.into()));
            put(fields, "fd.name", path);
            put(fields, "fd.ino", from.take("/target/ino"));
            let kind = if thing == Thing::UnixSocket { "unix" } else { "file" };
            put(fields, "fd.type", Some(kind.into()));
        }
        Some(Thing::InetSocket) => {
            let client = address(from, "/target/src");
            let server = address(from, "/target/dst");
            put(fields, "fd.name", Some(format!("{client}->{server}").into()));
            let is_v6 = from.text("/target/dst_ip").parse().is_ok_and(|ip: IpAddr| ip.is_ipv6());
            put(fields, "fd.type", Some(if is_v6 { "ipv6" } else { "ipv4" }.into()));
            put(fields, "fd.l4proto", Some("tcp".into()));
            for (name, pointer) in [
                ("fd.cip", "/target/src_ip"),
                ("fd.cport", "/target/src_port"),
                ("fd.sip", "/target/dst_ip"),
                ("fd.sport", "/target/dst_port"),
            ] {
                put(fields, name, from.take(pointer));
            }
        }
        Some(Thing::Process) | None => {}
    }
}

/// Empty if it is not known.
fn address(from: &Parts, pointer: &str) -> String {
    let ip = from.text(&format!("{pointer}_ip")).parse::<IpAddr>();
    let port = from.get(&format!("{pointer}_port")).and_then(Value::as_u64).unwrap_or_default();
    ip.map(|ip| SocketAddr::new(ip, u16::try_from(port).unwrap_or_default()).to_string()).unwrap_or_default()
}

/// Objects become names with dots. Lists become JSON text, because outputs of Falcosidekick drop what is neither text nor a number.
fn flatten(name: &str, value: Value, fields: &mut Map<String, Value>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                flatten(&format!("{name}.{key}"), value, fields);
            }
        }
        Value::Array(list) => {
            fields.insert(name.to_owned(), Value::Array(list).to_string().into());
        }
        scalar => {
            fields.insert(name.to_owned(), scalar);
        }
    }
}
