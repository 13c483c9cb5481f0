//! Archives that are the same whenever, wherever and by whomever they are made.

use std::env;
use std::io::Write as _;

use anyhow::{Context as _, Result};
use flate2::{Compression, GzBuilder};
use sha2::{Digest as _, Sha256};

const EPOCH: &str = "SOURCE_DATE_EPOCH";

/// A regular file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    pub path: String,
    pub mode: u32,
    pub data: Vec<u8>,
}

impl Entry {
    pub fn new(path: impl Into<String>, data: impl Into<Vec<u8>>) -> Self {
        Self { path: path.into(), mode: 0o644, data: data.into() }
    }

    pub fn program(path: impl Into<String>, data: impl Into<Vec<u8>>) -> Self {
        Self { path: path.into(), mode: 0o755, data: data.into() }
    }
}

/// When everything in an archive is from, in seconds: <https://reproducible-builds.org/specs/source-date-epoch/>.
pub fn time() -> Result<u64> {
    let Some(text) = env::var_os(EPOCH) else { return Ok(0) };
    let number = text.to_str().and_then(|text| text.parse().ok());
    number.with_context(|| {
        format!("{EPOCH} is {}: write seconds since 1970, as `git log -1 --format=%ct` does", text.display())
    })
}

/// In the order of their names, and root's.
pub fn tar(mut entries: Vec<Entry>, time: u64) -> Result<Vec<u8>> {
    entries.sort();
    let mut archive = tar::Builder::new(Vec::new());
    for Entry { path, mode, data } in &entries {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::Regular);
        header.set_mode(*mode);
        header.set_mtime(time);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(data.len() as u64);
        archive
            .append_data(&mut header, path, data.as_slice())
            .with_context(|| format!("cannot put {path} into an archive"))?;
    }
    archive.into_inner().context("cannot end an archive")
}

/// With neither a name nor a time of its own.
pub fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzBuilder::new().write(Vec::new(), Compression::best());
    encoder.write_all(bytes).context("cannot compress")?;
    encoder.finish().context("cannot compress")
}

/// Hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_does_not_matter() {
        let entries = vec![Entry::new("b/2", "x"), Entry::program("a", "y")];
        let turned: Vec<_> = entries.iter().rev().cloned().collect();
        let archive = tar(entries, 7).unwrap();
        assert_eq!(archive, tar(turned, 7).unwrap());
        let mut archive = tar::Archive::new(archive.as_slice());
        let seen: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let header = entry.unwrap().header().clone();
                let path = header.path().unwrap().display().to_string();
                let [mode, uid, gid] =
                    [header.mode().unwrap().into(), header.uid().unwrap(), header.gid().unwrap()];
                (path, mode, uid, gid, header.mtime().unwrap())
            })
            .collect();
        assert_eq!(seen, [("a".to_owned(), 0o755, 0, 0, 7), ("b/2".to_owned(), 0o644, 0, 0, 7)]);
    }

    #[test]
    fn nothing_of_now_is_in_gzip() {
        let zipped = gzip(b"x").unwrap();
        // Flags, time; the last byte is the system, where 255 is none in particular.
        assert_eq!((zipped[3], &zipped[4..8], zipped[9]), (0, &[0; 4][..], 255));
    }

    #[test]
    fn hashes_are_written_in_hexadecimal() {
        assert_eq!(sha256(b"")[..8], *"e3b0c442");
    }
}
