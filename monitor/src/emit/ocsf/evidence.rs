//! Who did it and to what, where an activity has it and an evidence of a finding too.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::super::parts::{Parts, Tree, split};
use super::super::table::{OcsfClass, Thing};
use super::super::words;
use super::actor::actor;
use crate::model::Action;

pub(super) fn evidence(from: &mut Parts, class: OcsfClass) -> Tree {
    let mut to = Tree::default();
    if from.has("/process") || matches!(class, OcsfClass::FileSystemActivity | OcsfClass::ProcessActivity) {
        to.set("actor", actor(from));
    }
    match words::thing(from) {
        Some(thing @ (Thing::File | Thing::Mount | Thing::UnixSocket)) => file(from, thing, &mut to),
        Some(Thing::InetSocket) => connection(from, &mut to),
        Some(Thing::Process) => {
            to.put("process.pid", from.take("/target/pid"));
            if let Some(path) = from.take("/target/exe") {
                let (_, name) = split(path.as_str().unwrap_or_default());
                to.set("process.name", name);
                to.set("process.file", json!({"name": name, "path": path, "type_id": 1}));
            }
        }
        None => {}
    }
    to
}

fn file(from: &mut Parts, thing: Thing, to: &mut Tree) {
    let path = from.take("/target/path");
    let (directory, name) = split(path.as_ref().and_then(Value::as_str).unwrap_or_default());
    to.set("file.name", name);
    to.set_text("file.parent_folder", directory);
    let (id, kind) = match (thing, words::action(from)) {
        (Thing::UnixSocket, _) => (5, "Local Socket"),
        (_, Some(Action::Symlink)) => (7, "Symbolic Link"),
        // A file or a directory: the event does not say.
        _ => (0, "Unknown"),
    };
    to.set("file.type_id", id);
    to.set("file.type", kind);
    to.put("file.path", path);
    to.put("file.uid", from.take_as_text("/target/ino"));
    if let Some(path) = from.take("/target/to") {
        let (_, name) = split(path.as_str().unwrap_or_default());
        to.set("file_result", json!({"name": name, "path": path, "type_id": 0}));
    }
}

fn connection(from: &mut Parts, to: &mut Tree) {
    let is_v6 = from.text("/target/dst_ip").parse().is_ok_and(|ip: IpAddr| ip.is_ipv6());
    for (path, pointer) in [("src_endpoint", "/target/src"), ("dst_endpoint", "/target/dst")] {
        // An endpoint without an address is none.
        if let Some(ip) = from.take(&format!("{pointer}_ip")) {
            to.set(&format!("{path}.ip"), ip);
            to.put(&format!("{path}.port"), from.take(&format!("{pointer}_port")));
        }
    }
    let inbound = from.take("/target/direction").is_some_and(|direction| direction == "inbound");
    let (id, direction) = if inbound { (1, "Inbound") } else { (2, "Outbound") };
    to.set("connection_info.direction_id", id);
    to.set("connection_info.direction", direction);
    to.set("connection_info.protocol_num", 6);
    to.set("connection_info.protocol_name", "tcp");
    to.set("connection_info.protocol_ver_id", if is_v6 { 6 } else { 4 });
}
