//! Something is mounted over a watched object or over a directory above one, or such a mount ends. What is behind the path is another
//! object then.

use monitor_abi::fields::Field;
use monitor_abi::record::{MountObject, SECTION_FSTYPE, SECTION_OTHER, SECTION_SOURCE, TAG_MOUNT};

use super::Hook;
use super::attach::{Arguments, function};
use crate::again::Same;
use crate::capture::{self, Found, path};
use crate::matching::{self, Match};
use crate::news;
use crate::reader::{Kernel, Probe, Reader, address, container};

/// The mount is in a group that shares what is mounted on its members.
/// <https://elixir.bootlin.com/linux/v6.12/source/include/linux/mount.h#L39>
const MNT_SHARED: u32 = 0x1000;

function! {
    /// `int security_sb_mount(const char *dev_name, const struct path *path, const char *type, unsigned long flags, void *data)`
    "security_sb_mount", sb_mount_fentry, sb_mount_kprobe, mounted
}
function! {
    /// `int security_move_mount(const struct path *from_path, const struct path *to_path)`
    "security_move_mount", move_mount_fentry, move_mount_kprobe, moved
}
function! {
    /// `int security_sb_umount(struct vfsmount *mnt, int flags)`
    "security_sb_umount", sb_umount_fentry, sb_umount_kprobe, unmounted
}

/// mount(2): a new mount, a bind or a move. A remount only sets flags, and a change of propagation nothing that is seen.
#[inline(always)]
fn mounted<A: Arguments>(ctx: &A) {
    /// `MS_REMOUNT`, `MS_UNBINDABLE`, `MS_PRIVATE`, `MS_SLAVE`, `MS_SHARED`.
    const NO_MOUNT: u64 = 1 << 5 | 1 << 17 | 1 << 18 | 1 << 19 | 1 << 20;
    let (source, point, kind, flags) =
        (ctx.pointer(0), ctx.pointer(1), ctx.pointer(2), ctx.argument(3) as u64);
    if flags & NO_MOUNT != 0 {
        return;
    }
    let dentry = A::Reader::pointer(point, Field::PathDentry);
    let Some(matched) = covered::<A::Reader>(dentry) else { return };
    news::mounted();
    let found = Found {
        tag: TAG_MOUNT,
        matched,
        same: Same::NEVER,
        mnt: Probe::pointer(point, Field::PathMnt),
        dentry,
    };
    capture::access_with(
        Hook::SbMount,
        &found,
        |object| fill(object, point, 0, flags),
        |_, scratch| {
            scratch.name_section(SECTION_SOURCE, source);
            scratch.name_section(SECTION_FSTYPE, kind);
        },
    );
}

/// move_mount(2): of a mount that is somewhere already, or of one that fsmount(2) or open_tree(2) made.
#[inline(always)]
fn moved<A: Arguments>(ctx: &A) {
    let (from, to) = (ctx.pointer(0), ctx.pointer(1));
    let dentry = A::Reader::pointer(to, Field::PathDentry);
    let Some(matched) = covered::<A::Reader>(dentry) else { return };
    news::mounted();
    let source = Probe::pointer(from, Field::PathMnt);
    let found =
        Found { tag: TAG_MOUNT, matched, same: Same::NEVER, mnt: Probe::pointer(to, Field::PathMnt), dentry };
    capture::access_with(
        Hook::MoveMount,
        &found,
        |object| fill(object, to, 0, 0),
        |hook, scratch| {
            path::section(hook, SECTION_OTHER, source, Probe::pointer(from, Field::PathDentry));
            let kind = Probe::pointer(Probe::pointer(source, Field::VfsmountSb), Field::SbType);
            scratch.name_section(SECTION_FSTYPE, Probe::pointer(kind, Field::FsTypeName));
        },
    );
}

#[inline(always)]
fn unmounted<A: Arguments>(ctx: &A) {
    let mnt = ctx.pointer(0);
    let mount = container(mnt, Field::MountVfsmount);
    let dentry = Probe::pointer(mount, Field::MountMountpoint);
    let root = Probe::pointer(mnt, Field::VfsmountRoot);
    // What is covered, or if the daemon no longer looks for that what covers it.
    let (matched, known) = match covered::<Probe>(dentry) {
        Some(matched) => (matched, dentry),
        None => match covered::<Probe>(root) {
            Some(matched) => (matched, root),
            None => return,
        },
    };
    news::mounted();
    let found = Found { tag: TAG_MOUNT, matched, same: Same::NEVER, mnt, dentry: root };
    let above = Probe::pointer(mount, Field::MountParent);
    let parent = address(above, Field::MountVfsmount);
    capture::access_with(
        Hook::SbUmount,
        &found,
        |object| describe(object, parent, known, 1, 0),
        |_, scratch| {
            let kind = Probe::pointer(Probe::pointer(mnt, Field::VfsmountSb), Field::SbType);
            scratch.name_section(SECTION_FSTYPE, Probe::pointer(kind, Field::FsTypeName));
        },
    );
}

/// Whether a mount there covers a watched object, something beneath it, or what lies above it.
#[inline(always)]
fn covered<R: Reader>(dentry: Kernel) -> Option<Match> {
    let inode = R::pointer(dentry, Field::DentryInode);
    matching::file::<R>(inode, dentry).or_else(|| matching::below(inode))
}

#[inline(always)]
fn fill(object: &mut MountObject, point: Kernel, umount: u32, flags: u64) {
    describe(
        object,
        Probe::pointer(point, Field::PathMnt),
        Probe::pointer(point, Field::PathDentry),
        umount,
        flags,
    );
}

#[inline(always)]
fn describe(object: &mut MountObject, mnt: Kernel, dentry: Kernel, umount: u32, flags: u64) {
    let key = matching::key::<Probe>(Probe::pointer(dentry, Field::DentryInode));
    object.ino = key.ino;
    object.dev = key.dev;
    object.umount = umount;
    object.flags = flags;
    object.shared = u32::from(Probe::read::<u32>(mnt, Field::VfsmountFlags) & MNT_SHARED != 0);
    object.pad = 0;
}
