//! Where the node listens, by the kernel's tables of TCP sockets. Nothing is connected to.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A node has some thousand sockets, of 150 bytes each.
const SIZE_MAX: u64 = 32 << 20;

/// Of process 1, because the daemon may have a network of its own.
const TABLES: [&str; 2] = ["/proc/1/net/tcp", "/proc/1/net/tcp6"];

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    pub table: &'static str,
    pub ip: IpAddr,
    pub port: u16,
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SocketAddr::new(self.ip, self.port).fmt(f)
    }
}

impl Listener {
    /// Whoever reaches the node reaches it.
    pub fn is_on_every_address(&self) -> bool {
        self.ip.is_unspecified()
    }
}

/// In the node's own network. The error is a sentence.
pub fn listening() -> Result<Vec<Listener>, String> {
    by(TABLES)
}

fn by(tables: [&'static str; 2]) -> Result<Vec<Listener>, String> {
    let mut found = Vec::new();
    for table in tables {
        let mut text = Vec::new();
        let read = File::open(table).and_then(|file| file.take(SIZE_MAX).read_to_end(&mut text));
        match read {
            Ok(_) => found.extend(parse(table, &String::from_utf8_lossy(&text))),
            // There is none where IPv6 is off.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && table != tables[0] => {}
            Err(error) => return Err(format!("where the node listens is not known: {table}: {error}")),
        }
    }
    Ok(found)
}

/// `sl local_address rem_address st …`, with the address as the CPU has its words.
/// <https://www.kernel.org/doc/html/latest/networking/proc_net_tcp.html>
pub(super) fn parse<'a>(table: &'static str, text: &'a str) -> impl Iterator<Item = Listener> + 'a {
    const LISTEN: &str = "0A";
    text.lines().skip(1).filter_map(move |line| {
        let mut fields = line.split_ascii_whitespace();
        let (address, port) = fields.nth(1)?.split_once(':')?;
        (fields.nth(1)? == LISTEN).then_some(())?;
        Some(Listener { table, ip: ip(address)?, port: u16::from_str_radix(port, 16).ok()? })
    })
}

fn ip(digits: &str) -> Option<IpAddr> {
    let word = |index: usize| u32::from_str_radix(digits.get(index * 8..index * 8 + 8)?, 16).ok();
    match digits.len() {
        8 => Some(Ipv4Addr::from(word(0)?.to_ne_bytes()).into()),
        32 => {
            let mut bytes = [0; 16];
            for (index, part) in bytes.as_chunks_mut::<4>().0.iter_mut().enumerate() {
                *part = word(index)?.to_ne_bytes();
            }
            Some(Ipv6Addr::from(bytes).to_canonical())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn only_what_listens_is_found() {
        let text = "  sl  local_address rem_address   st tx_queue\n   0: 0100007F:280A 00000000:0000 0A 00000000:00000000\n   \
                    1: 00000000:094B 00000000:0000 0A 0\n   2: 0100007F:2808 0100007F:9C40 01 0\nnonsense\n   3: XX:1 0 0A\n";
        let found: Vec<_> = parse(TABLES[0], text).map(|listener| listener.to_string()).collect();
        assert_eq!(found, ["127.0.0.1:10250", "0.0.0.0:2379"]);
        let text = "\n 0: 00000000000000000000000001000000:094B 0:0 0A\n 1: 00000000000000000000000000000000:094C 0:0 0A\n";
        let found: Vec<_> = parse(TABLES[1], text).collect();
        assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), ["[::1]:2379", "[::]:2380"]);
        assert!(found[1].is_on_every_address() && !found[0].is_on_every_address());
    }

    #[test]
    fn a_socket_of_this_machine_is_found() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let own = by(["/proc/self/net/tcp", "/proc/self/net/tcp6"]).unwrap();
        assert!(own.iter().any(|listener| listener.port == port && listener.ip.is_loopback()), "{own:?}");
        assert!(by(["/proc/self/net/none", "/proc/self/net/tcp6"]).is_err());
        assert!(by(["/proc/self/net/tcp", "/proc/self/net/none"]).is_ok());
    }
}
