//! One file a command.

mod collect;
mod completions;
mod config;
mod doctor;
mod explain;
mod learn;
mod list;
mod man;
mod posture;
mod process;
mod replay;
mod report;
mod run;
mod schema;
mod selftest;
mod snapshot;
mod touch;
mod watch;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use thiserror::Error;

use crate::cli::Command;
use crate::config::{self as policy, Config, ConfigErrors, Rule};
use crate::emit::SinkError;
use crate::event::text::escaped;
use crate::exit::Exit;
use crate::kernel::LoadError;
use crate::node::Root;
use crate::running::{self, Known, Running};
use crate::watch::WatchError;

/// How long a command waits for what runs on the node.
const LOOK: Duration = Duration::from_secs(10);

/// Why a command ended early. Each is one sentence that says what to do.
#[derive(Debug, Error)]
pub enum CommandError {
    #[error("{0}")]
    Config(#[from] ConfigErrors),
    #[error("{0}")]
    Sink(#[from] SinkError),
    #[error("{0}")]
    Kernel(#[from] LoadError),
    #[error("{0}")]
    Watch(#[from] WatchError),
    #[error(
        "cannot look into the node's root: {0}; the daemon needs hostPID and CAP_SYS_PTRACE in a container"
    )]
    Root(#[source] io::Error),
    #[error("cannot listen on {address}: {source}; choose another address with --http")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("{name}: cannot write the manual pages there: {source}; --output names a directory that exists")]
    Pages { name: String, source: io::Error },
    #[error("{doing}: {source}")]
    Io { doing: &'static str, source: io::Error },
    #[error("{name}: cannot be opened: {source}")]
    Open { name: String, source: io::Error },
    #[error("{name}: {what}")]
    Event { name: String, what: String },
    #[error("stdout is no terminal; `bypassd run` writes events anywhere")]
    NoTerminal,
    #[error("whoever read the output is gone")]
    Closed,
}

impl CommandError {
    pub fn exit(&self) -> Exit {
        match self {
            Self::Config(_)
            | Self::Sink(_)
            | Self::Open { .. }
            | Self::Event { .. }
            | Self::Pages { .. }
            | Self::NoTerminal => Exit::Usage,
            Self::Kernel(_) | Self::Root(_) => Exit::Unsupported,
            Self::Watch(_) | Self::Io { .. } | Self::Listen { .. } => Exit::Failure,
            Self::Closed => Exit::Fine,
        }
    }
}

pub fn dispatch(command: &Command, verbose: bool) -> Result<Exit, CommandError> {
    match command {
        Command::Run(opts) => run::run(opts, verbose),
        Command::Snapshot(opts) => snapshot::snapshot(opts, verbose),
        Command::Doctor(opts) => doctor::doctor(opts),
        Command::Config(opts) => config::config(opts),
        Command::Collect(opts) => collect::collect(opts),
        Command::Schema => schema::schema(),
        Command::Explain(opts) => explain::explain(opts),
        Command::Learn(opts) => learn::learn(opts),
        Command::Replay(opts) => replay::replay(opts),
        Command::Report(opts) => report::report(opts),
        Command::Posture(opts) => posture::posture(opts),
        Command::List(opts) => list::list(opts),
        Command::Selftest(opts) => selftest::selftest(opts),
        Command::Completions(opts) => completions::completions(opts),
        Command::Man(opts) => man::man(opts),
        Command::Touch(opts) => touch::run(opts),
        Command::Watch(opts) => watch::watch(opts),
    }
}

/// The rules of a policy.
fn rules(path: Option<&Path>) -> Result<Vec<Rule>, CommandError> {
    Ok(policy::load(path)?.rules.into_iter().map(|entry| entry.value).collect())
}

/// Adds what runs on the node says. What cannot be found out is said on stderr, and is no reason to end.
fn add_running(policy: &mut Config, root: &Root) {
    let running = running::look_within(root, policy.sockets(), LOOK).unwrap_or_else(|why| {
        tracing::warn!("what runs here is not known: {why}");
        Running::default()
    });
    running.notes.iter().for_each(|note| tracing::warn!("{}", escaped(note)));
    let mut known = Known::new(policy.targets.iter().map(|entry| entry.value.clone()).collect());
    policy.add_found(known.add(&running).added);
}

/// A file, or stdin for `-`.
fn open(path: &Path) -> Result<Box<dyn BufRead + Send>, CommandError> {
    if path == Path::new("-") {
        return Ok(Box::new(BufReader::new(io::stdin())));
    }
    let failed = |source| CommandError::Open { name: escaped(&path.to_string_lossy()), source };
    Ok(Box::new(BufReader::new(File::open(path).map_err(failed)?)))
}

/// On stderr, where it is no part of the output.
fn complain(text: &str) {
    // Where nobody reads stderr, the exit code still says it.
    let _unheard = writeln!(io::stderr().lock(), "bypassd: {text}");
}

/// Writes an answer to stdout.
fn print(text: &str) -> Result<Exit, CommandError> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(Exit::Fine),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(CommandError::Closed),
        Err(source) => Err(CommandError::Io { doing: "cannot write to stdout", source }),
    }
}
