//! One body for every way to attach: each hands out the arguments of the kernel function in its own manner.

use aya_ebpf::programs::{BtfTracePointContext, FEntryContext, ProbeContext, RawTracePointContext};

use crate::reader::{Kernel, Probe, Reader, Typed};

/// The arguments of the kernel function or tracepoint.
///
/// VERIFIER: the index has to be a constant where it is used, so implementations are inlined.
pub trait Arguments {
    /// How what they point to can be read.
    type Reader: Reader;

    fn argument(&self, index: usize) -> usize;

    #[inline(always)]
    fn pointer(&self, index: usize) -> Kernel {
        self.argument(index) as Kernel
    }
}

impl Arguments for FEntryContext {
    type Reader = Typed;

    #[inline(always)]
    fn argument(&self, index: usize) -> usize {
        self.arg(index)
    }
}

impl Arguments for BtfTracePointContext {
    type Reader = Typed;

    #[inline(always)]
    fn argument(&self, index: usize) -> usize {
        self.arg(index)
    }
}

impl Arguments for RawTracePointContext {
    type Reader = Probe;

    #[inline(always)]
    fn argument(&self, index: usize) -> usize {
        self.arg(index)
    }
}

impl Arguments for ProbeContext {
    type Reader = Probe;

    #[inline(always)]
    fn argument(&self, index: usize) -> usize {
        self.arg(index).unwrap_or_default()
    }
}

/// The entries of a body at a kernel function: by fentry, and by kprobe where there are no trampolines.
macro_rules! function {
    ($(#[$doc:meta])* $function:literal, $fentry:ident, $kprobe:ident, $body:expr) => {
        $(#[$doc])*
        #[aya_ebpf::macros::fentry(function = $function)]
        pub fn $fentry(ctx: aya_ebpf::programs::FEntryContext) -> i32 {
            $body(&ctx);
            0
        }

        $(#[$doc])*
        #[aya_ebpf::macros::kprobe(function = $function)]
        pub fn $kprobe(ctx: aya_ebpf::programs::ProbeContext) -> u32 {
            $body(&ctx);
            0
        }
    };
}

pub(crate) use function;
