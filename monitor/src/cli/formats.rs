//! Names that options can have.

use clap::ValueEnum;

use crate::emit::{Alerts, Shape};
use crate::model::Backend;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FormatName {
    /// JSON by `bypassd schema`
    Native,
    /// JSON by Elastic Common Schema 9.4
    Ecs,
    /// JSON by Open Cybersecurity Schema Framework 1.8
    Ocsf,
    /// JSON as Falco's alerts
    Falco,
    /// For people
    Text,
}

impl FormatName {
    /// `None` for text.
    pub fn of_records(self) -> Option<RecordFormat> {
        match self {
            Self::Native => Some(RecordFormat::Native),
            Self::Ecs => Some(RecordFormat::Ecs),
            Self::Ocsf => Some(RecordFormat::Ocsf),
            Self::Falco => Some(RecordFormat::Falco),
            Self::Text => None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RecordFormat {
    /// JSON by `bypassd schema`
    Native,
    /// JSON by Elastic Common Schema 9.4
    Ecs,
    /// JSON by Open Cybersecurity Schema Framework 1.8
    Ocsf,
    /// JSON as Falco's alerts
    Falco,
}

impl RecordFormat {
    /// `None` for the native one.
    pub fn shape(self, class: OcsfClass) -> Option<Shape> {
        let alerts = match class {
            OcsfClass::Activity => Alerts::Activity,
            OcsfClass::Finding => Alerts::Finding,
        };
        match self {
            Self::Native => None,
            Self::Ecs => Some(Shape::Ecs),
            Self::Ocsf => Some(Shape::Ocsf(alerts)),
            Self::Falco => Some(Shape::Falco),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OcsfClass {
    /// File System, Network or Process Activity
    Activity,
    /// Detection Finding
    Finding,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PostureFormat {
    /// JSON by `bypassd schema`
    Native,
    /// Compliance Findings by Open Cybersecurity Schema Framework 1.8
    Ocsf,
    /// For people
    Text,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// A line a way
    Text,
    /// An object a line
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BackendName {
    Auto,
    Fentry,
    Kprobe,
    Syscall,
}

impl BackendName {
    /// `None` for the best that works.
    pub fn wanted(self) -> Option<Backend> {
        match self {
            Self::Auto => None,
            Self::Fentry => Some(Backend::Fentry),
            Self::Kprobe => Some(Backend::Kprobe),
            Self::Syscall => Some(Backend::Syscall),
        }
    }
}
