//! Who the daemon is and which namespaces are the node's, as the kernel side found them.

/// Inode numbers of namespaces, as the kernel programs report an actor's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Namespaces {
    pub mnt: u32,
    pub pid: u32,
    pub net: u32,
}

/// The first process id namespace, on every kernel.
/// <https://elixir.bootlin.com/linux/v6.12/source/include/linux/proc_ns.h>
pub const FIRST_PID_NS: u32 = 0xeffffffc;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// In the initial process id namespace.
    pub pid: u32,
    pub own: Namespaces,
    /// Those of the node's first process.
    pub node: Namespaces,
}

impl Identity {
    /// Whether /proc shows the node's processes under the ids the kernel programs report.
    pub fn sees_node_processes(&self) -> bool {
        self.own.pid == self.node.pid
    }
}

impl From<monitor_abi::probe::Namespaces> for Namespaces {
    fn from(namespaces: monitor_abi::probe::Namespaces) -> Self {
        let monitor_abi::probe::Namespaces { mnt, pid, net, pad: _ } = namespaces;
        Self { mnt, pid, net }
    }
}
