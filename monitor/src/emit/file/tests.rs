use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use tempfile::TempDir;

use super::*;

struct Scene {
    dir: TempDir,
    file: OutputFile,
}

impl Scene {
    fn new(rotation: Option<Rotation>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = OutputFile::open(&dir.path().join("events"), rotation).unwrap();
        Self { dir, file }
    }

    fn rotated(max_size: u64, keep: u32) -> Self {
        Self::new(Some(Rotation { max_size, keep }))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn line(&mut self, line: &str) {
        self.file.make_ready(line.len() as u64 + 1);
        for bytes in [line.as_bytes(), b"\n"] {
            assert_eq!(self.file.write(bytes).unwrap(), bytes.len());
        }
    }

    fn lines(&mut self, lines: &[&str]) {
        lines.iter().for_each(|line| self.line(line));
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| format!("{name}: {error}"))
    }

    fn names(&self) -> Vec<String> {
        let names = fs::read_dir(self.dir.path()).unwrap();
        let mut names: Vec<_> =
            names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Somebody else's file, and a link of that name to it.
    fn trap(&self, name: &str) -> PathBuf {
        let victim = self.path("victim");
        fs::write(&victim, "precious").unwrap();
        symlink(&victim, self.path(name)).unwrap();
        victim
    }
}

#[test]
fn the_oldest_file_goes_and_no_line_is_cut() {
    let mut scene = Scene::rotated(10, 2);
    for line in ["one", "two", "three", "four", "five", "six", "seven", "longer than any file"] {
        scene.line(line);
    }
    assert_eq!(scene.names(), ["events", "events.1", "events.2"]);
    assert_eq!(scene.read("events"), "longer than any file\n");
    assert_eq!(scene.read("events.1"), "six\nseven\n");
    assert_eq!(scene.read("events.2"), "four\nfive\n");
    for name in scene.names() {
        assert_eq!(scene.path(&name).metadata().unwrap().permissions().mode() & 0o7777, 0o600, "{name}");
    }
}

#[test]
fn without_a_limit_there_is_one_file_and_with_none_kept_too() {
    let mut scene = Scene::new(None);
    (0..100).for_each(|_| scene.line("line"));
    assert_eq!(scene.names(), ["events"]);
    let mut scene = Scene::rotated(10, 0);
    scene.lines(&["one", "two", "three"]);
    assert_eq!((scene.names(), scene.read("events")), (vec!["events".to_owned()], "three\n".to_owned()));
}

#[test]
fn a_link_at_an_old_name_is_replaced_and_not_followed() {
    for name in ["events.1", "events.2"] {
        let mut scene = Scene::rotated(4, 2);
        let victim = scene.trap(name);
        scene.lines(&["one", "two", "six", "ten"]);
        assert_eq!(fs::read_to_string(victim).unwrap(), "precious");
        assert_eq!([scene.read("events"), scene.read("events.1")], ["ten\n", "six\n"], "{name}");
    }
}

#[test]
fn what_cannot_be_rotated_goes_on() {
    let mut scene = Scene::rotated(4, 1);
    fs::create_dir_all(scene.path("events.1/x")).unwrap();
    scene.lines(&["one", "two"]);
    assert_eq!(scene.read("events"), "one\ntwo\n");
    fs::remove_dir_all(scene.path("events.1")).unwrap();
    scene.line("six");
    assert_eq!([scene.read("events"), scene.read("events.1")], ["six\n", "one\ntwo\n"]);
}

#[test]
fn a_file_that_somebody_else_rotates_is_begun_anew() {
    let mut scene = Scene::new(None);
    scene.line("one");
    fs::rename(scene.path("events"), scene.path("events-20261126")).unwrap();
    scene.line("two");
    fs::remove_file(scene.path("events")).unwrap();
    scene.line("three");
    assert_eq!([scene.read("events"), scene.read("events-20261126")], ["three\n", "one\n"]);
    assert_eq!(scene.path("events").metadata().unwrap().permissions().mode() & 0o7777, 0o600);
    // As `copytruncate` does.
    fs::copy(scene.path("events"), scene.path("copy")).unwrap();
    File::options().write(true).truncate(true).open(scene.path("events")).unwrap();
    scene.line("four");
    assert_eq!([scene.read("events"), scene.read("copy")], ["four\n", "three\n"]);
}

#[test]
fn a_link_in_its_place_is_not_followed() {
    let mut scene = Scene::new(None);
    scene.line("one");
    fs::rename(scene.path("events"), scene.path("moved")).unwrap();
    let victim = scene.trap("events");
    scene.line("two");
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    assert_eq!(scene.read("moved"), "one\ntwo\n");
    // Nobody can read any more what goes to a file without a name.
    fs::remove_file(scene.path("moved")).unwrap();
    scene.file.make_ready(1);
    assert!(scene.file.write(b"x").is_err());
    fs::remove_file(scene.path("events")).unwrap();
    scene.line("three");
    assert_eq!(scene.read("events"), "three\n");
}

#[test]
fn a_file_with_another_name_is_not_ours() {
    let scene = Scene::new(None);
    fs::hard_link(scene.path("events"), scene.path("other")).unwrap();
    let error = OutputFile::open(&scene.path("other"), None).unwrap_err().to_string();
    assert!(error.contains("it has another name"), "{error}");
}

#[test]
fn the_directory_stays_the_one_it_was() {
    let mut scene = Scene::new(None);
    let elsewhere = tempfile::tempdir().unwrap();
    let path = scene.dir.path().join("sub");
    fs::create_dir(&path).unwrap();
    scene.file = OutputFile::open(&path.join("events"), Some(Rotation { max_size: 4, keep: 1 })).unwrap();
    fs::rename(&path, scene.path("moved")).unwrap();
    symlink(elsewhere.path(), &path).unwrap();
    scene.lines(&["one", "two"]);
    assert_eq!([scene.read("moved/events"), scene.read("moved/events.1")], ["two\n", "one\n"]);
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
}
