//! Nodes for tests: a few files, and a process.

use std::fs;
use std::path::Path;

use super::found::Findings;
use super::process::Process;
use super::program::Program;
use super::read;

pub struct Node(tempfile::TempDir);

impl Node {
    pub fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path.trim_start_matches('/'));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Self(dir)
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// What a process on it says, and what could not be found out.
    pub fn says(&self, program: Program, cmdline: &str, environ: &[u8]) -> (Vec<String>, Vec<String>) {
        let process = Process::fixture(program, self.path(), cmdline, environ);
        let mut findings = Findings::new(&process);
        read(&process, &mut findings);
        let found = findings.found.iter().map(|found| format!("{} < {}", found.target, found.from)).collect();
        (found, findings.notes)
    }
}
