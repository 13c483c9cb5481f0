//! One event of each sort, for tests.

mod every;

use std::net::{IpAddr, Ipv6Addr};

use super::*;
use crate::access::{
    Access, Actor, Ancestor, Executable, FileObject, InetObject, Object, ObjectKey, TargetId, UnixObject,
};
use crate::clock::Clock;
use crate::config::Severities;
use crate::hash::{Digest, Hashed};
use crate::identity::{Container, Pod, Runtime, Source, Whose};
use crate::model::{Backend, Class, Group};
use crate::node::Namespaces;
use crate::verdict::{self, Reason, Verdict};

pub(crate) use self::every::every;

pub(crate) const HOST: Namespaces = Namespaces { mnt: 4_026_531_841, pid: 4_026_531_836, net: 4_026_531_840 };

const SECOND: u64 = 1_000_000_000;

pub(crate) fn context() -> Context {
    Context {
        run_id: Uuid::from_u128(0x5e1f),
        node: Arc::new(Node {
            name: "node-1".into(),
            machine_id: Some("4c4c4544004410358052b4c04f4e3132".into()),
            boot_id: Some("9f0c1a52-6a3b-4f0e-9c86-0d7f3c1e2b4a".into()),
            kernel: "6.12.0".into(),
        }),
        agent: Arc::new(Agent {
            version: "0.1.0",
            backend: Some(Backend::Fentry),
            config_sha256: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855".into(),
        }),
        clock: Clock::booted_at(1_700_000_000_000_000_000),
        namespaces: HOST,
        severities: Severities::new(),
    }
}

pub(crate) fn violation(detail: &str) -> Verdict {
    Verdict {
        result: verdict::Outcome::Violation,
        reason: Reason::ExeMismatch,
        detail: detail.to_owned(),
        matched: None,
    }
}

pub(crate) fn allowed() -> Verdict {
    Verdict {
        result: verdict::Outcome::Allowed,
        reason: Reason::RuleMatched,
        detail: "rule kubelet allows it".to_owned(),
        matched: Some("kubelet".to_owned()),
    }
}

fn executable(path: &[u8], ino: u64) -> Executable {
    Executable { key: Some(ObjectKey::new(8 << 20 | 1, ino)), path: path.to_vec(), deleted: false }
}

fn ancestor(pid: u32, comm: &str, exe: &str) -> Ancestor {
    let exe = executable(exe.as_bytes(), u64::from(pid) + 1000);
    Ancestor { pid, start: 3 * SECOND, uid: 0, comm: comm.into(), exe }
}

/// Someone who logged in.
pub(crate) fn actor(args: &[&[u8]]) -> Actor {
    Actor {
        pid: 4711,
        tid: 4712,
        start: 90 * SECOND,
        comm: b"cat".to_vec(),
        exe: executable(b"/usr/bin/cat", 77),
        args: Some(args.iter().map(|arg| arg.to_vec()).collect()),
        args_truncated: false,
        cwd: b"/root".to_vec(),
        traced: false,
        role: 0,
        uid: 0,
        euid: 0,
        gid: 0,
        egid: 0,
        auid: Some(1000),
        session_id: Some(3),
        caps_effective: 0x1ff_ffff_ffff,
        mnt_ns: HOST.mnt,
        pid_ns: HOST.pid,
        net_ns: HOST.net,
        cgroup_id: Some(5),
        cgroup: b"/user.slice/user-0.slice/session-3.scope".to_vec(),
        ancestors: vec![
            ancestor(4000, "bash", "/usr/bin/bash"),
            ancestor(3900, "sshd", "/usr/sbin/sshd"),
            ancestor(1, "systemd", "/usr/lib/systemd/systemd"),
        ],
        exe_hash: Some(Hashed { digest: Digest([0xc5; 32]), certain: true }),
    }
}

/// Someone in a container, who runs what is no file any more.
fn stranger() -> Actor {
    let path = b"/memfd:x".to_vec();
    Actor {
        exe: Executable { path, deleted: true, ..executable(b"", 9) },
        mnt_ns: HOST.mnt + 1,
        net_ns: HOST.net + 1,
        auid: None,
        session_id: None,
        ancestors: Vec::new(),
        ..actor(&[b"x"])
    }
}

/// A container with this text wherever someone can choose one.
fn whose(text: &str) -> Whose {
    let container = Container {
        id: "0a1b2c3d".repeat(8),
        runtime: Some(Runtime::Containerd),
        name: Some(text.to_owned()),
        image: Some(format!("registry.k8s.io/{text}")),
        sandbox_id: Some("4e5f6a7b".repeat(8)),
    };
    let pod = Pod {
        namespace: Some(text.to_owned()),
        name: Some(text.to_owned()),
        uid: Some("09a70ae9c2d44f1e8b3a5c7d9e1f2a3b".to_owned()),
        is_static: true,
        source: Source::Bundle,
    };
    let errors = vec!["the process is gone".to_owned()];
    Whose { container: Some(container), pod: Some(pod), proven: true, errors }
}

pub(crate) fn access(action: Action, object: Object, actor: Actor) -> Access {
    let outcome = crate::access::Outcome::Unknown;
    Access {
        boottime: 100 * SECOND + 7,
        target: TargetId(0),
        action,
        object,
        outcome,
        actor,
        truncated: false,
    }
}

pub(crate) fn file(path_seen: &[u8], read: bool, write: bool) -> Object {
    let key = ObjectKey::new(8 << 20 | 1, 42);
    Object::File(FileObject {
        key,
        path_seen: path_seen.to_vec(),
        path_inside: vec![],
        other: None,
        read,
        write,
        directory: false,
    })
}

pub(crate) fn unix(path_seen: &[u8]) -> Object {
    let key = ObjectKey::new(25, 1234);
    Object::UnixSocket(UnixObject {
        key,
        path_seen: path_seen.to_vec(),
        peer_pid: Some(800),
        path_named: vec![],
    })
}

fn inet(source: Option<(IpAddr, u16)>, dst_ip: IpAddr, dst_port: u16) -> Object {
    let inbound = source.is_some();
    let (src_ip, src_port) = source.unwrap_or((IpAddr::from([0, 0, 0, 0]), 0));
    Object::InetSocket(InetObject { src_ip, src_port, dst_ip, dst_port, inbound, net_ns: HOST.net })
}

pub(crate) fn facts(path: &[u8]) -> Facts {
    Facts {
        path: path.to_vec(),
        other: vec![],
        unit: Some("session-3.scope".into()),
        whose: Whose::default(),
        local: true,
        errors: Vec::new(),
    }
}

pub(crate) fn loss() -> Health {
    Health {
        state: HealthState::Loss,
        counters: BTreeMap::from([("hits".into(), 12), ("lost_ring_full".into(), 2)]),
        lost: BTreeMap::from([("lost_ring_full".into(), 2)]),
        missing: vec![],
        interval: 60,
    }
}

pub(crate) fn started(target: &str) -> Started {
    let target = target.to_owned();
    let waiting =
        WaitingTarget { class: Class::RuntimeApi, target: target.clone(), why: "no such file".into() };
    Started {
        backend: Backend::Syscall,
        hooks: vec!["raw_tp sys_exit".into()],
        hooks_missing: vec![MissingHook {
            hook: "raw_tp inet_sock_set_state".into(),
            why: "no such event".into(),
        }],
        targets_armed: vec![ArmedTarget { class: Class::StaticPodManifest, target }],
        targets_waiting: vec![waiting],
        coverage_gaps: vec!["opens through io_uring".into()],
        policy_warnings: vec!["rule `a` allows every script and command that /bin/sh is given".into()],
    }
}

/// Each class and action, and everything the daemon says about itself; with the name of its fixture.
pub(crate) fn all() -> Vec<(&'static str, Event)> {
    const MANIFEST: &[u8] = b"/etc/kubernetes/manifests/etcd.yaml";
    const CONFIG: &[u8] = b"/var/lib/kubelet/config.yaml";
    const KEY: &[u8] = b"/etc/kubernetes/pki/etcd/healthcheck-client.key";
    const DATA: &[u8] = b"/var/lib/etcd/member/snap/db";
    const SOCKET: &[u8] = b"/run/containerd/containerd.sock";
    let context = context();
    let at = |class, access: Access, path: &[u8]| {
        context.access(class, &access, facts(path), violation("no rule names /usr/bin/cat"))
    };
    let used = |class, path, action, read, write| {
        let object = file(path, read, write);
        at(class, access(action, object, actor(&[b"cat", path])), path)
    };
    let manifest = |action, read, write| used(Class::StaticPodManifest, MANIFEST, action, read, write);
    let config = |action, read, write| used(Class::KubeletConfig, CONFIG, action, read, write);
    let key = |action, read, write| used(Class::Credential, KEY, action, read, write);
    let data = |action, read, write| used(Class::DatastoreFile, DATA, action, read, write);
    let served = inet(None, IpAddr::from([127, 0, 0, 1]), 7_445);
    let served = access(Action::Connect, served, actor(&[b"curl"]));
    let stranger_at = |object| {
        let access = access(Action::Connect, object, stranger());
        let facts = Facts { unit: None, whose: whose("etcd-node1"), local: false, ..facts(b"") };
        context.access(Class::DatastoreApi, &access, facts, violation("no rule names /memfd:x"))
    };
    let socket = |outcome| {
        let connect = access(Action::Connect, unix(b"/host/c.sock"), actor(&[b"ctr"]));
        at(Class::RuntimeApi, Access { outcome, ..connect }, SOCKET)
    };
    let from = (IpAddr::from([10, 0, 0, 9]), 40_000);
    let port = inet(Some(from), IpAddr::from(Ipv6Addr::LOCALHOST), 10_250);
    let expected = access(Action::Open, file(MANIFEST, true, false), actor(&[b"cat"]));
    let life = |state, message: &str| context.lifecycle(state, Severity::Info, message.to_owned());
    let (class, target) = (Class::RuntimeApi, String::from_utf8_lossy(SOCKET).into_owned());
    let armed = Lifecycle::TargetArmed { class, target: target.clone() };
    let lost = Lifecycle::TargetLost { class, target: target.clone(), why: "no such file".into() };
    let (config_sha256, policy_warnings) = ("0f".repeat(32), vec!["rule `a` allows every script".into()]);
    let reloaded = Lifecycle::Reloaded { config_sha256, rules: 2, targets: 24, policy_warnings };
    let found = Lifecycle::TargetsFound {
        targets: vec![FoundTarget {
            class: Class::StaticPodManifest,
            target: "/srv/pods".into(),
            from: "kubelet[812], staticPodPath in /var/lib/kubelet/config.yaml".into(),
        }],
        left_out: 0,
        notes: vec!["etcd[900]: /etc/etcd.conf is not read: it is no UTF-8".into()],
    };
    let reload_failed = Lifecycle::ReloadFailed { error: "policy.yaml:2:1: unknown key".into() };
    let replaced = Lifecycle::ExecutableReplaced {
        path: "/usr/bin/kubelet".into(),
        old_sha256: Some("0f".repeat(32)),
        new_sha256: Some("f0".repeat(32)),
    };
    let taken = SnapshotTaken {
        processes: 211,
        unreadable: 1,
        violations: 3,
        allowed: 12,
        left_out: 0,
        coverage_gaps: vec!["unix connections: no such file".into()],
    };
    let heartbeat = Health { state: HealthState::Heartbeat, lost: BTreeMap::new(), ..loss() };
    let mut events = vec![
        ("static_pod_manifest.open", manifest(Action::Open, true, false)),
        ("static_pod_manifest.create", manifest(Action::Create, false, true)),
        ("static_pod_manifest.write", manifest(Action::Write, true, true)),
        ("static_pod_manifest.connect", at(Class::StaticPodManifest, served, b"")),
        ("kubelet_config.open", config(Action::Open, true, false)),
        ("kubelet_config.create", config(Action::Create, false, true)),
        ("kubelet_config.write", config(Action::Write, true, true)),
        ("credential.open", key(Action::Open, true, false)),
        ("credential.create", key(Action::Create, false, true)),
        ("credential.write", key(Action::Write, true, true)),
        ("datastore_file.open", data(Action::Open, true, false)),
        ("datastore_file.create", data(Action::Create, false, true)),
        ("datastore_file.write", data(Action::Write, true, true)),
        ("runtime_api.connect", socket(crate::access::Outcome::Unknown)),
        ("runtime_api.connect_refused", socket(crate::access::Outcome::Failure(111))),
        ("datastore_api.connect", stranger_at(inet(None, IpAddr::from([10, 0, 0, 5]), 2379))),
        ("kubelet_api.connect", at(Class::KubeletApi, access(Action::Connect, port, actor(&[b"curl"])), b"")),
        ("allowed", context.access(Class::StaticPodManifest, &expected, facts(MANIFEST), allowed())),
        ("lifecycle.started", life(Lifecycle::Started(started(&target)), "watching 1 target")),
        ("lifecycle.target_armed", life(armed, "watching a target")),
        ("lifecycle.target_lost", life(lost, "a target is gone")),
        ("lifecycle.reloaded", life(reloaded, "the policy was read again")),
        ("lifecycle.reload_failed", life(reload_failed, "the policy is not valid")),
        ("lifecycle.executable_replaced", life(replaced, "an allowed executable was replaced")),
        (
            "lifecycle.stopping",
            life(Lifecycle::Stopping { reason: "SIGTERM".into(), alerts: 3 }, "stopping: SIGTERM"),
        ),
        ("health.heartbeat", context.health(heartbeat)),
        ("health.loss", context.health(loss())),
        ("snapshot", context.held(manifest(Action::Write, false, true), 2)),
        ("lifecycle.snapshot_taken", life(Lifecycle::SnapshotTaken(taken), "looked back at 211 processes")),
        ("lifecycle.targets_found", life(found, "one more target")),
    ];
    for ((_, event), seq) in events.iter_mut().zip(1..) {
        event.seq = seq;
        event.id = Uuid::from_u128(0x0191_0000_0000_7000_8000_0000_0000_0000 | u128::from(seq));
        if event.process.is_none() {
            event.time = context.clock.at(100 * SECOND);
        }
    }
    let (_, written) = events.iter().find(|(name, _)| *name == "static_pod_manifest.write").cloned().unwrap();
    let summary = context.manifest(written, self::manifest("NO_SUCH"));
    let id = Uuid::from_u128(0x0191_0000_0000_7000_8000_0000_0000_0000 | (events.len() as u128 + 1));
    let time = context.clock.at(100 * SECOND);
    events.push(("manifest", Event { seq: events.len() as u64 + 1, id, time, ..summary }));
    let results = [
        ("posture.fail", PostureResult::Fail),
        ("posture.pass", PostureResult::Pass),
        ("posture.unknown", PostureResult::Unknown),
    ];
    for (name, result) in results {
        let check = crate::posture::checks::ALL[0];
        let mut context = context.clone();
        Arc::make_mut(&mut context.agent).backend = None;
        let event = context.posture(check.rule, check.severity, posture(result));
        let seq = events.len() as u64 + 1;
        let id = Uuid::from_u128(0x0191_0000_0000_7000_8000_0000_0000_0000 | u128::from(seq));
        events.push((name, Event { seq, id, time: context.clock.at(100 * SECOND), ..event }));
    }
    events
}

/// The outcome of the first check.
pub(crate) fn posture(result: PostureResult) -> Posture {
    let check = crate::posture::checks::ALL[0];
    let evidence = |origin, key: &str, value: &str| Evidence {
        result,
        origin,
        process: Some("kubelet[812]".into()),
        file: None,
        file_b64: None,
        key: key.into(),
        value: Some(value.into()),
    };
    let drop_in = evidence(Origin::DropIn, "authentication.anonymous.enabled", "true");
    Posture {
        result,
        class: check.class,
        detail: "callers without a name are taken for system:anonymous".into(),
        evidence: vec![
            evidence(Origin::Flag, "--anonymous-auth", "true"),
            drop_in.at(b"/etc/kubernetes/kubelet.conf.d/10-a\xff.conf"),
        ],
        omitted: 1,
        mitigation: check.mitigation,
        cis: check.cis,
    }
}

/// What a manifest holds, with this text wherever its author can choose one.
pub(crate) fn manifest(text: &str) -> Manifest {
    let pod = ManifestPod {
        name: Some(text.to_owned()),
        namespace: text.to_owned(),
        namespace_valid: false,
        host_pid: true,
        host_network: false,
        privileged: true,
        host_paths: vec![text.to_owned(), "/run/containerd/containerd.sock".to_owned()],
        images: vec![text.to_owned(), "registry.example/a:1".to_owned()],
    };
    Manifest {
        sha256: Some("0f".repeat(32)),
        parses: true,
        problem: None,
        link: None,
        attention: vec![
            Attention::InvalidNamespace,
            Attention::PrivilegedOnHost,
            Attention::HostPathRuntimeApi,
        ],
        pods: vec![pod],
        omitted: 1,
    }
}

/// An alert with this text wherever an actor can choose one.
pub(crate) fn hostile(text: &[u8]) -> Event {
    let exe = Executable { path: text.to_vec(), ..executable(b"", 7) };
    let relative = Ancestor { exe: exe.clone(), comm: text.to_vec(), ..ancestor(1, "", "") };
    let actor = Actor {
        comm: text.to_vec(),
        exe,
        cwd: text.to_vec(),
        cgroup: text.to_vec(),
        ancestors: vec![relative; 7],
        ..actor(&[text; 3])
    };
    let facts = Facts {
        unit: Some(String::from_utf8_lossy(text).into_owned()),
        whose: whose(&String::from_utf8_lossy(text)),
        errors: vec![String::from_utf8_lossy(text).into_owned()],
        ..facts(text)
    };
    let object = file(text, true, false);
    let verdict = violation(&text::escaped_bytes(text));
    context().access(Class::StaticPodManifest, &access(Action::Open, object, actor), facts, verdict)
}
