use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::config;
use crate::replay::decide;

const NONE: &str = "version: 1\nprofile: none\n";

fn policy_of(text: &str) -> Config {
    config::build("policy.yaml", text, Some(Path::new("policy.yaml")))
        .unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn learned(config: Config, mode: Mode, events: &[Value]) -> Learner {
    let mut learner = Learner::new(config, mode);
    events.iter().for_each(|event| learner.add(event.to_string().as_bytes()).unwrap());
    learner
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/learn")
}

fn events(name: &str) -> Vec<Value> {
    let text = fs::read_to_string(fixtures().join(name)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn rules(config: &Config) -> Vec<Rule> {
    config.rules.iter().map(|entry| entry.value.clone()).collect()
}

/// What it writes people read. `BYPASSD_UPDATE_FIXTURES=1` writes the files anew.
#[test]
fn policies_are_as_they_were() {
    let events = events("node.ndjson");
    let profile = || config::load(None).unwrap();
    let own = "version: 1\nprofile: kubeadm\ntargets:\n  credential: {paths: [/etc/backup/*.key]}\n  \
        kubelet_api: {destinations: any}\nallow:\n  - {id: agent, targets: runtime_api, process: {exe: /opt/agent/bin/agent}}\n\
        severity: {runtime_api: high}\n";
    let suspicious = Mode { include_suspicious: true, ..Mode::default() };
    for (name, config, mode) in [
        ("node.yaml", profile(), Mode::default()),
        ("suspicious.yaml", profile(), suspicious),
        ("added.yaml", policy_of(own), Mode::default()),
    ] {
        let policy = learned(config, mode, &events).policy();
        let path = fixtures().join(name);
        if std::env::var_os("BYPASSD_UPDATE_FIXTURES").is_some() {
            fs::write(&path, &policy).unwrap();
        }
        assert_eq!(policy, fs::read_to_string(&path).unwrap_or_default(), "{name}");
        let again = learned(policy_of(&policy), mode, &events).counts();
        assert_eq!(again.actors, 0, "{name} does not allow what it was made of");
    }
}

/// Whoever adds to a policy gets all of it back, in a file that means the same.
#[test]
fn what_a_policy_said_before_is_kept() {
    let text = fs::read_to_string(fixtures().join("added.yaml")).unwrap();
    let config = policy_of(&text);
    let targets: Vec<_> = config.targets.iter().map(|entry| entry.value.to_string()).collect();
    assert!(targets.contains(&"credential /etc/backup/*.key".to_owned()), "{targets:?}");
    assert_eq!(config.severities.len(), 1);
    assert!(text.contains("destinations: any"), "{text}");
    let ids: Vec<_> = config.rules.iter().map(|entry| entry.value.id.as_str()).collect();
    assert!(ids.contains(&"agent") && ids.contains(&"etcd-backup"), "{ids:?}");
    let commented = text.lines().filter(|line| line.trim_start().starts_with("- id: agent")).count();
    assert_eq!(commented, 2, "what is still to be learned has another id than what was there: {text}");
}

/// What is commented out can be moved up as it is.
#[test]
fn what_is_proposed_can_be_taken_in() {
    let text = fs::read_to_string(fixtures().join("node.yaml")).unwrap();
    let (policy, refused) = text.split_once("\n# Refused, because it looks").unwrap();
    let rules: String = refused
        .lines()
        .filter_map(|line| line.strip_prefix("#  "))
        .fold(String::new(), |text, line| text + "  " + line + "\n");
    assert!(rules.contains("- id: cat"), "{rules}");
    let loaded = policy_of(&format!("{policy}{rules}"));
    let again = learned(loaded, Mode::default(), &events("node.ndjson"));
    assert!(
        again.policy().contains("Refused, because no rule can")
            && !again.policy().contains("looks like an attack"),
        "{}",
        again.policy()
    );
}

fn read(changes: &Value) -> Value {
    let mut event = json!({
        "kind": "alert", "message": "", "action": "open", "time": "2026-11-24T10:00:00Z", "node": {"name": "node-1"},
        "target": {"class": "credential", "type": "file", "path": "/k", "access": ["read"]},
        "process": {
            "pid": 7, "exe": "/usr/bin/thing", "exe_dev": 1, "exe_ino": 2, "uid": 0, "euid": 0, "args": ["thing", "x"],
            "cgroup": "/", "host_ns": {"mnt": true, "pid": true, "net": true},
        },
        "verdict": {"result": "violation", "reason": "exe_mismatch", "detail": ""},
    });
    replay::merge(&mut event, changes);
    event
}

#[test]
fn what_looks_like_an_attack_is_refused() {
    let manifest = json!({"class": "static_pod_manifest"});
    for (changes, why) in [
        (json!({}), None),
        (json!({"process": {"exe": "/tmp/x"}}), Some("anyone can write")),
        (json!({"process": {"exe": "/dev/shm/x"}}), Some("anyone can write")),
        (json!({"process": {"exe": "/var/tmp/a/x"}}), Some("anyone can write")),
        (
            json!({"process": {"exe": "/usr/bin/bash", "args": ["bash", "/tmp/x.sh"]}}),
            Some("a script of a directory"),
        ),
        (
            json!({"process": {"exe": "/usr/bin/bash", "args": ["-bash", "-c", "x"]}}),
            Some("somebody logged in"),
        ),
        (
            json!({"process": {"exe": "/usr/bin/bash", "args": ["bash", "-i", "x"]}}),
            Some("somebody logged in"),
        ),
        (
            json!({"process": {"ancestors": [{"exe": "/usr/sbin/sshd", "exe_dev": 1, "exe_ino": 9}]}}),
            Some("somebody logged in"),
        ),
        (
            json!({"process": {"cgroup": "/user.slice/user-0.slice/session-1.scope"}}),
            Some("somebody logged in"),
        ),
        (
            json!({"process": {"cgroup": "/user.slice/user-0.slice/session-1.scope", "parent": {"exe": "/usr/sbin/cron"}}}),
            None,
        ),
        (json!({"process": {"host_ns": {"mnt": false}}}), Some("mount namespace of its own")),
        (json!({"process": {"host_ns": {"mnt": false}, "cgroup": "/system.slice/a.service"}}), None),
        (
            json!({"enrichment_errors": ["the cgroup has the name of container c, which its runtime put elsewhere"]}),
            Some("has the name of a container"),
        ),
        (json!({"action": "create", "target": manifest}), Some("no installer")),
        (json!({"action": "mount", "target": manifest}), Some("no installer")),
        (json!({"action": "create", "target": manifest, "process": {"exe": "/usr/bin/kubeadm"}}), None),
        (json!({"action": "write", "target": {"class": "kubelet_config"}}), Some("no installer")),
        (
            json!({"action": "write", "target": {"class": "kubelet_config"}, "process": {"exe": "/usr/bin/dpkg"}}),
            None,
        ),
    ] {
        let event = read(&changes);
        let refused = learned(policy_of(NONE), Mode::default(), std::slice::from_ref(&event));
        let (text, counts) = (refused.policy(), refused.counts());
        assert_eq!(counts.refused, u64::from(why.is_some()), "{changes}: {text}");
        assert!(why.is_none_or(|why| text.contains(why)), "{changes}: {text}");
        assert_eq!(policy_of(&text).rules.len(), usize::from(why.is_none()), "{changes}: {text}");
        let told = Mode { include_suspicious: true, ..Mode::default() };
        let told = learned(policy_of(NONE), told, &[event]);
        assert_eq!((told.counts().refused, policy_of(&told.policy()).rules.len()), (0, 1), "{changes}");
    }
}

#[test]
fn what_no_rule_can_allow_stays_refused() {
    for (changes, why) in [
        (json!({"process": {"exe_deleted": true}}), "deleted"),
        (json!({"process": {"exe": "/memfd:x", "exe_deleted": true}}), "never was a file"),
        (json!({"process": {"traced": true}}), "had control of it"),
        (json!({"verdict": {"reason": "process_controlled"}}), "had control of it"),
        (json!({"verdict": {"reason": "exe_not_node_file"}}), "not the node's file"),
        (
            json!({"process": {"container": {"id": "c"}, "pod": {"static": false, "source": "cgroup"}}}),
            "not proven",
        ),
        (json!({"process": {"exe": "/usr/bin/python3", "args": ["python3"]}}), "no argument that says what"),
        (json!({"process": {"exe": "/usr/bin/python3", "args_truncated": true}}), "not known whole"),
        (json!({"process": {"exe": null}}), "not known"),
        (
            json!({"action": "ptrace", "target": {"type": "process", "exe": "/usr/bin/kubelet"}}),
            "take control",
        ),
    ] {
        let mode = Mode { include_suspicious: true, is_live: true };
        let learner = learned(policy_of(NONE), mode, &[read(&changes)]);
        let text = learner.policy();
        assert_eq!((learner.counts().refused, policy_of(&text).rules.len()), (1, 0), "{changes}: {text}");
        assert!(text.contains(why), "{changes}: {text}");
    }
}

/// One actor that starts under other names or arguments all the time does not take the place of others.
#[test]
fn memory_is_bounded() {
    let script = |number: usize| {
        read(&json!({"process": {"exe": "/usr/bin/bash", "args": ["bash", "/opt/a.sh", number.to_string()]}}))
    };
    let calls: Vec<_> = (0..2000).map(script).collect();
    let learner = learned(policy_of(NONE), Mode::default(), &calls);
    assert!(
        learner.actors.len() <= CALLS_MAX + 1 && learner.counts().left_out == 0,
        "{:?}",
        learner.counts()
    );
    assert_eq!(learned(policy_of(&learner.policy()), Mode::default(), &calls).counts().known, 2000);
    let names: Vec<_> = (0..ACTORS_MAX + 10)
        .map(|number| read(&json!({"process": {"exe": format!("/opt/{number}")}})))
        .collect();
    let learner = learned(policy_of(NONE), Mode::default(), &names);
    assert_eq!((learner.actors.len(), learner.counts().left_out), (ACTORS_MAX, 10));
    assert!(learner.policy().contains("# Incomplete: 10 accesses"));
    let gone: Vec<_> = names
        .iter()
        .cloned()
        .map(|mut event| {
            event["process"]["exe_deleted"] = json!(true);
            event
        })
        .collect();
    let learner = learned(policy_of(NONE), Mode::default(), &gone);
    assert_eq!((learner.refused.len(), learner.counts().refused), (REFUSED_MAX, gone.len() as u64));
}

#[test]
fn hostile_text_stays_in_its_comment() {
    let path =
        "/k\n  - id: evil\n    targets: [credential]\n    i_know: true\u{2028}\u{85}\r\u{1b}[2J\u{202e}";
    let exe = format!("/opt/\u{7f}a: [{path}");
    for mode in [Mode::default(), Mode { include_suspicious: true, ..Mode::default() }] {
        let process = json!({"exe": exe, "pod": null});
        let event = read(&json!({"target": {"path": path}, "process": process, "node": {"name": path}}));
        let gone = read(&json!({"process": {"exe": exe, "exe_deleted": true}}));
        let text = learned(policy_of(NONE), mode, &[event, gone]).policy();
        assert!(!text.contains(|char: char| char.is_control() && char != '\n'), "{text:?}");
        let ids: Vec<_> = policy_of(&text).rules.iter().map(|entry| entry.value.id.clone()).collect();
        assert!(ids.len() == 1 && ids[0] != "evil", "{ids:?} {text}");
    }
}

/// Any of a few for each field, so that many events are of the same actor.
fn any_event() -> impl Strategy<Value = Value> {
    let some = |words: &'static [&'static str]| proptest::sample::select(words);
    let exe = some(&[
        "/usr/bin/a",
        "/usr/bin/bash",
        "/usr/bin/python3.11",
        "/usr/bin/cat",
        "/tmp/x",
        "/opt/b/a",
        "/usr/bin/kubeadm",
    ]);
    let args = proptest::collection::vec(
        some(&["/opt/a.sh", "/opt/b/a.sh", "-c", "x *", "?", "", "--day=1", "**", "é"]),
        0..4,
    );
    let cgroup = some(&[
        "/",
        "/system.slice/a.service",
        "/system.slice/cron.service",
        "/user.slice/x",
        "/system.slice/run-u1.service",
    ]);
    let class = proptest::sample::select(Class::ALL.to_vec());
    let action =
        some(&["open", "create", "write", "rename", "connect", "receive", "mount", "accept", "ptrace"]);
    let pod = proptest::option::of(some(&[
        "web-0",
        "web-7c9d6b5f4d-x2v9k",
        "web-x2v9k",
        "job-29401234-x2v9k",
        "a*",
        "web-node-1",
    ]));
    let (image, reason) = (
        proptest::option::of(some(&["a:1", "b?", "é"])),
        some(&["exe_mismatch", "no_rule_for_target", "container_unknown", "exe_not_node_file"]),
    );
    let numbers = (0..3u32, proptest::option::of(0..3u64), any::<[bool; 6]>());
    (exe, args, cgroup, class, action, pod, image, reason, numbers).prop_map(
        |(exe, args, cgroup, class, action, pod, image, reason, (uid, count, [mnt, net, deleted, traced, is_static, inet]))| {
            let args = [vec!["me"], args].concat();
            let mut event = read(&json!({
                "action": action, "count": count, "verdict": {"reason": reason},
                "time": format!("2026-11-24T10:00:0{uid}Z"),
                "target": {"class": class, "path": args.join("/"), "src_ip": "10.0.0.7", "dst_ip": "10.0.0.1", "dst_port": 1},
                "process": {
                    "exe": exe, "args": args, "cgroup": cgroup, "uid": uid, "euid": 0, "exe_deleted": deleted && traced,
                    "traced": traced && mnt, "host_ns": {"mnt": mnt, "pid": mnt, "net": net},
                },
            }));
            if inet {
                event["target"]["type"] = json!("inet_socket");
            }
            if let Some(pod) = pod {
                event["process"]["pod"] = json!({"namespace": "n", "name": pod, "static": is_static, "source": "bundle"});
                event["process"]["container"] = json!({"id": "c", "name": "c", "image": image});
            }
            event
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever was seen: the policy can be loaded, does not depend on the order, allows what it was made of and nothing that was refused
    /// alone for what it is.
    #[test]
    fn any_policy_allows_what_it_was_made_of(events in proptest::collection::vec(any_event(), 1..60), include_suspicious: bool) {
        let mode = Mode { include_suspicious, is_live: false };
        let learner = learned(policy_of(NONE), mode, &events);
        let text = learner.policy();
        let backwards: Vec<_> = events.iter().rev().cloned().collect();
        prop_assert_eq!(&text, &learned(policy_of(NONE), mode, &backwards).policy());
        let loaded = policy_of(&text);
        let rules = rules(&loaded);
        for event in &events {
            let recorded = Recorded::read(event).unwrap();
            let is_learned = match suggest(&recorded) {
                Ok(_) => include_suspicious || suspect(&recorded).is_none(),
                Err(_) => false,
            };
            let was_allowed = !decide(&[], &recorded).is_violation();
            let verdict = decide(&rules, &recorded);
            prop_assert!(!is_learned || was_allowed || !verdict.is_violation(), "{verdict:?} {event:#}\n{text}");
        }
        prop_assert_eq!(learned(loaded, mode, &events).counts().actors, 0);
    }

    /// A rule is not wider than what its actor did: of a class that it names, no kind of access that was not seen.
    #[test]
    fn no_rule_allows_more_than_was_seen(events in proptest::collection::vec(any_event(), 1..40)) {
        let learner = learned(policy_of(NONE), Mode::default(), &events);
        for entry in &policy_of(&learner.policy()).rules {
            let alone = std::slice::from_ref(&entry.value);
            let seen: BTreeSet<_> = events.iter().filter_map(|event| {
                let recorded = Recorded::read(event).unwrap();
                let allowed = !decide(alone, &recorded).is_violation() && decide(&[], &recorded).is_violation();
                Some((recorded.target.class, recorded.access().group()?)).filter(|_| allowed)
            }).collect();
            for (class, group) in uses_of(&entry.value) {
                let can = config::applies(class, group);
                prop_assert!(!can || seen.contains(&(class, group)), "{class} {} of\n{}", group.name(), entry.value.to_yaml());
            }
        }
    }
}
