//! Ways to change a directory, and a file's attributes.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, RenameFlags, XattrFlags, linkat, mknodat, openat, renameat_with,
    setxattr,
};

use super::super::scene::Place;
use super::open::Layers;
use super::{Way, file, raw, timed, uring};
use crate::model::Action;

pub(super) const WAYS: &[Way] = &[
    file("change.overlay_upper", Action::Create, |place| {
        let layers = Layers::new(place)?;
        layers.mount(&layers.other, &place.manifests())?;
        timed(|| File::create_new(layers.merged.join(place.id)))
    })
    // It may be made elsewhere first.
    .or(Action::Rename)
    .if_possible(),
    file("change.rename_in", Action::Rename, |place| {
        timed(|| fs::rename(place.outside(), place.new_inside()))
    }),
    file("change.rename_out", Action::Rename, |place| {
        timed(|| fs::rename(place.inside(), place.new_outside()))
    }),
    file("change.exchange", Action::Rename, |place| exchange(&place.outside(), &place.inside()))
        .if_possible(),
    file("change.link_in", Action::Link, |place| {
        timed(|| fs::hard_link(place.outside(), place.new_inside()))
    }),
    file("change.link_out", Action::Link, |place| {
        timed(|| fs::hard_link(place.inside(), place.new_outside()))
    }),
    file("change.tmpfile", Action::Link, |place| {
        let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
        let unnamed = openat(CWD, place.elsewhere(), flags, Mode::from_raw_mode(0o600))?;
        let from = format!("/proc/self/fd/{}", unnamed.as_raw_fd());
        timed(|| Ok(linkat(CWD, &from, CWD, place.new_inside(), AtFlags::SYMLINK_FOLLOW)?))
    })
    .if_possible(),
    file("change.symlink_in", Action::Symlink, |place| {
        timed(|| symlink(place.outside(), place.new_inside()))
    }),
    file("change.mknod", Action::Create, |place| node(&place.new_inside(), FileType::RegularFile)),
    file("change.fifo", Action::Create, |place| node(&place.new_inside(), FileType::Fifo)),
    file("change.mkdir", Action::Create, |place| timed(|| fs::create_dir(place.new_inside()))),
    file("change.unlink", Action::Unlink, |place| timed(|| fs::remove_file(place.inside()))),
    file("change.rmdir", Action::Unlink, |place| timed(|| fs::remove_dir(place.subdirectory()))).alone(),
    file("change.truncate", Action::Truncate, |place| timed(|| raw::truncate(&place.inside()))),
    file("change.ftruncate", Action::Truncate, |place| {
        let file = OpenOptions::new().write(true).open(place.inside())?;
        timed(|| file.set_len(1))
    }),
    file("change.chmod", Action::Chmod, |place| {
        timed(|| fs::set_permissions(place.inside(), Permissions::from_mode(0o600)))
    }),
    file("change.chown", Action::Chown, |place| timed(|| chown(place.inside(), Some(0), Some(0)))),
    // In the one name space of attributes that every file system with attributes has.
    file("change.setxattr", Action::Setxattr, |place| {
        timed(|| Ok(setxattr(place.inside(), "trusted.bypassd", b"", XattrFlags::empty())?))
    })
    .if_possible(),
    file("change.uring_rename", Action::Rename, |place| uring::rename(&place.outside(), &place.new_inside()))
        .if_possible(),
    file("change.uring_link", Action::Link, |place| uring::link(&place.outside(), &place.new_inside()))
        .if_possible(),
    file("change.uring_unlink", Action::Unlink, |place| uring::unlink(&place.inside())).if_possible(),
    file("change.ancestor_rename", Action::Rename, |place| {
        timed(|| fs::rename(place.above(), place.own("moved")))
    })
    .of_ancestor(),
    file("change.ancestor_rename_write", Action::Create, |place| {
        another_takes_the_name(place)?;
        timed(|| File::create_new(place.own_new()))
    })
    .alone(),
    file("change.ancestor_exchange", Action::Rename, |place| exchange(&place.above(), &place.next()))
        .of_ancestor()
        .if_possible(),
    file("change.ancestor_exchange_write", Action::Create, |place| {
        exchange(&place.next(), &place.above())?;
        timed(|| File::create_new(place.own_new()))
    })
    .alone()
    .if_possible(),
    file("change.ancestor_rename_in", Action::Rename, |place| {
        another_takes_the_name(place)?;
        timed(|| fs::rename(place.outside(), place.own_new()))
    })
    .alone(),
    // By another action than that which makes the directory.
    file("change.ancestor_unlink_write", Action::Link, |place| {
        fs::remove_dir_all(place.above())?;
        fs::create_dir_all(place.own_manifests())?;
        timed(|| fs::hard_link(place.outside(), place.own_new()))
    })
    .alone(),
    file("change.ancestor_unlink", Action::Unlink, |place| {
        fs::remove_dir_all(place.own_manifests())?;
        timed(|| fs::remove_dir(place.above()))
    })
    .of_ancestor(),
];

fn exchange(one: &Path, other: &Path) -> io::Result<u64> {
    timed(|| Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?))
}

fn node(at: &Path, kind: FileType) -> io::Result<u64> {
    timed(|| Ok(mknodat(CWD, at, kind, Mode::from_raw_mode(0o600), 0)?))
}

fn another_takes_the_name(place: &Place) -> io::Result<()> {
    fs::rename(place.above(), place.own("moved"))?;
    fs::rename(place.next(), place.above())
}
