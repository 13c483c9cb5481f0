//! What the hooks answer when the daemon tries one of its own targets.

use monitor_abi::probe::Probe;

use crate::access::ObjectKey;

/// What the hooks saw of one touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The objects, outermost first: overlayfs shows its own and then the one beneath.
    pub keys: Vec<ObjectKey>,
    /// `PROBE_*` bits of the hooks that answered.
    pub hooks: u32,
    pub port: u32,
}

impl From<Probe> for Answer {
    fn from(Probe { count, hooks, port, pad: _, keys }: Probe) -> Self {
        let count = usize::try_from(count).unwrap_or(usize::MAX).min(keys.len());
        let mut seen: Vec<_> = Vec::with_capacity(count);
        for key in &keys[..count] {
            if !seen.contains(key) {
                seen.push(*key);
            }
        }
        Self { keys: seen, hooks, port }
    }
}
