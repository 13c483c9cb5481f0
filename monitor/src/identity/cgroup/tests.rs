use proptest::prelude::*;

use super::*;

const HASH: &str = "f3ff1c7b6ba6d8e5e9e31c4d7c7d0d0b9d4f2a3b4c5d6e7f8091a2b3c4d5e6f7";
const OTHER: &str = "aaaa1c7b6ba6d8e5e9e31c4d7c7d0d0b9d4f2a3b4c5d6e7f8091a2b3c4d5e6f7";
const UID: &str = "8f29b4a0-7e5a-4d6e-9b1c-2a4f6c8e0d13";
const STATIC: &str = "09a70ae9c2d44f1e8b3a5c7d9e1f2a3b";

/// With names for what is too long to read.
fn path(text: &str) -> String {
    let escaped = UID.replace('-', "_");
    let text = text.replace("HASH", HASH).replace("OTHER", OTHER);
    text.replace("U_ID", &escaped).replace("UID", UID).replace("STATIC", STATIC)
}

type Expected = (&'static str, Option<Runtime>, Option<(&'static str, Qos)>);

fn check(text: &str, expected: &[Expected]) {
    let path = path(text);
    let found = containers(path.as_bytes());
    let expected: Vec<_> = expected.iter().map(|(id, ..)| *id).zip(expected).collect();
    assert_eq!(found.len(), expected.len(), "{text}: {found:?}");
    for (found, (id, (_, runtime, pod))) in found.iter().zip(expected) {
        assert_eq!((&found.id, found.runtime), (&self::path(id), *runtime), "{text}");
        let of_pod = found.pod.as_ref().map(|pod| (pod.uid.clone(), pod.qos));
        assert_eq!(of_pod, pod.map(|(uid, qos)| (self::path(uid), qos)), "{text}");
        assert!(path[..found.end].trim_end_matches(".scope").ends_with(&found.id), "{text} {}", found.end);
    }
}

const CONTAINERD: Option<Runtime> = Some(Runtime::Containerd);
const CRIO: Option<Runtime> = Some(Runtime::Crio);
const DOCKER: Option<Runtime> = Some(Runtime::Docker);

#[test]
fn systemd_drivers() {
    let burstable = Some(("UID", Qos::Burstable));
    let slice = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podU_ID.slice";
    check(&format!("{slice}/cri-containerd-HASH.scope"), &[("HASH", CONTAINERD, burstable)]);
    check(&format!("{slice}/crio-HASH.scope"), &[("HASH", CRIO, burstable)]);
    check(&format!("{slice}/crio-HASH.scope/container"), &[("HASH", CRIO, burstable)]);
    check(&format!("{slice}/docker-HASH.scope"), &[("HASH", DOCKER, burstable)]);
    check(&format!("{slice}/crun-HASH.scope"), &[("HASH", None, burstable)]);
    check(
        &format!("{slice}/cri-containerd-HASH.scope/system.slice/x.service"),
        &[("HASH", CONTAINERD, burstable)],
    );
    check(
        "/kubepods.slice/kubepods-podU_ID.slice/cri-containerd-HASH.scope",
        &[("HASH", CONTAINERD, Some(("UID", Qos::Guaranteed)))],
    );
    check(
        "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/kubelet-kubepods-besteffort-podSTATIC.slice/cri-containerd-HASH.scope",
        &[("HASH", CONTAINERD, Some(("STATIC", Qos::BestEffort)))],
    );
}

#[test]
fn directories() {
    check("/kubepods/burstable/podUID/HASH", &[("HASH", None, Some(("UID", Qos::Burstable)))]);
    check("/kubepods/besteffort/podUID/crio-HASH", &[("HASH", CRIO, Some(("UID", Qos::BestEffort)))]);
    check("/kubepods/podSTATIC/HASH", &[("HASH", None, Some(("STATIC", Qos::Guaranteed)))]);
    check("/kubepods/burstable/podUID/chosen", &[("chosen", None, Some(("UID", Qos::Burstable)))]);
    check("/docker/HASH", &[("HASH", DOCKER, None)]);
    check("/libpod_parent/libpod-HASH", &[("HASH", Some(Runtime::Podman), None)]);
    check("/k8s.io/intruder", &[("intruder", CONTAINERD, None)]);
    check("/default/a.b-c", &[("a.b-c", CONTAINERD, None)]);
}

#[test]
fn what_was_meant_for_systemd_and_is_a_directory() {
    let slice = "/system.slice/containerd.service/kubepods-burstable-podU_ID.slice:cri-containerd:HASH";
    check(slice, &[("HASH", CONTAINERD, Some(("UID", Qos::Burstable)))]);
    check("/system.slice:cri-containerd:HASH", &[("HASH", CONTAINERD, None)]);
    check(
        "/podruntime.slice/containerd.service/kubelet-kubepods-besteffort-podSTATIC.slice:crio:HASH",
        &[("HASH", CRIO, Some(("STATIC", Qos::BestEffort)))],
    );
}

#[test]
fn a_node_in_a_container() {
    let inner = ("OTHER", CONTAINERD, Some(("UID", Qos::Burstable)));
    let slice = "kubelet-kubepods-burstable-podU_ID.slice";
    check(
        &format!("/system.slice/docker-HASH.scope/kubelet.slice/{slice}/cri-containerd-OTHER.scope"),
        &[("HASH", DOCKER, None), inner],
    );
    check(
        "/docker/HASH/kubelet/kubepods/burstable/podUID/OTHER",
        &[("HASH", DOCKER, None), ("OTHER", None, Some(("UID", Qos::Burstable)))],
    );
}

#[test]
fn what_is_no_container() {
    for text in [
        "",
        "/",
        "/init.scope",
        "/system.slice/containerd.service",
        "/user.slice/user-0.slice/session-3.scope",
        "/user.slice/user-1000.slice/user@1000.service/app.slice/a.scope",
        "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podU_ID.slice/crio-conmon-HASH.scope",
        "/machine.slice/libpod-conmon-HASH.scope",
        "/kubepods/burstable",
        "/kubepods/burstable/podUID",
        "/kubepods/burstable/podUID/..",
        "/kubepods/burstable/podUID/-x",
        "/a/../b",
        "/system.slice/x",
        "/system.slice/docker-../../x.scope",
        "/system.slice:cri-containerd:../x",
    ] {
        check(text, &[]);
    }
}

#[test]
fn a_guess_is_not_sure() {
    let sure = |text: &str| containers(path(text).as_bytes())[0].sure;
    assert!(!sure("/default/x"));
    assert!(!sure("/podUID/x/y"));
    assert!(sure("/kubepods/podUID/x"));
    assert!(sure("/kubepods/burstable/podUID/HASH"));
}

#[test]
fn hostile_names() {
    assert_eq!(containers(&b"/kubepods/burstable/pod\xff/\xffx/y"[..]), []);
    let long = format!("/kubepods/pod{}/{}", "a".repeat(5000), "b".repeat(5000));
    assert_eq!(containers(long.as_bytes()), []);
    let deep = format!("/{HASH}").repeat(1000);
    assert_eq!(containers(deep.as_bytes()).len(), CONTAINERS_MAX);
}

proptest! {
    #[test]
    fn any_path_is_read(path in prop::collection::vec(any::<u8>(), 0..300)) {
        let _any = containers(&path);
    }

    #[test]
    fn an_id_is_one_name_of_a_path(path in "(/(kubepods|pod[a-f0-9.]{0,4}|[a-z.]{0,3}|(crun|cri-containerd)-[^/]{0,3}.scope|[a-z.]*:crio:.{0,4})){0,5}") {
        for found in containers(path.as_bytes()) {
            prop_assert!(is_id(&found.id), "{}", found.id);
            prop_assert!(found.end <= path.len());
        }
    }
}
