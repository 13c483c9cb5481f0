//! The ways that are covered and not gone, by reason.

/// They would cover the directory in the node's own mount namespace: in another it is another directory.
const ON_THE_NODE: &str = "would mount something in the node's own mount namespace";

pub(super) const UNTRIED: &[(&str, &[&str])] = &[
    ("would drop the node's caches", &["open.handle_uncached"]),
    (
        ON_THE_NODE,
        &[
            "mount.tmpfs_write",
            "mount.bind_write",
            "mount.bind_file_write",
            "mount.ancestor_write",
            "mount.propagated_write",
            "mount.move_mount_write",
            "mount.open_tree_write",
        ],
    ),
    ("would change the node's packet filter", &["tcp.redirected"]),
    ("is a race, which a child may lose", &["unix.swapped"]),
    ("needs a process that a rule allows", &["control.ptrace", "control.exe_file", "control.exe_map"]),
];
