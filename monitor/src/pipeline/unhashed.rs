//! Accesses that are to be told and wait, in order, for the hash of their actor's executable.
//!
//! It is looked for beside the way of an access, and the wait is short: what is not known by then is told without it.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::access::Access;
use crate::event::Facts;
use crate::exe_hash::{Found, Hashes, Job, Reader};
use crate::model::Class;
use crate::verdict::Verdict;

/// A file of 60 MiB takes some 40 ms where the processor knows SHA-256, and 250 ms where not.
const PATIENCE: Duration = Duration::from_secs(1);

/// More do not wait: the first goes out as it is.
const MOST: usize = 1024;

/// An access with what is to be said of it.
#[derive(Debug)]
pub(super) struct Unhashed {
    pub class: Class,
    pub access: Access,
    pub facts: Facts,
    pub verdict: Verdict,
}

#[derive(Debug)]
struct Waiting {
    /// `None` when there is nothing to wait for.
    ticket: Option<u64>,
    due: Instant,
    what: Box<Unhashed>,
}

#[derive(Debug)]
pub(super) struct Queue {
    hashes: Hashes,
    waiting: VecDeque<Waiting>,
}

impl Queue {
    pub(super) fn new(hashes: Hashes) -> Self {
        Self { hashes, waiting: VecDeque::new() }
    }

    /// Begins to look for the hash, if there is a job. What has none only waits until those before it are told.
    pub(super) fn push(&mut self, mut what: Unhashed, job: Option<Job>) {
        let ticket = job.and_then(|job| match self.hashes.begin(job) {
            Ok(ticket) => Some(ticket),
            Err(why) => {
                what.know(Err(why));
                None
            }
        });
        let due = Instant::now() + PATIENCE;
        self.waiting.push_back(Waiting { ticket, due, what: Box::new(what) });
    }

    /// Takes an answer. One that comes too late is for nobody.
    pub(super) fn answered(&mut self, ticket: u64, found: Found) {
        if let Some(waiting) = self.waiting.iter_mut().find(|waiting| waiting.ticket == Some(ticket)) {
            waiting.ticket = None;
            waiting.what.know(found);
        }
    }

    /// The first, if it is known or has waited long enough.
    pub(super) fn take(&mut self) -> Option<Unhashed> {
        let first = self.waiting.front()?;
        let ready = first.ticket.is_none() || first.due <= Instant::now() || self.waiting.len() > MOST;
        let mut first = self.waiting.pop_front_if(|_| ready)?;
        if first.ticket.is_some() {
            first.what.know(Err(format!("not known within {} ms", PATIENCE.as_millis())));
        }
        Some(*first.what)
    }

    /// Begins to look for the hash of what waits here for nothing.
    pub(super) fn begin(&mut self, job: Job) -> Result<u64, String> {
        self.hashes.begin(job)
    }

    /// For what has time.
    pub(super) fn reader(&self) -> Reader {
        self.hashes.reader()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Waits for an answer, or until the first has waited long enough. Safe to cancel.
    pub(super) async fn ready(&mut self) -> Option<(u64, Found)> {
        let due = self.waiting.front().map(|waiting| waiting.due);
        let first_due = async {
            match due {
                Some(due) => sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            answer = self.hashes.answer() => Some(answer),
            () = first_due => None,
        }
    }
}

impl Unhashed {
    fn know(&mut self, found: Found) {
        know(&mut self.access, &mut self.facts.errors, found);
    }
}

/// Adds the hash, or why it is not known.
pub(super) fn know(access: &mut Access, errors: &mut Vec<String>, found: Found) {
    let why = match &found {
        Ok(hashed) if hashed.certain => None,
        Ok(_) => Some("the file was changed at the time of the access or since, so that no rule counts it"),
        Err(why) => Some(why.as_str()),
    };
    errors.extend(why.map(|why| format!("exe_sha256: {why}")));
    access.actor.exe_hash = found.ok();
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::event::samples::{access, actor, facts, file, violation};
    use crate::hash::{Digest, Hashed};
    use crate::model::Action;
    use crate::node::Root;

    fn unhashed(pid: u32) -> Unhashed {
        let mut access = access(Action::Open, file(b"/x", true, false), actor(&[]));
        (access.actor.pid, access.actor.exe_hash) = (pid, None);
        Unhashed { class: Class::Credential, access, facts: facts(b"/x"), verdict: violation("") }
    }

    const HASHED: Hashed = Hashed { digest: Digest([7; 32]), certain: true };

    fn queue() -> Queue {
        Queue::new(Hashes::new(&Root::at_dir(Path::new("/")).unwrap()).unwrap())
    }

    /// A process that nobody answers for.
    fn wait(queue: &mut Queue, what: Unhashed, ticket: u64) {
        queue.push(what, None);
        queue.waiting.back_mut().unwrap().ticket = Some(ticket);
    }

    #[tokio::test(start_paused = true)]
    async fn the_order_stays() {
        let mut queue = queue();
        wait(&mut queue, unhashed(1), 1);
        wait(&mut queue, unhashed(2), 2);
        queue.push(unhashed(3), None);
        assert!(queue.take().is_none());
        queue.answered(2, Ok(HASHED));
        assert!(queue.take().is_none(), "the first waits");
        queue.answered(1, Err("why".to_owned()));
        let first = queue.take().unwrap();
        assert_eq!((first.access.actor.pid, first.access.actor.exe_hash), (1, None));
        assert_eq!(first.facts.errors, ["exe_sha256: why"]);
        let second = queue.take().unwrap();
        assert_eq!((second.access.actor.pid, second.access.actor.exe_hash), (2, Some(HASHED)));
        assert_eq!(second.facts.errors, [""; 0]);
        assert_eq!(queue.take().unwrap().access.actor.pid, 3);
        assert!(queue.take().is_none() && queue.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn the_wait_has_an_end() {
        let mut queue = queue();
        wait(&mut queue, unhashed(1), 1);
        assert_eq!(queue.ready().await, None);
        assert_eq!(queue.take().unwrap().facts.errors, ["exe_sha256: not known within 1000 ms"]);
        queue.answered(1, Ok(HASHED));
        for number in 0..=MOST as u64 {
            wait(&mut queue, unhashed(2), number);
        }
        assert!(queue.take().is_some(), "too many");
        assert!(queue.take().is_none());
    }

    #[test]
    fn a_file_that_was_changed_says_so() {
        let mut what = unhashed(1);
        what.know(Ok(Hashed { certain: false, ..HASHED }));
        assert!(what.facts.errors[0].contains("changed"));
        assert!(what.access.actor.exe_hash.is_some());
    }
}
