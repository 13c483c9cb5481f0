//! `bypassd learn`

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, IsTerminal as _, Read as _, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, interval};

use super::run::{Signals, watch};
use super::{CommandError, complain, open, print};
use crate::cli::{BackendName, Learn, Run};
use crate::config::{self, Config};
use crate::emit::{Format, Sink, SinkError};
use crate::event::text::escaped;
use crate::exit::Exit;
use crate::kernel::Kernel;
use crate::learn::{Counts, Learner, Mode};

/// Far more than an event has, which is 8 KiB.
const LINE_MAX: usize = 1 << 20;

/// How often the line on a terminal is written anew.
const PROGRESS: Duration = Duration::from_secs(1);

pub(super) fn learn(opts: &Learn) -> Result<Exit, CommandError> {
    let config = config::load(opts.config.as_deref())?;
    let output = opts.output.as_deref().map(Output::new).transpose()?;
    let mode = Mode { include_suspicious: opts.include_suspicious, is_live: opts.from.is_none() };
    let learner = Shared(Arc::new(Mutex::new(Learner::new(config.clone(), mode))));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(io("cannot start the runtime"))?;
    let wrong = match &opts.from {
        Some(path) => {
            let events = open(path)?;
            let name = escaped(&path.to_string_lossy());
            runtime.block_on(with_progress(&learner, recorded(opts, events, name, learner.clone())))?
        }
        None => {
            let kernel = Kernel::load(opts.backend.and_then(BackendName::wanted))?;
            runtime.block_on(with_progress(&learner, live(opts, config, kernel, learner.clone())))?
        }
    };
    let (policy, counts) = {
        let learner = learner.lock();
        (learner.policy(), learner.counts())
    };
    match output {
        Some(output) => output.write(&policy)?,
        None => drop(print(&policy)?),
    }
    complain(&summary(&counts));
    Ok(if wrong > 0 { Exit::Usage } else { Exit::Fine })
}

/// What happens from now on, and what is open already.
async fn live(opts: &Learn, config: Config, kernel: Kernel, learner: Shared) -> Result<u64, CommandError> {
    let run = Run {
        duration: opts.duration,
        output: opts.output.clone(),
        backend: opts.backend,
        ..Run::by(opts.config.clone())
    };
    let sink = Sink::Other(Box::new(Lines { learner, begun: Vec::new() }));
    watch(&run, config, kernel, Format::Native, sink).await?;
    Ok(0)
}

/// What was recorded, to its end or until somebody has enough. Returns how many lines are no events.
async fn recorded(
    opts: &Learn,
    mut events: Box<dyn BufRead + Send>,
    name: String,
    learner: Shared,
) -> Result<u64, CommandError> {
    let mut signals = Signals::new().map_err(io("cannot listen for signals"))?;
    let (done, all) = oneshot::channel();
    // Reading cannot be interrupted; the thread ends with the program.
    let reader = std::thread::Builder::new().name("read".to_owned()).spawn(move || {
        // Nobody waits any more when a signal came first.
        let _ended = done.send(read(&mut events, &name, &learner));
    });
    reader.map_err(io("cannot start a thread"))?;
    let elapsed = async {
        match opts.duration {
            Some(duration) => tokio::time::sleep(duration).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        read = all => read.unwrap_or(Ok(0)),
        _ = signals.received() => Ok(0),
        () = elapsed => Ok(0),
    }
}

fn read(events: &mut dyn BufRead, name: &str, learner: &Shared) -> Result<u64, CommandError> {
    let (mut line, mut wrong) = (Vec::new(), 0);
    for number in 1u64.. {
        line.clear();
        let read = events.take(LINE_MAX as u64).read_until(b'\n', &mut line);
        if read.map_err(io("cannot read the events"))? == 0 {
            break;
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        if let Err(error) = learner.lock().add(&line) {
            wrong += 1;
            complain(&format!("{name}:{number}: {}; the line is left out", escaped(&error.to_string())));
        }
    }
    Ok(wrong)
}

/// Says every second on a terminal how far it is.
async fn with_progress<T>(learner: &Shared, work: impl Future<Output = T>) -> T {
    let begun = Instant::now();
    let is_shown = io::stderr().is_terminal();
    let mut tick = interval(PROGRESS);
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => {
                show(is_shown, "");
                return done;
            }
            _ = tick.tick(), if is_shown => {
                let Counts { accesses, actors, refused, .. } = learner.lock().counts();
                let seconds = begun.elapsed().as_secs();
                show(is_shown, &format!("learning for {seconds} s: {accesses} accesses, {actors} actors, {refused} refused; end with Ctrl-C"));
            }
        }
    }
}

/// In place of what the line said.
fn show(is_shown: bool, line: &str) {
    if is_shown {
        let mut stderr = io::stderr().lock();
        // Nobody needs it.
        let _unheard = write!(stderr, "\r\u{1b}[K{line}").and_then(|()| stderr.flush());
    }
}

fn summary(counts: &Counts) -> String {
    let Counts { accesses, actors, known, refused, left_out, lost } = counts;
    let learned = accesses.saturating_sub(*refused).saturating_sub(*left_out);
    let mut text = format!("learned {learned} accesses by {actors} actors; {known} were allowed already");
    for (count, what) in [
        (refused, "are refused, and listed at the end of the policy"),
        (left_out, "are left out, because there were too many actors"),
        (lost, "were lost, so that the policy may be incomplete"),
    ] {
        if *count > 0 {
            text += &format!("; {count} {what}");
        }
    }
    text
}

/// The learner, for whoever reads and for whoever tells how far it is.
#[derive(Clone)]
struct Shared(Arc<Mutex<Learner>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Learner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes what the daemon writes, line by line.
struct Lines {
    learner: Shared,
    /// Of a line that is not whole yet.
    begun: Vec<u8>,
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.begun.extend_from_slice(bytes);
        let whole = self.begun.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let lines: Vec<_> = self.begun.drain(..whole).collect();
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            self.learner.lock().add(line)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The file that the policy goes to. It is made at once: nobody wants to hear in an hour that it cannot be.
struct Output {
    path: PathBuf,
    file: Option<File>,
}

impl Output {
    fn new(path: &Path) -> Result<Self, CommandError> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let file = file.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => {
                SinkError::new(path, "it exists; name another file, or take that one away".to_owned())
            }
            _ => SinkError::new(path, error.to_string()),
        })?;
        Ok(Self { path: path.to_owned(), file: Some(file) })
    }

    fn write(mut self, policy: &str) -> Result<(), CommandError> {
        let Some(mut file) = self.file.take() else { return Ok(()) };
        file.write_all(policy.as_bytes()).map_err(|source| {
            let _gone = fs::remove_file(&self.path);
            io("cannot write the policy")(source)
        })
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if self.file.is_some() {
            // It is empty, and no policy.
            let _gone = fs::remove_file(&self.path);
        }
    }
}

fn io(doing: &'static str) -> impl Fn(io::Error) -> CommandError {
    move |source| CommandError::Io { doing, source }
}
