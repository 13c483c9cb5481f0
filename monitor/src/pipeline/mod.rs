//! The daemon at work: records in, events out, until it is told to stop.

mod actors;
mod canary;
mod content;
mod doors;
mod handler;
mod health;
mod held;
mod judge;
mod limits;
mod look;
mod manifests;
mod origin;
mod parts;
pub mod reload;
mod repeats;
pub mod running;
mod since;
pub mod started;
mod status;
mod tell;
mod unhashed;
mod upgrades;

use std::io;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};

pub use self::handler::{Handler, Parts};
use crate::emit::EmitCounters;
use crate::event::Lifecycle;
use crate::model::Severity;
use crate::ring::Ring;
use crate::status::systemd;

/// Losses are looked for this often.
const CHECK: Duration = Duration::from_secs(1);

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    pub alerts: u64,
    /// Violations from before the start.
    pub before: u64,
    pub emitted: EmitCounters,
}

/// Handles accesses until `stop` says why to end. Everything that was seen by then is written.
pub async fn run(
    mut handler: Handler,
    mut ring: Ring,
    stop: impl Future<Output = String>,
) -> io::Result<Summary> {
    tokio::pin!(stop);
    let closed = handler.emitter.closed();
    tokio::pin!(closed);
    let mut check = interval_at(Instant::now() + CHECK, CHECK);
    check.set_missed_tick_behavior(MissedTickBehavior::Delay);
    handler.look_back();
    let reason = loop {
        tokio::select! {
            reason = &mut stop => break reason,
            () = &mut closed => break "the output was closed".to_owned(),
            ready = ring.ready() => {
                ready?;
                handler.hear();
                ring.drain(|record| handler.record(record));
            }
            snapshot = handler.since.taken() => {
                // What happened meanwhile was seen by the hooks, and is not to be told twice.
                ring.drain_all(|record| handler.record(record));
                handler.held_before(snapshot);
            }
            told = handler.teller.ready() => {
                told?;
                handler.hear();
            }
            () = handler.teller.due(&handler.kernel) => {
                // The open that made what was told of may have been seen long ago.
                handler.hear();
                ring.drain_all(|record| handler.record(record));
                handler.tell(false);
                // What was left to the kernel while too much waited.
                handler.hear();
            }
            () = handler.reloads.wanted() => {
                let Some(policy) = handler.read_policy() else { continue };
                // What came until now is decided by the policy that held then.
                ring.drain_all(|record| handler.record(record));
                handler.settle().await;
                handler.reload(policy);
            }
            answer = handler.manifests.ready() => handler.look_at_manifests(answer),
            answer = handler.unhashed.ready() => handler.take_hash(answer),
            changed = Handler::executables_changed(&handler.lives, handler.exes_seen) => {
                changed?;
                handler.look_at_executables();
            }
            running = handler.lookout.looked() => handler.look_at_running(running),
            () = handler.held.due() => {
                // What it waits for, too.
                ring.drain_all(|record| handler.record(record));
                handler.release(false);
            }
            () = handler.keeper.due() => handler.refresh(),
            _ = check.tick() => handler.check_health(false),
        }
    };
    systemd::stopping();
    while let Some(snapshot) = handler.since.last().await {
        ring.drain_all(|record| handler.record(record));
        handler.held_before(snapshot);
    }
    ring.drain_all(|record| handler.record(record));
    handler.settle().await;
    handler.last_manifests().await;
    handler.check_health(true);
    let alerts = handler.alerts;
    let stopping = Lifecycle::Stopping { reason: reason.clone(), alerts };
    let message = format!("stopping: {reason}; {alerts} alerts");
    handler.emit_lifecycle(stopping, Severity::Info, message);
    Ok(Summary { alerts, before: handler.before, emitted: handler.finish() })
}
