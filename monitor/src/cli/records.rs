//! Commands about what was recorded, and about the node's files.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::formats::{OcsfClass, PostureFormat, RecordFormat};

#[derive(Debug, Args)]
pub struct Explain {
    /// A file with one event as JSON; - for stdin
    #[arg(required_unless_present = "pid")]
    pub event: Option<PathBuf>,
    /// Say of a running process what it may do, instead of an event
    #[arg(long, conflicts_with = "event")]
    pub pid: Option<u32>,
    /// The policy file; without it the built-in profile is used
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Replay {
    /// A file with an event a line, as `run` writes them; - for stdin
    pub file: PathBuf,
    /// The policy file; without it the built-in profile is used
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// How to write events
    #[arg(long, value_enum, default_value = "native")]
    pub format: RecordFormat,
    /// As what `--format ocsf` has alerts
    #[arg(long, value_enum, default_value = "activity")]
    pub ocsf_class: OcsfClass,
    /// End with exit code 1 when there is a violation
    #[arg(long)]
    pub exit_code: bool,
}

#[derive(Debug, Args)]
pub struct Report {
    /// Files that `run`, `snapshot` or `posture` wrote with --format native, in any order; - for stdin
    #[arg(required = true, value_name = "EVENTS")]
    pub files: Vec<PathBuf>,
    /// Write the report to this file
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Replace the file if there is one
    #[arg(long)]
    pub force: bool,
}

#[derive(Debug, Args)]
pub struct Posture {
    /// The policy file, whose targets are looked at too; without it the built-in profile is used
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// How to write findings; text on a terminal and native into a pipe or file if not given
    #[arg(long, value_enum)]
    pub format: Option<PostureFormat>,
    /// End with exit code 1 from this result on
    #[arg(long, value_enum, default_value = "fail")]
    pub fail_on: FailOn,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    Warn,
    Fail,
}

#[derive(Debug, Subcommand)]
pub enum Config {
    /// Check a policy file
    Validate {
        /// The policy file
        file: PathBuf,
    },
    /// Print the policy in force, and where each part is from
    Show {
        /// The policy file; without it the built-in profile is shown
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// With what the running kubelet, runtimes, etcd and API server add, as `run` watches it
        #[arg(long)]
        effective: bool,
    },
}

#[derive(Debug, Args)]
pub struct List {
    #[arg(value_enum)]
    pub what: Listing,
    /// The policy file; without it the built-in profile is used
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Listing {
    /// Classes of targets
    Classes,
    /// Detections, with their severity
    Detections,
    /// Allow rules of the policy
    Rules,
    /// Targets of the policy
    Targets,
    /// Built-in profiles
    Profiles,
    /// Checks of `bypassd posture`, with what to do
    Checks,
    /// Ways to a door, and what each backend sees of them
    Coverage,
}
