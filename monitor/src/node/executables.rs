//! Which kernel objects the executables that rules name are, on the node, now.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, OFlags, fstat};

use super::root::canonical;
use super::{FileId, Lives, Mounts, Root};
use crate::access::Executable;
use crate::decide::{Change, ExeTable, NodeFile};
use crate::kernel::{Kernel, LoadError};

/// Looks at every executable of the table through the kernel. Returns those that are others than before, by the path that rules name.
pub fn resolve(
    kernel: &mut Kernel,
    root: &Root,
    lives: &mut Lives,
    table: &mut ExeTable,
) -> Result<Vec<(PathBuf, Change)>, LoadError> {
    let mounts = Mounts::read(root.mountinfo()).unwrap_or_default();
    let paths: Vec<_> = table.paths().map(Path::to_owned).collect();
    let mut changes = Vec::new();
    for path in paths {
        // The node's own file is not what is mounted over it.
        let file = if mounts.is_mount_point(&path) {
            tracing::warn!(path = %path.display(), "something is mounted over an allowed executable: it is not trusted");
            None
        } else {
            look(kernel, root, lives, &path)?
        };
        let change = table.set(&path, file);
        if change != Change::None {
            changes.push((path, change));
        }
    }
    Ok(changes)
}

/// The same by what stat(2) shows of them: as /proc shows a process's, and not always as the hooks do.
pub fn resolve_by_stat(root: &Root, table: &mut ExeTable) {
    let mounts = Mounts::read(root.mountinfo()).unwrap_or_default();
    let paths: Vec<_> = table.paths().map(Path::to_owned).collect();
    for path in paths {
        let file = if mounts.is_mount_point(&path) { None } else { found(root, &path).map(|(file, _)| file) };
        table.set(&path, file);
    }
}

/// Whether it is the node's file of its path, by what stat(2) shows.
pub fn is_node_file(root: &Root, exe: &Executable) -> bool {
    let path = Path::new(OsStr::from_bytes(&exe.path));
    let file = if exe.deleted { None } else { found(root, path) };
    file.is_some_and(|(file, _)| file.path == path && exe.key.is_some_and(|key| file.keys.contains(&key)))
}

/// A regular file of the node.
fn found(root: &Root, path: &Path) -> Option<(NodeFile, OwnedFd)> {
    let found = root.open(path, OFlags::PATH).ok()?;
    let stat = fstat(&found).ok()?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return None;
    }
    let key = FileId::from(&stat).key();
    let file = NodeFile {
        path: canonical(&found).ok()?,
        keys: vec![key],
        id: Some(FileId::from(&stat)),
        written: Some((stat.st_size, stat.st_mtime, stat.st_mtime_nsec.cast_signed())),
        ..NodeFile::default()
    };
    Some((file, found))
}

fn look(
    kernel: &mut Kernel,
    root: &Root,
    lives: &mut Lives,
    path: &Path,
) -> Result<Option<NodeFile>, LoadError> {
    // Held open, so that its number stays its own.
    let Some((file, held)) = found(root, path) else { return Ok(None) };
    let (opened, answer) = kernel.probe(|| root.open(path, OFlags::RDONLY | OFlags::NONBLOCK))?;
    if let Err(error) = opened {
        tracing::warn!(path = %path.display(), %error, "cannot open an allowed executable: it is not trusted");
        return Ok(None);
    }
    let followed = lives.follow(&held, &answer.keys);
    Ok(Some(NodeFile { keys: answer.keys, followed, ..file }))
}
