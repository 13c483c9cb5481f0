use monitor::fuzzing::unit;

/// The name of a cgroup: whoever may make one chooses it.
pub fn cgroup(data: &[u8]) {
    let Some(unit) = unit(data) else { return };
    assert!(data.split(|byte| *byte == b'/').any(|name| name == unit.as_bytes()), "{unit} is no part of it");
    assert!(unit.ends_with(".service") || unit.ends_with(".scope"), "{unit} is no unit");
}
