//! An event as one line that is never cut by a container runtime's logging: CRI-O splits lines at 8 KiB.

use std::sync::Arc;

use super::Event;
use super::process::Process;
use super::text::halve;
use crate::identity::{Container, Pod};

/// Bytes of a line, its end included.
pub const LINE_MAX: usize = 8192;

/// The event as JSON with a newline. Too long an event loses, in this order and only as far as needed: its ancestors, the
/// exact bytes beside replaced text, arguments from the end, what a manifest has many of, and then every other long string is cut.
pub fn line(event: &mut Event) -> serde_json::Result<Vec<u8>> {
    line_by(event, serde_json::to_vec)
}

/// The same in another shape.
pub fn line_by(
    event: &mut Event,
    shape: impl Fn(&Event) -> serde_json::Result<Vec<u8>>,
) -> serde_json::Result<Vec<u8>> {
    let steps: [fn(&mut Event) -> bool; 7] =
        [drop_ancestors, drop_exact, cut_args, cut_manifest, cut_lists, cut_strings, drop_details];
    let mut line = serialise(event, &shape)?;
    for step in steps {
        while line.len() > LINE_MAX && step(event) {
            event.truncated = true;
            line = serialise(event, &shape)?;
        }
    }
    Ok(line)
}

fn serialise(
    event: &Event,
    shape: impl Fn(&Event) -> serde_json::Result<Vec<u8>>,
) -> serde_json::Result<Vec<u8>> {
    let mut line = shape(event)?;
    line.push(b'\n');
    Ok(line)
}

/// Each step makes the event shorter, or says that it cannot.
fn drop_ancestors(event: &mut Event) -> bool {
    process(event).is_some_and(|process| process.ancestors.pop().is_some())
}

fn drop_exact(event: &mut Event) -> bool {
    let mut dropped = false;
    if let Some(process) = process(event) {
        dropped |= process.args_b64.take().is_some();
        dropped |= process.cwd_b64.take().is_some();
        dropped |= process.cgroup_b64.take().is_some();
        dropped |= process.exe.exe_b64.take().is_some();
        if let Some(parent) = process.parent.as_mut().map(Arc::make_mut) {
            dropped |= parent.exe.exe_b64.take().is_some();
        }
    }
    dropped | event.target.as_mut().is_some_and(super::Target::drop_exact)
}

/// A quarter of the arguments at a time: whoever gives a thousand must not have the event written a thousand times.
fn cut_args(event: &mut Event) -> bool {
    let Some(args) = process(event).and_then(|process| process.args.as_mut()) else { return false };
    let cut = if args.len() > 1 {
        args.truncate((args.len() * 3 / 4).max(1));
        true
    } else {
        args.first_mut().is_some_and(halve)
    };
    if cut && let Some(process) = process(event) {
        process.args_truncated = true;
    }
    cut
}

fn cut_manifest(event: &mut Event) -> bool {
    event.manifest.as_mut().is_some_and(|manifest| manifest.shorten())
}

fn cut_lists(event: &mut Event) -> bool {
    event.lifecycle.as_mut().is_some_and(|lifecycle| lifecycle.shorten())
        || event.posture.as_mut().is_some_and(|posture| posture.shorten())
        || event.enrichment_errors.pop().is_some()
}

fn cut_strings(event: &mut Event) -> bool {
    let mut cut = halve(&mut event.message);
    if let Some(verdict) = &mut event.verdict {
        cut |= halve(&mut verdict.detail);
        cut |= verdict.matched.as_mut().is_some_and(halve);
    }
    if let Some(process) = process(event) {
        for text in [&mut process.exe.exe, &mut process.cwd, &mut process.cgroup, &mut process.unit] {
            cut |= text.as_mut().is_some_and(halve);
        }
        for text in process.container.iter_mut().flat_map(Container::strings) {
            cut |= halve(text);
        }
        for text in process.pod.iter_mut().flat_map(Pod::strings) {
            cut |= halve(text);
        }
        cut |= process
            .parent
            .as_mut()
            .and_then(|parent| Arc::make_mut(parent).exe.exe.as_mut())
            .is_some_and(halve);
    }
    cut | event
        .target
        .as_mut()
        .is_some_and(|target| target.strings().fold(false, |cut, text| halve(text) | cut))
}

fn drop_details(event: &mut Event) -> bool {
    let dropped = event.process.take().is_some();
    dropped | event.lifecycle.take().is_some()
}

fn process(event: &mut Event) -> Option<&mut Process> {
    event.process.as_mut().map(Arc::make_mut)
}
