//! Changes of directory entries and of files.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use super::groups::Groups;
use super::heard::ONE_CALL;
use super::marks::{Attributes, Mark, Marks};
use super::{Heard, Told, heard, read};

/// More processes do not change doors at a time.
const RECENT_MAX: usize = 64;

#[derive(Debug)]
pub struct Changes {
    groups: Groups,
    marks: Marks,
    /// What was heard last, of which the other half may be to come.
    recent: Vec<Heard>,
}

impl Changes {
    pub fn new() -> io::Result<Self> {
        Ok(Self { groups: Groups::new()?, marks: Marks::default(), recent: Vec::new() })
    }

    pub fn ear(&self) -> &OwnedFd {
        self.groups.poll()
    }

    /// What is added from now on is all that counts at the end.
    pub fn begin(&mut self) {
        self.marks.begin(&mut self.groups);
    }

    pub fn end(&mut self) {
        self.marks.end();
    }

    pub fn add(&mut self, fd: &OwnedFd, path: &Path, mark: Mark<'_>, size: bool) {
        self.marks.add(&mut self.groups, fd, path, mark, size);
    }

    /// A file was found there: it may be known by a path that it had before.
    pub fn found(&mut self, fd: &OwnedFd, path: &Path) {
        self.marks.found(fd, path);
    }

    /// What could not be added, and why.
    pub fn failed(&self) -> impl Iterator<Item = (&Path, &str)> {
        self.marks.failed()
    }

    /// Notes the attributes that something has now, and returns those it had.
    pub fn noted(&mut self, heard: &Heard, now: Attributes) -> Option<Attributes> {
        self.marks.noted(heard.handle.as_ref()?, now)
    }

    /// Reads all that is there.
    pub fn read(&mut self, told: &mut Told) -> io::Result<()> {
        let Self { groups, marks, recent } = self;
        for group in groups.iter() {
            read(group, told, |event, now, told| {
                heard::hear(&event, marks, now, recent, &mut told.heard);
            })?;
        }
        recent.retain(|heard| heard.at.elapsed() < ONE_CALL);
        recent.extend(told.heard.iter().rev().take(RECENT_MAX).rev().cloned());
        let surplus = recent.len().saturating_sub(RECENT_MAX);
        recent.drain(..surplus);
        Ok(())
    }
}
