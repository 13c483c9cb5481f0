//! The kernel programs that this binary carries. Compressed they take a seventh, and the binary is copied to nodes.

use std::io::{self, Read as _};

use flate2::read::ZlibDecoder;

static OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/bypassd.bpf.o.z"));

/// Whether there are none: a build without the eBPF toolchain.
pub const fn is_stub() -> bool {
    OBJECT.is_empty()
}

/// The object, to be loaded once.
pub fn object() -> io::Result<Vec<u8>> {
    let mut object = Vec::new();
    ZlibDecoder::new(OBJECT).read_to_end(&mut object)?;
    Ok(object)
}
