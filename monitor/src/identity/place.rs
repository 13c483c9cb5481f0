//! Is the process where the runtime put the container, or in a cgroup that only has the container's name?
//!
//! Whoever is given a part of the hierarchy, as a user's systemd is, can make a directory of any name in it.

/// Whether a path that ends with the container's cgroup is the one of its configuration. Of a node that is a container itself, the
/// path begins with cgroups that are not the node's.
pub fn is_at(path: &[u8], configured: &str, in_node: bool) -> bool {
    let Ok(path) = std::str::from_utf8(path) else { return false };
    let before = |end: &str| path.strip_suffix(end).is_some_and(|above| ours(above, in_node));
    match configured.split(':').collect::<Vec<_>>()[..] {
        // A runtime without systemd makes a directory of it, in its own cgroup.
        [slice, prefix, name] => {
            let literal = path.strip_suffix(configured).and_then(|above| above.strip_suffix('/'));
            before(&scope(slice, prefix, name)) || literal.is_some_and(is_service)
        }
        [path] if path.starts_with('/') => before(path),
        _ => false,
    }
}

/// What is above the configured place.
fn ours(above: &str, in_node: bool) -> bool {
    above.is_empty() || in_node && !is_users(above)
}

/// The cgroup of a runtime.
fn is_service(above: &str) -> bool {
    above.ends_with(".service") && !is_users(above)
}

/// What systemd gives to users to divide.
fn is_users(above: &str) -> bool {
    above.split('/').any(|name| name == "user.slice" || name.starts_with("user@"))
}

/// `/a.slice/a-b.slice/PREFIX-NAME.scope` of the slice `a-b.slice`.
fn scope(slice: &str, prefix: &str, name: &str) -> String {
    let slice = if slice.is_empty() { "system.slice" } else { slice };
    let mut path = String::new();
    let stem = slice.strip_suffix(".slice").unwrap_or(slice);
    for (end, _) in stem.match_indices('-').chain([(stem.len(), "")]) {
        path += &format!("/{}.slice", &stem[..end]);
    }
    let separator = if prefix.is_empty() { "" } else { "-" };
    path + &format!("/{prefix}{separator}{name}.scope")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYSTEMD: &str = "kubepods-burstable-pod1_2.slice:cri-containerd:abc";
    const SCOPE: &str =
        "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1_2.slice/cri-containerd-abc.scope";
    const DIRECTORY: &str = "/kubepods/burstable/pod1-2/abc";

    #[test]
    fn a_container_is_where_its_configuration_says() {
        for (path, configured, at) in [
            (SCOPE, SYSTEMD, true),
            (DIRECTORY, DIRECTORY, true),
            ("/default/x", "/default/x", true),
            ("/system.slice/docker-abc.scope", "system.slice:docker:abc", true),
            ("/system.slice/docker-abc.scope", ":docker:abc", true),
            (DIRECTORY, SYSTEMD, false),
            ("/user.slice/kubepods/burstable/pod1-2/abc", DIRECTORY, false),
            ("/other/kubepods/burstable/pod1-2/abc", DIRECTORY, false),
            ("/kubepods/burstable/pod1-3/abc", DIRECTORY, false),
            ("/x/abc", "x/abc", false),
            ("/x/abc", "", false),
            ("", "", false),
        ] {
            assert_eq!(is_at(path.as_bytes(), configured, false), at, "{path} {configured}");
        }
        let mine = format!("/user.slice/user-1000.slice/user@1000.service{SCOPE}");
        assert!(!is_at(mine.as_bytes(), SYSTEMD, false));
    }

    #[test]
    fn what_was_meant_for_systemd_is_beneath_its_runtime() {
        let below = |above: &str| is_at(format!("{above}/{SYSTEMD}").as_bytes(), SYSTEMD, false);
        assert!(below("/system.slice/containerd.service"));
        assert!(!below("/user.slice/user-1000.slice/user@1000.service"));
        assert!(!below("/user.slice/user-1000.slice/user@1000.service/a.service"));
        assert!(!below("/other"));
    }

    #[test]
    fn a_node_in_a_container_has_more_above() {
        for above in ["/docker/abc/kubelet", "/system.slice/docker-abc.scope/kubelet.slice"] {
            let path = format!("{above}{DIRECTORY}");
            assert!(is_at(path.as_bytes(), DIRECTORY, true));
            assert!(!is_at(path.as_bytes(), DIRECTORY, false));
        }
        let mine = format!("/user.slice/user-1000.slice/user@1000.service{DIRECTORY}");
        assert!(!is_at(mine.as_bytes(), DIRECTORY, true));
    }
}
