//! An open descriptor is handed over: by SCM_RIGHTS, pidfd_getfd(2) or binder. Whoever gets it uses a door that another process opened.

use monitor_abi::fields::Field;
use monitor_abi::record::HEAD_RECEIVED;

use super::attach::{Arguments, function};
use super::{Hook, file_open, inet_state, unix_connect};
use crate::matching;
use crate::reader::{Kernel, Probe, Reader};

/// The descriptor names the file only: `O_PATH`.
/// <https://elixir.bootlin.com/linux/v6.12/source/include/linux/fs.h#L147>
const FMODE_PATH: u32 = 1 << 14;

/// `S_IFMT` and `S_IFSOCK`.
const S_IFMT: u16 = 0o170_000;
const S_IFSOCK: u16 = 0o140_000;

/// <https://elixir.bootlin.com/linux/v6.12/source/include/linux/socket.h#L190>
const AF_UNIX: u16 = 1;
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;

function! {
    /// `int security_file_receive(struct file *file)`
    "security_file_receive", file_receive_fentry, file_receive_kprobe, received
}

#[inline(always)]
fn received<A: Arguments>(ctx: &A) {
    let file = ctx.pointer(0);
    handed_over::<A::Reader>(file);
}

#[inline(always)]
fn handed_over<R: Reader>(file: Kernel) {
    let inode = R::pointer(file, Field::FileInode);
    let mode: u16 = R::read(inode, Field::InodeMode);
    if mode & S_IFMT == S_IFSOCK {
        socket(file);
        return;
    }
    let mode: u32 = R::read(file, Field::FileMode);
    if mode & FMODE_PATH != 0 {
        return;
    }
    let dentry = R::pointer(file, Field::FileDentry);
    if let Some(matched) = matching::file::<R>(inode, dentry) {
        let matched = matched.with(HEAD_RECEIVED);
        file_open::report::<R>(file, matched, Hook::FileReceive);
    }
}

/// What a file is the handle of has no type, so without `Probe` it is not found.
#[inline(always)]
fn socket(file: Kernel) {
    let sk = Probe::pointer(Probe::pointer(file, Field::FilePrivate), Field::SocketSk);
    match Probe::read::<u16>(sk, Field::SockFamily) {
        AF_UNIX => unix_connect::held(sk, HEAD_RECEIVED, Hook::FileReceive),
        AF_INET | AF_INET6 => inet_state::held(sk, HEAD_RECEIVED, Hook::FileReceive),
        _ => {}
    }
}
