//! The kernel's tables of a daemon, as anyone with the right to can look at them.

use std::collections::HashSet;
use std::fs;
use std::hash::Hash;

use anyhow::{Context as _, Result};
use aya::Pod;
use aya::maps::{HashMap, Map, MapData, MapInfo, loaded_maps};

/// An object's device and number.
pub type Key = [u64; 2];

/// A target, flags and a generation.
pub type Value = [u32; 3];

/// All of this name. Those of a daemon that ended may go while they are listed.
pub fn named(name: &str) -> Vec<u32> {
    let maps = loaded_maps().filter_map(Result::ok);
    maps.filter(|map| map.name_as_str() == Some(name)).map(|map| map.id()).collect()
}

pub fn open(id: u32) -> Result<Map> {
    Ok(Map::from_map_data(MapData::from_id(id)?)?)
}

/// How much a daemon watches: entries of the tables that forget nothing by themselves.
pub fn entries(pid: u32) -> Result<usize> {
    let mut all = 0;
    for file in fs::read_dir(format!("/proc/{pid}/fdinfo"))? {
        // What is open for a moment only is none of them.
        let Ok(text) = fs::read_to_string(file?.path()) else { continue };
        let Some(id) = text.lines().find_map(|line| line.strip_prefix("map_id:")) else { continue };
        let id = id.trim().parse()?;
        all += match MapInfo::from_id(id)?.name_as_str().context("a name")? {
            "OBJECTS" => count::<Key, Value>(id)?,
            "ANCESTORS" => count::<Key, u32>(id)?,
            "NAMES" => count::<[u8; 80], u32>(id)?,
            "PORTS" => count::<u32, Value>(id)?,
            "EXECUTABLES" => count::<Key, u8>(id)?,
            _ => 0,
        };
    }
    Ok(all)
}

/// Each once: to go on from one that was just removed begins anew.
fn count<K: Pod + Eq + Hash, V: Pod>(id: u32) -> Result<usize> {
    let table = HashMap::<_, K, V>::try_from(open(id)?)?;
    Ok(table.keys().flatten().collect::<HashSet<_>>().len())
}
