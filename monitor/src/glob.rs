//! Paths of a policy that stand for many files: `*`, `**` and `?`, as a shell has them.

use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use fast_glob::glob_match;
use monitor_abi::watch::TREE_DEPTH;

/// What the files below a directory have to be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// From a slash on: at the very beginning `!` would turn the meaning round.
    rooted: String,
    /// How many directories deep a file that fits can be.
    depth: u32,
}

/// Whether a path of a policy stands for more than itself.
pub fn is_pattern(path: &str) -> bool {
    path.contains(['*', '?'])
}

/// Splits a path into the directory before its first `*` or `?`, and the pattern for what is beneath. The path is absolute.
pub fn split(path: &Path) -> Result<(PathBuf, Pattern), String> {
    let mut parts = path.components().peekable();
    let literal = |part: &Component<'_>| !is_pattern(&part.as_os_str().to_string_lossy());
    let base: PathBuf = std::iter::from_fn(|| parts.next_if(literal)).collect();
    let pattern: PathBuf = parts.collect();
    if base.parent().is_none() {
        return Err(
            "looks through the whole node; begin with a directory that has no `*` or `?` in it".to_owned()
        );
    }
    Ok((base, Pattern::new(&pattern.to_string_lossy())?))
}

impl Pattern {
    fn new(text: &str) -> Result<Self, String> {
        let names: Vec<_> = text.split('/').collect();
        if let Some(char) = text.chars().find(|char| "[]{}\\".contains(*char)) {
            return Err(format!(
                "has `{char}` in it; only `*`, `**` and `?` stand for something in a pattern"
            ));
        }
        if names.iter().any(|name| name.contains("**") && *name != "**") {
            return Err("has `**` beside other characters; write it alone between slashes, or `*`".to_owned());
        }
        let depth = names.iter().filter(|name| **name != "**").count();
        let depth = u32::try_from(depth).ok().filter(|depth| *depth <= TREE_DEPTH).ok_or_else(|| {
            format!("is about files more than {TREE_DEPTH} names deep; begin with a longer path without `*` or `?`")
        })?;
        let depth = if names.contains(&"**") { TREE_DEPTH } else { depth };
        Ok(Self { rooted: format!("/{text}"), depth })
    }

    /// Whether the file at this path below the directory fits.
    pub fn fits(&self, below: &Path) -> bool {
        glob_match(&self.rooted, [b"/", below.as_os_str().as_bytes()].concat())
    }

    pub fn depth(&self) -> u32 {
        self.depth
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.rooted.trim_start_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    use super::*;

    fn pattern(path: &str) -> Pattern {
        split(Path::new(path)).unwrap().1
    }

    #[test]
    fn the_directory_is_what_comes_before_the_first_wildcard() {
        for (path, base, rest, depth) in [
            ("/etc/kubernetes/*.conf", "/etc/kubernetes", "*.conf", 1),
            ("/etc//kubernetes/./pki/**/*.key", "/etc/kubernetes/pki", "**/*.key", TREE_DEPTH),
            ("/a/b?/c/d", "/a", "b?/c/d", 3),
            ("/a/**", "/a", "**", TREE_DEPTH),
        ] {
            let (found, pattern) = split(Path::new(path)).unwrap();
            assert_eq!((found.as_path(), pattern.to_string().as_str()), (Path::new(base), rest));
            assert_eq!(pattern.depth(), depth, "{path}");
        }
    }

    #[test]
    fn a_star_stays_in_its_directory_and_two_do_not() {
        for (path, below, fits) in [
            ("/a/*.key", "x.key", true),
            ("/a/*.key", ".key", true),
            ("/a/*.key", "b/x.key", false),
            ("/a/*.key", "x.key.bak", false),
            ("/a/**/*.key", "x.key", true),
            ("/a/**/*.key", "b/c/x.key", true),
            ("/a/**/*.key", "x.crt", false),
            ("/a/**", "b/c", true),
            ("/a/*/x", "b/x", true),
            ("/a/*/x", "x", false),
            ("/a/**/b/*.key", "b/x.key", true),
            ("/a/**/b/*.key", "c/d/b/x.key", true),
            ("/a/**/b/*.key", "c/d/x.key", false),
            ("/a/!x*", "!xy", true),
            ("/a/!x*", "y", false),
            ("/a/x?", "xy", true),
            ("/a/x?", "x", false),
            ("/a/x?", "x/", false),
        ] {
            assert_eq!(pattern(path).fits(Path::new(below)), fits, "{path} {below}");
        }
    }

    #[test]
    fn names_are_bytes() {
        let name = |bytes| Path::new(OsStr::from_bytes(bytes));
        assert!(pattern("/a/*.key").fits(name(b"\xff\n.key")));
        assert!(pattern("/a/**/*.key").fits(name(b"\xff/\xfe.key")));
    }

    #[test]
    fn a_pattern_that_cannot_work_says_why() {
        for (path, says) in [
            ("/*.key", "looks through the whole node"),
            ("/**/x", "looks through the whole node"),
            ("/a/[ab]*", "has `[` in it"),
            ("/a/*.{key,pem}", "has `{` in it"),
            ("/a/**x", "has `**` beside other characters"),
            ("/a/***", "has `**` beside other characters"),
            ("/a/*/*/*/*/*", "more than 4 names deep"),
        ] {
            let error = split(Path::new(path)).unwrap_err();
            assert!(error.starts_with(says) || error.contains(says), "{path}: {error}");
        }
    }
}
