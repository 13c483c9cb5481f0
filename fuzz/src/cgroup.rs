use monitor::fuzzing::unit;
use monitor::identity::cgroup::containers;

/// The name of a cgroup: whoever may make one chooses it.
pub fn cgroup(data: &[u8]) {
    in_containers(data);
    let Some(unit) = unit(data) else { return };
    assert!(data.split(|byte| *byte == b'/').any(|name| name == unit.as_bytes()), "{unit} is no part of it");
    assert!(unit.ends_with(".service") || unit.ends_with(".scope"), "{unit} is no unit");
}

/// Each is where its name is, can be joined to a path, and leads nowhere else.
fn in_containers(data: &[u8]) {
    let mut start = 0;
    for found in containers(data) {
        let id = found.id.as_bytes();
        let part = data.get(start..found.end).unwrap_or_else(|| panic!("{found:?} ends outside of the path"));
        assert!(part.windows(id.len()).any(|part| part == id), "{found:?} is not in {}", part.escape_ascii());
        assert!(!id.contains(&b'/') && !id.starts_with(b"."), "{found:?}");
        start = found.end;
    }
}
