//! Processes that made a change lately, as the kernel side described them.

use aya::Ebpf;
use aya::maps::{HashMap, MapData};
use monitor_abi::doer::{Doing, bit};
use monitor_abi::record::RECORD_MAX;

use super::object::LoadError;
use crate::access::Actor;
use crate::decode::{Record, decode};

pub struct Doers {
    doers: HashMap<MapData, u32, Doing>,
    descriptions: HashMap<MapData, u32, [u8; RECORD_MAX]>,
}

/// Which kinds of changes a process made within a second, `CHANGE_*` as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kinds(u32);

impl Kinds {
    pub fn has(self, change: u32) -> bool {
        self.0 & bit(change) != 0
    }

    #[cfg(test)]
    pub fn of(changes: &[u32]) -> Self {
        Self(changes.iter().fold(0, |bits, change| bits | bit(*change)))
    }
}

impl Doers {
    pub(super) fn new(ebpf: &mut Ebpf) -> Result<Self, LoadError> {
        Ok(Self { doers: map(ebpf, "DOERS")?, descriptions: map(ebpf, "DESCRIPTIONS")? })
    }

    pub(super) fn kinds(&self, pid: u32, since: u64) -> Option<Kinds> {
        self.doing(pid, since).map(|doing| Kinds(doing.kinds))
    }

    fn doing(&self, pid: u32, since: u64) -> Option<Doing> {
        self.doers.get(&pid, 0).ok().filter(|doing| doing.last >= since)
    }

    /// The process of this number, if it changed something since then (nanoseconds since boot).
    pub(super) fn find(&self, pid: u32, since: u64) -> Option<Actor> {
        let doing = self.doing(pid, since)?;
        let record = self.descriptions.get(&pid, 0).ok()?;
        let [_, _, _, _, a, b, c, d, ..] = record;
        let length = usize::try_from(u32::from_ne_bytes([a, b, c, d])).ok()?;
        match decode(record.get(..length)?) {
            // Another process with the number may have been described in between.
            Ok(Record::Doer(actor)) if actor.start == doing.start => Some(*actor),
            Ok(_) => None,
            Err(error) => {
                tracing::error!(%error, "cannot decode a description");
                None
            }
        }
    }
}

fn map<V: aya::Pod>(ebpf: &mut Ebpf, name: &'static str) -> Result<HashMap<MapData, u32, V>, LoadError> {
    let map = ebpf.take_map(name).ok_or(LoadError::Missing(name))?;
    HashMap::try_from(map).map_err(|source| LoadError::Map { name, source })
}
