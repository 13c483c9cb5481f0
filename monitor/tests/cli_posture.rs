//! `bypassd posture` as a script meets it: the real binary on this machine, which may be a node or none.

use std::process::{Command, Output};

use serde_json::Value;

#[expect(clippy::unwrap_used, reason = "clippy sees no test in a helper of tests")]
fn posture(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bypassd"))
        .arg("posture")
        .args(args)
        .env_remove("BYPASSD_LOG")
        .output()
        .unwrap()
}

#[expect(clippy::unwrap_used, reason = "clippy sees no test in a helper of tests")]
fn lines(output: &Output) -> Vec<Value> {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn results(events: &[Value]) -> Vec<&str> {
    events.iter().filter_map(|event| event["posture"]["result"].as_str()).collect()
}

#[test]
fn every_check_is_an_event_that_follows_the_schema() {
    let schema = Command::new(env!("CARGO_BIN_EXE_bypassd")).arg("schema").output().unwrap();
    let schema = jsonschema::validator_for(&serde_json::from_slice(&schema.stdout).unwrap()).unwrap();
    let output = posture(&[]);
    let events = lines(&output);
    assert_eq!(events.len(), monitor::posture::checks::ALL.len());
    for (event, (check, seq)) in events.iter().zip(monitor::posture::checks::ALL.iter().zip(1u64..)) {
        assert!(schema.is_valid(event), "{event:#}");
        assert_eq!((&event["kind"], &event["rule"]["id"]), (&"posture".into(), &check.rule.id.into()));
        assert_eq!(event["seq"], seq);
        assert!(event["agent"].get("backend").is_none());
    }
    // The exit code says what the events say.
    let found = results(&events);
    assert_eq!(output.status.code(), Some(i32::from(found.contains(&"fail"))), "{output:?}");
    let output = posture(&["--fail-on", "warn", "--format", "native"]);
    let events = lines(&output);
    let found = results(&events);
    assert_eq!(output.status.code(), Some(i32::from(found.contains(&"fail") || found.contains(&"warn"))));
}

#[test]
fn formats_are_what_they_are_called() {
    let events = lines(&posture(&["--format", "ocsf"]));
    assert_eq!(events.len(), monitor::posture::checks::ALL.len());
    assert!(events.iter().all(|event| event["class_uid"] == 2003 && event["type_uid"] == 200_301));
    let text = posture(&["--format", "text"]);
    let text = std::str::from_utf8(&text.stdout).unwrap();
    assert!(text.contains("kubelet.anonymous_auth") && text.trim_end().ends_with("not here"), "{text}");
    assert!(!text.contains('\u{1b}'), "colours go to terminals only");
}

#[test]
fn wrong_usage_is_told_from_findings() {
    for args in [&["--fail-on", "never"][..], &["--format", "ecs"], &["--config", "/no/such/file"]] {
        let output = posture(args);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty());
    }
}
