//! Every input that was ever kept, without a fuzzer.

use std::fs;
use std::path::Path;

type Target = (&'static str, fn(&[u8]));

const TARGETS: [Target; 15] = [
    ("btf", super::btf),
    ("bundle", super::bundle),
    ("cgroup", super::cgroup),
    ("config", super::config),
    ("decode", super::decode),
    ("event", super::event),
    ("fanotify", super::fanotify),
    ("glob", super::glob),
    ("learn", super::learn),
    ("manifest", super::manifest),
    ("mounts", super::mounts),
    ("posture", super::posture),
    ("recorded", super::recorded),
    ("report", super::report),
    ("running", super::running),
];

#[test]
fn the_corpus_passes() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for (name, target) in TARGETS {
        let files: Vec<_> =
            fs::read_dir(corpus.join(name)).unwrap().map(|file| file.unwrap().path()).collect();
        assert!(!files.is_empty(), "{name} has no corpus");
        for file in files {
            // The last line is the file that is at fault.
            println!("{}", file.display());
            target(&fs::read(&file).unwrap());
        }
    }
}

#[test]
fn every_program_has_its_target() {
    let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz_targets");
    let mut names: Vec<_> = fs::read_dir(programs)
        .unwrap()
        .map(|file| file.unwrap().path().file_stem().unwrap().to_owned())
        .collect();
    names.sort();
    assert_eq!(names, TARGETS.map(|(name, _)| name));
}
