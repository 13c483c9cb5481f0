//! Accesses that processes repeat. The kernel hands over the first of a window and counts the others; when the window is over, the
//! count is reported as one more event that is otherwise like the first.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use monitor_abi::record::{TAG_FILE, TAG_INET, TAG_UNIX};
use monitor_abi::repeat::{REFUSED, Repeat, RepeatKey, SUN_PATH_MAX, of_address, of_file, of_path};
use rustix::time::{ClockId, clock_gettime};

use crate::access::{Access, Object, Outcome};
use crate::event::Event;
use crate::model::Action;

/// Accesses whose events are kept to be repeated: 3,072 of some 5 KiB keep the daemon below 40 MiB.
const MOST: usize = 3072;

/// What was not done again for so many windows is forgotten.
const IDLE: u64 = 12;

#[derive(Debug)]
pub(super) struct Repeats {
    /// In nanoseconds.
    window: u64,
    known: HashMap<RepeatKey, Known>,
    /// Counted for accesses whose event is not known any more.
    pub(super) unattributed: u64,
}

#[derive(Debug, Default)]
struct Known {
    /// `None` for an access that is not reported: it is expected, or of no door.
    event: Option<Box<Event>>,
    reported: u64,
}

/// An event to repeat.
#[derive(Debug)]
pub(super) struct Due {
    pub event: Box<Event>,
    pub count: u64,
    /// Nanoseconds since boot.
    pub first: u64,
    pub last: u64,
}

impl Repeats {
    pub(super) fn new(window: Duration) -> Self {
        let window = u64::try_from(window.as_nanos()).unwrap_or(u64::MAX);
        Self { window, known: HashMap::new(), unattributed: 0 }
    }

    /// An access came that may be repeated.
    pub(super) fn expect(&mut self, access: &Access) {
        let Some(key) = key(access) else { return };
        if self.known.len() < MOST || self.known.contains_key(&key) {
            self.known.entry(key).or_default().event = None;
        }
    }

    /// Its event.
    pub(super) fn note(&mut self, access: &Access, event: &Event) {
        if let Some(known) = key(access).and_then(|key| self.known.get_mut(&key)) {
            known.event = Some(Box::new(event.clone()));
        }
    }

    /// What is to be reported of the kernel's counts: of windows that are over, or of all. And what the kernel can forget.
    pub(super) fn due(&mut self, counts: Vec<(RepeatKey, Repeat)>, all: bool) -> (Vec<Due>, Vec<RepeatKey>) {
        let (now, forgotten) = (now(), self.window.saturating_mul(IDLE));
        let (mut due, mut idle) = (Vec::new(), Vec::new());
        for (key, Repeat { since, last, count }) in counts {
            let age = now.saturating_sub(since);
            if !all && age < self.window {
                continue;
            }
            match self.known.get_mut(&key) {
                Some(known) if count > known.reported => {
                    let count_now = count - known.reported;
                    known.reported = count;
                    due.extend(known.event.clone().map(|event| Due {
                        event,
                        count: count_now,
                        first: since.min(last),
                        last,
                    }));
                }
                Some(_) if age > forgotten => {
                    self.known.remove(&key);
                    idle.push(key);
                }
                None if age > forgotten => {
                    // A path that was named may lead to no door.
                    self.unattributed += if key.what & REFUSED == 0 { count } else { 0 };
                    idle.push(key);
                }
                Some(_) | None => {}
            }
        }
        (due, idle)
    }
}

fn words(path: &[u8; SUN_PATH_MAX]) -> [u64; SUN_PATH_MAX / 8] {
    let (chunks, _) = path.as_chunks::<8>();
    let mut words = [0; SUN_PATH_MAX / 8];
    words.iter_mut().zip(chunks).for_each(|(word, chunk)| *word = u64::from_ne_bytes(*chunk));
    words
}

/// The key under which the kernel counts the same access.
fn key(access: &Access) -> Option<RepeatKey> {
    let (object, device, what) = match (&access.object, access.action) {
        (Object::File(file), Action::Open | Action::Write) => {
            let flags = match (file.read, file.write) {
                (_, false) => 0,
                (false, true) => 1,
                (true, true) => 2,
            };
            (file.key.ino, file.key.dev, of_file(TAG_FILE, flags))
        }
        (Object::UnixSocket(socket), Action::Connect) if !socket.path_named.is_empty() => {
            let Outcome::Failure(errno) = access.outcome else { return None };
            let mut path = [0; SUN_PATH_MAX];
            let room = path.get_mut(..socket.path_named.len())?;
            room.copy_from_slice(&socket.path_named);
            (of_path(&words(&path)), errno.unsigned_abs(), TAG_UNIX | REFUSED)
        }
        (Object::UnixSocket(socket), Action::Connect) => (socket.key.ino, socket.key.dev, TAG_UNIX),
        (Object::InetSocket(inet), Action::Connect) => {
            let address = match inet.dst_ip {
                IpAddr::V4(address) => address.to_ipv6_mapped(),
                IpAddr::V6(address) => address,
            };
            (of_address(address.octets()), u32::from(inet.dst_port), TAG_INET)
        }
        _ => return None,
    };
    let (actor, target) = (&access.actor, access.target.0);
    Some(RepeatKey {
        start: actor.start,
        object,
        device,
        tgid: actor.pid,
        target,
        what,
        role: actor.role,
        pad: 0,
    })
}

fn now() -> u64 {
    let time = clock_gettime(ClockId::Boottime);
    let nanoseconds = i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec);
    u64::try_from(nanoseconds).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::samples;
    use crate::kernel::DEFAULT_WINDOW;

    #[test]
    fn a_count_is_reported_once_and_when_its_window_is_over() {
        let access =
            samples::access(Action::Open, samples::file(b"/x", true, false), samples::actor(&[b"cat"]));
        let event = samples::all().remove(0).1;
        let mut repeats = Repeats::new(DEFAULT_WINDOW);
        repeats.expect(&access);
        repeats.note(&access, &event);
        let key = key(&access).unwrap();
        let counts = |since, count| vec![(key, Repeat { since, last: since + 1, count })];
        let (due, _) = repeats.due(counts(now(), 7), false);
        assert!(due.is_empty(), "the window is not over");
        let (due, _) = repeats.due(counts(now() - repeats.window, 7), false);
        assert_eq!(due.iter().map(|due| due.count).collect::<Vec<_>>(), [7]);
        let (due, _) = repeats.due(counts(now() - repeats.window, 7), false);
        assert!(due.is_empty(), "it was reported");
        let (due, _) = repeats.due(counts(now(), 9), true);
        assert_eq!(due.iter().map(|due| due.count).collect::<Vec<_>>(), [2]);
    }
}
