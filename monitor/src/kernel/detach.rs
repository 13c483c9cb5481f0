//! Detaching. The kernel waits until nothing runs in a program any more, up to a tenth of a second for each, and does so for many at
//! once when it is asked at once.
//! <https://docs.kernel.org/RCU/Design/Requirements/Requirements.html#tasks-rcu>

use std::thread;

use aya::Ebpf;
use aya::programs::{Program, ProgramError};

/// Detaches and unloads these, where they are loaded.
pub fn programs(ebpf: &mut Ebpf, wanted: impl Fn(&str) -> bool) {
    let loaded = ebpf.programs_mut().filter(|(name, program)| wanted(name) && program.fd().is_ok());
    thread::scope(|scope| {
        for (name, program) in loaded {
            scope.spawn(move || one(name, program));
        }
    });
}

fn one(name: &str, program: &mut Program) {
    let result = match program {
        Program::FEntry(program) => program.unload(),
        Program::FExit(program) => program.unload(),
        Program::KProbe(program) => program.unload(),
        Program::BtfTracePoint(program) => program.unload(),
        Program::RawTracePoint(program) => program.unload(),
        _ => Ok(()),
    };
    if let Err(error) = result
        && !matches!(error, ProgramError::NotLoaded)
    {
        tracing::warn!(program = name, %error, "cannot unload");
    }
}
