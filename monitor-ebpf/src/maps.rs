//! All maps. The daemon fills the first group and reads the second.

use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap, PerCpuArray, RingBuf};
use monitor_abi::counters::Counter;
use monitor_abi::probe::{Gate, Own, Probe};
use monitor_abi::watch::{NAMES_MAX, NameKey, OBJECTS_MAX, ObjectKey, PORTS_MAX, Watch};

use crate::capture::scratch::Scratch;
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
pub static PORTS: HashMap<u32, u32> = HashMap::with_max_entries(PORTS_MAX, 0);

#[map]
pub static OWN: Array<Own> = Array::with_max_entries(1, 0);

#[map]
pub static PROBE: Array<Probe> = Array::with_max_entries(1, 0);

/// 4 MiB: about 3,000 records, which a reader that is scheduled within a second drains at the rate the design asks for.
#[map]
pub static EVENTS: RingBuf = RingBuf::with_byte_size(4 << 20, 0);

#[map]
pub static COUNTERS: PerCpuArray<u64> = PerCpuArray::with_max_entries(Counter::COUNT, 0);

/// Where a record is put together: it does not fit on the stack. One for each hook, because a hook can interrupt another.
#[map]
pub static SCRATCH: PerCpuArray<Scratch> = PerCpuArray::with_max_entries(Hook::COUNT, 0);

/// Adds one to a counter of this CPU.
#[inline(always)]
pub fn count(counter: Counter) {
    if let Some(value) = COUNTERS.get_ptr_mut(counter as u32) {
        // SAFETY: the map belongs to this CPU, and an interrupting program that loses an update loses one count.
        unsafe { *value += 1 };
    }
}
