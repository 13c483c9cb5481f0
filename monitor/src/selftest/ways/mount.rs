//! Mounts over a directory: all where nobody else sees them.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::CWD;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MountPropagationFlags, MoveMountFlags,
    OpenTreeFlags, UnmountFlags, fsconfig_create, fsmount, fsopen, mount, mount_bind, mount_change,
    move_mount, open_tree, unmount,
};

use super::super::scene::Place;
use super::{Act, Way, file, own_mounts, timed};
use crate::model::Action;

pub(super) const WAYS: &[Way] = &[
    over("mount.tmpfs", |place| {
        own_mounts()?;
        timed(|| cover(&place.manifests()))
    }),
    over("mount.bind", |place| {
        own_mounts()?;
        timed(|| Ok(mount_bind(place.elsewhere(), place.manifests())?))
    }),
    over("mount.bind_file", |place| {
        own_mounts()?;
        timed(|| Ok(mount_bind(place.outside(), place.inside())?))
    }),
    over("mount.ancestor", |place| {
        own_mounts()?;
        timed(|| cover(&place.above()))
    })
    .of_ancestor(),
    over("mount.propagated", propagated).alone(),
    over("mount.move_mount", |place| {
        own_mounts()?;
        let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_create(&context)?;
        let mount = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?;
        timed(|| put(&mount, &place.manifests()))
    }),
    over("mount.open_tree", |place| {
        own_mounts()?;
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        let tree = open_tree(CWD, place.elsewhere(), flags)?;
        timed(|| put(&tree, &place.manifests()))
    }),
    Way {
        action: Action::Umount,
        ..over("mount.umount", |place| {
            own_mounts()?;
            cover(&place.manifests())?;
            timed(|| Ok(unmount(place.manifests(), UnmountFlags::DETACH)?))
        })
    },
];

const fn over(id: &'static str, act: Act) -> Way {
    file(id, Action::Mount, act).if_possible().mounts()
}

fn cover(directory: &Path) -> io::Result<()> {
    Ok(mount(c"tmpfs", directory, c"tmpfs", MountFlags::empty(), None)?)
}

fn put(mount: &OwnedFd, over: &Path) -> io::Result<()> {
    Ok(move_mount(mount, "", CWD, over, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
}

/// Over the same directory at another place, of which the directory's own place gets it, too.
fn propagated(place: &Place) -> io::Result<u64> {
    let (above, point) = (place.above(), place.own("point"));
    fs::create_dir(&point)?;
    own_mounts()?;
    mount_bind(&above, &above)?;
    mount_change(&above, MountPropagationFlags::SHARED)?;
    mount_bind(&above, &point)?;
    let manifests = place.own_manifests();
    let manifests = manifests.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    timed(|| cover(&point.join(manifests)))
}
