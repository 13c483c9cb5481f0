//! The kernel's time since boot as time of day.

use jiff::Timestamp;
use rustix::time::{ClockId, Timespec, clock_gettime};

/// Nanoseconds that two measurements may differ without the system clock having been set. Below that the old one stays, so that a
/// process has the same start time in all its events.
const NOISE: u128 = 1_000_000;

/// The distance between the two clocks. It changes when the system clock is set, as after an early start or a suspended guest.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// Nanoseconds of the time of day at boot.
    boot: i128,
}

impl Clock {
    pub fn measure() -> Self {
        // The quickest of a few: whatever else runs in between makes a measurement worse.
        let measurements = [(); 3].map(|()| {
            let before = nanoseconds(clock_gettime(ClockId::Boottime));
            let now = nanoseconds(clock_gettime(ClockId::Realtime));
            let after = nanoseconds(clock_gettime(ClockId::Boottime));
            (after - before, now - (before + after) / 2)
        });
        Self::booted_at(measurements.into_iter().min().map_or(0, |(_, boot)| boot))
    }

    /// A machine that was booted so many nanoseconds after 1970.
    pub const fn booted_at(boot: i128) -> Self {
        Self { boot }
    }

    /// Follows the system clock when it was set since.
    pub fn follow(&mut self, measured: Self) {
        if measured.boot.abs_diff(self.boot) > NOISE {
            *self = measured;
        }
    }

    /// Nanoseconds since 1970 of a time since boot in nanoseconds.
    pub fn since_1970(&self, boottime: u64) -> i128 {
        self.boot + i128::from(boottime)
    }

    /// RFC 3339 with nanoseconds, in UTC, of a time since boot in nanoseconds.
    pub fn at(&self, boottime: u64) -> String {
        format(self.since_1970(boottime))
    }

    /// The current time of day.
    pub fn now(&self) -> String {
        format(nanoseconds(clock_gettime(ClockId::Realtime)))
    }
}

/// Now, in nanoseconds since boot.
pub fn since_boot() -> u64 {
    u64::try_from(nanoseconds(clock_gettime(ClockId::Boottime))).unwrap_or_default()
}

fn nanoseconds(time: Timespec) -> i128 {
    i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec)
}

fn format(nanoseconds: i128) -> String {
    let time = Timestamp::from_nanosecond(nanoseconds).unwrap_or(Timestamp::UNIX_EPOCH);
    format!("{time:.9}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_nanoseconds_and_utc() {
        let clock = Clock::booted_at(1_700_000_000_000_000_000);
        assert_eq!(clock.at(1_000_000_007), "2023-11-14T22:13:21.000000007Z");
        assert_eq!(clock.at(0), "2023-11-14T22:13:20.000000000Z");
    }

    #[test]
    fn a_clock_that_is_set_is_followed_and_noise_is_not() {
        let mut clock = Clock::booted_at(0);
        for noise in [1_000_000, -1_000_000] {
            clock.follow(Clock::booted_at(noise));
            assert_eq!(clock.at(0), "1970-01-01T00:00:00.000000000Z");
        }
        clock.follow(Clock::booted_at(1_700_000_000_000_000_000));
        assert_eq!(clock.at(0), "2023-11-14T22:13:20.000000000Z");
        clock.follow(Clock::booted_at(-2_000_000_000));
        assert_eq!(clock.at(0), "1969-12-31T23:59:58.000000000Z");
    }
}
