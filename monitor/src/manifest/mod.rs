//! What a static pod manifest holds, once whoever writes it is done.
//!
//! The file is anybody's: it may be no file, larger than memory, a bomb, or full of secrets. It is read without following links
//! and without waiting, up to a size, and of its text only what describes pods is ever kept.

mod command;
mod judge;
mod parse;
mod pod;
mod read;

pub(crate) use self::command::{Command, commands};
pub use self::judge::Doors;
pub(crate) use self::read::Fingerprint;

use std::path::Path;

use self::judge::judge;
use self::read::{Found, Kind};
use crate::event::Manifest;
use crate::hash::sha256;
use crate::node::Root;

/// What a look at a path found.
#[derive(Debug)]
pub(crate) enum Seen {
    /// There is nothing that could be a manifest.
    Nothing,
    /// Someone may still be writing.
    Changing(Fingerprint),
    Settled(Manifest),
}

/// Looks at a path of the node. The content counts when nothing has changed since it was seen last, or at the last look.
pub(crate) fn look(root: &Root, path: &Path, before: Option<Fingerprint>, last: bool, doors: &Doors) -> Seen {
    let Some(Found { fingerprint, kind }) = Found::at(root, path) else { return Seen::Nothing };
    if !last && before != Some(fingerprint) {
        return Seen::Changing(fingerprint);
    }
    let problem = |why: String| Manifest { problem: Some(why), ..Manifest::default() };
    let mut manifest = match kind {
        Kind::File(file) => match file.read() {
            Ok(bytes) => summary(&bytes, doors),
            Err(why) => problem(why),
        },
        Kind::Link(to) => Manifest {
            link: Some(String::from_utf8_lossy(&to).into_owned()),
            ..problem("it is a symbolic link, which was not followed".to_owned())
        },
        Kind::Directory => return Seen::Nothing,
        Kind::Other => problem("it is no regular file".to_owned()),
    };
    // What was changed while it was read is looked at again.
    let unchanged = Found::at(root, path).is_some_and(|found| found.fingerprint == fingerprint);
    if !last && !unchanged {
        return Seen::Changing(fingerprint);
    }
    judge::place(&mut manifest, path, doors);
    Seen::Settled(manifest)
}

/// The content of a manifest, in short.
pub(crate) fn summary(bytes: &[u8], doors: &Doors) -> Manifest {
    let sha256 = Some(sha256(bytes));
    match parse::documents(bytes) {
        Ok(documents) => {
            let pods = pod::pods(&documents);
            Manifest { sha256, parses: true, ..judge(pods, doors) }
        }
        Err(why) => Manifest { sha256, problem: Some(why), ..Manifest::default() },
    }
}

#[cfg(test)]
mod tests;
