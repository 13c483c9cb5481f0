use std::net::IpAddr;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::access::{
    Access, Actor, Ancestor, Executable, FileObject, InetObject, Object, ObjectKey, TargetId, UnixObject,
};
use crate::clock::Clock;
use crate::model::{Backend, Class};
use crate::node::Namespaces;
use crate::verdict::{self, Reason};

const HOST: Namespaces = Namespaces { mnt: 1, pid: 2, net: 3 };

fn context() -> Context {
    Context {
        run_id: Uuid::nil(),
        node: Arc::new(Node {
            name: "node-1".into(),
            machine_id: None,
            boot_id: Some("boot".into()),
            kernel: "6.1".into(),
        }),
        agent: Arc::new(Agent { version: "0.1.0", backend: Backend::Fentry, config_sha256: "00".into() }),
        clock: Clock::measure(),
        namespaces: HOST,
    }
}

fn violation() -> Verdict {
    Verdict {
        result: verdict::Outcome::Violation,
        reason: Reason::ExeMismatch,
        detail: "nobody expects it".to_owned(),
        matched: None,
    }
}

fn actor(text: &[u8]) -> Actor {
    let exe = Executable { key: Some(ObjectKey::new(1, 2)), path: text.to_vec(), deleted: false };
    Actor {
        pid: 4711,
        start: 5,
        comm: b"cat".to_vec(),
        exe: exe.clone(),
        args: Some(vec![text.to_vec(); 3]),
        cwd: text.to_vec(),
        cgroup: text.to_vec(),
        mnt_ns: HOST.mnt,
        pid_ns: HOST.pid,
        net_ns: HOST.net,
        ancestors: vec![Ancestor { pid: 1, start: 1, uid: 0, comm: b"init".to_vec(), exe }; 7],
        ..Actor::default()
    }
}

fn access(object: Object, action: Action, text: &[u8]) -> Access {
    Access { boottime: 7, target: TargetId(0), action, object, actor: actor(text), truncated: false }
}

fn file(text: &[u8]) -> Object {
    let key = ObjectKey::new(1, 9);
    Object::File(FileObject { key, path_seen: text.to_vec(), read: true, write: false, directory: false })
}

fn event_with(text: &[u8]) -> Event {
    let facts = Facts { path: text.to_vec(), unit: None, local: true, errors: Vec::new() };
    context().access(Class::StaticPodManifest, &access(file(text), Action::Open, text), facts, violation())
}

/// Some report of a loss, for other tests.
pub(crate) fn health_sample() -> Event {
    context().health(health())
}

fn health() -> Health {
    Health {
        state: HealthState::Loss,
        counters: BTreeMap::from([("hits".into(), 1)]),
        lost: BTreeMap::from([("lost_ring_full".into(), 1)]),
        interval: 60,
    }
}

/// Some event, for other tests.
pub(crate) fn sample() -> Event {
    event_with(b"/etc/kubernetes/manifests/a.yaml")
}

fn parsed(mut event: Event) -> Value {
    serde_json::from_slice(&line(&mut event).unwrap()).unwrap()
}

/// The schema, but without room for properties it does not describe.
fn validator() -> jsonschema::Validator {
    let mut schema = schema::schema();
    schema["unevaluatedProperties"] = json!(false);
    jsonschema::validator_for(&schema).unwrap()
}

#[test]
fn every_kind_of_event_follows_the_schema() {
    let validator = validator();
    let (context, path) = (context(), b"/run/containerd/containerd.sock".to_vec());
    let unix = Object::UnixSocket(UnixObject {
        key: ObjectKey::new(1, 2),
        path_seen: path.clone(),
        peer_pid: Some(7),
        errno: Some(13),
    });
    let ip = IpAddr::from([127, 0, 0, 1]);
    let inet = |inbound| {
        Object::InetSocket(InetObject { src_ip: ip, src_port: 0, dst_ip: ip, dst_port: 2379, inbound })
    };
    let facts = || Facts {
        path: path.clone(),
        unit: Some("x.service".into()),
        local: true,
        errors: vec!["e".into()],
    };
    let connect = |object| access(object, Action::Connect, b"/bin/x");
    let started = Started {
        backend: Backend::Syscall,
        hooks: vec!["sys_exit".into()],
        hooks_missing: vec![MissingHook { hook: "x".into(), why: "y".into() }],
        targets_armed: vec![ArmedTarget { class: Class::KubeletApi, target: "tcp/10250".into() }],
        targets_waiting: vec![WaitingTarget {
            class: Class::RuntimeApi,
            target: "/x".into(),
            why: "y".into(),
        }],
        coverage_gaps: vec!["z".into()],
    };
    let target = || "/x".to_owned();
    let class = Class::RuntimeApi;
    let life = |lifecycle| context.lifecycle(lifecycle, Severity::Info, "m".into());
    let events = [
        context.access(
            Class::StaticPodManifest,
            &access(file(b"/a\xff"), Action::Create, b"/b\xff"),
            facts(),
            violation(),
        ),
        context.access(class, &connect(unix), facts(), violation()),
        context.access(Class::DatastoreApi, &connect(inet(false)), facts(), violation()),
        context.access(Class::KubeletApi, &connect(inet(true)), facts(), violation()),
        life(Lifecycle::Started(started)),
        life(Lifecycle::TargetArmed { class, target: target() }),
        life(Lifecycle::TargetLost { class, target: target(), why: target() }),
        life(Lifecycle::Stopping { reason: target(), alerts: 3 }),
        context.health(health()),
    ];
    for event in events {
        let event = parsed(event);
        let errors: Vec<_> = validator.iter_errors(&event).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?} in {event:#}");
    }
    let mut unknown = parsed(sample());
    unknown["suprise"] = json!(1);
    assert!(!validator.is_valid(&unknown), "the strict schema lets anything through");
}

#[test]
fn an_actor_in_a_container_is_worse() {
    let mut access = access(file(b"/x"), Action::Open, b"/bin/x");
    let severity = |access: &Access| {
        context().access(Class::StaticPodManifest, access, Facts::default(), violation()).severity
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
fn bytes_that_are_no_text_are_kept() {
    let event = parsed(event_with(b"/a\xff"));
    assert_eq!(event["target"]["path"], "/a\u{fffd}");
    assert_eq!(event["target"]["path_b64"], "L2H/");
    assert_eq!(event["process"]["exe_b64"], "L2H/");
    assert_eq!(event["process"]["args_b64"], json!(["L2H/", "L2H/", "L2H/"]));
    assert_eq!(event["process"]["parent"]["exe_b64"], "L2H/");
}

#[test]
fn a_long_event_loses_its_least_part_first() {
    let event = parsed(event_with(&[b'x'; 900]));
    assert_eq!(event["truncated"], true);
    assert!(event["process"]["ancestors"].as_array().is_none_or(|list| list.len() < 6));
    assert_eq!(event["target"]["path"].as_str().unwrap().len(), 900);
}

proptest! {
    // A case writes some hundred kilobytes many times over.
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_line_is_never_too_long(text in proptest::collection::vec(any::<u8>(), 0..6000), control in any::<bool>()) {
        let text = if control { vec![1; text.len()] } else { text };
        let line = line(&mut event_with(&text)).unwrap();
        prop_assert!(line.len() <= LINE_MAX, "{} bytes", line.len());
        prop_assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        prop_assert!(serde_json::from_slice::<Value>(&line).is_ok());
    }
}
