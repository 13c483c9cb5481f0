use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::hash::Digest;
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
    let name = |origin: Origin| -> Vec<_> {
        let of_origin = config.targets.iter().filter(|entry| entry.origin == origin);
        of_origin.map(|entry| entry.value.name()).collect()
    };
    assert_eq!(name(Origin::File(2)), ["/run/x.sock", "/run/docker.sock"]);
    assert!(!name(Origin::Profile("kubeadm")).contains(&"/run/docker.sock".to_owned()));
    assert!(name(Origin::Profile("kubeadm")).contains(&"tcp/2379".to_owned()));
    let kubelet = config.targets.iter().filter(|entry| entry.value.class == Class::KubeletApi);
    for entry in kubelet {
        assert!(matches!(entry.value.what, What::Port { destinations: Destinations::Any, .. }));
    }
    let text = config.to_yaml();
    for line in [
        "profile: none # all of it is here; it builds on kubeadm, detected: nothing here tells of another",
        "      - /run/x.sock # from policy.yaml:2",
        "      - /run/crio/crio.sock # from profile kubeadm",
        "    destinations: any",
        "  - id: backup # from policy.yaml:3",
        "  - id: kubelet # from profile kubeadm",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
}

/// No rule of a profile is for whoever comes, and each is there for a target that it has or that what runs may add.
#[test]
fn every_built_in_profile_is_sound() {
    for profile in profile::ALL {
        let config = build(profile.name, profile.text, None).unwrap();
        assert_eq!(config.profile, profile.name);
        assert!(config.discover, "{}", profile.name);
        for Entry { value: rule, .. } in &config.rules {
            let Processes { exe, unit, uid, .. } = &rule.process;
            let of_node =
                !exe.is_empty() && (!uid.is_empty() || !unit.is_empty() || profile.name == "kubeadm");
            let of_unit = !unit.is_empty() && uid == &[0];
            let inherited = ["kind", "minikube"].contains(&profile.name);
            assert!(
                of_node || of_unit || rule.container.is_some() || inherited,
                "{}: {}",
                profile.name,
                rule.id
            );
            if let Some(container) = &rule.container {
                assert!(!container.namespace.is_empty() && !container.pod.is_empty(), "{}", rule.id);
            }
        }
        let again = file(&config.to_yaml());
        let shown = |config: &Config| {
            let mut targets = values(&config.targets);
            targets.sort_by_key(|target| (target.class, target.name()));
            (targets, values(&config.rules))
        };
        assert_eq!(shown(&again), shown(&config), "{}", profile.name);
    }
}

#[test]
fn the_profile_is_the_one_that_is_named_or_detected() {
    let policy = |text: &str| {
        let detected = || Detected { profile: "k3s", evidence: "/var/lib/rancher/k3s".to_owned() };
        build_on("policy.yaml", text, Some(Path::new("policy.yaml")), detected).unwrap()
    };
    let auto = policy("version: 1\nprofile: auto\n");
    assert_eq!((auto.profile, auto.evidence.as_deref()), ("k3s", Some("/var/lib/rancher/k3s")));
    assert!(
        auto.to_yaml().contains("it builds on k3s, detected: /var/lib/rancher/k3s"),
        "{}",
        auto.to_yaml()
    );
    assert_eq!(policy("version: 1\n"), Config { sha256: policy("version: 1\n").sha256, ..auto });
    let named = policy("version: 1\nprofile: minikube\n");
    assert_eq!((named.profile, named.evidence), ("minikube", None));
    for (name, origin) in [("/var/lib/minikube/etcd", "minikube"), ("/var/lib/etcd", "kubeadm")] {
        let entry = named.targets.iter().find(|entry| entry.value.name() == name).unwrap();
        assert_eq!(entry.origin, Origin::Profile(origin));
    }
    assert!(!policy("version: 1\nprofile: none\n").discover);
    assert!(!policy("version: 1\ndiscover: false\n").discover);
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
    let sha256 = proptest::collection::vec(any::<[u8; 32]>().prop_map(Digest), 0..3);
    let all = (paths(), sha256, uid, unit, args, paths(), host_ns);
    all.prop_map(|(exe, sha256, uid, unit, args, ancestors, host_ns)| Processes {
        exe,
        sha256,
        uid,
        unit,
        args,
        ancestors,
        host_ns,
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
        let origin = || Origin::File(1);
        let entry = |class, what| Entry { value: Target { class, what }, origin: origin() };
        let any = What::Port { port, destinations: Destinations::Any };
        let served = What::Port { port: if port == 1 { 2 } else { 1 }, destinations: Destinations::Node };
        let config = Config {
            profile: profile::NONE,
            evidence: None,
            path: Some(path.clone()),
            sha256: String::new(),
            targets: vec![
                entry(Class::StaticPodManifest, What::Path(path)),
                entry(Class::StaticPodManifest, served),
                entry(Class::Credential, pattern),
                entry(Class::KubeletApi, any),
            ],
            rules: vec![Entry { value: rule, origin: origin() }],
            severities: BTreeMap::from([(Class::Credential, severity)]),
            discover: false,
        };
        let text = config.to_yaml();
        let again = build("shown", &text, Some(Path::new("shown")));
        let again = again.map_err(|errors| TestCaseError::fail(format!("{errors}\n{text}")))?;
        let parts = |config: &Config| (values(&config.targets), values(&config.rules), config.severities.clone());
        prop_assert_eq!(parts(&again), parts(&config), "{}", text);
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
