//! `bypassd run`

use std::io;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{Signal, SignalKind, signal};
use uuid::Uuid;

use super::CommandError;
use crate::cli::{FormatName, Run};
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::decide::ExeTable;
use crate::emit::{Emitter, Format, Look, Rotation, Sink};
use crate::event::{Agent, Context, Lifecycle, Node, Started};
use crate::exe_hash::Hashes;
use crate::exit::Exit;
use crate::identity::Identities;
use crate::kernel::Kernel;
use crate::memory;
use crate::model::Severity;
use crate::node::{Clients, Lives, Root, executables};
use crate::pipeline::reload::Reloads;
use crate::pipeline::running::Lookout;
use crate::pipeline::{self, Handler, Parts, started};
use crate::privileges;
use crate::ring::Ring;
use crate::running::Known;
use crate::status::{Server, Status, systemd};
use crate::told::Teller;
use crate::watch::{Keeper, prove};

/// The start waits so long for what runs here, and is told later what it is otherwise.
const FIRST_LOOK: Duration = Duration::from_millis(500);

/// `tree` is for text: who started whom, a line each.
pub(super) fn run(opts: &Run, tree: bool) -> Result<Exit, CommandError> {
    let config = config::load(opts.config.as_deref())?;
    let (format, sink) = output(opts, tree)?;
    let kernel =
        Kernel::load_with(opts.backend.and_then(crate::cli::BackendName::wanted), opts.repeat_window)?;
    privileges::drop(opts.output.is_some());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| CommandError::Io { doing: "cannot start the runtime", source })?;
    runtime.block_on(watch(opts, config, kernel, format, sink))
}

pub(super) async fn watch(
    opts: &Run,
    config: Config,
    mut kernel: Kernel,
    format: Format,
    sink: Sink,
) -> Result<Exit, CommandError> {
    let io = |doing| move |source| CommandError::Io { doing, source };
    // First, so that a signal during the start is not lost.
    let signals = Signals::new().map_err(io("cannot listen for signals"))?;
    let server = match opts.http {
        Some(address) => {
            Some(Server::bind(address).await.map_err(|source| CommandError::Listen { address, source })?)
        }
        None => None,
    };
    let ring = Ring::new(kernel.take_ring()?).map_err(io("cannot read the ring buffer"))?;
    let root = Root::of_node(kernel.identity()).map_err(CommandError::Root)?;
    let proofs = prove(&mut kernel)?;
    let inbound = config.inbound();
    let sockets = config.sockets();
    let hashes = Hashes::new(&root).map_err(io("cannot look into the node's root"))?;
    let rules: Vec<_> = config.rules.into_iter().map(|entry| entry.value).collect();
    let mut known = Known::new(config.targets.into_iter().map(|entry| entry.value).collect());
    let clone = root.try_clone().map_err(CommandError::Root)?;
    let mut lookout = Lookout::new(clone, sockets, kernel.identity().sees_node_processes());
    lookout.want(config.discover);
    let running = lookout.first(FIRST_LOOK).await;
    let news = known.add(&running);
    let sockets = known.sockets();
    let identities = Identities::new(&root, &sockets, kernel.identity().sees_node_processes());
    let mut exes = ExeTable::new(&rules);
    let mut lives = Lives::new().map_err(io("cannot follow executables with inotify"))?;
    executables::resolve(&mut kernel, &root, &mut lives, &mut exes)?;
    let context = Context {
        run_id: Uuid::new_v4(),
        node: Arc::new(Node::read(root.path())),
        agent: Arc::new(Agent {
            version: env!("CARGO_PKG_VERSION"),
            backend: Some(kernel.attached().chosen.backend),
            config_sha256: config.sha256,
        }),
        clock: Clock::measure(),
        namespaces: kernel.identity().node,
        severities: config.severities,
    };
    tracing::debug!("arming");
    let keeper = Keeper::new(&mut kernel, root, known.targets().collect(), inbound)?;
    let mut emitter = Emitter::start(format, sink).map_err(io("cannot start the writer"))?;
    tracing::debug!("armed");
    let policy_warnings = config::warnings(&rules, |path| Some(exes.file(path)?.path.clone()));
    let clients = Clients::of_node(kernel.identity());
    let mut started = Started { policy_warnings, ..started::started(&kernel, &keeper, &proofs) };
    started.coverage_gaps.extend(clients.as_ref().err().map(started::led_here));
    let clients = clients.ok();
    let (message, severity) = (started::message(&started), Severity::Info);
    systemd::ready(&message);
    emitter.emit(context.lifecycle(Lifecycle::Started(started), severity, message));
    let show_allowed = opts.show_allowed;
    let teller = Teller::new(&kernel).map_err(io("cannot listen to fanotify"))?;
    let reloads =
        Reloads::new(opts.config.as_deref(), opts.watch_config).map_err(io("cannot listen for signals"))?;
    let parts = Parts {
        kernel,
        keeper,
        known,
        lookout,
        rules,
        exes,
        lives,
        identities,
        clients,
        context,
        emitter,
        teller,
        reloads,
        hashes,
        show_allowed,
        repeat_window: opts.repeat_window,
        alerts_per_minute: opts.alerts_per_minute,
    };
    let mut handler = Handler::new(parts);
    if let Some(server) = server {
        let status = Status::new(handler.how_it_is());
        handler.tell_status(status.clone());
        tokio::spawn(server.serve(status));
    }
    handler.found_first(news, running);
    memory::trim();
    let stop = stop(signals, opts.duration, opts.output.is_none());
    let summary = pipeline::run(handler, ring, stop).await.map_err(io("cannot go on watching"))?;
    Ok(if opts.exit_code && summary.alerts + summary.before > 0 { Exit::Findings } else { Exit::Fine })
}

fn output(opts: &Run, tree: bool) -> Result<(Format, Sink), CommandError> {
    let sink = match &opts.output {
        Some(path) => {
            let rotation = opts.output_max_size.map(|max_size| Rotation { max_size, keep: opts.output_keep });
            Sink::file(path, rotation)?
        }
        None => Sink::stdout(),
    };
    let record = opts.format.and_then(FormatName::of_records);
    let shape = record.and_then(|format| format.shape(opts.ocsf_class));
    let format = match (opts.format, &opts.output) {
        (Some(FormatName::Text), None) => Format::text(tree),
        (Some(FormatName::Text), Some(_)) => Format::Text(Look { colour: false, tree }),
        (None, None) => Format::for_stdout(tree),
        _ => shape.map_or(Format::Native, Format::Shaped),
    };
    Ok((format, sink))
}

/// Kubernetes and systemd stop a daemon with SIGTERM, people with Ctrl-C.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for one, and says which.
    pub(super) async fn received(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Waits for whatever ends the run and says what it was.
async fn stop(mut signals: Signals, duration: Option<Duration>, to_stdout: bool) -> String {
    let elapsed = async {
        match duration {
            Some(duration) => tokio::time::sleep(duration).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        signal = signals.received() => signal.to_owned(),
        () = elapsed => "the time is up".to_owned(),
        () = stdout_closed(), if to_stdout => "the output was closed".to_owned(),
    }
}

/// Waits until nobody can read stdout any more, which a quiet daemon would otherwise notice only with its next event.
async fn stdout_closed() {
    if wait_for_closed_stdout().await.is_err() {
        // Files cannot be waited for, and have no reader.
        std::future::pending::<()>().await;
    }
}

async fn wait_for_closed_stdout() -> io::Result<()> {
    let stdout = io::stdout().as_fd().try_clone_to_owned()?;
    // SAFETY: the descriptor is owned by the value, stays open and never changes.
    let stdout = unsafe { AsyncFd::register_with_interest(stdout, Interest::ERROR) }?;
    stdout.ready(Interest::ERROR).await.map(drop)
}
