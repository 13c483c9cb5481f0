//! The system calls of fanotify, which no library of ours has.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

use rustix::fs::fstatvfs;

/// Since Linux 6.15: `include/uapi/linux/fanotify.h`.
const FAN_REPORT_MNT: libc::c_uint = 0x4000;
const FAN_MARK_MNTNS: libc::c_uint = 0x110;
pub(super) const FAN_MNT_ATTACH: u64 = 0x0100_0000;
pub(super) const FAN_MNT_DETACH: u64 = 0x0200_0000;

/// What the kernel calls a file or directory, whatever its path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Handle {
    pub file_system: [u8; 8],
    pub kind: i32,
    pub bytes: Vec<u8>,
}

/// A group that hears of changes of directory entries, by name.
pub(super) fn changes() -> io::Result<OwnedFd> {
    init(libc::FAN_REPORT_FID | libc::FAN_REPORT_DFID_NAME)
}

/// A group that hears of mounts.
pub(super) fn mounts() -> io::Result<OwnedFd> {
    init(FAN_REPORT_MNT)
}

fn init(flags: libc::c_uint) -> io::Result<OwnedFd> {
    let flags = libc::FAN_CLASS_NOTIF | libc::FAN_CLOEXEC | libc::FAN_NONBLOCK | flags;
    // SAFETY: takes numbers only.
    let fd = unsafe { libc::fanotify_init(flags, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just returned it, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

pub(super) fn mark(group: &OwnedFd, mask: u64, path: &std::ffi::CStr) -> io::Result<()> {
    fanotify_mark(group, libc::FAN_MARK_ADD, mask, path)
}

pub(super) fn mark_mounts(group: &OwnedFd, namespace: &std::ffi::CStr) -> io::Result<()> {
    fanotify_mark(group, libc::FAN_MARK_ADD | FAN_MARK_MNTNS, FAN_MNT_ATTACH | FAN_MNT_DETACH, namespace)
}

/// Ends all marks of inodes.
pub(super) fn flush(group: &OwnedFd) -> io::Result<()> {
    fanotify_mark(group, libc::FAN_MARK_FLUSH, 0, c"/")
}

fn fanotify_mark(group: &OwnedFd, flags: libc::c_uint, mask: u64, path: &std::ffi::CStr) -> io::Result<()> {
    // SAFETY: the path is a string with an end that lives through the call.
    let result =
        unsafe { libc::fanotify_mark(group.as_raw_fd(), flags, mask, libc::AT_FDCWD, path.as_ptr()) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The handle of an open file.
pub(super) fn handle(fd: BorrowedFd<'_>) -> io::Result<Handle> {
    /// Of a file system that cannot open by handle: enough to recognize a file. Since Linux 6.5.
    const AT_HANDLE_FID: libc::c_int = 0x200;
    /// `MAX_HANDLE_SZ`
    const SIZE_MAX: usize = 128;
    #[repr(C)]
    struct Buffer {
        length: u32,
        kind: i32,
        bytes: [u8; SIZE_MAX],
    }
    let get = |flags: libc::c_int| {
        let mut buffer = Buffer { length: 128, kind: 0, bytes: [0; SIZE_MAX] };
        let mut mount = 0;
        // SAFETY: the buffer begins like a `struct file_handle` and has the room that its length says.
        let result = unsafe {
            libc::syscall(
                libc::SYS_name_to_handle_at,
                fd.as_raw_fd(),
                c"".as_ptr(),
                &raw mut buffer,
                &raw mut mount,
                libc::AT_EMPTY_PATH | flags,
            )
        };
        if result == 0 { Ok(buffer) } else { Err(io::Error::last_os_error()) }
    };
    let buffer = get(0).or_else(|_| get(AT_HANDLE_FID))?;
    let length = usize::try_from(buffer.length).unwrap_or(SIZE_MAX).min(SIZE_MAX);
    let file_system = fstatvfs(fd)?.f_fsid.to_le_bytes();
    Ok(Handle { file_system, kind: buffer.kind, bytes: buffer.bytes[..length].to_vec() })
}
