//! Calls of bpf(2) that no other process interrupts. Where the kernel can be interrupted in its own code, it runs no kprobe on a CPU
//! whose process was in the middle of reading or writing a table when another took its place.
//! <https://elixir.bootlin.com/linux/v6.12/source/include/linux/bpf.h#L2047>

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The lowest of real time is above everything that is not.
const PRIORITY: u8 = 1;

/// Whether calls are made like that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calm {
    /// Nothing is skipped because of them, or they are like that anyway.
    Needless,
    /// And what to go back to.
    Possible { ordinary: libc::c_int },
    /// The right to it is lacking.
    Refused,
}

impl Calm {
    /// Tries it, and keeps the right to it when capabilities are given up.
    pub(super) fn of_this_process() -> Self {
        // SAFETY: it takes a number; 0 is the calling thread.
        let ordinary = unsafe { libc::sched_getscheduler(0) } & !libc::SCHED_RESET_ON_FORK;
        if ![libc::SCHED_OTHER, libc::SCHED_BATCH, libc::SCHED_IDLE].contains(&ordinary) {
            return Self::Needless;
        }
        allow();
        if schedule(libc::SCHED_FIFO, PRIORITY) && schedule(ordinary, 0) {
            Self::Possible { ordinary }
        } else {
            Self::Refused
        }
    }

    /// Until what it returns is dropped, this thread gives its CPU to interrupts and real-time processes only.
    pub(super) fn keep(self) -> Kept {
        match self {
            Self::Possible { ordinary } => Kept(schedule(libc::SCHED_FIFO, PRIORITY).then_some(ordinary)),
            Self::Needless | Self::Refused => Kept(None),
        }
    }
}

/// It does without CAP_SYS_NICE then.
fn allow() {
    let least = u64::from(PRIORITY);
    let Rlimit { current, maximum } = getrlimit(Resource::Rtprio);
    let raised = |limit: Option<u64>| limit.map(|limit| limit.max(least));
    let wanted = Rlimit { current: raised(current), maximum: raised(maximum) };
    if let Err(error) = setrlimit(Resource::Rtprio, wanted) {
        tracing::debug!(%error, "cannot raise the limit of real-time priorities");
    }
}

#[must_use]
pub(super) struct Kept(Option<libc::c_int>);

impl Drop for Kept {
    fn drop(&mut self) {
        if self.0.is_some_and(|ordinary| !schedule(ordinary, 0)) {
            tracing::warn!("cannot go back to an ordinary priority");
        }
    }
}

/// Children begin with an ordinary one.
fn schedule(policy: libc::c_int, priority: u8) -> bool {
    let parameters = libc::sched_param { sched_priority: priority.into() };
    // SAFETY: the kernel reads the parameters and keeps nothing of them. 0 is the calling thread.
    unsafe { libc::sched_setscheduler(0, policy | libc::SCHED_RESET_ON_FORK, &raw const parameters) == 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_to_its_end() {
        let calm = Calm::of_this_process();
        let policy = || {
            // SAFETY: it takes a number.
            unsafe { libc::sched_getscheduler(0) & !libc::SCHED_RESET_ON_FORK }
        };
        let before = policy();
        let kept = calm.keep();
        assert_eq!(policy() == libc::SCHED_FIFO, matches!(calm, Calm::Possible { .. }));
        drop(kept);
        assert_eq!(policy(), before);
        assert_eq!(policy(), libc::SCHED_OTHER);
        drop(Calm::Needless.keep());
        assert_eq!(policy(), libc::SCHED_OTHER);
    }
}
