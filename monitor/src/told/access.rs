//! Where something was done, in the form in which hooks tell it.

use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::Doer;
use crate::access::{Access, FileObject, MountObject, Object, ObjectKey, OtherPlace, Outcome, TargetId};
use crate::decode::Decoded;
use crate::kernel::listen::{Attributes, Heard, Mounted};
use crate::model::Action;
use crate::watch::Keeper;

/// What is there now.
pub(super) fn at(keeper: &Keeper, path: &Path) -> Option<Attributes> {
    let fd = keeper.root().open(path, OFlags::PATH | OFlags::NOFOLLOW).ok()?;
    Attributes::of(&fd).ok()
}

pub(super) fn changed(
    heard: &Heard,
    action: Action,
    now: Option<Attributes>,
    time: u64,
    doer: &Doer,
    keeper: &Keeper,
) -> Decoded {
    let Heard { target, path, below, from, above, directory, .. } = heard;
    let (dev, path_inside) = inside(keeper, path);
    let here = now.map(|now| ObjectKey::new(dev, now.ino));
    let key = above.or(here).or_else(|| known(keeper, path)).unwrap_or(ObjectKey::new(dev, 0));
    let from = from.as_ref().map(|from| inside(keeper, from).1);
    let other = from.map(|path_inside| OtherPlace { path_inside, is_source: true });
    let object = Object::File(FileObject {
        key,
        path_seen: Vec::new(),
        path_inside,
        other,
        read: false,
        write: false,
        directory: *directory,
    });
    decoded(TargetId(*target), action, object, *below, above.is_some(), time, doer)
}

/// A mount over a target or something beneath it, and the same over a directory above targets.
pub(super) fn mounted(mount: &Mounted, time: u64, doer: &Doer, keeper: &Keeper) -> Vec<Decoded> {
    let Mounted { point, source, fstype, gone, .. } = mount;
    let action = if *gone { Action::Umount } else { Action::Mount };
    let object = |key| {
        Object::Mount(MountObject {
            key,
            path_seen: point.as_os_str().as_bytes().to_vec(),
            source: source.clone(),
            fstype: fstype.clone(),
            // It is a mount of the node.
            shared: true,
        })
    };
    let beneath = keeper.around(point).map(|(target, below)| {
        let key = known(keeper, point).unwrap_or(ObjectKey::new(0, 0));
        decoded(target, action, object(key), below, false, time, doer)
    });
    let above =
        keeper.plan().above.iter().find(|(_, above)| above.path == *point).and_then(|(key, above)| {
            let target = TargetId(*above.targets.first()?);
            Some(decoded(target, action, object(*key), 0, true, time, doer))
        });
    beneath.into_iter().chain(above).collect()
}

fn decoded(
    target: TargetId,
    action: Action,
    object: Object,
    below: u32,
    ancestor: bool,
    boottime: u64,
    doer: &Doer,
) -> Decoded {
    let (actor, errors) = (doer.actor.clone(), doer.errors.clone());
    let outcome = Outcome::Success;
    let access = Access { boottime, target, action, object, outcome, actor, truncated: false };
    Decoded { below, ancestor, errors, ..Decoded::of(access) }
}

/// The file system that a path of the node leads into, and the path in there.
fn inside(keeper: &Keeper, path: &Path) -> (u32, Vec<u8>) {
    let (dev, inside) = keeper.plan().mounts.locate(path).unwrap_or((0, PathBuf::from(path)));
    (dev, inside.into_os_string().into_vec())
}

/// The object that was last seen there.
fn known(keeper: &Keeper, path: &Path) -> Option<ObjectKey> {
    keeper.plan().paths.iter().find(|(_, known)| *known == path).map(|(key, _)| *key)
}
