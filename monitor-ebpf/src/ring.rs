//! Handing a finished record to the daemon. What does not fit is counted.

use aya_ebpf::helpers::generated::bpf_ringbuf_output;
use monitor_abi::counters::Counter;
use monitor_abi::record::RECORD_MAX;

use crate::capture::scratch::Scratch;
use crate::maps::{EVENTS, count};

#[inline(always)]
pub fn emit(scratch: &mut Scratch) {
    let length = scratch.finish();
    // VERIFIER: the bound has to be on the value that goes to the helper.
    if length > RECORD_MAX as u32 {
        count(Counter::LostInternal);
        return;
    }
    // SAFETY: the record is at least `length` bytes long, checked above.
    let result = unsafe {
        bpf_ringbuf_output(
            (&raw const EVENTS).cast_mut().cast(),
            scratch.record.0.as_mut_ptr().cast(),
            u64::from(length),
            0,
        )
    };
    count(if result == 0 { Counter::Emitted } else { Counter::LostRingFull });
}
