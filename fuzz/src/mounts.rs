use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use monitor::node::{Mounts, of_id};

/// The kernel's list of mounts. Whoever mounts chooses the names, and each is read as it was.
pub fn mounts(data: &[u8]) {
    let mounts = Mounts::parse(data);
    let _any = mounts.is_mount_point(Path::new("/"));
    let _path = mounts.on_node(8 << 20 | 1, Path::new("/etc/kubernetes/manifests"));

    let (root, point) = data.split_at(data.len() / 2);
    let (root, point) = ([b"/", root].concat(), [b"/", point].concat());
    let line =
        [b"36 35 8:1 ", &escaped(&root)[..], b" ", &escaped(&point), b" rw - ext4 /dev/sda1 rw\n"].concat();
    let mounts = Mounts::parse(&[data, b"\n", &line].concat());
    assert!(mounts.is_mount_point(path(&point)), "{}", line.escape_ascii());
    assert_eq!(of_id(&line, 36), Some((8 << 20 | 1, b"ext4".to_vec())), "{}", line.escape_ascii());
    let _any = of_id(data, 36);
    let found = Mounts::parse(&line).on_node(8 << 20 | 1, path(&root));
    assert_eq!(found.as_deref(), Some(path(&point)), "{}", line.escape_ascii());
}

fn path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

/// As the kernel does it.
fn escaped(name: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for byte in name {
        match byte {
            b' ' | b'\t' | b'\n' | b'\\' => out.extend(format!("\\{byte:03o}").bytes()),
            byte => out.push(*byte),
        }
    }
    out
}
