//! Which hooks to attach. The best backend of which everything attaches wins; what a kernel can do is found by trying it.

use aya::{Btf, Ebpf};

use super::attach::detach;
use super::load::{self, Effort};
use super::preempt;
use crate::btf::Types;
use crate::model::Backend;

/// What became of one hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookReport {
    pub program: String,
    pub place: &'static str,
    /// What is not seen without it.
    pub sees: &'static str,
    /// Whether the backend is complete without it.
    pub optional: bool,
    pub state: HookState,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HookState {
    Attached,
    Failed(String),
}

/// A backend that was tried.
#[derive(Clone, Debug)]
pub struct Candidate {
    pub backend: Backend,
    pub hooks: Vec<HookReport>,
}

impl Candidate {
    fn attached(&self) -> usize {
        self.hooks.iter().filter(|hook| hook.state == HookState::Attached).count()
    }

    fn complete(&self) -> bool {
        self.hooks.iter().all(|hook| hook.optional || hook.state == HookState::Attached)
    }

    /// What failed, for people.
    pub fn failures(&self) -> impl Iterator<Item = String> + '_ {
        self.hooks.iter().filter_map(|hook| match &hook.state {
            HookState::Attached => None,
            HookState::Failed(why) => Some(why.clone()),
        })
    }
}

/// The outcome: what runs, and what was tried before it.
#[derive(Clone, Debug)]
pub struct Attached {
    pub chosen: Candidate,
    /// Whether the kernel can skip its programs: see [`preempt`].
    pub preemptible: bool,
    pub rejected: Vec<Candidate>,
}

/// The best first.
const ORDER: [Backend; 3] = [Backend::Fentry, Backend::Kprobe, Backend::Syscall];

/// A dearer program that always runs is better than a cheaper one that whoever wants can have skipped.
const ORDER_IF_PREEMPTIBLE: [Backend; 3] = [Backend::Kprobe, Backend::Fentry, Backend::Syscall];

/// `btf` is not needed for raw tracepoints, so its absence is an error only of the hooks that use it.
pub fn choose(
    ebpf: &mut Ebpf,
    types: &Types,
    btf: Option<&Btf>,
    wanted: Option<Backend>,
    sealed: bool,
) -> Result<Attached, String> {
    let mut rejected = Vec::new();
    // Other programs do not have the types without which nothing can be read there: they would attach, and see nothing.
    let preemptible = preempt::is_possible();
    let order = match (sealed, preemptible) {
        (true, _) => &ORDER[..1],
        (false, false) => &ORDER[..],
        (false, true) => &ORDER_IF_PREEMPTIBLE[..],
    };
    if let Some(wanted) = wanted.filter(|wanted| !order.contains(wanted)) {
        return Err(format!("under lockdown=confidentiality only {} sees anything, not {wanted}", ORDER[0]));
    }
    for backend in order.iter().copied().filter(|backend| wanted.is_none_or(|wanted| wanted == *backend)) {
        let candidate = load::backend(ebpf, btf, types, backend, Effort::UntilFailure);
        if candidate.complete() {
            return Ok(Attached { chosen: candidate, preemptible, rejected });
        }
        detach_all(ebpf, &candidate);
        rejected.push(candidate);
    }
    if wanted.is_some() {
        return Err(failures(&rejected));
    }
    // None is complete: the one that sees most, the better one where two see as much. They share programs, so one after the other.
    let mut best = None;
    for backend in order.iter().copied() {
        let candidate = load::backend(ebpf, btf, types, backend, Effort::All);
        detach_all(ebpf, &candidate);
        if best.is_none_or(|(most, _)| candidate.attached() > most) {
            best = Some((candidate.attached(), backend));
        }
    }
    let Some((_, best)) = best.filter(|(attached, _)| *attached > 0) else { return Err(failures(&rejected)) };
    let chosen = load::backend(ebpf, btf, types, best, Effort::All);
    rejected.retain(|candidate| candidate.backend != chosen.backend);
    Ok(Attached { chosen, preemptible, rejected })
}

fn detach_all(ebpf: &mut Ebpf, candidate: &Candidate) {
    candidate.hooks.iter().for_each(|hook| detach(ebpf, &hook.program));
}

fn failures(candidates: &[Candidate]) -> String {
    candidates.iter().flat_map(Candidate::failures).collect::<Vec<_>>().join("; ")
}
