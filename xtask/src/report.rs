//! What the end-to-end tests said: counts for the closing line, and the failing tests' own output.

use std::fmt;

/// The test program's option for output without colours: a guest's console looks like a terminal to it.
pub const PLAIN: &str = "--color=never";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub passed: u32,
    pub failed: u32,
    pub skipped: u32,
}

impl Tally {
    /// The last closing line counts; none means that the tests did not come to their end.
    pub fn read(output: &str) -> Option<Self> {
        let counts = output.lines().rev().find_map(|line| line.strip_prefix("test result: "))?;
        let count = |word| {
            let words = counts.split(['.', ';']).map(str::trim);
            words.filter_map(|part| part.strip_suffix(word)?.trim().parse::<u32>().ok()).next()
        };
        // With one thread the harness writes the test's name first, on the same line.
        let skips = |line: &&str| line.starts_with("SKIP ") || line.contains(" ... SKIP ");
        let said = output.lines().filter(skips).count();
        // A test that skips itself cannot tell the harness so: it counts there as passed.
        let skipped = u32::try_from(said).unwrap_or(u32::MAX);
        let passed = count("passed")?.saturating_sub(skipped);
        Some(Self { passed, failed: count("failed")?, skipped: skipped.saturating_add(count("ignored")?) })
    }

    pub fn ran_nothing(self) -> bool {
        self == Self::default()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { passed, failed, skipped } = self;
        write!(f, "{passed} passed, {failed} failed")?;
        if *skipped > 0 {
            write!(f, ", {skipped} skipped")?;
        }
        Ok(())
    }
}

/// The harness's failure section, or the end of the output when it never wrote one.
pub fn failures(output: &str) -> String {
    const TAIL: usize = 40;
    let lines: Vec<_> = output.lines().collect();
    let start = lines.iter().position(|line| *line == "failures:");
    let start = start.unwrap_or_else(|| lines.len().saturating_sub(TAIL));
    lines.get(start..).unwrap_or_default().join("\n")
}

#[cfg(test)]
mod tests {
    use super::{Tally, failures};

    const CLOSING: &str =
        "test result: FAILED. 12 passed; 1 failed; 2 ignored; 0 measured; 3 filtered out; finished in 0.1s";

    #[test]
    fn reads_the_closing_line() {
        let tally = Tally::read(&format!("running 15 tests\r\n{CLOSING}\r\n")).unwrap();
        assert_eq!(tally, Tally { passed: 12, failed: 1, skipped: 2 });
        assert_eq!(tally.to_string(), "12 passed, 1 failed, 2 skipped");
    }

    #[test]
    fn a_test_that_skips_itself_did_not_pass() {
        let tally = Tally::read(&format!("SKIP manifest: no fentry\n{CLOSING}\n")).unwrap();
        assert_eq!(tally, Tally { passed: 11, failed: 1, skipped: 3 });
        assert_eq!(
            Tally::read(&format!("test manifest ... SKIP manifest: no fentry\n{CLOSING}\n")),
            Some(tally)
        );
    }

    #[test]
    fn no_closing_line_is_no_tally() {
        assert_eq!(Tally::read("running 15 tests\nKernel panic\n"), None);
    }

    #[test]
    fn shows_the_failures_only() {
        assert_eq!(failures("running\nfailures:\n\n---- a ----\nboom\n"), "failures:\n\n---- a ----\nboom");
        assert_eq!(failures("Kernel panic\n"), "Kernel panic");
    }
}
