//! System calls that no library of ours has in a form without `unsafe`.

use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::ptr;

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use rustix::net::{AddressFamily, SocketType, socket};
use rustix::thread::{UnshareFlags, unshare_unsafe};

pub(super) fn path(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

/// Into namespaces of its own.
pub(super) fn unshare(namespaces: UnshareFlags) -> io::Result<()> {
    // SAFETY: descriptors, which other threads could lose, stay shared.
    Ok(unsafe { unshare_unsafe(namespaces) }?)
}

/// creat(2), which newer machines no longer have.
pub(super) fn creat(file: &Path) -> io::Result<()> {
    let file = path(file)?;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the path ends with a zero byte and outlives the call.
    let fd = unsafe { libc::syscall(libc::SYS_creat, file.as_ptr(), 0o600) };
    #[cfg(not(target_arch = "x86_64"))]
    // SAFETY: the path ends with a zero byte and outlives the call.
    let fd = libc::c_long::from(unsafe { libc::creat(file.as_ptr(), 0o600) });
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    done(fd)?;
    // SAFETY: the descriptor was just opened and is nobody else's.
    drop(unsafe { OwnedFd::from_raw_fd(fd) });
    Ok(())
}

/// truncate(2): of a path, where the standard library has that of a descriptor.
pub(super) fn truncate(file: &Path) -> io::Result<()> {
    let file = path(file)?;
    // SAFETY: the path ends with a zero byte and outlives the call.
    done(unsafe { libc::truncate(file.as_ptr(), 1) })
}

/// What the kernel calls a file, whatever its path.
#[repr(C, align(8))]
pub(super) struct Handle([u8; Self::SPACE + 8]);

impl Handle {
    const SPACE: usize = 128;

    pub(super) fn of(file: &Path) -> io::Result<Self> {
        let mut handle = Self([0; Self::SPACE + 8]);
        let space = u32::try_from(Self::SPACE).map_err(io::Error::other)?;
        for (place, byte) in handle.0.iter_mut().zip(space.to_ne_bytes()) {
            *place = byte;
        }
        let (file, mut mount) = (path(file)?, 0);
        let place = (&raw mut handle).cast();
        // SAFETY: the handle has as much room as its first field says; the path ends with a zero byte.
        let named =
            unsafe { libc::name_to_handle_at(libc::AT_FDCWD, file.as_ptr(), place, &raw mut mount, 0) };
        done(named).map(|()| handle)
    }

    /// `on` is anything in the same file system.
    pub(super) fn open(mut self, on: &File) -> io::Result<()> {
        // SAFETY: the handle was filled by the kernel.
        let fd = unsafe {
            libc::open_by_handle_at(on.as_raw_fd(), (&raw mut self).cast(), libc::O_RDONLY | libc::O_CLOEXEC)
        };
        done(fd)?;
        // SAFETY: the descriptor was just opened and is nobody else's.
        drop(unsafe { OwnedFd::from_raw_fd(fd) });
        Ok(())
    }
}

/// Writes no other way than to memory.
pub(super) fn write_to_memory(file: &Path) -> io::Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(file)?;
    let (protection, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
    // SAFETY: the kernel chooses a place that nothing else has.
    let place = unsafe { mmap(ptr::null_mut(), 1, protection, flags, &file, 0)? };
    drop(file);
    // SAFETY: the file is not empty, so the first byte is there.
    unsafe { ptr::write_volatile(place.cast(), b'K') };
    // SAFETY: nothing refers to it any more.
    unsafe { munmap(place, 1)? };
    Ok(())
}

/// Lets connect(2) wait for what is written first.
pub(super) fn set_fast_open_connect(socket: &OwnedFd) -> io::Result<()> {
    let on: libc::c_int = 1;
    let length = libc::socklen_t::try_from(size_of_val(&on)).map_err(io::Error::other)?;
    let (level, option) = (libc::IPPROTO_TCP, libc::TCP_FASTOPEN_CONNECT);
    // SAFETY: the option's value is an int that outlives the call.
    done(unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const on).cast(), length) })
}

/// Gives the loopback interface an address, and switches it on. For a network namespace of one's own.
pub(super) fn address_loopback(address: Ipv4Addr) -> io::Result<()> {
    let socket = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    // SAFETY: all of it are numbers, for which zero is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (place, byte) in request.ifr_name.iter_mut().zip(b"lo") {
        *place = byte.cast_signed();
    }
    let name = request.ifr_name;
    let [a, b, c, d] = address.octets().map(u8::cast_signed);
    request.ifr_ifru.ifru_addr = libc::sockaddr {
        sa_family: libc::sa_family_t::try_from(libc::AF_INET).map_err(io::Error::other)?,
        // Any port, then the address.
        sa_data: [0, 0, a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0],
    };
    // SAFETY: the request is one of an interface's address, and outlives the call.
    done(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFADDR as _, &raw const request) })?;
    request.ifr_name = name;
    request.ifr_ifru.ifru_flags = i16::try_from(libc::IFF_UP).map_err(io::Error::other)?;
    // SAFETY: the request is one of an interface's flags, and outlives the call.
    done(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, &raw const request) })
}

fn done(result: i32) -> io::Result<()> {
    if result >= 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
