//! A file of the node from outside: whose it is, and who besides him may do what. It is not opened.

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, OFlags, fstat};

use super::acl::{self, Entry};
use super::finding::named;
use crate::event::PostureResult::{self, Fail, Warn};
use crate::glob::Pattern;
use crate::node::Root;

/// Files of one target, and directories inside each other.
const FILES_MAX: usize = 1024;
const NAMES_MAX: usize = 1 << 14;
const DEPTH_MAX: u32 = 5;

#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub path: PathBuf,
    pub kind: FileType,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub acl: Vec<Entry>,
}

/// What may be without a word said.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    /// What the benchmark allows.
    pub mode: u32,
    /// Whether reading it is as bad as writing it.
    pub secret: bool,
    /// Another owner besides root.
    pub owner: Option<u32>,
}

impl Limit {
    pub(super) const SECRET: Self = Self { mode: 0o600, secret: true, owner: None };
    pub(super) const CONFIG: Self = Self { mode: 0o600, secret: false, owner: None };
    pub(super) const PUBLIC: Self = Self { mode: 0o644, secret: false, owner: None };
    pub(super) const DIRECTORY: Self = Self { mode: 0o755, secret: false, owner: None };
}

impl Seen {
    /// Links inside the root are followed: what they lead to is what counts.
    pub(super) fn at(root: &Root, path: &Path) -> io::Result<Self> {
        let fd = root.open(path, OFlags::PATH)?;
        let stat = fstat(&fd)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        let (mode, uid, gid) = (stat.st_mode & 0o7777, stat.st_uid, stat.st_gid);
        Ok(Self { path: path.to_owned(), kind, mode, uid, gid, acl: acl::of(&fd)? })
    }

    pub(super) fn is_dir(&self) -> bool {
        self.kind == FileType::Directory
    }

    /// As `root` and `0600` in one word.
    pub(super) fn shown(&self) -> String {
        let Self { mode, uid, gid, acl, .. } = self;
        let list = if acl.is_empty() { "" } else { "+" };
        format!("{uid}:{gid} {mode:04o}{list}")
    }

    /// What is wrong with it, in words after its name. Behind a directory that only root enters, others can do nothing with what they may.
    pub(super) fn judge(&self, limit: Limit, closed: bool) -> Vec<(PostureResult, String)> {
        let Limit { mode: allowed, secret, owner } = limit;
        let mut wrong = Vec::new();
        if self.uid != 0 && Some(self.uid) != owner {
            wrong.push((Fail, format!("belongs to user {}", self.uid)));
        }
        let bad = if closed { Warn } else { Fail };
        let excess = self.mode & 0o777 & !allowed;
        // A group that is root's has nobody else in it, usually.
        let of_group = if self.gid == 0 && bad == Fail { Warn } else { bad };
        let mut of_anyone = None;
        for (bits, who, result) in [(0o002, "anyone", bad), (0o020, "its group", of_group)] {
            let may = if excess & bits != 0 {
                "written to"
            } else if secret && excess & (bits << 1) != 0 {
                "read"
            } else {
                continue;
            };
            // Its group is among anyone.
            if of_anyone.replace(may) != Some(may) {
                wrong.push((result, format!("may be {may} by {who}")));
            }
        }
        for entry in &self.acl {
            let who = format!(
                "{} {} by its access control list",
                if entry.user { "user" } else { "group" },
                entry.id
            );
            if entry.write {
                wrong.push((bad, format!("may be written to by {who}")));
            } else if entry.read {
                wrong.push((if secret { bad } else { Warn }, format!("may be read by {who}")));
            }
        }
        if wrong.is_empty() && excess != 0 {
            wrong.push((
                Warn,
                format!("has mode {:04o}, which is more than {allowed:04o}", self.mode & 0o777),
            ));
        }
        wrong
    }
}

/// Whether only root passes some directory above it.
pub(super) fn is_closed(root: &Root, path: &Path) -> bool {
    let closes = |above: &Path| {
        Seen::at(root, above).is_ok_and(|dir| dir.uid == 0 && dir.mode & 0o011 == 0 && dir.acl.is_empty())
    };
    // A link may lead past the directories that its name goes through.
    let real = root.open(path, OFlags::PATH).and_then(|fd| crate::node::root::canonical(&fd));
    let Some(inside) = real.ok().and_then(|real| root.inside(&real)) else { return false };
    inside.ancestors().skip(1).any(closes)
}

/// What is found below a directory.
#[derive(Default)]
pub(super) struct Below {
    pub files: Vec<PathBuf>,
    /// What could not be looked at, in sentences.
    pub missing: Vec<String>,
    looked_at: usize,
}

impl Below {
    /// Files that fit a pattern, as deep as one can, or all, directories left out.
    pub(super) fn of(root: &Root, base: &Path, pattern: Option<&Pattern>) -> Self {
        let mut found = Self::default();
        let depth = pattern.map_or(DEPTH_MAX, |pattern| DEPTH_MAX.min(pattern.depth()));
        found.walk(root, base, base, pattern, depth);
        if found.files.len() >= FILES_MAX || found.looked_at >= NAMES_MAX {
            found.missing.push(format!("{} has more files than are looked at", named(base)));
        }
        found
    }

    fn walk(&mut self, root: &Root, base: &Path, dir: &Path, pattern: Option<&Pattern>, depth: u32) {
        let names = match root.list(dir, FILES_MAX) {
            Ok(names) => names,
            Err(error) if is_absent(&error) => return,
            Err(error) => return self.missing.push(format!("{} cannot be listed: {error}", named(dir))),
        };
        if names.len() >= FILES_MAX {
            self.missing.push(format!("{} has more names in it than are looked at", named(dir)));
        }
        for name in names {
            self.looked_at += 1;
            if self.files.len() >= FILES_MAX || self.looked_at >= NAMES_MAX {
                return;
            }
            let path = dir.join(name);
            // A link to a directory may lead round; what it leads to has a place of its own.
            let kind = root.open(&path, OFlags::PATH | OFlags::NOFOLLOW).and_then(|fd| Ok(fstat(&fd)?));
            match kind.map(|stat| FileType::from_raw_mode(stat.st_mode)) {
                Ok(FileType::Directory) if depth > 1 => self.walk(root, base, &path, pattern, depth - 1),
                // Nothing there fits the pattern.
                Ok(FileType::Directory) if pattern.is_some() => {}
                Ok(FileType::Directory) => {
                    self.missing.push(format!("{} is deeper than is looked", named(&path)));
                }
                Ok(_) => {
                    let fits =
                        |pattern: &Pattern| path.strip_prefix(base).is_ok_and(|below| pattern.fits(below));
                    if pattern.is_none_or(fits) {
                        self.files.push(path);
                    }
                }
                Err(error) if is_absent(&error) => {}
                Err(error) => self.missing.push(format!("{}: {error}", named(&path))),
            }
        }
    }
}

/// It is not there, which is another thing than not to be allowed to look.
pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR))
}
