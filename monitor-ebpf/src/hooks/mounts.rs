//! Something is mounted over a watched object or over a directory above one, or such a mount ends. What is behind the path is another
//! object then.

use monitor_abi::fields::Field;
use monitor_abi::record::{MountObject, SECTION_FSTYPE, SECTION_SOURCE, TAG_MOUNT};

use super::Hook;
use super::attach::{Arguments, function};
use crate::again::Same;
use crate::capture::{self, Found, Place};
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
    let place = Place::of_path::<A::Reader>(point);
    let Some(matched) = covered::<A::Reader>(place.dentry) else { return };
    news::mounted();
    let mount = describe::<A::Reader>(place, 0, flags);
    let found = Found { tag: TAG_MOUNT, matched, same: Same::NEVER, place, other: Place::NONE };
    capture::access_with::<A::Reader, _>(
        Hook::SbMount,
        &found,
        |object| *object = mount,
        |scratch| {
            scratch.name_section(SECTION_SOURCE, source);
            scratch.name_section(SECTION_FSTYPE, kind);
        },
    );
}

/// move_mount(2): of a mount that is somewhere already, or of one that fsmount(2) or open_tree(2) made.
#[inline(always)]
fn moved<A: Arguments>(ctx: &A) {
    let place = Place::of_path::<A::Reader>(ctx.pointer(1));
    let Some(matched) = covered::<A::Reader>(place.dentry) else { return };
    news::mounted();
    let other = Place::of_path::<A::Reader>(ctx.pointer(0));
    let mount = describe::<A::Reader>(place, 0, 0);
    let found = Found { tag: TAG_MOUNT, matched, same: Same::NEVER, place, other };
    let kind = fstype(other.mnt);
    capture::access_with::<A::Reader, _>(
        Hook::MoveMount,
        &found,
        |object| *object = mount,
        |scratch| scratch.name_section(SECTION_FSTYPE, kind),
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
    let place = Place { mnt, dentry: root };
    let above = Probe::pointer(mount, Field::MountParent);
    let parent = address(above, Field::MountVfsmount);
    let mount = describe::<Probe>(Place { mnt: parent, dentry: known }, 1, 0);
    let found = Found { tag: TAG_MOUNT, matched, same: Same::NEVER, place, other: Place::NONE };
    let kind = fstype(mnt);
    capture::access_with::<Probe, _>(
        Hook::SbUmount,
        &found,
        |object| *object = mount,
        |scratch| scratch.name_section(SECTION_FSTYPE, kind),
    );
}

/// Whether a mount there covers a watched object, something beneath it, or what lies above it.
#[inline(always)]
fn covered<R: Reader>(dentry: Kernel) -> Option<Match> {
    let inode = R::pointer(dentry, Field::DentryInode);
    let matched = matching::file::<R>(inode, dentry);
    if matching::is_sure(matched) { matched } else { matching::below::<R>(inode).or(matched) }
}

#[inline(always)]
fn describe<R: Reader>(place: Place, umount: u32, flags: u64) -> MountObject {
    let inode = R::pointer(place.dentry, Field::DentryInode);
    let key = matching::key::<R>(inode);
    let mount_flags: u32 = R::read(place.mnt, Field::VfsmountFlags);
    MountObject {
        ino: key.ino,
        dev: key.dev,
        umount,
        flags,
        shared: u32::from(mount_flags & MNT_SHARED != 0),
        generation: matching::generation::<R>(inode),
    }
}

/// The name of a mount's file system type.
#[inline(always)]
fn fstype(mnt: Kernel) -> Kernel {
    let kind = Probe::pointer(Probe::pointer(mnt, Field::VfsmountSb), Field::SbType);
    Probe::pointer(kind, Field::FsTypeName)
}
