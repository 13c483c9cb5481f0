//! What the kernel side counted instead of recording it.

use aya::Ebpf;
use aya::maps::{MapData, MapError, PerCpuHashMap};
use monitor_abi::repeat::{Repeat, RepeatKey};

use super::object::LoadError;

const NAME: &str = "REPEATS";

pub struct Repeats {
    map: PerCpuHashMap<MapData, RepeatKey, Repeat>,
}

impl Repeats {
    pub(super) fn new(ebpf: &mut Ebpf) -> Result<Self, LoadError> {
        let map = ebpf.take_map(NAME).ok_or(LoadError::Missing(NAME))?;
        let map = PerCpuHashMap::try_from(map).map_err(|source| LoadError::Map { name: NAME, source })?;
        Ok(Self { map })
    }

    /// The counts of all CPUs. An entry that cannot be read was just replaced.
    pub(super) fn read(&self) -> Vec<(RepeatKey, Repeat)> {
        let add = |sum: Repeat, cpu: &Repeat| Repeat {
            since: sum.since.max(cpu.since),
            last: sum.last.max(cpu.last),
            count: sum.count + cpu.count,
        };
        let entries = self.map.iter().flatten();
        entries.map(|(key, cpus)| (key, cpus.iter().fold(Repeat::default(), add))).collect()
    }

    /// Makes room for others.
    pub(super) fn forget(&mut self, key: &RepeatKey) {
        match self.map.remove(key) {
            Ok(()) | Err(MapError::KeyNotFound) => {}
            Err(error) => tracing::warn!(%error, "cannot forget a repeated access"),
        }
    }
}
