//! What the kernel knows about a process as numbers.

use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use monitor_abi::fields::Field;
use monitor_abi::probe::Namespaces;
use monitor_abi::record::{ACTOR_EXE_DELETED, ACTOR_HAS_AUDIT, ACTOR_HAS_CGROUP, ACTOR_NO_MM, Actor};

use super::scratch::Scratch;
use crate::matching;
use crate::reader::{Kernel, Probe, Reader, address, has, value};

#[inline(always)]
pub fn describe(scratch: &mut Scratch, task: Kernel) {
    let id = bpf_get_current_pid_tgid();
    let cred = Probe::pointer(task, Field::TaskCred);
    let namespaces = namespaces(task);
    let inode = Probe::pointer(exe(task), Field::FileInode);
    let key = matching::key::<Probe>(inode);
    let mut flags = exe_flags(task, inode);
    if has(Field::TaskLoginuid) && has(Field::TaskSessionid) {
        flags |= ACTOR_HAS_AUDIT;
    }
    if has(Field::CssSetCgroup) {
        flags |= ACTOR_HAS_CGROUP;
    }
    scratch.head().actor = Actor {
        start: Probe::read(Probe::pointer(task, Field::TaskLeader), Field::TaskStart),
        caps_effective: Probe::read(cred, Field::CredCapEffective),
        cgroup_id: 0,
        exe_ino: key.ino,
        exe_dev: key.dev,
        flags,
        tgid: (id >> 32) as u32,
        tid: id as u32,
        uid: Probe::read(cred, Field::CredUid),
        euid: Probe::read(cred, Field::CredEuid),
        gid: Probe::read(cred, Field::CredGid),
        egid: Probe::read(cred, Field::CredEgid),
        auid: if has(Field::TaskLoginuid) { Probe::read(task, Field::TaskLoginuid) } else { u32::MAX },
        session: if has(Field::TaskSessionid) { Probe::read(task, Field::TaskSessionid) } else { u32::MAX },
        mnt_ns: namespaces.mnt,
        pid_ns: namespaces.pid,
        net_ns: namespaces.net,
        pad: 0,
        comm: value(address(task, Field::TaskComm)),
    };
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
