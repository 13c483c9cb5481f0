//! What exactly was done. fanotify knows fewer words than a policy: what the process did of late, and how the file looks now, tell the rest.

use monitor_abi::record::{
    CHANGE_LINK, CHANGE_MKNOD, CHANGE_MODE, CHANGE_OWNER, CHANGE_SYMLINK, CHANGE_TRUNCATE, CHANGE_XATTR,
};
use rustix::fs::FileType;

use crate::kernel::Kinds;
use crate::kernel::listen::{Attributes, Heard, What};
use crate::model::Action;

/// Whether it may be part of an open, which is reported as such.
pub(super) fn maybe_opened(heard: &Heard) -> bool {
    heard.what == What::Made && !heard.directory
}

/// Whether the process makes files in other ways.
pub(super) fn makes(kinds: Kinds) -> bool {
    [CHANGE_LINK, CHANGE_SYMLINK, CHANGE_MKNOD].into_iter().any(|change| kinds.has(change))
}

/// `before` and `now` are how the file looks, where that is known. None: nothing that is reported.
pub(super) fn actions(
    heard: &Heard,
    kinds: Option<Kinds>,
    before: Option<Attributes>,
    now: Option<Attributes>,
) -> Vec<Action> {
    let did = |change: u32| kinds.is_some_and(|kinds| kinds.has(change));
    match heard.what {
        What::Made => vec![made(heard, &did, now)],
        What::Attributes => attributes(kinds, before, now),
        // A write goes through a descriptor whose open was reported.
        What::Contents if did(CHANGE_TRUNCATE) => vec![Action::Truncate],
        What::Contents => Vec::new(),
        What::Renamed { .. } => vec![Action::Rename],
        What::Removed => vec![Action::Unlink],
    }
}

fn made(heard: &Heard, did: &dyn Fn(u32) -> bool, now: Option<Attributes>) -> Action {
    if heard.directory {
        return Action::Create;
    }
    match now {
        Some(now) if now.links > 1 => Action::Link,
        Some(now) if FileType::from_raw_mode(now.mode) == FileType::Symlink => Action::Symlink,
        // Also a file that had no name before.
        Some(_) if did(CHANGE_LINK) => Action::Link,
        Some(_) => Action::Create,
        None if did(CHANGE_SYMLINK) => Action::Symlink,
        None if did(CHANGE_LINK) => Action::Link,
        None => Action::Create,
    }
}

/// Whatever looks different; if nothing does, what the process did. Times are attributes too, and of no interest.
fn attributes(kinds: Option<Kinds>, before: Option<Attributes>, now: Option<Attributes>) -> Vec<Action> {
    let did = |change: u32| kinds.is_some_and(|kinds| kinds.has(change));
    let words =
        [(CHANGE_XATTR, Action::Setxattr), (CHANGE_MODE, Action::Chmod), (CHANGE_OWNER, Action::Chown)];
    let mut done = words.into_iter().filter_map(|(change, action)| did(change).then_some(action));
    let same = |before: &Attributes| Some(before.ino) == now.map(|now| now.ino);
    let (Some(before), Some(now)) = (before.filter(same), now) else {
        let linked = did(CHANGE_LINK) && now.is_some_and(|now| now.links > 1);
        return done.chain(linked.then_some(Action::Link)).collect();
    };
    let linked = now.links > before.links && kinds.is_none_or(|kinds| kinds.has(CHANGE_LINK));
    let differences = [
        (now.mode != before.mode, Action::Chmod),
        ((now.uid, now.gid) != (before.uid, before.gid), Action::Chown),
        (linked, Action::Link),
    ];
    let found: Vec<_> =
        differences.into_iter().filter_map(|(differs, action)| differs.then_some(action)).collect();
    if !found.is_empty() || now.links != before.links {
        return found;
    }
    done.next().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use monitor_abi::record::CHANGE_UNLINK;

    use super::*;

    const FILE: Attributes = Attributes { ino: 7, mode: 0o100_600, uid: 0, gid: 0, links: 1 };

    fn heard(what: What, directory: bool) -> Heard {
        Heard::sample(Instant::now(), what, directory)
    }

    fn done(what: What, kinds: &[u32], before: Option<Attributes>, now: Option<Attributes>) -> Vec<Action> {
        actions(&heard(what, false), Some(Kinds::of(kinds)), before, now)
    }

    #[test]
    fn a_new_name_is_told_by_what_has_it() {
        let made = |kinds: &[u32], now| done(What::Made, kinds, None, now);
        let symlink = Attributes { mode: 0o120_777, ..FILE };
        assert_eq!(made(&[], Some(FILE)), [Action::Create]);
        assert_eq!(made(&[CHANGE_LINK], Some(FILE)), [Action::Link]);
        assert_eq!(made(&[], Some(Attributes { links: 2, ..FILE })), [Action::Link]);
        assert_eq!(made(&[CHANGE_LINK], Some(symlink)), [Action::Symlink]);
        assert_eq!(made(&[CHANGE_SYMLINK], None), [Action::Symlink]);
        assert_eq!(made(&[], None), [Action::Create]);
        assert_eq!(actions(&heard(What::Made, true), None, None, None), [Action::Create]);
    }

    #[test]
    fn attributes_are_told_by_what_differs() {
        let changed = |kinds: &[u32], now| done(What::Attributes, kinds, Some(FILE), Some(now));
        assert_eq!(changed(&[CHANGE_OWNER], Attributes { mode: 0o100_644, ..FILE }), [Action::Chmod]);
        assert_eq!(changed(&[CHANGE_MODE], Attributes { gid: 5, ..FILE }), [Action::Chown]);
        assert_eq!(changed(&[CHANGE_XATTR, CHANGE_MODE], FILE), [Action::Setxattr]);
        assert_eq!(changed(&[CHANGE_MODE], FILE), [Action::Chmod]);
        assert_eq!(changed(&[CHANGE_LINK], Attributes { links: 2, ..FILE }), [Action::Link]);
    }

    #[test]
    fn times_and_lost_links_are_no_change() {
        let changed = |kinds: &[u32], now| done(What::Attributes, kinds, Some(FILE), Some(now));
        assert_eq!(changed(&[], FILE), []);
        assert_eq!(changed(&[CHANGE_UNLINK, CHANGE_MODE], Attributes { links: 0, ..FILE }), []);
        assert_eq!(done(What::Attributes, &[], None, Some(FILE)), []);
    }

    #[test]
    fn a_write_is_no_truncation() {
        assert_eq!(done(What::Contents, &[], None, Some(FILE)), []);
        assert_eq!(done(What::Contents, &[CHANGE_TRUNCATE], None, Some(FILE)), [Action::Truncate]);
    }
}
