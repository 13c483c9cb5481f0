//! Doors that lead nowhere: directories, sockets and ports, each of which only the test knows.

use std::fs::{self, Permissions};
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, bind, getsockname, listen, socket};
use tempfile::TempDir;

pub use super::place::Place;
use super::place::Ports;
use super::ways::{Way, ways};
use crate::access::TargetId;
use crate::model::Class;
use crate::target::{Destinations, Target, What};

/// Where there is room on any node, the best first.
const PARENTS: [&str; 3] = ["run", "dev/shm", "tmp"];

/// Which of the targets a way leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    Manifests,
    Runtime,
    /// A socket of type SEQPACKET.
    Packets,
    /// Nobody listens any more.
    Deaf,
    /// It may be used by those only who need no permission.
    Forbidden,
    /// Nobody listens yet.
    Anew,
    Datastore,
    /// Nobody listens on it, and nobody else can.
    Closed,
    /// A directory that is the way's own. They come last.
    Own,
}

/// Those that have a directory of their own.
fn alone() -> impl Iterator<Item = &'static Way> {
    ways().filter(|way| way.door == Door::Own)
}

/// The place of its target in [`Scene::targets`].
pub(super) fn target(way: &Way) -> TargetId {
    let own = alone().take_while(|other| way.door == Door::Own && other.id != way.id).count();
    // There are dozens of ways.
    TargetId(way.door as u32 + u32::try_from(own).unwrap_or(u32::MAX / 2))
}

/// Everything is removed when it is dropped.
pub struct Scene {
    dir: TempDir,
    /// The same directory as the node names it.
    on_node: PathBuf,
    ports: Ports,
    _sockets: [UnixListener; 2],
    _packets: OwnedFd,
    _open: TcpListener,
    _closed: OwnedFd,
}

impl Scene {
    /// Where the node's root is found at `root`.
    pub fn new(root: &Path) -> io::Result<Self> {
        let dir = directory(root)?;
        let on_node = Path::new("/").join(dir.path().strip_prefix(root).unwrap_or(dir.path()));
        let open = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let closed = socket(AddressFamily::INET, SocketType::STREAM, None)?;
        bind(&closed, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
        let closed_at = SocketAddrV4::try_from(getsockname(&closed)?)?;
        let ports = Ports { open: open.local_addr()?.port(), closed: closed_at.port() };
        let place = |id| Place { dir: dir.path().to_owned(), id, ports };
        let all = place("");
        fs::create_dir(all.manifests())?;
        fs::create_dir(all.elsewhere())?;
        ways().try_for_each(|way| place(way.id).furnish(way.door == Door::Own))?;
        let sockets = [UnixListener::bind(all.socket())?, UnixListener::bind(all.forbidden())?];
        fs::set_permissions(all.forbidden(), Permissions::from_mode(0o000))?;
        // Their listeners are gone, the files stay.
        drop(UnixListener::bind(all.deaf())?);
        drop(UnixListener::bind(all.anew())?);
        let packets = socket(AddressFamily::UNIX, SocketType::SEQPACKET, None)?;
        bind(&packets, &SocketAddrUnix::new(all.packets())?)?;
        listen(&packets, 16)?;
        Ok(Self { dir, on_node, ports, _sockets: sockets, _packets: packets, _open: open, _closed: closed })
    }

    /// In the order of [`Door`].
    pub fn targets(&self) -> Vec<Target> {
        let place = |id| Place { dir: self.on_node.clone(), id, ports: self.ports };
        let all = place("");
        let directory = |path| Target { class: Class::StaticPodManifest, what: What::Path(path) };
        let socket = |path| Target { class: Class::RuntimeApi, what: What::Socket(path) };
        let port = |port| {
            let what = What::Port { port, destinations: Destinations::Any };
            Target { class: Class::DatastoreApi, what }
        };
        let mut targets = vec![
            directory(all.manifests()),
            socket(all.socket()),
            socket(all.packets()),
            socket(all.deaf()),
            socket(all.forbidden()),
            socket(all.anew()),
            port(self.ports.open),
            port(self.ports.closed),
        ];
        targets.extend(alone().map(|way| directory(place(way.id).own_manifests())));
        targets
    }

    /// As a child finds it that goes this way.
    pub(super) fn place(&self, way: &Way) -> Place {
        Place { dir: self.dir.path().to_owned(), id: way.id, ports: self.ports }
    }

    pub(super) fn remove(self) -> io::Result<()> {
        self.dir.close()
    }
}

/// Nobody but root can look into it.
fn directory(root: &Path) -> io::Result<TempDir> {
    let mut failure = io::Error::other("no directory to try");
    for parent in PARENTS {
        let private = Permissions::from_mode(0o700);
        let made = tempfile::Builder::new()
            .prefix("bypassd-selftest-")
            .permissions(private)
            .tempdir_in(root.join(parent));
        match made {
            Ok(dir) => return Ok(dir),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_in_the_order_of_doors() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("tmp")).unwrap();
        let scene = Scene::new(root.path()).unwrap();
        let targets = scene.targets();
        for way in ways() {
            let target = &targets[usize::try_from(target(way).0).unwrap()];
            let subject = way.id.split('.').next().unwrap();
            let class = match subject {
                "unix" => Class::RuntimeApi,
                "tcp" => Class::DatastoreApi,
                _ => Class::StaticPodManifest,
            };
            assert_eq!(target.class, class, "{}", way.id);
            if way.door == Door::Own {
                let path = target.path().unwrap();
                assert!(path.components().any(|part| part.as_os_str() == way.id), "{}: {path:?}", way.id);
            }
        }
        let named = targets[0].path().unwrap();
        assert!(named.starts_with("/tmp"), "{named:?} is not the node's name");
    }

    #[test]
    fn nothing_is_left_and_nobody_looks_in() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("tmp")).unwrap();
        let scene = Scene::new(root.path()).unwrap();
        let dir = scene.dir.path().to_owned();
        assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
        drop(scene);
        assert!(!dir.exists());
    }
}
