//! The ways that need no second program and do no harm, out of those in [`crate::coverage`].

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::fs::{XattrFlags, setxattr};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_bind, mount_change};
use rustix::net::{AddressFamily, SendFlags, SocketType, sendto, socket};
use rustix::thread::{UnshareFlags, unshare_unsafe};

use super::scene::{Door, Place};
use crate::clock;
use crate::model::Action;

/// Does it, and returns the time just before, in nanoseconds since boot.
type Act = fn(&Place) -> io::Result<u64>;

#[derive(Clone, Copy, Debug)]
pub struct Way {
    /// As in the table of coverage.
    pub id: &'static str,
    pub door: Door,
    /// What the kernel has to report.
    pub action: Action,
    /// A node may be set up so that it does not work.
    pub may_be_refused: bool,
    /// It is a mount, in a namespace of its own.
    pub mounts: bool,
    pub(super) act: Act,
}

const fn file(id: &'static str, action: Action, act: Act) -> Way {
    Way { id, door: Door::Manifests, action, may_be_refused: false, mounts: false, act }
}

const fn connection(id: &'static str, door: Door, act: Act) -> Way {
    Way { id, door, action: Action::Connect, may_be_refused: false, mounts: false, act }
}

impl Way {
    const fn if_possible(self) -> Self {
        Self { may_be_refused: true, ..self }
    }

    const fn mounts(self) -> Self {
        Self { mounts: true, ..self }
    }
}

pub const WAYS: &[Way] = &[
    file("open.read", Action::Open, |place| read(&place.inside())),
    file("open.write", Action::Write, write),
    file("open.create", Action::Create, |place| timed(|| File::create_new(place.new_inside()))),
    file("open.symlink", Action::Open, through_symlink),
    file("open.symlinked_directory", Action::Open, through_symlinked_directory),
    file("open.hard_link", Action::Open, through_hard_link),
    file("open.bind_directory", Action::Open, through_bind_mount).if_possible(),
    file("open.proc_root", Action::Open, |place| read(&below_proc_root(&place.inside()))),
    file("change.rename_in", Action::Rename, |place| {
        timed(|| fs::rename(place.outside(), place.new_inside()))
    }),
    file("change.rename_out", Action::Rename, |place| {
        timed(|| fs::rename(place.inside(), place.new_outside()))
    }),
    file("change.link_in", Action::Link, |place| {
        timed(|| fs::hard_link(place.outside(), place.new_inside()))
    }),
    file("change.link_out", Action::Link, |place| {
        timed(|| fs::hard_link(place.inside(), place.new_outside()))
    }),
    file("change.symlink_in", Action::Symlink, |place| {
        timed(|| symlink(place.outside(), place.new_inside()))
    }),
    file("change.mkdir", Action::Create, |place| timed(|| fs::create_dir(place.new_inside()))),
    file("change.unlink", Action::Unlink, |place| timed(|| fs::remove_file(place.inside()))),
    file("change.ftruncate", Action::Truncate, truncate),
    file("change.chmod", Action::Chmod, |place| {
        timed(|| fs::set_permissions(place.inside(), Permissions::from_mode(0o600)))
    }),
    file("change.chown", Action::Chown, |place| timed(|| chown(place.inside(), Some(0), Some(0)))),
    file("change.setxattr", Action::Setxattr, attribute).if_possible(),
    file("mount.tmpfs", Action::Mount, cover).if_possible().mounts(),
    connection("unix.stream", Door::Runtime, |place| timed(|| UnixStream::connect(place.socket()))),
    connection("unix.symlink", Door::Runtime, |place| {
        symlink(place.socket(), place.new_outside())?;
        timed(|| UnixStream::connect(place.new_outside()))
    }),
    connection("tcp.connect", Door::Datastore, |place| {
        timed(|| TcpStream::connect((Ipv4Addr::LOCALHOST, place.port)))
    }),
    connection("tcp.mapped", Door::Datastore, |place| {
        timed(|| TcpStream::connect((Ipv4Addr::LOCALHOST.to_ipv6_mapped(), place.port)))
    })
    .if_possible(),
    connection("tcp.fast_open", Door::Datastore, fast_open).if_possible(),
];

fn timed<T>(access: impl FnOnce() -> io::Result<T>) -> io::Result<u64> {
    let before = clock::since_boot();
    access()?;
    Ok(before)
}

fn read(path: &Path) -> io::Result<u64> {
    timed(|| File::open(path))
}

fn write(place: &Place) -> io::Result<u64> {
    timed(|| OpenOptions::new().write(true).open(place.inside()))
}

fn through_symlink(place: &Place) -> io::Result<u64> {
    symlink(place.inside(), place.new_outside())?;
    read(&place.new_outside())
}

fn through_symlinked_directory(place: &Place) -> io::Result<u64> {
    symlink(place.manifests(), place.new_outside())?;
    read(&place.new_outside().join(format!("{}.yaml", place.id)))
}

fn through_hard_link(place: &Place) -> io::Result<u64> {
    fs::hard_link(place.inside(), place.new_outside())?;
    read(&place.new_outside())
}

/// The same file once more, by another path.
fn below_proc_root(path: &Path) -> PathBuf {
    let root = Path::new("/proc/self/root");
    root.join(path.strip_prefix("/").unwrap_or(path))
}

fn through_bind_mount(place: &Place) -> io::Result<u64> {
    fs::create_dir(place.new_outside())?;
    own_mounts()?;
    mount_bind(place.manifests(), place.new_outside())?;
    read(&place.new_outside().join(format!("{}.yaml", place.id)))
}

fn truncate(place: &Place) -> io::Result<u64> {
    let file = OpenOptions::new().write(true).open(place.inside())?;
    timed(|| file.set_len(1))
}

/// In the one name space of attributes that every file system with attributes has.
fn attribute(place: &Place) -> io::Result<u64> {
    timed(|| Ok(setxattr(place.inside(), "trusted.bypassd", b"", XattrFlags::empty())?))
}

fn cover(place: &Place) -> io::Result<u64> {
    own_mounts()?;
    timed(|| Ok(mount(c"tmpfs", place.manifests(), c"tmpfs", MountFlags::empty(), None)?))
}

/// Nobody else sees what is mounted from now on, and it goes away with the process.
fn own_mounts() -> io::Result<()> {
    // SAFETY: descriptors, which other threads could lose, stay shared.
    unsafe { unshare_unsafe(UnshareFlags::NEWNS) }?;
    Ok(mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?)
}

fn fast_open(place: &Place) -> io::Result<u64> {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, place.port);
    let flags = SendFlags::from_bits_retain(libc::MSG_FASTOPEN.cast_unsigned());
    timed(|| Ok(sendto(&socket, b"\n", flags, &address)?))
}

#[cfg(test)]
mod tests {
    use super::super::Scene;
    use super::*;
    use crate::coverage::{self, Sight, View};
    use crate::model::Backend;

    #[test]
    fn every_way_is_in_the_table_and_seen_by_some_backend() {
        for way in WAYS {
            let claim = coverage::WAYS.iter().find(|claim| claim.id == way.id);
            let claim = claim.unwrap_or_else(|| panic!("{} is not in the table", way.id));
            assert_eq!(claim.sight(View::Backend(Backend::Fentry)), Sight::Seen, "{}", way.id);
        }
    }

    #[test]
    fn ids_are_unique() {
        let ids: std::collections::HashSet<_> = WAYS.iter().map(|way| way.id).collect();
        assert_eq!(ids.len(), WAYS.len());
    }

    /// All in one process, so no way may need what another took away.
    #[test]
    fn ways_can_be_gone() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("tmp")).unwrap();
        let scene = Scene::new(root.path()).unwrap();
        let before = clock::since_boot();
        for way in WAYS.iter().filter(|way| !way.may_be_refused) {
            let arguments = scene.arguments(way);
            let place =
                Place { dir: PathBuf::from(&arguments[3]), id: way.id, port: arguments[4].parse().unwrap() };
            let at = (way.act)(&place).unwrap_or_else(|error| panic!("{}: {error}", way.id));
            assert!(at >= before && at <= clock::since_boot(), "{}", way.id);
        }
    }
}
