//! The ring buffer between the kernel and the daemon, as an asynchronous source of records.

use std::io;

use aya::maps::{MapData, RingBuf};
use monitor_abi::record::{Head, OBJECT_MAX, RING_BYTES};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Records handled before other work of the daemon gets its turn.
const BATCH: usize = 256;

/// More records do not fit.
const MOST: usize = RING_BYTES as usize / (size_of::<Head>() + OBJECT_MAX);

pub struct Ring {
    fd: AsyncFd<RingBuf<MapData>>,
}

impl Ring {
    pub fn new(ring: RingBuf<MapData>) -> io::Result<Self> {
        // SAFETY: the ring owns the map's descriptor, keeps it open and always returns the same one.
        let fd = unsafe { AsyncFd::register_with_interest(ring, Interest::READABLE) }?;
        Ok(Self { fd })
    }

    /// Waits until there may be records. Safe to cancel.
    pub async fn ready(&mut self) -> io::Result<()> {
        self.fd.readable_mut().await?.retain_ready();
        Ok(())
    }

    /// Hands over a batch of records, as many as are there.
    pub fn drain(&mut self, mut handle: impl FnMut(&[u8])) {
        // `WouldBlock` tells tokio to wait for the kernel's next wake-up.
        let _empty = self.fd.try_io_mut(Interest::READABLE, |ring| {
            for _ in 0..BATCH {
                let Some(record) = ring.next() else { return Err(io::ErrorKind::WouldBlock.into()) };
                handle(&record);
            }
            Ok(())
        });
    }

    /// Hands over everything that is there now, and hardly what comes meanwhile.
    pub fn drain_all(&mut self, mut handle: impl FnMut(&[u8])) {
        for _ in 0..MOST {
            let Some(record) = self.fd.get_mut().next() else { return };
            handle(&record);
        }
    }
}
