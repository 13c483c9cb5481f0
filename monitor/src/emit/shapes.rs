//! Tests of the formats of others: nothing of an event is lost, lines are short, the words are theirs.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::format::{Alerts, Shape};
use super::table::{Thing, row};
use super::writer::shaped;
use crate::event::{Event, Kind, LINE_MAX, Manifest, samples};
use crate::model::Severity;

const SHAPES: [(&str, Shape); 4] = [
    ("ecs", Shape::Ecs),
    ("falco", Shape::Falco),
    ("ocsf", Shape::Ocsf(Alerts::Activity)),
    ("ocsf-finding", Shape::Ocsf(Alerts::Finding)),
];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/formats").join(name)
}

fn read(name: &str) -> Value {
    serde_json::from_slice(&fs::read(fixture(name)).unwrap()).unwrap()
}

fn of(shape: Shape, event: &Event) -> Value {
    serde_json::from_slice(&shaped(&mut event.clone(), shape).unwrap()).unwrap()
}

/// Every event there can be.
fn events() -> Vec<(String, Event)> {
    let all = samples::all().into_iter().map(|(name, event)| (name.to_owned(), event));
    let mut events: Vec<_> = all.chain(samples::every()).collect();
    for (name, event) in events.clone() {
        if event.kind == Kind::Alert {
            let repeated = samples::context().repeated(event.clone(), 3, 5, 8);
            events.push((format!("{name}, repeated"), repeated));
            events.push((format!("{name}, before"), samples::context().held(event.clone(), 2)));
            let verdict = Some(samples::allowed());
            events.push((format!("{name}, allowed"), Event { kind: Kind::Allowed, verdict, ..event }));
        }
    }
    let blind = samples::context().canary(vec!["opens".into()], 10);
    let recovered = samples::context().canary(vec![], 10);
    let labels = [("env".to_owned(), "prod".to_owned())].into();
    let mut labelled = Event { labels, ..samples::hostile(b"/a\xff") };
    if let Some(process) = &mut labelled.process {
        std::sync::Arc::make_mut(process).euid = 33;
    }
    events.extend([("blind".into(), blind), ("recovered".into(), recovered), ("labelled".into(), labelled)]);
    events
}

/// `BYPASSD_UPDATE_FIXTURES=1` writes the files anew.
#[test]
fn events_are_as_they_were() {
    for (name, shape) in SHAPES {
        let name = format!("{name}.ndjson");
        let lines: String =
            samples::all().iter().map(|(_, event)| format!("{}\n", of(shape, event))).collect();
        golden(&name, &lines);
    }
    let mut lines = String::new();
    for (name, event) in samples::every() {
        let [ecs, falco, ocsf, _] = SHAPES.map(|(_, shape)| of(shape, &event));
        let words = |value: &Value| value.to_string().replace('"', "");
        lines += &format!(
            "{name}: {}; {} {} {}; {} {}; {} {}\n",
            event.rule.unwrap().id,
            words(&ecs["event"]["category"]),
            words(&ecs["event"]["type"]),
            words(&ecs["event"]["action"]),
            words(&ocsf["type_uid"]),
            words(&ocsf["activity_name"]),
            words(&falco["output_fields"]["evt.type"]),
            words(&falco["priority"]),
        );
    }
    golden("actions.txt", &lines);
}

fn golden(name: &str, text: &str) {
    if std::env::var_os("BYPASSD_UPDATE_FIXTURES").is_some() {
        fs::write(fixture(name), text).unwrap();
    }
    let golden = fs::read_to_string(fixture(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    for (now, then) in text.lines().zip(golden.lines()) {
        assert_eq!(now, then, "{name}");
    }
    assert_eq!(text.lines().count(), golden.lines().count(), "{name}");
}

/// The scalars of a value, as text, with where they are.
fn leaves(at: String, value: &Value, found: &mut Vec<(String, String)>) {
    match value {
        Value::Object(object) => {
            object.iter().for_each(|(key, value)| leaves(format!("{at}/{key}"), value, found));
        }
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(index, value)| leaves(format!("{at}/{index}"), value, found));
        }
        Value::String(text) => found.push((at, text.clone())),
        other => found.push((at, other.to_string())),
    }
}

#[test]
fn nothing_is_lost() {
    for (name, event) in events() {
        let native = serde_json::to_value(&event).unwrap();
        let mut wanted = Vec::new();
        leaves(String::new(), &native, &mut wanted);
        for (shape_name, shape) in SHAPES {
            let mut found = Vec::new();
            leaves(String::new(), &shape.of(native.clone()), &mut found);
            let whole: BTreeSet<_> = found.iter().map(|(_, value)| value.as_str()).collect();
            for (at, value) in &wanted {
                // Said in words of the format's own.
                let said = ["/target/direction", "/outcome/status"].contains(&at.as_str());
                // Of a list as text, of an image's parts.
                let inside = || match at.as_str() {
                    "/process/container/image" => {
                        value.split([':', '@']).all(|part| found.iter().any(|(_, text)| text.contains(part)))
                    }
                    _ => {
                        shape == Shape::Falco
                            && found.iter().any(|(_, text)| {
                                text.starts_with('[') && text.contains(&value.replace('\\', "\\\\"))
                            })
                    }
                };
                assert!(
                    said || whole.contains(value.as_str()) || inside(),
                    "{name} as {shape_name}: {at} {value}"
                );
            }
        }
    }
}

#[test]
fn ecs_has_the_fields_of_the_schema_with_their_types() {
    let text = fs::read_to_string(fixture("ecs-9.4.0-fields.txt")).unwrap();
    let known: Vec<_> =
        text.lines().filter(|line| !line.starts_with('#')).map(|line| line.split(' ')).collect();
    let known: Vec<[&str; 3]> = known
        .into_iter()
        .map(|mut words| [words.next().unwrap(), words.next().unwrap(), words.next().unwrap_or_default()])
        .collect();
    let mut used = BTreeSet::new();
    for (name, event) in events() {
        let event = of(Shape::Ecs, &event);
        let mut fields = Vec::new();
        flat(String::new(), &event, &mut fields);
        for (field, value) in fields {
            if field.starts_with("bypassd.") {
                continue;
            }
            let label = field.starts_with("labels.");
            let row = known.iter().find(|[known, ..]| *known == field || label && *known == "labels");
            let [field, kind, array] = row.unwrap_or_else(|| panic!("{name}: ECS has no {field}"));
            used.insert(*field);
            assert_eq!(value.is_array(), *array == "array", "{name}: {field}");
            let values = value.as_array().cloned().unwrap_or_else(|| vec![value]);
            for value in values {
                let fits = match *kind {
                    "keyword" | "wildcard" | "match_only_text" | "object" => value.is_string(),
                    "long" => value.is_u64(),
                    "float" => value.is_number(),
                    "date" => value.as_str().is_some_and(|text| text.parse::<jiff::Timestamp>().is_ok()),
                    "ip" => value.as_str().is_some_and(|text| text.parse::<std::net::IpAddr>().is_ok()),
                    _ => false,
                };
                assert!(fits, "{name}: {field} is {value}, not {kind}");
            }
        }
        allowed_values(&name, &event["event"]);
    }
    let unused: Vec<_> =
        known.iter().map(|[field, ..]| field).filter(|field| !used.contains(*field)).collect();
    // Of a hash there is none in the samples yet.
    assert!(unused.iter().all(|field| **field == "process.hash.sha256"), "{unused:?}");
}

fn flat(name: String, value: &Value, fields: &mut Vec<(String, Value)>) {
    let Value::Object(object) = value else { return fields.push((name, value.clone())) };
    for (key, value) in object {
        let name = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
        flat(name, value, fields);
    }
}

/// The values that ECS knows, and the types that it expects of each category.
/// <https://www.elastic.co/docs/reference/ecs/ecs-category-field-values-reference>
fn allowed_values(name: &str, event: &Value) {
    let list = |value: &Value| -> Vec<String> {
        value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    assert!(["alert", "event", "metric", "state"].contains(&event["kind"].as_str().unwrap()), "{name}");
    let types: &[&str] = match list(&event["category"])[..] {
        [ref one] if one == "file" => &["access", "change", "creation", "deletion", "info"],
        [ref one] if one == "network" => {
            &["access", "allowed", "connection", "denied", "end", "info", "protocol", "start"]
        }
        [ref one] if one == "process" => &["access", "change", "end", "info", "start"],
        [ref one] if one == "host" => &["access", "change", "end", "info", "start"],
        [ref one] if one == "configuration" => &["access", "change", "creation", "deletion", "info"],
        ref others => panic!("{name}: {others:?}"),
    };
    assert!(list(&event["type"]).iter().all(|one| types.contains(&one.as_str())), "{name}: {event:#}");
}

/// What the rules ask for that Elastic ships for these doors (elastic/detection-rules, rules/linux, September 2026).
#[test]
fn rules_that_elastic_ships_match() {
    let event = |name: &str| {
        let (_, event) = samples::all().into_iter().find(|(known, _)| *known == name).unwrap();
        of(Shape::Ecs, &event)
    };
    let socket = event("runtime_api.connect");
    // discovery_unusual_process_connection_to_container_runtime_socket
    assert_eq!(socket["host"]["os"]["type"], "linux");
    assert_eq!(socket["event"]["category"], json!(["network"]));
    assert_eq!(socket["event"]["action"], "connected-to");
    assert_eq!(socket["network"]["direction"], "egress");
    assert_eq!(socket["destination"]["address"], "/run/containerd/containerd.sock");
    assert_eq!(socket["process"]["executable"], "/usr/bin/cat");
    // lateral_movement_kubelet_api_connection_attempt_internal_ip
    let (_, port) =
        samples::every().into_iter().find(|(name, _)| name == "kubelet_api connect inet_socket").unwrap();
    let port = of(Shape::Ecs, &port);
    assert_eq!(port["event"]["type"], json!(["connection", "start"]));
    assert_eq!(port["event"]["action"], "connected-to");
    assert_eq!(port["network"]["direction"], "egress");
    assert_eq!(port["destination"]["ip"], "::1");
    assert!(port["destination"]["port"].is_u64());
    // credential_access_auditd_sensitive_cloud_and_host_identity_file_open, persistence_kubernetes_sensitive_file_activity
    let key = event("credential.open");
    assert_eq!(key["event"]["category"], json!(["file"]));
    assert_eq!(key["event"]["action"], "opened-file");
    assert_eq!(key["process"]["name"], "cat");
    assert_eq!(key["file"]["path"], "/etc/kubernetes/pki/etcd/healthcheck-client.key");
    assert_eq!(event("static_pod_manifest.create")["event"]["type"], json!(["creation"]));
    assert_eq!(event("static_pod_manifest.write")["file"]["extension"], "yaml");
}

#[test]
fn ocsf_follows_the_published_schema() {
    let definitions = read("ocsf-1.8.0.json");
    let validator = |class: &Value| {
        let class = format!("#/$defs/class_{class}");
        jsonschema::validator_for(&json!({"$ref": class, "$defs": definitions})).unwrap()
    };
    let validators: Vec<_> =
        [1001, 1007, 2003, 2004, 4001, 6002].map(|class| (class, validator(&json!(class)))).into();
    let mut classes = BTreeSet::new();
    for (name, event) in events() {
        for alerts in [Alerts::Activity, Alerts::Finding] {
            let event = of(Shape::Ocsf(alerts), &event);
            let (class, validator) =
                validators.iter().find(|(class, _)| event["class_uid"] == json!(class)).unwrap();
            classes.insert(*class);
            let errors: Vec<_> = validator
                .iter_errors(&event)
                .map(|error| format!("{}: {error}", error.instance_path()))
                .collect();
            assert!(errors.is_empty(), "{name}: {errors:#?}\n{event:#}");
            let uid = event["class_uid"].as_u64().unwrap() * 100 + event["activity_id"].as_u64().unwrap();
            assert_eq!(event["type_uid"], json!(uid), "{name}");
            assert_eq!(event["metadata"]["version"], "1.8.0");
        }
    }
    assert_eq!(classes.len(), validators.len(), "{classes:?}");
    // The schema is closed: a misspelt attribute is an error.
    let mut event = of(Shape::Ocsf(Alerts::Activity), &samples::all()[0].1);
    event["device"]["hostnaem"] = json!("x");
    assert!(!validators[0].1.is_valid(&event));
}

#[test]
fn a_check_is_a_compliance_finding_in_ocsf() {
    let event = |name: &str| {
        let (_, event) = samples::all().into_iter().find(|(known, _)| *known == name).unwrap();
        of(Shape::Ocsf(Alerts::Activity), &event)
    };
    let fail = event("posture.fail");
    assert_eq!(
        (&fail["class_uid"], &fail["type_uid"], &fail["severity"]),
        (&json!(2003), &json!(200301), &json!("Critical"))
    );
    assert_eq!(fail["compliance"]["status_id"], 3);
    assert_eq!(fail["compliance"]["control"], "kubelet.anonymous_auth");
    assert_eq!(fail["compliance"]["requirements"], json!(["4.2.1"]));
    assert_eq!(fail["compliance"]["standards"], json!(["CIS Kubernetes Benchmark 1.12"]));
    assert_eq!(fail["evidences"][0]["data"]["key"], "--anonymous-auth");
    assert!(fail["remediation"]["desc"].as_str().unwrap().starts_with("set authentication"));
    assert_eq!(event("posture.pass")["compliance"]["status_id"], 1);
    assert_eq!(event("posture.unknown")["compliance"]["status"], "Unknown");
}

#[test]
fn falco_fields_are_flat_and_its_words_known() {
    for (name, event) in events() {
        let event = of(Shape::Falco, &event);
        for field in ["time", "rule", "priority", "source", "hostname", "output"] {
            assert!(event[field].as_str().is_some_and(|text| !text.is_empty()), "{name}: {field}");
        }
        let priorities = ["Informational", "Notice", "Warning", "Error", "Critical"];
        assert!(priorities.contains(&event["priority"].as_str().unwrap()), "{name}");
        assert!(event["tags"].as_array().unwrap().iter().all(Value::is_string), "{name}");
        for (field, value) in event["output_fields"].as_object().unwrap() {
            assert!(
                value.is_string() || value.is_number() || value.is_boolean(),
                "{name}: {field} is {value}"
            );
        }
    }
}

/// Recorded events come from files that anyone may have written.
#[test]
fn what_is_no_event_is_no_reason_to_panic() {
    let odd = [
        json!(null),
        json!([1]),
        json!({"kind": 1, "action": "open", "target": {"type": "file", "path": 3}, "process": []}),
        json!({"action": "connect", "target": {"type": "inet_socket", "dst_ip": {}, "dst_port": "x"}, "attack": {}}),
        json!({"process": {"ancestors": [1, {"pid": []}], "args": "x", "container": {"image": []}}, "labels": 3}),
        json!({"action": "ptrace", "target": {"type": "process", "exe": []}, "verdict": 1, "time": "never"}),
    ];
    for (_, shape) in SHAPES {
        assert!(odd.iter().all(|odd| shape.of(odd.clone()).is_object()));
    }
}

#[test]
fn every_action_has_words_for_every_thing() {
    for (_, event) in samples::every() {
        for thing in Thing::ALL {
            let row = row(event.action.unwrap(), thing);
            assert!(!row.ecs.types.is_empty() && !row.falco.is_empty());
        }
    }
    let names: BTreeSet<_> = samples::every()
        .iter()
        .filter_map(|(_, event)| event.action)
        .map(crate::model::Action::name)
        .collect();
    let schema = schemars::schema_for!(crate::model::Action).to_value();
    let known: usize = schema["oneOf"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["enum"].as_array().map_or(1, Vec::len))
        .sum();
    assert_eq!(names.len(), known, "{names:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn lines_are_short_whatever_an_actor_chooses(text in proptest::collection::vec(any::<u8>(), 0..6000), control in any::<bool>()) {
        let text = if control { vec![1; text.len()] } else { text };
        let alert = samples::hostile(&text);
        let lossy = String::from_utf8_lossy(&text).into_owned();
        let started = crate::event::Lifecycle::Started(samples::started(&lossy));
        let started = samples::context().lifecycle(started, Severity::Info, lossy.clone());
        let manifest = samples::manifest(&lossy);
        let manifest = samples::context().manifest(alert.clone(), Manifest { pods: vec![manifest.pods[0].clone(); 9], ..manifest });
        for mut event in [alert, started, manifest] {
            for (_, shape) in SHAPES {
                let line = shaped(&mut event, shape).unwrap();
                prop_assert!(line.len() <= LINE_MAX, "{} bytes", line.len());
                prop_assert_eq!(line.iter().position(|byte| *byte == b'\n'), Some(line.len() - 1));
            }
        }
    }
}
