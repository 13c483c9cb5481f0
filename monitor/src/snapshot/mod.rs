//! Who holds a door open already: the files that were opened, and the connections that were made, before the daemon watched.
//!
//! It only looks: at /proc, and at the kernel's lists of sockets. No watched file is opened, no watched socket connected to.
//! Arming comes first, so that what happens meanwhile is seen by the hooks.

mod fds;
mod inet;
mod name;
mod namespaces;
mod process;
mod sockets;
mod status;
mod tables;
mod unix;
mod wanted;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::net::IpAddr;

use rustix::time::{ClockId, clock_gettime};

use self::fds::Fds;
pub use self::name::name;
pub(crate) use self::process::{Process, kernel_key};
use self::sockets::Sockets;
pub use self::wanted::Wanted;
use crate::access::{Access, Actor, Object, ObjectKey, Outcome, TargetId};
use crate::decode::Decoded;
use crate::model::Action;
use crate::node::Namespaces;

/// Holders that are reported; one of them has a few kilobytes until it is written. More are counted.
const HOLDERS_MAX: usize = 2048;

/// What was found.
#[derive(Debug, Default)]
pub struct Snapshot {
    pub holders: Vec<Holder>,
    /// Processes that were looked at.
    pub processes: u64,
    /// Processes whose descriptors cannot be read.
    pub unreadable: u64,
    /// Holders beyond those that are reported.
    pub left_out: u64,
    /// What else could not be found out, in sentences.
    pub coverage_gaps: Vec<String>,
}

/// A process that holds a door open, or a connection from elsewhere.
#[derive(Debug)]
pub struct Holder {
    pub decoded: Decoded,
    /// How often: descriptors of the same file, connections to the same address.
    pub count: u64,
}

/// A use of a door, without who it is.
#[derive(Clone, Debug)]
struct Use {
    target: TargetId,
    /// Names of a file's path below the watched object.
    below: u32,
    action: Action,
    object: Object,
}

/// What a process does not hold twice, but once and often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Thing {
    File { key: ObjectKey, write: bool },
    Unix(ObjectKey),
    Outbound { dst: (IpAddr, u16), net_ns: u32 },
    Inbound { src: IpAddr, dst: (IpAddr, u16) },
}

impl Thing {
    /// `None` for what cannot be held.
    pub fn of(object: &Object) -> Option<Self> {
        match object {
            Object::File(file) => Some(Self::File { key: file.key, write: file.write }),
            Object::UnixSocket(socket) => Some(Self::Unix(socket.key)),
            Object::InetSocket(inet) => {
                let dst = (inet.dst_ip, inet.dst_port);
                Some(if inet.inbound {
                    Self::Inbound { src: inet.src_ip, dst }
                } else {
                    Self::Outbound { dst, net_ns: inet.net_ns }
                })
            }
            Object::Mount(_) | Object::Process(_) => None,
        }
    }
}

/// Uses of one process, each once with its count.
#[derive(Debug, Default)]
struct Uses {
    list: Vec<(Use, u64)>,
    places: HashMap<Thing, usize>,
}

impl Uses {
    fn add(&mut self, used: Use) {
        let Some(thing) = Thing::of(&used.object) else { return };
        match self.places.entry(thing) {
            Entry::Occupied(place) => {
                if let Some((_, count)) = self.list.get_mut(*place.get()) {
                    *count += 1;
                }
            }
            Entry::Vacant(place) => {
                place.insert(self.list.len());
                self.list.push((used, 1));
            }
        }
    }
}

/// A process as it is now, and what could not be found out about it; `None` when it is gone.
pub fn describe(pid: u32, wanted: &Wanted) -> Option<(Actor, Vec<String>)> {
    Process::open(pid).ok()?.describe(pid, wanted)
}

/// The namespaces of a process.
pub fn namespaces_of(pid: u32) -> io::Result<Namespaces> {
    let process = Process::open(pid)?;
    let of = |kind: &str| {
        let link = process.link(&format!("ns/{kind}"))?;
        status::namespace(&link).ok_or_else(|| io::Error::other("it names no namespace"))
    };
    Ok(Namespaces { mnt: of("mnt")?, pid: of("pid")?, net: of("net")? })
}

/// Those of the node's first process, or of the kernel's own first thread, which shows them to who may not look at the first process.
pub fn namespaces_of_node() -> io::Result<Namespaces> {
    const KTHREADD: u32 = 2;
    namespaces_of(1).or_else(|error| namespaces_of(KTHREADD).map_err(|_| error))
}

/// Looks at the node. It changes the network namespace of the thread it is called on, which is good for nothing else afterwards.
pub fn take(wanted: &Wanted) -> Snapshot {
    let mut snapshot = Snapshot::default();
    let pids = match process::all(wanted.own_pid) {
        Ok(pids) => pids,
        Err(error) => {
            snapshot
                .coverage_gaps
                .push(format!("who held anything before the start: /proc cannot be read: {error}"));
            return snapshot;
        }
    };
    let mut sockets = Sockets::collect(wanted, &pids);
    snapshot.coverage_gaps.append(&mut sockets.gaps);
    snapshot.left_out += sockets.left_out;
    for (used, count) in std::mem::take(&mut sockets.inbound).list {
        snapshot.add(used, count, &Actor::default(), &[]);
    }
    let mut fds = match Fds::new(wanted, &sockets) {
        Ok(fds) => fds,
        Err(error) => {
            snapshot
                .coverage_gaps
                .push(format!("who held anything before the start: no socket can be made: {error}"));
            return snapshot;
        }
    };
    for pid in pids {
        // A process that is gone holds nothing.
        let Ok(process) = Process::open(pid) else { continue };
        snapshot.look_at(&process, &mut fds, wanted);
    }
    fds.name_listeners(&mut snapshot.holders);
    snapshot
}

impl Snapshot {
    fn look_at(&mut self, process: &Process, fds: &mut Fds<'_>, wanted: &Wanted) {
        self.processes += 1;
        let found = fds.of(process);
        if found.refused {
            self.unreadable += 1;
        }
        for (task, uses) in found.uses {
            let Some((actor, errors)) = process.describe(task, wanted) else { continue };
            for (used, count) in uses.list {
                self.add(used, count, &actor, &errors);
            }
        }
    }

    fn add(&mut self, used: Use, count: u64, actor: &Actor, errors: &[String]) {
        if self.holders.len() >= HOLDERS_MAX {
            self.left_out += 1;
            return;
        }
        let Use { target, below, action, object } = used;
        let access = Access {
            boottime: now(),
            target,
            action,
            object,
            outcome: Outcome::Success,
            actor: actor.clone(),
            truncated: false,
        };
        let decoded = Decoded { below, errors: errors.to_vec(), ..Decoded::of(access) };
        self.holders.push(Holder { decoded, count });
    }
}

/// Nanoseconds since boot.
fn now() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    seconds * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}
