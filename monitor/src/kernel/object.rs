//! Loading the embedded object: offsets in, maps and programs out, hooks attached.

use std::io;
use std::time::Duration;

use aya::maps::{Array, MapData, MapError, RingBuf};
use aya::programs::{ProgramError, ProgramType, RawTracePoint, RawTracePointRunOptions, TestRun as _};
use aya::sys::{BpfHelper, is_helper_supported};
use aya::{Btf as AttachableBtf, Ebpf, EbpfError, EbpfLoader, Endianness};
use monitor_abi::probe::{News, Own, Probe};
use monitor_abi::repeat::{Repeat, RepeatKey, WINDOW};
use thiserror::Error;

use super::answer::Answer;
use super::attach::describe;
use super::backend::{self, Attached};
use super::calm::Calm;
use super::doers::{Doers, Kinds};
use super::embedded;
use super::freeze::freeze;
use super::hooks;
use super::listen::Listener;
use super::log::{self, Log};
use super::repeats::Repeats;
use super::stats::Counters;
use super::table::{Desired, Table, TableError};
use crate::access::{Actor, ObjectKey};
use crate::btf::{Btf, BtfError, Types};
use crate::coverage::View;
use crate::model::Backend;
use crate::node::Identity;
use crate::privileges;

/// Why the kernel side could not be brought up.
#[derive(Debug, Error)]
pub enum LoadError {
    #[error(
        "this bypassd was built without its kernel programs; build it with `cargo xtask build --release`"
    )]
    Stub,
    #[error("the kernel programs in this binary are damaged: {0}; build or copy it again")]
    Damaged(#[source] io::Error),
    #[error("{0}")]
    Btf(#[from] BtfError),
    #[error("cannot load the kernel programs' maps: {0}{hint}", hint = privileges::hint())]
    Object(#[source] Box<EbpfError>),
    #[error("no backend attaches on this kernel: {0}{hint}", hint = privileges::hint())]
    NoBackend(String),
    #[error("the kernel programs have no {0}; the binary is damaged, build it again")]
    Missing(&'static str),
    #[error("map {name}: {source}")]
    Map { name: &'static str, source: MapError },
    #[error("program announce: {why}{hint}", why = describe(.0), hint = privileges::hint())]
    Announce(#[source] ProgramError),
    #[error("cannot read the ring buffer: {0}")]
    Ring(#[source] io::Error),
}

/// What a process repeats within this time is counted, if nothing else is asked for.
pub const DEFAULT_WINDOW: Duration = Duration::from_nanos(WINDOW);

/// Loaded programs and maps. Dropping it detaches every hook.
pub struct Kernel {
    ebpf: Ebpf,
    sealed: bool,
    attached: Attached,
    calm: Calm,
    listener: Listener,
    doers: Doers,
    table: Table,
    repeats: Repeats,
    probe: Array<MapData, Probe>,
    identity: Identity,
    log: Log,
}

impl Kernel {
    /// Loads the object and attaches the best backend, or the wanted one.
    pub fn load(wanted: Option<Backend>) -> Result<Self, LoadError> {
        Self::load_with(wanted, DEFAULT_WINDOW)
    }

    /// The same, counting what is repeated within another time.
    pub fn load_with(wanted: Option<Backend>, window: Duration) -> Result<Self, LoadError> {
        if embedded::is_stub() {
            return Err(LoadError::Stub);
        }
        // The loader reads all of the kernel's types first, whether asked to or not. The programs need none of them.
        let mut loader = EbpfLoader::new();
        loader.btf(None);
        let btf = Btf::from_kernel()?;
        let types = Types::resolve(&btf, hooks::functions());
        let attachable = btf.skeleton(&hooks::type_names());
        drop(btf);
        let attachable = AttachableBtf::parse(&attachable, Endianness::default()).ok();
        tracing::debug!("found the kernel's fields");
        loader.override_global("OFFSETS", &types.offsets.table, true);
        let typed_task = u8::from(has_helper(BpfHelper::BPF_FUNC_get_current_task_btf));
        loader.override_global("TYPED_TASK", &typed_task, true);
        // Without the type of the current task there is nothing that a sealed kernel tells of it, so loading is left to fail.
        let sealed = u8::from(typed_task != 0 && !has_helper(BpfHelper::BPF_FUNC_probe_read_kernel));
        loader.override_global("SEALED", &sealed, true);
        let window = u64::try_from(window.as_nanos()).unwrap_or(u64::MAX);
        loader.override_global("REPEAT_WINDOW", &window, true);
        log::choose_level(&mut loader);
        let object = embedded::object().map_err(LoadError::Damaged)?;
        let mut ebpf = loader.load(&object).map_err(|error| LoadError::Object(Box::new(error)))?;
        drop(object);
        freeze(&ebpf);
        tracing::debug!("loaded the maps");
        let log = Log::new(&mut ebpf);
        let probe = array(&mut ebpf, "PROBE")?;
        let table = Table::new(&mut ebpf)?;
        let repeats = Repeats::new(&mut ebpf)?;
        let announce = announce(&mut ebpf)?;
        announce.load().map_err(LoadError::Announce)?;
        announce.test_run(RawTracePointRunOptions::default()).map_err(LoadError::Announce)?;
        let identity = identify(&ebpf)?;
        tracing::debug!(?identity, "announced itself");
        let doers = Doers::new(&mut ebpf)?;
        let mut attached = backend::choose(&mut ebpf, &types, attachable.as_ref(), wanted, sealed != 0)
            .map_err(LoadError::NoBackend)?;
        // What stops kprobes there stops nothing else.
        let is_touchy = attached.preemptible && attached.chosen.backend == Backend::Kprobe;
        let calm = if is_touchy { Calm::of_this_process() } else { Calm::Needless };
        let mut listener = Listener::default();
        if attached.chosen.backend == Backend::Syscall {
            let (new, reports) = Listener::new(&identity);
            listener = new;
            attached.chosen.hooks.extend(reports);
        }
        Ok(Self {
            ebpf,
            sealed: sealed != 0,
            attached,
            calm,
            listener,
            doers,
            table,
            repeats,
            probe,
            identity,
            log,
        })
    }

    /// What fanotify tells, where the hooks do not see it all.
    pub fn listener(&self) -> &Listener {
        &self.listener
    }

    pub fn listener_mut(&mut self) -> &mut Listener {
        &mut self.listener
    }

    /// The process of this number, if it made a change since then (nanoseconds since boot).
    pub fn doer(&self, pid: u32, since: u64) -> Option<Actor> {
        self.doers.find(pid, since)
    }

    /// Which changes it made.
    pub fn kinds(&self, pid: u32, since: u64) -> Option<Kinds> {
        self.doers.kinds(pid, since)
    }

    /// The column of the table of coverage that is true here.
    pub fn view(&self) -> View {
        if self.sealed { View::Sealed } else { View::Backend(self.attached.chosen.backend) }
    }

    pub fn attached(&self) -> &Attached {
        &self.attached
    }

    /// Whether its own use of the tables can make the kernel skip programs.
    pub fn calm(&self) -> Calm {
        self.calm
    }

    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The ring buffer; there is one, so it can be taken once.
    pub fn take_ring(&mut self) -> Result<RingBuf<MapData>, LoadError> {
        let map = self.ebpf.take_map("EVENTS").ok_or(LoadError::Missing("map EVENTS"))?;
        RingBuf::try_from(map).map_err(|source| LoadError::Map { name: "EVENTS", source })
    }

    /// Makes the kernel watch exactly what is desired.
    pub fn watch(&mut self, desired: &Desired) -> Result<(), TableError> {
        let _kept = self.calm.keep();
        self.table.apply(desired)
    }

    /// Makes the kernel report who takes control of processes that run one of these executables.
    pub fn guard(&mut self, executables: impl Iterator<Item = ObjectKey>) -> Result<(), TableError> {
        let _kept = self.calm.keep();
        self.table.guard(executables.map(|key| (key, 1)).collect())
    }

    /// Accesses that were counted instead of recorded.
    pub fn repeats(&self) -> Vec<(RepeatKey, Repeat)> {
        let _kept = self.calm.keep();
        self.repeats.read()
    }

    /// Stops counting one.
    pub fn forget(&mut self, key: &RepeatKey) {
        let _kept = self.calm.keep();
        self.repeats.forget(key);
    }

    /// The tables in which someone else changed what was entered. They are as they were again.
    pub fn repair(&mut self) -> Result<Vec<&'static str>, TableError> {
        let _kept = self.calm.keep();
        self.table.repair()
    }

    /// What changed on the node, as far as the kernel side noticed.
    pub fn news(&self) -> Result<News, TableError> {
        let _kept = self.calm.keep();
        self.table.news()
    }

    /// Says that the tables show the node as it is after this news.
    pub fn seen(&mut self, news: News) -> Result<(), TableError> {
        let _kept = self.calm.keep();
        self.table.seen(news)
    }

    /// Passes on what the kernel programs logged.
    pub fn flush_log(&mut self) {
        self.log.flush();
    }

    pub fn counters(&self) -> Result<Counters, LoadError> {
        let _kept = self.calm.keep();
        Counters::read(&self.ebpf)
    }

    /// Does something to an object and returns what the hooks saw of it. Nothing else runs on this thread meanwhile, and
    /// the hooks answer only about this thread.
    pub fn probe<T>(&mut self, touch: impl FnOnce() -> T) -> Result<(T, Answer), LoadError> {
        self.announce(true)?;
        let value = touch();
        let kept = self.calm.keep();
        let probe = self.probe.get(&0, 0).map_err(|source| LoadError::Map { name: "PROBE", source });
        drop(kept);
        self.announce(false)?;
        Ok((value, Answer::from(probe?)))
    }

    fn announce(&mut self, armed: bool) -> Result<(), LoadError> {
        let mut options = RawTracePointRunOptions::default();
        options.args[0] = u64::from(armed);
        announce(&mut self.ebpf)?.test_run(options).map_err(LoadError::Announce)?;
        Ok(())
    }
}

pub(super) fn array<T: aya::Pod>(
    ebpf: &mut Ebpf,
    name: &'static str,
) -> Result<Array<MapData, T>, LoadError> {
    let map = ebpf.take_map(name).ok_or(LoadError::Missing(name))?;
    Array::try_from(map).map_err(|source| LoadError::Map { name, source })
}

/// What the kernel side noted about the daemon when it announced itself.
fn identify(ebpf: &Ebpf) -> Result<Identity, LoadError> {
    let map = ebpf.map("OWN").ok_or(LoadError::Missing("OWN"))?;
    let map: Array<_, Own> = Array::try_from(map).map_err(|source| LoadError::Map { name: "OWN", source })?;
    let own = map.get(&0, 0).map_err(|source| LoadError::Map { name: "OWN", source })?;
    let Own { start: _, tgid, pad: _, own, node } = own;
    Ok(Identity { pid: tgid, own: own.into(), node: node.into() })
}

/// Whether programs may call it: the current task with its type is newer than the oldest kernel, and reading at any address is refused
/// under lockdown=confidentiality.
fn has_helper(helper: BpfHelper) -> bool {
    is_helper_supported(ProgramType::RawTracePoint, helper).unwrap_or_else(|error| {
        tracing::debug!(%error, "cannot ask for a helper");
        false
    })
}

fn announce(ebpf: &mut Ebpf) -> Result<&mut RawTracePoint, LoadError> {
    ebpf.program_mut("announce")
        .and_then(|program| program.try_into().ok())
        .ok_or(LoadError::Missing("program announce"))
}
