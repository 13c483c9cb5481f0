//! The scene as a child finds it.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// What comes first as the name of a child.
const NAME: &str = "bypassd";

/// On the loopback address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    pub open: u16,
    pub closed: u16,
}

/// Each way has files of its own, so that none spoils another.
#[derive(Clone, Debug)]
pub struct Place {
    pub dir: PathBuf,
    pub id: &'static str,
    pub ports: Ports,
}

impl Place {
    /// The command line of a child that goes the way, its name first.
    pub(super) fn arguments(&self) -> [String; 6] {
        let Self { dir, id, ports: Ports { open, closed } } = self;
        let dir = dir.display().to_string();
        [NAME.to_owned(), "touch".to_owned(), (*id).to_owned(), dir, open.to_string(), closed.to_string()]
    }

    /// Makes what the way finds there, and if it is `alone` the directories that are its own.
    pub(super) fn furnish(&self, alone: bool) -> io::Result<()> {
        const MANIFEST: &str = "kind: Pod\n";
        if alone {
            fs::create_dir_all(self.subdirectory())?;
            fs::create_dir_all(self.next().join("manifests"))?;
            fs::write(self.inside_of(&self.own_manifests()), MANIFEST)?;
        } else {
            fs::write(self.inside(), MANIFEST)?;
        }
        fs::write(self.outside(), MANIFEST)
    }

    pub(super) fn manifests(&self) -> PathBuf {
        self.dir.join("manifests")
    }

    pub(super) fn elsewhere(&self) -> PathBuf {
        self.dir.join("elsewhere")
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.dir.join("runtime.sock")
    }

    pub(super) fn packets(&self) -> PathBuf {
        self.dir.join("packets.sock")
    }

    pub(super) fn deaf(&self) -> PathBuf {
        self.dir.join("deaf.sock")
    }

    pub(super) fn forbidden(&self) -> PathBuf {
        self.dir.join("forbidden.sock")
    }

    pub(super) fn anew(&self) -> PathBuf {
        self.dir.join("anew.sock")
    }

    /// The way's file in a directory.
    pub(super) fn inside_of(&self, directory: &Path) -> PathBuf {
        directory.join(format!("{}.yaml", self.id))
    }

    /// A file behind the door.
    pub(super) fn inside(&self) -> PathBuf {
        self.inside_of(&self.manifests())
    }

    /// A file that is nobody's business.
    pub(super) fn outside(&self) -> PathBuf {
        self.inside_of(&self.elsewhere())
    }

    /// A name behind the door that is not taken.
    pub(super) fn new_inside(&self) -> PathBuf {
        self.manifests().join(format!("{}.new", self.id))
    }

    /// A name elsewhere that is not taken.
    pub(super) fn new_outside(&self) -> PathBuf {
        self.elsewhere().join(format!("{}.new", self.id))
    }

    /// Something in the directory that no other way uses.
    pub(super) fn own(&self, name: &str) -> PathBuf {
        self.dir.join(self.id).join(name)
    }

    /// The directory above the door that is the way's own.
    pub(super) fn above(&self) -> PathBuf {
        self.own("above")
    }

    pub(super) fn own_manifests(&self) -> PathBuf {
        self.above().join("manifests")
    }

    /// A directory there.
    pub(super) fn subdirectory(&self) -> PathBuf {
        self.own_manifests().join("directory")
    }

    /// A name there that is not taken.
    pub(super) fn own_new(&self) -> PathBuf {
        self.own_manifests().join("new.yaml")
    }

    /// What looks like the directory above, and could take its place.
    pub(super) fn next(&self) -> PathBuf {
        self.own("next")
    }
}
