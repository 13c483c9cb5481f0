use std::collections::{BTreeSet, HashSet};
use std::fs;

use super::super::Scene;
use super::super::untried::UNTRIED;
use super::*;
use crate::coverage::{self, Sight, View};
use crate::model::Backend;

fn is_covered(claim: &coverage::Way) -> bool {
    claim.sight(View::Backend(Backend::Fentry)) != Sight::NotSeen
}

#[test]
fn every_covered_way_is_gone_or_has_a_reason() {
    let gone = ways().map(|way| way.id);
    let told: Vec<_> = gone.chain(UNTRIED.iter().flat_map(|(_, ids)| ids.iter().copied())).collect();
    let once: BTreeSet<_> = told.iter().copied().collect();
    assert_eq!(once.len(), told.len(), "a way is there twice");
    let covered: BTreeSet<_> =
        coverage::WAYS.iter().filter(|way| is_covered(way)).map(|way| way.id).collect();
    let differences: Vec<_> = once.symmetric_difference(&covered).collect();
    assert!(differences.is_empty(), "{differences:?}");
}

#[test]
fn ids_are_unique() {
    let ids: HashSet<_> = ways().map(|way| way.id).collect();
    assert_eq!(ids.len(), ways().count());
}

/// Each on a thread, which has namespaces and capabilities of its own. None may need what another took away.
#[test]
fn ways_can_be_gone() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("tmp")).unwrap();
    let scene = Scene::new(root.path()).unwrap();
    let before = clock::since_boot();
    // The second process would be another of these tests.
    for way in ways().filter(|way| way.second.is_none()) {
        let place = scene.place(way);
        let act = way.act;
        match std::thread::spawn(move || act(&place)).join().unwrap() {
            Ok(at) => assert!(at >= before && at <= clock::since_boot(), "{}", way.id),
            Err(error) => assert!(way.may_be_refused, "{}: {error}", way.id),
        }
    }
}
