use monitor::fuzzing;

/// What was read from fanotify, and what statmount(2) answered.
pub fn fanotify(data: &[u8]) {
    if let Some(events) = fuzzing::fanotify(data) {
        // Each has a fixed part of 24 bytes.
        assert!(events * 24 <= data.len());
    }
    if let Some(point) = fuzzing::statmount(data) {
        assert!(point.as_os_str().len() < data.len());
    }
}
