//! Does what the running backend is said to see come back, here and now? Children go the ways, because the kernel side leaves out
//! the daemon itself, and what the kernel tells of it is waited for.

mod collector;
mod report;
mod scene;
mod touch;
mod ways;

use std::io;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::{Instant, sleep_until, timeout};

use self::collector::Collector;
pub use self::report::{Format, Outcome, Summary, Tried};
pub use self::scene::Scene;
pub use self::touch::{Answer, touch};
pub use self::ways::{WAYS, Way};
use crate::coverage::{self, Sight};
use crate::kernel::Kernel;
use crate::model::Backend;
use crate::ring::Ring;
use crate::told::Teller;
use crate::watch::Keeper;

/// A child does one thing. One that takes longer hangs.
const CHILD: Duration = Duration::from_secs(10);

/// What a hook writes is in the ring when the call that it belongs to ends. This is only for a machine that is very busy.
const LATE: Duration = Duration::from_secs(1);

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
        let claim = coverage::WAYS.iter().find(|claim| claim.id == way.id);
        let name = claim.map_or("", |claim| claim.name);
        let backend = self.kernel.attached().chosen.backend;
        let outcome = match claim.map(|claim| claim.sight(self.kernel.view())) {
            Some(Sight::Seen | Sight::Partly) => match self.untold(way, backend) {
                Some(why) => Outcome::Skipped { why },
                None => self.try_it(way).await?,
            },
            Some(Sight::NotSeen | Sight::Late) | None => Outcome::NotCovered(backend),
        };
        Ok(Tried { way: way.id, name, outcome })
    }

    /// Why fanotify does not tell of it here, though it may elsewhere.
    fn untold(&self, way: &Way, backend: Backend) -> Option<String> {
        if backend != Backend::Syscall {
            None
        } else if way.mounts {
            // The test is harmless because it mounts where nobody else sees it.
            Some("only mounts of the node itself are told of".to_owned())
        } else if way.id.starts_with("change.") {
            match &self.kernel.listener().changes {
                Some(changes) => {
                    changes.failed().next().map(|(path, why)| format!("{}: {why}", path.display()))
                }
                None => Some("there is no fanotify".to_owned()),
            }
        } else {
            None
        }
    }

    async fn try_it(&mut self, way: &'static Way) -> io::Result<Outcome> {
        let arguments = self.scene.arguments(way);
        let mut collector = Collector::new(way, &arguments);
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
            self.ring.drain_all(|record| collector.record(record));
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
                self.ring.drain(|record| collector.record(record));
            }
            told = self.teller.ready() => {
                told?;
                self.teller.hear(&mut self.kernel, &self.keeper)?;
            }
            () = self.teller.due(&self.kernel) => {
                let (kernel, keeper) = (&mut self.kernel, &self.keeper);
                while let Some(told) = self.teller.take(false, kernel, keeper, &|_| None) {
                    told.iter().for_each(|decoded| collector.decoded(decoded));
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
