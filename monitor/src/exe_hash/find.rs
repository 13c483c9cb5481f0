//! The very file that the kernel saw a process run, whatever has its path by now.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FsWord, Mode, OFlags, Statx, fstatfs, openat};

use super::Job;
use super::content::{Stamp, failed, stat};
use crate::access::ObjectKey;
use crate::node::{Root, mount_of};
use crate::snapshot::{Process, kernel_key};

pub(super) struct Found {
    /// Open for nothing, so that no server was asked.
    pub fd: OwnedFd,
    pub stamp: Stamp,
    /// The list that its mount is in.
    mountinfo: PathBuf,
    mount: u64,
}

/// As mountinfo names file systems whose server can keep a reader for ever, or show each reader another file.
const SERVED: [&[u8]; 9] = [b"fuse", b"fuseblk", b"nfs", b"nfs4", b"cifs", b"smb3", b"9p", b"ceph", b"afs"];

/// The same as statfs(2) names them.
/// <https://github.com/torvalds/linux/blob/v6.12/include/uapi/linux/magic.h>
const SERVED_MAGIC: [FsWord; 7] =
    [0x6573_5546, 0x6969, 0xff53_4d42, 0xfe53_4d42, 0x0102_1997, 0x00c3_6400, 0x5346_414f];

impl Found {
    /// Says why not, if reading it could take for ever.
    pub(super) fn is_local(&self) -> Result<(), String> {
        let served = match mount_of(&self.mountinfo, self.mount) {
            Some((_, fstype)) => {
                let kind = fstype.split(|byte| *byte == b'.').next().unwrap_or_default();
                SERVED.contains(&kind)
            }
            // Mounted nowhere that the process sees, as a file in memory is.
            None => SERVED_MAGIC.contains(&fstatfs(&self.fd).map_err(|error| failed(&error.into()))?.f_type),
        };
        if served {
            Err("its file system has a server, which could show anything".to_owned())
        } else {
            Ok(())
        }
    }
}

/// By the process while it lives, else by its path.
pub(super) fn find(root: &Root, job: &Job) -> Result<Found, String> {
    let key = job.exe.key.ok_or("it has none")?;
    let living = Process::open(job.pid).ok().filter(|process| process.started_at(job.start));
    if let Some(process) = living {
        let exe = openat(&process.dir, "exe", OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
        let mountinfo = PathBuf::from(format!("/proc/{}/mountinfo", job.pid));
        if let Some(found) = exe.ok().and_then(|exe| same(exe, key, &mountinfo)) {
            return Ok(found);
        }
    }
    if job.exe.deleted {
        return Err("the process ended or runs another one by now, and the file has no name".to_owned());
    }
    let path = Path::new(OsStr::from_bytes(&job.exe.path));
    let at = |root: io::Result<Root>, mountinfo: &Path| {
        let fd = root.and_then(|root| root.open(path, OFlags::PATH)).ok()?;
        same(fd, key, mountinfo)
    };
    let found = if job.on_node {
        at(root.try_clone(), root.mountinfo())
    } else {
        let mut above = job.above.iter();
        above.find_map(|pid| at(Root::of_process(*pid), &PathBuf::from(format!("/proc/{pid}/mountinfo"))))
    };
    found.ok_or_else(|| "the process ended, and another file has its path by now, or none".to_owned())
}

/// The file, if it is the object.
fn same(fd: OwnedFd, key: ObjectKey, mountinfo: &Path) -> Option<Found> {
    let stat = stat(&fd).ok()?;
    let mount = stat.stx_mnt_id;
    // Looked up only where the file system shows other numbers: a node has thousands of mounts.
    let is_same = kernel_key(&stat) == key
        || mount_of(mountinfo, mount).is_some_and(|(dev, _)| ObjectKey::new(dev, inode(&fd, &stat)) == key);
    is_same.then(|| Found { stamp: Stamp::of(&stat), fd, mountinfo: mountinfo.to_owned(), mount })
}

/// The number that the kernel has, where overlayfs shows another: since Linux 5.14 /proc tells it of a descriptor.
fn inode(fd: &OwnedFd, stat: &Statx) -> u64 {
    let text = fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd())).unwrap_or_default();
    let inode = text.lines().find_map(|line| line.strip_prefix("ino:")?.trim().parse().ok());
    inode.unwrap_or(stat.stx_ino)
}
