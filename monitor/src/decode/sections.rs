//! The variable part of a record.

use bytes::Buf;
use monitor_abi::record::{
    self, SECTION_ANCESTOR, SECTION_ARGS, SECTION_CGROUP, SECTION_CWD, SECTION_EXE, SECTION_FSTYPE,
    SECTION_OBJECT, SECTION_OTHER, SECTION_SOURCE,
};

use super::{DecodeError, executable};
use crate::access::Ancestor;

#[derive(Debug, Default)]
pub(super) struct Sections {
    pub exe: Vec<u8>,
    pub args: Option<Vec<Vec<u8>>>,
    pub cwd: Vec<u8>,
    pub object: Vec<u8>,
    pub cgroup: Vec<u8>,
    pub ancestors: Vec<Ancestor>,
    pub other: Vec<u8>,
    pub source: Vec<u8>,
    pub fstype: Vec<u8>,
}

impl Sections {
    pub(super) fn decode(mut buf: &[u8]) -> Result<Self, DecodeError> {
        let mut sections = Self::default();
        while buf.remaining() >= 4 {
            let kind = buf.get_u16_ne();
            let length = buf.get_u16_ne();
            let Some((section, rest)) = buf.split_at_checked(usize::from(length)) else {
                return Err(DecodeError::Section { kind, length });
            };
            buf = rest;
            match kind {
                SECTION_EXE => sections.exe = path(section),
                SECTION_ARGS => sections.args = Some(args(section)),
                SECTION_CWD => sections.cwd = path(section),
                SECTION_OBJECT => sections.object = path(section),
                SECTION_OTHER => sections.other = path(section),
                SECTION_SOURCE => sections.source = until_zero(section).to_vec(),
                SECTION_FSTYPE => sections.fstype = until_zero(section).to_vec(),
                SECTION_CGROUP => sections.cgroup = path(section),
                SECTION_ANCESTOR => sections.ancestors.push(ancestor(section, kind, length)?),
                other => return Err(DecodeError::Section { kind: other, length }),
            }
        }
        if buf.is_empty() { Ok(sections) } else { Err(DecodeError::Section { kind: 0, length: 0 }) }
    }
}

fn ancestor(mut buf: &[u8], kind: u16, length: u16) -> Result<Ancestor, DecodeError> {
    if buf.remaining() < size_of::<record::Ancestor>() {
        return Err(DecodeError::Section { kind, length });
    }
    let start = buf.get_u64_ne();
    let ino = buf.get_u64_ne();
    let dev = buf.get_u32_ne();
    let flags = buf.get_u32_ne();
    let pid = buf.get_u32_ne();
    let uid = buf.get_u32_ne();
    let mut comm = [0; 16];
    buf.copy_to_slice(&mut comm);
    let mut exe = executable(dev, ino, flags);
    exe.path = if exe.key.is_some() { path(buf) } else { Vec::new() };
    Ok(Ancestor { pid, start, uid, comm: until_zero(&comm).to_vec(), exe })
}

/// Turns names that go upwards, each ended by a zero byte, into an absolute path.
fn path(section: &[u8]) -> Vec<u8> {
    let names = section.strip_suffix(&[0]).unwrap_or(section);
    let mut path = Vec::with_capacity(section.len() + 1);
    if names.is_empty() {
        path.push(b'/');
        return path;
    }
    for name in names.rsplit(|byte| *byte == 0) {
        // No name but that of a file system's root has a slash.
        if name != b"/" {
            path.push(b'/');
            path.extend_from_slice(name);
        }
    }
    if path.is_empty() {
        path.push(b'/');
    }
    path
}

fn args(section: &[u8]) -> Vec<Vec<u8>> {
    let args = section.strip_suffix(&[0]).unwrap_or(section);
    args.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect()
}

pub(super) fn until_zero(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}
