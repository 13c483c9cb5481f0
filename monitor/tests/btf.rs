//! The type information of real kernels, reduced (`fixtures/README.md`): every field resolves, at the offset it has.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs;
use std::path::{Path, PathBuf};

use monitor::btf::{Btf, BtfError, FieldError, Offsets};
use monitor_abi::fields::{ABSENT, Field, FieldSpec, Shape};
use proptest::prelude::*;

const KERNELS: &[&str] = &["5.10", "6.1", "6.12", "6.18", "6.18-microvm", "7.3"];

fn fixture(kernel: &str) -> Vec<u8> {
    fs::read(fixtures().join(format!("{kernel}.btf"))).unwrap()
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/btf")
}

fn btf(kernel: &str) -> Btf {
    Btf::parse(&fixture(kernel)).unwrap()
}

#[test]
fn every_fixture_is_listed() {
    assert_eq!(fs::read_dir(fixtures()).unwrap().count(), KERNELS.len());
}

#[test]
fn every_field_is_on_every_kernel() {
    for kernel in KERNELS {
        let offsets = Offsets::resolve(&btf(kernel));
        // A complete io_uring request shows its result since 5.19.
        let absent: &[Field] = if *kernel == "5.10" { &[Field::RequestResult] } else { &[] };
        let missing: Vec<_> = offsets.missing.iter().map(|(field, _)| *field).collect();
        assert_eq!(missing, absent, "{kernel}");
        assert!(Field::ALL.iter().all(|field| offsets.has(*field) || absent.contains(field)), "{kernel}");
    }
}

#[test]
fn one_lookup_agrees_with_the_table() {
    for kernel in KERNELS {
        let btf = btf(kernel);
        let offsets = Offsets::resolve(&btf);
        for field in Field::ALL {
            let found = btf.field(&field.spec()).ok();
            let offset = offsets.table[*field as usize];
            assert_eq!(found, (offset != ABSENT).then_some(offset), "{kernel} {field:?}");
        }
    }
}

#[test]
fn fields_are_where_other_tools_find_them() {
    let always =
        [(Field::DentryParent, 24), (Field::DentryInode, 48), (Field::SbDev, 16), (Field::SocketSk, 24)];
    let always = always.into_iter().chain([
        (Field::FdtableFd, 8),
        (Field::FilesFdt, 32),
        // An anonymous union's member on 6.18 and later, `d_name.name` behind it.
        (Field::DentryName, 40),
        // Bit offsets inside anonymous unions inside an embedded structure.
        (Field::SockDaddr, 0),
        (Field::SockSaddr, 4),
        (Field::SockDport, 12),
        (Field::SockNum, 14),
        (Field::SockFamily, 16),
    ]);
    let always: Vec<_> = always.collect();
    for kernel in KERNELS {
        let offsets = Offsets::resolve(&btf(kernel));
        for (field, offset) in &always {
            assert_eq!(offsets.table[*field as usize], *offset, "{kernel} {field:?}");
        }
        // `file.f_path`: mnt, then dentry.
        let path = if matches!(*kernel, "5.10" | "6.1") { 16 } else { 64 };
        assert_eq!(offsets.table[Field::FileMnt as usize], path, "{kernel}");
        assert_eq!(offsets.table[Field::FileDentry as usize], path + 8, "{kernel}");
    }
}

#[test]
fn a_renamed_member_is_found_by_its_other_name() {
    let only = |path| FieldSpec { paths: path, ..Field::KernfsParent.spec() };
    let (old, new) = (only(&["parent"]), only(&["__parent"]));
    assert!(btf("6.12").field(&old).is_ok());
    assert!(btf("6.18").field(&new).is_ok());
    assert_eq!(
        btf("6.18").field(&old),
        Err(FieldError::NoMember { structure: "kernfs_node", path: "parent".to_owned() })
    );
}

#[test]
fn another_shape_is_refused() {
    let spec = |shape| FieldSpec { shape, ..Field::DentryParent.spec() };
    let error = btf("6.12").field(&spec(Shape::Pointer("inode"))).unwrap_err();
    assert_eq!(
        error.to_string(),
        "dentry.d_parent is a pointer to dentry on this kernel, but has to be a pointer to inode"
    );
    assert!(btf("6.12").field(&spec(Shape::Int(8))).is_err());
    assert!(btf("6.12").field(&spec(Shape::Bytes(9))).is_err());
    assert_eq!(btf("6.12").field(&spec(Shape::Pointer(""))), Ok(24));
    let narrow = FieldSpec { shape: Shape::Int(4), ..Field::InodeIno.spec() };
    assert!(matches!(btf("7.3").field(&narrow), Err(FieldError::WrongShape { .. })));
}

#[test]
fn an_unknown_structure_is_named() {
    let spec = FieldSpec { structure: "nonsense", ..Field::DentryParent.spec() };
    assert_eq!(btf("6.1").field(&spec), Err(FieldError::NoStructure("nonsense")));
}

#[test]
fn parameters_tell_signatures_apart() {
    let setattr = |kernel| btf(kernel).function_parameters("security_inode_setattr").unwrap().join(",");
    assert_eq!(setattr("5.10"), "dentry,attr");
    assert_eq!(setattr("6.1"), "mnt_userns,dentry,attr");
    assert_eq!(setattr("6.12"), "idmap,dentry,attr");
    for kernel in KERNELS {
        assert_eq!(btf(kernel).function_parameters("security_file_open").unwrap(), ["file"]);
        assert_eq!(btf(kernel).function_parameters("security_no_such"), None);
    }
}

#[test]
fn damaged_headers_are_told_apart() {
    let damaged = |at: usize, value: u8| {
        let mut data = fixture("6.1");
        data[at] = value;
        Btf::parse(&data).unwrap_err()
    };
    assert!(matches!(damaged(0, 0), BtfError::NotBtf));
    assert!(matches!(damaged(2, 2), BtfError::Version(2)));
    assert!(matches!(damaged(11, 0x7f), BtfError::Section("type")));
    assert!(matches!(damaged(19, 0x7f), BtfError::Section("string")));
    assert!(matches!(damaged(24 + 7, 0x7f), BtfError::UnknownKind { id: 1, kind: 0x7f }));
    let mut swapped = fixture("6.1");
    swapped.swap(0, 1);
    assert!(matches!(Btf::parse(&swapped), Err(BtfError::ForeignByteOrder)));
    assert!(matches!(Btf::parse(&[]), Err(BtfError::NotBtf)));
    let mut unterminated = fixture("6.1");
    *unterminated.last_mut().unwrap() = b'x';
    assert!(matches!(Btf::parse(&unterminated), Err(BtfError::Strings)));
    // The type section's length, four bytes less: its last type is a function without anything after the header.
    let mut short = fixture("6.1");
    short[12] -= 4;
    assert!(matches!(Btf::parse(&short), Err(BtfError::Truncated { .. })));
}

/// Everything a caller can ask of it.
fn use_all(data: &[u8]) {
    if let Ok(btf) = Btf::parse(data) {
        let offsets = Offsets::resolve(&btf);
        let _messages: Vec<_> = offsets.missing.iter().map(|(_, error)| error.to_string()).collect();
        let _parameters = btf.function_parameters("security_inode_setattr");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_survived(data in prop::collection::vec(any::<u8>(), 0..512)) {
        use_all(&data);
    }

    #[test]
    fn any_types_are_survived(words in prop::collection::vec(prop_oneof![0u32..40, any::<u32>(), (1u32..20).prop_map(|kind| kind << 24 | 2)], 0..256)) {
        let types: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let length = u32::try_from(types.len()).unwrap();
        let strings = b"\0file\0f_inode\0inode\0";
        let header = [24, 0, length, length, 20].into_iter().flat_map(u32::to_le_bytes);
        let data: Vec<u8> = [0x9f, 0xeb, 1, 0].into_iter().chain(header).chain(types).chain(*strings).collect();
        use_all(&data);
    }

    #[test]
    fn any_damage_is_survived(kernel in prop::sample::select(KERNELS), edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..24), cut in any::<prop::sample::Index>(), cuts in any::<bool>()) {
        let mut data = fixture(kernel);
        for (at, value) in edits {
            let at = at.index(data.len());
            data[at] = value;
        }
        if cuts {
            data.truncate(cut.index(data.len()));
        }
        use_all(&data);
    }
}
