//! The one table from what was done to the words of other formats. Rules, severities and ATT&CK ids are in `event/detection.rs`.

use crate::model::{Action, Severity};

/// Of Elastic Common Schema, <https://www.elastic.co/docs/reference/ecs>.
pub(super) const ECS: &str = "9.4.0";

/// Of the Open Cybersecurity Schema Framework, <https://schema.ocsf.io/1.8.0/>.
pub(super) const OCSF: &str = "1.8.0";

/// Of MITRE ATT&CK, whose ids `event/detection.rs` has.
pub(super) const ATTACK: &str = "19.2";

/// Whose recommendations `posture.cis` numbers.
pub(super) const CIS: &str = "CIS Kubernetes Benchmark 1.12";

/// What an access was done to, as `target.type` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Thing {
    File,
    Mount,
    UnixSocket,
    InetSocket,
    Process,
}

impl Thing {
    #[cfg(test)]
    pub(super) const ALL: [Self; 5] =
        [Self::File, Self::Mount, Self::UnixSocket, Self::InetSocket, Self::Process];

    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "file" => Self::File,
            "mount" => Self::Mount,
            "unix_socket" => Self::UnixSocket,
            "inet_socket" => Self::InetSocket,
            "process" => Self::Process,
            _ => return None,
        })
    }
}

/// How other formats call an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub ecs: Ecs,
    pub ocsf: Ocsf,
    /// `evt.type`: the system call that does such a thing.
    pub falco: &'static str,
}

/// `event.category`, `event.type` and `event.action`. The action is what Auditbeat and Auditd Manager call it, because that is what the
/// rules that Elastic ships ask for.
/// <https://github.com/elastic/go-libaudit/blob/main/aucoalesce/normalizations.yaml>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ecs {
    pub category: &'static str,
    pub types: &'static [&'static str],
    pub action: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ocsf {
    pub class: OcsfClass,
    pub activity: u64,
    pub name: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OcsfClass {
    FileSystemActivity,
    ProcessActivity,
    ComplianceFinding,
    DetectionFinding,
    NetworkActivity,
    ApplicationLifecycle,
}

impl OcsfClass {
    /// Its thousands are the category.
    pub(super) const fn uid(self) -> u64 {
        match self {
            Self::FileSystemActivity => 1001,
            Self::ProcessActivity => 1007,
            Self::ComplianceFinding => 2003,
            Self::DetectionFinding => 2004,
            Self::NetworkActivity => 4001,
            Self::ApplicationLifecycle => 6002,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::FileSystemActivity => "File System Activity",
            Self::ProcessActivity => "Process Activity",
            Self::ComplianceFinding => "Compliance Finding",
            Self::DetectionFinding => "Detection Finding",
            Self::NetworkActivity => "Network Activity",
            Self::ApplicationLifecycle => "Application Lifecycle",
        }
    }
}

/// An activity that OCSF has no number for.
pub(super) const OTHER: u64 = 99;

const CHANGE: &[&str] = &["change"];
const CREATION: &[&str] = &["creation"];
const DELETION: &[&str] = &["deletion"];
const CONNECTION: &[&str] = &["connection", "start"];

pub(super) const fn row(action: Action, thing: Thing) -> Row {
    use OcsfClass::{FileSystemActivity, NetworkActivity, ProcessActivity};
    let ((types, ecs), (activity, name), falco): ((&[&str], _), _, _) = match action {
        Action::Open => ((&["access"], "opened-file"), (14, "Open"), "open"),
        Action::Create => ((CREATION, "opened-file"), (1, "Create"), "open"),
        Action::Write => ((CHANGE, "opened-file"), (3, "Update"), "open"),
        Action::Truncate => ((CHANGE, "opened-file"), (3, "Update"), "truncate"),
        Action::Rename => ((CHANGE, "renamed"), (5, "Rename"), "rename"),
        Action::Link => ((CREATION, "hard-linked"), (1, "Create"), "link"),
        Action::Symlink => ((CREATION, "symlinked"), (1, "Create"), "symlink"),
        Action::Unlink => ((DELETION, "deleted"), (4, "Delete"), "unlink"),
        Action::Chmod => ((CHANGE, "changed-file-permissions-of"), (7, "Set Security"), "chmod"),
        Action::Chown => ((CHANGE, "changed-file-ownership-of"), (7, "Set Security"), "chown"),
        Action::Setxattr => ((CHANGE, "changed-file-attributes-of"), (6, "Set Attributes"), "setxattr"),
        Action::Mount => ((CREATION, "mounted"), (12, "Mount"), "mount"),
        Action::Umount => ((DELETION, "unmounted"), (13, "Unmount"), "umount"),
        // OCSF has no paths in its network classes: there, a socket is a file that is opened.
        Action::Connect if matches!(thing, Thing::UnixSocket) => {
            ((CONNECTION, "connected-to"), (14, "Open"), "connect")
        }
        Action::Connect => ((CONNECTION, "connected-to"), (1, "Open"), "connect"),
        Action::Accept => ((CONNECTION, "accepted-connection-from"), (1, "Open"), "accept"),
        Action::Receive if matches!(thing, Thing::UnixSocket | Thing::InetSocket) => {
            ((&["connection", "info"], "received-connection"), (OTHER, "Receive"), "recvmsg")
        }
        Action::Receive => ((&["access"], "received-file"), (OTHER, "Receive"), "recvmsg"),
        Action::Ptrace => ((&["access"], "traced"), (3, "Open"), "ptrace"),
        Action::Masquerade => ((CHANGE, "masqueraded"), (OTHER, "Masquerade"), "prctl"),
    };
    // A socket that is renamed or removed is a file.
    let (category, class) = match (thing, action) {
        (Thing::InetSocket, _) => ("network", NetworkActivity),
        (Thing::UnixSocket, Action::Connect | Action::Accept | Action::Receive) => {
            ("network", FileSystemActivity)
        }
        (Thing::Process, _) => ("process", ProcessActivity),
        (Thing::File | Thing::Mount | Thing::UnixSocket, _) => ("file", FileSystemActivity),
    };
    Row { ecs: Ecs { category, types, action: ecs }, ocsf: Ocsf { class, activity, name }, falco }
}

/// How bad it is, as other formats say it.
pub(super) struct Badness {
    /// `event.severity` and `event.risk_score`, as in the rules that Elastic ships.
    pub ecs: u64,
    pub ocsf: (u64, &'static str),
    /// Falco's priorities are those of syslog.
    pub falco: &'static str,
}

pub(super) const fn badness(severity: Severity) -> Badness {
    let (ecs, ocsf, falco) = match severity {
        Severity::Info => (0, (1, "Informational"), "Informational"),
        Severity::Low => (21, (2, "Low"), "Notice"),
        Severity::Medium => (47, (3, "Medium"), "Warning"),
        Severity::High => (73, (4, "High"), "Error"),
        Severity::Critical => (99, (5, "Critical"), "Critical"),
    };
    Badness { ecs, ocsf, falco }
}
