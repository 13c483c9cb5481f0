//! Paths where the kernel lets nobody read its memory at any address: names that are short enough to lie in their directory entries,
//! upwards to the root of the file system.

use monitor_abi::fields::Field;

use super::scratch::Scratch;
use crate::reader::{Kernel, Reader, Typed, has};

/// Deeper paths are left out: each name makes the program longer.
const DEPTH: usize = 12;

/// Bytes of the longest name that is in its entry, with its end: fewer than any kernel has room for.
pub const SHORT: usize = 32;

/// Appends the names of a file as a section of its own; none, if not all can be read.
///
/// VERIFIER: a function of its own for the stack it takes.
#[inline(never)]
pub fn section(scratch: &mut Scratch, kind: u16, dentry: Kernel) -> u32 {
    if dentry.is_null() || !has(Field::DentryShortName) || !has(Field::DentryNameLength) {
        return 0;
    }
    let start = scratch.open(kind);
    let mut child = dentry;
    for _ in 0..DEPTH {
        let Some(name) = short_name(child) else { break };
        scratch.push_part(&name.words, name.length + 1);
        let parent = Typed::pointer(child, Field::DentryParent);
        if parent == child {
            scratch.close(start);
            return 0;
        }
        child = parent;
    }
    scratch.take_back(start);
    0
}

/// A name, filled up with zeros.
pub struct Name {
    pub words: [u64; SHORT / 8],
    pub length: u32,
}

#[inline(always)]
pub fn short_name(dentry: Kernel) -> Option<Name> {
    let length: u32 = Typed::read(dentry, Field::DentryNameLength);
    if length as usize >= SHORT {
        return None;
    }
    let mut words: [u64; SHORT / 8] = Typed::read(dentry, Field::DentryShortName);
    for (index, word) in words.iter_mut().enumerate() {
        // What is behind the end is whatever was there before.
        let rest = length.saturating_sub(index as u32 * 8);
        if rest < 8 {
            *word &= (1 << (rest * 8)) - 1;
        }
    }
    Some(Name { words, length })
}
