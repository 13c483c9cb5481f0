//! From an event of fanotify to what happened to which target.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::event::{Event, Place, Role};
use super::marks::Marks;
use super::sys::Handle;
use crate::access::ObjectKey;

/// Something happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    pub at: Instant,
    pub pid: u32,
    pub what: What,
    pub target: u32,
    /// On the node.
    pub path: PathBuf,
    /// Names of the path below the target's.
    pub below: u32,
    /// Where it was before, if that is watched, too.
    pub from: Option<PathBuf>,
    /// It is this directory above the target.
    pub above: Option<ObjectKey>,
    pub directory: bool,
    /// Whose attributes changed.
    pub(super) handle: Option<Handle>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Made,
    Attributes,
    /// It was written to, or cut.
    Contents,
    /// It is there now, or it was there before.
    Renamed {
        is_there: bool,
    },
    Removed,
}

#[cfg(test)]
impl Heard {
    pub fn sample(at: Instant, what: What, directory: bool) -> Self {
        let path = PathBuf::from("/etc/kubernetes/manifests/a.yaml");
        Self { at, pid: 7, what, target: 0, path, below: 1, from: None, above: None, directory, handle: None }
    }
}

/// Where something happened.
struct Spot {
    target: u32,
    path: PathBuf,
    below: u32,
}

/// In the order in which they can have happened.
const WHATS: [(u64, What); 6] = [
    (libc::FAN_CREATE, What::Made),
    (libc::FAN_MOVED_TO, What::Renamed { is_there: true }),
    (libc::FAN_ATTRIB, What::Attributes),
    (libc::FAN_MODIFY, What::Contents),
    (libc::FAN_MOVED_FROM, What::Renamed { is_there: false }),
    (libc::FAN_DELETE, What::Removed),
];

/// Adds what an event says. `earlier` is what was heard in the reads before, in order.
pub(super) fn hear(event: &Event, marks: &Marks, at: Instant, earlier: &[Heard], heard: &mut Vec<Heard>) {
    let mut push = |new: Heard| {
        let last = heard.iter().rev().chain(earlier.iter().rev()).find(|last| last.pid == new.pid);
        if !last.is_some_and(|last| is_told(&new, last)) {
            heard.push(new);
        }
    };
    if event.mask & libc::FAN_RENAME != 0
        && let Some(renamed) = renamed(event, marks, at)
    {
        return push(renamed);
    }
    let object = event.place(Role::Itself).map(|place| &place.handle);
    for (bit, what) in WHATS {
        if event.mask & bit == 0 {
            continue;
        }
        if let Some(spot) = spot(event, marks) {
            push(Heard { handle: object.cloned(), ..one(event, at, what, spot) });
        }
    }
    if event.mask & (libc::FAN_MOVE_SELF | libc::FAN_DELETE_SELF) != 0
        && let Some(above) = above(event, marks, at)
    {
        push(above);
    }
}

fn one(event: &Event, at: Instant, what: What, Spot { target, path, below }: Spot) -> Heard {
    let directory = event.mask & libc::FAN_ONDIR != 0;
    Heard { at, pid: event.pid, what, target, path, below, from: None, above: None, directory, handle: None }
}

/// By its name in a directory, or else as a file that is known.
fn spot(event: &Event, marks: &Marks) -> Option<Spot> {
    let named = event.place(Role::Parent).and_then(|place| in_directory(place, marks));
    named.or_else(|| {
        let marked = marks.get(&event.place(Role::Itself)?.handle)?;
        Some(Spot { target: marked.file?, path: marked.path.clone(), below: 0 })
    })
}

fn in_directory(place: &Place, marks: &Marks) -> Option<Spot> {
    let marked = marks.get(&place.handle)?;
    let name = OsStr::from_bytes(&place.name);
    if name.is_empty() {
        let (target, below) = marked.tree?;
        return Some(Spot { target, path: marked.path.clone(), below });
    }
    let path = marked.path.join(name);
    match (marked.names.get(name), marked.tree) {
        (Some(target), _) => Some(Spot { target: *target, path, below: 0 }),
        (None, Some((target, depth))) => Some(Spot { target, path, below: depth + 1 }),
        (None, None) => None,
    }
}

/// Both places where both are watched.
fn renamed(event: &Event, marks: &Marks, at: Instant) -> Option<Heard> {
    let spot = |role| event.place(role).and_then(|place| in_directory(place, marks));
    match (spot(Role::From), spot(Role::To)) {
        (from, Some(to)) => Some(Heard {
            from: from.map(|from| from.path),
            ..one(event, at, What::Renamed { is_there: true }, to)
        }),
        (Some(from), None) => Some(one(event, at, What::Renamed { is_there: false }, from)),
        (None, None) => None,
    }
}

fn above(event: &Event, marks: &Marks, at: Instant) -> Option<Heard> {
    let is_itself = |place: &&Place| place.role == Role::Itself || place.name.is_empty();
    let marked = event.places.iter().filter(is_itself).find_map(|place| marks.get(&place.handle))?;
    let (target, key) = marked.above?;
    let moved = event.mask & libc::FAN_MOVE_SELF != 0;
    let what = if moved { What::Renamed { is_there: false } } else { What::Removed };
    let spot = Spot { target, path: marked.path.clone(), below: 0 };
    Some(Heard { above: Some(key), directory: true, ..one(event, at, what, spot) })
}

/// The two halves of one call come one after the other, though between them its process may have to wait for a CPU.
pub(super) const ONE_CALL: Duration = Duration::from_millis(50);

/// An exchange is told as two renames, one there and one back, and a directory above by its old name and as itself. So is this the other
/// half of what the process did last?
fn is_told(new: &Heard, last: &Heard) -> bool {
    let (What::Renamed { is_there: last_there }, What::Renamed { is_there }) = (last.what, new.what) else {
        return false;
    };
    let one_sided = last.from.is_none() && new.from.is_none();
    let same = one_sided && last_there != is_there && last.path == new.path;
    let crossed = is(&last.from, &new.path) && is(&new.from, &last.path);
    let as_itself = last.above.is_some() != new.above.is_some() && last.path == new.path;
    let entries = last.above.is_none() && new.above.is_none();
    // Both sides of an exchange may have been above the targets, by the same path one after the other.
    let both = last.above.zip(new.above).is_some_and(|(last, new)| last != new) && last.path == new.path;
    new.at.duration_since(last.at) < ONE_CALL && (as_itself || both || entries && (same || crossed))
}

fn is(from: &Option<PathBuf>, path: &Path) -> bool {
    from.as_deref() == Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rename(at: Instant, from: &str, to: &str) -> Heard {
        let path = PathBuf::from(to);
        Heard { path, from: Some(from.into()), ..Heard::sample(at, What::Renamed { is_there: true }, false) }
    }

    #[test]
    fn an_exchange_is_one_rename() {
        let now = Instant::now();
        let (there, back) = (rename(now, "/a", "/b"), rename(now + Duration::from_millis(3), "/b", "/a"));
        assert!(is_told(&back, &there));
        assert!(!is_told(&there, &there));
        let later = Heard { at: now + Duration::from_secs(1), ..back };
        assert!(!is_told(&later, &there), "it was renamed back");
    }

    #[test]
    fn a_directory_above_is_told_once() {
        let now = Instant::now();
        let entry = Heard::sample(now, What::Renamed { is_there: false }, true);
        let itself = Heard { above: Some(ObjectKey::new(1, 2)), ..entry.clone() };
        let other = Heard { above: Some(ObjectKey::new(1, 3)), ..entry.clone() };
        assert!(is_told(&other, &itself), "both sides of an exchange");
        assert!(!is_told(&itself, &itself), "there and back");
        assert!(is_told(&itself, &entry));
        assert!(!is_told(&entry, &entry));
    }
}
