//! `bypassd watch`: events as they come, on the whole terminal. Without a file, this program runs once more and tells what it sees.

use std::fs::File;
use std::io::{self, BufReader, IsTerminal as _, Read as _, Seek as _, SeekFrom};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use jiff::tz::TimeZone;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{Receiver, channel};
use tokio::time::{MissedTickBehavior, interval};

use super::run::Signals;
use super::{CommandError, complain, open};
use crate::cli::Watch;
use crate::config;
use crate::event::text::escaped;
use crate::exit::Exit;
use crate::view::{Done, Line, Model, draw, feed, key};

/// What is new is drawn so often.
const FRAME: Duration = Duration::from_millis(50);

/// Of what the daemon had to say, in bytes.
const LAST: u64 = 4096;

pub(super) fn watch(opts: &Watch) -> Result<Exit, CommandError> {
    if !io::stdout().is_terminal() {
        return Err(CommandError::NoTerminal);
    }
    let name = opts.file.as_deref().map(named);
    let (daemon, lines) = match &opts.file {
        Some(file) if file == Path::new("-") && io::stdin().is_terminal() => {
            let what = "is this terminal; pipe events into it, or name a file".to_owned();
            return Err(CommandError::Event { name: named(file), what });
        }
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
        let ends = (Signals::new()?, signal(SignalKind::hangup())?);
        show(Screen::new()?, &mut model, lines, ends).await
    });
    let ended = daemon.map(Daemon::end).transpose().map_err(failed("cannot end the daemon"))?;
    shown.map_err(failed("cannot use the terminal"))?;
    if let (Some(name), true, false) = (name, model.node.is_empty(), model.why_wrong.is_empty()) {
        let what = format!("no line of it is an event: it {}", escaped(&model.why_wrong));
        return Err(CommandError::Event { name, what });
    }
    match ended {
        Some((status, said)) if !status.success() && status.signal() != Some(Signal::TERM.as_raw()) => {
            let said = said.trim_end().lines().last().unwrap_or_default();
            complain(&format!("the daemon ended with {status}: {}", escaped(said)));
            Ok(status.code().map_or(Exit::Failure, Exit::of_child))
        }
        _ => Ok(Exit::Fine),
    }
}

fn named(file: &Path) -> String {
    if file == Path::new("-") { "stdin".to_owned() } else { escaped(&file.to_string_lossy()) }
}

/// The terminal, which is as it was when this ends, also in a panic.
struct Screen(DefaultTerminal);

impl Screen {
    fn new() -> io::Result<Self> {
        ratatui::try_init().map(Self).inspect_err(|_| restore())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

fn restore() {
    // A terminal that is gone cannot be restored.
    let _gone = ratatui::try_restore();
}

/// Reads keys in a thread of its own: half a sequence, or a terminal that is gone, keeps whoever reads for ever.
fn keys() -> Receiver<Event> {
    let (sender, receiver) = channel(64);
    thread::spawn(move || {
        while let Ok(event) = event::read() {
            if sender.blocking_send(event).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Whether nobody sits there any more. The signal that says so goes to the first process of a session only.
fn is_gone() -> bool {
    let stdout = io::stdout();
    let mut terminal = [PollFd::new(&stdout, PollFlags::empty())];
    let told = poll(&mut terminal, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
    told.is_ok_and(|count| count > 0) && terminal.iter().any(|fd| fd.revents().contains(PollFlags::HUP))
}

/// Until the user has seen enough, or the daemon ended before it had anything to say.
async fn show(
    mut screen: Screen,
    model: &mut Model,
    mut lines: Receiver<Line>,
    (mut signals, mut hangup): (Signals, tokio::signal::unix::Signal),
) -> io::Result<()> {
    let mut keys = keys();
    let mut frame = interval(FRAME);
    frame.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_new = true;
    loop {
        tokio::select! {
            _ = signals.received() => return Ok(()),
            _ = hangup.recv() => return Ok(()),
            line = lines.recv(), if model.ended.is_none() => {
                is_new = true;
                match line {
                    Some(Line::Event(record)) => model.add(*record),
                    Some(Line::Wrong(why)) => {
                        model.wrong += 1;
                        model.why_wrong = why;
                    }
                    Some(Line::End) | None if model.node.is_empty() => return Ok(()),
                    Some(Line::End) | None => model.ended = Some("no more events come".to_owned()),
                }
            }
            event = keys.recv() => {
                is_new = true;
                match event {
                    Some(Event::Key(pressed)) if pressed.kind == KeyEventKind::Press => {
                        if key(model, pressed) == Done::Yes {
                            return Ok(());
                        }
                    }
                    Some(_) => {}
                    None => return Ok(()),
                }
            }
            _ = frame.tick() => {
                if is_gone() {
                    return Ok(());
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
        // The last of it says why it ended.
        let end = self.log.seek(SeekFrom::End(0))?;
        self.log.seek(SeekFrom::Start(end.saturating_sub(LAST)))?;
        let mut said = Vec::new();
        self.log.take(LAST).read_to_end(&mut said)?;
        Ok((status, String::from_utf8_lossy(&said).into_owned()))
    }
}

fn failed(doing: &'static str) -> impl Fn(io::Error) -> CommandError {
    move |source| CommandError::Io { doing, source }
}
