//! Another machine: a TCP stack of its own at the far end of a tunnel. This kernel has no socket of it.

use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::OwnedFd;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use smoltcp::iface::{Config, Interface, SocketSet};
use smoltcp::phy::{Medium, TunTapInterface};
use smoltcp::socket::tcp::{Socket, SocketBuffer};
use smoltcp::time::Instant as Time;
use smoltcp::wire::{HardwareAddress, IpCidr};

const HERE: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);
const THERE: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 2);
const PATIENCE: Duration = Duration::from_secs(30);

/// Listens on a port and lets the other machine connect to it. Returns this end. Meant for a network namespace of its own.
pub fn connects_to(port: u16) -> Result<Vec<OwnedFd>> {
    let mut device = TunTapInterface::new("tun0", Medium::Ip).context("unsupported: tunnels")?;
    ip(&["addr", "add", &format!("{HERE}/24"), "dev", "tun0"])?;
    ip(&["link", "set", "tun0", "up"])?;
    let listener = TcpListener::bind((HERE, port))?;
    listener.set_nonblocking(true)?;
    let mut interface = Interface::new(Config::new(HardwareAddress::Ip), &mut device, Time::now());
    interface.update_ip_addrs(|addresses| {
        // It has room for the first.
        let _full = addresses.push(IpCidr::new(THERE.into(), 24));
    });
    let buffer = || SocketBuffer::new(vec![0; 1024]);
    let mut sockets = SocketSet::new(Vec::new());
    let handle = sockets.add(Socket::new(buffer(), buffer()));
    let socket = sockets.get_mut::<Socket<'_>>(handle);
    socket.connect(interface.context(), (HERE, port), 40_000).map_err(|error| anyhow::anyhow!("{error}"))?;
    let started = Instant::now();
    loop {
        interface.poll(Time::now(), &mut device, &mut sockets);
        match listener.accept() {
            Ok((connection, _)) => return Ok(vec![connection.into()]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
        if started.elapsed() > PATIENCE {
            bail!("nobody connects");
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn ip(args: &[&str]) -> Result<()> {
    let status = Command::new("busybox").arg("ip").args(args).status().context("cannot start busybox")?;
    ensure!(status.success(), "ip {args:?}: {status}");
    Ok(())
}
