use std::path::Component;

use monitor::fuzzing::running as says;
use monitor::target::What;

/// A program's number, its command line, its environment and a file, with a byte 1 in between: what processes name and what their files have. Whatever
/// it is, it makes few targets, each a plain path that is not half of the node, and sentences that are safe on a terminal.
pub fn running(data: &[u8]) {
    let mut parts = data.splitn(4, |byte| *byte == 1);
    let mut next = || parts.next().unwrap_or_default();
    let (program, cmdline, environ, text) = (next(), next(), next(), next());
    let running = says(program.first().copied().unwrap_or_default(), cmdline, environ, text);
    assert!(running.found.len() <= 24, "{} targets", running.found.len());
    for found in &running.found {
        if let What::Port { port, .. } = found.target.what {
            assert_ne!(port, 0);
        }
        if let Some(path) = found.target.path() {
            let plain = |part: Component<'_>| matches!(part, Component::RootDir | Component::Normal(_));
            assert!(path.is_absolute() && path.components().all(plain), "{path:?}");
        }
        assert!(!found.from.contains(char::is_control), "{:?}", found.from);
    }
    for note in &running.notes {
        assert!(!note.contains(char::is_control), "{note:?}");
    }
}
