//! `bypassd doctor`: what would be seen here, found out by trying.

use std::fmt::Write as _;
use std::fs;

use super::{CommandError, add_running, print};
use crate::btf::{Btf, Offsets};
use crate::cli::Doctor;
use crate::config::{self, Config};
use crate::coverage::{self, View};
use crate::event::Started;
use crate::exit::Exit;
use crate::kernel::{HookState, Kernel, LoadError};
use crate::model::Class;
use crate::node::Root;
use crate::pipeline::started;
use crate::watch::{Keeper, prove};

pub(super) fn doctor(opts: &Doctor) -> Result<Exit, CommandError> {
    let config = config::load(opts.config.as_deref())?;
    let mut report = Report::default();
    report.kernel();
    let exit = match Kernel::load(None) {
        Ok(kernel) => report.coverage(kernel, config)?,
        Err(error) => {
            report.failure(&error, &config);
            Exit::Unsupported
        }
    };
    print(&report.text)?;
    Ok(exit)
}

#[derive(Default)]
struct Report {
    text: String,
}

impl Report {
    fn line(&mut self, what: &str, value: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _infallible = writeln!(self.text, "{what:<12}  {value}");
    }

    /// What can be said without privileges.
    fn kernel(&mut self) {
        let uname = rustix::system::uname();
        let release = uname.release().to_string_lossy();
        self.line("kernel", format_args!("{release} {}", uname.machine().to_string_lossy()));
        let user = if rustix::process::geteuid().is_root() { "root" } else { "not root" };
        self.line("user", format_args!("{user}"));
        if let Ok(lockdown) = fs::read_to_string("/sys/kernel/security/lockdown") {
            self.line("lockdown", format_args!("{}", lockdown.trim()));
        }
        match Btf::from_kernel().map(|btf| Offsets::resolve(&btf)) {
            Ok(offsets) if offsets.missing.is_empty() => {
                self.line("types", format_args!("every kernel field was found"));
            }
            Ok(offsets) => {
                for (_, why) in &offsets.missing {
                    self.line("types", format_args!("{why}"));
                }
            }
            Err(error) => self.line("types", format_args!("{error}")),
        }
    }

    fn coverage(&mut self, mut kernel: Kernel, mut config: Config) -> Result<Exit, CommandError> {
        let root = Root::of_node(kernel.identity()).map_err(CommandError::Root)?;
        let proofs = prove(&mut kernel)?;
        if config.discover && kernel.identity().sees_node_processes() {
            add_running(&mut config, &root);
        }
        let inbound = config.inbound();
        let targets = config.targets.into_iter().map(|entry| entry.value).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime =
            runtime.map_err(|source| CommandError::Io { doing: "cannot start the runtime", source })?;
        let _inside = runtime.enter();
        let keeper = Keeper::new(&mut kernel, root, targets, inbound)?;
        let attached = kernel.attached();
        self.line("backend", format_args!("{}", attached.chosen.backend));
        for candidate in &attached.rejected {
            for why in candidate.failures() {
                self.line("", format_args!("not {}: {why}", candidate.backend));
            }
        }
        for hook in &attached.chosen.hooks {
            match &hook.state {
                HookState::Attached => self.line("hook", format_args!("{}", hook.place)),
                HookState::Failed(why) => self.line("hook", format_args!("{} missing: {why}", hook.place)),
            }
        }
        let started = started::started(&kernel, &keeper, &proofs);
        self.doors(&started, kernel.view());
        Ok(if started.hooks_missing.is_empty() { Exit::Fine } else { Exit::Unsupported })
    }

    /// Door by door, what is watched and what is not.
    fn doors(&mut self, started: &Started, view: View) {
        for class in Class::ALL {
            self.line("door", format_args!("{class}: {}", class.description()));
            for target in started.targets_armed.iter().filter(|target| target.class == class) {
                self.line("", format_args!("watching {}", target.target));
            }
            for target in started.targets_waiting.iter().filter(|target| target.class == class) {
                self.line("", format_args!("waiting for {} ({})", target.target, target.why));
            }
        }
        for gap in &started.coverage_gaps {
            self.line("not seen", format_args!("{gap}"));
        }
        self.text += "\n";
        self.text += &coverage::table(Some(view));
    }

    fn failure(&mut self, error: &LoadError, config: &Config) {
        self.line("backend", format_args!("none: {error}"));
        for class in Class::ALL {
            self.line("door", format_args!("{class}: not watched"));
            for entry in config.targets.iter().filter(|entry| entry.value.class == class) {
                self.line("", format_args!("would watch {}", entry.value.name()));
            }
        }
    }
}
