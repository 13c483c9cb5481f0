//! The ring buffer between the kernel and the daemon, as an asynchronous source of records.

use std::io;

use aya::maps::{MapData, RingBuf};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Records handled before other work of the daemon gets its turn.
const BATCH: usize = 256;

pub struct Ring {
    fd: AsyncFd<RingBuf<MapData>>,
}

impl Ring {
    pub fn new(ring: RingBuf<MapData>) -> io::Result<Self> {
        // SAFETY: the ring owns the map's descriptor, keeps it open and always returns the same one.
        let fd = unsafe { AsyncFd::register_with_interest(ring, Interest::READABLE) }?;
        Ok(Self { fd })
    }

    /// Waits for records and hands each to `handle`. Safe to cancel: a record is either handled or still in the buffer.
    pub async fn drain(&mut self, mut handle: impl FnMut(&[u8])) -> io::Result<()> {
        let mut guard = self.fd.readable_mut().await?;
        for _ in 0..BATCH {
            let Some(record) = guard.get_inner_mut().next() else {
                guard.clear_ready();
                return Ok(());
            };
            handle(&record);
        }
        Ok(())
    }

    /// Hands over what is there now, without waiting.
    pub fn drain_now(&mut self, mut handle: impl FnMut(&[u8])) {
        while let Some(record) = self.fd.get_mut().next() {
            handle(&record);
        }
    }
}
