//! What the daemon may do once its programs are attached: less than it needed for that. Done before it has threads, because each thread
//! has capabilities of its own.

use caps::errors::CapsError;
use caps::{CapSet, Capability, CapsHashSet};
use rustix::thread::set_no_new_privs;

/// For the kernel's tables; for descriptors, executables and namespaces of other processes; for directories and files whoever has them;
/// and for sockets of other network namespaces, and mounts of the node when the daemon has mounts of its own.
const KEPT: [Capability; 4] = [
    Capability::CAP_BPF,
    Capability::CAP_SYS_PTRACE,
    Capability::CAP_DAC_READ_SEARCH,
    Capability::CAP_SYS_ADMIN,
];

/// What is not seen without one of these, where the programs load.
const GAPS: [(Capability, &str); 3] = [
    (
        Capability::CAP_SYS_PTRACE,
        "without CAP_SYS_PTRACE: who holds a door since before the start, and what only /proc knows of other processes",
    ),
    (
        Capability::CAP_DAC_READ_SEARCH,
        "without CAP_DAC_READ_SEARCH: targets in directories that only their owner may enter",
    ),
    (
        Capability::CAP_SYS_ADMIN,
        "without CAP_SYS_ADMIN: connections of other network namespaces from before the start",
    ),
];

/// In sentences, for the first event.
pub fn gaps() -> impl Iterator<Item = &'static str> {
    GAPS.into_iter().filter(|(capability, _)| !has(*capability)).map(|(_, gap)| gap)
}

/// What a daemon has to be given that cannot load its programs, as the end of a sentence.
pub fn hint() -> String {
    // This one has both in it.
    if has(Capability::CAP_SYS_ADMIN) {
        return String::new();
    }
    let lacking = [Capability::CAP_BPF, Capability::CAP_PERFMON].into_iter().filter(|needed| !has(*needed));
    let names: Vec<_> = lacking.map(|capability| capability.to_string()).collect();
    if names.is_empty() { String::new() } else { format!("; run as root, or with {}", names.join(" and ")) }
}

fn has(capability: Capability) -> bool {
    caps::has_cap(None, CapSet::Effective, capability).unwrap_or(false)
}

/// Gives up all others, for ever. `writes_files`: it goes on making files, which may be in somebody else's directory.
pub fn drop(writes_files: bool) {
    let mut kept: CapsHashSet = KEPT.into_iter().collect();
    if writes_files {
        kept.insert(Capability::CAP_DAC_OVERRIDE);
    }
    if let Err(error) = try_drop(&kept) {
        // It was given more than it needs, and does no more than before.
        tracing::warn!(%error, "cannot give up capabilities");
    }
    if let Err(error) = set_no_new_privs(true) {
        tracing::warn!(%error, "cannot give up gaining privileges");
    }
}

fn try_drop(kept: &CapsHashSet) -> Result<(), CapsError> {
    // The right to change this set is one of those that go.
    if caps::has_cap(None, CapSet::Effective, Capability::CAP_SETPCAP)? {
        for capability in caps::read(None, CapSet::Bounding)?.difference(kept) {
            caps::drop(None, CapSet::Bounding, *capability)?;
        }
    }
    caps::clear(None, CapSet::Ambient)?;
    let permitted: CapsHashSet = caps::read(None, CapSet::Permitted)?.intersection(kept).copied().collect();
    caps::clear(None, CapSet::Inheritable)?;
    caps::set(None, CapSet::Effective, &permitted)?;
    caps::set(None, CapSet::Permitted, &permitted)
}
