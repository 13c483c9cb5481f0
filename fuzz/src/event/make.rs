//! Any event, made of any bytes.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use arbitrary::{Result, Unstructured};
use monitor::access::{
    Access, Actor, Ancestor, Executable, FileObject, InetObject, MountObject, Object, ObjectKey, OtherPlace,
    Outcome, ProcessObject, TargetId, UnixObject,
};
use monitor::clock::Clock;
use monitor::event::{
    Agent, ArmedTarget, Context, Event, Facts, Health, HealthState, Lifecycle, MissingHook, Node, Started,
    WaitingTarget,
};
use monitor::hash::{Digest, Hashed};
use monitor::identity::{Container, Pod, Runtime, Source, Whose};
use monitor::model::{Action, Backend, Class, Severity};
use monitor::node::Namespaces;
use monitor::verdict::{self, Reason, Verdict};

/// What the kernel side keeps of a process's arguments.
const ARGS_MAX: usize = 2048;

type Input<'a, 'b> = &'a mut Unstructured<'b>;

pub(super) fn event(data: &[u8]) -> Result<Event> {
    let mut input = Unstructured::new(data);
    let context = context(&mut input)?;
    let input = &mut input;
    Ok(match input.int_in_range(0..=7)? {
        0 => context.lifecycle(lifecycle(input)?, Severity::Info, string(input)?),
        1 => context.health(health(input)?),
        _ => context.access(*input.choose(&Class::ALL)?, &access(input)?, facts(input)?, verdict(input)?),
    })
}

fn context(input: Input<'_, '_>) -> Result<Context> {
    // The kernel's release and the ids are short where they are read.
    let node = Node {
        name: "node-1".to_owned(),
        machine_id: None,
        boot_id: Some("9f0c1a52-6a3b-4f0e-9c86-0d7f3c1e2b4a".to_owned()),
        kernel: "6.12.0".to_owned(),
    };
    let agent = Agent { version: "0.1.0", backend: Some(Backend::Fentry), config_sha256: "0".repeat(64) };
    Ok(Context {
        run_id: Default::default(),
        node: Arc::new(node),
        agent: Arc::new(agent),
        clock: Clock::booted_at(i128::from(input.arbitrary::<i64>()?)),
        namespaces: Namespaces { mnt: 1, pid: 2, net: 3 },
        severities: Default::default(),
    })
}

/// Short inputs make long texts, too.
fn bytes(input: Input<'_, '_>) -> Result<Vec<u8>> {
    let length = input.int_in_range(0..=40)?.min(input.len());
    let times = *input.choose(&[1, 1, 1, 1, 1, 2, 10, 100])?;
    Ok(input.bytes(length)?.repeat(times))
}

fn string(input: Input<'_, '_>) -> Result<String> {
    Ok(String::from_utf8_lossy(&bytes(input)?).into_owned())
}

fn list<T>(input: Input<'_, '_>, item: fn(Input<'_, '_>) -> Result<T>) -> Result<Vec<T>> {
    (0..input.int_in_range(0..=12)?).map(|_| item(input)).collect()
}

fn verdict(input: Input<'_, '_>) -> Result<Verdict> {
    let matched = input.ratio(1, 2)?.then(|| string(input)).transpose()?;
    let (result, reason) = match matched {
        Some(_) => (verdict::Outcome::Allowed, Reason::RuleMatched),
        None => (verdict::Outcome::Violation, Reason::ExeMismatch),
    };
    // The only part that is shown as it is: whoever words it escapes what is not its own.
    let detail = monitor::event::text::escaped(&string(input)?);
    Ok(Verdict { result, reason, detail, matched })
}

fn facts(input: Input<'_, '_>) -> Result<Facts> {
    let unit = input.ratio(1, 2)?.then(|| string(input)).transpose()?;
    let errors = list(input, string)?;
    let whose = whose(input)?;
    Ok(Facts { path: bytes(input)?, other: bytes(input)?, unit, whose, local: input.arbitrary()?, errors })
}

fn whose(input: Input<'_, '_>) -> Result<Whose> {
    let optional = |input: Input<'_, '_>| input.ratio(1, 2)?.then(|| string(input)).transpose();
    let container = Container {
        id: string(input)?,
        runtime: Some(Runtime::Containerd),
        name: optional(input)?,
        image: optional(input)?,
        sandbox_id: optional(input)?,
    };
    let pod = Pod {
        namespace: optional(input)?,
        name: optional(input)?,
        uid: optional(input)?,
        is_static: input.arbitrary()?,
        source: Source::Bundle,
    };
    let (container, pod) =
        (input.arbitrary::<bool>()?.then_some(container), input.arbitrary::<bool>()?.then_some(pod));
    Ok(Whose { container, pod, proven: true, errors: list(input, string)? })
}

fn access(input: Input<'_, '_>) -> Result<Access> {
    let actions = [
        Action::Open,
        Action::Create,
        Action::Write,
        Action::Truncate,
        Action::Rename,
        Action::Link,
        Action::Symlink,
        Action::Unlink,
        Action::Chmod,
        Action::Chown,
        Action::Setxattr,
        Action::Mount,
        Action::Umount,
        Action::Connect,
        Action::Accept,
        Action::Receive,
        Action::Ptrace,
        Action::Masquerade,
    ];
    let outcomes = [Outcome::Unknown, Outcome::Success, Outcome::Failure(input.arbitrary()?)];
    Ok(Access {
        boottime: input.arbitrary()?,
        target: TargetId(input.arbitrary()?),
        action: *input.choose(&actions)?,
        object: object(input)?,
        outcome: *input.choose(&outcomes)?,
        actor: actor(input)?,
        truncated: input.arbitrary()?,
    })
}

fn object(input: Input<'_, '_>) -> Result<Object> {
    let key = ObjectKey::new(input.arbitrary()?, input.arbitrary()?);
    let ip =
        |input: Input<'_, '_>| Ok(IpAddr::V6(Ipv6Addr::from(input.arbitrary::<[u8; 16]>()?)).to_canonical());
    Ok(match input.int_in_range(0..=4)? {
        0 => {
            let other = OtherPlace { path_inside: bytes(input)?, is_source: input.arbitrary()? };
            Object::File(FileObject {
                key,
                path_seen: bytes(input)?,
                path_inside: bytes(input)?,
                other: input.ratio(1, 2)?.then_some(other),
                read: input.arbitrary()?,
                write: input.arbitrary()?,
                directory: input.arbitrary()?,
            })
        }
        1 => {
            let (path_seen, source, fstype) = (bytes(input)?, bytes(input)?, bytes(input)?);
            Object::Mount(MountObject { key, path_seen, source, fstype, shared: input.arbitrary()? })
        }
        2 => {
            let (path_seen, path_named) = (bytes(input)?, bytes(input)?);
            Object::UnixSocket(UnixObject { key, path_seen, peer_pid: input.arbitrary()?, path_named })
        }
        3 => Object::InetSocket(InetObject {
            src_ip: ip(input)?,
            src_port: input.arbitrary()?,
            dst_ip: ip(input)?,
            dst_port: input.arbitrary()?,
            inbound: input.arbitrary()?,
            net_ns: input.arbitrary()?,
        }),
        _ => Object::Process(ProcessObject {
            pid: input.arbitrary()?,
            start: input.arbitrary()?,
            exe: executable(input)?,
        }),
    })
}

fn actor(input: Input<'_, '_>) -> Result<Actor> {
    let mut args = bytes(input)?;
    args.truncate(ARGS_MAX);
    let args = args.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect();
    Ok(Actor {
        pid: input.arbitrary()?,
        start: input.arbitrary()?,
        comm: comm(input)?,
        exe: executable(input)?,
        args: input.ratio(7, 8)?.then_some(args),
        cwd: bytes(input)?,
        auid: input.arbitrary()?,
        caps_effective: input.arbitrary()?,
        mnt_ns: input.int_in_range(0..=2)?,
        cgroup: bytes(input)?,
        ancestors: (0..input.int_in_range(0..=7)?).map(|_| ancestor(input)).collect::<Result<_>>()?,
        exe_hash: input
            .arbitrary::<[u8; 32]>()
            .ok()
            .map(|digest| Hashed { digest: Digest(digest), certain: true }),
        ..Actor::default()
    })
}

fn ancestor(input: Input<'_, '_>) -> Result<Ancestor> {
    Ok(Ancestor {
        comm: comm(input)?,
        exe: executable(input)?,
        start: input.arbitrary()?,
        ..Ancestor::default()
    })
}

fn executable(input: Input<'_, '_>) -> Result<Executable> {
    let key = ObjectKey::new(input.arbitrary()?, input.arbitrary()?);
    let key = input.arbitrary::<bool>()?.then_some(key);
    Ok(Executable { key, path: bytes(input)?, deleted: input.arbitrary()? })
}

/// The kernel has sixteen bytes for it.
fn comm(input: Input<'_, '_>) -> Result<Vec<u8>> {
    let mut comm = bytes(input)?;
    comm.truncate(16);
    Ok(comm)
}

fn lifecycle(input: Input<'_, '_>) -> Result<Lifecycle> {
    let class = *input.choose(&Class::ALL)?;
    Ok(match input.int_in_range(0..=3)? {
        0 => Lifecycle::Started(Started {
            backend: Backend::Fentry,
            hooks: vec!["fentry security_file_open".to_owned()],
            hooks_missing: list(input, |input| {
                Ok(MissingHook { hook: "fentry security_file_open".to_owned(), why: string(input)? })
            })?,
            targets_armed: list(input, |input| {
                Ok(ArmedTarget { class: *input.choose(&Class::ALL)?, target: string(input)? })
            })?,
            targets_waiting: list(input, |input| {
                let (class, target, why) = (*input.choose(&Class::ALL)?, string(input)?, string(input)?);
                Ok(WaitingTarget { class, target, why })
            })?,
            coverage_gaps: list(input, string)?,
            policy_warnings: list(input, string)?,
        }),
        1 => Lifecycle::TargetArmed { class, target: string(input)? },
        2 => Lifecycle::TargetLost { class, target: string(input)?, why: string(input)? },
        _ => Lifecycle::Stopping { reason: string(input)?, alerts: input.arbitrary()? },
    })
}

fn health(input: Input<'_, '_>) -> Result<Health> {
    let counted = |input: Input<'_, '_>| Ok(("lost_ring_full".to_owned(), input.arbitrary::<u64>()?));
    Ok(Health {
        state: *input.choose(&[HealthState::Heartbeat, HealthState::Loss])?,
        counters: list(input, counted)?.into_iter().collect(),
        lost: list(input, counted)?.into_iter().collect(),
        interval: input.arbitrary()?,
        ..Health::default()
    })
}
