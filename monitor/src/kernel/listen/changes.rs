//! Changes of directory entries and of files.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use super::marks::{Attributes, Mark, Marks};
use super::{Heard, Told, heard, read, sys};

#[derive(Debug)]
pub struct Changes {
    group: OwnedFd,
    marks: Marks,
    /// The last that was heard.
    last: Option<Heard>,
}

impl Changes {
    pub fn new() -> io::Result<Self> {
        Ok(Self { group: sys::changes()?, marks: Marks::default(), last: None })
    }

    pub fn group(&self) -> &OwnedFd {
        &self.group
    }

    /// What is added from now on is all that counts at the end.
    pub fn begin(&mut self) {
        self.marks.begin(&self.group);
    }

    pub fn end(&mut self) {
        self.marks.end();
    }

    pub fn add(&mut self, fd: &OwnedFd, path: &Path, mark: Mark<'_>, size: bool) {
        self.marks.add(&self.group, fd, path, mark, size);
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
        let Self { group, marks, last } = self;
        let result = read(group, told, |event, now, told| {
            heard::hear(&event, marks, now, last.as_ref(), &mut told.heard);
        });
        if let Some(heard) = told.heard.last() {
            *last = Some(heard.clone());
        }
        result
    }
}
