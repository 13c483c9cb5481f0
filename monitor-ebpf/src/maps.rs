//! All maps. The daemon fills the first group and reads the second.

use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap, LruHashMap, LruPerCpuHashMap, PerCpuArray, RingBuf};
use monitor_abi::counters::Counter;
use monitor_abi::doer::{DOERS_MAX, Doing};
use monitor_abi::probe::{Gate, News, Own, Probe};
use monitor_abi::record::RING_BYTES;
use monitor_abi::repeat::{REPEATS_MAX, Repeat, RepeatKey};
use monitor_abi::watch::{
    ANCESTORS_MAX, EXECUTABLES_MAX, FLOWS_MAX, FlowKey, LEARNED_MAX, Learned, MOVED_MAX, NAMES_MAX, NameKey,
    OBJECTS_MAX, ObjectKey, PORTS_MAX, Watch,
};

use crate::capture::scratch::{Record, Scratch};
use crate::hooks::Hook;

/// The first thing every hook looks at.
#[map]
pub static GATE: Array<Gate> = Array::with_max_entries(1, 0);

#[map]
pub static OBJECTS: HashMap<ObjectKey, Watch> = HashMap::with_max_entries(OBJECTS_MAX, 0);

/// Target by name inside a directory.
#[map]
pub static NAMES: HashMap<NameKey, u32> = HashMap::with_max_entries(NAMES_MAX, 0);

/// Target by TCP destination port, in host order.
#[map]
pub static PORTS: HashMap<u32, Watch> = HashMap::with_max_entries(PORTS_MAX, 0);

/// Connections to watched ports that began on this node.
#[map]
pub static FLOWS: LruHashMap<FlowKey, u8> = LruHashMap::with_max_entries(FLOWS_MAX, 0);

/// Executables that rules allow.
#[map]
pub static EXECUTABLES: HashMap<ObjectKey, u8> = HashMap::with_max_entries(EXECUTABLES_MAX, 0);

/// Target by directory above it.
#[map]
pub static ANCESTORS: HashMap<ObjectKey, u32> = HashMap::with_max_entries(ANCESTORS_MAX, 0);

/// Target by object that came into a watched tree since the daemon last looked.
#[map]
pub static LEARNED: LruHashMap<ObjectKey, Learned> = LruHashMap::with_max_entries(LEARNED_MAX, 0);

/// Target by the name of a directory above it that was renamed, replaced or removed since the daemon last looked.
#[map]
pub static MOVED: LruHashMap<NameKey, u32> = LruHashMap::with_max_entries(MOVED_MAX, 0);

/// Written by the kernel side.
#[map]
pub static NEWS: Array<News> = Array::with_max_entries(1, 0);

/// Written by the daemon.
#[map]
pub static NEWS_SEEN: Array<News> = Array::with_max_entries(1, 0);

#[map]
pub static OWN: Array<Own> = Array::with_max_entries(1, 0);

#[map]
pub static PROBE: Array<Probe> = Array::with_max_entries(1, 0);

#[map]
pub static EVENTS: RingBuf = RingBuf::with_byte_size(RING_BYTES, 0);

#[map]
pub static COUNTERS: PerCpuArray<u64> = PerCpuArray::with_max_entries(Counter::COUNT, 0);

/// Where a record is put together: it does not fit on the stack. One for each hook, because a hook can interrupt another.
#[map]
pub static SCRATCH: PerCpuArray<Scratch> = PerCpuArray::with_max_entries(Hook::COUNT, 0);

/// What processes do again and again. Each CPU counts for itself, so that nothing is lost between them.
#[map]
pub static REPEATS: LruPerCpuHashMap<RepeatKey, Repeat> = LruPerCpuHashMap::with_max_entries(REPEATS_MAX, 0);

/// What processes did lately of which nothing is left behind, by process. Only the `syscall` backend fills it.
#[map]
pub static DOERS: LruHashMap<u32, Doing> = LruHashMap::with_max_entries(DOERS_MAX, 0);

/// Who they are.
#[map]
pub static DESCRIPTIONS: LruHashMap<u32, Record> = LruHashMap::with_max_entries(DOERS_MAX, 0);

/// Adds one to a counter of this CPU.
#[inline(always)]
pub fn count(counter: Counter) {
    if let Some(value) = COUNTERS.get_ptr_mut(counter as u32) {
        // SAFETY: the map belongs to this CPU, and an interrupting program that loses an update loses one count.
        unsafe { *value += 1 };
    }
}
