//! A TCP socket changes state. `CLOSE` to `SYN_SENT` is a connect in the context of the process that asked for it, whichever
//! call it used: connect, TCP fast open, MPTCP, io_uring.

use aya_ebpf::macros::{btf_tracepoint, raw_tracepoint};
use aya_ebpf::programs::{BtfTracePointContext, RawTracePointContext};
use monitor_abi::fields::Field;
use monitor_abi::probe::PROBE_INET;
use monitor_abi::record::{InetObject, TAG_INET};
use monitor_abi::watch::ObjectKey;

use super::Hook;
use crate::capture::{self, Found};
use crate::matching::{self, Match};
use crate::own;
use crate::reader::{Kernel, Probe, Reader, Typed, address, has, value};

/// <https://elixir.bootlin.com/linux/v6.12/source/include/net/tcp_states.h#L12>
const TCP_SYN_SENT: i32 = 2;
const TCP_CLOSE: i32 = 7;

/// <https://elixir.bootlin.com/linux/v6.12/source/include/linux/socket.h#L191>
const AF_INET: u16 = 2;

/// `TP_PROTO(const struct sock *sk, const int oldstate, const int newstate)`
#[btf_tracepoint(function = "inet_sock_set_state")]
pub fn inet_state_btf(ctx: BtfTracePointContext) -> i32 {
    changed::<Typed>(ctx.arg(0), ctx.arg(1), ctx.arg(2));
    0
}

/// `TP_PROTO(const struct sock *sk, const int oldstate, const int newstate)`
#[raw_tracepoint(tracepoint = "inet_sock_set_state")]
pub fn inet_state_raw(ctx: RawTracePointContext) -> i32 {
    changed::<Probe>(ctx.arg(0), ctx.arg(1), ctx.arg(2));
    0
}

#[inline(always)]
fn changed<R: Reader>(sk: Kernel, old: i32, new: i32) {
    if old != TCP_CLOSE || new != TCP_SYN_SENT {
        return;
    }
    let port = u16::from_be(R::read(sk, Field::SockDport));
    if own::is_probe() {
        own::answer(PROBE_INET, ObjectKey::default(), port);
    }
    if let Some(found) = matching::port(port) {
        report(sk, found, port);
    }
}

#[inline(never)]
fn report(sk: Kernel, matched: Match, port: u16) {
    let found = Found { tag: TAG_INET, matched, mnt: core::ptr::null(), dentry: core::ptr::null() };
    capture::access(Hook::InetState, &found, |object: &mut InetObject| {
        ip(&mut object.src, sk, Field::SockSaddr, Field::SockSaddr6);
        ip(&mut object.dst, sk, Field::SockDaddr, Field::SockDaddr6);
        // Zero where the kernel chooses the port: it does so only after this change of state.
        object.src_port = Probe::read(sk, Field::SockNum);
        object.dst_port = port;
        object.inbound = 0;
    });
}

/// An address as IPv6. A v6 socket that talks v4-mapped holds the mapped address in its v6 member already.
#[inline(always)]
fn ip(place: &mut [u8; 16], sk: Kernel, v4: Field, v6: Field) {
    let family: u16 = Probe::read(sk, Field::SockFamily);
    if family != AF_INET && has(v6) {
        *place = value(address(sk, v6));
    } else {
        *place = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0];
        place[12..].copy_from_slice(&Probe::read::<[u8; 4]>(sk, v4));
    }
}
