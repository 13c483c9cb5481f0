//! What finished system calls leave behind, by number. Numbers are the ABI's and never change.

use monitor_abi::doer::{CHANGE_MOUNT, CHANGE_UMOUNT};
use monitor_abi::record::{
    CHANGE_LINK, CHANGE_MKDIR, CHANGE_MKNOD, CHANGE_MODE, CHANGE_OWNER, CHANGE_RENAME, CHANGE_RMDIR,
    CHANGE_SYMLINK, CHANGE_TRUNCATE, CHANGE_UNLINK, CHANGE_XATTR,
};

/// What a finished system call may have left behind.
pub enum Left {
    /// A file descriptor of an opened file, as the return value.
    File,
    /// A connected socket, as the first argument.
    Connection,
    /// Nothing but a change of this kind.
    Nothing(u32),
}

/// Numbers of the machine's own ABI.
#[cfg(bpf_target_arch = "aarch64")]
#[inline(always)]
pub fn native(number: u32) -> Option<Left> {
    Some(match number {
        // openat, openat2, open_by_handle_at
        56 | 437 | 265 => Left::File,
        203 => Left::Connection,
        // mknodat, mkdirat, unlinkat, symlinkat, linkat
        33 => Left::Nothing(CHANGE_MKNOD),
        34 => Left::Nothing(CHANGE_MKDIR),
        35 => Left::Nothing(CHANGE_UNLINK),
        36 => Left::Nothing(CHANGE_SYMLINK),
        37 => Left::Nothing(CHANGE_LINK),
        // renameat, renameat2
        38 | 276 => Left::Nothing(CHANGE_RENAME),
        // truncate, ftruncate
        45 | 46 => Left::Nothing(CHANGE_TRUNCATE),
        // fchmod, fchmodat, fchmodat2
        52 | 53 | 452 => Left::Nothing(CHANGE_MODE),
        // fchownat, fchown
        54 | 55 => Left::Nothing(CHANGE_OWNER),
        // setxattr, lsetxattr, fsetxattr, removexattr, lremovexattr, fremovexattr, setxattrat, removexattrat
        5..=7 | 14..=16 | 463 | 466 => Left::Nothing(CHANGE_XATTR),
        // umount2
        39 => Left::Nothing(CHANGE_UMOUNT),
        // mount, move_mount
        40 | 429 => Left::Nothing(CHANGE_MOUNT),
        _ => return None,
    })
}

/// Numbers of the machine's own ABI. x32 calls carry bit 30 and otherwise the numbers of x86-64.
#[cfg(not(bpf_target_arch = "aarch64"))]
#[inline(always)]
pub fn native(number: u32) -> Option<Left> {
    Some(match number & !(1 << 30) {
        // open, creat, openat, open_by_handle_at, openat2
        2 | 85 | 257 | 304 | 437 => Left::File,
        42 => Left::Connection,
        // truncate, ftruncate
        76 | 77 => Left::Nothing(CHANGE_TRUNCATE),
        // rename, renameat, renameat2
        82 | 264 | 316 => Left::Nothing(CHANGE_RENAME),
        // mkdir, mkdirat
        83 | 258 => Left::Nothing(CHANGE_MKDIR),
        84 => Left::Nothing(CHANGE_RMDIR),
        // link, linkat
        86 | 265 => Left::Nothing(CHANGE_LINK),
        // unlink, unlinkat
        87 | 263 => Left::Nothing(CHANGE_UNLINK),
        // symlink, symlinkat
        88 | 266 => Left::Nothing(CHANGE_SYMLINK),
        // chmod, fchmod, fchmodat, fchmodat2
        90 | 91 | 268 | 452 => Left::Nothing(CHANGE_MODE),
        // chown, fchown, lchown, fchownat
        92..=94 | 260 => Left::Nothing(CHANGE_OWNER),
        // mknod, mknodat
        133 | 259 => Left::Nothing(CHANGE_MKNOD),
        // setxattr, lsetxattr, fsetxattr, removexattr, lremovexattr, fremovexattr, setxattrat, removexattrat
        188..=190 | 197..=199 | 463 | 466 => Left::Nothing(CHANGE_XATTR),
        // mount, move_mount
        165 | 429 => Left::Nothing(CHANGE_MOUNT),
        // umount2
        166 => Left::Nothing(CHANGE_UMOUNT),
        _ => return None,
    })
}

/// Numbers of 32-bit x86 calls, which a 64-bit process can make too.
#[inline(always)]
pub fn compat(number: u32) -> Option<Left> {
    Some(match number {
        // open, creat, openat, open_by_handle_at, openat2
        5 | 8 | 295 | 342 | 437 => Left::File,
        362 => Left::Connection,
        // link, linkat
        9 | 303 => Left::Nothing(CHANGE_LINK),
        // unlink, unlinkat
        10 | 301 => Left::Nothing(CHANGE_UNLINK),
        // mknod, mknodat
        14 | 297 => Left::Nothing(CHANGE_MKNOD),
        // chmod, fchmod, fchmodat, fchmodat2
        15 | 94 | 306 | 452 => Left::Nothing(CHANGE_MODE),
        // lchown16, fchown16, chown16, lchown, fchown, chown, fchownat
        16 | 95 | 182 | 198 | 207 | 212 | 298 => Left::Nothing(CHANGE_OWNER),
        // mount, move_mount
        21 | 429 => Left::Nothing(CHANGE_MOUNT),
        // umount, umount2
        22 | 52 => Left::Nothing(CHANGE_UMOUNT),
        // rename, renameat, renameat2
        38 | 302 | 353 => Left::Nothing(CHANGE_RENAME),
        // mkdir, mkdirat
        39 | 296 => Left::Nothing(CHANGE_MKDIR),
        40 => Left::Nothing(CHANGE_RMDIR),
        // symlink, symlinkat
        83 | 304 => Left::Nothing(CHANGE_SYMLINK),
        // truncate, ftruncate, truncate64, ftruncate64
        92 | 93 | 193 | 194 => Left::Nothing(CHANGE_TRUNCATE),
        // setxattr, lsetxattr, fsetxattr, removexattr, lremovexattr, fremovexattr, setxattrat, removexattrat
        226..=228 | 235..=237 | 463 | 466 => Left::Nothing(CHANGE_XATTR),
        _ => return None,
    })
}
