//! Reduces a kernel's BTF to what bypassd looks up, for `monitor/tests/fixtures/btf`.
//!
//!     cargo run -p monitor --example btf_fixture -- /sys/kernel/btf/vmlinux monitor/tests/fixtures/btf/6.12.btf
//!
//! Kept: the structures of `Field::ALL` with the members on the fields' paths, at their offsets and sizes, and some function
//! prototypes. A structure that is only pointed to becomes a forward declaration, everything else void.
#![expect(clippy::expect_used, clippy::panic, reason = "a developer's tool: a panic is a fine message")]

use std::collections::{BTreeSet, HashMap};
use std::{env, fs};

use monitor::btf::{Btf, Kind, Member, Type};
use monitor_abi::fields::Field;

const FUNCTIONS: &[&str] = &["security_file_open", "security_inode_setattr", "security_unix_stream_connect"];

type Paths = BTreeSet<Vec<&'static str>>;

fn main() {
    let [input, output] =
        env::args().skip(1).collect::<Vec<_>>().try_into().expect("two arguments: input output");
    let full = Btf::parse(&fs::read(input).expect("read the input")).expect("parse the input");
    let reduced = Reducer::new(&full).reduce();
    fs::write(output, reduced).expect("write the output");
}

struct Reducer<'a> {
    full: &'a Btf,
    types: Vec<u8>,
    count: u32,
    strings: Vec<u8>,
    names: HashMap<&'a str, u32>,
    leaves: HashMap<u32, u32>,
}

impl<'a> Reducer<'a> {
    fn new(full: &'a Btf) -> Self {
        Self {
            full,
            types: vec![],
            count: 0,
            strings: vec![0],
            names: HashMap::new(),
            leaves: HashMap::new(),
        }
    }

    fn reduce(mut self) -> Vec<u8> {
        let mut wanted: HashMap<&str, Paths> = HashMap::new();
        for spec in Field::ALL.iter().map(|field| field.spec()) {
            let paths = spec.paths.iter().map(|path| path.split('.').collect());
            wanted.entry(spec.structure).or_default().extend(paths);
        }
        for id in self.full.ids() {
            let Some(found) = self.full.get(id) else { continue };
            let name = self.full.name(found.name);
            match found.kind {
                Kind::Struct => {
                    if let Some(paths) = wanted.get(name) {
                        self.composite(found, paths);
                    }
                }
                Kind::Function if FUNCTIONS.contains(&name) => self.function(found),
                _ => {}
            }
        }
        self.finish()
    }

    /// A structure with the members on the paths. None if it has none of them.
    fn composite(&mut self, found: Type<'a>, paths: &Paths) -> Option<u32> {
        let mut kept = Vec::new();
        for member in found.members() {
            let name = self.full.name(member.name);
            let new = if member.name == 0 {
                self.full.unalias(member.type_id).and_then(|inner| self.composite(inner, paths))
            } else {
                self.named(name, member, paths)
            };
            if let Some(type_id) = new {
                kept.push((self.name(name), type_id, member.bit_offset | member.bitfield << 24));
            }
        }
        if kept.is_empty() {
            return None;
        }
        let body: Vec<u32> =
            kept.iter().flat_map(|(name, type_id, place)| [*name, *type_id, *place]).collect();
        let info = info(found, u32::try_from(kept.len()).expect("fewer members than before"));
        Some(self.push(found, info, found.size_or_type, &body))
    }

    fn named(&mut self, name: &str, member: Member, paths: &Paths) -> Option<u32> {
        let tails: Paths =
            paths.iter().filter(|path| path[0] == name).map(|path| path[1..].to_vec()).collect();
        if tails.is_empty() {
            return None;
        }
        if tails.contains(&vec![]) {
            return Some(self.leaf(member.type_id));
        }
        self.embedded(member.type_id, &tails)
    }

    /// A named member's structure, with the typedefs around it.
    fn embedded(&mut self, id: u32, tails: &Paths) -> Option<u32> {
        let found = self.full.get(id)?;
        if found.kind.is_alias() {
            let inner = self.embedded(found.size_or_type, tails)?;
            return Some(self.push(found, info(found, 0), inner, &[]));
        }
        self.composite(found, tails)
    }

    /// A type at the end of a path, as much of it as its shape needs.
    fn leaf(&mut self, id: u32) -> u32 {
        if let Some(known) = self.leaves.get(&id) {
            return *known;
        }
        let Some(found) = self.full.get(id) else { return 0 };
        let new = match found.kind {
            kind if kind.is_alias() => {
                let inner = self.leaf(found.size_or_type);
                self.push(found, info(found, 0), inner, &[])
            }
            Kind::Pointer => {
                let inner = self.pointed_to(found.size_or_type);
                self.push(found, info(found, 0), inner, &[])
            }
            Kind::Array => {
                let (element, length) = found.array().expect("an array");
                let element = self.leaf(element);
                self.push(found, info(found, 0), 0, &[element, 0, length])
            }
            Kind::Int => self.push(found, info(found, 0), found.size_or_type, &[found.size_or_type * 8]),
            _ => self.push(found, info(found, 0), found.size_or_type, &[]),
        };
        self.leaves.insert(id, new);
        new
    }

    fn pointed_to(&mut self, id: u32) -> u32 {
        match self.full.unalias(id) {
            Some(target) if target.name != 0 && matches!(target.kind, Kind::Struct | Kind::Forward) => {
                self.push(target, FORWARD << 24, 0, &[])
            }
            _ => 0,
        }
    }

    fn function(&mut self, function: Type<'a>) {
        let Some(prototype) = self.full.get(function.size_or_type) else { return };
        let names: Vec<u32> =
            prototype.parameters().map(|parameter| self.name(self.full.name(parameter.name))).collect();
        let count = u32::try_from(names.len()).expect("few parameters");
        let body: Vec<u32> = names.iter().flat_map(|name| [*name, 0]).collect();
        let id = self.push(prototype, info(prototype, count), 0, &body);
        self.push(function, info(function, 0), id, &[]);
    }

    fn push(&mut self, named: Type<'a>, info: u32, size_or_type: u32, body: &[u32]) -> u32 {
        let name = self.name(self.full.name(named.name));
        for word in [name, info, size_or_type].iter().chain(body) {
            self.types.extend(word.to_le_bytes());
        }
        self.count += 1;
        self.count
    }

    fn name(&mut self, name: &'a str) -> u32 {
        if name.is_empty() {
            return 0;
        }
        *self.names.entry(name).or_insert_with(|| {
            let at = self.strings.len();
            self.strings.extend(name.as_bytes());
            self.strings.push(0);
            u32::try_from(at).expect("a small string section")
        })
    }

    fn finish(self) -> Vec<u8> {
        let size = |bytes: &[u8]| u32::try_from(bytes.len()).expect("a small section");
        let (types, strings) = (size(&self.types), size(&self.strings));
        let mut data = vec![0x9f, 0xeb, 1, 0];
        for word in [24, 0, types, types, strings] {
            data.extend(word.to_le_bytes());
        }
        data.extend(self.types);
        data.extend(self.strings);
        data
    }
}

const FORWARD: u32 = 7;

fn info(found: Type<'_>, count: u32) -> u32 {
    let kind = match found.kind {
        Kind::Int => 1,
        Kind::Pointer => 2,
        Kind::Array => 3,
        Kind::Struct => 4,
        Kind::Union => 5,
        Kind::Enum => 6,
        Kind::Typedef => 8,
        Kind::Volatile => 9,
        Kind::Const => 10,
        Kind::Restrict => 11,
        Kind::Function => 12,
        Kind::Prototype => 13,
        Kind::TypeTag => 18,
        Kind::Enum64 => 19,
        kind => panic!("{kind:?} is not kept"),
    };
    u32::from(found.flag) << 31 | kind << 24 | count
}
