//! Maps that only the kernel side writes: after this nobody else can, so that no one is taken for the daemon, and no answer to its own
//! accesses is made up.

use std::io;
use std::os::fd::{AsFd, AsRawFd as _};

use aya::Ebpf;
use aya::maps::Map;

/// Since Linux 5.2.
/// <https://elixir.bootlin.com/linux/v5.10/source/include/uapi/linux/bpf.h#L121>
const BPF_MAP_FREEZE: libc::c_int = 22;

const MAPS: [&str; 6] = ["OWN", "PROBE", "NEWS", "COUNTERS", "SCRATCH", "FLOWS"];

/// To be called before the maps are taken.
pub(super) fn freeze(ebpf: &Ebpf) {
    for name in MAPS {
        let frozen = match ebpf.map(name) {
            Some(Map::Array(map) | Map::PerCpuArray(map) | Map::LruHashMap(map)) => one(map.fd()),
            _ => Err(io::Error::from(io::ErrorKind::NotFound)),
        };
        if let Err(error) = frozen {
            // It works without; the canary finds what it can.
            tracing::warn!(name, %error, "cannot freeze a map");
        }
    }
}

fn one(map: &impl AsFd) -> io::Result<()> {
    /// The part of `union bpf_attr` that the command reads.
    #[repr(C)]
    struct Attributes {
        map: u32,
    }
    let map = u32::try_from(map.as_fd().as_raw_fd()).map_err(io::Error::other)?;
    let attributes = Attributes { map };
    // SAFETY: the kernel reads so many bytes there, and keeps nothing.
    let result = unsafe {
        libc::syscall(libc::SYS_bpf, BPF_MAP_FREEZE, &raw const attributes, size_of::<Attributes>())
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
