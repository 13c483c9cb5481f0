//! What the hooks answer when the daemon tries one of its own targets.

use monitor_abi::probe::Probe;

use crate::access::ObjectKey;

/// What the hooks saw of one touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The objects, outermost first: overlayfs shows its own and then the one beneath.
    pub keys: Vec<ObjectKey>,
    /// Of each of them.
    pub generations: Vec<u32>,
    /// `PROBE_*` bits of the hooks that answered.
    pub hooks: u32,
    pub port: u32,
}

impl From<Probe> for Answer {
    fn from(Probe { count, hooks, port, pad: _, keys, generations }: Probe) -> Self {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let mut answer = Self { hooks, port, ..Self::default() };
        for (key, generation) in keys.into_iter().zip(generations).take(count) {
            if !answer.keys.contains(&key) {
                answer.keys.push(key);
                answer.generations.push(generation);
            }
        }
        answer
    }
}
