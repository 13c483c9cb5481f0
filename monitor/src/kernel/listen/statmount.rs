//! statmount(2) and listmount(2), which no library of ours has: mounts by numbers that are never used again.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use bytes::Buf as _;

/// The same on every architecture.
const SYS_STATMOUNT: libc::c_long = 457;
const SYS_LISTMOUNT: libc::c_long = 458;

/// `NS_GET_MNTNS_ID`
const GET_NAMESPACE: libc::c_ulong = 0x8008_b705;

/// All mounts of a namespace.
const ROOT: u64 = u64::MAX;

const MNT_POINT: u64 = 0x10;
const FS_TYPE: u64 = 0x20;
const SB_SOURCE: u64 = 0x200;

/// `MNT_ID_REQ_SIZE_VER1`, the first with a namespace.
#[repr(C)]
struct Request {
    size: u32,
    spare: u32,
    mount: u64,
    parameter: u64,
    namespace: u64,
}

impl Request {
    const fn new(mount: u64, parameter: u64, namespace: u64) -> Self {
        Self { size: SIZE, spare: 0, mount, parameter, namespace }
    }
}

const SIZE: u32 = 32;
const _: () = assert!(size_of::<Request>() == 32);

/// What is asked of a mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    pub point: PathBuf,
    pub source: Vec<u8>,
    pub fstype: Vec<u8>,
}

/// The number of a mount namespace.
pub(super) fn namespace(file: &OwnedFd) -> io::Result<u64> {
    let mut number = 0_u64;
    // SAFETY: the request writes one u64.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), GET_NAMESPACE as _, &raw mut number) };
    if result == 0 { Ok(number) } else { Err(io::Error::last_os_error()) }
}

/// The mounts of a namespace.
pub(super) fn list(namespace: u64) -> io::Result<Vec<u64>> {
    let mut all = Vec::new();
    let mut ids = vec![0_u64; 4096];
    loop {
        let request = Request::new(ROOT, all.last().copied().unwrap_or(0), namespace);
        // SAFETY: both point to what their lengths say, for as long as the call takes.
        let count =
            unsafe { libc::syscall(SYS_LISTMOUNT, &raw const request, ids.as_mut_ptr(), ids.len(), 0_u32) };
        let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        all.extend(ids.iter().take(count));
        if count < ids.len() {
            return Ok(all);
        }
    }
}

/// One mount.
pub(super) fn of(id: u64, namespace: u64) -> io::Result<Mount> {
    /// A path and two names, each at most a page.
    const SIZE: usize = 16 << 10;
    let mut buffer = vec![0_u8; SIZE];
    let request = Request::new(id, MNT_POINT | FS_TYPE | SB_SOURCE, namespace);
    // SAFETY: both point to what their lengths say, for as long as the call takes.
    let result =
        unsafe { libc::syscall(SYS_STATMOUNT, &raw const request, buffer.as_mut_ptr(), buffer.len(), 0_u32) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    parse(&buffer).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

/// `struct statmount`: <https://elixir.bootlin.com/linux/v6.15/source/include/uapi/linux/mount.h#L155>
pub(super) fn parse(bytes: &[u8]) -> Option<Mount> {
    /// Where the strings begin.
    const STRINGS: usize = 512;
    let number = |offset: usize| Some(bytes.get(offset..offset + 4)?.get_u32_ne());
    let mask = bytes.get(8..16)?.get_u64_ne();
    let string = |offset: usize| {
        let start = STRINGS.checked_add(usize::try_from(number(offset)?).ok()?)?;
        Some(bytes.get(start..)?.split(|byte| *byte == 0).next()?.to_vec())
    };
    let optional = |bit: u64, offset| if mask & bit == 0 { Some(Vec::new()) } else { string(offset) };
    if mask & MNT_POINT == 0 {
        return None;
    }
    let point = PathBuf::from(OsString::from_vec(string(108)?));
    Some(Mount { point, source: optional(SB_SOURCE, 124)?, fstype: optional(FS_TYPE, 36)? })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn strings_are_found_by_their_offset() {
        let mut bytes = vec![0; 512];
        bytes[8..16].copy_from_slice(&(MNT_POINT | FS_TYPE).to_ne_bytes());
        bytes[108..112].copy_from_slice(&6_u32.to_ne_bytes());
        bytes[36..40].copy_from_slice(&0_u32.to_ne_bytes());
        bytes.extend(b"tmpfs\0/etc/x\0");
        let mount = parse(&bytes).unwrap();
        assert_eq!((mount.point.as_path(), mount.fstype.as_slice()), (Path::new("/etc/x"), &b"tmpfs"[..]));
        assert!(mount.source.is_empty());
    }

    #[test]
    fn short_or_odd_answers_are_none() {
        assert_eq!(parse(&[0; 100]), None);
        let mut bytes = vec![0; 512];
        bytes[8..16].copy_from_slice(&MNT_POINT.to_ne_bytes());
        bytes[108..112].copy_from_slice(&u32::MAX.to_ne_bytes());
        assert_eq!(parse(&bytes), None);
    }
}
