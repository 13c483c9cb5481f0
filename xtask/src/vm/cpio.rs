//! The archive format of an initramfs: cpio "newc", see the kernel's
//! Documentation/driver-api/early-userspace/buffer-format.rst.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};

enum Node {
    Directory,
    File { mode: u32, content: Vec<u8> },
    Link(PathBuf),
    Console,
}

/// Directories come by themselves; a path that is already there is replaced. Paths are absolute, as in the guest.
#[derive(Default)]
pub struct Archive(BTreeMap<PathBuf, Node>);

impl Archive {
    pub fn directory(&mut self, path: impl AsRef<Path>) {
        self.add(path.as_ref(), Node::Directory);
    }

    pub fn text(&mut self, path: impl AsRef<Path>, content: impl Into<Vec<u8>>) {
        self.add(path.as_ref(), Node::File { mode: 0o644, content: content.into() });
    }

    pub fn program(&mut self, path: impl AsRef<Path>, content: Vec<u8>) {
        self.add(path.as_ref(), Node::File { mode: 0o755, content });
    }

    pub fn link(&mut self, path: impl AsRef<Path>, to: impl AsRef<Path>) {
        self.add(path.as_ref(), Node::Link(to.as_ref().into()));
    }

    /// The kernel opens it for init before anything is mounted on /dev.
    pub fn console(&mut self) {
        self.add(Path::new("/dev/console"), Node::Console);
    }

    pub fn contains(&self, path: impl AsRef<Path>) -> bool {
        self.0.contains_key(&relative(path.as_ref()))
    }

    fn add(&mut self, path: &Path, node: Node) {
        let path = relative(path);
        for parent in path.ancestors().skip(1).filter(|parent| !parent.as_os_str().is_empty()) {
            self.0.entry(parent.into()).or_insert(Node::Directory);
        }
        self.0.insert(path, node);
    }

    /// The map's order puts every directory before what is in it.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        for (number, (path, node)) in (1_u32..).zip(&self.0) {
            let (mode, content, device) = match node {
                Node::Directory => (0o040_755, &[][..], (0, 0)),
                Node::File { mode, content } => (0o100_000 | mode, content.as_slice(), (0, 0)),
                Node::Link(to) => (0o120_777, to.as_os_str().as_encoded_bytes(), (0, 0)),
                Node::Console => (0o020_600, &[][..], (5, 1)),
            };
            entry(out, path.as_os_str().as_encoded_bytes(), number, mode, device, content)?;
        }
        entry(out, b"TRAILER!!!", 0, 0, (0, 0), &[])
    }
}

fn relative(path: &Path) -> PathBuf {
    path.components().filter(|part| matches!(part, Component::Normal(_))).collect()
}

fn entry(
    out: &mut impl Write,
    name: &[u8],
    number: u32,
    mode: u32,
    (major, minor): (u32, u32),
    content: &[u8],
) -> io::Result<()> {
    let too_long = |_| io::Error::from(io::ErrorKind::FileTooLarge);
    let size = u32::try_from(content.len()).map_err(too_long)?;
    let name_size = u32::try_from(name.len() + 1).map_err(too_long)?;
    let (owner, links, time, checksum) = (0, 1, 0, 0);
    let fields = [number, mode, owner, owner, links, time, size, 0, 0, major, minor, name_size, checksum];
    let mut header = String::from("070701");
    for field in fields {
        header.push_str(&format!("{field:08x}"));
    }
    out.write_all(header.as_bytes())?;
    out.write_all(name)?;
    out.write_all(&[0])?;
    pad(out, header.len() + name.len() + 1)?;
    out.write_all(content)?;
    pad(out, content.len())
}

fn pad(out: &mut impl Write, length: usize) -> io::Result<()> {
    let missing = length.next_multiple_of(4) - length;
    out.write_all([0; 4].get(..missing).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::Archive;

    #[test]
    fn directories_come_before_their_content() {
        let mut archive = Archive::default();
        archive.text("/etc/hosts", "127.0.0.1 localhost\n");
        let mut out = Vec::new();
        archive.write(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let (directory, file) = (text.find("etc\0").unwrap(), text.find("etc/hosts\0").unwrap());
        assert!(directory < file && file < text.find("TRAILER!!!").unwrap());
        assert_eq!(text.len() % 4, 0);
        assert!(text.starts_with("07070100000001000041ed"));
    }

    #[test]
    fn knows_what_it_holds() {
        let mut archive = Archive::default();
        archive.link("/sbin", "bin");
        assert!(archive.contains("/sbin") && !archive.contains("/bin"));
    }
}
