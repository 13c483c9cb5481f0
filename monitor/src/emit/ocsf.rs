//! Events of the Open Cybersecurity Schema Framework: what was done, of File System, Network or Process Activity, with the profile
//! `security_control` saying that it is an alert; on demand alerts as Detection Findings. What has no attribute there is in `unmapped`.

mod actor;
mod evidence;

use jiff::Timestamp;
use serde_json::{Value, json};

use self::evidence::evidence;
use super::format::Alerts;
use super::parts::{Parts, Tree};
use super::table::{self, OTHER, Ocsf, OcsfClass, badness, row};
use super::words;

pub(super) fn event(event: Value, alerts: Alerts) -> Value {
    let (mut from, mut to) = (Parts::new(event), Tree::default());
    let what = what(&from, alerts);
    let (class, uid) = (what.class, what.class.uid());
    to.set("class_uid", uid);
    to.set("class_name", class.name());
    to.set("category_uid", uid / 1000);
    to.set("activity_id", what.activity);
    to.set_text("activity_name", what.name);
    to.set("type_uid", uid * 100 + what.activity);
    let (severity_id, severity) = badness(words::severity(&from)).ocsf;
    to.set("severity_id", severity_id);
    to.set("severity", severity);
    control(&mut from, &mut to);
    let found = evidence(&mut from, class);
    match class {
        OcsfClass::DetectionFinding => {
            finding(&mut from, &mut to);
            let found = if found.is_empty() { json!({"data": {}}) } else { found.into() };
            to.set("evidences", json!([found]));
        }
        OcsfClass::ComplianceFinding => {
            finding(&mut from, &mut to);
            compliance(&mut from, &mut to);
        }
        OcsfClass::ApplicationLifecycle => {
            to.set("app", product(&from));
            to.merge(found);
        }
        OcsfClass::FileSystemActivity | OcsfClass::NetworkActivity | OcsfClass::ProcessActivity => {
            status(&mut from, &mut to);
            to.merge(found);
        }
    }
    metadata(&mut from, &mut to);
    machine(&mut from, &mut to);
    to.put("message", from.take("/message"));
    to.put("count", from.take("/count"));
    to.put("start_time", milliseconds(from.text("/first_time")));
    to.put("end_time", milliseconds(from.text("/last_time")));
    let rest = from.rest();
    to.put("unmapped", (!rest.is_empty()).then_some(rest.into()));
    to.into()
}

fn what(from: &Parts, alerts: Alerts) -> Ocsf {
    let other = |class, activity, name| Ocsf { class, activity, name };
    if let Some((action, thing)) = words::action(from).zip(words::thing(from)) {
        if alerts == Alerts::Finding && words::is_violation(from) {
            let (activity, name) = if from.has("/follows") { (2, "Update") } else { (1, "Create") };
            return other(OcsfClass::DetectionFinding, activity, name);
        }
        let what = row(action, thing).ocsf;
        // A failed connection is none that was opened.
        return match (what, from.get("/outcome/errno").and_then(Value::as_i64)) {
            (Ocsf { class: class @ OcsfClass::NetworkActivity, activity: 1, .. }, Some(errno)) => {
                let refused = errno == i64::from(libc::ECONNREFUSED);
                let (activity, name) = if refused { (5, "Refuse") } else { (4, "Fail") };
                other(class, activity, name)
            }
            (what, _) => what,
        };
    }
    if from.text("/kind") == "posture" {
        return other(OcsfClass::ComplianceFinding, 1, "Create");
    }
    let (activity, name) = match words::state(from) {
        "started" => (3, "Start"),
        "stopping" => (4, "Stop"),
        "reloaded" => (8, "Update"),
        "reload_failed" => (OTHER, "Failed update"),
        "target_armed" => (OTHER, "Target armed"),
        "target_lost" => (OTHER, "Target lost"),
        "snapshot_taken" => (OTHER, "Snapshot taken"),
        "heartbeat" => (OTHER, "Heartbeat"),
        "loss" => (OTHER, "Loss"),
        "blind" => (OTHER, "Blind"),
        "recovered" => (OTHER, "Recovered"),
        _ => (OTHER, "Other"),
    };
    other(OcsfClass::ApplicationLifecycle, activity, name)
}

/// The profile `security_control`: the daemon looks on and never interferes.
fn control(from: &mut Parts, to: &mut Tree) {
    let alert = words::is_violation(from) || matches!(words::state(from), "loss" | "blind");
    to.set("is_alert", alert);
    to.set("action_id", 3);
    to.set("action", "Observed");
    let (id, disposition) = if alert { (19, "Alert") } else { (17, "Logged") };
    to.set("disposition_id", id);
    to.set("disposition", disposition);
    let attacks: Vec<_> = (0..from.len("/attack")).map(|index| attack(from, index)).collect();
    to.put("attacks", (!attacks.is_empty()).then_some(Value::Array(attacks)));
    let _moved = from.take("/attack");
    if from.has("/rule") {
        to.put("policy.uid", from.get("/rule/id").cloned());
        to.put("policy.name", from.get("/rule/name").cloned());
    }
}

fn attack(from: &Parts, index: usize) -> Value {
    let technique = from.text(&format!("/attack/{index}/technique"));
    let mut attack = Tree::default();
    attack.set("version", table::ATTACK);
    attack.set("tactic.uid", from.text(&format!("/attack/{index}/tactic")));
    attack.set("technique.uid", technique.split_once('.').map_or(technique, |(parent, _)| parent));
    attack.put("sub_technique.uid", technique.contains('.').then(|| technique.into()));
    attack.into()
}

/// The title and the id of the finding; one that adds to another has its id.
fn finding(from: &mut Parts, to: &mut Tree) {
    let uid = from.take("/follows").or_else(|| from.get("/id").cloned());
    to.put("finding_info.uid", uid);
    let title = match from.text("/rule/name") {
        "" => from.text("/message"),
        name => name,
    };
    to.set("finding_info.title", title);
    to.put("finding_info.created_time", milliseconds(from.text("/time")));
    if from.has("/rule/id") {
        to.set("finding_info.analytic.type_id", 1);
        to.set("finding_info.analytic.type", "Rule");
        to.put("finding_info.analytic.uid", from.get("/rule/id").cloned());
        to.put("finding_info.analytic.name", from.get("/rule/name").cloned());
    }
    to.put("status_detail", from.take("/verdict/detail"));
}

/// What was checked, and what came of it.
fn compliance(from: &mut Parts, to: &mut Tree) {
    // The same at the next look, so that whoever keeps findings sees what became of this one.
    let machine = match from.text("/node/machine_id") {
        "" => from.text("/node/name"),
        id => id,
    };
    to.set("finding_info.uid", format!("{machine}/{}", from.text("/rule/id")));
    let (id, status) = match from.text("/posture/result") {
        "pass" => (1, "Pass"),
        "warn" => (2, "Warning"),
        "fail" => (3, "Fail"),
        "not_applicable" => (OTHER, "Not applicable"),
        _ => (0, "Unknown"),
    };
    to.set("compliance.status_id", id);
    to.set("compliance.status", status);
    to.set_text("compliance.control", from.text("/rule/id"));
    to.put("compliance.status_detail", from.take("/posture/detail"));
    if let Some(cis) = from.take("/posture/cis") {
        to.set("compliance.standards", json!([table::CIS]));
        to.set("compliance.requirements", cis);
    }
    to.put("remediation.desc", from.take("/posture/mitigation"));
    let evidence = from.take("/posture/evidence");
    let evidence = evidence.as_ref().and_then(Value::as_array).filter(|list| !list.is_empty());
    to.put("evidences", evidence.map(|list| list.iter().map(|data| json!({"data": data})).collect()));
}

fn status(from: &mut Parts, to: &mut Tree) {
    let (id, status) = match from.text("/outcome/status") {
        "success" => (1, "Success"),
        "failure" => (2, "Failure"),
        _ => (0, "Unknown"),
    };
    to.set("status_id", id);
    to.set("status", status);
    let _moved = from.take("/outcome/status");
    to.put("status_code", from.take_as_text("/outcome/errno"));
    to.put("status_detail", from.take("/verdict/detail"));
}

fn metadata(from: &mut Parts, to: &mut Tree) {
    // Milliseconds are all that `time` has.
    to.set("time", milliseconds(from.text("/time")).unwrap_or_else(|| 0.into()));
    to.put("metadata.original_time", from.take("/time"));
    to.set("metadata.version", table::OCSF);
    to.set("metadata.profiles", json!(["container", "host", "linux/linux_users", "security_control"]));
    to.put("metadata.uid", from.take("/id"));
    to.put("metadata.sequence", from.take("/seq"));
    to.put("metadata.event_code", from.take("/rule/id"));
    let _moved = from.take("/rule/name");
    to.set("metadata.product", product(from));
    to.put("metadata.is_truncated", from.take("/truncated"));
    let _moved = from.take("/agent/version");
}

fn product(from: &Parts) -> Value {
    let mut product = Tree::default();
    product.set("name", "bypassd");
    product.set("vendor_name", "bypassd");
    product.put("version", from.get("/agent/version").cloned());
    product.into()
}

fn machine(from: &mut Parts, to: &mut Tree) {
    to.put("device.hostname", from.take("/node/name"));
    to.set("device.type_id", 1);
    to.set("device.type", "Server");
    to.put("device.uid", from.take("/node/machine_id"));
    to.put("device.boot_uid", from.take("/node/boot_id"));
    to.set("device.os.name", "Linux");
    to.set("device.os.type_id", 200);
    to.put("device.os.kernel_release", from.take("/node/kernel"));
}

/// Since 1970.
fn milliseconds(time: &str) -> Option<Value> {
    time.parse::<Timestamp>().ok().map(|time| time.as_millisecond().into())
}
