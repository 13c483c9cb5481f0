//! What the kernel programs have to say, bridged into the daemon's own log. Silent unless the log is at debug.

use aya::{Ebpf, EbpfLoader};
use aya_log::EbpfLogger;
use tracing::Level;

/// Levels as the kernel side counts them; it leaves out code for levels that are off.
/// <https://docs.rs/aya-log-common/0.2.0/aya_log_common/enum.Level.html>
static OFF: u8 = 0;
static DEBUG: u8 = 4;

pub struct Log(Option<EbpfLogger<&'static dyn ::log::Log>>);

/// Tells the programs whether anyone listens.
pub fn choose_level(loader: &mut EbpfLoader<'_>) {
    let level = if tracing::enabled!(Level::DEBUG) { &DEBUG } else { &OFF };
    loader.override_global(aya_log::LEVEL, level, false);
}

impl Log {
    pub fn new(ebpf: &mut Ebpf) -> Self {
        // A build in which no program logs has no buffer for it.
        let logger = EbpfLogger::init(ebpf)
            .inspect_err(|error| tracing::debug!(%error, "no log of the kernel programs"));
        Self(logger.ok())
    }

    /// Passes on what was logged since the last time.
    pub fn flush(&mut self) {
        if let Some(logger) = &mut self.0 {
            logger.flush();
        }
    }
}
