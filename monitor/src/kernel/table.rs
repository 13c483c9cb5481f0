//! The kernel's tables of what is watched.

use std::collections::HashMap as Map;
use std::hash::Hash;

use aya::Ebpf;
use aya::maps::{Array, HashMap, MapData, MapError};
use monitor_abi::probe::{Gate, News};
use monitor_abi::watch::{
    ANCESTORS_MAX, EXECUTABLES_MAX, NAMES_MAX, NameKey, OBJECTS_MAX, PORTS_MAX, WATCH_NAMES, WATCH_TREE,
    Watch, device_bit, filter_slot,
};
use thiserror::Error;

use super::object::{LoadError, array};
use crate::access::ObjectKey;

/// What the kernel is to watch, all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Desired {
    pub objects: Map<ObjectKey, Watch>,
    pub names: Map<NameKey, u32>,
    pub ports: Map<u32, Watch>,
    /// Directories above targets, each with one of those.
    pub ancestors: Map<ObjectKey, u32>,
}

/// The kernel's executables that rules allow; the values mean nothing.
pub type Executables = Map<ObjectKey, u8>;

#[derive(Debug, Error)]
pub enum TableError {
    #[error("cannot watch more than {limit} {what}: the policy needs {wanted}")]
    Full { what: &'static str, limit: u32, wanted: usize },
    #[error("map {name}: {source}")]
    Map { name: &'static str, source: MapError },
}

pub struct Table {
    pub(super) gate: Array<MapData, Gate>,
    pub(super) objects: HashMap<MapData, ObjectKey, Watch>,
    pub(super) names: HashMap<MapData, NameKey, u32>,
    pub(super) ports: HashMap<MapData, u32, Watch>,
    pub(super) ancestors: HashMap<MapData, ObjectKey, u32>,
    pub(super) executables: HashMap<MapData, ObjectKey, u8>,
    news: Array<MapData, News>,
    news_seen: Array<MapData, News>,
    pub(super) current: Desired,
    pub(super) current_executables: Executables,
}

impl Table {
    pub(super) fn new(ebpf: &mut Ebpf) -> Result<Self, LoadError> {
        Ok(Self {
            gate: array(ebpf, "GATE")?,
            objects: hash(ebpf, "OBJECTS")?,
            names: hash(ebpf, "NAMES")?,
            ports: hash(ebpf, "PORTS")?,
            ancestors: hash(ebpf, "ANCESTORS")?,
            executables: hash(ebpf, "EXECUTABLES")?,
            news: array(ebpf, "NEWS")?,
            news_seen: array(ebpf, "NEWS_SEEN")?,
            current: Desired::default(),
            current_executables: Executables::default(),
        })
    }

    /// Additions come first and removals last, so that nothing is unwatched in between.
    pub(super) fn apply(&mut self, desired: &Desired) -> Result<(), TableError> {
        fits("objects", OBJECTS_MAX, desired.objects.len())?;
        fits("names", NAMES_MAX, desired.names.len())?;
        fits("ports", PORTS_MAX, desired.ports.len())?;
        fits("directories above targets", ANCESTORS_MAX, desired.ancestors.len())?;
        let Self { gate, objects, names, ports, ancestors, current, .. } = self;
        add(objects, "OBJECTS", &current.objects, &desired.objects)?;
        add(names, "NAMES", &current.names, &desired.names)?;
        add(ports, "PORTS", &current.ports, &desired.ports)?;
        add(ancestors, "ANCESTORS", &current.ancestors, &desired.ancestors)?;
        if current.objects != desired.objects {
            set_filter(gate, desired)?;
        }
        remove(objects, "OBJECTS", &current.objects, &desired.objects)?;
        remove(names, "NAMES", &current.names, &desired.names)?;
        remove(ports, "PORTS", &current.ports, &desired.ports)?;
        remove(ancestors, "ANCESTORS", &current.ancestors, &desired.ancestors)?;
        self.current = desired.clone();
        Ok(())
    }

    /// Control of processes that run one of these is reported.
    pub(super) fn guard(&mut self, desired: Executables) -> Result<(), TableError> {
        let Self { executables, current_executables: current, .. } = self;
        fits("executables", EXECUTABLES_MAX, desired.len())?;
        add(executables, "EXECUTABLES", current, &desired)?;
        remove(executables, "EXECUTABLES", current, &desired)?;
        *current = desired;
        Ok(())
    }

    /// What the kernel side noted so far.
    pub(super) fn news(&self) -> Result<News, TableError> {
        self.news.get(&0, 0).map_err(|source| TableError::Map { name: "NEWS", source })
    }

    /// The node as it is after this news is what the tables show.
    pub(super) fn seen(&mut self, news: News) -> Result<(), TableError> {
        self.news_seen.set(0, news, 0).map_err(|source| TableError::Map { name: "NEWS_SEEN", source })
    }
}

/// Whether it was another one.
pub(super) fn set_filter(gate: &mut Array<MapData, Gate>, desired: &Desired) -> Result<bool, TableError> {
    let failed = |source| TableError::Map { name: "GATE", source };
    let mut value = gate.get(&0, 0).map_err(failed)?;
    let before = value;
    value.filter.fill(0);
    (value.devices, value.exact) = (0, 0);
    for (key, watch) in &desired.objects {
        let (word, bit) = filter_slot(key);
        value.filter[word] |= bit;
        if watch.flags & (WATCH_TREE | WATCH_NAMES) != 0 {
            value.devices |= device_bit(key.dev);
        }
        if key.generation != 0 {
            value.exact |= device_bit(key.dev);
        }
    }
    gate.set(0, value, 0).map_err(failed)?;
    Ok(value != before)
}

fn fits(what: &'static str, limit: u32, wanted: usize) -> Result<(), TableError> {
    if u32::try_from(wanted).is_ok_and(|wanted| wanted <= limit) {
        Ok(())
    } else {
        Err(TableError::Full { what, limit, wanted })
    }
}

fn add<K: aya::Pod + Eq + Hash, V: aya::Pod + PartialEq>(
    map: &mut HashMap<MapData, K, V>,
    name: &'static str,
    current: &Map<K, V>,
    desired: &Map<K, V>,
) -> Result<(), TableError> {
    for (key, value) in desired.iter().filter(|(key, value)| current.get(key) != Some(value)) {
        map.insert(key, value, 0).map_err(|source| TableError::Map { name, source })?;
    }
    Ok(())
}

fn remove<K: aya::Pod + Eq + Hash, V: aya::Pod>(
    map: &mut HashMap<MapData, K, V>,
    name: &'static str,
    current: &Map<K, V>,
    desired: &Map<K, V>,
) -> Result<(), TableError> {
    for key in current.keys().filter(|key| !desired.contains_key(key)) {
        match map.remove(key) {
            Ok(()) | Err(MapError::KeyNotFound) => {}
            Err(source) => return Err(TableError::Map { name, source }),
        }
    }
    Ok(())
}

fn hash<K: aya::Pod, V: aya::Pod>(
    ebpf: &mut Ebpf,
    name: &'static str,
) -> Result<HashMap<MapData, K, V>, LoadError> {
    let map = ebpf.take_map(name).ok_or(LoadError::Missing(name))?;
    HashMap::try_from(map).map_err(|source| LoadError::Map { name, source })
}
