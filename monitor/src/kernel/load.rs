//! Loading and attaching the programs of a backend. The kernel checks each program for some milliseconds, so they are loaded side by side.

use std::collections::HashMap;
use std::num::NonZero;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use aya::programs::Program;
use aya::{Btf, Ebpf};

use super::attach::{AttachError, attach};
use super::backend::{Candidate, HookReport, HookState};
use super::hooks::{self, Hook};
use crate::btf::Types;
use crate::model::Backend;

/// More threads wait for each other in the kernel.
const THREADS: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// Only the whole backend is of use.
    UntilFailure,
    All,
}

struct Job<'a> {
    hook: &'static Hook,
    name: String,
    program: Option<&'a mut Program>,
}

pub fn backend(
    ebpf: &mut Ebpf,
    btf: Option<&Btf>,
    types: &Types,
    backend: Backend,
    effort: Effort,
) -> Candidate {
    tracing::debug!(backend = backend.name(), "trying");
    let mut programs: HashMap<String, &mut Program> =
        ebpf.programs_mut().map(|(name, program)| (name.to_owned(), program)).collect();
    let jobs: Vec<_> = hooks::of(backend)
        .filter(|hook| hook.applies(types))
        .map(|hook| {
            let name = hook.program(backend, types);
            let program = programs.remove(&name);
            Job { hook, name, program }
        })
        .collect();
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(THREADS);
    let (reports, failed) = (Mutex::new(Vec::new()), AtomicBool::new(false));
    let queue = Mutex::new(jobs.into_iter().enumerate());
    let step = || {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
        let Some((index, job)) = next else { return false };
        let optional = job.hook.is_optional(backend);
        let report = job.run(btf, types, backend);
        tracing::debug!(backend = backend.name(), program = report.program, state = ?report.state, "tried");
        failed.fetch_or(!optional && report.state != HookState::Attached, Ordering::Relaxed);
        reports.lock().unwrap_or_else(PoisonError::into_inner).push((index, report));
        true
    };
    let work = || loop {
        let enough = effort == Effort::UntilFailure && failed.load(Ordering::Relaxed);
        if enough || !step() {
            return;
        }
    };
    if effort == Effort::UntilFailure {
        // Where the first fails, the others are not begun.
        step();
    }
    thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
    let mut reports = reports.into_inner().unwrap_or_else(PoisonError::into_inner);
    reports.sort_by_key(|(index, _)| *index);
    Candidate { backend, hooks: reports.into_iter().map(|(_, report)| report).collect() }
}

impl Job<'_> {
    fn run(self, btf: Option<&Btf>, types: &Types, backend: Backend) -> HookReport {
        let Self { hook, name, program } = self;
        let outcome = match (missing(types, hook, &name), program) {
            (Some(why), _) => Err(why),
            (None, None) => Err(AttachError::Missing(name.clone()).to_string()),
            (None, Some(program)) => {
                attach(program, btf, &name, hook.attach(backend)).map_err(|error| error.to_string())
            }
        };
        let state = outcome.map_or_else(HookState::Failed, |()| HookState::Attached);
        let optional = hook.is_optional(backend);
        HookReport { program: name, place: hook.place.name(), sees: hook.sees, optional, state }
    }
}

/// A hook whose fields this kernel does not have is not attached: it would read something else.
fn missing(types: &Types, hook: &Hook, program: &str) -> Option<String> {
    let offsets = &types.offsets;
    let field = hook.fields().find(|field| !offsets.has(*field))?;
    let why = offsets.missing.iter().find(|(missing, _)| *missing == field).map(|(_, why)| why.to_string());
    Some(format!("{program}: {}", why.unwrap_or_default()))
}
