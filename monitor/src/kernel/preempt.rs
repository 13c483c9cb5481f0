//! Whether another process can interrupt the kernel in its own code. Where it can, programs of trampolines, and of newer kernels'
//! tracepoints, are run in the middle of which one process is replaced by another; what that one does on the same CPU would start the
//! same program again, which the kernel skips. kprobes run with preemption off.
//! <https://elixir.bootlin.com/linux/v6.12/source/kernel/bpf/trampoline.c#L902>

use std::fs;

/// The mode is chosen at boot and can be changed here, as in `none voluntary (full)`. A container has it in the node's root only.
const MODES: [&str; 2] = ["/sys/kernel/debug/sched/preempt", "/proc/1/root/sys/kernel/debug/sched/preempt"];

/// Where the mode cannot be read, a kernel that was built for it counts as one that can.
pub fn is_possible() -> bool {
    let mode = MODES.iter().find_map(|path| fs::read_to_string(path).ok());
    let version = rustix::system::uname();
    says(mode.as_deref(), &version.version().to_string_lossy())
}

fn says(modes: Option<&str>, version: &str) -> bool {
    let mode = modes.and_then(|modes| Some(modes.split_once('(')?.1.split_once(')')?.0));
    match mode {
        Some("none" | "voluntary") => false,
        Some(_) => true,
        None => version.contains("PREEMPT"),
    }
}

#[cfg(test)]
mod tests {
    use super::says;

    #[test]
    fn mode_before_version() {
        let dynamic = "#1 SMP PREEMPT_DYNAMIC Debian 6.12.117-1";
        assert!(!says(Some("none (voluntary) full lazy\n"), dynamic));
        assert!(!says(Some("(none) voluntary full\n"), dynamic));
        assert!(says(Some("none voluntary (full)\n"), dynamic));
        assert!(says(Some("full (lazy)\n"), dynamic));
        assert!(says(None, dynamic));
        assert!(says(Some("what is this"), dynamic));
        assert!(says(None, "#1 SMP PREEMPT_RT"));
        assert!(!says(None, "#1 SMP Debian 5.10.218-1"));
    }
}
