use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::target::Destinations;

fn file(text: &str) -> Config {
    build("policy.yaml", text, Some(Path::new("policy.yaml"))).unwrap()
}

fn values<T: Clone>(entries: &[Entry<T>]) -> Vec<T> {
    entries.iter().map(|entry| entry.value.clone()).collect()
}

#[test]
fn the_built_in_profile_has_every_class_and_loads_again() {
    let config = load(None).unwrap();
    assert_eq!((config.profile, config.sha256.len()), ("kubeadm", 64));
    for class in Class::ALL {
        assert!(config.targets.iter().any(|entry| entry.value.class == class), "{class}");
        assert!(config.rules.iter().any(|entry| entry.value.targets.contains(&class)), "{class}");
    }
    // A rule for any process or any executable would be a hole in every installation.
    assert!(
        config
            .rules
            .iter()
            .all(|entry| !entry.value.process.exe.is_empty() || entry.value.container.is_some())
    );
    let again = file(&config.to_yaml());
    assert_eq!(again.profile, "none");
    assert_eq!(
        (values(&again.targets), values(&again.rules)),
        (values(&config.targets), values(&config.rules))
    );
}

#[test]
fn a_file_adds_to_the_profile_and_says_which_part_is_whose() {
    let config = file(
        "version: 1\ntargets: {runtime_api: {sockets: [/run/x.sock, /run/docker.sock]}, kubelet_api: {destinations: any}}\n\
         allow: [{id: backup, targets: datastore_api, process: {exe: /usr/bin/backup, uid: [0, 34]}}]\n",
    );
    let name = |origin| -> Vec<_> {
        let of_origin = config.targets.iter().filter(|entry| entry.origin == origin);
        of_origin.map(|entry| entry.value.name()).collect()
    };
    assert_eq!(name(Origin::File), ["/run/x.sock", "/run/docker.sock"]);
    assert!(!name(Origin::Profile).contains(&"/run/docker.sock".to_owned()));
    assert!(name(Origin::Profile).contains(&"tcp/2379".to_owned()));
    let kubelet = config.targets.iter().filter(|entry| entry.value.class == Class::KubeletApi);
    for entry in kubelet {
        assert!(matches!(entry.value.what, What::Port { destinations: Destinations::Any, .. }));
    }
    let text = config.to_yaml();
    for line in [
        "profile: none # all of it is here; it builds on kubeadm",
        "      - /run/x.sock # from policy.yaml",
        "      - /run/crio/crio.sock # from profile kubeadm",
        "    destinations: any",
        "  - id: backup # from policy.yaml",
        "  - id: kubelet # from profile kubeadm",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
}

#[test]
fn without_a_profile_only_the_file_counts() {
    let config = file("version: 1\nprofile: none\ntargets: {datastore_api: {ports: [2379]}}\n");
    assert_eq!((config.targets.len(), config.rules.len()), (1, 0));
}

fn any_path() -> impl Strategy<Value = PathBuf> {
    "/[^\0/.*?]{1,8}(/[a-z #:'\"\\\\]{1,5})?".prop_map(|path| Path::new(&path).components().collect())
}

fn any_pattern() -> impl Strategy<Value = What> {
    let path =
        "/[a-z #:'\"]{1,5}(/[a-z]{1,3})?/(\\*\\*/)?[a-z?*]?[a-z]\\*[a-z.]{0,3}".prop_map(PathBuf::from);
    path.prop_map(|path| {
        let (base, pattern) = crate::glob::split(&path).unwrap();
        What::Glob { base, pattern }
    })
}

fn any_words() -> impl Strategy<Value = Words> {
    "[a-zA-Z0-9*?@:/ #'\"._-]{1,8}".prop_filter_map("no pattern", |word| Words::new(&word).ok())
}

fn any_containers() -> impl Strategy<Value = Containers> {
    let words = || proptest::collection::vec(any_words(), 0..3);
    (words(), words(), words(), words()).prop_map(|(namespace, pod, name, image)| Containers {
        namespace,
        pod,
        name,
        image,
    })
}

fn any_processes() -> impl Strategy<Value = Processes> {
    let paths = || proptest::collection::vec(any_path(), 0..3);
    let uid = proptest::collection::vec(any::<u32>(), 0..3);
    let unit = proptest::collection::vec(any_words(), 0..3);
    let line = "[^*]{1,9}".prop_map(|text| Words::line(&text).unwrap());
    let args = proptest::collection::vec(line, 0..3);
    let wanted = proptest::option::of(any::<bool>());
    let host_ns = (wanted.clone(), wanted.clone(), wanted);
    let host_ns = host_ns.prop_map(|(mnt, pid, net)| HostNamespaces { mnt, pid, net });
    (paths(), uid, unit, args, paths(), host_ns).prop_map(|(exe, uid, unit, args, ancestors, host_ns)| {
        Processes { exe, uid, unit, args, ancestors, host_ns }
    })
}

fn any_severity() -> impl Strategy<Value = Severity> {
    let all = [Severity::Info, Severity::Low, Severity::Medium, Severity::High, Severity::Critical];
    proptest::sample::select(all.to_vec())
}

fn any_rule() -> impl Strategy<Value = Rule> {
    let id = prop_oneof![
        proptest::sample::select(vec![
            "null", "True", "~", "y", "1e3", "0x1", "-", "", "nan", ".inf", "a: b", "#"
        ])
        .prop_map(str::to_owned),
        "[^\\p{Cc}]{1,8}",
    ];
    let id = id.prop_filter("an id is needed", |id| !id.is_empty());
    let access = proptest::option::of(Just(vec![Group::Connect]));
    let container = proptest::option::of(any_containers());
    (id, access, any_processes(), container).prop_map(|(id, access, process, container)| Rule {
        id,
        targets: vec![Class::RuntimeApi, Class::KubeletApi],
        access,
        process,
        container,
        source: vec![],
        destination: vec![],
    })
}

proptest! {
    #[test]
    fn whatever_is_shown_loads_again(rule in any_rule(), severity in any_severity(), path in any_path(), pattern in any_pattern(), port in 1u16..) {
        let origin = Origin::File;
        let any = What::Port { port, destinations: Destinations::Any };
        let served = What::Port { port: if port == 1 { 2 } else { 1 }, destinations: Destinations::Node };
        let config = Config {
            profile: profile::NONE,
            path: Some(path.clone()),
            sha256: String::new(),
            targets: vec![
                Entry { value: Target { class: Class::StaticPodManifest, what: What::Path(path) }, origin },
                Entry { value: Target { class: Class::StaticPodManifest, what: served }, origin },
                Entry { value: Target { class: Class::Credential, what: pattern }, origin },
                Entry { value: Target { class: Class::KubeletApi, what: any }, origin },
            ],
            rules: vec![Entry { value: rule, origin }],
            severities: BTreeMap::from([(Class::Credential, severity)]),
        };
        let text = config.to_yaml();
        let again = build("shown", &text, Some(Path::new("shown")));
        let again = again.map_err(|errors| TestCaseError::fail(format!("{errors}\n{text}")))?;
        let parts = (again.targets, again.rules, again.severities);
        prop_assert_eq!(parts, (config.targets, config.rules, config.severities), "{}", text);
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,200}|[ \\[\\]{}:,a-z&*!|>\n-]{0,200}") {
        let _either = build("any", &text, Some(Path::new("any")));
    }

    #[test]
    fn a_damaged_policy_does_not_panic_and_says_where(at in 0usize..3000, with in "[\\x00-\\x7f]{1,3}") {
        let mut text = profile::KUBEADM.text.to_owned();
        let at = at % text.len();
        prop_assume!(text.is_char_boundary(at) && text.is_char_boundary(at + 1));
        text.replace_range(at..=at, &with);
        if let Err(errors) = build("any", &text, Some(Path::new("any"))) {
            for line in errors.to_string().lines() {
                prop_assert!(line.starts_with("any:"), "{}", line);
            }
        }
    }
}
