//! Ways to open a file.

use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::mount::{MountFlags, OpenTreeFlags, mount, mount_bind, open_tree};
use rustix::thread::UnshareFlags;

use super::super::scene::Place;
use super::uring::{self, How};
use super::{Way, file, own_mounts, raw, second, timed};
use crate::model::Action;

pub(super) const WAYS: &[Way] = &[
    file("open.read", Action::Open, |place| read(&place.inside())),
    file("open.write", Action::Write, |place| timed(|| writable(&place.inside()))),
    file("open.create", Action::Create, |place| timed(|| File::create_new(place.new_inside()))),
    file("open.creat", Action::Create, |place| timed(|| raw::creat(&place.new_inside()))),
    file("open.openat2", Action::Open, |place| {
        let (flags, resolve) = (OFlags::RDONLY | OFlags::CLOEXEC, ResolveFlags::empty());
        timed(|| Ok(openat2(CWD, place.inside(), flags, Mode::empty(), resolve)?))
    })
    .if_possible(),
    file("open.symlink", Action::Open, |place| {
        symlink(place.inside(), place.new_outside())?;
        read(&place.new_outside())
    }),
    file("open.symlinked_directory", Action::Open, |place| {
        symlink(place.manifests(), place.new_outside())?;
        read(&place.inside_of(&place.new_outside()))
    }),
    file("open.hard_link", Action::Open, |place| {
        fs::hard_link(place.inside(), place.new_outside())?;
        read(&place.new_outside())
    }),
    file("open.hard_link_new", Action::Write, |place| {
        drop(File::create_new(place.new_inside())?);
        fs::hard_link(place.new_inside(), place.new_outside())?;
        timed(|| writable(&place.new_outside()))
    }),
    file("open.bind_directory", Action::Open, |place| {
        own_mounts()?;
        through_bind_mount(place)
    })
    .if_possible(),
    file("open.bind_file", Action::Open, |place| {
        own_mounts()?;
        mount_bind(place.inside(), place.outside())?;
        read(&place.outside())
    })
    .if_possible(),
    file("open.proc_root", Action::Open, |place| read(&below_proc_root(&place.inside()))),
    file("open.user_namespace", Action::Open, |place| {
        raw::unshare(UnshareFlags::NEWUSER)?;
        own_mounts()?;
        through_bind_mount(place)
    })
    .if_possible(),
    file("open.detached", Action::Open, |place| {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        let tree = open_tree(CWD, place.manifests(), flags)?;
        let name = place.inside_of(Path::new(""));
        timed(|| Ok(openat(&tree, &name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?))
    })
    .if_possible(),
    file("open.proc_fd", Action::Open, |place| {
        let named = openat(CWD, place.inside(), OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        read(&PathBuf::from(format!("/proc/self/fd/{}", named.as_raw_fd())))
    }),
    file("open.handle", Action::Open, |place| {
        let handle = raw::Handle::of(&place.inside())?;
        let on = File::open(place.elsewhere())?;
        timed(|| handle.open(&on))
    })
    .if_possible(),
    file("open.uring", Action::Open, |place| uring::open(How::Inline, &place.inside())).if_possible(),
    file("open.uring_async", Action::Open, |place| uring::open(How::Async, &place.inside())).if_possible(),
    file("open.uring_poll", Action::Open, |place| uring::open(How::Poll, &place.inside())).if_possible(),
    file("open.uring_direct", Action::Open, |place| uring::open(How::Direct, &place.inside())).if_possible(),
    file("open.overlay_lower", Action::Open, |place| {
        let layers = Layers::new(place)?;
        layers.mount(&place.manifests(), &layers.other)?;
        read(&place.inside_of(&layers.merged))
    })
    .if_possible(),
    file("open.overlay_upper", Action::Open, |place| {
        let layers = Layers::new(place)?;
        layers.mount(&layers.other, &place.manifests())?;
        read(&place.inside_of(&layers.merged))
    })
    .if_possible(),
    file("open.overlay_ancestor", Action::Open, |place| {
        let layers = Layers::new(place)?;
        layers.mount(&place.above(), &layers.other)?;
        let merged =
            layers.merged.join(place.own_manifests().strip_prefix(place.above()).unwrap_or(Path::new("")));
        read(&place.inside_of(&merged))
    })
    .alone()
    .if_possible(),
    file("open.mmap", Action::Write, |place| timed(|| raw::write_to_memory(&place.inside()))),
    file("open.inherited", Action::Write, |place| {
        timed(|| second::leave(place, &OwnedFd::from(writable(&place.inside())?)))
    })
    .with(second::write),
    file("open.handed_over", Action::Receive, |place| second::hand(place, File::open(place.inside())?))
        .with(second::receive),
];

fn read(path: &Path) -> io::Result<u64> {
    timed(|| File::open(path))
}

fn writable(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(path)
}

fn through_bind_mount(place: &Place) -> io::Result<u64> {
    fs::create_dir(place.new_outside())?;
    mount_bind(place.manifests(), place.new_outside())?;
    read(&place.inside_of(&place.new_outside()))
}

/// The same file once more, by another path.
fn below_proc_root(path: &Path) -> PathBuf {
    let root = Path::new("/proc/self/root");
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// What an overlay needs beside the directory that it is about.
pub(super) struct Layers {
    pub(super) other: PathBuf,
    pub(super) merged: PathBuf,
    work: PathBuf,
}

impl Layers {
    pub(super) fn new(place: &Place) -> io::Result<Self> {
        let dir = place.new_outside();
        let layers = Self { other: dir.join("other"), merged: dir.join("merged"), work: dir.join("work") };
        for dir in [&layers.other, &layers.merged, &layers.work] {
            fs::create_dir_all(dir)?;
        }
        Ok(layers)
    }

    /// In a mount namespace of one's own.
    pub(super) fn mount(&self, lower: &Path, upper: &Path) -> io::Result<()> {
        let (lower, upper, work) = (lower.display(), upper.display(), self.work.display());
        let options = CString::new(format!("lowerdir={lower},upperdir={upper},workdir={work}"))?;
        own_mounts()?;
        Ok(mount(c"overlay", &self.merged, c"overlay", MountFlags::empty(), Some(options.as_c_str()))?)
    }
}
