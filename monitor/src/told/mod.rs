//! From what fanotify tells to accesses: who did it, what exactly, and where. For the `syscall` backend.
//!
//! The kernel tells it in the middle of a system call, and the process is described at the end of the call. So what was told waits
//! for a moment.

mod access;
mod action;

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use self::access::{at, changed, mounted};
use self::action::{actions, makes, maybe_opened};
use crate::access::{Access, Actor, Object, TargetId, last_name};
use crate::clock;
use crate::decode::Decoded;
use crate::kernel::Kernel;
use crate::kernel::listen::{Heard, Mark, Mounted, Told, What};
use crate::model::Action;
use crate::target::Target;
use crate::watch::Keeper;

/// A call ends microseconds after what is told of it, unless its process is not let run.
const SETTLE: Duration = Duration::from_millis(5);

/// The same for what may be part of an open, which then is reported as that.
const MAKING: Duration = Duration::from_millis(500);

/// Files that an open made, of late.
const MADE_MAX: usize = 64;

/// More is not read before some of it was reported.
const WAITING_MAX: usize = 4096;

/// A process that did something before that is not known for it.
const LATELY: Duration = Duration::from_secs(1);

/// Who has this process id now, and what cannot be found out about it.
pub type Who<'a> = dyn Fn(u32) -> Option<(Actor, Vec<String>)> + 'a;

#[derive(Default)]
pub struct Teller {
    ears: Vec<AsyncFd<OwnedFd>>,
    waiting: VecDeque<Item>,
    made: VecDeque<(Instant, u32, Vec<u8>)>,
    /// Times that the kernel dropped what it had to tell.
    pub overflows: u64,
    /// Mounts that ended before anyone could look where they were.
    pub brief_mounts: u64,
}

enum Item {
    /// What hooks saw meanwhile, so that all is reported in the order in which it came.
    Seen(Box<Decoded>, Instant),
    Heard(Heard),
    Mounted(Mounted),
}

impl Item {
    fn at(&self) -> Instant {
        match self {
            Self::Seen(_, at) => *at,
            Self::Heard(heard) => heard.at,
            Self::Mounted(mounted) => mounted.at,
        }
    }

    /// Something ended. Whoever lets go of it last is named, which is the daemon if it looked at it at that moment; it removes nothing.
    fn is_end(&self) -> bool {
        matches!(self, Self::Heard(heard) if heard.what == What::Removed && heard.above.is_some())
    }

    fn pid(&self) -> u32 {
        match self {
            Self::Seen(decoded, _) => decoded.access.actor.pid,
            Self::Heard(heard) => heard.pid,
            Self::Mounted(mounted) => mounted.pid,
        }
    }
}

/// Who did it.
struct Doer {
    actor: Actor,
    errors: Vec<String>,
}

impl Teller {
    /// Nothing is ever told where other hooks see it all.
    pub fn new(kernel: &Kernel) -> io::Result<Self> {
        let ear = |group: &OwnedFd| -> io::Result<_> {
            // SAFETY: the descriptor is owned by the value, stays open and never changes.
            Ok(unsafe { AsyncFd::register_with_interest(group.try_clone()?, Interest::READABLE) }?)
        };
        let ears = kernel.listener().ears().map(ear).collect::<io::Result<_>>()?;
        Ok(Self { ears, ..Self::default() })
    }

    /// Waits until there is something to hear. Safe to cancel.
    pub async fn ready(&self) -> io::Result<()> {
        let wait = async |ear: Option<&AsyncFd<OwnedFd>>| match ear {
            // All is read afterwards; what comes meanwhile makes it readable again.
            Some(ear) => ear.readable().await.map(|mut guard| guard.clear_ready()),
            None => std::future::pending().await,
        };
        tokio::select! {
            ready = wait(self.ears.first()) => ready,
            ready = wait(self.ears.get(1)) => ready,
        }
    }

    /// Reads what there is, unless enough waits already: then the kernel keeps it, and counts what it drops.
    pub fn hear(&mut self, kernel: &mut Kernel, keeper: &Keeper) -> io::Result<()> {
        if self.waiting.len() >= WAITING_MAX {
            return Ok(());
        }
        let Told { heard, mounted, overflows, brief_mounts, malformed } = kernel.listener_mut().read()?;
        heard.iter().for_each(|heard| listen(heard, kernel, keeper));
        if malformed > 0 {
            tracing::error!(malformed, "fanotify wrote events of unknown form");
        }
        self.overflows += overflows + malformed;
        self.brief_mounts += brief_mounts;
        let own = std::process::id();
        let items = heard.into_iter().map(Item::Heard).chain(mounted.into_iter().map(Item::Mounted));
        self.waiting.extend(items.filter(|item| item.pid() != own || item.is_end()));
        Ok(())
    }

    /// A record came that may say more about what was told.
    pub fn opened(&mut self, open: &Access) {
        if let (Action::Create, Object::File(file), false) = (open.action, &open.object, self.ears.is_empty())
        {
            if self.made.len() == MADE_MAX {
                self.made.pop_front();
            }
            self.made.push_back((Instant::now(), open.actor.pid, last_name(&file.path_seen).to_vec()));
        }
    }

    /// Lets what hooks saw wait behind what was told before it, if anything waits.
    pub fn behind(&mut self, decoded: Box<Decoded>) -> Option<Box<Decoded>> {
        // The outcome of a connection comes soon, and looks for it elsewhere. In a flood, order is worth less than memory.
        let is_full = self.waiting.len() >= WAITING_MAX;
        if self.waiting.is_empty() || is_full || decoded.connecting.is_some() {
            return Some(decoded);
        }
        self.waiting.push_back(Item::Seen(decoded, Instant::now()));
        None
    }

    /// Waits until something has waited long enough. Safe to cancel.
    pub async fn due(&self, kernel: &Kernel) {
        match self.waiting.front() {
            Some(item) => tokio::time::sleep_until(self.until(item, kernel).into()).await,
            None => std::future::pending().await,
        }
    }

    /// What waited long enough, or anything.
    pub fn take(
        &mut self,
        any: bool,
        kernel: &mut Kernel,
        keeper: &Keeper,
        who: &Who<'_>,
    ) -> Option<Vec<Decoded>> {
        let until = self.until(self.waiting.front()?, kernel);
        if !any && until > Instant::now() {
            return None;
        }
        let item = self.waiting.pop_front()?;
        // In this order: what comes between the two makes it later, never earlier than it was.
        let ago = item.at().elapsed();
        let time = clock::since_boot().saturating_sub(nanoseconds(ago));
        Some(match item {
            Item::Seen(decoded, _) => vec![*decoded],
            Item::Heard(heard) => self.finish(&heard, time, kernel, keeper, who),
            Item::Mounted(mount) => {
                let doer = doer(mount.pid, time, kernel, who);
                mounted(&mount, time, &doer, keeper)
            }
        })
    }

    fn until(&self, item: &Item, kernel: &Kernel) -> Instant {
        let wait = match item {
            Item::Heard(heard) if maybe_opened(heard) && self.open_of(heard).is_none() => {
                let kinds = kernel.kinds(heard.pid, lately(clock::since_boot()));
                if kinds.is_some_and(makes) { SETTLE } else { MAKING }
            }
            Item::Heard(_) | Item::Mounted(_) => SETTLE,
            Item::Seen(..) => Duration::ZERO,
        };
        item.at() + wait
    }

    /// The open that made it.
    fn open_of(&self, heard: &Heard) -> Option<usize> {
        let name = heard.path.file_name().map(OsStrExt::as_bytes).unwrap_or_default();
        let recent = |at: &Instant| *at + LATELY > heard.at;
        self.made.iter().position(|(at, pid, made)| recent(at) && *pid == heard.pid && made == name)
    }

    fn finish(
        &mut self,
        heard: &Heard,
        time: u64,
        kernel: &mut Kernel,
        keeper: &Keeper,
        who: &Who<'_>,
    ) -> Vec<Decoded> {
        if let Some(open) = self.open_of(heard).filter(|_| maybe_opened(heard)) {
            // One open makes one file: what takes the same name later is another.
            self.made.remove(open);
            return Vec::new();
        }
        let now = at(keeper, &heard.path);
        let before = now.and_then(|now| kernel.listener_mut().changes.as_mut()?.noted(heard, now));
        // A link to a file is told as one more link of it, and then as the new name.
        let named = self.waiting.front().is_some_and(|next| is_new_name(next, heard.pid));
        let mut actions = actions(heard, kernel.kinds(heard.pid, lately(time)), before, now);
        actions.retain(|action| !named || *action != Action::Link);
        if actions.is_empty() {
            return Vec::new();
        }
        let doer = doer(heard.pid, time, kernel, who);
        actions.into_iter().map(|action| changed(heard, action, now, time, &doer, keeper)).collect()
    }
}

/// To what came into a watched directory, before the next look at the node.
fn listen(heard: &Heard, kernel: &mut Kernel, keeper: &Keeper) {
    let is_new = matches!(heard.what, What::Made | What::Renamed { is_there: true }) && heard.above.is_none();
    if !is_new {
        return;
    }
    let Ok(fd) = keeper.root().open(&heard.path, OFlags::PATH | OFlags::NOFOLLOW) else { return };
    let target = heard.target;
    let mark =
        if heard.directory { Mark::Tree { target, depth: heard.below } } else { Mark::File { target } };
    let contents = keeper.target(TargetId(target)).is_some_and(Target::is_cut);
    if let Some(changes) = &mut kernel.listener_mut().changes {
        changes.found(&fd, &heard.path);
        changes.add(&fd, &heard.path, mark, contents);
    }
}

fn is_new_name(item: &Item, pid: u32) -> bool {
    matches!(item, Item::Heard(next) if next.pid == pid && next.what == What::Made)
}

/// As the kernel side described the process when its call ended, or else as /proc has it now.
fn doer(pid: u32, time: u64, kernel: &Kernel, who: &Who<'_>) -> Doer {
    if pid == std::process::id() {
        let why =
            "process: the kernel does not tell it, because bypassd looked at the object when it was removed";
        return Doer { actor: Actor::default(), errors: vec![why.to_owned()] };
    }
    let described = || Some((kernel.doer(pid, lately(time))?, Vec::new()));
    // Its call may end, and so may it, while /proc is read.
    let found = || {
        let found = who(pid);
        described().or(found)
    };
    let (actor, errors) = described().or_else(found).unwrap_or_else(|| {
        let why = "process: it ended before it could be described".to_owned();
        (Actor { pid, tid: pid, ..Actor::default() }, vec![why])
    });
    Doer { actor, errors }
}

fn lately(time: u64) -> u64 {
    time.saturating_sub(nanoseconds(LATELY))
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
