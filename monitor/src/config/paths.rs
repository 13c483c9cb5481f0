//! Paths in a policy file, and what is wrong with them.

use std::path::{Component, Path, PathBuf};

use crate::event::text::escaped;
use crate::glob;
use crate::target::What;

pub(crate) fn socket_or_pattern(path: PathBuf) -> Result<What, String> {
    if !glob::is_pattern(&path.to_string_lossy()) {
        return Ok(What::Socket(path));
    }
    let wrong = |why: &str| format!("`{}` {why}", shown(&path.to_string_lossy()));
    let (base, pattern) = glob::split(&path).map_err(|why| wrong(&why))?;
    if pattern.depth() > 1 {
        return Err(wrong("is about sockets of more than one directory; write a pattern for each"));
    }
    Ok(What::Sockets { base, pattern })
}

/// What a path of a policy stands for: itself, or the files that fit it.
pub(crate) fn file_or_pattern(path: PathBuf) -> Result<What, String> {
    let text = path.to_string_lossy();
    if !glob::is_pattern(&text) {
        return Ok(What::Path(path));
    }
    let (base, pattern) = glob::split(&path).map_err(|why| format!("`{}` {why}", shown(&text)))?;
    Ok(What::Glob { base, pattern })
}

/// A path of the node, in one way of writing it.
pub(crate) fn absolute(path: &str) -> Result<PathBuf, String> {
    if path.is_empty() {
        Err("a path is empty; begin it with /".to_owned())
    } else if path.contains('\0') {
        Err("a path cannot contain a zero byte".to_owned())
    } else if !path.starts_with('/') {
        Err(format!("`{}` is not an absolute path; begin it with /", shown(path)))
    } else if Path::new(path).components().any(|part| part == Component::ParentDir) {
        // Through a symbolic link it leads elsewhere than it reads, and no actor's path would ever be equal to it.
        Err(format!("`{}` has `..` in it; write where it leads", shown(path)))
    } else if Path::new(path).parent().is_none() {
        Err(format!("`{}` is the whole node; name what is meant beneath it", shown(path)))
    } else {
        Ok(Path::new(path).components().collect())
    }
}

/// A word of the file, for a terminal.
pub(super) fn shown(text: &str) -> String {
    escaped(text)
}
