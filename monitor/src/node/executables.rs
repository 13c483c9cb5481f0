//! Which kernel objects the executables that rules name are, on the node, now.

use std::path::Path;

use rustix::fs::{FileType, OFlags, fstat};

use super::root::canonical;
use super::{FileId, Mounts, Root};
use crate::decide::{ExeTable, NodeFile};
use crate::kernel::{Kernel, LoadError};

/// Looks at every executable of the table through the kernel.
pub fn resolve(kernel: &mut Kernel, root: &Root, table: &mut ExeTable) -> Result<(), LoadError> {
    let mounts = Mounts::read(root.mountinfo()).unwrap_or_default();
    let paths: Vec<_> = table.paths().map(Path::to_owned).collect();
    for path in paths {
        // The node's own file is not what is mounted over it.
        let file = if mounts.is_mount_point(&path) {
            tracing::warn!(path = %path.display(), "something is mounted over an allowed executable: it is not trusted");
            None
        } else {
            look(kernel, root, &path)?
        };
        table.set(&path, file);
    }
    Ok(())
}

fn look(kernel: &mut Kernel, root: &Root, path: &Path) -> Result<Option<NodeFile>, LoadError> {
    let Ok(found) = root.open(path, OFlags::PATH) else { return Ok(None) };
    let Ok(stat) = fstat(&found) else { return Ok(None) };
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Ok(None);
    }
    let Ok(real) = canonical(&found) else { return Ok(None) };
    let (opened, answer) = kernel.probe(|| root.open(path, OFlags::RDONLY | OFlags::NONBLOCK))?;
    if let Err(error) = opened {
        tracing::warn!(path = %path.display(), %error, "cannot open an allowed executable: it is not trusted");
        return Ok(None);
    }
    Ok(Some(NodeFile { path: real, keys: answer.keys, id: Some(FileId::from(&stat)) }))
}
