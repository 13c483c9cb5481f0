//! Which hooks to attach. The best backend of which everything attaches wins; what a kernel can do is found by trying it.

use aya::{Btf, Ebpf};
use monitor_abi::fields::Field;

use super::attach::{Attach, attach, detach};
use crate::btf::Offsets;
use crate::model::{Backend, Class};

/// One place in the kernel where a program of ours can sit.
#[derive(Debug)]
struct Hook {
    program: &'static str,
    attach: Attach,
    /// What is not seen without it.
    doors: &'static [Class],
    /// Fields it reads besides [`ACTOR`].
    fields: &'static [&'static [Field]],
}

/// A new attach type (`kprobe`) gets its entry here, between the two.
const BACKENDS: [(Backend, &[Hook]); 2] = [
    (
        Backend::Fentry,
        &[
            Hook {
                program: "file_open_fentry",
                attach: Attach::Fentry("security_file_open"),
                doors: &[Class::StaticPodManifest],
                fields: &[FILE],
            },
            Hook {
                program: "unix_connect_fentry",
                attach: Attach::Fentry("security_unix_stream_connect"),
                doors: &[Class::RuntimeApi],
                fields: &[FILE, UNIX],
            },
            Hook {
                program: "inet_state_btf",
                attach: Attach::BtfTracepoint("inet_sock_set_state"),
                doors: &[Class::DatastoreApi, Class::KubeletApi],
                fields: &[INET],
            },
        ],
    ),
    (
        Backend::Syscall,
        &[
            Hook {
                program: "sys_exit_raw",
                attach: Attach::RawTracepoint("sys_exit"),
                doors: &[Class::StaticPodManifest, Class::RuntimeApi],
                fields: &[FILE, UNIX, DESCRIPTOR],
            },
            Hook {
                program: "inet_state_raw",
                attach: Attach::RawTracepoint("inet_sock_set_state"),
                doors: &[Class::DatastoreApi, Class::KubeletApi],
                fields: &[INET],
            },
        ],
    ),
];

/// Without these an access could not be told from another, or its actor would be described wrongly.
const ACTOR: &[Field] = &[
    Field::FileInode,
    Field::FileMnt,
    Field::FileDentry,
    Field::InodeSb,
    Field::InodeIno,
    Field::InodeNlink,
    Field::SbDev,
    Field::DentryParent,
    Field::DentryInode,
    Field::DentryName,
    Field::VfsmountRoot,
    Field::MountVfsmount,
    Field::MountParent,
    Field::MountMountpoint,
    Field::TaskTgid,
    Field::TaskLeader,
    Field::TaskParent,
    Field::TaskStart,
    Field::TaskComm,
    Field::TaskMm,
    Field::TaskCred,
    Field::TaskNsproxy,
    Field::TaskPid,
    Field::TaskFs,
    Field::MmExeFile,
    Field::MmArgStart,
    Field::MmArgEnd,
    Field::CredUid,
    Field::CredEuid,
    Field::CredGid,
    Field::CredEgid,
    Field::CredCapEffective,
    Field::NsproxyMnt,
    Field::NsproxyNet,
    Field::MntNsInum,
    Field::NetNsInum,
    Field::PidNsInum,
    Field::PidLevel,
    Field::PidNumbers,
    Field::UpidNr,
    Field::UpidNs,
    Field::FsPwdMnt,
    Field::FsPwdDentry,
];
const FILE: &[Field] = &[Field::FileFlags, Field::FileMode, Field::InodeMode];
const UNIX: &[Field] = &[Field::UnixMnt, Field::UnixDentry, Field::SockPeerPid];
const INET: &[Field] =
    &[Field::SockFamily, Field::SockDport, Field::SockNum, Field::SockDaddr, Field::SockSaddr];
const DESCRIPTOR: &[Field] = &[
    Field::TaskFiles,
    Field::FilesFdt,
    Field::FdtableMax,
    Field::FdtableFd,
    Field::FilePrivate,
    Field::SocketSk,
    Field::SockFamily,
    Field::UnixPeer,
    Field::RegsSyscall,
    Field::RegsArg0,
];

/// What became of one hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookReport {
    pub program: &'static str,
    pub place: &'static str,
    pub doors: &'static [Class],
    pub state: HookState,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HookState {
    Attached,
    Failed(String),
}

/// A backend that was tried.
#[derive(Clone, Debug)]
pub struct Candidate {
    pub backend: Backend,
    pub hooks: Vec<HookReport>,
}

impl Candidate {
    fn attached(&self) -> usize {
        self.hooks.iter().filter(|hook| hook.state == HookState::Attached).count()
    }

    fn complete(&self) -> bool {
        self.attached() == self.hooks.len()
    }

    /// What failed, for people.
    pub fn failures(&self) -> impl Iterator<Item = String> + '_ {
        self.hooks.iter().filter_map(|hook| match &hook.state {
            HookState::Attached => None,
            HookState::Failed(why) => Some(why.clone()),
        })
    }
}

/// The outcome: what runs, and what was tried before it.
#[derive(Clone, Debug)]
pub struct Attached {
    pub chosen: Candidate,
    pub rejected: Vec<Candidate>,
}

pub fn choose(ebpf: &mut Ebpf, offsets: &Offsets, wanted: Option<Backend>) -> Result<Attached, String> {
    // Not needed for raw tracepoints, so its absence is an error only of the hooks that use it.
    let btf = Btf::from_sys_fs().ok();
    let mut rejected = Vec::new();
    let candidates = BACKENDS.iter().filter(|(backend, _)| wanted.is_none_or(|wanted| wanted == *backend));
    for (backend, hooks) in candidates.clone() {
        let candidate = try_backend(ebpf, btf.as_ref(), offsets, *backend, hooks);
        if candidate.complete() {
            return Ok(Attached { chosen: candidate, rejected });
        }
        for hook in *hooks {
            detach(ebpf, hook.program);
        }
        rejected.push(candidate);
    }
    if wanted.is_some() {
        return Err(failures(&rejected));
    }
    // None is complete: the one that sees most, the better one where two see as much.
    let best =
        rejected.iter().rev().max_by_key(|candidate| candidate.attached()).filter(|best| best.attached() > 0);
    let Some(best) = best.map(|best| best.backend) else {
        return Err(failures(&rejected));
    };
    let (backend, hooks) =
        candidates.into_iter().find(|(backend, _)| *backend == best).ok_or_else(|| best.to_string())?;
    let chosen = try_backend(ebpf, btf.as_ref(), offsets, *backend, hooks);
    rejected.retain(|candidate| candidate.backend != best);
    Ok(Attached { chosen, rejected })
}

fn failures(candidates: &[Candidate]) -> String {
    candidates.iter().flat_map(Candidate::failures).collect::<Vec<_>>().join("; ")
}

fn try_backend(
    ebpf: &mut Ebpf,
    btf: Option<&Btf>,
    offsets: &Offsets,
    backend: Backend,
    hooks: &'static [Hook],
) -> Candidate {
    let hooks = hooks
        .iter()
        .map(|hook| {
            let state = match missing(offsets, hook) {
                Some(why) => HookState::Failed(why),
                None => match attach(ebpf, btf, hook.program, hook.attach) {
                    Ok(()) => HookState::Attached,
                    Err(error) => HookState::Failed(error.to_string()),
                },
            };
            tracing::debug!(backend = backend.name(), program = hook.program, ?state, "tried");
            HookReport { program: hook.program, place: hook.attach.place(), doors: hook.doors, state }
        })
        .collect();
    Candidate { backend, hooks }
}

/// A hook whose fields this kernel does not have is not attached: it would read something else.
fn missing(offsets: &Offsets, hook: &Hook) -> Option<String> {
    let field = [ACTOR]
        .iter()
        .chain(hook.fields)
        .flat_map(|fields| fields.iter())
        .find(|field| !offsets.has(**field))?;
    let why = offsets.missing.iter().find(|(missing, _)| missing == field).map(|(_, why)| why.to_string());
    Some(format!("{}: {}", hook.program, why.unwrap_or_default()))
}
