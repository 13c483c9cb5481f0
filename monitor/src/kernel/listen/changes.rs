//! Changes of directory entries and of files.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use super::groups::Groups;
use super::marks::{Attributes, Mark, Marks};
use super::{Heard, Told, heard, read};

#[derive(Debug)]
pub struct Changes {
    groups: Groups,
    marks: Marks,
    /// The last that was heard.
    last: Option<Heard>,
}

impl Changes {
    pub fn new() -> io::Result<Self> {
        Ok(Self { groups: Groups::new()?, marks: Marks::default(), last: None })
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
        let Self { groups, marks, last } = self;
        for group in groups.iter() {
            let result = read(group, told, |event, now, told| {
                heard::hear(&event, marks, now, last.as_ref(), &mut told.heard);
            });
            if let Some(heard) = told.heard.last() {
                *last = Some(heard.clone());
            }
            result?;
        }
        Ok(())
    }
}
