//! Ways to a file that a shell does not have.

use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::path::Path;
use std::ptr;

use anyhow::{Context as _, Result, bail, ensure};
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, RenameFlags, ResolveFlags, XattrFlags, linkat, mknodat, openat,
    openat2, renameat_with, setxattr,
};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create, fsmount,
    fsopen, move_mount, open_tree,
};

pub fn act(args: &[&str]) -> Result<()> {
    match args {
        ["creat", path] => {
            let path = CString::new(*path)?;
            // SAFETY: the path ends with a zero byte and outlives the call.
            let fd = unsafe { libc::syscall(libc::SYS_creat, path.as_ptr(), 0o644) };
            done(fd)
        }
        ["openat2", path] => {
            Ok(openat2(CWD, *path, OFlags::RDONLY, Mode::empty(), ResolveFlags::empty()).map(drop)?)
        }
        ["proc-fd", path] => {
            let named = openat(CWD, *path, OFlags::PATH, Mode::empty())?;
            Ok(File::open(format!("/proc/self/fd/{}", named.as_raw_fd())).map(drop)?)
        }
        ["handle", path, caches] => handle(path, *caches == "dropped"),
        ["tmpfile", dir, path] => {
            let file = openat(CWD, *dir, OFlags::TMPFILE | OFlags::WRONLY, Mode::from_raw_mode(0o644))
                .context("unsupported: files without a name")?;
            let from = format!("/proc/self/fd/{}", file.as_raw_fd());
            Ok(linkat(CWD, from, CWD, *path, AtFlags::SYMLINK_FOLLOW)?)
        }
        ["exchange", one, other] => Ok(renameat_with(CWD, *one, CWD, *other, RenameFlags::EXCHANGE)?),
        ["mknod", path] => Ok(mknodat(CWD, *path, FileType::RegularFile, Mode::from_raw_mode(0o644), 0)?),
        ["truncate", path] => {
            let path = CString::new(*path)?;
            // SAFETY: the path ends with a zero byte and outlives the call.
            done(i64::from(unsafe { libc::truncate(path.as_ptr(), 1) }))
        }
        ["ftruncate", path] => Ok(OpenOptions::new().write(true).open(path)?.set_len(2)?),
        ["setxattr", path] => Ok(setxattr(*path, "trusted.bypassd", b"x", XattrFlags::empty())
            .context("unsupported: attributes")?),
        ["mmap", path] => mapped(path),
        ["detached", dir, name] => {
            let tree =
                open_tree(CWD, *dir, OpenTreeFlags::OPEN_TREE_CLONE).context("unsupported: open_tree")?;
            Ok(openat(&tree, *name, OFlags::RDONLY, Mode::empty()).map(drop)?)
        }
        ["move-mount", path] => {
            let context = fsopen("tmpfs", FsOpenFlags::empty()).context("unsupported: fsopen")?;
            fsconfig_create(&context)?;
            let mount = fsmount(&context, FsMountFlags::empty(), MountAttrFlags::empty())?;
            Ok(move_mount(&mount, "", CWD, *path, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
        }
        ["open-tree", from, path] => {
            let tree =
                open_tree(CWD, *from, OpenTreeFlags::OPEN_TREE_CLONE).context("unsupported: open_tree")?;
            Ok(move_mount(&tree, "", CWD, *path, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
        }
        _ => bail!("what to do?"),
    }
}

fn done(result: i64) -> Result<()> {
    ensure!(result >= 0, "{}", std::io::Error::last_os_error());
    Ok(())
}

/// Writes no other way than to memory.
fn mapped(path: &str) -> Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
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

/// By the file's number instead of its name.
fn handle(path: &str, drop_caches: bool) -> Result<()> {
    const SPACE: usize = 128;
    #[repr(C, align(8))]
    struct Handle([u8; SPACE + 8]);
    let mut handle = Handle([0; SPACE + 8]);
    handle.0[..4].copy_from_slice(&u32::try_from(SPACE)?.to_ne_bytes());
    let name = CString::new(path)?;
    let place = (&raw mut handle).cast::<libc::file_handle>();
    let mut mount = 0;
    // SAFETY: the handle has as much room as its first field says; the path ends with a zero byte.
    let named = unsafe { libc::name_to_handle_at(libc::AT_FDCWD, name.as_ptr(), place, &raw mut mount, 0) };
    ensure!(named == 0, "unsupported: {}", std::io::Error::last_os_error());
    let dir = File::open(Path::new(path).ancestors().nth(2).context("no directory")?)?;
    if drop_caches {
        fs::write("/proc/sys/vm/drop_caches", "2")?;
    }
    // SAFETY: the handle was filled above.
    let fd = unsafe { libc::open_by_handle_at(dir.as_raw_fd(), place, libc::O_RDONLY) };
    ensure!(fd >= 0, "{}", std::io::Error::last_os_error());
    // SAFETY: the descriptor was just opened and is nobody else's.
    drop(unsafe { OwnedFd::from_raw_fd(fd) });
    Ok(())
}
