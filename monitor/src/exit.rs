//! Exit codes, which scripts rely on.

use std::process::ExitCode;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Fine, and nothing found.
    Fine = 0,
    /// Something was found, and the command was asked to say so.
    Findings = 1,
    /// Wrong usage, or a wrong policy file.
    Usage = 2,
    /// This kernel, or these privileges, cannot support it.
    Unsupported = 3,
    /// It failed while running.
    Failure = 4,
}

impl Exit {
    /// How this program ended as somebody's child.
    pub const fn of_child(code: i32) -> Self {
        match code {
            0 => Self::Fine,
            1 => Self::Findings,
            2 => Self::Usage,
            3 => Self::Unsupported,
            _ => Self::Failure,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_the_documented_ones() {
        let codes = [Exit::Fine, Exit::Findings, Exit::Usage, Exit::Unsupported, Exit::Failure];
        assert_eq!(codes.map(|exit| exit as u8), [0, 1, 2, 3, 4]);
    }
}
