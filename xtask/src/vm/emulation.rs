//! Guests' kernels that stop because they are emulated, and through no fault of anybody's.

/// Whether the kernel stopped because it is emulated: one CPU sometimes meets the breakpoint that another put where it rewrites the
/// kernel's code, and has taken away again. Mostly that is while it boots, before anything of ours ran. Our probes are at the beginning of
/// functions, so a breakpoint further on is none of them.
pub fn stopped_it(console: &str) -> bool {
    const PROBED: u32 = 16;
    let place = console.split_once("Oops: int3").and_then(|(_, rest)| rest.split_once("RIP: 0010:"));
    let offset = place.and_then(|(_, place)| place.split_once("+0x")?.1.split_once('/'));
    let offset = offset.and_then(|(offset, _)| u32::from_str_radix(offset, 16).ok());
    console.contains("Kernel panic")
        && (offset.is_some_and(|offset| offset > PROBED) || !console.contains("running "))
}

#[cfg(test)]
mod tests {
    use super::stopped_it;

    #[test]
    fn only_a_kernel_that_stopped_by_itself_is_booted_again() {
        let panic = "Kernel panic - not syncing: Fatal exception in interrupt";
        let int3 = format!("[ 1.2] Oops: int3: 0000 [#1]\n[ 1.3] {panic}");
        assert!(stopped_it(&int3));
        let at = |place: &str| {
            format!("running 7 tests\n[ 1.2] Oops: int3: 0000 [#1]\nRIP: 0010:{place}/0x3b0\n[ 1.3] {panic}")
        };
        assert!(stopped_it(&at("__alloc_frozen_pages_noprof+0x1d3")));
        assert!(!stopped_it(&at("security_file_open+0x4")));
        assert!(stopped_it(panic));
        assert!(!stopped_it(&format!("running 7 tests\n[ 1.2] BUG: kernel NULL pointer\n{panic}")));
        assert!(!stopped_it("guest-init: exit code 101"));
    }
}
