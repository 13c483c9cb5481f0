//! A file is opened. Reached by every way to open one: open(2) and its kin, io_uring, handles, the kernel's own readers.

use monitor_abi::fields::Field;
use monitor_abi::probe::PROBE_FILE;
use monitor_abi::record::{FileObject, TAG_FILE};
use monitor_abi::repeat;
use monitor_abi::watch::{WATCH_SELF, WATCH_TREE};

use super::Hook;
use super::attach::{Arguments, function};
use crate::again::Same;
use crate::capture::{self, Found, Place};
use crate::matching::{self, Match};
use crate::reader::{Kernel, Probe, Reader, Typed, untyped};
use crate::{crossing, learned, moves, own};

/// `FMODE_CREATED`: this open made the file.
/// <https://elixir.bootlin.com/linux/v6.12/source/include/linux/fs.h#L161>
const FMODE_CREATED: u32 = 1 << 20;

function! {
    /// `int security_file_open(struct file *file)`
    "security_file_open", file_open_fentry, file_open_kprobe, entered
}

#[inline(always)]
fn entered<A: Arguments>(ctx: &A) {
    opened::<A::Reader>(ctx.pointer(0), Hook::FileOpen);
}

#[inline(always)]
fn opened<R: Reader>(file: Kernel, hook: Hook) {
    if let Some(found) = target::<R>(file) {
        report::<R>(file, found, hook);
    }
}

/// The target of an open file.
#[inline(always)]
pub fn target<R: Reader>(file: Kernel) -> Option<Match> {
    let [inode, dentry] = R::words(file, [Field::FileInode, Field::FileDentry]);
    let (inode, dentry) = (inode as Kernel, dentry as Kernel);
    let key = matching::key_at_once::<R>(inode);
    if own::is_probe() {
        own::answer(PROBE_FILE, key, matching::generation::<R>(inode), 0);
    }
    // A file that was just made is no known one: file systems give it the number of one that was just removed.
    let is_old = |_: &Match| !is_new::<R>(file);
    let known = matching::known::<R>(inode, &key, WATCH_SELF | WATCH_TREE).filter(is_old);
    if matching::is_sure(known) {
        return known;
    }
    matching::above_open::<R>(dentry, inode, key.dev)
        .or_else(|| learned::find::<R>(inode).filter(is_old))
        .or_else(|| crossing::find(file, dentry))
        .or_else(|| moves::find(dentry))
        .or(known)
}

#[inline(always)]
fn is_new<R: Reader>(file: Kernel) -> bool {
    R::read::<u32>(file, Field::FileMode) & FMODE_CREATED != 0
}

#[inline(always)]
pub fn report<R: Reader>(file: Kernel, matched: Match, hook: Hook) {
    if R::sealed() {
        report_typed(file, matched.word(), hook.into());
    } else {
        report_open(untyped(file), matched.word(), hook.into());
    }
}

/// VERIFIER: not exported, so that the file keeps its type.
#[inline(never)]
fn report_typed(file: Kernel, matched: u64, hook: u32) -> u32 {
    if let Some(matched) = Match::of_word(matched) {
        describe::<Typed>(file, matched, hook);
    }
    0
}

/// VERIFIER: exported, so that it is checked once and not for each way to a match.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn report_open(file: u64, matched: u64, hook: u32) -> u32 {
    if let Some(matched) = Match::of_word(matched) {
        describe::<Probe>(file as Kernel, matched, hook);
    }
    0
}

#[inline(always)]
fn describe<R: Reader>(file: Kernel, matched: Match, hook: u32) {
    let inode = R::pointer(file, Field::FileInode);
    let key = matching::key::<R>(inode);
    let is_new = is_new::<R>(file);
    if is_new {
        learned::learn::<R>(inode, matched.target());
    }
    let flags: u32 = R::read(file, Field::FileFlags);
    let same = Same {
        object: key.ino,
        device: key.dev,
        what: if is_new || matched.flags() != 0 { 0 } else { repeat::of_file(TAG_FILE, flags) },
    };
    let found = Found { tag: TAG_FILE, matched, same, place: Place::of_file::<R>(file), other: Place::NONE };
    capture::access::<R, _>(hook, &found, |object: &mut FileObject| {
        object.ino = key.ino;
        object.dev = key.dev;
        object.open_flags = flags;
        object.created = u32::from(is_new);
        object.mode = u32::from(R::read::<u16>(inode, Field::InodeMode));
        object.generation = matching::generation::<R>(inode);
        object.pad = 0;
    });
}
