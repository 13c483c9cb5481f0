//! A file's size, mode, owner or extended attributes are set, through a path or a descriptor.

use monitor_abi::fields::Field;
use monitor_abi::record::{
    CHANGE_MODE, CHANGE_OWNER, CHANGE_TRUNCATE, CHANGE_XATTR, ChangeObject, TAG_CHANGE,
};

use super::Hook;
use super::attach::{Arguments, function};
use crate::again::Same;
use crate::capture::{self, Found, Place};
use crate::matching;
use crate::reader::{Kernel, Reader};

/// <https://elixir.bootlin.com/linux/v6.12/source/include/linux/fs.h#L228>
const ATTR_MODE: u32 = 1;
const ATTR_UID: u32 = 1 << 1;
const ATTR_GID: u32 = 1 << 2;
const ATTR_SIZE: u32 = 1 << 3;
/// Part of an open with O_TRUNC, which is reported as that.
const ATTR_OPEN: u32 = 1 << 15;

function! {
    /// Linux 5.10: `int security_inode_setattr(struct dentry *dentry, struct iattr *attr)`
    "security_inode_setattr", inode_setattr_0_fentry, inode_setattr_0_kprobe, set::<_, 0>
}
function! {
    /// Linux 6.1: `int security_inode_setattr(struct user_namespace *mnt_userns, struct dentry *dentry, struct iattr *attr)`
    "security_inode_setattr", inode_setattr_1_fentry, inode_setattr_1_kprobe, set::<_, 1>
}
function! {
    /// Linux 5.10: `int security_inode_setxattr(struct dentry *dentry, const char *name, const void *value, size_t size, int flags)`
    "security_inode_setxattr", inode_setxattr_0_fentry, inode_setxattr_0_kprobe, xattr_set::<_, 0>
}
function! {
    /// Linux 6.1: `int security_inode_setxattr(struct user_namespace *mnt_userns, struct dentry *dentry, const char *name, …)`
    "security_inode_setxattr", inode_setxattr_1_fentry, inode_setxattr_1_kprobe, xattr_set::<_, 1>
}
function! {
    /// Linux 6.2: `int security_inode_set_acl(struct mnt_idmap *idmap, struct dentry *dentry, const char *acl_name,`
    /// `struct posix_acl *kacl)`
    "security_inode_set_acl", inode_set_acl_fentry, inode_set_acl_kprobe, acl_set
}

/// `DENTRY` is the index of the argument: a kernel of 5.12 and later has one more before it.
#[inline(always)]
fn set<A: Arguments, const DENTRY: usize>(ctx: &A) {
    let attributes = ctx.pointer(DENTRY + 1);
    let valid: u32 = A::Reader::read(attributes, Field::IattrValid);
    let kind = if valid & ATTR_SIZE != 0 && valid & ATTR_OPEN == 0 {
        CHANGE_TRUNCATE
    } else if valid & (ATTR_UID | ATTR_GID) != 0 {
        CHANGE_OWNER
    } else if valid & ATTR_MODE != 0 {
        CHANGE_MODE
    } else {
        return;
    };
    changed::<A>(Hook::InodeSetattr, kind, ctx.pointer(DENTRY));
}

#[inline(always)]
fn xattr_set<A: Arguments, const DENTRY: usize>(ctx: &A) {
    changed::<A>(Hook::InodeSetxattr, CHANGE_XATTR, ctx.pointer(DENTRY));
}

#[inline(always)]
fn acl_set<A: Arguments>(ctx: &A) {
    changed::<A>(Hook::InodeSetAcl, CHANGE_XATTR, ctx.pointer(1));
}

#[inline(always)]
fn changed<A: Arguments>(hook: Hook, kind: u32, dentry: Kernel) {
    let inode = A::Reader::pointer(dentry, Field::DentryInode);
    let Some(matched) = matching::file::<A::Reader>(inode, dentry) else { return };
    let found = Found {
        tag: TAG_CHANGE,
        matched,
        same: Same::NEVER,
        place: Place::inside(dentry),
        other: Place::NONE,
    };
    let key = matching::key::<A::Reader>(inode);
    let mode: u16 = A::Reader::read(inode, Field::InodeMode);
    capture::access::<A::Reader, _>(hook, &found, |object: &mut ChangeObject| {
        object.ino = key.ino;
        object.dev = key.dev;
        object.kind = kind;
        object.mode = u32::from(mode);
        object.place = 0;
        object.generation = matching::generation::<A::Reader>(inode);
        object.pad = 0;
    });
}
