//! `bypassd selftest`: goes the ways to doors of its own, and waits for the kernel to tell of it.

use std::io;

use super::run::Signals;
use super::{CommandError, print};
use crate::cli::{BackendName, ReportFormat, Selftest};
use crate::exit::Exit;
use crate::kernel::Kernel;
use crate::node::Root;
use crate::ring::Ring;
use crate::selftest::{Format, Scene, Summary, Tester, ways};
use crate::told::Teller;
use crate::watch::{Keeper, State};

pub(super) fn selftest(opts: &Selftest) -> Result<Exit, CommandError> {
    let kernel = Kernel::load(opts.backend.and_then(BackendName::wanted))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(io_error("cannot start the runtime"))?;
    let format = match opts.format {
        ReportFormat::Text => Format::Text,
        ReportFormat::Json => Format::Json,
    };
    runtime.block_on(async {
        // Dropping the test removes what it made, which the default action of a signal would not.
        let mut signals = Signals::new().map_err(io_error("cannot listen for signals"))?;
        tokio::select! {
            exit = test(kernel, format, &opts.ways) => exit,
            signal = signals.received() => Err(io_error("stopped")(io::Error::other(signal))),
        }
    })
}

async fn test(mut kernel: Kernel, format: Format, only: &[String]) -> Result<Exit, CommandError> {
    let ring = Ring::new(kernel.take_ring()?).map_err(io_error("cannot read the ring buffer"))?;
    let root = Root::of_node(kernel.identity()).map_err(CommandError::Root)?;
    let scene = Scene::new(root.path()).map_err(io_error("cannot make targets to test with"))?;
    let keeper = Keeper::new(&mut kernel, root, scene.targets(), Vec::new())?;
    for (target, state) in keeper.states() {
        if let State::Waiting(why) = state {
            tracing::warn!(%target, %why, "not armed");
        }
    }
    let backend = kernel.attached().chosen.backend;
    let mut summary = Summary::new(backend);
    let teller = Teller::new(&kernel).map_err(io_error("cannot listen to fanotify"))?;
    let mut tester = Tester::new(scene, ring, kernel, keeper, teller);
    let wanted = |id: &str| only.is_empty() || only.iter().any(|begin| id.starts_with(begin.as_str()));
    for way in ways().filter(|way| wanted(way.id)) {
        let tried = tester.go(way).await.map_err(io_error("cannot go on testing"))?;
        print(&tried.line(format))?;
        summary.add(&tried.outcome);
    }
    // People want to know of the node. That nobody tried is the same on all of them, so its number is enough.
    for tried in tester.not_tried().filter(|tried| wanted(tried.way)) {
        if format == Format::Json {
            print(&tried.line(format))?;
        }
        summary.add(&tried.outcome);
    }
    summary.undecodable(tester.undecodable());
    tester.finish().map_err(io_error("cannot remove what the test made"))?;
    print(&summary.line(format))?;
    Ok(if summary.is_fine() { Exit::Fine } else { Exit::Findings })
}

fn io_error(doing: &'static str) -> impl Fn(io::Error) -> CommandError {
    move |source| CommandError::Io { doing, source }
}
