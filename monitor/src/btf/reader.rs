//! Reads the raw form: a header, the type section, the string section. One pass notes where each type begins; types
//! are decoded when asked for, since a kernel has over a hundred thousand and a few dozen are needed.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::ops::Range;

use super::{BtfError, Kind};

const KERNEL: &str = "/sys/kernel/btf/vmlinux";
/// Ten times what today's kernels have; a bound for a file that never ends.
const MAX_BYTES: u64 = 64 << 20;
const MAGIC: u16 = 0xeb9f;
const HEADER: usize = 24;
const TYPE_HEADER: usize = 12;
/// The kernel's KSYM_NAME_LEN: no symbol is longer.
const MAX_NAME: usize = 512;
/// Deepest chain of typedefs and qualifiers; real ones stay below ten.
const MAX_ALIASES: usize = 32;

/// The type information of one kernel.
pub struct Btf {
    data: Vec<u8>,
    strings: Range<usize>,
    /// Where in `data` each type begins. Type 1 is the first: 0 is void and has no record.
    starts: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
pub struct Type<'a> {
    pub kind: Kind,
    /// Offset of the name, for [`Btf::name`]; 0 for none.
    pub name: u32,
    /// What it means depends on the kind: for structures, whether member offsets carry bitfield sizes.
    pub flag: bool,
    /// The size in bytes or the id of the type referred to, by kind.
    pub size_or_type: u32,
    body: &'a [u8],
}

#[derive(Clone, Copy, Debug)]
pub struct Member {
    pub name: u32,
    pub type_id: u32,
    pub bit_offset: u32,
    /// 0 if the member is not a bitfield (or an old-style one, whose integer type tells).
    pub bitfield: u32,
}

#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    pub name: u32,
    pub type_id: u32,
}

impl Btf {
    pub fn parse(data: &[u8]) -> Result<Self, BtfError> {
        Self::from_bytes(data.to_vec())
    }

    /// The running kernel's.
    pub fn from_kernel() -> Result<Self, BtfError> {
        let unreadable = |source| BtfError::Unreadable { path: KERNEL, source };
        let file = File::open(KERNEL).map_err(unreadable)?;
        let size = file.metadata().map_err(unreadable)?.len();
        if size > MAX_BYTES {
            return Err(unreadable(io::ErrorKind::FileTooLarge.into()));
        }
        let mut data = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
        file.take(MAX_BYTES).read_to_end(&mut data).map_err(unreadable)?;
        Self::from_bytes(data)
    }

    fn from_bytes(data: Vec<u8>) -> Result<Self, BtfError> {
        let header = data.get(..HEADER).ok_or(BtfError::NotBtf)?;
        match u16::from_le_bytes([header[0], header[1]]) {
            MAGIC => {}
            magic if magic == MAGIC.swap_bytes() => return Err(BtfError::ForeignByteOrder),
            _ => return Err(BtfError::NotBtf),
        }
        if header[2] != 1 {
            return Err(BtfError::Version(header[2]));
        }
        // Later headers are longer, so the sections begin where the header says it ends.
        let base = word(header, 4).ok_or(BtfError::NotBtf)?;
        let types = section(&data, base, 8).ok_or(BtfError::Section("type"))?;
        let strings = section(&data, base, 16).ok_or(BtfError::Section("string"))?;
        let text = &data[strings.clone()];
        if text.first() != Some(&0) || text.last() != Some(&0) {
            return Err(BtfError::Strings);
        }
        let starts = index(&data[types.clone()], types.start)?;
        Ok(Self { data, strings, starts })
    }

    /// Every type id but void's.
    pub fn ids(&self) -> impl Iterator<Item = u32> {
        1..=u32::try_from(self.starts.len()).unwrap_or(u32::MAX)
    }

    /// None if there is no such type. Type 0 is void.
    pub fn get(&self, id: u32) -> Option<Type<'_>> {
        if id == 0 {
            return Some(Type { kind: Kind::Void, name: 0, flag: false, size_or_type: 0, body: &[] });
        }
        let start = *self.starts.get(usize::try_from(id - 1).ok()?)?;
        decode(self.data.get(usize::try_from(start).ok()?..)?)
    }

    /// The type behind typedefs and qualifiers. None for a chain that does not end.
    pub fn unalias(&self, mut id: u32) -> Option<Type<'_>> {
        for _ in 0..MAX_ALIASES {
            let found = self.get(id)?;
            if !found.kind.is_alias() {
                return Some(found);
            }
            id = found.size_or_type;
        }
        None
    }

    /// A name, empty if it is none that a kernel could have.
    pub fn name(&self, offset: u32) -> &str {
        self.bounded_name(offset).and_then(|name| std::str::from_utf8(name).ok()).unwrap_or_default()
    }

    pub(super) fn bounded_name(&self, offset: u32) -> Option<&[u8]> {
        let tail = self.data[self.strings.clone()].get(usize::try_from(offset).ok()?..)?;
        let tail = &tail[..tail.len().min(MAX_NAME)];
        tail.iter().position(|byte| *byte == 0).map(|end| &tail[..end])
    }

    /// The parameter names of a kernel function: kernels add and move parameters.
    pub fn function_parameters(&self, name: &str) -> Option<Vec<&str>> {
        let function = self.ids().filter_map(|id| self.get(id)).find(|function| {
            function.kind == Kind::Function && self.bounded_name(function.name) == Some(name.as_bytes())
        })?;
        let prototype = self.get(function.size_or_type).filter(|found| found.kind == Kind::Prototype)?;
        Some(prototype.parameters().map(|parameter| self.name(parameter.name)).collect())
    }
}

impl fmt::Debug for Btf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Btf").field("types", &self.starts.len()).finish_non_exhaustive()
    }
}

impl<'a> Type<'a> {
    /// The members of a structure or union, nothing for other kinds.
    pub fn members(self) -> impl Iterator<Item = Member> + use<'a> {
        let body = if self.kind.is_composite() { self.body } else { &[] };
        body.chunks_exact(12).filter_map(move |raw| {
            let place = word(raw, 8)?;
            let (bit_offset, bitfield) =
                if self.flag { (place & 0x00ff_ffff, place >> 24) } else { (place, 0) };
            Some(Member { name: word(raw, 0)?, type_id: word(raw, 4)?, bit_offset, bitfield })
        })
    }

    /// The parameters of a prototype, nothing for other kinds.
    pub fn parameters(self) -> impl Iterator<Item = Parameter> + use<'a> {
        let body = if self.kind == Kind::Prototype { self.body } else { &[] };
        body.chunks_exact(8).filter_map(|raw| Some(Parameter { name: word(raw, 0)?, type_id: word(raw, 4)? }))
    }

    /// An array's element type and length.
    pub fn array(self) -> Option<(u32, u32)> {
        if self.kind != Kind::Array {
            return None;
        }
        Some((word(self.body, 0)?, word(self.body, 8)?))
    }

    /// Whether an integer fills its bytes: older kernels give a bitfield member an integer type that does not.
    pub fn is_whole_int(self) -> bool {
        let Some(encoding) = word(self.body, 0).filter(|_| self.kind == Kind::Int) else {
            return true;
        };
        let (bits, offset) = (encoding & 0xff, (encoding >> 16) & 0xff);
        offset == 0 && Some(bits) == self.size_or_type.checked_mul(8)
    }
}

fn index(types: &[u8], base: usize) -> Result<Vec<u32>, BtfError> {
    let mut starts = Vec::with_capacity(types.len() / 24);
    let mut at = 0;
    while at < types.len() {
        let id = u32::try_from(starts.len() + 1).unwrap_or(u32::MAX);
        let info = word(types, at + 4).ok_or(BtfError::Truncated { id })?;
        let kind = Kind::from_number(kind_number(info))
            .ok_or(BtfError::UnknownKind { id, kind: kind_number(info) })?;
        let end = at + TYPE_HEADER + kind.body_size(count(info));
        if end > types.len() {
            return Err(BtfError::Truncated { id });
        }
        starts.push(u32::try_from(base + at).map_err(|_| BtfError::Section("type"))?);
        at = end;
    }
    Ok(starts)
}

fn decode(raw: &[u8]) -> Option<Type<'_>> {
    let info = word(raw, 4)?;
    let kind = Kind::from_number(kind_number(info))?;
    let body = raw.get(TYPE_HEADER..TYPE_HEADER + kind.body_size(count(info)))?;
    Some(Type { kind, name: word(raw, 0)?, flag: info >> 31 == 1, size_or_type: word(raw, 8)?, body })
}

/// Linux 7.1 put bits that were unused (zero) before to use: 24 bits of count and 7 of kind.
/// <https://git.kernel.org/torvalds/c/f7a6b9eaff3e>
fn kind_number(info: u32) -> u32 {
    (info >> 24) & 0x7f
}

fn count(info: u32) -> usize {
    usize::try_from(info & 0x00ff_ffff).unwrap_or_default()
}

fn section(data: &[u8], base: u32, at: usize) -> Option<Range<usize>> {
    let start = usize::try_from(base.checked_add(word(data, at)?)?).ok()?;
    let end = start.checked_add(usize::try_from(word(data, at + 4)?).ok()?)?;
    (start >= HEADER && end <= data.len()).then_some(start..end)
}

fn word(data: &[u8], at: usize) -> Option<u32> {
    let raw = data.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(raw.try_into().ok()?))
}
