//! The first event of a run: what it sees and what it does not.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use crate::coverage::{self, View};
use crate::event::{ArmedTarget, MissingHook, Started, WaitingTarget};
use crate::kernel::listen::{Changes, MOUNTS};
use crate::kernel::{Calm, HookState, Kernel};
use crate::model::{Backend, Class};
use crate::privileges;
use crate::target::What;
use crate::watch::{Keeper, Proofs, State};

pub fn started(kernel: &Kernel, keeper: &Keeper, proofs: &Proofs) -> Started {
    let chosen = &kernel.attached().chosen;
    let mut started = Started {
        backend: chosen.backend,
        hooks: Vec::new(),
        hooks_missing: Vec::new(),
        targets_armed: Vec::new(),
        targets_waiting: Vec::new(),
        coverage_gaps: gaps(kernel.view()),
        policy_warnings: Vec::new(),
    };
    for hook in &chosen.hooks {
        match &hook.state {
            HookState::Attached => started.hooks.push(hook.place.to_owned()),
            HookState::Failed(why) => {
                started.coverage_gaps.push(format!("{}: the hook is missing", hook.sees));
                let missing = MissingHook { hook: hook.place.to_owned(), why: why.clone() };
                started.hooks_missing.push(missing);
            }
        }
    }
    for (target, state) in keeper.states() {
        let (class, name) = (target.class, target.name());
        match state {
            State::Armed => started.targets_armed.push(ArmedTarget { class, target: name }),
            State::Waiting(why) => {
                started.targets_waiting.push(WaitingTarget { class, target: name, why: why.clone() });
            }
        }
    }
    started.coverage_gaps.extend(manifests_elsewhere(keeper));
    started.coverage_gaps.extend(proofs.missing());
    if chosen.backend == Backend::Syscall && !started.hooks.iter().any(|hook| hook == "io_uring_complete") {
        started
            .coverage_gaps
            .push("io_uring: this kernel does not tell which request is complete".to_owned());
    }
    if chosen.backend == Backend::Syscall && !started.hooks.iter().any(|hook| hook == MOUNTS) {
        started.coverage_gaps.push("mounts: this kernel does not tell who mounts".to_owned());
    }
    if kernel.attached().preemptible && chosen.backend != Backend::Kprobe {
        started.coverage_gaps.push(
            "a process that interrupts another while it is looked at: this kernel may skip the program then, and counts it in `missed_runs`"
                .to_owned(),
        );
    }
    if kernel.attached().preemptible && chosen.backend == Backend::Kprobe {
        let whose = if kernel.calm() == Calm::Refused {
            "the daemon's own, too, without CAP_SYS_RESOURCE or CAP_SYS_NICE"
        } else {
            "of somebody else than the daemon"
        };
        started.coverage_gaps.push(format!(
            "a CPU where a call of bpf(2) was interrupted, {whose}: this kernel skips kprobes there until it goes on, and counts them in `missed_runs`"
        ));
    }
    started.coverage_gaps.extend(untold(kernel));
    started.coverage_gaps.extend(privileges::gaps().map(str::to_owned));
    if !kernel.identity().sees_node_processes() {
        started
            .coverage_gaps
            .push("the daemon is not in the node's process id namespace: set hostPID".to_owned());
    }
    started
}

/// Without an answer about the other end, it counts as somebody who was seen.
pub fn led_here(error: &io::Error) -> String {
    format!(
        "connections from this node that address translation leads to a port, and for a moment addresses that the node got: \
         cannot ask in its network namespace: {error}"
    )
}

/// Where there is no directory of manifests, there may be a server of them.
fn manifests_elsewhere(keeper: &Keeper) -> Option<String> {
    let manifests = || keeper.states().filter(|(target, _)| target.class == Class::StaticPodManifest);
    let port = manifests().any(|(target, _)| matches!(target.what, What::Port { .. }));
    let waits = manifests().any(|(_, state)| *state != State::Armed);
    (waits && !port).then(|| {
        "static pods of a kubelet with `staticPodURL`, which fetches them over HTTP; name the server's port under static_pod_manifest"
            .to_owned()
    })
}

/// Where fanotify does not tell of changes, by reason.
fn untold(kernel: &Kernel) -> Vec<String> {
    let mut reasons: BTreeMap<&str, BTreeSet<&Path>> = BTreeMap::new();
    for (path, why) in kernel.listener().changes.iter().flat_map(Changes::failed) {
        reasons.entry(why).or_default().insert(path);
    }
    let sentence = |(why, paths): (&str, BTreeSet<&Path>)| {
        let first = paths.first()?.display().to_string();
        let more =
            if paths.len() > 1 { format!(" and {} more places", paths.len() - 1) } else { String::new() };
        Some(format!("changes in {first}{more} that open nothing: {why}"))
    };
    reasons.into_iter().filter_map(sentence).collect()
}

/// What a backend cannot see, whatever the kernel.
fn gaps(view: View) -> Vec<String> {
    let mut gaps = coverage::gaps(view);
    gaps.push(
        "held since before the start other than by a descriptor: mapped, registered with io_uring, on its way"
            .to_owned(),
    );
    if view == View::Sealed {
        gaps.push(
            "who it was beyond numbers, if the process ends at once: under lockdown=confidentiality its executable's path, \
             arguments, directory and cgroup are read from /proc after the access"
                .to_owned(),
        );
        gaps.push("paths with names of more than 31 bytes or more than 12 directories deep".to_owned());
    }
    if view == View::Backend(Backend::Syscall) {
        gaps.push("opens whose descriptor another thread closes before the call returns".to_owned());
        gaps.push("where a mount was that ended at once; such mounts are counted".to_owned());
        gaps.push("another name of a file that was made some milliseconds before".to_owned());
    }
    gaps
}

/// The event's sentence.
pub fn message(started: &Started) -> String {
    let Started { backend, targets_armed, targets_waiting, .. } = started;
    format!(
        "watching {} targets with the {backend} backend, {} more are not there yet",
        targets_armed.len(),
        targets_waiting.len()
    )
}
