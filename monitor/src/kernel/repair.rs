//! Entries of the kernel's tables that someone else removed or changed: they are found, and entered again.

use std::collections::HashMap as Map;
use std::hash::Hash;

use aya::maps::{HashMap, MapData};

use super::table::{Table, TableError, set_filter};

impl Table {
    /// The tables that did not say what they were made to say.
    pub(super) fn repair(&mut self) -> Result<Vec<&'static str>, TableError> {
        let Self { gate, objects, names, ports, ancestors, executables, current, .. } = self;
        let repaired = [
            ("objects", enter_again(objects, "OBJECTS", &current.objects)?),
            ("names", enter_again(names, "NAMES", &current.names)?),
            ("ports", enter_again(ports, "PORTS", &current.ports)?),
            ("directories above targets", enter_again(ancestors, "ANCESTORS", &current.ancestors)?),
            ("executables", enter_again(executables, "EXECUTABLES", &self.current_executables)?),
            ("filter", set_filter(gate, current)?),
        ];
        Ok(repaired.into_iter().filter_map(|(what, differed)| differed.then_some(what)).collect())
    }
}

fn enter_again<K: aya::Pod + Eq + Hash, V: aya::Pod + PartialEq>(
    map: &mut HashMap<MapData, K, V>,
    name: &'static str,
    entries: &Map<K, V>,
) -> Result<bool, TableError> {
    let mut differed = false;
    for (key, value) in entries {
        if map.get(key, 0).ok().as_ref() != Some(value) {
            map.insert(key, value, 0).map_err(|source| TableError::Map { name, source })?;
            differed = true;
        }
    }
    Ok(differed)
}
