//! One process as /proc shows it. Everything is read below one open directory, so that a number that is given to another process
//! meanwhile cannot mix the two.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt as _;

use monitor_abi::record::{ANCESTORS_MAX, ARGS_MAX};
use rustix::fs::{AtFlags, Mode, OFlags, Statx, StatxFlags, makedev, openat, readlinkat, statx};
use rustix::param::clock_ticks_per_second;

use super::status::{Stat, Status, arguments, audit, cgroup, namespace};
use super::wanted::Wanted;
use crate::access::{Actor, Ancestor, Executable, ObjectKey};
use crate::node::FileId;

/// Nothing of interest is longer; /proc/PID/status lists memory and groups.
const TEXT_MAX: u64 = 64 << 10;

/// What a path ends with when the file has no name left.
const DELETED: &[u8] = b" (deleted)";

#[derive(Debug)]
pub(crate) struct Process {
    pub pid: u32,
    pub dir: OwnedFd,
}

/// Numbers of all processes but one.
pub(super) fn all(but: u32) -> io::Result<Vec<u32>> {
    let mut pids = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let pid: Option<u32> = name.to_str().and_then(|name| name.parse().ok());
        pids.extend(pid.filter(|pid| *pid != but));
    }
    Ok(pids)
}

impl Process {
    pub(crate) fn open(pid: u32) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self { pid, dir: rustix::fs::open(format!("/proc/{pid}"), flags, Mode::empty())? })
    }

    pub(crate) fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        self.read_at_most(name, TEXT_MAX)
    }

    /// The file that it runs, without asking a server for it.
    pub(crate) fn runs(&self) -> io::Result<FileId> {
        stat(&self.dir, "exe").map(|stat| id(&stat))
    }

    /// Nanoseconds since boot, to the hundredth of a second.
    pub(crate) fn start(&self) -> Option<u64> {
        Some(nanoseconds(Stat::parse(&self.read("stat").ok()?)?.start))
    }

    /// Whose rights it has.
    pub(crate) fn euid(&self) -> Option<u32> {
        Some(Status::parse(&self.read("status").ok()?)?.euid)
    }

    /// Whether it is the process that started then.
    pub(crate) fn started_at(&self, start: u64) -> bool {
        self.start().is_some_and(|own| own == start - start % nanoseconds(1))
    }

    pub(crate) fn read_at_most(&self, name: &str, most: u64) -> io::Result<Vec<u8>> {
        let file = openat(&self.dir, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        let mut text = Vec::new();
        File::from(file).take(most).read_to_end(&mut text)?;
        Ok(text)
    }

    pub(crate) fn link(&self, name: &str) -> io::Result<Vec<u8>> {
        let link = readlinkat(&self.dir, name, Vec::new())?;
        Ok(OsString::from_vec(link.into_bytes()).into_vec())
    }

    pub(crate) fn namespace(&self, kind: &str) -> Option<u32> {
        namespace(&self.link(&format!("ns/{kind}")).ok()?)
    }

    /// The process as an event describes it, and what could not be read of it; `None` when it is gone. It is described by a task of
    /// it that has what is held: the first one may have ended.
    pub(super) fn describe(&self, task: u32, wanted: &Wanted) -> Option<(Actor, Vec<String>)> {
        let mut errors = Vec::new();
        let stat = Stat::parse(&self.read("stat").ok()?)?;
        let of_task = |name: &str| format!("task/{task}/{name}");
        let own = Stat::parse(&self.read(&of_task("stat")).ok()?)?;
        let status = Status::parse(&self.read(&of_task("status")).ok()?)?;
        let mut known = |what: &str, value: io::Result<Vec<u8>>| {
            value.unwrap_or_else(|error| {
                // A kernel thread has none of them.
                if error.raw_os_error() != Some(libc::ENOENT) {
                    errors.push(format!("{what}: {error}"));
                }
                Vec::new()
            })
        };
        let cmdline = known("args", self.read_at_most(&of_task("cmdline"), ARGS_MAX as u64 + 1));
        let (args, args_truncated) = arguments(&cmdline, ARGS_MAX);
        let cwd = known("cwd", self.link(&of_task("cwd")));
        let cgroup = cgroup(&known("cgroup", self.read(&of_task("cgroup"))));
        let mut ns = |kind: &str| {
            namespace(&known(kind, self.link(&of_task(&format!("ns/{kind}"))))).unwrap_or_default()
        };
        let (mnt_ns, pid_ns, net_ns) = (ns("mnt"), ns("pid"), ns("net"));
        let exe = self.exe(&of_task("exe"), wanted);
        if let Err(error) = &exe {
            errors.push(format!("exe: {error}"));
        }
        let audited = |name: &str| self.read(&of_task(name)).ok().and_then(|number| audit(&number));
        let actor = Actor {
            pid: self.pid,
            tid: task,
            start: nanoseconds(stat.start),
            comm: own.comm,
            exe: exe.unwrap_or_default(),
            args,
            args_truncated,
            cwd,
            traced: status.traced,
            role: 0,
            uid: status.uid,
            euid: status.euid,
            gid: status.gid,
            egid: status.egid,
            auid: audited("loginuid"),
            session_id: audited("sessionid"),
            caps_effective: status.caps_effective,
            mnt_ns,
            pid_ns,
            net_ns,
            cgroup_id: None,
            cgroup,
            ancestors: ancestors(&stat, wanted),
            exe_hash: None,
        };
        Some((actor, errors))
    }

    /// The file it runs; none for a kernel thread.
    pub(super) fn exe(&self, name: &str, wanted: &Wanted) -> io::Result<Executable> {
        let (path, stat) = match (self.link(name), stat(&self.dir, name)) {
            (Ok(path), Ok(stat)) => (path, stat),
            (Err(error), _) | (_, Err(error)) if error.raw_os_error() == Some(libc::ENOENT) => {
                return Ok(Executable::default());
            }
            (Err(error), _) | (_, Err(error)) => return Err(error),
        };
        let key = wanted.exes.get(&id(&stat)).copied().unwrap_or_else(|| kernel_key(&stat));
        let deleted = stat.stx_nlink == 0;
        Ok(Executable { key: Some(key), path: without_mark(path, deleted), deleted })
    }
}

/// The parent first. A process that is gone has handed its children to another.
fn ancestors(child: &Stat, wanted: &Wanted) -> Vec<Ancestor> {
    let mut list = Vec::new();
    let (mut pid, mut latest) = (child.parent, child.start);
    while pid != 0 && list.len() < ANCESTORS_MAX {
        let Ok(process) = Process::open(pid) else { break };
        let Some(stat) = process.read("stat").ok().and_then(|stat| Stat::parse(&stat)) else { break };
        // Younger than its child: the number is someone else's by now.
        if stat.start > latest {
            break;
        }
        let status = process.read("status").ok().and_then(|status| Status::parse(&status));
        list.push(Ancestor {
            pid,
            start: nanoseconds(stat.start),
            uid: status.unwrap_or_default().uid,
            comm: stat.comm,
            exe: process.exe("exe", wanted).unwrap_or_default(),
        });
        (pid, latest) = (stat.parent, stat.start);
    }
    list
}

/// What stat(2) shows of whatever a link of /proc leads to, as far as it is known without asking a server.
pub(super) fn stat(dir: &OwnedFd, name: &str) -> io::Result<Statx> {
    let fields = StatxFlags::TYPE | StatxFlags::INO | StatxFlags::NLINK | StatxFlags::MNT_ID;
    Ok(statx(dir, name, AtFlags::STATX_DONT_SYNC, fields)?)
}

pub(super) fn id(stat: &Statx) -> FileId {
    FileId { dev: makedev(stat.stx_dev_major, stat.stx_dev_minor), ino: stat.stx_ino }
}

/// Where the file system shows what the kernel holds, which is nearly everywhere.
pub(crate) fn kernel_key(stat: &Statx) -> ObjectKey {
    ObjectKey::new(stat.stx_dev_major << 20 | stat.stx_dev_minor, stat.stx_ino)
}

/// The path of a file that has no name left, as it was.
pub(super) fn without_mark(mut path: Vec<u8>, deleted: bool) -> Vec<u8> {
    if deleted && path.ends_with(DELETED) {
        path.truncate(path.len() - DELETED.len());
    }
    path
}

/// /proc counts in hundredths of a second.
fn nanoseconds(ticks: u64) -> u64 {
    ticks.saturating_mul(1_000_000_000 / clock_ticks_per_second().max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_process_is_described() {
        let pid = std::process::id();
        let (actor, errors) = Process::open(pid).unwrap().describe(pid, &Wanted::default()).unwrap();
        assert_eq!(errors, [""; 0]);
        assert_eq!((actor.pid, actor.tid), (pid, pid));
        assert_eq!(actor.exe.path, std::env::current_exe().unwrap().as_os_str().as_encoded_bytes());
        assert!(!actor.exe.deleted);
        let args: Vec<_> = std::env::args_os().map(OsString::into_vec).collect();
        assert_eq!(actor.args, Some(args));
        assert_eq!(actor.cwd, std::env::current_dir().unwrap().as_os_str().as_encoded_bytes());
        assert_eq!(actor.ancestors[0].pid, std::os::unix::process::parent_id());
        assert!(actor.mnt_ns != 0 && actor.start != 0);
    }

    #[test]
    fn a_mark_is_no_part_of_a_path() {
        assert_eq!(without_mark(b"/a (deleted)".to_vec(), true), b"/a");
        assert_eq!(without_mark(b"/a (deleted)".to_vec(), false), b"/a (deleted)");
        assert_eq!(without_mark(b"/a".to_vec(), true), b"/a");
    }
}
