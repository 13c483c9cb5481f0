//! `bypassd report`

use std::fs::{self, Metadata};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use tempfile::NamedTempFile;

use super::{CommandError, complain, open};
use crate::cli;
use crate::emit::SinkError;
use crate::event::text::escaped;
use crate::exit::Exit;
use crate::report::Report;

pub(super) fn report(opts: &cli::Report) -> Result<Exit, CommandError> {
    let output = Output::new(opts)?;
    let mut report = Report::default();
    for path in &opts.files {
        let name = if path == Path::new("-") { "stdin".to_owned() } else { escaped(&path.to_string_lossy()) };
        let wrong = |what: String| CommandError::Event { name: name.clone(), what };
        let usable = report.read(&name, &mut open(path)?, complain);
        if usable.map_err(|error| wrong(format!("cannot be read: {error}; name files of events")))? == 0 {
            let what = "no line of it is an event; give what `bypassd run`, `snapshot` or `posture` wrote with --format native";
            return Err(wrong(what.to_owned()));
        }
    }
    output.write(report)?;
    Ok(Exit::Fine)
}

/// Where the page goes. It has its name only once it is whole, and until then nothing that has the name is touched.
struct Output<'a> {
    path: &'a Path,
    force: bool,
    file: NamedTempFile,
}

impl<'a> Output<'a> {
    /// Says at once what is in the way: nobody wants to hear in a minute.
    fn new(opts: &'a cli::Report) -> Result<Self, CommandError> {
        let path = opts.output.as_path();
        let failed = |why: String| CommandError::from(SinkError::new(path, why));
        if path.file_name().is_none() {
            return Err(failed("it has no name".to_owned()));
        }
        match fs::symlink_metadata(path) {
            Ok(there) => refused(&there, opts).map_or(Ok(()), |why| Err(failed(why)))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error.to_string())),
        }
        let parent = path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
        // Only its owner can read it: there are command lines in it.
        let file = tempfile::Builder::new().prefix(".bypassd-report-").tempfile_in(parent);
        Ok(Self { path, force: opts.force, file: file.map_err(|error| failed(error.to_string()))? })
    }

    fn write(mut self, report: Report) -> Result<(), CommandError> {
        let failed = |source| CommandError::Io { doing: "cannot write the report", source };
        let mut out = BufWriter::new(self.file.as_file_mut());
        report.write(&mut out).and_then(|()| out.flush()).map_err(failed)?;
        drop(out);
        self.file.as_file().sync_all().map_err(failed)?;
        // Both replace or refuse the name itself, wherever it would lead.
        let kept =
            if self.force { self.file.persist(self.path) } else { self.file.persist_noclobber(self.path) };
        kept.map(drop).map_err(|error| match error.error.kind() {
            io::ErrorKind::AlreadyExists => SinkError::new(self.path, EXISTS.to_owned()).into(),
            _ => failed(error.error),
        })
    }
}

const EXISTS: &str = "it exists, and only --force replaces it";

/// Why what has the name is not replaced.
fn refused(there: &Metadata, opts: &cli::Report) -> Option<String> {
    if there.is_symlink() {
        return Some("it is a symbolic link".to_owned());
    }
    if !there.is_file() {
        return Some("it is not a regular file".to_owned());
    }
    if !opts.force {
        return Some(EXISTS.to_owned());
    }
    let is_same = |input: &Metadata| (input.dev(), input.ino()) == (there.dev(), there.ino());
    let is_input = opts.files.iter().any(|path| fs::metadata(path).is_ok_and(|input| is_same(&input)));
    is_input.then(|| "the report would replace what it is made of".to_owned())
}
