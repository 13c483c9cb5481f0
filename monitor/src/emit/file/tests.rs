use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use tempfile::TempDir;

use super::*;

struct Scene {
    dir: TempDir,
    file: Option<OutputFile>,
}

impl Scene {
    fn new(rotation: Option<Rotation>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut scene = Self { dir, file: None };
        scene.open("events", rotation);
        scene
    }

    fn rotated(max_size: u64, keep: u32) -> Self {
        Self::new(Some(Rotation { max_size, keep }))
    }

    /// After what it wrote to before was closed.
    fn open(&mut self, name: &str, rotation: Option<Rotation>) {
        self.file = None;
        self.file = Some(OutputFile::open(&self.path(name), rotation).unwrap());
    }

    fn file(&mut self) -> &mut OutputFile {
        self.file.as_mut().unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn line(&mut self, line: &str) {
        self.file().make_ready(line.len() as u64 + 1);
        for bytes in [line.as_bytes(), b"\n"] {
            assert_eq!(self.file().write(bytes).unwrap(), bytes.len());
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
    assert_eq!(scene.names(), ["events", "events.000003", "events.000004", "events.000005"]);
    assert_eq!(scene.read("events"), "longer than any file\n");
    assert_eq!(fs::read_link(scene.path("events")).unwrap(), Path::new("events.000005"));
    assert_eq!(scene.read("events.000004"), "six\nseven\n");
    assert_eq!(scene.read("events.000003"), "four\nfive\n");
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
    assert_eq!((scene.names().len(), scene.read("events")), (2, "three\n".to_owned()));
}

#[test]
fn the_latest_is_gone_on_with_and_a_plain_one_becomes_it() {
    let mut scene = Scene::rotated(100, 9);
    scene.line("one");
    scene.open("events", ROTATION);
    scene.line("two");
    assert_eq!((scene.names().len(), scene.read("events.000001")), (2, "one\ntwo\n".to_owned()));
    fs::remove_file(scene.path("events")).unwrap();
    fs::write(scene.path("events"), "of before\n").unwrap();
    scene.open("events", ROTATION);
    scene.line("three");
    assert_eq!([scene.read("events"), scene.read("events.000002")], [const { "of before\nthree\n" }; 2]);
    // What is no number of ours is let alone.
    for name in ["events.1", "events.000001x", "events.20261127", "events.0000009"] {
        fs::write(scene.path(name), "").unwrap();
    }
    fs::write(scene.path("events.1000000"), "").unwrap();
    scene.open("events", Some(Rotation { max_size: 4, keep: 0 }));
    scene.lines(&["six", "ten"]);
    let names =
        ["events", "events.0000009", "events.000001x", "events.1", "events.1000001", "events.20261127"];
    assert_eq!(scene.names(), names);
    assert_eq!(scene.read("events"), "ten\n");
    // Without rotation there is the one file again.
    scene.open("events", None);
    scene.line("plain");
    assert_eq!([scene.read("events"), scene.read("events.1000001")], ["plain\n", "ten\n"]);
    // Whose content is nobody else's: the link gives way.
    scene.open("other", Some(Rotation { max_size: 4, keep: 2 }));
    fs::remove_file(scene.path("other")).unwrap();
    fs::write(scene.path("other"), "precious").unwrap();
    fs::create_dir_all(scene.path("other.000001x")).unwrap();
    scene.lines(&["six", "ten", "end"]);
    assert_eq!([scene.read("other"), scene.read("other.000003")], ["precious", "end\n"]);
}

const ROTATION: Option<Rotation> = Some(Rotation { max_size: 100, keep: 9 });

#[test]
fn links_are_replaced_and_not_followed() {
    for name in ["events", "events.000002", "events.000003", ".events.link"] {
        let mut scene = Scene::rotated(4, 2);
        let _none = fs::remove_file(scene.path(name));
        let victim = scene.trap(name);
        scene.lines(&["one", "two", "six", "ten"]);
        assert_eq!(fs::read_to_string(victim).unwrap(), "precious", "{name}");
        assert_eq!(scene.read("events"), "ten\n", "{name}");
        scene.open("events", ROTATION);
        scene.line("end");
        assert_eq!(scene.read("events"), "ten\nend\n", "{name}");
    }
}

#[test]
fn two_do_not_rotate_one_file() {
    let mut scene = Scene::rotated(4, 2);
    scene.lines(&["one", "two"]);
    for rotation in [ROTATION, None] {
        let error = OutputFile::open(&scene.path("events"), rotation).unwrap_err().to_string();
        assert!(error.contains("another process writes and rotates it"), "{error}");
    }
    assert_eq!(scene.names(), ["events", "events.000001", "events.000002"]);
    scene.line("six");
    assert_eq!(scene.read("events"), "six\n");
    scene.open("events", ROTATION);
}

#[test]
fn what_cannot_be_removed_keeps_nothing_else() {
    let mut scene = Scene::rotated(4, 1);
    fs::create_dir_all(scene.path("events.000000/x")).unwrap();
    scene.lines(&["one", "two", "six", "ten"]);
    assert_eq!(scene.names(), ["events", "events.000000", "events.000003", "events.000004"]);
}

#[test]
fn what_is_no_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("events")).unwrap();
    let error = OutputFile::open(&dir.path().join("events"), ROTATION).unwrap_err().to_string();
    assert!(error.contains("it is not a regular file"), "{error}");
}

#[test]
fn what_somebody_takes_away_is_followed_by_the_next() {
    let mut scene = Scene::rotated(100, 9);
    scene.line("one");
    fs::rename(scene.path("events.000001"), scene.path("taken")).unwrap();
    scene.line("two");
    assert_eq!([scene.read("taken"), scene.read("events")], ["one\n", "two\n"]);
    // In the way of the link, and of nothing else.
    fs::remove_file(scene.path("events")).unwrap();
    fs::create_dir(scene.path("events")).unwrap();
    fs::remove_file(scene.path("events.000002")).unwrap();
    scene.lines(&["six", "ten"]);
    assert_eq!(scene.read("events.000003"), "six\nten\n");
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
    scene.file().make_ready(1);
    assert!(scene.file().write(b"x").is_err());
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
    scene.open("sub/events", Some(Rotation { max_size: 4, keep: 1 }));
    fs::rename(&path, scene.path("moved")).unwrap();
    symlink(elsewhere.path(), &path).unwrap();
    scene.lines(&["one", "two"]);
    assert_eq!([scene.read("moved/events.000002"), scene.read("moved/events.000001")], ["two\n", "one\n"]);
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
}
