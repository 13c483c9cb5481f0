//! Bytes from fanotify to events. Every length is checked; what cannot be read is an error, never a panic.
//! <https://man7.org/linux/man-pages/man7/fanotify.7.html>

use bytes::Buf as _;

use super::sys::Handle;

/// One event; the kernel may have put several changes of the same kind into one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Event {
    pub mask: u64,
    /// In the daemon's process id namespace; zero for a process outside of it.
    pub pid: u32,
    pub places: Vec<Place>,
    /// Of a mount.
    pub mount: Option<u64>,
}

/// Something that the event is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub role: Role,
    pub handle: Handle,
    /// In the directory; empty for the object itself.
    pub name: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The object.
    Itself,
    /// Its directory.
    Parent,
    /// Where it was renamed from, and to.
    From,
    To,
}

/// What the kernel wrote is not what it is said to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("fanotify wrote an event of unknown form")]
pub(super) struct Malformed;

const METADATA: usize = 24;
const HEADER: usize = 4;

/// `FAN_EVENT_INFO_TYPE_MNT`, since Linux 6.15.
const INFO_MOUNT: u8 = 7;

pub(super) fn parse(mut bytes: &[u8]) -> Result<Vec<Event>, Malformed> {
    let mut events = Vec::new();
    while !bytes.is_empty() {
        let length = bytes.get(..4).map(|mut length| length.get_u32_ne()).ok_or(Malformed)?;
        let length = usize::try_from(length).map_err(|_| Malformed)?;
        if length < METADATA || bytes.len() < length {
            return Err(Malformed);
        }
        let (event, rest) = bytes.split_at(length);
        events.push(one(event)?);
        bytes = rest;
    }
    Ok(events)
}

fn one(bytes: &[u8]) -> Result<Event, Malformed> {
    let (mut metadata, _) = bytes.split_at_checked(METADATA).ok_or(Malformed)?;
    metadata.advance(4);
    let version = metadata.get_u8();
    metadata.advance(1);
    let length = usize::from(metadata.get_u16_ne());
    let mask = metadata.get_u64_ne();
    let _descriptor = metadata.get_i32_ne();
    let pid = u32::try_from(metadata.get_i32_ne()).unwrap_or_default();
    if version != libc::FANOTIFY_METADATA_VERSION {
        return Err(Malformed);
    }
    let mut event = Event { mask, pid, ..Event::default() };
    let mut rest = bytes.get(length..).ok_or(Malformed)?;
    while !rest.is_empty() {
        if rest.len() < HEADER {
            return Err(Malformed);
        }
        let mut header = &rest[..HEADER];
        let kind = header.get_u8();
        header.advance(1);
        let length = usize::from(header.get_u16_ne());
        let (info, after) = rest.split_at_checked(length).ok_or(Malformed)?;
        event.information(kind, info.get(HEADER..).ok_or(Malformed)?)?;
        rest = after;
    }
    Ok(event)
}

impl Event {
    fn information(&mut self, kind: u8, bytes: &[u8]) -> Result<(), Malformed> {
        let role = match kind {
            INFO_MOUNT => {
                // Aligned: four bytes lie between.
                let mut number = bytes.get(4..12).ok_or(Malformed)?;
                self.mount = Some(number.get_u64_ne());
                return Ok(());
            }
            libc::FAN_EVENT_INFO_TYPE_FID => Role::Itself,
            libc::FAN_EVENT_INFO_TYPE_DFID | libc::FAN_EVENT_INFO_TYPE_DFID_NAME => Role::Parent,
            libc::FAN_EVENT_INFO_TYPE_OLD_DFID_NAME => Role::From,
            libc::FAN_EVENT_INFO_TYPE_NEW_DFID_NAME => Role::To,
            // Later kernels may say more.
            _ => return Ok(()),
        };
        self.places.push(place(role, bytes)?);
        Ok(())
    }

    pub fn place(&self, role: Role) -> Option<&Place> {
        self.places.iter().find(|place| place.role == role)
    }
}

fn place(role: Role, bytes: &[u8]) -> Result<Place, Malformed> {
    let (mut head, rest) = bytes.split_at_checked(16).ok_or(Malformed)?;
    let mut file_system = [0; 8];
    head.copy_to_slice(&mut file_system);
    let length = usize::try_from(head.get_u32_ne()).map_err(|_| Malformed)?;
    let kind = head.get_i32_ne();
    let (handle, name) = rest.split_at_checked(length).ok_or(Malformed)?;
    let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
    let name = if name == b"." { &[] } else { name };
    let handle = Handle { file_system, kind, bytes: handle.to_vec() };
    Ok(Place { role, handle, name: name.to_vec() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    impl Event {
        /// As the kernel writes one of no place.
        pub(in super::super) fn bytes(mask: u64, pid: i32) -> Vec<u8> {
            event(mask, pid, &[])
        }
    }

    fn event(mask: u64, pid: i32, infos: &[Vec<u8>]) -> Vec<u8> {
        let length = METADATA + infos.iter().map(Vec::len).sum::<usize>();
        let mut bytes = u32::try_from(length).unwrap().to_ne_bytes().to_vec();
        bytes.extend([libc::FANOTIFY_METADATA_VERSION, 0]);
        bytes.extend(24_u16.to_ne_bytes());
        bytes.extend(mask.to_ne_bytes());
        bytes.extend((-1_i32).to_ne_bytes());
        bytes.extend(pid.to_ne_bytes());
        bytes.extend(infos.concat());
        bytes
    }

    fn info(kind: u8, handle: &[u8], name: &[u8]) -> Vec<u8> {
        let mut bytes = vec![kind, 0];
        let length = u16::try_from(20 + handle.len() + name.len()).unwrap();
        bytes.extend(length.to_ne_bytes());
        bytes.extend([9; 8]);
        bytes.extend(u32::try_from(handle.len()).unwrap().to_ne_bytes());
        bytes.extend(1_i32.to_ne_bytes());
        bytes.extend(handle);
        bytes.extend(name);
        bytes
    }

    #[test]
    fn a_rename_has_two_places() {
        let from = info(libc::FAN_EVENT_INFO_TYPE_OLD_DFID_NAME, b"dir1", b"a\0\0\0");
        let to = info(libc::FAN_EVENT_INFO_TYPE_NEW_DFID_NAME, b"dir2", b"b\0\0\0");
        let bytes = [event(libc::FAN_RENAME, 7, &[from, to]), event(1, 8, &[])].concat();
        let events = parse(&bytes).unwrap();
        assert_eq!(events.len(), 2);
        assert_eq!((events[0].mask, events[0].pid, events[1].pid), (libc::FAN_RENAME, 7, 8));
        let from = events[0].place(Role::From).unwrap();
        assert_eq!((from.handle.bytes.as_slice(), from.name.as_slice()), (&b"dir1"[..], &b"a"[..]));
        assert_eq!(events[0].place(Role::To).unwrap().name, b"b");
        assert_eq!(events[0].place(Role::Parent), None);
    }

    #[test]
    fn the_directory_itself_has_no_name() {
        let bytes = event(4, 7, &[info(libc::FAN_EVENT_INFO_TYPE_DFID_NAME, b"d", b".\0")]);
        assert!(parse(&bytes).unwrap()[0].places[0].name.is_empty());
    }

    #[test]
    fn a_mount_has_a_number() {
        let mut info = vec![INFO_MOUNT, 0, 16, 0, 0, 0, 0, 0];
        info.extend(0x8000_1234_u64.to_ne_bytes());
        assert_eq!(parse(&event(1, 2, &[info])).unwrap()[0].mount, Some(0x8000_1234));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _read = parse(&bytes);
        }

        #[test]
        fn a_cut_event_is_malformed(cut in 1_usize..60) {
            let whole = event(1, 2, &[info(libc::FAN_EVENT_INFO_TYPE_DFID_NAME, b"dir1", b"name\0\0\0\0")]);
            let cut = cut.min(whole.len() - 1);
            prop_assert_eq!(parse(&whole[..cut]), Err(Malformed));
        }
    }
}
