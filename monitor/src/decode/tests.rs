use std::mem::offset_of;
use std::net::Ipv6Addr;

use monitor_abi::record::{SECTION_ANCESTOR, SECTION_ARGS, SECTION_EXE, SECTION_OBJECT};
use proptest::prelude::*;

use super::*;

fn section(kind: u16, bytes: &[u8]) -> Vec<u8> {
    let mut out = kind.to_ne_bytes().to_vec();
    out.extend(u16::try_from(bytes.len()).unwrap().to_ne_bytes());
    out.extend(bytes);
    out
}

/// A record with the given tag, object and sections, all else zero but the ids.
fn record(tag: u32, object: &[u8], sections: &[u8]) -> Vec<u8> {
    let mut out = vec![0; FIXED];
    out[..4].copy_from_slice(&tag.to_ne_bytes());
    out[16..20].copy_from_slice(&7u32.to_ne_bytes());
    out[24..28].copy_from_slice(&1u32.to_ne_bytes());
    // actor: exe_ino, tgid
    out[32 + 24..32 + 32].copy_from_slice(&42u64.to_ne_bytes());
    out[32 + 40..32 + 44].copy_from_slice(&4711u32.to_ne_bytes());
    out[size_of::<Head>()..size_of::<Head>() + object.len()].copy_from_slice(object);
    out.extend(sections);
    let length = u32::try_from(out.len()).unwrap();
    out[4..8].copy_from_slice(&length.to_ne_bytes());
    out
}

fn access(record: &[u8]) -> Decoded {
    match decode(record).unwrap() {
        Record::Access(decoded) => *decoded,
        other => panic!("{other:?}"),
    }
}

fn file_object(flags: u32, created: u32) -> Vec<u8> {
    let mut out = 9u64.to_ne_bytes().to_vec();
    for value in [0x10_0003, flags, created, 0o100_644u32] {
        out.extend(value.to_ne_bytes());
    }
    out
}

#[test]
fn a_file_record_is_decoded() {
    let mut sections = section(SECTION_EXE, b"cat\0bin\0usr\0");
    sections.extend(section(SECTION_ARGS, b"cat\0\0x y\0"));
    sections.extend(section(SECTION_OBJECT, b"a.yaml\0manifests\0kubernetes\0etc\0"));
    let decoded = access(&record(TAG_FILE, &file_object(0, 0), &sections));
    assert_eq!(decoded.below, 1);
    let Access { target, action, object, actor, .. } = decoded.access;
    assert_eq!((target, action), (TargetId(7), Action::Open));
    assert_eq!(actor.pid, 4711);
    assert_eq!(actor.exe.key, Some(ObjectKey::new(0, 42)));
    assert_eq!(actor.exe.path, b"/usr/bin/cat");
    assert_eq!(actor.args.unwrap(), [b"cat".to_vec(), b"".to_vec(), b"x y".to_vec()]);
    assert_eq!(actor.auid, None);
    let Object::File(file) = object else { panic!("{object:?}") };
    assert_eq!(file.path_seen, b"/etc/kubernetes/manifests/a.yaml");
    assert_eq!(file.key, ObjectKey::new(0x10_0003, 9));
    assert!(file.read && !file.write && !file.directory);
}

#[test]
fn flags_of_the_head_are_told() {
    const FLAGS: usize = offset_of!(Head, flags);
    for flag in [0, HEAD_STALE, HEAD_ANCESTOR, HEAD_ACROSS, HEAD_NUMBERS] {
        let mut record = record(TAG_FILE, &file_object(0, 0), &[]);
        record[FLAGS..FLAGS + 4].copy_from_slice(&flag.to_ne_bytes());
        let Decoded { stale, ancestor, across, unnamed, hooked, .. } = access(&record);
        let told =
            [(stale, HEAD_STALE), (ancestor, HEAD_ANCESTOR), (across, HEAD_ACROSS), (unnamed, HEAD_NUMBERS)];
        assert!(told.iter().all(|(is_told, of)| *is_told == (flag == *of)) && hooked, "{flag}: {told:?}");
    }
}

#[test]
fn open_modes_become_actions() {
    for (flags, created, action, read, write) in [
        (0, 0, Action::Open, true, false),
        (1, 0, Action::Write, false, true),
        (2, 0, Action::Write, true, true),
        (1, 1, Action::Create, false, true),
    ] {
        let access = access(&record(TAG_FILE, &file_object(flags, created), &[])).access;
        let Object::File(file) = &access.object else { panic!("{access:?}") };
        assert_eq!((access.action, file.read, file.write), (action, read, write), "flags {flags}");
    }
}

#[test]
fn mapped_addresses_are_plain_ipv4() {
    let mut object = Vec::new();
    for ip in ["::", "::ffff:127.0.0.1"] {
        object.extend(ip.parse::<Ipv6Addr>().unwrap().octets());
    }
    object.extend(0u16.to_ne_bytes());
    object.extend(2379u16.to_ne_bytes());
    object.extend([0u32; 3].map(u32::to_ne_bytes).concat());
    object.extend(7u64.to_ne_bytes());
    let access = access(&record(TAG_INET, &object, &[])).access;
    let Object::InetSocket(inet) = access.object else { panic!("{access:?}") };
    assert_eq!((inet.dst_ip.to_string().as_str(), inet.dst_port), ("127.0.0.1", 2379));
}

#[test]
fn broken_records_are_refused() {
    let good = record(TAG_FILE, &file_object(0, 0), &section(SECTION_EXE, b"cat\0"));
    assert_eq!(decode(&good[..20]), Err(DecodeError::Short(20)));
    assert_eq!(
        decode(&good[..good.len() - 1]).unwrap_err(),
        DecodeError::Length { said: u32::try_from(good.len()).unwrap(), has: good.len() - 1 }
    );
    assert_eq!(decode(&record(99, &[], &[])).unwrap_err(), DecodeError::Tag(99));
    let cut = [SECTION_EXE.to_ne_bytes(), 500u16.to_ne_bytes()].concat();
    let error = DecodeError::Section { kind: SECTION_EXE, length: 500 };
    assert_eq!(decode(&record(TAG_FILE, &[], &cut)).unwrap_err(), error);
    let error = DecodeError::Section { kind: SECTION_ANCESTOR, length: 3 };
    assert_eq!(decode(&record(TAG_FILE, &[], &section(SECTION_ANCESTOR, b"abc"))).unwrap_err(), error);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(tag in 0u32..5, sections in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _: Result<_, _> = decode(&sections);
        let _: Result<_, _> = decode(&record(tag, &[], &sections));
    }
}
