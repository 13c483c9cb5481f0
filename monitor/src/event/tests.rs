use std::fs;
use std::path::Path;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::samples::{self, HOST, access, actor, context, file, hostile, started, violation};
use super::*;
use crate::access::Access;
use crate::model::Class;

fn parsed(mut event: Event) -> Value {
    serde_json::from_slice(&line(&mut event).unwrap()).unwrap()
}

fn errors(validator: &jsonschema::Validator, event: &Value) -> Vec<String> {
    validator.iter_errors(event).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

/// What an event looks like is a contract. `BYPASSD_UPDATE_FIXTURES=1` writes the files anew, for `git diff` to show what became of it.
#[test]
fn events_are_as_they_were_and_follow_the_schema() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/events");
    let strict = jsonschema::validator_for(&schema::strict()).unwrap();
    for (name, event) in samples::all() {
        let (path, event) = (fixtures.join(format!("{name}.json")), parsed(event));
        assert_eq!(errors(&strict, &event), [""; 0], "{name}: {event:#}");
        if std::env::var_os("BYPASSD_UPDATE_FIXTURES").is_some() {
            fs::write(&path, format!("{event:#}\n")).unwrap();
        }
        let golden = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(event, serde_json::from_slice::<Value>(&golden).unwrap(), "{name}");
    }
}

#[test]
fn every_class_and_action_has_a_fixture() {
    let events: Vec<_> = samples::all().into_iter().map(|(_, event)| parsed(event)).collect();
    let seen = |class: Class, action: &str| {
        events.iter().any(|event| event["target"]["class"] == class.name() && event["action"] == action)
    };
    for class in Class::ALL {
        let actions: &[_] = match class {
            Class::StaticPodManifest => &["open", "create", "write", "connect"],
            Class::KubeletConfig | Class::Credential | Class::DatastoreFile => &["open", "create", "write"],
            Class::RuntimeApi | Class::DatastoreApi | Class::KubeletApi => &["connect"],
        };
        assert!(actions.iter().all(|action| seen(class, action)), "{class}");
    }
}

#[test]
fn a_misspelt_property_is_found_at_any_depth_and_a_later_one_is_no_error() {
    let strict = jsonschema::validator_for(&schema::strict()).unwrap();
    let open = jsonschema::validator_for(&schema::schema()).unwrap();
    let events: Vec<_> = samples::all().into_iter().map(|(_, event)| parsed(event)).collect();
    let places = [
        "",
        "/node",
        "/agent",
        "/rule",
        "/verdict",
        "/outcome",
        "/process",
        "/process/ns",
        "/process/host_ns",
        "/process/container",
        "/process/pod",
        "/process/parent",
        "/process/ancestors/0",
        "/target",
        "/attack/0",
        "/lifecycle",
        "/lifecycle/hooks_missing/0",
        "/lifecycle/targets_armed/0",
        "/lifecycle/targets_waiting/0",
        "/health",
        "/manifest",
        "/manifest/pods/0",
        "/posture",
        "/posture/evidence/0",
    ];
    for place in places {
        let mut event = events.iter().find(|event| event.pointer(place).is_some()).unwrap().clone();
        event.pointer_mut(place).unwrap()["surprise"] = json!(1);
        assert!(open.is_valid(&event), "{place}");
        assert!(!strict.is_valid(&event), "{place}");
    }
}

/// An optional property that is absent is left out.
#[test]
fn nothing_is_null() {
    fn has_null(value: &Value) -> bool {
        match value {
            Value::Null => true,
            Value::Array(list) => list.iter().any(has_null),
            Value::Object(object) => object.values().any(has_null),
            Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
        }
    }
    for (name, event) in samples::all() {
        assert!(!has_null(&parsed(event)), "{name}");
    }
}

#[test]
fn long_reasons_are_cut_before_any_target_is_left_out() {
    let mut started = started("/etc/kubernetes/manifests");
    started.hooks_missing[0].why = "the verifier says\n".repeat(1000);
    let event = context().lifecycle(Lifecycle::Started(started), Severity::Info, String::new());
    let event = parsed(event);
    assert_eq!(event["truncated"], true);
    assert_eq!(event["lifecycle"]["targets_armed"][0]["target"], "/etc/kubernetes/manifests");
    assert!(event["lifecycle"]["hooks_missing"][0]["why"].as_str().unwrap().starts_with("the verifier says"));
}

#[test]
fn an_actor_in_a_container_is_worse() {
    let mut access = access(Action::Open, file(b"/x", true, false), actor(&[]));
    let severity = |access: &Access| {
        context().access(Class::StaticPodManifest, access, Facts::default(), violation("")).severity
    };
    assert_eq!(severity(&access), Severity::Low);
    access.actor.mnt_ns += 1;
    assert_eq!(severity(&access), Severity::Medium);
    access.actor.mnt_ns = HOST.mnt;
    access.actor.exe.deleted = true;
    assert_eq!(severity(&access), Severity::Medium);
    access.action = Action::Write;
    assert_eq!(severity(&access), Severity::Critical);
}

#[test]
fn a_policy_says_how_bad_a_class_is() {
    let mut context = context();
    context.severities.insert(Class::StaticPodManifest, Severity::Low);
    let mut write = access(Action::Write, file(b"/x", false, true), actor(&[]));
    write.actor.mnt_ns += 1;
    let event = |class, verdict| context.access(class, &write, Facts::default(), verdict);
    assert_eq!(event(Class::StaticPodManifest, violation("")).severity, Severity::Low);
    assert_eq!(event(Class::StaticPodManifest, samples::allowed()).severity, Severity::Info);
    assert_eq!(event(Class::KubeletConfig, violation("")).severity, Severity::Critical);
    let manifest = Manifest { attention: vec![Attention::InvalidNamespace], ..Manifest::default() };
    let event = event(Class::StaticPodManifest, violation(""));
    assert_eq!(context.manifest(event, manifest).severity, Severity::Critical);
}

#[test]
fn a_grave_manifest_is_worse_unless_whoever_wrote_it_may() {
    let severity = |expected: bool, attention: Attention| {
        let verdict = if expected { samples::allowed() } else { violation("") };
        let write = access(Action::Write, file(b"/x", false, true), actor(&[]));
        let event = context().access(Class::StaticPodManifest, &write, Facts::default(), verdict);
        context().manifest(event, Manifest { attention: vec![attention], ..Manifest::default() }).severity
    };
    assert_eq!(severity(false, Attention::InvalidNamespace), Severity::Critical);
    assert_eq!(severity(false, Attention::HostNetwork), Severity::High);
    assert_eq!(severity(true, Attention::InvalidNamespace), Severity::Info);
}

#[test]
fn bytes_that_are_no_text_are_kept() {
    let event = parsed(hostile(b"/a\xff"));
    assert_eq!(event["target"]["path"], "/a\u{fffd}");
    assert_eq!(event["target"]["path_b64"], "L2H/");
    assert_eq!(event["process"]["exe_b64"], "L2H/");
    assert_eq!(event["process"]["args_b64"], json!(["L2H/", "L2H/", "L2H/"]));
    assert_eq!(event["process"]["parent"]["exe_b64"], "L2H/");
    assert_eq!(event["process"]["cgroup_b64"], "L2H/");
    assert_eq!(event["process"]["cwd_b64"], "L2H/");
    assert_eq!(event["process"]["comm_b64"], "L2H/");
}

#[test]
fn a_long_event_loses_its_least_part_first() {
    let event = parsed(hostile(&[b'x'; 300]));
    assert_eq!(event["truncated"], true);
    assert!(event["process"]["ancestors"].as_array().is_none_or(|list| list.len() < 6));
    assert_eq!(event["process"]["args"].as_array().unwrap().len(), 3);
    assert_eq!(event["target"]["path"].as_str().unwrap().len(), 300);
}

proptest! {
    // A case writes some hundred kilobytes many times over.
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_line_is_never_too_long(text in proptest::collection::vec(any::<u8>(), 0..6000), control in any::<bool>()) {
        let text = if control { vec![1; text.len()] } else { text };
        let line = line(&mut hostile(&text)).unwrap();
        prop_assert!(line.len() <= LINE_MAX, "{} bytes", line.len());
        prop_assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        prop_assert!(serde_json::from_slice::<Value>(&line).is_ok());
    }

    #[test]
    fn what_a_check_found_fits_too(text in ".{0,3000}", count in 0..40usize) {
        let mut posture = samples::posture(PostureResult::Fail);
        let evidence = Evidence { value: Some(text.clone()), ..posture.evidence[0].clone() }.at(text.as_bytes());
        (posture.evidence, posture.detail) = (vec![evidence; count], text);
        let check = crate::posture::checks::ALL[0];
        let line = line(&mut context().posture(check.rule, check.severity, posture)).unwrap();
        prop_assert!(line.len() <= LINE_MAX, "{} bytes", line.len());
        let event: Value = serde_json::from_slice(&line).unwrap();
        let posture = &event["posture"];
        let left = posture["evidence"].as_array().unwrap().len();
        prop_assert_eq!(left as u64 + posture["omitted"].as_u64().unwrap_or_default(), count as u64 + 1);
        prop_assert_eq!(&posture["result"], "fail");
    }

    #[test]
    fn what_a_manifest_holds_fits_too(text in ".{0,300}", count in 0..20usize) {
        let alert = hostile(text.as_bytes());
        let mut manifest = samples::manifest(&text);
        manifest.pods = vec![manifest.pods[0].clone(); count];
        manifest.pods.iter_mut().for_each(|pod| pod.images = vec![text.clone(); count]);
        let line = line(&mut context().manifest(alert, manifest)).unwrap();
        prop_assert!(line.len() <= LINE_MAX, "{} bytes", line.len());
        let event: Value = serde_json::from_slice(&line).unwrap();
        let manifest = &event["manifest"];
        let left = manifest["pods"].as_array().map_or(0, Vec::len);
        prop_assert!(left == count || manifest["omitted"].as_u64() > Some(1), "{left} of {count}: {manifest}");
        prop_assert!(manifest["attention"].as_array().is_some_and(|list| list.len() == 3));
    }

    #[test]
    fn what_the_daemon_says_of_itself_fits_too(text in ".{0,5000}", count in 0..60usize) {
        let mut started = started(&text);
        started.targets_armed = vec![started.targets_armed[0].clone(); count];
        started.coverage_gaps = vec![text.clone(); count];
        let class = Class::RuntimeApi;
        let (target, why, reason) = (text.clone(), text.clone(), text.clone());
        let coverage_gaps = vec![text.clone(); count];
        let taken = SnapshotTaken { coverage_gaps, ..SnapshotTaken::default() };
        for lifecycle in [
            Lifecycle::SnapshotTaken(taken),
            Lifecycle::Started(started),
            Lifecycle::TargetLost { class, target, why },
            Lifecycle::ReloadFailed { error: text.clone() },
            Lifecycle::Reloaded {
                config_sha256: String::new(),
                rules: 1,
                targets: 1,
                policy_warnings: vec![text.clone(); count],
            },
            Lifecycle::Stopping { reason, alerts: 0 },
        ] {
            let line = line(&mut context().lifecycle(lifecycle, Severity::Info, text.clone())).unwrap();
            prop_assert!(line.len() <= LINE_MAX, "{} bytes", line.len());
            let event: Value = serde_json::from_slice(&line).unwrap();
            prop_assert!(event.get("lifecycle").is_some());
        }
    }
}
