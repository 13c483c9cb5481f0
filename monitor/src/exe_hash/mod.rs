//! SHA-256 of the executables of actors, worked out on threads of their own: a file is as slow as whoever serves it wants it to be.

mod content;
mod find;

use std::collections::{HashSet, VecDeque};
use std::io;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use lru::LruCache;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use self::content::Stamp;
use crate::access::{Actor, Executable, ObjectKey};
use crate::hash::{Digest, Hashed};
use crate::node::Root;

/// Files that are read at a time. One that never answers keeps its thread.
const THREADS_MAX: usize = 4;

/// Executables that wait for a thread.
const JOBS_MAX: usize = 1024;

/// Files whose hash is remembered.
const KNOWN_MAX: NonZeroUsize = NonZeroUsize::MIN.saturating_add(255);

/// A thread needs room for a buffer and a path.
const STACK: usize = 256 << 10;

/// Whose executable, and where it can be found.
#[derive(Clone, Debug)]
pub struct Job {
    pid: u32,
    /// Nanoseconds since boot.
    start: u64,
    exe: Executable,
    /// Its mount namespace is the node's.
    on_node: bool,
    /// Processes that may share its root.
    above: Vec<u32>,
    /// Of the access, in nanoseconds since 1970.
    at: i128,
}

impl Job {
    /// `None` for what has no executable. `at` is the time of the access in nanoseconds since 1970.
    pub fn of(actor: &Actor, on_node: bool, at: i128) -> Option<Self> {
        actor.exe.key?;
        let above = actor.ancestors.iter().map(|above| above.pid).collect();
        Some(Self { pid: actor.pid, start: actor.start, exe: actor.exe.clone(), on_node, above, at })
    }
}

impl Job {
    /// A file of the node by its path with all links resolved.
    pub fn of_file(path: &Path, key: ObjectKey) -> Self {
        let path = path.as_os_str().as_encoded_bytes().to_vec();
        let exe = Executable { key: Some(key), path, deleted: false };
        Self { pid: 0, start: 0, exe, on_node: true, above: Vec::new(), at: i128::MAX }
    }
}

/// The hash, or why it is not known.
pub type Found = Result<Hashed, String>;

#[derive(Debug)]
pub struct Hashes {
    shared: Arc<Shared>,
    answers: UnboundedReceiver<(u64, Found)>,
    ticket: u64,
}

#[derive(Debug)]
struct Shared {
    root: Root,
    queue: Mutex<Queue>,
    /// There is a job.
    work: Condvar,
    known: Mutex<Known>,
    /// A file was read to its end.
    read: Condvar,
    answers: UnboundedSender<(u64, Found)>,
}

#[derive(Debug, Default)]
struct Queue {
    jobs: VecDeque<(u64, Job)>,
    threads: usize,
    idle: usize,
    closed: bool,
}

#[derive(Debug)]
struct Known {
    digests: LruCache<Stamp, Digest>,
    /// Files that some thread reads now.
    reading: HashSet<Stamp>,
}

impl Hashes {
    pub fn new(root: &Root) -> io::Result<Self> {
        let (sender, answers) = unbounded_channel();
        let shared = Shared {
            root: root.try_clone()?,
            queue: Mutex::default(),
            work: Condvar::new(),
            known: Mutex::new(Known { digests: LruCache::new(KNOWN_MAX), reading: HashSet::new() }),
            read: Condvar::new(),
            answers: sender,
        };
        Ok(Self { shared: Arc::new(shared), answers, ticket: 0 })
    }

    /// Begins to look; the answer comes with the number that is returned.
    pub fn begin(&mut self, job: Job) -> Result<u64, String> {
        self.ticket += 1;
        let mut queue = lock(&self.shared.queue);
        if queue.jobs.len() >= JOBS_MAX {
            return Err("too many executables wait to be read".to_owned());
        }
        queue.jobs.push_back((self.ticket, job));
        if queue.jobs.len() > queue.idle && queue.threads < THREADS_MAX {
            let shared = Arc::clone(&self.shared);
            let thread = thread::Builder::new().name("exe-hash".to_owned()).stack_size(STACK);
            match thread.spawn(move || shared.run()) {
                Ok(_) => queue.threads += 1,
                Err(error) => tracing::error!(%error, "cannot start a thread that reads executables"),
            }
        }
        drop(queue);
        self.shared.work.notify_one();
        Ok(self.ticket)
    }

    /// For a thread that can wait.
    pub fn reader(&self) -> Reader {
        Reader(Arc::clone(&self.shared))
    }

    /// Waits for the next answer. Safe to cancel.
    pub async fn answer(&mut self) -> (u64, Found) {
        match self.answers.recv().await {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }
}

/// Looks at once, for as long as it takes.
#[derive(Debug)]
pub struct Reader(Arc<Shared>);

impl Reader {
    pub fn look(&self, job: &Job) -> Found {
        self.0.look(job)
    }
}

impl Drop for Hashes {
    fn drop(&mut self) {
        lock(&self.shared.queue).closed = true;
        self.shared.work.notify_all();
    }
}

impl Shared {
    fn run(&self) {
        let mut queue = lock(&self.queue);
        while !queue.closed {
            if let Some((ticket, job)) = queue.jobs.pop_front() {
                drop(queue);
                // Nobody waits any more when the daemon has stopped.
                let _stopped = self.answers.send((ticket, self.look(&job)));
                queue = lock(&self.queue);
            } else {
                queue.idle += 1;
                queue = self.work.wait(queue).unwrap_or_else(PoisonError::into_inner);
                queue.idle -= 1;
            }
        }
    }

    fn look(&self, job: &Job) -> Found {
        let found = find::find(&self.root, job)?;
        let certain = found.stamp.is_from_before(job.at);
        Ok(Hashed { digest: self.digest(&found)?, certain })
    }

    /// Reads a file once, however many ask for it.
    fn digest(&self, found: &find::Found) -> Result<Digest, String> {
        let mut known = lock(&self.known);
        loop {
            if let Some(digest) = known.digests.get(&found.stamp) {
                return Ok(*digest);
            }
            if known.reading.insert(found.stamp) {
                break;
            }
            known = self.read.wait(known).unwrap_or_else(PoisonError::into_inner);
        }
        drop(known);
        let read = found.is_local().and_then(|()| content::read(&found.fd, found.stamp));
        let mut known = lock(&self.known);
        known.reading.remove(&found.stamp);
        if let Ok(digest) = read {
            known.digests.put(found.stamp, digest);
        }
        drop(known);
        self.read.notify_all();
        read
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
