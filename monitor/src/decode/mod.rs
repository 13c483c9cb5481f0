//! Bytes from the kernel to an [`Access`]. Every length and tag is checked; a record that breaks the contract is an error,
//! never a panic.

mod change;
mod sections;
mod socket;

use std::mem;
use std::net::IpAddr;

use bytes::Buf;
use monitor_abi::record::{
    ACTOR_ARGS_TRUNCATED, ACTOR_ARGS_UNREADABLE, ACTOR_EXE_DELETED, ACTOR_HAS_AUDIT, ACTOR_HAS_CGROUP,
    ACTOR_NO_MM, ACTOR_TRACED, HEAD_ACROSS, HEAD_ANCESTOR, HEAD_NO_ACTOR, HEAD_NUMBERS, HEAD_RECEIVED,
    HEAD_STALE, HEAD_TRUNCATED, Head, OBJECT_MAX, PROCESS_CONTROLLED, PROCESS_MASQUERADES, TAG_CHANGE,
    TAG_DOER, TAG_FILE, TAG_INET, TAG_MOUNT, TAG_OUTCOME, TAG_PROCESS, TAG_UNIX,
};
use thiserror::Error;

use self::sections::Sections;
use crate::access::{
    Access, Actor, Executable, FileObject, Object, ObjectKey, Outcome, ProcessObject, TargetId,
};
use crate::model::Action;

/// How a record broke the contract with the kernel side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    #[error("a record of {0} bytes is shorter than its fixed part")]
    Short(usize),
    #[error("a record says it has {said} bytes and has {has}")]
    Length { said: u32, has: usize },
    #[error("unknown record tag {0}")]
    Tag(u32),
    #[error("unknown change {0}")]
    Change(u32),
    #[error("unknown way {0} to act in the name of a process")]
    Process(u32),
    #[error("section {kind} of {length} bytes does not fit into its record")]
    Section { kind: u16, length: u16 },
}

const FIXED: usize = size_of::<Head>() + OBJECT_MAX;

/// A decoded record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    Access(Box<Decoded>),
    /// How a connection went that a record of its own began.
    Outcome(ConnectOutcome),
    /// Who did what is told elsewhere.
    Doer(Box<Actor>),
}

/// An access and what the kernel said about its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    pub access: Access,
    /// How many names of a file's path lie below the watched object.
    pub below: u32,
    /// The kernel side knows the object by a number alone that another had before.
    pub stale: bool,
    /// Of the object, as the hook saw it.
    pub generation: u32,
    /// A hook told it as it began, not fanotify afterwards.
    pub hooked: bool,
    /// The object is a directory above the target and above others.
    pub ancestor: bool,
    /// It lies in what was just mounted over a directory above the target.
    pub across: bool,
    /// A file is about to be made; if an open makes it, the open is reported too.
    pub maybe_opened: bool,
    /// A connection has just begun; a record of its outcome has the same number.
    pub connecting: Option<u64>,
    /// The names of its actor are not known yet, and a path is that inside the file system: the kernel side could read numbers only.
    pub unnamed: bool,
    /// What could not be found out about it.
    pub errors: Vec<String>,
}

impl Decoded {
    /// An access to the target itself, of which everything is known.
    pub fn of(access: Access) -> Self {
        Self {
            access,
            below: 0,
            stale: false,
            generation: 0,
            hooked: false,
            ancestor: false,
            across: false,
            maybe_opened: false,
            connecting: None,
            unnamed: false,
            errors: Vec::new(),
        }
    }
}

/// What is known of a connection once it stands or failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectOutcome {
    pub connection: u64,
    pub outcome: Outcome,
    pub src_ip: IpAddr,
    pub src_port: u16,
}

pub fn decode(record: &[u8]) -> Result<Record, DecodeError> {
    if record.len() < FIXED {
        return Err(DecodeError::Short(record.len()));
    }
    let (mut head, rest) = record.split_at(size_of::<Head>());
    let (object, sections) = rest.split_at(OBJECT_MAX);
    let tag = head.get_u32_ne();
    let length = head.get_u32_ne();
    if usize::try_from(length) != Ok(record.len()) {
        return Err(DecodeError::Length { said: length, has: record.len() });
    }
    let boottime = head.get_u64_ne();
    let target = TargetId(head.get_u32_ne());
    let flags = head.get_u32_ne();
    let below = head.get_u32_ne();
    head.advance(4);
    let (mut actor, actor_flags) = actor(&mut head);
    let Sections { exe, args, cwd, object: path, cgroup, ancestors, other, source, fstype } =
        Sections::decode(sections)?;
    actor.exe.path = exe;
    actor.args = if actor_flags & ACTOR_ARGS_UNREADABLE == 0 { args } else { None };
    actor.cwd = cwd;
    actor.cgroup = cgroup;
    actor.ancestors = ancestors;
    let (mut maybe_opened, mut connecting) = (false, None);
    let mut outcome = Outcome::Unknown;
    let unnamed = flags & HEAD_NUMBERS != 0;
    let (action, mut object) = match tag {
        TAG_CHANGE => {
            let change = change::decode(object)?;
            maybe_opened = change.maybe_opened;
            (change.action, change.object(path, other))
        }
        TAG_MOUNT => change::mount(object, path, if source.is_empty() { other } else { source }, fstype),
        TAG_FILE if unnamed => file(object, Vec::new(), path),
        TAG_FILE => file(object, path, Vec::new()),
        TAG_UNIX => {
            let (socket, errno) = socket::unix(object, path, source);
            outcome = errno.map_or(Outcome::Unknown, Outcome::Failure);
            (Action::Connect, Object::UnixSocket(socket))
        }
        TAG_INET => {
            let connection = socket::inet(object);
            let action = if connection.object.inbound { Action::Accept } else { Action::Connect };
            connecting = (flags & (HEAD_RECEIVED | HEAD_NO_ACTOR) == 0).then_some(connection.number);
            (action, Object::InetSocket(connection.object))
        }
        TAG_DOER => return Ok(Record::Doer(Box::new(actor))),
        TAG_OUTCOME => return Ok(Record::Outcome(socket::inet(object).outcome())),
        TAG_PROCESS => process(object, path)?,
        other => return Err(DecodeError::Tag(other)),
    };
    // Whether it is a part of what the object is known by, the file system decides.
    let generation = object.key_mut().map_or(0, |key| mem::take(&mut key.generation));
    let truncated = flags & HEAD_TRUNCATED != 0;
    let action = if flags & HEAD_RECEIVED == 0 { action } else { Action::Receive };
    let access = Access { boottime, target, action, object, outcome, actor, truncated };
    Ok(Record::Access(Box::new(Decoded {
        below,
        generation,
        stale: flags & HEAD_STALE != 0,
        hooked: true,
        ancestor: flags & HEAD_ANCESTOR != 0,
        across: flags & HEAD_ACROSS != 0,
        maybe_opened,
        connecting,
        unnamed,
        ..Decoded::of(access)
    })))
}

/// The actor's fixed part. The caller has checked that it is there.
fn actor(buf: &mut &[u8]) -> (Actor, u32) {
    let start = buf.get_u64_ne();
    let caps_effective = buf.get_u64_ne();
    let cgroup_id = buf.get_u64_ne();
    let exe_ino = buf.get_u64_ne();
    let exe_dev = buf.get_u32_ne();
    let flags = buf.get_u32_ne();
    let pid = buf.get_u32_ne();
    let tid = buf.get_u32_ne();
    let uid = buf.get_u32_ne();
    let euid = buf.get_u32_ne();
    let gid = buf.get_u32_ne();
    let egid = buf.get_u32_ne();
    let auid = buf.get_u32_ne();
    let session = buf.get_u32_ne();
    let mnt_ns = buf.get_u32_ne();
    let pid_ns = buf.get_u32_ne();
    let net_ns = buf.get_u32_ne();
    let role = buf.get_u32_ne();
    let mut comm = [0; 16];
    buf.copy_to_slice(&mut comm);
    // All bits set: never logged in.
    let audit = |value: u32| (flags & ACTOR_HAS_AUDIT != 0 && value != u32::MAX).then_some(value);
    let actor = Actor {
        pid,
        tid,
        start,
        comm: sections::until_zero(&comm).to_vec(),
        exe: executable(exe_dev, exe_ino, flags),
        args_truncated: flags & ACTOR_ARGS_TRUNCATED != 0,
        traced: flags & ACTOR_TRACED != 0,
        role,
        uid,
        euid,
        gid,
        egid,
        auid: audit(auid),
        session_id: audit(session),
        caps_effective,
        mnt_ns,
        pid_ns,
        net_ns,
        cgroup_id: (flags & ACTOR_HAS_CGROUP != 0).then_some(cgroup_id),
        ..Actor::default()
    };
    (actor, flags)
}

fn executable(dev: u32, ino: u64, flags: u32) -> Executable {
    Executable {
        key: (flags & ACTOR_NO_MM == 0 && ino != 0).then(|| ObjectKey::new(dev, ino)),
        path: Vec::new(),
        deleted: flags & ACTOR_EXE_DELETED != 0,
    }
}

fn file(mut buf: &[u8], path_seen: Vec<u8>, path_inside: Vec<u8>) -> (Action, Object) {
    /// Of open(2), the same on every architecture this runs on.
    const O_ACCMODE: u32 = 3;
    const O_WRONLY: u32 = 1;
    const S_IFMT: u32 = 0o170_000;
    const S_IFDIR: u32 = 0o040_000;
    let ino = buf.get_u64_ne();
    let dev = buf.get_u32_ne();
    let flags = buf.get_u32_ne();
    let created = buf.get_u32_ne() != 0;
    let mode = buf.get_u32_ne();
    let generation = buf.get_u32_ne();
    let write = flags & O_ACCMODE != 0;
    let read = flags & O_ACCMODE != O_WRONLY;
    let action = match (created, write) {
        (true, _) => Action::Create,
        (false, true) => Action::Write,
        (false, false) => Action::Open,
    };
    let directory = mode & S_IFMT == S_IFDIR;
    let file = FileObject {
        key: ObjectKey { ino, dev, generation },
        path_seen,
        path_inside,
        other: None,
        read,
        write,
        directory,
    };
    (action, Object::File(file))
}

fn process(mut buf: &[u8], exe_path: Vec<u8>) -> Result<(Action, Object), DecodeError> {
    let start = buf.get_u64_ne();
    let ino = buf.get_u64_ne();
    let dev = buf.get_u32_ne();
    let flags = buf.get_u32_ne();
    let pid = buf.get_u32_ne();
    let action = match buf.get_u32_ne() {
        PROCESS_CONTROLLED => Action::Ptrace,
        PROCESS_MASQUERADES => Action::Masquerade,
        other => return Err(DecodeError::Process(other)),
    };
    let exe = Executable { path: exe_path, ..executable(dev, ino, flags) };
    Ok((action, Object::Process(ProcessObject { pid, start, exe })))
}

#[cfg(test)]
mod tests;
