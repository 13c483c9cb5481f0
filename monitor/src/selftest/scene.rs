//! Doors that lead nowhere: a directory, a socket and a port, each of which only the test knows.

use std::fs::{self, Permissions};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::ways::{WAYS, Way};
use crate::access::TargetId;
use crate::model::Class;
use crate::target::{Destinations, Target, What};

/// What comes first as the name of a child.
const NAME: &str = "bypassd";

/// Where there is room on any node, the best first.
const PARENTS: [&str; 3] = ["run", "dev/shm", "tmp"];

/// Which of the targets a way leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    Manifests,
    Runtime,
    Datastore,
}

impl Door {
    /// Its place in [`Scene::targets`].
    pub fn target(self) -> TargetId {
        TargetId(self as u32)
    }
}

/// Everything is removed when it is dropped.
pub struct Scene {
    dir: TempDir,
    /// The same directory as the node names it.
    on_node: PathBuf,
    port: u16,
    _runtime: UnixListener,
    _datastore: TcpListener,
}

impl Scene {
    /// Where the node's root is found at `root`.
    pub fn new(root: &Path) -> io::Result<Self> {
        let dir = directory(root)?;
        let on_node = Path::new("/").join(dir.path().strip_prefix(root).unwrap_or(dir.path()));
        let place = |id| Place { dir: dir.path().to_owned(), id, port: 0 };
        fs::create_dir(place("").manifests())?;
        fs::create_dir(place("").elsewhere())?;
        for way in WAYS {
            fs::write(place(way.id).inside(), "kind: Pod\n")?;
            fs::write(place(way.id).outside(), "kind: Pod\n")?;
        }
        let runtime = UnixListener::bind(place("").socket())?;
        let datastore = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = datastore.local_addr()?.port();
        Ok(Self { dir, on_node, port, _runtime: runtime, _datastore: datastore })
    }

    /// In the order of [`Door`].
    pub fn targets(&self) -> Vec<Target> {
        let place = Place { dir: self.on_node.clone(), id: "", port: self.port };
        let port = What::Port { port: self.port, destinations: Destinations::Any };
        vec![
            Target { class: Class::StaticPodManifest, what: What::Path(place.manifests()) },
            Target { class: Class::RuntimeApi, what: What::Socket(place.socket()) },
            Target { class: Class::DatastoreApi, what: port },
        ]
    }

    /// The command line of a child that goes a way, its name first.
    pub(super) fn arguments(&self, way: &Way) -> Vec<String> {
        let dir = self.dir.path().display().to_string();
        vec![NAME.to_owned(), "touch".to_owned(), way.id.to_owned(), dir, self.port.to_string()]
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

/// The scene as a child finds it. Each way has files of its own, so that none spoils another.
#[derive(Clone, Debug)]
pub struct Place {
    pub dir: PathBuf,
    pub id: &'static str,
    pub port: u16,
}

impl Place {
    pub(super) fn manifests(&self) -> PathBuf {
        self.dir.join("manifests")
    }

    pub(super) fn elsewhere(&self) -> PathBuf {
        self.dir.join("elsewhere")
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.dir.join("runtime.sock")
    }

    /// A file behind the door.
    pub(super) fn inside(&self) -> PathBuf {
        self.manifests().join(format!("{}.yaml", self.id))
    }

    /// A file that is nobody's business.
    pub(super) fn outside(&self) -> PathBuf {
        self.elsewhere().join(format!("{}.yaml", self.id))
    }

    /// A name behind the door that is not taken.
    pub(super) fn new_inside(&self) -> PathBuf {
        self.manifests().join(format!("{}.new", self.id))
    }

    /// A name elsewhere that is not taken.
    pub(super) fn new_outside(&self) -> PathBuf {
        self.elsewhere().join(format!("{}.new", self.id))
    }
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
        for (door, class) in [
            (Door::Manifests, Class::StaticPodManifest),
            (Door::Runtime, Class::RuntimeApi),
            (Door::Datastore, Class::DatastoreApi),
        ] {
            assert_eq!(targets[usize::try_from(door.target().0).unwrap()].class, class);
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
