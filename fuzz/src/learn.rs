use monitor::fuzzing::policy;
use monitor::learn::{Learner, Mode};
use monitor::replay::{Recorded, decide, is_access};
use serde_json::Value;

/// Events that somebody recorded, or says so, a line each. What is learned from them can be loaded, does not depend on their order,
/// and allows what it was made of: learning from the same again finds nothing new.
pub fn learn(data: &[u8]) {
    let begin = "version: 1\nprofile: none\n";
    let config = || policy(begin).expect("a policy without rules");
    let lines: Vec<_> = data.split(|byte| *byte == b'\n').collect();
    for include_suspicious in [false, true] {
        let mode = Mode { include_suspicious, is_live: false };
        let mut learner = Learner::new(config(), mode);
        let mut reverse = Learner::new(config(), mode);
        for line in &lines {
            // What is no event is left out.
            let _no_event = learner.add(line);
        }
        for line in lines.iter().rev() {
            let _no_event = reverse.add(line);
        }
        let text = learner.policy();
        let counts = learner.counts();
        let harmful = |char: char| char.is_control() && char != '\n';
        assert!(!text.contains(harmful), "{text:?}");
        let loaded = policy(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        if counts.left_out == 0 {
            assert_eq!(text, reverse.policy(), "the order counts");
        }
        let rules: Vec<_> = loaded.rules.iter().map(|entry| entry.value.clone()).collect();
        let accesses = lines.iter().filter_map(|line| {
            let event = serde_json::from_slice::<Value>(line).ok().filter(is_access)?;
            Recorded::read(&event).ok()
        });
        let left = accesses.filter(|recorded| {
            decide(&[], recorded).is_violation() && decide(&rules, recorded).is_violation()
        });
        assert!(left.count() == 0 || counts.refused + counts.left_out > 0, "not all is allowed:\n{text}");
        let mut again = Learner::new(loaded, mode);
        for line in &lines {
            let _no_event = again.add(line);
        }
        let now = again.counts();
        assert_eq!(now.actors, 0, "{text}\nlearned again:\n{}", again.policy());
        // What was refused for its looks may be just what another did.
        assert!(now.refused <= counts.refused, "{now:?} {counts:?}\n{text}");
    }
}
