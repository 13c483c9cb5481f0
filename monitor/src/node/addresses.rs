//! The node's own addresses, from process 1's network namespace: the daemon may run in another.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::{fs, io};

/// Every address the node answers on, loopback left out.
pub fn addresses() -> io::Result<Vec<IpAddr>> {
    let v4 = fs::read_to_string("/proc/1/net/fib_trie")?;
    // Absent where IPv6 is off.
    let v6 = fs::read_to_string("/proc/1/net/if_inet6").unwrap_or_default();
    let mut addresses: Vec<_> = local_v4(&v4).map(IpAddr::V4).chain(all_v6(&v6).map(IpAddr::V6)).collect();
    addresses.retain(|address| !address.is_loopback());
    addresses.sort_unstable();
    addresses.dedup();
    Ok(addresses)
}

/// Leaves of the routing trie that are marked as local: `|-- 10.0.0.7` followed by `/32 host LOCAL`.
fn local_v4(trie: &str) -> impl Iterator<Item = Ipv4Addr> + '_ {
    let mut leaf = None;
    trie.lines().filter_map(move |line| {
        if let Some((_, address)) = line.split_once("|-- ") {
            leaf = address.trim().parse().ok();
            None
        } else if line.trim_end().ends_with("/32 host LOCAL") {
            leaf
        } else {
            None
        }
    })
}

/// Lines of `fe80000000000000020c29fffe3c4d5e 02 40 20 80 eth0`.
fn all_v6(table: &str) -> impl Iterator<Item = Ipv6Addr> + '_ {
    table.lines().filter_map(|line| {
        let digits = line.split_ascii_whitespace().next()?;
        (digits.len() == 32).then(|| u128::from_str_radix(digits, 16).ok().map(Ipv6Addr::from)).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_local_leaves_count() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     +-- 10.0.0.0/24 2 0 2\n        \
                    |-- 10.0.0.0\n           /24 link UNICAST\n        |-- 10.0.0.7\n           /32 host LOCAL\n        |-- 10.0.0.255\n\
                    \x20          /32 link BROADCAST\n";
        assert_eq!(local_v4(trie).collect::<Vec<_>>(), [Ipv4Addr::new(10, 0, 0, 7)]);
    }

    #[test]
    fn ipv6_lines_are_parsed_and_others_skipped() {
        let table = "fe80000000000000020c29fffe3c4d5e 02 40 20 80     eth0\nnonsense\n\n";
        assert_eq!(all_v6(table).map(|a| a.to_string()).collect::<Vec<_>>(), ["fe80::20c:29ff:fe3c:4d5e"]);
    }

    #[test]
    fn this_machine_is_readable() {
        assert!(addresses().unwrap().iter().all(|address| !address.is_loopback()));
    }
}
