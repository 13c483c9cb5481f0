//! What options take that clap does not read by itself.

use std::time::Duration;

use crate::coverage;

/// The beginning of a way's name.
pub(super) fn way(begin: &str) -> Result<String, String> {
    if coverage::WAYS.iter().any(|way| way.id.starts_with(begin)) {
        return Ok(begin.to_owned());
    }
    Err("no way begins so: `bypassd list coverage` names them".to_owned())
}

/// `1h30m`, in the units h, m and s, from large to small.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "write a time as 30s, 10m or 1h30m".to_owned();
    let duration: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
    Duration::try_from(duration).ok().filter(|duration| !duration.is_zero()).ok_or_else(wrong)
}

/// As above, or nothing at all. Counts are told when the window is over, which is not to take for ever.
pub(super) fn window(text: &str) -> Result<Duration, String> {
    const MOST: Duration = Duration::from_secs(3600);
    if text == "0s" {
        return Ok(Duration::ZERO);
    }
    duration(text)
        .ok()
        .filter(|duration| *duration <= MOST)
        .ok_or_else(|| "write a time up to 1h, as 5s or 1m, or 0s".to_owned())
}

/// Bytes, in powers of 1024.
pub(super) fn size(text: &str) -> Result<u64, String> {
    /// Events are written in larger pieces than that.
    const LEAST: u64 = 1 << 20;
    let shift = match text.bytes().last() {
        Some(b'K') => 10,
        Some(b'M') => 20,
        Some(b'G') => 30,
        _ => 0,
    };
    let digits = if shift == 0 { text } else { &text[..text.len() - 1] };
    let number =
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<u64>().ok()).flatten();
    let bytes = number.and_then(|number| number.checked_mul(1 << shift));
    bytes
        .filter(|bytes| *bytes >= LEAST)
        .ok_or_else(|| "write a size of at least 1M as 100M or 2G".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        for (text, bytes) in [("1M", 1 << 20), ("1024K", 1 << 20), ("2G", 2 << 30), ("1048576", 1 << 20)] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for bad in ["", "M", "0M", "1K", "+2M", "-1M", "1.5G", "1T", "99999999999999999G", "1Mé"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_are_read() {
        for (text, seconds) in [("30s", 30), ("10m", 600), ("1h30m", 5400)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(window("0s"), Ok(Duration::ZERO));
        assert_eq!(window("1h"), Ok(Duration::from_secs(3600)));
        assert!(window("2h").is_err());
        for bad in ["", "0s", "-3s", "30", "3 days", "x"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
