//! Which systemd unit of the node a process belongs to.

/// The outermost unit of a cgroup path: whoever is given a part of the hierarchy, as a user's systemd is, makes cgroups of any name
/// beneath, so what is inside proves nothing, and nothing below `user.slice` does.
pub fn of_node(cgroup: &[u8]) -> Option<&str> {
    let mut names = std::str::from_utf8(cgroup).ok()?.split('/').filter(|name| !name.is_empty());
    let first = names.clone().next()?;
    if first == "user.slice" || !is_slice(first) {
        return None;
    }
    let unit = names.find(|name| !is_slice(name))?;
    is_unit(unit).then_some(unit)
}

fn is_slice(name: &str) -> bool {
    name.ends_with(".slice")
}

fn is_unit(name: &str) -> bool {
    [".service", ".scope", ".socket", ".mount", ".swap"].iter().any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outermost_unit_counts() {
        for (cgroup, unit) in [
            ("/system.slice/kubelet.service", Some("kubelet.service")),
            ("/runtime.slice/containerd.service", Some("containerd.service")),
            ("/system.slice/system-getty.slice/getty@tty1.service", Some("getty@tty1.service")),
            ("/system.slice/a.service/kubelet.service", Some("a.service")),
            ("/system.slice/a.service/x", Some("a.service")),
            ("/user.slice/user-1000.slice/user@1000.service/kubelet.service", None),
            (
                "/kubepods.slice/kubepods-pod1.slice/cri-containerd-abc.scope",
                Some("cri-containerd-abc.scope"),
            ),
            ("/kubelet.service", None),
            ("/system.slice/x/kubelet.service", None),
            ("/", None),
            ("", None),
        ] {
            assert_eq!(of_node(cgroup.as_bytes()), unit, "{cgroup}");
        }
    }
}
