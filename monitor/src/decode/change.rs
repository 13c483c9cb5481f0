//! Changes of files and directory entries that open nothing, and mounts.

use bytes::Buf;
use monitor_abi::record::{
    CHANGE_CREATE, CHANGE_EXCHANGE, CHANGE_LINK, CHANGE_MKDIR, CHANGE_MKNOD, CHANGE_MODE, CHANGE_OWNER,
    CHANGE_RENAME, CHANGE_RMDIR, CHANGE_SYMLINK, CHANGE_TRUNCATE, CHANGE_UNLINK, CHANGE_XATTR, PLACE_NEW,
};

use super::DecodeError;
use crate::access::{FileObject, MountObject, Object, ObjectKey, OtherPlace};
use crate::model::Action;

pub(super) struct Change {
    pub action: Action,
    pub maybe_opened: bool,
    key: ObjectKey,
    directory: bool,
    /// The other place is where it comes from.
    from_other: bool,
}

pub(super) fn decode(mut buf: &[u8]) -> Result<Change, DecodeError> {
    const S_IFMT: u32 = 0o170_000;
    const S_IFDIR: u32 = 0o040_000;
    let ino = buf.get_u64_ne();
    let dev = buf.get_u32_ne();
    let kind = buf.get_u32_ne();
    let mode = buf.get_u32_ne();
    let place = buf.get_u32_ne();
    let generation = buf.get_u32_ne();
    let action = match kind {
        CHANGE_CREATE | CHANGE_MKDIR | CHANGE_MKNOD => Action::Create,
        CHANGE_SYMLINK => Action::Symlink,
        CHANGE_LINK => Action::Link,
        CHANGE_UNLINK | CHANGE_RMDIR => Action::Unlink,
        CHANGE_RENAME | CHANGE_EXCHANGE => Action::Rename,
        CHANGE_TRUNCATE => Action::Truncate,
        CHANGE_MODE => Action::Chmod,
        CHANGE_OWNER => Action::Chown,
        CHANGE_XATTR => Action::Setxattr,
        other => return Err(DecodeError::Change(other)),
    };
    Ok(Change {
        action,
        maybe_opened: kind == CHANGE_CREATE,
        key: ObjectKey { ino, dev, generation },
        directory: matches!(kind, CHANGE_MKDIR | CHANGE_RMDIR) || mode & S_IFMT == S_IFDIR,
        // In an exchange both come from the other.
        from_other: place == PLACE_NEW || kind == CHANGE_EXCHANGE,
    })
}

impl Change {
    pub(super) fn object(self, path_inside: Vec<u8>, other: Vec<u8>) -> Object {
        let other = OtherPlace { path_inside: other, is_source: self.from_other };
        Object::File(FileObject {
            key: self.key,
            path_seen: Vec::new(),
            path_inside,
            other: (!other.path_inside.is_empty()).then_some(other),
            read: false,
            write: false,
            directory: self.directory,
        })
    }
}

pub(super) fn mount(
    mut buf: &[u8],
    path_seen: Vec<u8>,
    source: Vec<u8>,
    fstype: Vec<u8>,
) -> (Action, Object) {
    let ino = buf.get_u64_ne();
    let dev = buf.get_u32_ne();
    let action = if buf.get_u32_ne() == 0 { Action::Mount } else { Action::Umount };
    buf.advance(8);
    let shared = buf.get_u32_ne() != 0;
    let generation = buf.get_u32_ne();
    (
        action,
        Object::Mount(MountObject {
            key: ObjectKey { ino, dev, generation },
            path_seen,
            source,
            fstype,
            shared,
        }),
    )
}
