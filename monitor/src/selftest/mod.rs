//! Does what the running backend is said to see come back, here and now? Children go the ways, because the kernel side leaves out
//! the daemon itself, and what the kernel tells of it is waited for.

mod collector;
mod place;
mod report;
mod scene;
mod touch;
mod untried;
mod ways;

use std::io;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::{Instant, sleep_until, timeout};

use self::collector::Collector;
pub use self::place::Ports;
pub use self::report::{Format, Outcome, Summary, Tried};
use self::scene::Door;
pub use self::scene::Scene;
pub use self::touch::{Answer, touch};
use self::untried::UNTRIED;
pub use self::ways::{Way, ways};
use crate::coverage::{self, Sight};
use crate::decide::ExeTable;
use crate::kernel::{HookReport, HookState, Kernel};
use crate::model::Backend;
use crate::node::Identity;
use crate::ring::Ring;
use crate::snapshot::{self, Wanted};
use crate::told::Teller;
use crate::watch::Keeper;

/// A child does one thing. One that takes longer hangs.
const CHILD: Duration = Duration::from_secs(10);

/// What a hook writes is in the ring when the call that it belongs to ends. This is only for a machine that is very busy.
const LATE: Duration = Duration::from_secs(1);

const LOOKS: &str = "seen only once a daemon has looked at the node again";

/// Where the `syscall` backend hears of io_uring, on kernels that tell.
const COMPLETED: &str = "io_uring_complete";

/// Where the kernel has nothing but the path that was named.
const NAMED: [&str; 2] = ["unix.refused", "unix.forbidden"];

pub struct Tester {
    scene: Scene,
    ring: Ring,
    kernel: Kernel,
    keeper: Keeper,
    teller: Teller,
    /// Records that broke the contract with the kernel side.
    undecodable: u64,
}

impl Tester {
    pub fn new(scene: Scene, ring: Ring, kernel: Kernel, keeper: Keeper, teller: Teller) -> Self {
        Self { scene, ring, kernel, keeper, teller, undecodable: 0 }
    }

    /// Goes one way.
    pub async fn go(&mut self, way: &'static Way) -> io::Result<Tried> {
        let backend = self.kernel.attached().chosen.backend;
        let (name, sight) = self.claim(way.id);
        let outcome = match sight {
            Sight::Seen | Sight::Partly => match self.untold(way, backend) {
                Some(why) => Outcome::Skipped { why },
                None => self.try_it(way).await?,
            },
            // A test does not look at the node again.
            Sight::Late => Outcome::Skipped { why: LOOKS.to_owned() },
            Sight::NotSeen => Outcome::NotCovered(backend),
        };
        Ok(Tried { way: way.id, name, outcome })
    }

    /// The ways that are not gone though the backend covers them.
    pub fn not_tried(&self) -> impl Iterator<Item = Tried> {
        let each = UNTRIED.iter().flat_map(|(why, ids)| ids.iter().map(move |id| (*why, *id)));
        each.filter_map(|(why, id)| {
            let (name, sight) = self.claim(id);
            (sight != Sight::NotSeen).then_some(Tried { way: id, name, outcome: Outcome::NotTried { why } })
        })
    }

    /// What the table says of a way.
    fn claim(&self, id: &str) -> (&'static str, Sight) {
        let claim = coverage::WAYS.iter().find(|claim| claim.id == id);
        claim.map_or(("", Sight::NotSeen), |claim| (claim.name, claim.sight(self.kernel.view())))
    }

    /// Why nothing is told of it here, though it may be elsewhere.
    fn untold(&self, way: &Way, backend: Backend) -> Option<String> {
        let Identity { own, node, .. } = self.kernel.identity();
        if NAMED.contains(&way.id) && own.mnt != node.mnt {
            return Some("its path is looked up in its mount namespace, which ends with the test".to_owned());
        }
        if backend != Backend::Syscall {
            return None;
        }
        if way.mounts {
            // The test is harmless because it mounts where nobody else sees it.
            return Some("only mounts of the node itself are told of".to_owned());
        }
        let is_completed = |hook: &HookReport| hook.place == COMPLETED && hook.state == HookState::Attached;
        // A connection to a port is told of by what becomes of the socket.
        let needs_completion = way.id.contains(".uring") && way.door != Door::Datastore;
        if needs_completion && !self.kernel.attached().chosen.hooks.iter().any(is_completed) {
            return Some("this kernel does not tell which request is complete".to_owned());
        }
        if !way.id.starts_with("change.") {
            return None;
        }
        match &self.kernel.listener().changes {
            Some(changes) => changes.failed().next().map(|(path, why)| format!("{}: {why}", path.display())),
            None => Some("there is no fanotify".to_owned()),
        }
    }

    async fn try_it(&mut self, way: &'static Way) -> io::Result<Outcome> {
        // As a daemon would have done by now: what one way removed leaves its inode's number to what the next one makes.
        self.keeper.refresh(&mut self.kernel).map_err(io::Error::other)?;
        let arguments = self.scene.place(way).arguments();
        let mut collector = Collector::new(way, &arguments, self.kernel.identity().node);
        let answer = match timeout(CHILD, self.child(&arguments, &mut collector)).await {
            Ok(answer) => answer?,
            Err(_) => Err(format!("it hangs: it did not end within {} s", CHILD.as_secs())),
        };
        let outcome = match answer {
            Ok(Answer::Done { before }) => self.outcome(before, &mut collector).await?,
            Ok(Answer::Refused { why }) if way.may_be_refused => Outcome::Skipped { why },
            Ok(Answer::Refused { why }) | Err(why) => Outcome::Failed { why },
        };
        self.undecodable += collector.undecodable;
        Ok(outcome)
    }

    /// Lets a child do it, and reads the ring meanwhile.
    async fn child(
        &mut self,
        arguments: &[String],
        collector: &mut Collector,
    ) -> io::Result<Result<Answer, String>> {
        let (name, arguments) = arguments.split_first().map_or(("", arguments), |(name, rest)| (name, rest));
        // Not by its path: what runs may have been replaced by an upgrade.
        let child = Command::new("/proc/self/exe")
            .arg0(name)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        collector.child = child.id();
        let ended = child.wait_with_output();
        tokio::pin!(ended);
        let output = loop {
            tokio::select! {
                output = &mut ended => break output?,
                taken = self.take_in(collector) => taken?,
            }
        };
        let answer = serde_json::from_slice(&output.stdout);
        Ok(answer.map_err(|_| format!("the child ended with {} and no answer", output.status)))
    }

    async fn outcome(&mut self, before: u64, collector: &mut Collector) -> io::Result<Outcome> {
        let deadline = Instant::now() + LATE;
        loop {
            self.ring.drain_all(|record| collector.record(record, &self.keeper));
            if let Some(seen) = collector.seen {
                let since = |time: u64| Duration::from_nanos(time.saturating_sub(before));
                return Ok(Outcome::Seen { latency: since(seen.decoded), kernel: since(seen.hooked) });
            }
            tokio::select! {
                taken = self.take_in(collector) => taken?,
                () = sleep_until(deadline) => return Ok(Outcome::NotSeen),
            }
        }
    }

    /// Waits until the kernel tells something, and takes it in. Safe to cancel.
    async fn take_in(&mut self, collector: &mut Collector) -> io::Result<()> {
        tokio::select! {
            ready = self.ring.ready() => {
                ready?;
                // Says to the ring's source that all that was ready has been read.
                self.ring.drain(|record| collector.record(record, &self.keeper));
            }
            told = self.teller.ready() => {
                told?;
                self.teller.hear(&mut self.kernel, &self.keeper)?;
            }
            () = self.teller.due(&self.kernel) => {
                let (node, exes) = (self.kernel.identity().node, ExeTable::new(&[]));
                let (kernel, keeper) = (&mut self.kernel, &self.keeper);
                let who = |pid| snapshot::describe(pid, &Wanted::new(keeper, &exes, node));
                while let Some(told) = self.teller.take(false, kernel, keeper, &who) {
                    told.iter().for_each(|decoded| collector.decoded(decoded, keeper));
                }
            }
        }
        Ok(())
    }

    pub const fn undecodable(&self) -> u64 {
        self.undecodable
    }

    /// Removes what the test made.
    pub fn finish(self) -> io::Result<()> {
        self.scene.remove()
    }
}
