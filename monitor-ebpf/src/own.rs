//! The daemon's own accesses: never events, but its way to learn what the hooks see.

use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use monitor_abi::fields::Field;
use monitor_abi::probe::{Namespaces, Own, PROBE_KEYS};
use monitor_abi::watch::ObjectKey;

use crate::capture::ancestors::parent;
use crate::capture::task;
use crate::maps::{GATE, OWN, PROBE};
use crate::reader::{Kernel, Probe, Reader, with_reader};

/// Called by the daemon itself, in its own context: notes who it is, and opens or closes the gate for its probes.
///
/// That way it is known as the kernel knows it, whatever process id namespace it runs in.
#[inline(always)]
pub fn announce(armed: bool) {
    let id = bpf_get_current_pid_tgid();
    if let Some(own) = OWN.get_ptr_mut(0) {
        // SAFETY: the pointer is the map's only value, and only the daemon's one probing thread runs this.
        unsafe {
            *own = Own {
                start: start(),
                tgid: (id >> 32) as u32,
                pad: 0,
                own: with_reader!(namespaces()),
                node: with_reader!(node()),
            };
        }
    }
    if let Some(probe) = PROBE.get_ptr_mut(0) {
        // SAFETY: as above.
        unsafe {
            (*probe).count = 0;
            (*probe).hooks = 0;
            (*probe).port = 0;
        }
    }
    if let Some(gate) = GATE.get_ptr_mut(0) {
        // SAFETY: as above.
        unsafe { (*gate).armed = if armed { id as u32 } else { 0 } };
    }
}

/// Whether the daemon is the current process.
#[inline(always)]
pub fn is_own() -> bool {
    let Some(own) = OWN.get(0) else { return false };
    own.tgid == (bpf_get_current_pid_tgid() >> 32) as u32 && own.start == start()
}

/// Whether the process sees the node's mounts.
#[inline(always)]
pub fn is_in_node_mounts(task: Kernel) -> bool {
    let Some(own) = OWN.get(0) else { return false };
    own.node.mnt == task::namespaces::<Probe>(task).mnt
}

/// Whether the daemon waits to hear what this hook sees of the current thread.
#[inline(always)]
pub fn is_probe() -> bool {
    let Some(gate) = GATE.get(0) else { return false };
    gate.armed != 0 && gate.armed == bpf_get_current_pid_tgid() as u32
}

/// Tells the daemon what a hook saw.
#[inline(always)]
pub fn answer(hook: u32, key: ObjectKey, generation: u32, port: u16) {
    let Some(probe) = PROBE.get_ptr_mut(0) else { return };
    // SAFETY: the pointer is the map's only value, and only the probing thread gets here.
    let probe = unsafe { &mut *probe };
    probe.hooks |= hook;
    if port != 0 {
        probe.port = u32::from(port);
    }
    let index = probe.count as usize;
    if key.ino != 0 && index < PROBE_KEYS {
        // VERIFIER: the mask repeats the comparison in a form that survives a spill of the index.
        probe.keys[index & (PROBE_KEYS - 1)] = key;
        probe.generations[index & (PROBE_KEYS - 1)] = generation;
        probe.count += 1;
    }
}

#[inline(always)]
pub fn start() -> u64 {
    with_reader!(started())
}

#[inline(always)]
fn started<R: Reader>() -> u64 {
    R::read(R::pointer(R::current(), Field::TaskLeader), Field::TaskStart)
}

#[inline(always)]
fn namespaces<R: Reader>() -> Namespaces {
    task::namespaces::<R>(R::current())
}

/// The namespaces of process 1, which every process descends from. Asked of the kernel, because /proc/1/ns needs a
/// privilege the daemon may lack and shows a container's process 1 without `hostPID`.
#[inline(always)]
fn node<R: Reader>() -> Namespaces {
    /// Far more than a daemon has ancestors.
    const DEPTH: usize = 64;
    let mut task = R::current();
    for _ in 0..DEPTH {
        if R::read::<u32>(task, Field::TaskTgid) == 1 {
            return task::namespaces::<R>(task);
        }
        task = parent::<R>(task);
    }
    Namespaces::default()
}
