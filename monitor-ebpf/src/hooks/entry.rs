//! The entries of a directory change: something is made, linked, renamed or removed. The hooks lie below every way to do so: system
//! calls, io_uring, other file systems on top. They run before the change, which may still fail.
//!
//! They are told inodes and directory entries but no mount, so paths are those inside the file system.

use monitor_abi::fields::Field;
use monitor_abi::record::{
    CHANGE_CREATE, CHANGE_EXCHANGE, CHANGE_LINK, CHANGE_MKDIR, CHANGE_MKNOD, CHANGE_RENAME, CHANGE_RMDIR,
    CHANGE_SYMLINK, CHANGE_UNLINK, ChangeObject, HEAD_ANCESTOR, PLACE_NEW, PLACE_OLD, TAG_CHANGE,
};

use super::Hook;
use super::attach::{Arguments, function};
use crate::again::Same;
use crate::capture::{self, Found, Place};
use crate::learned;
use crate::matching::{self, Match};
use crate::moves;
use crate::reader::{Kernel, Reader};

/// Of renameat2(2).
const RENAME_EXCHANGE: usize = 2;

function! {
    /// `int security_inode_create(struct inode *dir, struct dentry *dentry, umode_t mode)`
    "security_inode_create", inode_create_fentry, inode_create_kprobe, created
}
function! {
    /// `int security_inode_mkdir(struct inode *dir, struct dentry *dentry, umode_t mode)`
    "security_inode_mkdir", inode_mkdir_fentry, inode_mkdir_kprobe, directory_made
}
function! {
    /// `int security_inode_mknod(struct inode *dir, struct dentry *dentry, umode_t mode, dev_t dev)`
    "security_inode_mknod", inode_mknod_fentry, inode_mknod_kprobe, node_made
}
function! {
    /// `int security_inode_symlink(struct inode *dir, struct dentry *dentry, const char *old_name)`
    "security_inode_symlink", inode_symlink_fentry, inode_symlink_kprobe, symlinked
}
function! {
    /// `int security_inode_link(struct dentry *old_dentry, struct inode *dir, struct dentry *new_dentry)`
    "security_inode_link", inode_link_fentry, inode_link_kprobe, linked
}
function! {
    /// `int security_inode_unlink(struct inode *dir, struct dentry *dentry)`
    "security_inode_unlink", inode_unlink_fentry, inode_unlink_kprobe, unlinked
}
function! {
    /// `int security_inode_rmdir(struct inode *dir, struct dentry *dentry)`
    "security_inode_rmdir", inode_rmdir_fentry, inode_rmdir_kprobe, directory_removed
}
function! {
    /// `int security_inode_rename(struct inode *old_dir, struct dentry *old_dentry, struct inode *new_dir,`
    /// `struct dentry *new_dentry, unsigned int flags)`
    "security_inode_rename", inode_rename_fentry, inode_rename_kprobe, renamed
}

#[inline(always)]
fn created<A: Arguments>(ctx: &A) {
    made::<A>(Hook::InodeCreate, CHANGE_CREATE, ctx.pointer(1), ctx.argument(2) as u16);
}

#[inline(always)]
fn directory_made<A: Arguments>(ctx: &A) {
    made::<A>(Hook::InodeMkdir, CHANGE_MKDIR, ctx.pointer(1), ctx.argument(2) as u16);
}

#[inline(always)]
fn node_made<A: Arguments>(ctx: &A) {
    made::<A>(Hook::InodeMknod, CHANGE_MKNOD, ctx.pointer(1), ctx.argument(2) as u16);
}

#[inline(always)]
fn symlinked<A: Arguments>(ctx: &A) {
    /// `S_IFLNK`, and the mode that all symbolic links have.
    const SYMLINK: u16 = 0o120_777;
    made::<A>(Hook::InodeSymlink, CHANGE_SYMLINK, ctx.pointer(1), SYMLINK);
}

#[inline(always)]
fn unlinked<A: Arguments>(ctx: &A) {
    removed::<A>(Hook::InodeUnlink, CHANGE_UNLINK, ctx.pointer(1));
}

#[inline(always)]
fn directory_removed<A: Arguments>(ctx: &A) {
    removed::<A>(Hook::InodeRmdir, CHANGE_RMDIR, ctx.pointer(1));
}

/// A new entry in a watched place.
#[inline(always)]
fn made<A: Arguments>(hook: Hook, kind: u32, dentry: Kernel, mode: u16) {
    if let Some(matched) = matching::above::<A::Reader>(dentry).or_else(|| moves::find(dentry)) {
        let change =
            Change { kind, mode, place: 0, dentry, other: core::ptr::null(), inode: core::ptr::null() };
        report::<A::Reader>(hook, matched, &change);
    }
}

/// What is removed is named by its place: another link to the same file is none of the door's.
#[inline(always)]
fn removed<A: Arguments>(hook: Hook, kind: u32, dentry: Kernel) {
    let inode = A::Reader::pointer(dentry, Field::DentryInode);
    let matched = matching::above::<A::Reader>(dentry).or_else(|| matching::below::<A::Reader>(inode));
    // Beneath such a name are targets again, whatever was removed there before.
    let Some(matched) = matched.or_else(|| moves::find(dentry)).or_else(|| moves::find_named(dentry)) else {
        return;
    };
    if matched.flags() & HEAD_ANCESTOR != 0 {
        moves::note(dentry, matched.target());
    }
    let change = Change { kind, mode: 0, place: 0, dentry, other: core::ptr::null(), inode };
    report::<A::Reader>(hook, matched, &change);
}

#[inline(always)]
fn linked<A: Arguments>(ctx: &A) {
    let (old, new) = (ctx.pointer(0), ctx.pointer(2));
    moved::<A::Reader>(Hook::InodeLink, CHANGE_LINK, old, new);
}

#[inline(always)]
fn renamed<A: Arguments>(ctx: &A) {
    let kind = if ctx.argument(4) & RENAME_EXCHANGE == 0 { CHANGE_RENAME } else { CHANGE_EXCHANGE };
    let (old, new) = (ctx.pointer(1), ctx.pointer(3));
    moved::<A::Reader>(Hook::InodeRename, kind, old, new);
}

/// Something gets a second name or another one. Into a watched place counts more than out of it.
#[inline(always)]
fn moved<R: Reader>(hook: Hook, kind: u32, old: Kernel, new: Kernel) {
    let inode = R::pointer(old, Field::DentryInode);
    if let Some(matched) = matching::above::<R>(new).or_else(|| moves::find(new)) {
        learned::learn::<R>(inode, matched.target());
        let change = Change { kind, mode: 0, place: PLACE_NEW, dentry: new, other: old, inode };
        report::<R>(hook, matched, &change);
        return;
    }
    let mut matched = matching::file::<R>(inode, old);
    if !matching::is_sure(matched) && kind != CHANGE_LINK {
        matched = ancestor::<R>(new, inode).or(matched);
    }
    let Some(matched) = matched else { return };
    if matched.flags() & HEAD_ANCESTOR != 0 {
        moves::note(old, matched.target());
        moves::note(new, matched.target());
    }
    if kind == CHANGE_LINK && !matched.is_stale() {
        learned::learn::<R>(inode, matched.target());
    }
    let change = Change { kind, mode: 0, place: PLACE_OLD, dentry: old, other: new, inode };
    report::<R>(hook, matched, &change);
}

/// A directory above targets is renamed, or replaced.
#[inline(always)]
fn ancestor<R: Reader>(new: Kernel, inode: Kernel) -> Option<Match> {
    match matching::below::<R>(inode) {
        None => matching::below::<R>(R::pointer(new, Field::DentryInode)),
        found => found,
    }
}

struct Change {
    kind: u32,
    mode: u16,
    place: u32,
    dentry: Kernel,
    other: Kernel,
    /// Null for what does not exist yet.
    inode: Kernel,
}

#[inline(always)]
fn report<R: Reader>(hook: Hook, matched: Match, change: &Change) {
    let found = Found {
        tag: TAG_CHANGE,
        matched,
        same: Same::NEVER,
        place: Place::inside(change.dentry),
        other: Place::inside(change.other),
    };
    let key = matching::key::<R>(change.inode);
    let device = R::read(R::pointer(change.dentry, Field::DentrySb), Field::SbDev);
    let mode = if change.inode.is_null() { change.mode } else { R::read(change.inode, Field::InodeMode) };
    capture::access::<R, _>(hook, &found, |object: &mut ChangeObject| {
        object.ino = key.ino;
        object.dev = device;
        object.kind = change.kind;
        object.mode = u32::from(mode);
        object.place = change.place;
        object.generation = matching::generation::<R>(change.inode);
        object.pad = 0;
    });
}
