//! The kernel side's counters, added up over all CPUs.

use aya::Ebpf;
use aya::maps::PerCpuArray;
use monitor_abi::counters::Counter;

use super::object::LoadError;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    values: Vec<(Counter, u64)>,
}

impl Counters {
    pub(super) fn read(ebpf: &Ebpf) -> Result<Self, LoadError> {
        const NAME: &str = "COUNTERS";
        let failed = |source| LoadError::Map { name: NAME, source };
        let map = ebpf.map(NAME).ok_or(LoadError::Missing(NAME))?;
        let map: PerCpuArray<_, u64> = PerCpuArray::try_from(map).map_err(failed)?;
        let values = Counter::ALL
            .iter()
            .map(|counter| {
                let cpus = map.get(&(*counter as u32), 0).map_err(failed)?;
                Ok((*counter, cpus.iter().sum()))
            })
            .collect::<Result<_, LoadError>>()?;
        Ok(Self { values })
    }

    pub fn iter(&self) -> impl Iterator<Item = (Counter, u64)> + '_ {
        self.values.iter().copied()
    }

    /// Accesses that matched and never reached the daemon, by reason.
    pub fn losses(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.iter().filter(|(counter, _)| counter.is_loss()).map(|(counter, value)| (counter.name(), value))
    }
}
