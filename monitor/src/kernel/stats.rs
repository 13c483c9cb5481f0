//! The kernel side's counters, added up over all CPUs.

use std::fs;
use std::os::fd::{AsFd as _, AsRawFd as _};

use aya::Ebpf;
use aya::maps::PerCpuArray;
use aya::programs::Program;
use monitor_abi::counters::Counter;

use super::object::LoadError;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    values: Vec<(Counter, u64)>,
    /// By program; those without any are left out.
    missed_runs: Vec<(String, u64)>,
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
        Ok(Self { values, missed_runs: missed_runs(ebpf) })
    }

    #[cfg(test)]
    pub(crate) fn of_missed(program: &str, runs: u64) -> Self {
        Self { values: Vec::new(), missed_runs: vec![(program.to_owned(), runs)] }
    }

    pub fn iter(&self) -> impl Iterator<Item = (Counter, u64)> + '_ {
        self.values.iter().copied()
    }

    /// Times the kernel did not run one of the programs, because a run of the same program on that CPU was interrupted by
    /// what would have started it. Whether a watched object was used is not known.
    pub fn missed_runs(&self) -> u64 {
        self.missed_runs.iter().map(|(_, runs)| runs).sum()
    }

    pub fn missed_by_program(&self) -> &[(String, u64)] {
        &self.missed_runs
    }

    /// Accesses that matched and never reached the daemon, by reason.
    pub fn losses(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.iter().filter(|(counter, _)| counter.is_loss()).map(|(counter, value)| (counter.name(), value))
    }
}

/// From /proc/self/fdinfo, where kernels since 5.12 say it.
/// <https://elixir.bootlin.com/linux/v6.12/source/kernel/bpf/syscall.c#L2337>
fn missed_runs(ebpf: &Ebpf) -> Vec<(String, u64)> {
    let of = |program: &Program| {
        let fd = program.fd().ok()?;
        missed(&fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_fd().as_raw_fd())).ok()?)
    };
    let all = ebpf.programs().filter_map(|(name, program)| Some((name.to_owned(), of(program)?)));
    all.filter(|(_, runs)| *runs > 0).collect()
}

fn missed(fdinfo: &str) -> Option<u64> {
    fdinfo.lines().find_map(|line| line.strip_prefix("recursion_misses:")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::missed;

    #[test]
    fn misses_are_found() {
        assert_eq!(missed("prog_type:\t26\nrun_cnt:\t0\nrecursion_misses:\t7\n"), Some(7));
        assert_eq!(missed("prog_type:\t26\n"), None);
    }
}
