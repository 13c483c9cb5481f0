use std::path::PathBuf;

use serde_json::{Value, json};

use super::*;
use crate::config::{Processes, Words};
use crate::event::samples;
use crate::model::Class;

fn rule(process: Processes) -> Rule {
    Rule {
        id: "a".to_owned(),
        targets: vec![Class::StaticPodManifest],
        access: None,
        process,
        container: None,
        source: vec![],
        destination: vec![],
    }
}

fn of_exe(path: &str) -> Rule {
    rule(Processes { exe: vec![PathBuf::from(path)], ..Processes::default() })
}

/// An alert about a manifest that was read, with some of it replaced.
fn read(changes: &Value) -> Recorded {
    let mut event = json!({
        "kind": "alert",
        "message": "cat read it",
        "action": "open",
        "node": {"name": "node-1"},
        "target": {"class": "static_pod_manifest", "type": "file", "path": "/m/x", "access": ["read"], "new": 1},
        "process": {
            "pid": 7, "exe": "/usr/bin/cat", "exe_dev": 1, "exe_ino": 2, "uid": 0, "euid": 0, "args": ["cat", "x"],
            "cgroup": "/system.slice/backup.service", "host_ns": {"mnt": true, "pid": true, "net": true},
            "parent": {"exe": "/usr/sbin/cron", "exe_dev": 1, "exe_ino": 3},
        },
        "verdict": {"result": "violation", "reason": "exe_mismatch", "detail": ""},
    });
    merge(&mut event, changes);
    Recorded::read(&event).unwrap()
}

#[test]
fn a_recorded_access_is_decided_as_it_was_seen() {
    let (cat, dog) = (of_exe("/usr/bin/cat"), of_exe("/usr/bin/dog"));
    let ancestors = rule(Processes { ancestors: vec!["/usr/sbin/cron".into()], ..Processes::default() });
    let args = rule(Processes { args: vec![Words::line("x").unwrap()], ..cat.process.clone() });
    let nothing = json!({});
    for (rule, changes, expected) in [
        (&cat, &nothing, Reason::RuleMatched),
        (&dog, &nothing, Reason::ExeMismatch),
        (&ancestors, &nothing, Reason::RuleMatched),
        (&args, &nothing, Reason::RuleMatched),
        (&args, &json!({"truncated": true}), Reason::ArgsMismatch),
        (&cat, &json!({"process": {"exe_deleted": true}}), Reason::ExeNotNodeFile),
        (&cat, &json!({"verdict": {"reason": "exe_not_node_file"}}), Reason::ExeNotNodeFile),
        (&cat, &json!({"verdict": {"reason": "process_controlled"}}), Reason::ProcessControlled),
        (&cat, &json!({"verdict": {"reason": "client_unseen"}}), Reason::ClientUnseen),
        (&cat, &json!({"process": {"container": {"id": "c"}}}), Reason::ExeNotNodeFile),
    ] {
        assert_eq!(decide(std::slice::from_ref(rule), &read(changes)).reason, expected, "{changes}");
    }
}

#[test]
fn a_content_is_known_unless_the_record_doubts_it() {
    let digest = crate::hash::Digest([0xab; 32]);
    let pinned = rule(Processes { sha256: vec![digest], ..of_exe("/usr/bin/cat").process });
    let mismatch = json!({"reason": "sha256_mismatch"});
    for (hash, changes, expected) in [
        (digest.to_string(), json!({}), Reason::RuleMatched),
        ("cd".repeat(32), json!({}), Reason::Sha256Mismatch),
        ("none".to_owned(), json!({}), Reason::Sha256Mismatch),
        (digest.to_string(), json!({"truncated": true}), Reason::Sha256Mismatch),
        (
            digest.to_string(),
            json!({"enrichment_errors": ["exe_sha256: it was changed"]}),
            Reason::Sha256Mismatch,
        ),
    ] {
        let mut event = changes.clone();
        merge(&mut event, &json!({"process": {"exe_sha256": hash}, "verdict": mismatch}));
        let recorded = read(&event);
        assert_eq!(decide(std::slice::from_ref(&pinned), &recorded).reason, expected, "{event}");
        // What a rule asks for is part of the rule that would allow it.
        match suggest(&recorded) {
            Ok(rule) => assert_eq!(rule.process.sha256, [hash.parse().unwrap()]),
            Err(why) => assert!(expected != Reason::RuleMatched && why.contains("certain"), "{event}: {why}"),
        }
    }
}

#[test]
fn the_suggested_rule_allows_it_and_says_who() {
    let pod = json!({"process": {
        "container": {"id": "c", "name": "etcd", "image": "registry.k8s.io/etcd:3.5"},
        "pod": {"namespace": "kube-system", "name": "etcd-node-1", "static": true, "source": "bundle"},
    }});
    for (changes, words) in [
        (json!({}), "exe: [/usr/bin/cat]\n      uid: [0]\n      unit: [backup.service]"),
        (
            pod,
            "namespace: [kube-system], pod: [\"etcd-*\"], name: [etcd], image: [\"registry.k8s.io/etcd:3.5\"]",
        ),
        (json!({"action": "write"}), "access: [write]"),
    ] {
        let recorded = read(&changes);
        let rule = suggest(&recorded).unwrap();
        assert!(rule.to_yaml().contains(words), "{}", rule.to_yaml());
        assert!(!decide(&[rule], &recorded).is_violation(), "{changes}");
    }
}

#[test]
fn nothing_is_suggested_for_what_cannot_be_told_apart() {
    for changes in [
        json!({"process": {"exe_deleted": true}}),
        json!({"process": {"exe": null}}),
        json!({"action": "ptrace", "target": {"type": "process", "exe": "/usr/bin/kubelet"}}),
        json!({"verdict": {"reason": "process_controlled"}}),
        json!({"process": {"container": {"id": "c"}}, "verdict": {"reason": "container_unknown"}}),
        json!({"process": {"container": {"id": "c"}}}),
    ] {
        assert!(suggest(&read(&changes)).is_err(), "{changes}");
    }
}

/// What this version writes is what it reads.
#[test]
fn every_event_of_an_access_is_read() {
    let mut read = 0;
    for (name, event) in samples::all() {
        let event = serde_json::to_value(&event).unwrap();
        if is_access(&event) {
            let recorded = Recorded::read(&event).unwrap_or_else(|error| panic!("{name}: {error}"));
            let _verdict = decide(&[of_exe("/usr/bin/cat")], &recorded);
            let _rule = suggest(&recorded);
            read += 1;
        }
    }
    assert!(read > 10, "{read}");
}
