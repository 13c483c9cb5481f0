//! What can be wrong with type information, and with one field in it.

use std::io;

use thiserror::Error;

#[derive(Debug, Error)]
pub enum BtfError {
    #[error("{path} cannot be read ({source}): the kernel has to be built with CONFIG_DEBUG_INFO_BTF")]
    Unreadable { path: &'static str, source: io::Error },
    #[error("this is no BTF: the header is missing or cut short")]
    NotBtf,
    #[error("this BTF has the other byte order: only the machine's own (native little-endian) is read")]
    ForeignByteOrder,
    #[error("this is BTF version {0}: only version 1 is known")]
    Version(u8),
    #[error("the BTF header's {0} section lies outside the data")]
    Section(&'static str),
    #[error("the BTF string section does not begin and end with a zero byte")]
    Strings,
    #[error("BTF type {id} is cut short")]
    Truncated { id: u32 },
    #[error("BTF type {id} is of the unknown kind {kind}")]
    UnknownKind { id: u32, kind: u32 },
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FieldError {
    #[error("this kernel has no struct {0}")]
    NoStructure(&'static str),
    #[error("this kernel's struct {structure} has no member {path}")]
    NoMember { structure: &'static str, path: String },
    #[error("{structure}.{path} is {found} on this kernel, but has to be {wanted}")]
    WrongShape { structure: &'static str, path: &'static str, found: String, wanted: String },
    #[error("{structure}.{path} is a bitfield on this kernel, which has no byte offset")]
    Bitfield { structure: &'static str, path: &'static str },
    #[error("{structure}.{path} lies outside its structure: the kernel's type information is damaged")]
    Outside { structure: &'static str, path: &'static str },
    #[error("struct {0} is nested too deeply or is too large to be searched")]
    TooNested(&'static str),
}
