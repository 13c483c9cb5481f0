//! What is in the manifests that were written: looked at when they have settled, on threads of their own, and told in an event that
//! follows the alert.
//!
//! Whoever holds a file open can write to it later, which no hook tells, so a file is looked at a few times more.

use std::collections::HashMap;
use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use lru::LruCache;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::access::{Access, Object, OtherPlace};
use crate::event::{Event, Manifest};
use crate::manifest::{Doors, Fingerprint, Seen, look};
use crate::model::{Action, Class, Group};
use crate::node::Root;

/// What has not changed for so long has settled.
const SETTLE: Duration = Duration::from_millis(100);

/// What changes for longer is told as it is.
const LATEST: Duration = Duration::from_secs(3);

/// After each of these pauses, it is looked at again.
const LATER: [Duration; 3] = [Duration::from_secs(2), Duration::from_secs(10), Duration::from_secs(60)];

/// The same content is told again after so long, when it was written again.
const KNOWN: Duration = Duration::from_secs(60);

/// Files that wait to be looked at.
const WAITING_MAX: usize = 64;

/// Files that are looked at at a time. A file system can keep a thread for ever.
const THREADS_MAX: usize = 4;

/// Whoever has not answered by then does not.
const HUNG: Duration = Duration::from_secs(10);

/// How long a stopping daemon waits for the last of them.
const PATIENCE: Duration = Duration::from_secs(2);

/// Files whose last content is remembered.
const TOLD_MAX: NonZeroUsize = NonZeroUsize::MIN.saturating_add(255);

#[derive(Debug)]
pub(super) struct Manifests {
    waiting: HashMap<PathBuf, Wait>,
    told: LruCache<PathBuf, (Instant, [u8; 32])>,
    threads: usize,
    answers: (UnboundedSender<Answer>, UnboundedReceiver<Answer>),
    uses: u64,
    /// Manifests that were not looked at: too many at once, or their file system does not answer.
    pub(super) unread: u64,
}

#[derive(Debug)]
struct Wait {
    /// Of the last access.
    event: Box<Event>,
    /// The number of that access: an answer to an earlier look says nothing of it.
    of_use: u64,
    since: Instant,
    due: Instant,
    /// When a look at it began that has not ended.
    looking: Option<Instant>,
    seen: Option<Fingerprint>,
    /// How often it was told or found unchanged.
    round: usize,
}

#[derive(Debug)]
pub(super) struct Answer {
    path: PathBuf,
    of_use: u64,
    seen: Seen,
}

impl Default for Manifests {
    fn default() -> Self {
        Self {
            waiting: HashMap::new(),
            told: LruCache::new(TOLD_MAX),
            threads: 0,
            answers: unbounded_channel(),
            uses: 0,
            unread: 0,
        }
    }
}

/// The file whose content an access may have changed, by its path on the node.
pub(super) fn changed(class: Class, access: &Access, path: &[u8]) -> Option<PathBuf> {
    let changes = match access.action {
        Action::Create | Action::Write | Action::Truncate | Action::Symlink | Action::Mount => true,
        // What went elsewhere is not there any more, or is as it was.
        Action::Rename | Action::Link => !matches!(
            &access.object,
            Object::File(file) if matches!(file.other, Some(OtherPlace { is_source: false, .. }))
        ),
        Action::Receive => access.group() == Some(Group::Write),
        Action::Open
        | Action::Unlink
        | Action::Chmod
        | Action::Chown
        | Action::Setxattr
        | Action::Umount
        | Action::Connect
        | Action::Accept
        | Action::Ptrace
        | Action::Masquerade => false,
    };
    (class == Class::StaticPodManifest && changes && !path.is_empty())
        .then(|| OsString::from_vec(path.to_vec()).into())
}

impl Manifests {
    /// An access was told that may have changed a manifest.
    pub(super) fn written(&mut self, path: PathBuf, event: Event) {
        self.uses += 1;
        let (now, of_use, event) = (Instant::now(), self.uses, Box::new(event));
        if !self.waiting.contains_key(&path) && self.waiting.len() >= WAITING_MAX && !self.make_room() {
            self.unread += 1;
            return;
        }
        let before = self.waiting.get(&path);
        let looking = before.and_then(|wait| wait.looking);
        // Whoever writes again and again does not put it off for ever.
        let since = before.filter(|wait| wait.round == 0).map_or(now, |wait| wait.since);
        let due = (now + SETTLE).min(since + LATEST);
        self.waiting.insert(path, Wait { event, of_use, since, due, looking, seen: None, round: 0 });
    }

    /// Forgets one that was told already.
    fn make_room(&mut self) -> bool {
        let told = self.waiting.iter().max_by_key(|(_, wait)| wait.round).filter(|(_, wait)| wait.round > 0);
        let Some(path) = told.map(|(path, _)| path.clone()) else { return false };
        self.waiting.remove(&path).is_some()
    }

    /// Waits for an answer, or until something is due. Safe to cancel.
    pub(super) async fn ready(&mut self) -> Option<Answer> {
        let next = self.waiting.values().map(|wait| self.wakes(wait)).min();
        let due = async {
            match next {
                Some(next) => sleep_until(next).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            answer = self.answers.1.recv() => answer,
            () = due => None,
        }
    }

    fn wakes(&self, wait: &Wait) -> Instant {
        match wait.looking {
            Some(since) => since + HUNG,
            None if self.threads < THREADS_MAX => wait.due,
            None => wait.due + HUNG,
        }
    }

    /// Begins to look at what is due.
    pub(super) fn look(&mut self, root: &Root, doors: impl Fn() -> Doors) {
        let now = Instant::now();
        let due = |wait: &Wait| wait.due <= now && wait.looking.is_none();
        let paths: Vec<_> =
            self.waiting.iter().filter(|(_, wait)| due(wait)).map(|(path, _)| path.clone()).collect();
        for path in paths {
            let Some(wait) = self.waiting.get_mut(&path).filter(|_| self.threads < THREADS_MAX) else {
                continue;
            };
            let last = now >= wait.since + LATEST;
            let (before, of_use, answers) = (wait.seen, wait.of_use, self.answers.0.clone());
            match begin(root, path.clone(), before, last, doors(), of_use, answers) {
                Ok(()) => {
                    self.threads += 1;
                    wait.looking = Some(now);
                }
                Err(error) => {
                    tracing::error!(%error, "cannot look at a manifest");
                    self.unread += 1;
                    self.waiting.remove(&path);
                }
            }
        }
        self.give_up(now);
    }

    fn give_up(&mut self, now: Instant) {
        let hung: Vec<_> = self
            .waiting
            .iter()
            .filter(|(_, wait)| wait.looking.is_some() || self.threads >= THREADS_MAX)
            .filter(|(_, wait)| self.wakes(wait) <= now)
            .map(|(path, _)| path.clone())
            .collect();
        self.unread += hung.len() as u64;
        hung.iter().for_each(|path| drop(self.waiting.remove(path)));
    }

    /// What is to be told after an answer.
    pub(super) fn answered(&mut self, answer: Answer) -> Option<(Event, Manifest)> {
        let Answer { path, of_use, seen } = answer;
        self.threads = self.threads.saturating_sub(1);
        let now = Instant::now();
        let wait = self.waiting.get_mut(&path)?;
        wait.looking = None;
        if wait.of_use != of_use {
            return None;
        }
        let manifest = match seen {
            Seen::Nothing => {
                self.waiting.remove(&path);
                return None;
            }
            Seen::Changing(fingerprint) => {
                wait.seen = Some(fingerprint);
                wait.due = (now + SETTLE).min(wait.since + LATEST);
                return None;
            }
            Seen::Settled(manifest) => manifest,
        };
        let event = wait.event.clone();
        let digest = digest(&manifest);
        let known = self.told.peek(&path).is_some_and(|(since, told)| {
            *told == digest && (wait.round > 0 || now.saturating_duration_since(*since) < KNOWN)
        });
        match LATER.get(wait.round) {
            Some(pause) => {
                wait.round += 1;
                wait.seen = None;
                wait.since = now + *pause;
                wait.due = wait.since;
            }
            None => drop(self.waiting.remove(&path)),
        }
        if known {
            return None;
        }
        self.told.put(path, (now, digest));
        Some((*event, manifest))
    }

    /// Looks at what waits for its first look, settled or not, and returns what is to be told of it.
    pub(super) async fn last(&mut self, root: &Root, doors: impl Fn() -> Doors) -> Vec<(Event, Manifest)> {
        let now = Instant::now();
        self.waiting.retain(|_, wait| wait.round == 0);
        for wait in self.waiting.values_mut() {
            wait.due = now;
            wait.since = now.checked_sub(LATEST).unwrap_or(now);
        }
        let mut told = Vec::new();
        while !self.waiting.is_empty() {
            self.look(root, &doors);
            let Ok(Some(answer)) = timeout_at(now + PATIENCE, self.answers.1.recv()).await else { break };
            told.extend(self.answered(answer));
            self.waiting.retain(|_, wait| wait.round == 0);
        }
        self.unread += self.waiting.len() as u64;
        self.waiting.clear();
        told
    }
}

fn begin(
    root: &Root,
    path: PathBuf,
    before: Option<Fingerprint>,
    last: bool,
    doors: Doors,
    of_use: u64,
    answers: UnboundedSender<Answer>,
) -> std::io::Result<()> {
    let root = root.try_clone()?;
    let thread = thread::Builder::new().name("manifest".to_owned());
    let run = move || {
        let seen = look(&root, Path::new(&path), before, last, &doors);
        // Nobody waits any more when the daemon has stopped.
        let _stopped = answers.send(Answer { path, of_use, seen });
    };
    thread.spawn(run).map(drop)
}

fn digest(manifest: &Manifest) -> [u8; 32] {
    // Text and numbers can always be written.
    Sha256::digest(serde_json::to_vec(manifest).unwrap_or_default()).into()
}
