//! Where file systems are mounted on the node: from a path inside a file system, as hooks without a mount report it, to the path on
//! the node.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// A node with ten thousand pods has some hundred thousand mounts.
const SIZE_MAX: u64 = 64 << 20;

/// The mounts of one mount namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mounts {
    list: Vec<Mount>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Mount {
    id: u64,
    /// In the kernel's own encoding.
    dev: u32,
    /// The directory of the file system that is mounted.
    root: PathBuf,
    point: PathBuf,
    /// Nothing can be written through it.
    read_only: bool,
    /// Of a file system in which each part numbers its files for itself.
    in_parts: bool,
}

impl Mounts {
    pub fn read(path: &Path) -> io::Result<Self> {
        let mut text = Vec::new();
        File::open(path)?.take(SIZE_MAX).read_to_end(&mut text)?;
        Ok(Self::parse(&text))
    }

    /// A line that is none is left out.
    /// <https://man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html>
    pub fn parse(text: &[u8]) -> Self {
        Self { list: text.split(|byte| *byte == b'\n').filter_map(mount).collect() }
    }

    /// The path on the node of a path inside a file system. Where it is mounted more than once, the mount nearest to it that came
    /// first: that is where the node has it, and not where a container was given it.
    pub fn on_node(&self, dev: u32, inside: &Path) -> Option<PathBuf> {
        let mut best: Option<(&Mount, &Path)> = None;
        for mount in self.list.iter().filter(|mount| mount.dev == dev) {
            let Ok(rest) = inside.strip_prefix(&mount.root) else { continue };
            let nearer = |(best, _): (&Mount, &Path)| depth(&mount.root) < depth(&best.root);
            if best.is_none_or(nearer) {
                best = Some((mount, rest));
            }
        }
        best.map(
            |(mount, rest)| {
                if rest.as_os_str().is_empty() { mount.point.clone() } else { mount.point.join(rest) }
            },
        )
    }

    /// The file system, and the path in it, of a path that was reached by a mount.
    pub fn inside(&self, id: u64, seen: &Path) -> Option<(u32, PathBuf)> {
        let mount = self.list.iter().find(|mount| mount.id == id)?;
        let rest = seen.strip_prefix(&mount.point).ok()?;
        let inside = if rest.as_os_str().is_empty() { mount.root.clone() } else { mount.root.join(rest) };
        Some((mount.dev, inside))
    }

    /// The file system that a path of the node leads into, and the path in there.
    pub fn locate(&self, path: &Path) -> Option<(u32, PathBuf)> {
        let holds = self.list.iter().filter(|mount| path.starts_with(&mount.point));
        // Of several at one place the last covers the others.
        let mount = holds.max_by_key(|mount| depth(&mount.point))?;
        let rest = path.strip_prefix(&mount.point).ok()?;
        let inside = if rest.as_os_str().is_empty() { mount.root.clone() } else { mount.root.join(rest) };
        Some((mount.dev, inside))
    }

    /// What of these mounts the node has a place for: where it is here, where it is there, and whether it can only be read.
    pub fn seen_by(&self, node: &Self) -> Vec<(PathBuf, PathBuf, bool)> {
        let on_node = |mount: &Mount| {
            let there = node.on_node(mount.dev, &mount.root)?;
            Some((mount.point.clone(), there, mount.read_only))
        };
        self.list.iter().filter_map(on_node).collect()
    }

    /// Files that a network namespace is mounted on, and that keep it.
    pub fn held_namespaces(&self) -> impl Iterator<Item = &Path> {
        let held = self.list.iter().filter(|mount| mount.root.as_os_str().as_bytes().starts_with(b"net:["));
        held.map(|mount| mount.point.as_path())
    }

    /// Devices, in the kernel's own encoding, on which a number alone does not say which file it is.
    pub fn in_parts(&self) -> impl Iterator<Item = u32> {
        self.list.iter().filter(|mount| mount.in_parts).map(|mount| mount.dev)
    }

    /// Whether something is mounted exactly there.
    pub fn is_mount_point(&self, path: &Path) -> bool {
        self.list.iter().any(|mount| mount.point == path)
    }
}

fn depth(path: &Path) -> usize {
    path.components().count()
}

/// The device of a mount, in the kernel's own encoding, and the type of its file system.
pub fn mount_of(mountinfo: &Path, id: u64) -> Option<(u32, Vec<u8>)> {
    let mut text = Vec::new();
    File::open(mountinfo).ok()?.take(SIZE_MAX).read_to_end(&mut text).ok()?;
    of_id(&text, id)
}

/// The same of the text of a list.
pub fn of_id(text: &[u8], id: u64) -> Option<(u32, Vec<u8>)> {
    let number = format!("{id} ").into_bytes();
    let line = text.split(|byte| *byte == b'\n').find(|line| line.starts_with(&number))?;
    Some((mount(line)?.dev, fstype(line)?.to_vec()))
}

/// After optional fields a hyphen begins what is of the file system.
fn fstype(line: &[u8]) -> Option<&[u8]> {
    line.split(|byte| *byte == b' ').skip_while(|field| *field != b"-").nth(1)
}

/// `36 35 98:0 /mnt1 /mnt2 rw,noatime …`
fn mount(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let id = std::str::from_utf8(fields.next()?).ok()?.parse().ok()?;
    let mut fields = fields.skip(1);
    let (major, minor) = std::str::from_utf8(fields.next()?).ok()?.split_once(':')?;
    let (major, minor): (u32, u32) = (major.parse().ok()?, minor.parse().ok()?);
    if major >= 1 << 12 || minor >= 1 << 20 {
        return None;
    }
    let (root, point) = (path(fields.next()?), path(fields.next()?));
    let read_only =
        fields.next().is_some_and(|options| options.split(|byte| *byte == b',').any(|one| one == b"ro"));
    let in_parts = fstype(line) == Some(b"btrfs");
    Some(Mount { id, dev: major << 20 | minor, root, point, read_only, in_parts })
}

/// Blanks, tabs, newlines and backslashes are written as three octal digits.
fn path(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((byte, after)) = rest.split_first() {
        let digits = after.get(..3).filter(|_| *byte == b'\\');
        match digits.and_then(octal) {
            Some(escaped) => {
                bytes.push(escaped);
                rest = &after[3..];
            }
            None => {
                bytes.push(*byte);
                rest = after;
            }
        }
    }
    PathBuf::from(std::ffi::OsStr::from_bytes(&bytes))
}

fn octal(digits: &[u8]) -> Option<u8> {
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &[u8] = b"22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
        23 22 0:21 / /run rw - tmpfs tmpfs rw\n\
        24 22 8:1 /etc/kubernetes/manifests /pods/x/host rw - ext4 /dev/sda1 rw\n\
        25 22 0:30 /@ /data\\040disk rw - btrfs /dev/sdb rw\nnot a mount\n";

    #[test]
    fn a_mount_is_found_by_its_number() {
        assert_eq!(of_id(TEXT, 22), Some((8 << 20 | 1, b"ext4".to_vec())));
        assert_eq!(of_id(TEXT, 25), Some((30, b"btrfs".to_vec())));
        for id in [2, 26, 0] {
            assert_eq!(of_id(TEXT, id), None);
        }
        assert_eq!(of_id(b"7 1 8:1 / / rw", 7), None);
        assert_eq!(of_id(b"7 1", 7), None);
    }

    #[test]
    fn paths_inside_a_file_system_are_found_on_the_node() {
        let mounts = Mounts::parse(TEXT);
        let on_node = |dev, path| mounts.on_node(dev, Path::new(path));
        let sda = 8 << 20 | 1;
        assert_eq!(on_node(sda, "/etc/kubernetes/manifests/a"), Some("/etc/kubernetes/manifests/a".into()));
        assert_eq!(on_node(21, "/containerd/a.sock"), Some("/run/containerd/a.sock".into()));
        assert_eq!(on_node(21, "/"), Some("/run".into()));
        assert_eq!(on_node(30, "/@/x"), Some("/data disk/x".into()));
        assert_eq!(on_node(30, "/other/x"), None);
        assert_eq!(on_node(31, "/x"), None);
    }

    #[test]
    fn paths_through_a_mount_are_found_in_its_file_system() {
        let mounts = Mounts::parse(TEXT);
        let inside = |id, path| mounts.inside(id, Path::new(path));
        let (sda, manifests) = (8 << 20 | 1, "/etc/kubernetes/manifests");
        assert_eq!(inside(22, "/etc/x"), Some((sda, "/etc/x".into())));
        assert_eq!(inside(24, "/pods/x/host/a"), Some((sda, format!("{manifests}/a").into())));
        assert_eq!(inside(24, "/pods/x/host"), Some((sda, manifests.into())));
        assert_eq!(inside(24, "/elsewhere"), None);
        assert_eq!(inside(99, "/etc/x"), None);
    }

    #[test]
    fn a_path_leads_into_the_innermost_mount() {
        let mounts = Mounts::parse(TEXT);
        let locate = |path| mounts.locate(Path::new(path));
        let sda = 8 << 20 | 1;
        assert_eq!(locate("/etc/x"), Some((sda, "/etc/x".into())));
        assert_eq!(locate("/run/a.sock"), Some((21, "/a.sock".into())));
        assert_eq!(locate("/pods/x/host"), Some((sda, "/etc/kubernetes/manifests".into())));
        assert_eq!(locate("/data disk/x"), Some((30, "/@/x".into())));
    }

    #[test]
    fn files_that_hold_namespaces_are_known() {
        let text = b"30 23 0:4 net:[4026532000] /run/netns/a rw - nsfs nsfs rw\n31 23 0:4 mnt:[5] /run/b rw - nsfs nsfs rw\n";
        let mounts = Mounts::parse(text);
        assert_eq!(mounts.held_namespaces().collect::<Vec<_>>(), [Path::new("/run/netns/a")]);
    }

    #[test]
    fn what_another_namespace_has_is_found_on_the_node() {
        let other = b"90 80 0:99 / / rw - overlay overlay rw\n91 90 8:1 /etc/kubernetes/pki /keys ro,relatime - ext4 /dev/sda1 rw\n\
            92 90 0:21 /containerd /c rw - tmpfs tmpfs rw\n";
        let seen = Mounts::parse(other).seen_by(&Mounts::parse(TEXT));
        let of = |here: &str, there: &str, read_only| (PathBuf::from(here), PathBuf::from(there), read_only);
        assert_eq!(seen, [of("/keys", "/etc/kubernetes/pki", true), of("/c", "/run/containerd", false)]);
    }

    #[test]
    fn mount_points_are_known() {
        let mounts = Mounts::parse(TEXT);
        assert!(mounts.is_mount_point(Path::new("/data disk")));
        assert!(!mounts.is_mount_point(Path::new("/data")));
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in prop::collection::vec(any::<u8>(), 0..400)) {
            let _read = Mounts::parse(&text);
        }
    }
}
