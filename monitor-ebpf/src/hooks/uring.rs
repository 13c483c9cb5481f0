//! The `syscall` backend, for what no system call does: an io_uring request is complete.
//!
//! It runs in a task of the process, a worker or the poller among them, which share its file table.

use aya_ebpf::macros::raw_tracepoint;
use aya_ebpf::programs::RawTracePointContext;
use monitor_abi::fields::Field;

use super::doer;
use super::sys_exit::{self, connected_file};
use crate::reader::{Kernel, Probe, Reader};

/// <https://elixir.bootlin.com/linux/v6.12/source/include/uapi/linux/io_uring.h#L207>
const IORING_OP_CONNECT: u8 = 16;
const IORING_OP_OPENAT: u8 = 18;
const IORING_OP_OPENAT2: u8 = 28;

/// Linux 6.12: `TP_PROTO(struct io_ring_ctx *ctx, void *req, u64 user_data, int res, unsigned cflags, u64 extra1, u64 extra2)`
#[raw_tracepoint(tracepoint = "io_uring_complete")]
pub fn uring_complete_raw(ctx: RawTracePointContext) -> i32 {
    completed(ctx.arg(1));
    0
}

#[inline(always)]
fn completed(request: Kernel) {
    let result: i32 = Probe::read(request, Field::RequestResult);
    if result < 0 {
        return;
    }
    match Probe::read::<u8>(request, Field::RequestOpcode) {
        IORING_OP_OPENAT | IORING_OP_OPENAT2 => sys_exit::opened(result as u32, super::Hook::Uring, || true),
        IORING_OP_CONNECT => connected_file(Probe::pointer(request, Field::RequestFile), super::Hook::Uring),
        opcode => doer::completed(opcode),
    }
}
