use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use super::*;
use crate::access::{Ancestor, ObjectKey};
use crate::snapshot::{Process, Wanted, describe};

/// A copy of a program that waits, which nothing else runs.
struct Sleeper {
    dir: tempfile::TempDir,
    child: Child,
}

impl Sleeper {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sleeper");
        fs::copy("/bin/sleep", &path).unwrap();
        let child = Command::new(&path).arg("60").stdout(Stdio::null()).spawn().unwrap();
        let sleeper = Self { dir, child };
        // It is this program until it has become the other.
        while describe(sleeper.child.id(), &Wanted::default()).unwrap().0.exe.path != sleeper.path() {
            thread::yield_now();
        }
        sleeper
    }

    fn path(&self) -> Vec<u8> {
        self.dir.path().join("sleeper").into_os_string().into_encoded_bytes()
    }

    fn actor(&self) -> Actor {
        describe(self.child.id(), &Wanted::default()).unwrap().0
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn now() -> i128 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    i128::try_from(now.as_nanos()).unwrap()
}

/// Long after the file was made.
fn later() -> i128 {
    now() + 3_600_000_000_000
}

fn look(actor: &Actor, at: i128) -> Found {
    let root = Root::at_dir(Path::new("/")).unwrap();
    Hashes::new(&root).unwrap().shared.look(&Job::of(actor, true, at).unwrap())
}

fn sleep() -> String {
    crate::hash::sha256(&fs::read("/bin/sleep").unwrap())
}

#[test]
fn a_living_process_has_its_file_under_any_name() {
    let sleeper = Sleeper::new();
    let actor = sleeper.actor();
    fs::remove_file(sleeper.dir.path().join("sleeper")).unwrap();
    fs::write(sleeper.dir.path().join("sleeper"), "another").unwrap();
    let found = look(&actor, later()).unwrap();
    assert_eq!((found.digest.to_string(), found.certain), (sleep(), true));
}

#[test]
fn a_process_that_ended_has_the_file_of_its_path_if_it_is_the_same() {
    let (actor, dir) = {
        let sleeper = Sleeper::new();
        let dir = tempfile::tempdir().unwrap();
        let kept = dir.path().join("sleeper");
        fs::hard_link(sleeper.dir.path().join("sleeper"), &kept).unwrap();
        let mut actor = sleeper.actor();
        actor.exe.path = kept.into_os_string().into_encoded_bytes();
        (actor, dir)
    };
    assert_eq!(look(&actor, later()).unwrap().digest.to_string(), sleep());
    let kept = dir.path().join("sleeper");
    fs::rename(&kept, dir.path().join("old")).unwrap();
    assert!(look(&actor, later()).unwrap_err().contains("another file has its path"));
    fs::copy("/bin/sleep", &kept).unwrap();
    assert!(look(&actor, later()).unwrap_err().contains("another file has its path"));
    let deleted = Executable { deleted: true, ..actor.exe.clone() };
    assert!(look(&Actor { exe: deleted, ..actor }, later()).unwrap_err().contains("no name"));
}

#[test]
fn a_file_that_was_changed_since_is_not_certain() {
    let sleeper = Sleeper::new();
    let actor = sleeper.actor();
    thread::sleep(Duration::from_millis(50));
    assert!(look(&actor, now()).unwrap().certain);
    let at = now();
    let file = fs::File::options().append(true).open("/proc/self/exe");
    drop(file);
    fs::set_permissions(
        sleeper.dir.path().join("sleeper"),
        fs::metadata("/bin/sleep").unwrap().permissions(),
    )
    .unwrap();
    assert!(!look(&actor, at).unwrap().certain);
}

#[test]
fn another_object_is_not_read() {
    let sleeper = Sleeper::new();
    let mut actor = sleeper.actor();
    let key = actor.exe.key.unwrap();
    actor.exe.key = Some(ObjectKey::new(key.dev, key.ino + 1));
    assert!(look(&actor, later()).is_err());
    // A number that another process has by now.
    let mut actor = sleeper.actor();
    actor.start += 1_000_000_000;
    actor.exe.deleted = true;
    assert!(look(&actor, later()).is_err());
}

#[test]
fn what_is_too_large_or_no_file_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("large");
    fs::File::create(&path).unwrap().set_len(content::SIZE_MAX + 1).unwrap();
    let actor = |path: &Path| {
        let (found, path) = (fs::metadata(path).unwrap(), path.as_os_str().as_encoded_bytes());
        let device = u32::try_from((found.dev() >> 8 & 0xfff) << 20 | found.dev() & 0xff).unwrap();
        let key = Some(ObjectKey::new(device, found.ino()));
        let exe = Executable { key, path: path.to_vec(), deleted: false };
        Actor { exe, ancestors: vec![Ancestor::default()], ..Actor::default() }
    };
    assert_eq!(look(&actor(&path), later()).unwrap_err(), "it is larger than 256 MiB");
    assert_eq!(look(&actor(dir.path()), later()).unwrap_err(), "it is not a regular file");
    assert!(Process::open(0).is_err());
}

#[tokio::test]
async fn answers_come_with_their_numbers() {
    let sleeper = Sleeper::new();
    let mut hashes = Hashes::new(&Root::at_dir(Path::new("/")).unwrap()).unwrap();
    let job = Job::of(&sleeper.actor(), true, later()).unwrap();
    let mut tickets: Vec<_> = (0..20).map(|_| hashes.begin(job.clone()).unwrap()).collect();
    for _ in 0..20 {
        let (ticket, found) = hashes.answer().await;
        assert_eq!(found.unwrap().digest.to_string(), sleep());
        tickets.retain(|other| *other != ticket);
    }
    assert_eq!(tickets, [0; 0]);
}
