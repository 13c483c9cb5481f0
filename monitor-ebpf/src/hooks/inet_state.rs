//! A TCP socket changes state. `CLOSE` to `SYN_SENT` is a connect in the context of the process that asked for it, whichever
//! call it used: connect, TCP fast open, MPTCP, io_uring. What becomes of it, and connections from elsewhere, happen in interrupts, where
//! the current process is anyone.

use aya_ebpf::macros::{btf_tracepoint, kprobe, raw_tracepoint};
use aya_ebpf::programs::{BtfTracePointContext, ProbeContext, RawTracePointContext};
use monitor_abi::fields::Field;
use monitor_abi::probe::PROBE_INET;
use monitor_abi::record::{HEAD_NO_ACTOR, InetObject, TAG_INET, TAG_OUTCOME};
use monitor_abi::repeat;
use monitor_abi::watch::{FlowKey, ObjectKey};

use super::Hook;
use super::attach::Arguments;
use crate::again::Same;
use crate::capture::{self, Found, Place};
use crate::maps::FLOWS;
use crate::matching::{self, Match};
use crate::own;
use crate::reader::{Kernel, Probe, Reader, has};

/// <https://elixir.bootlin.com/linux/v6.12/source/include/net/tcp_states.h#L12>
const TCP_ESTABLISHED: u32 = 1;
const TCP_SYN_SENT: u32 = 2;
const TCP_SYN_RECV: u32 = 3;
const TCP_CLOSE: u32 = 7;

/// <https://elixir.bootlin.com/linux/v6.12/source/include/linux/socket.h#L191>
const AF_INET: u16 = 2;

/// `TP_PROTO(const struct sock *sk, const int oldstate, const int newstate)`
#[btf_tracepoint(function = "inet_sock_set_state")]
pub fn inet_state_btf(ctx: BtfTracePointContext) -> i32 {
    changed(&ctx);
    0
}

/// `TP_PROTO(const struct sock *sk, const int oldstate, const int newstate)`
#[raw_tracepoint(tracepoint = "inet_sock_set_state")]
pub fn inet_state_raw(ctx: RawTracePointContext) -> i32 {
    changed(&ctx);
    0
}

/// `void tcp_set_state(struct sock *sk, int state)`
///
/// The tracepoint's program can be skipped where the kernel can be interrupted.
#[kprobe(function = "tcp_set_state")]
pub fn tcp_state_kprobe(ctx: ProbeContext) -> u32 {
    let sk = ctx.pointer(0);
    to_state::<Probe>(sk, Probe::read::<u8>(sk, Field::SockState).into(), ctx.argument(1) as u32);
    0
}

#[inline(always)]
fn changed<A: Arguments>(ctx: &A) {
    to_state::<A::Reader>(ctx.pointer(0), ctx.argument(1) as u32, ctx.argument(2) as u32);
}

#[inline(always)]
fn to_state<R: Reader>(sk: Kernel, old: u32, new: u32) {
    match (old, new) {
        (TCP_CLOSE, TCP_SYN_SENT) => begun::<R>(sk, u16::from_be(R::read(sk, Field::SockDport))),
        (TCP_SYN_SENT, TCP_ESTABLISHED | TCP_CLOSE) => {
            ended::<R>(sk, u16::from_be(R::read(sk, Field::SockDport)), new == TCP_ESTABLISHED);
        }
        (TCP_SYN_RECV, TCP_ESTABLISHED) => accepted::<R>(sk, R::read(sk, Field::SockNum)),
        _ => {}
    }
}

#[inline(always)]
fn begun<R: Reader>(sk: Kernel, port: u16) {
    if own::is_probe() {
        own::answer(PROBE_INET, ObjectKey::default(), 0, port);
    }
    if let Some(matched) = matching::port(port) {
        report::<R>(sk, matched, Hook::InetState, TAG_INET);
    }
}

/// The connection stands, or is refused.
#[inline(always)]
fn ended<R: Reader>(sk: Kernel, port: u16, established: bool) {
    let Some(matched) = matching::port(port) else { return };
    if established {
        // What the map forgets is reported from both ends.
        let _ = remember::<R>(sk);
    }
    let matched = matched.with(HEAD_NO_ACTOR);
    report::<R>(sk, matched, Hook::InetOutcome, TAG_OUTCOME);
}

/// A connection from elsewhere stands. One from this node was reported where it began.
#[inline(always)]
fn accepted<R: Reader>(sk: Kernel, port: u16) {
    if let Some(matched) = matching::inbound_port(port)
        && !is_remembered::<R>(sk)
    {
        report::<R>(sk, matched, Hook::InetAccept, TAG_INET);
    }
}

/// VERIFIER: a function of its own, because a key on the stack of the hook would leave too little of it for the capture; and one that
/// returns something, because what is left in the register else may point to that stack.
#[inline(never)]
fn remember<R: Reader>(sk: Kernel) -> bool {
    FLOWS.insert(flow::<R>(sk, false), 1, 0).is_ok()
}

/// VERIFIER: as above.
#[inline(never)]
fn is_remembered<R: Reader>(sk: Kernel) -> bool {
    // SAFETY: only its presence counts.
    unsafe { FLOWS.get(flow::<R>(sk, true)) }.is_some()
}

/// A connected socket that someone has, however they came by it.
#[inline(always)]
pub fn held(sk: Kernel, flags: u32, hook: Hook) {
    if u32::from(Probe::read::<u8>(sk, Field::SockState)) != TCP_ESTABLISHED {
        return;
    }
    if let Some(matched) = matching::port(u16::from_be(Probe::read(sk, Field::SockDport))) {
        let matched = matched.with(flags);
        report::<Probe>(sk, matched, hook, TAG_INET);
    }
}

#[inline(never)]
fn report<R: Reader>(sk: Kernel, matched: Match, hook: Hook, tag: u32) {
    let port = u16::from_be(R::read(sk, Field::SockDport));
    let same = if tag == TAG_INET && matched.flags() == 0 {
        Same { object: to::<R>(sk), device: u32::from(port), what: TAG_INET }
    } else {
        Same::NEVER
    };
    let found = Found { tag, matched, same, place: Place::NONE, other: Place::NONE };
    capture::access::<R, _>(hook, &found, |object: &mut InetObject| {
        ip::<R>(&mut object.src, sk, Field::SockSaddr, Field::SockSaddr6);
        ip::<R>(&mut object.dst, sk, Field::SockDaddr, Field::SockDaddr6);
        // Zero where the kernel chooses the port: it does so only after this change of state.
        object.src_port = R::read(sk, Field::SockNum);
        object.dst_port = port;
        object.inbound = u32::from(tag == TAG_INET && matched.flags() & HEAD_NO_ACTOR != 0);
        object.net_ns = R::read(R::pointer(sk, Field::SockNet), Field::NetNsInum);
        object.errno = R::read(sk, Field::SockError);
        object.sock = sk as u64;
    });
}

/// VERIFIER: a function of its own for the stack it takes.
#[inline(never)]
fn to<R: Reader>(sk: Kernel) -> u64 {
    let mut address = [0; 16];
    ip::<R>(&mut address, sk, Field::SockDaddr, Field::SockDaddr6);
    repeat::of_address(address)
}

/// The connection as the end that began it sees it; from the other end, turned round.
#[inline(always)]
fn flow<R: Reader>(sk: Kernel, other_end: bool) -> FlowKey {
    let mut key = FlowKey::default();
    let (own, peer) = if other_end { (&mut key.dst, &mut key.src) } else { (&mut key.src, &mut key.dst) };
    ip::<R>(own, sk, Field::SockSaddr, Field::SockSaddr6);
    ip::<R>(peer, sk, Field::SockDaddr, Field::SockDaddr6);
    let (own, peer) = (R::read(sk, Field::SockNum), u16::from_be(R::read(sk, Field::SockDport)));
    (key.src_port, key.dst_port) = if other_end { (peer, own) } else { (own, peer) };
    key
}

/// An address as IPv6. A v6 socket that talks v4-mapped holds the mapped address in its v6 member already.
#[inline(always)]
fn ip<R: Reader>(place: &mut [u8; 16], sk: Kernel, v4: Field, v6: Field) {
    let family: u16 = R::read(sk, Field::SockFamily);
    if family != AF_INET && has(v6) {
        *place = R::read(sk, v6);
    } else {
        *place = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0];
        place[12..].copy_from_slice(&R::read::<[u8; 4]>(sk, v4));
    }
}
