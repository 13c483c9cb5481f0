//! One file a command.

mod config;
mod doctor;
mod explain;
mod list;
mod replay;
mod run;
mod schema;
mod selftest;
mod touch;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write as _};
use std::path::Path;

use thiserror::Error;

use crate::cli::Command;
use crate::config::{self as policy, ConfigErrors, Rule};
use crate::emit::SinkError;
use crate::event::text::escaped;
use crate::exit::Exit;
use crate::kernel::LoadError;
use crate::watch::WatchError;

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
    #[error("{doing}: {source}")]
    Io { doing: &'static str, source: io::Error },
    #[error("{name}: cannot be opened: {source}")]
    Open { name: String, source: io::Error },
    #[error("{name}: {what}")]
    Event { name: String, what: String },
    #[error("whoever read the output is gone")]
    Closed,
}

impl CommandError {
    pub fn exit(&self) -> Exit {
        match self {
            Self::Config(_) | Self::Sink(_) | Self::Open { .. } | Self::Event { .. } => Exit::Usage,
            Self::Kernel(_) | Self::Root(_) => Exit::Unsupported,
            Self::Watch(_) | Self::Io { .. } => Exit::Failure,
            Self::Closed => Exit::Fine,
        }
    }
}

pub fn dispatch(command: &Command) -> Result<Exit, CommandError> {
    match command {
        Command::Run(opts) => run::run(opts),
        Command::Doctor(opts) => doctor::doctor(opts),
        Command::Config(opts) => config::config(opts),
        Command::Schema => schema::schema(),
        Command::Explain(opts) => explain::explain(opts),
        Command::Replay(opts) => replay::replay(opts),
        Command::List(opts) => list::list(opts),
        Command::Selftest(opts) => selftest::selftest(opts),
        Command::Touch(opts) => touch::run(opts),
    }
}

/// The rules of a policy.
fn rules(path: Option<&Path>) -> Result<Vec<Rule>, CommandError> {
    Ok(policy::load(path)?.rules.into_iter().map(|entry| entry.value).collect())
}

/// A file, or stdin for `-`.
fn open(path: &Path) -> Result<Box<dyn BufRead>, CommandError> {
    if path == Path::new("-") {
        return Ok(Box::new(BufReader::new(io::stdin())));
    }
    let failed = |source| CommandError::Open { name: escaped(&path.to_string_lossy()), source };
    Ok(Box::new(BufReader::new(File::open(path).map_err(failed)?)))
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
