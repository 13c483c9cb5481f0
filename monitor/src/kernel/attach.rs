//! Loading and attaching one program.

use aya::programs::{BtfTracePoint, FEntry, FExit, KProbe, Program, ProgramError, RawTracePoint};
use aya::{Btf, Ebpf};
use thiserror::Error;

/// How a program gets to its place in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attach {
    Fentry(&'static str),
    Fexit(&'static str),
    Kprobe(&'static str),
    BtfTracepoint(&'static str),
    RawTracepoint(&'static str),
}

impl Attach {
    pub const fn place(self) -> &'static str {
        match self {
            Self::Fentry(name)
            | Self::Fexit(name)
            | Self::Kprobe(name)
            | Self::BtfTracepoint(name)
            | Self::RawTracepoint(name) => name,
        }
    }
}

#[derive(Debug, Error)]
pub enum AttachError {
    #[error("program {0} is not in the object")]
    Missing(String),
    #[error("cannot read the kernel's type information in /sys/kernel/btf/vmlinux")]
    Btf,
    #[error("{phase} of {program} at {place}: {}", describe(.source))]
    Program { program: String, place: &'static str, phase: &'static str, source: Box<ProgramError> },
}

/// The kernel's answer without the verifier's log, which is pages long; the log goes to the debug output.
pub(super) fn describe(error: &ProgramError) -> String {
    match error {
        ProgramError::LoadError { io_error, verifier_log } => {
            tracing::debug!(%verifier_log, "the verifier's log");
            match verifier_log.to_string().lines().rev().find(|line| !is_statistics(line)) {
                Some(last) => format!("{io_error} ({last})"),
                None => io_error.to_string(),
            }
        }
        ProgramError::SyscallError(error) => format!("{}: {}", error.call, error.io_error),
        other => other.to_string(),
    }
}

pub fn attach(program: &mut Program, btf: Option<&Btf>, name: &str, how: Attach) -> Result<(), AttachError> {
    let place = how.place();
    let failed = |phase| {
        move |source| AttachError::Program {
            program: name.to_owned(),
            place,
            phase,
            source: Box::new(source),
        }
    };
    let btf = || btf.ok_or(AttachError::Btf);
    match how {
        Attach::Fentry(function) => {
            let program: &mut FEntry = program.try_into().map_err(failed("type"))?;
            program.load(function, btf()?).map_err(failed("load"))?;
            program.attach().map_err(failed("attach"))?;
        }
        Attach::Fexit(function) => {
            let program: &mut FExit = program.try_into().map_err(failed("type"))?;
            program.load(function, btf()?).map_err(failed("load"))?;
            program.attach().map_err(failed("attach"))?;
        }
        Attach::Kprobe(function) => {
            let program: &mut KProbe = program.try_into().map_err(failed("type"))?;
            program.load().map_err(failed("load"))?;
            program.attach(function, 0).map_err(failed("attach"))?;
        }
        Attach::BtfTracepoint(tracepoint) => {
            let program: &mut BtfTracePoint = program.try_into().map_err(failed("type"))?;
            program.load(tracepoint, btf()?).map_err(failed("load"))?;
            program.attach().map_err(failed("attach"))?;
        }
        Attach::RawTracepoint(tracepoint) => {
            let program: &mut RawTracePoint = program.try_into().map_err(failed("type"))?;
            program.load().map_err(failed("load"))?;
            program.attach(tracepoint).map_err(failed("attach"))?;
        }
    }
    Ok(())
}

/// Detaches and unloads a program if it was loaded.
pub fn detach(ebpf: &mut Ebpf, name: &str) {
    let result = match ebpf.program_mut(name) {
        Some(Program::FEntry(program)) => program.unload(),
        Some(Program::FExit(program)) => program.unload(),
        Some(Program::KProbe(program)) => program.unload(),
        Some(Program::BtfTracePoint(program)) => program.unload(),
        Some(Program::RawTracePoint(program)) => program.unload(),
        _ => Ok(()),
    };
    if let Err(error) = result
        && !matches!(error, ProgramError::NotLoaded)
    {
        tracing::warn!(program = name, %error, "cannot unload");
    }
}

/// What the verifier says after its verdict.
fn is_statistics(line: &str) -> bool {
    line.is_empty()
        || ["processed ", "stack depth ", "verification time "].iter().any(|start| line.starts_with(start))
}
