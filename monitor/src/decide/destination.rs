//! Is the destination of a connection the node's door, or something else with the same port number?

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::access::InetObject;
use crate::target::Destinations;

/// Of `::ffff:0:0/96`.
const MAPPED_PREFIX: u8 = 96;

/// Loopback is the node's only in the node's own network namespace; in a pod's it is the pod's. It is the socket's that counts: a
/// process can take a socket along into another.
pub fn destination_counts(
    destinations: &Destinations,
    own: &[IpNet],
    node_net_ns: u32,
    object: &InetObject,
) -> bool {
    // A connect to the unspecified address goes to loopback.
    let address = match object.dst_ip.to_canonical() {
        IpAddr::V4(address) if address.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(address) if address.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        address => address,
    };
    match destinations {
        Destinations::Any => true,
        Destinations::Networks(networks) => {
            let within = |network: &IpNet| {
                // A shorter prefix means IPv6, not the mapped addresses that happen to be in it.
                let in_mapped = network.prefix_len() >= MAPPED_PREFIX && network.contains(&mapped(address));
                network.contains(&address) || in_mapped
            };
            networks.iter().any(within)
        }
        Destinations::Outside => !address.is_loopback() || object.net_ns == node_net_ns,
        Destinations::Node if address.is_loopback() => object.net_ns == node_net_ns,
        Destinations::Node => own.iter().any(|own| own.contains(&address)),
    }
}

/// The form in which a policy may name a network of IPv4, too.
fn mapped(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) => IpAddr::V6(address.to_ipv6_mapped()),
        IpAddr::V6(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_port_elsewhere_is_no_door() {
        const NODE: u32 = 1;
        const POD: u32 = 2;
        let own = ["10.0.0.7/32", "fd00::7/128", "10.7.0.0/16"].map(|network| network.parse().unwrap());
        let networks = Destinations::Networks(vec!["10.0.0.0/8".parse().unwrap()]);
        let loopback =
            Destinations::Networks(vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()]);
        let all_v6 = Destinations::Networks(vec!["::/0".parse().unwrap()]);
        let mapped_network = Destinations::Networks(vec!["::ffff:10.0.0.0/104".parse().unwrap()]);
        for (destinations, address, net_ns, counts) in [
            (&Destinations::Node, "127.0.0.1", NODE, true),
            (&Destinations::Node, "127.8.8.8", NODE, true),
            (&Destinations::Node, "::1", NODE, true),
            (&Destinations::Node, "0.0.0.0", NODE, true),
            (&Destinations::Node, "127.0.0.1", POD, false),
            (&Destinations::Node, "::1", POD, false),
            (&Destinations::Node, "10.0.0.7", POD, true),
            (&Destinations::Node, "::ffff:10.0.0.7", POD, true),
            (&Destinations::Node, "fd00::7", POD, true),
            (&Destinations::Node, "10.0.0.8", NODE, false),
            (&Destinations::Node, "10.7.8.9", POD, true),
            (&Destinations::Any, "192.0.2.1", POD, true),
            (&Destinations::Any, "127.0.0.1", POD, true),
            (&Destinations::Outside, "192.0.2.1", POD, true),
            (&Destinations::Outside, "127.0.0.1", NODE, true),
            (&Destinations::Outside, "127.0.0.1", POD, false),
            (&Destinations::Outside, "::ffff:127.0.0.1", POD, false),
            (&Destinations::Outside, "0.0.0.0", POD, false),
            (&Destinations::Outside, "::", POD, false),
            (&networks, "10.1.2.3", POD, true),
            (&networks, "::ffff:10.1.2.3", POD, true),
            (&networks, "192.0.2.1", NODE, false),
            (&loopback, "127.0.0.1", NODE, true),
            (&loopback, "0.0.0.0", NODE, true),
            (&loopback, "::", NODE, true),
            (&loopback, "::ffff:0.0.0.0", NODE, true),
            (&networks, "0.0.0.0", NODE, false),
            (&mapped_network, "10.1.2.3", POD, true),
            (&mapped_network, "::ffff:10.1.2.3", POD, true),
            (&all_v6, "10.1.2.3", POD, false),
            (&all_v6, "fd00::8", POD, true),
            (&Destinations::Node, "::", NODE, true),
            (&Destinations::Node, "::", POD, false),
            (&Destinations::Node, "0.0.0.0", POD, false),
            (&Destinations::Node, "::ffff:127.0.0.1", POD, false),
        ] {
            let object = InetObject {
                src_ip: IpAddr::from([0, 0, 0, 0]),
                src_port: 0,
                dst_ip: address.parse().unwrap(),
                dst_port: 10250,
                inbound: false,
                net_ns,
            };
            let found = destination_counts(destinations, &own, NODE, &object);
            assert_eq!(found, counts, "{destinations:?} {address} from namespace {net_ns}");
        }
    }
}
