//! Reading them from the kernel's routing tables: what is delivered here is what they call local, whether a device has it or not.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::{fs, io};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// <https://elixir.bootlin.com/linux/v6.12/source/include/uapi/linux/ipv6_route.h#L37>
const RTF_LOCAL: u32 = 0x8000_0000;

pub(super) fn addresses() -> io::Result<Vec<IpNet>> {
    let v4 = fs::read_to_string("/proc/1/net/fib_trie")?;
    // Absent where IPv6 is off.
    let v6 = fs::read_to_string("/proc/1/net/ipv6_route").unwrap_or_default();
    let mut networks: Vec<_> = local_v4(&v4).map(IpNet::V4).chain(local_v6(&v6).map(IpNet::V6)).collect();
    networks.retain(|network| !network.addr().is_loopback());
    networks.sort_unstable();
    networks.dedup();
    Ok(networks)
}

/// Leaves of the routing trie that are marked as local: `|-- 10.0.0.7` followed by `/32 host LOCAL`.
fn local_v4(trie: &str) -> impl Iterator<Item = Ipv4Net> + '_ {
    let mut leaf: Option<Ipv4Addr> = None;
    trie.lines().filter_map(move |line| {
        if let Some((_, address)) = line.split_once("|-- ") {
            leaf = address.trim().parse().ok();
            return None;
        }
        let mut words = line.split_ascii_whitespace();
        let prefix = words.next()?.strip_prefix('/')?.parse().ok()?;
        let is_local = words.any(|word| word == "LOCAL");
        leaf.filter(|_| is_local).and_then(|leaf| Ipv4Net::new(leaf, prefix).ok())
    })
}

/// Lines of destination, its prefix, source, its prefix, next hop, metric, reference count, use, flags and device, all but the last
/// hexadecimal.
fn local_v6(table: &str) -> impl Iterator<Item = Ipv6Net> + '_ {
    table.lines().filter_map(|line| {
        let words: Vec<_> = line.split_ascii_whitespace().collect();
        let &[destination, prefix, _, _, _, _, _, _, flags, _] = words.as_slice() else { return None };
        let is_local = u32::from_str_radix(flags, 16).is_ok_and(|flags| flags & RTF_LOCAL != 0);
        if !is_local || destination.len() != 32 {
            return None;
        }
        let address = Ipv6Addr::from(u128::from_str_radix(destination, 16).ok()?);
        Ipv6Net::new(address, u8::from_str_radix(prefix, 16).ok()?).ok()
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
        assert_eq!(texts(local_v4(trie)), ["10.0.0.7/32"]);
    }

    #[test]
    fn whole_networks_can_be_local() {
        let trie = "Local:\n  +-- 10.99.0.0/16 2 0 2\n     |-- 10.99.0.0\n        /16 link UNICAST\n        /16 universe LOCAL tos=4\n";
        assert_eq!(texts(local_v4(trie)), ["10.99.0.0/16"]);
    }

    #[test]
    fn ipv6_lines_are_parsed_and_others_skipped() {
        let zero = "0".repeat(32);
        let line = |destination: &str, prefix, flags| {
            format!("{destination} {prefix} {zero} 00 {zero} 00000000 00000003 00000000 {flags}       lo\n")
        };
        let own = "fe80000000000000020c29fffe3c4d5e";
        let any = format!("20010db8{}", "0".repeat(24));
        let table = [
            line(own, "80", "80200001"),
            line(&any, "20", "80000001"),
            line(&zero, "00", "00200200"),
            line(own, "ff", "80200001"),
            "nonsense\n\n".to_owned(),
        ];
        assert_eq!(texts(local_v6(&table.concat())), ["fe80::20c:29ff:fe3c:4d5e/128", "2001:db8::/32"]);
    }

    #[test]
    fn this_machine_is_readable() {
        assert!(addresses().unwrap().iter().all(|network| !network.addr().is_loopback()));
    }

    fn texts(networks: impl Iterator<Item = impl ToString>) -> Vec<String> {
        networks.map(|network| network.to_string()).collect()
    }
}
