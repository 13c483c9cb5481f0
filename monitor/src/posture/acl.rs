//! Access control lists, as the kernel keeps them in an attribute of the file.
//! <https://man7.org/linux/man-pages/man5/acl.5.html>
//! <https://elixir.bootlin.com/linux/v6.12/source/include/uapi/linux/posix_acl_xattr.h>

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::getxattr;
use rustix::io::Errno;

use crate::node::root::magic_link;

const ATTRIBUTE: &str = "system.posix_acl_access";
const VERSION: [u8; 4] = 2u32.to_le_bytes();

/// An attribute cannot be larger.
const SIZE_MAX: usize = 64 << 10;

/// Somebody besides owner, group and others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// A user, or else a group.
    pub user: bool,
    pub id: u32,
    pub read: bool,
    pub write: bool,
}

/// Those that a list names. A file without a list has none.
pub(super) fn of(file: &OwnedFd) -> io::Result<Vec<Entry>> {
    let mut bytes = vec![0; SIZE_MAX];
    match getxattr(magic_link(file), ATTRIBUTE, bytes.as_mut_slice()) {
        Ok(size) => parse(bytes.get(..size).unwrap_or_default())
            .ok_or_else(|| io::Error::other("it is no access control list")),
        Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::NOSYS) => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn parse(bytes: &[u8]) -> Option<Vec<Entry>> {
    const USER: u16 = 2;
    const GROUP: u16 = 8;
    const MASK: u16 = 0x10;
    let (entries, []) = bytes.strip_prefix(&VERSION)?.as_chunks::<8>() else { return None };
    let fields = entries.iter().map(|[a, b, c, d, e, f, g, h]| {
        (u16::from_le_bytes([*a, *b]), u16::from_le_bytes([*c, *d]), u32::from_le_bytes([*e, *f, *g, *h]))
    });
    // The mask bounds what the others of the list may.
    let mask = fields.clone().find(|(tag, ..)| *tag == MASK).map_or(7, |(_, permitted, _)| permitted);
    let named = fields.filter(|(tag, ..)| matches!(*tag, USER | GROUP));
    let entries = named.map(|(tag, permitted, id)| {
        let permitted = permitted & mask;
        Entry { user: tag == USER, id, read: permitted & 4 != 0, write: permitted & 2 != 0 }
    });
    Some(entries.collect())
}

#[cfg(test)]
pub(super) fn bytes(entries: &[(u16, u16, u32)]) -> Vec<u8> {
    let entries = entries.iter().flat_map(|(tag, permitted, id)| {
        [&tag.to_le_bytes()[..], &permitted.to_le_bytes(), &id.to_le_bytes()].concat()
    });
    VERSION.into_iter().chain(entries).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_mask_bounds_what_a_list_gives() {
        let list = |mask| {
            bytes(&[
                (1, 6, u32::MAX),
                (2, 7, 1000),
                (4, 0, u32::MAX),
                (8, 6, 50),
                (0x10, mask, u32::MAX),
                (0x20, 0, u32::MAX),
            ])
        };
        let entry = |user, id, read, write| Entry { user, id, read, write };
        assert_eq!(parse(&list(7)), Some(vec![entry(true, 1000, true, true), entry(false, 50, true, true)]));
        assert_eq!(
            parse(&list(4)),
            Some(vec![entry(true, 1000, true, false), entry(false, 50, true, false)])
        );
        assert_eq!(parse(&bytes(&[])), Some(vec![]));
    }

    proptest! {
        #[test]
        fn any_attribute_is_read(rest in prop::collection::vec(any::<u8>(), 0..64), has_version in any::<bool>()) {
            let bytes = if has_version { [&VERSION[..], &rest].concat() } else { rest };
            let is_list = bytes.starts_with(&VERSION) && bytes.len() % 8 == 4;
            prop_assert_eq!(parse(&bytes).is_some(), is_list);
        }
    }
}
