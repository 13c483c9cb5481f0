//! What the kernel knows about a process as numbers.

use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use monitor_abi::fields::Field;
use monitor_abi::probe::Namespaces;
use monitor_abi::record::{ACTOR_EXE_DELETED, ACTOR_HAS_AUDIT, ACTOR_HAS_CGROUP, ACTOR_NO_MM, ACTOR_TRACED};
use monitor_abi::repeat;

use super::scratch::Scratch;
use crate::matching;
use crate::reader::{Kernel, Reader, address, has};

#[inline(always)]
pub fn describe<R: Reader>(scratch: &mut Scratch, task: Kernel) {
    let id = bpf_get_current_pid_tgid();
    let cred = R::pointer(task, Field::TaskCred);
    let inode = R::pointer(exe::<R>(task), Field::FileInode);
    let key = matching::key::<R>(inode);
    let namespaces = namespaces::<R>(task);
    let actor = &mut scratch.head().actor;
    actor.start = R::read(R::pointer(task, Field::TaskLeader), Field::TaskStart);
    actor.caps_effective = R::read(cred, Field::CredCapEffective);
    actor.cgroup_id = 0;
    actor.exe_ino = key.ino;
    actor.exe_dev = key.dev;
    actor.flags = exe_flags::<R>(task, inode);
    if R::read::<u32>(task, Field::TaskPtrace) != 0 {
        actor.flags |= ACTOR_TRACED;
    }
    actor.tgid = (id >> 32) as u32;
    actor.tid = id as u32;
    actor.uid = R::read(cred, Field::CredUid);
    actor.euid = R::read(cred, Field::CredEuid);
    actor.gid = R::read(cred, Field::CredGid);
    actor.egid = R::read(cred, Field::CredEgid);
    actor.auid = u32::MAX;
    actor.session = u32::MAX;
    if has(Field::TaskLoginuid) && has(Field::TaskSessionid) {
        actor.flags |= ACTOR_HAS_AUDIT;
        actor.auid = R::read(task, Field::TaskLoginuid);
        actor.session = R::read(task, Field::TaskSessionid);
    }
    if has(Field::CssSetCgroup) {
        actor.flags |= ACTOR_HAS_CGROUP;
    }
    actor.mnt_ns = namespaces.mnt;
    actor.pid_ns = namespaces.pid;
    actor.net_ns = namespaces.net;
    actor.role = role::<R>(task);
    actor.comm = R::read(task, Field::TaskComm);
}

/// The file a process runs; null for a kernel thread.
#[inline(always)]
pub fn exe<R: Reader>(task: Kernel) -> Kernel {
    R::pointer(R::pointer(task, Field::TaskMm), Field::MmExeFile)
}

/// What else a repeated access has to have in common than its process.
#[inline(always)]
pub fn role<R: Reader>(task: Kernel) -> u32 {
    let memory = R::pointer(task, Field::TaskMm);
    let exe = R::pointer(R::pointer(memory, Field::MmExeFile), Field::FileInode);
    let cred = R::pointer(task, Field::TaskCred);
    let (uid, euid): (u32, u32) = (R::read(cred, Field::CredUid), R::read(cred, Field::CredEuid));
    let is_traced = R::read::<u32>(task, Field::TaskPtrace) != 0;
    let uids = u64::from(uid) << 32 | u64::from(euid);
    // VERIFIER: a pointer that it knows the type of is not to be multiplied. Where the arguments are is as much by chance.
    let number = if R::ANYWHERE { memory as u64 } else { R::read(memory, Field::MmArgStart) };
    repeat::role(number, R::read(exe, Field::InodeIno), uids, is_traced)
}

#[inline(always)]
pub fn exe_flags<R: Reader>(task: Kernel, inode: Kernel) -> u32 {
    if R::pointer(task, Field::TaskMm).is_null() {
        ACTOR_NO_MM
    } else if R::read::<u32>(inode, Field::InodeNlink) == 0 {
        ACTOR_EXE_DELETED
    } else {
        0
    }
}

/// The process id in the initial namespace.
#[inline(always)]
pub fn number<R: Reader>(pid: Kernel) -> u32 {
    if pid.is_null() {
        return 0;
    }
    R::read(address(pid, Field::PidNumbers), Field::UpidNr)
}

#[inline(always)]
pub fn namespaces<R: Reader>(task: Kernel) -> Namespaces {
    let proxy = R::pointer(task, Field::TaskNsproxy);
    Namespaces {
        mnt: R::read(R::pointer(proxy, Field::NsproxyMnt), Field::MntNsInum),
        pid: pid_namespace::<R>(task),
        net: R::read(R::pointer(proxy, Field::NsproxyNet), Field::NetNsInum),
        pad: 0,
    }
}

/// `nsproxy->pid_ns_for_children` is where children will be; the process itself is where its pid is deepest.
#[inline(always)]
fn pid_namespace<R: Reader>(task: Kernel) -> u32 {
    /// `struct upid` is a number and a pointer, padded to two words.
    const UPID: usize = 16;
    let pid = R::pointer(task, Field::TaskPid);
    if pid.is_null() {
        return 0;
    }
    let level: u32 = R::read(pid, Field::PidLevel);
    // The verifier knows the type of the first entry only, which is the initial namespace's.
    if level != 0 && !R::ANYWHERE {
        return 0;
    }
    let deepest = if R::ANYWHERE { level as usize * UPID } else { 0 };
    let upid = address(pid, Field::PidNumbers).wrapping_add(deepest);
    R::read(R::pointer(upid, Field::UpidNs), Field::PidNsInum)
}
