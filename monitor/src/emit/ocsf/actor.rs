//! Who did it.

use serde_json::{Value, json};

use super::super::parts::{Parts, Tree, image, joined, split};
use super::super::words;
use super::milliseconds;

/// The process of the event as an actor.
pub(super) fn actor(from: &mut Parts) -> Value {
    if !from.has("/process") {
        // Only if the line had to become very short: the classes demand somebody.
        return json!({"app_name": "unknown"});
    }
    let mut process = common(from, "/process");
    process.put("ptid", from.take("/process/tid"));
    process.put("created_time", milliseconds(from.text("/process/start")));
    process.put("cmd_line", from.get("/process/args").and_then(joined));
    process.put("working_directory", from.take("/process/cwd"));
    process.put("euid", from.take("/process/euid"));
    process.put("auid", from.take("/process/auid"));
    process.put("group.uid", from.take_as_text("/process/gid"));
    process.put("session.uid", from.take_as_text("/process/session_id"));
    container(from, &mut process);
    if from.has("/process/parent") {
        process.set("parent_process", common(from, "/process/parent"));
    }
    let ancestors: Vec<_> = (0..from.len("/process/ancestors"))
        .map(|index| ancestor(from, &format!("/process/ancestors/{index}")))
        .collect();
    if !ancestors.is_empty() {
        let parent = process_entity(&process);
        process.set("ancestry", parent.into_iter().chain(ancestors).collect::<Vec<_>>());
    }
    json!({"process": Value::from(process)})
}

fn common(from: &mut Parts, pointer: &str) -> Tree {
    let mut process = Tree::default();
    process.set("name", words::name(from, pointer));
    process.put("pid", from.take(&format!("{pointer}/pid")));
    process.put("uid", from.take(&format!("{pointer}/entity_id")));
    process.put("user.uid", from.take_as_text(&format!("{pointer}/uid")));
    executable(from, pointer, &mut process);
    process
}

fn executable(from: &mut Parts, pointer: &str, process: &mut Tree) {
    let Some(path) = from.take(&format!("{pointer}/exe")) else { return };
    let (directory, name) = split(path.as_str().unwrap_or_default());
    process.set("file.name", name);
    process.set_text("file.parent_folder", directory);
    process.set("file.type_id", 1);
    process.put("file.uid", from.take_as_text(&format!("{pointer}/exe_ino")));
    process.put("file.is_deleted", from.take(&format!("{pointer}/exe_deleted")));
    if let Some(hash) = from.take(&format!("{pointer}/exe_sha256")) {
        process.set("file.hashes", json!([{"algorithm_id": 3, "algorithm": "SHA-256", "value": hash}]));
    }
    process.set("file.path", path);
}

/// The first of the ancestry is the parent, which has more to it beside.
fn process_entity(process: &Tree) -> Option<Value> {
    let parent = process.get("parent_process")?;
    let mut entity = Tree::default();
    for name in ["pid", "uid", "name"] {
        entity.put(name, parent.get(name).cloned());
    }
    entity.put("path", parent.pointer("/file/path").cloned());
    Some(entity.into())
}

fn ancestor(from: &mut Parts, pointer: &str) -> Value {
    let mut entity = Tree::default();
    entity.set("name", words::name(from, pointer));
    entity.put("pid", from.take(&format!("{pointer}/pid")));
    entity.put("uid", from.take(&format!("{pointer}/entity_id")));
    entity.put("path", from.take(&format!("{pointer}/exe")));
    entity.into()
}

fn container(from: &mut Parts, process: &mut Tree) {
    if !from.has("/process/container") {
        return;
    }
    process.put("container.uid", from.take("/process/container/id"));
    process.put("container.name", from.take("/process/container/name"));
    process.put("container.runtime", from.take("/process/container/runtime"));
    if let Some(reference) = from.take("/process/container/image") {
        let (name, ..) = image(reference.as_str().unwrap_or_default());
        process.set("container.image.name", name);
        process.set("container.image.uid", reference);
    }
    if from.has("/process/pod") {
        process.set("container.orchestrator", "Kubernetes");
        // A static pod's is a hash, which is none to OCSF.
        if from.text("/process/pod/uid").len() == "00000000-0000-0000-0000-000000000000".len() {
            process.put("container.pod_uuid", from.take("/process/pod/uid"));
        }
    }
}
