//! Which tests run on which kernel. All run on this machine; in guests, where the start of a daemon takes seconds, only what the
//! kernel can make a difference to runs on every one.

use super::kernel::Series;

/// Beginnings of the names of tests about the daemon: besides this machine, one kernel has them, so that each guest takes about as
/// long. What differs most between kernels has the oldest and the newest.
const SOME_KERNELS: [(&str, &[&str]); 20] = [
    ("backends::blind", &["7.x"]),
    ("backends::emptied", &["7.x"]),
    ("backends::frozen", &["7.x"]),
    ("bad_input::", &["6.12"]),
    ("collect::", &["7.x"]),
    ("commands::", &["6.12"]),
    ("containers::", &["6.12"]),
    ("doors::", &["6.1"]),
    ("explain::", &["6.1"]),
    ("flood::", &["5.10", "7.x"]),
    ("image::", &["7.x"]),
    ("keys::", &["6.1"]),
    ("lifecycle::", &["6.1"]),
    ("manifests::", &["5.10"]),
    ("policy::", &["6.1"]),
    ("real::", &["6.12"]),
    ("reload::", &["6.12"]),
    ("selftest::", &["5.10", "7.x"]),
    ("served::", &["6.1"]),
    ("snapshot::", &["5.10", "7.x"]),
];

/// The same of tests that ask the kernel for nothing of their own.
const NO_KERNEL: [&str; 10] = [
    "dist::",
    "learn::",
    "operations::",
    "output::",
    "posture::",
    "report::",
    "running::",
    "shippers::",
    "soak::",
    "view::",
];

/// What is left to other runs.
pub fn elsewhere(series: &Series) -> Vec<&'static str> {
    let others = SOME_KERNELS.iter().filter(|(_, kernels)| !kernels.contains(&series.name));
    others.map(|(beginning, _)| *beginning).chain(NO_KERNEL).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::kernel::ALL;

    #[test]
    fn every_test_is_somewhere() {
        let known: Vec<_> = ALL.iter().map(|series| series.name).collect();
        for (beginning, kernels) in SOME_KERNELS {
            assert!(!kernels.is_empty(), "{beginning} has no kernel");
            assert!(kernels.iter().all(|kernel| known.contains(kernel)), "{beginning}: {kernels:?}");
            assert!(!NO_KERNEL.contains(&beginning), "{beginning}");
        }
    }
}
