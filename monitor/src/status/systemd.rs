//! What systemd is told, when it is systemd that started the daemon: that it watches, that it reloads, that it ends, and that it lives.
//! <https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html>

use std::time::{Duration, Instant};

use sd_notify::NotifyState;

/// All is armed.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "no clock for systemd"),
    }
}

pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

#[derive(Debug)]
pub struct Watchdog {
    /// It wants to hear from the daemon so often.
    wanted: Option<Duration>,
    last: Option<Instant>,
}

impl Default for Watchdog {
    fn default() -> Self {
        Self { wanted: sd_notify::watchdog_enabled(), last: None }
    }
}

impl Watchdog {
    /// The daemon came round. Twice as often as it is wanted is often enough.
    pub fn alive(&mut self) {
        let Some(wanted) = self.wanted else { return };
        if self.last.is_none_or(|last| last.elapsed() * 2 >= wanted) {
            self.last = Some(Instant::now());
            tell(&[NotifyState::Watchdog]);
        }
    }
}

/// Whoever started the daemon may be no systemd, and then nobody is told.
fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "cannot tell systemd");
    }
}
