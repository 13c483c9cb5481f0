//! What the kernel knows about a process as numbers.

use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use monitor_abi::fields::Field;
use monitor_abi::probe::Namespaces;
use monitor_abi::record::{ACTOR_EXE_DELETED, ACTOR_HAS_AUDIT, ACTOR_HAS_CGROUP, ACTOR_NO_MM, ACTOR_TRACED};

use super::scratch::Scratch;
use crate::matching;
use crate::reader::{Kernel, Probe, Reader, address, has, value};

#[inline(always)]
pub fn describe(scratch: &mut Scratch, task: Kernel) {
    let id = bpf_get_current_pid_tgid();
    let cred = Probe::pointer(task, Field::TaskCred);
    let inode = Probe::pointer(exe(task), Field::FileInode);
    let key = matching::key::<Probe>(inode);
    let namespaces = namespaces(task);
    let actor = &mut scratch.head().actor;
    actor.start = Probe::read(Probe::pointer(task, Field::TaskLeader), Field::TaskStart);
    actor.caps_effective = Probe::read(cred, Field::CredCapEffective);
    actor.cgroup_id = 0;
    actor.exe_ino = key.ino;
    actor.exe_dev = key.dev;
    actor.flags = exe_flags(task, inode);
    if Probe::read::<u32>(task, Field::TaskPtrace) != 0 {
        actor.flags |= ACTOR_TRACED;
    }
    actor.tgid = (id >> 32) as u32;
    actor.tid = id as u32;
    actor.uid = Probe::read(cred, Field::CredUid);
    actor.euid = Probe::read(cred, Field::CredEuid);
    actor.gid = Probe::read(cred, Field::CredGid);
    actor.egid = Probe::read(cred, Field::CredEgid);
    actor.auid = u32::MAX;
    actor.session = u32::MAX;
    if has(Field::TaskLoginuid) && has(Field::TaskSessionid) {
        actor.flags |= ACTOR_HAS_AUDIT;
        actor.auid = Probe::read(task, Field::TaskLoginuid);
        actor.session = Probe::read(task, Field::TaskSessionid);
    }
    if has(Field::CssSetCgroup) {
        actor.flags |= ACTOR_HAS_CGROUP;
    }
    actor.mnt_ns = namespaces.mnt;
    actor.pid_ns = namespaces.pid;
    actor.net_ns = namespaces.net;
    actor.pad = 0;
    actor.comm = value(address(task, Field::TaskComm));
}

/// The file a process runs; null for a kernel thread.
#[inline(always)]
pub fn exe(task: Kernel) -> Kernel {
    Probe::pointer(Probe::pointer(task, Field::TaskMm), Field::MmExeFile)
}

#[inline(always)]
pub fn exe_flags(task: Kernel, inode: Kernel) -> u32 {
    if Probe::pointer(task, Field::TaskMm).is_null() {
        ACTOR_NO_MM
    } else if Probe::read::<u32>(inode, Field::InodeNlink) == 0 {
        ACTOR_EXE_DELETED
    } else {
        0
    }
}

/// The process id in the initial namespace.
#[inline(always)]
pub fn number(pid: Kernel) -> u32 {
    if pid.is_null() {
        return 0;
    }
    Probe::read(address(pid, Field::PidNumbers), Field::UpidNr)
}

#[inline(always)]
pub fn namespaces(task: Kernel) -> Namespaces {
    let proxy = Probe::pointer(task, Field::TaskNsproxy);
    Namespaces {
        mnt: Probe::read(Probe::pointer(proxy, Field::NsproxyMnt), Field::MntNsInum),
        pid: pid_namespace(task),
        net: Probe::read(Probe::pointer(proxy, Field::NsproxyNet), Field::NetNsInum),
        pad: 0,
    }
}

/// `nsproxy->pid_ns_for_children` is where children will be; the process itself is where its pid is deepest.
#[inline(always)]
fn pid_namespace(task: Kernel) -> u32 {
    /// `struct upid` is a number and a pointer, padded to two words.
    const UPID: usize = 16;
    let pid = Probe::pointer(task, Field::TaskPid);
    if pid.is_null() {
        return 0;
    }
    let level: u32 = Probe::read(pid, Field::PidLevel);
    let upid = address(pid, Field::PidNumbers).wrapping_add(level as usize * UPID);
    Probe::read(Probe::pointer(upid, Field::UpidNs), Field::PidNsInum)
}
