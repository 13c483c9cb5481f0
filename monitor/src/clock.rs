//! The kernel's time since boot as time of day.

use jiff::Timestamp;
use rustix::time::{ClockId, Timespec, clock_gettime};

/// The distance between the two clocks, as measured once. Steps of the system clock show after the next measurement.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// Nanoseconds of the time of day at boot.
    boot: i128,
}

impl Clock {
    pub fn measure() -> Self {
        let boottime = clock_gettime(ClockId::Boottime);
        let realtime = clock_gettime(ClockId::Realtime);
        Self { boot: nanoseconds(realtime) - nanoseconds(boottime) }
    }

    /// RFC 3339 with nanoseconds, in UTC, of a time since boot in nanoseconds.
    pub fn at(&self, boottime: u64) -> String {
        format(self.boot + i128::from(boottime))
    }

    /// The current time of day.
    pub fn now(&self) -> String {
        format(nanoseconds(clock_gettime(ClockId::Realtime)))
    }
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
        let clock = Clock { boot: 1_700_000_000_000_000_000 };
        assert_eq!(clock.at(1_000_000_007), "2023-11-14T22:13:21.000000007Z");
        assert_eq!(clock.at(0), "2023-11-14T22:13:20.000000000Z");
    }
}
