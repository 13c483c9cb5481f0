//! Whose word counts. Anybody can call a program `kubelet` and give it a configuration; each that is believed adds targets.
//!
//! Believed is what only root on the node can start: a process of root in the node's own process ids and users, outside of every
//! container; of another user, only the service of its own name. Of programs that run in pods, only etcd and kube-apiserver are, in a container that its runtime
//! is proven to have made for a pod of the control plane, in the node's own network.

use super::program::Program;

/// What is known of a process.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    pub program: Program,
    pub root: bool,
    /// Whether it is in the namespaces of process 1.
    pub node_pids: bool,
    pub node_users: bool,
    pub node_net: bool,
    /// Some cgroup of it is a container's or a pod's.
    pub contained: bool,
    /// The outermost unit of systemd.
    pub unit: Option<&'a str>,
    /// Namespace of the pod and name of the container, if proven.
    pub container: Option<(&'a str, &'a str)>,
}

/// Where distributions run the control plane.
const NAMESPACES: [&str; 3] = ["kube-system", "openshift-etcd", "openshift-kube-apiserver"];

pub fn is_believed(facts: Facts<'_>) -> bool {
    let Facts { program, root, node_pids, node_users, node_net, contained, unit, container } = facts;
    if let Some((namespace, name)) = container {
        return program.is_in_pods() && node_net && NAMESPACES.contains(&namespace) && name == program.name();
    }
    node_pids && node_users && !contained && (root || is_own_service(program, unit))
}

/// Whether systemd runs it as a service with the program's name.
pub fn is_own_service(program: Program, unit: Option<&str>) -> bool {
    unit.is_some_and(|unit| unit.starts_with(program.name()) && unit.ends_with(".service"))
}

/// Whether one of the cgroups of /proc/PID/cgroup is a container's or a pod's.
pub fn is_contained(cgroups: &[u8]) -> bool {
    paths(cgroups).any(|path| {
        let sure = crate::identity::cgroup::containers(path).iter().any(|container| container.sure);
        sure || path.windows(b"kubepods".len()).any(|name| name == b"kubepods")
    })
}

/// `/system.slice/UNIT/…`
pub fn unit(cgroups: &[u8]) -> Option<&str> {
    paths(cgroups).find_map(|path| {
        let name = path.strip_prefix(b"/system.slice/")?.split(|byte| *byte == b'/').next()?;
        std::str::from_utf8(name).ok()
    })
}

/// Lines of `4:memory:/kubepods/…`; a path can have colons.
pub fn paths(cgroups: &[u8]) -> impl Iterator<Item = &[u8]> {
    cgroups.split(|byte| *byte == b'\n').filter_map(|line| line.splitn(3, |byte| *byte == b':').nth(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OF_ROOT: Facts<'_> = Facts {
        program: Program::Kubelet,
        root: true,
        node_pids: true,
        node_users: true,
        node_net: true,
        contained: false,
        unit: None,
        container: None,
    };

    #[test]
    fn what_only_root_of_the_node_can_start_is_believed() {
        assert!(is_believed(OF_ROOT));
        // Talos' kubelet has mounts and a network of its own, and is in no pod.
        assert!(is_believed(Facts { node_net: false, ..OF_ROOT }));
        for stranger in [
            Facts { root: false, ..OF_ROOT },
            Facts { node_pids: false, ..OF_ROOT },
            Facts { node_users: false, ..OF_ROOT },
            Facts { contained: true, ..OF_ROOT },
            Facts { container: Some(("kube-system", "kubelet")), ..OF_ROOT },
        ] {
            assert!(!is_believed(stranger), "{stranger:?}");
        }
    }

    #[test]
    fn a_service_of_its_own_name_is_believed() {
        let etcd = Facts { program: Program::Etcd, root: false, unit: Some("etcd.service"), ..OF_ROOT };
        assert!(is_believed(etcd));
        assert!(!is_believed(Facts { unit: Some("cron.service"), ..etcd }));
        assert!(!is_believed(Facts { unit: Some("etcd.scope"), ..etcd }));
        assert!(!is_believed(Facts { unit: None, ..etcd }));
    }

    #[test]
    fn the_control_plane_runs_in_pods_of_its_namespaces() {
        let etcd = Facts {
            program: Program::Etcd,
            root: false,
            node_pids: false,
            contained: true,
            container: Some(("kube-system", "etcd")),
            ..OF_ROOT
        };
        assert!(is_believed(etcd));
        for stranger in [
            Facts { container: Some(("default", "etcd")), ..etcd },
            Facts { container: Some(("kube-system", "kube-apiserver")), ..etcd },
            Facts { container: None, ..etcd },
            Facts { node_net: false, ..etcd },
        ] {
            assert!(!is_believed(stranger), "{stranger:?}");
        }
    }

    #[test]
    fn cgroups_tell_containers() {
        for (cgroups, contained) in [
            ("0::/system.slice/kubelet.service\n", false),
            ("0::/\n", false),
            ("12:memory:/kubepods/besteffort/pod1/x\n0::/\n", true),
            ("0::/kubepods.slice/kubepods-pod1.slice/x", true),
            (
                "0::/system.slice/docker-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.scope",
                true,
            ),
            ("0::/podruntime/kubelet", false),
        ] {
            assert_eq!(is_contained(cgroups.as_bytes()), contained, "{cgroups}");
        }
        assert_eq!(unit(b"1:name=systemd:/\n0::/system.slice/etcd.service/x\n"), Some("etcd.service"));
        assert_eq!(unit(b"0::/user.slice/user-1.slice/etcd.service\n"), None);
    }
}
