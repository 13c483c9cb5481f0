use monitor::config::{Config, Rule};
use monitor::fuzzing::{POLICY, policy};
use monitor::target::Target;

/// A policy file. What is accepted can be shown and loaded again; what is not is told in lines that are safe on a terminal.
pub fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match policy(text) {
        Ok(config) => {
            let shown = config.to_yaml();
            let again = policy(&shown).unwrap_or_else(|errors| panic!("{errors:?}: {shown:?}"));
            assert_eq!(parts(&config), parts(&again), "{shown:?}");
        }
        Err(errors) => {
            let errors = errors.to_string();
            assert!(!errors.is_empty());
            for line in errors.split('\n') {
                assert!(line.starts_with(POLICY) && !line.contains(char::is_control), "{line:?}");
            }
        }
    }
}

/// All but where each part comes from: what is shown stands for itself, class by class.
fn parts(config: &Config) -> (Vec<&Target>, Vec<&Rule>) {
    let mut targets: Vec<_> = config.targets.iter().map(|entry| &entry.value).collect();
    targets.sort_by_key(|target| target.class);
    (targets, config.rules.iter().map(|entry| &entry.value).collect())
}
