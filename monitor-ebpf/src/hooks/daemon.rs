//! Not attached to anything: the daemon runs it with `BPF_PROG_TEST_RUN`, which calls it in the daemon's own context.

use aya_ebpf::EbpfContext as _;
use aya_ebpf::macros::raw_tracepoint;
use aya_ebpf::programs::RawTracePointContext;
use aya_log_ebpf::debug;

use crate::own;

/// The first argument says whether a probe begins (1) or ends (0).
#[raw_tracepoint]
pub fn announce(ctx: RawTracePointContext) -> i32 {
    let begins = ctx.arg::<u64>(0) != 0;
    debug!(&ctx, "probe of process {}: {}", ctx.tgid(), u32::from(begins));
    own::announce(begins);
    0
}
