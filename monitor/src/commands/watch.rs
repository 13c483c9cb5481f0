//! `bypassd watch`: events as they come, on the whole terminal. Without a file, this program runs once more and tells what it sees.

use std::fs::File;
use std::io::{self, BufReader, IsTerminal as _, Read as _, Seek as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use jiff::tz::TimeZone;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use rustix::process::{Pid, Signal, kill_process};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::Receiver;
use tokio::time::{MissedTickBehavior, interval};

use super::run::Signals;
use super::{CommandError, complain, open};
use crate::cli::Watch;
use crate::config;
use crate::event::text::escaped;
use crate::exit::Exit;
use crate::view::{Done, Line, Model, draw, feed, key};

/// Keys are asked for, and what is new is drawn, so often.
const FRAME: Duration = Duration::from_millis(50);

pub(super) fn watch(opts: &Watch) -> Result<Exit, CommandError> {
    if !io::stdout().is_terminal() {
        return Err(CommandError::NoTerminal);
    }
    let (daemon, lines) = match &opts.file {
        Some(file) => (None, feed(open(file)?)),
        None => {
            // The daemon reads it, too, but nobody would see what it says of it.
            config::load(opts.config.as_deref())?;
            let mut daemon = Daemon::start(opts).map_err(failed("cannot start the daemon"))?;
            let lines = daemon.lines();
            (Some(daemon), lines)
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed("cannot start the runtime"))?;
    let mut model = Model::new(TimeZone::system());
    let shown = runtime.block_on(async {
        // Before the terminal is changed, so that none ends this without changing it back.
        let signals = Signals::new()?;
        let screen = Screen::new()?;
        show(screen, &mut model, lines, signals).await
    });
    let ended = daemon.map(Daemon::end).transpose().map_err(failed("cannot end the daemon"))?;
    shown.map_err(failed("cannot use the terminal"))?;
    match ended {
        Some((status, said)) if !status.success() => {
            complain(&format!("the daemon ended with {status}: {}", escaped(said.trim_end())));
            Ok(status.code().map_or(Exit::Failure, Exit::of_child))
        }
        _ => Ok(Exit::Fine),
    }
}

/// The terminal, which is as it was when this ends, also in a panic.
struct Screen(DefaultTerminal);

impl Screen {
    fn new() -> io::Result<Self> {
        ratatui::try_init().map(Self)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that is gone cannot be restored.
        let _gone = ratatui::try_restore();
    }
}

/// Until the user has seen enough, or the daemon ended before it had anything to say.
async fn show(
    mut screen: Screen,
    model: &mut Model,
    mut lines: Receiver<Line>,
    mut signals: Signals,
) -> io::Result<()> {
    let mut gone = signal(SignalKind::hangup())?;
    let mut frame = interval(FRAME);
    frame.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_new = true;
    loop {
        tokio::select! {
            _ = signals.received() => return Ok(()),
            _ = gone.recv() => return Ok(()),
            line = lines.recv(), if model.ended.is_none() => {
                is_new = true;
                match line {
                    Some(Line::Event(record)) => model.add(*record),
                    Some(Line::Wrong(_)) => model.wrong += 1,
                    Some(Line::End) | None if model.node.is_empty() => return Ok(()),
                    Some(Line::End) | None => model.ended = Some("no more events come".to_owned()),
                }
            }
            _ = frame.tick() => {
                while event::poll(Duration::ZERO)? {
                    is_new = true;
                    if let Event::Key(pressed) = event::read()?
                        && pressed.kind == KeyEventKind::Press
                        && key(model, pressed) == Done::Yes
                    {
                        return Ok(());
                    }
                }
                if std::mem::take(&mut is_new) {
                    screen.0.draw(|frame| draw(frame, model))?;
                }
            }
        }
    }
}

/// This program, as it watches the node.
struct Daemon {
    child: Child,
    /// What it writes to stderr.
    log: File,
}

impl Daemon {
    fn start(opts: &Watch) -> io::Result<Self> {
        let log = tempfile::tempfile()?;
        let mut command = Command::new("/proc/self/exe");
        command.args(["run", "--format", "native"]);
        if let Some(config) = &opts.config {
            command.arg("--config").arg(config);
        }
        if opts.show_allowed {
            command.arg("--show-allowed");
        }
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log.try_clone()?).spawn()?;
        Ok(Self { child, log })
    }

    fn lines(&mut self) -> Receiver<Line> {
        match self.child.stdout.take() {
            Some(stdout) => feed(Box::new(BufReader::new(stdout))),
            None => feed(Box::new(io::empty())),
        }
    }

    /// Lets it take its programs out of the kernel. How it ended, and what it had to say.
    fn end(mut self) -> io::Result<(ExitStatus, String)> {
        if self.child.try_wait()?.is_none() {
            kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        }
        let status = self.child.wait()?;
        let mut said = String::new();
        self.log.rewind()?;
        // What is not text is no reason to keep silent about the rest.
        let _partly = self.log.take(4096).read_to_string(&mut said);
        Ok((status, said))
    }
}

fn failed(doing: &'static str) -> impl Fn(io::Error) -> CommandError {
    move |source| CommandError::Io { doing, source }
}
