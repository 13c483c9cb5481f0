//! What the daemon is made of, as CycloneDX 1.6: <https://cyclonedx.org/docs/1.6/json/>. Without a time and a serial number, so that
//! it is the same at every run.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::{cargo, command, paths};

/// The daemon and, inside it, the kernel programs.
const PARTS: [&str; 2] = ["monitor", "monitor-ebpf"];

/// Name and version.
type Package = (String, String);

/// The document, about a daemon with this hash.
pub fn of(sha256: &str) -> Result<Vec<u8>> {
    let lock = paths::root().join("Cargo.lock");
    let lock = std::fs::read_to_string(&lock).with_context(|| format!("cannot read {}", lock.display()))?;
    let metadata = command::output_bytes(cargo::host().args(["metadata", "--locked", "--format-version=1"]))?;
    let metadata = serde_json::from_slice(&metadata).context("cargo metadata wrote no JSON")?;
    let mut used = used(&paths::host_triple(), PARTS[0])?;
    used.extend(self::used("bpfel-unknown-none", PARTS[1])?);
    let document = document(sha256, &metadata, &checksums(&lock), &used);
    Ok(format!("{document:#}\n").into_bytes())
}

/// What is linked into a part: not what builds it, nor what only tests need. `cargo metadata` alone cannot say which features the others
/// of the workspace add.
fn used(target: &str, part: &str) -> Result<BTreeSet<Package>> {
    let mut tree = cargo::host();
    tree.args(["tree", "--locked", "--quiet", "--package", part, "--target", target]);
    tree.args(["--edges=normal,no-proc-macro", "--prefix=none", "--no-dedupe", "--format={p}"]);
    let text = command::output(&mut tree)?;
    let package = |line: &str| {
        let mut words = line.split(' ');
        Some((words.next()?.to_owned(), words.next()?.strip_prefix('v')?.to_owned()))
    };
    Ok(text.lines().filter_map(package).collect())
}

/// By name and version, from the lock file.
fn checksums(lock: &str) -> BTreeMap<Package, String> {
    let mut checksums = BTreeMap::new();
    for block in lock.split("[[package]]").skip(1) {
        let value = |key: &str| {
            let value = block.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "));
            Some(value?.trim_matches('"').to_owned())
        };
        if let (Some(name), Some(version), Some(checksum)) =
            (value("name"), value("version"), value("checksum"))
        {
            checksums.insert((name, version), checksum);
        }
    }
    checksums
}

fn document(
    sha256: &str,
    metadata: &Value,
    checksums: &BTreeMap<Package, String>,
    used: &BTreeSet<Package>,
) -> Value {
    let packages = metadata["packages"].as_array().map_or(&[][..], Vec::as_slice);
    let used: BTreeMap<&str, &Value> = packages
        .iter()
        .filter(|package| used.contains(&key(package)))
        .filter_map(|package| Some((package["id"].as_str()?, package)))
        .collect();
    let is_part = |package: &Value| PARTS.iter().any(|part| package["name"] == *part);
    let mut components: Vec<_> = used.values().copied().filter(|package| !is_part(package)).collect();
    components.sort_by_key(|package| reference(package));
    let components: Vec<_> = components.into_iter().map(|package| component(package, checksums)).collect();
    let program = used.values().find(|package| package["name"] == PARTS[0]).copied().unwrap_or(&Value::Null);
    json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": PROGRAM,
                "name": PROGRAM,
                "version": program["version"],
                "description": program["description"],
                "licenses": licenses(program),
                "hashes": [{"alg": "SHA-256", "content": sha256}],
            },
        },
        "components": components,
        "dependencies": dependencies(metadata, &used),
    })
}

/// The daemon and its parts, as one.
const PROGRAM: &str = "bypassd";

fn component(package: &Value, checksums: &BTreeMap<Package, String>) -> Value {
    let reference = reference(package);
    let mut component = json!({
        "type": "library",
        "bom-ref": reference,
        "name": package["name"],
        "version": package["version"],
        "purl": reference,
        "licenses": licenses(package),
    });
    if let Some(checksum) = checksums.get(&key(package)) {
        component["hashes"] = json!([{"alg": "SHA-256", "content": checksum}]);
    }
    if let Some(repository) = package["repository"].as_str() {
        component["externalReferences"] = json!([{"type": "vcs", "url": repository}]);
    }
    component
}

/// Older packages write a slash where the expression has OR.
fn licenses(package: &Value) -> Value {
    match package["license"].as_str() {
        Some(license) => json!([{"expression": license.replace('/', " OR ").replace("  ", " ")}]),
        None => json!([]),
    }
}

/// Who uses whom, of what is used.
fn dependencies(metadata: &Value, used: &BTreeMap<&str, &Value>) -> Vec<Value> {
    let name = |id: &Value| used.get(id.as_str()?).map(|package| reference(package));
    let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for node in metadata["resolve"]["nodes"].as_array().into_iter().flatten() {
        let Some(from) = name(&node["id"]) else { continue };
        let to = node["deps"].as_array().into_iter().flatten().filter(|dependency| is_linked(dependency));
        let to = to.filter_map(|dependency| name(&dependency["pkg"])).filter(|to| *to != from);
        graph.entry(from.clone()).or_default().extend(to);
    }
    graph.into_iter().map(|(from, to)| json!({"ref": from, "dependsOn": to})).collect()
}

/// Neither a dependency of tests nor of a build alone.
fn is_linked(dependency: &Value) -> bool {
    dependency["dep_kinds"].as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind["kind"].is_null()))
}

/// <https://github.com/package-url/purl-spec>
fn reference(package: &Value) -> String {
    let (name, version) = key(package);
    if PARTS.contains(&name.as_str()) { PROGRAM.to_owned() } else { format!("pkg:cargo/{name}@{version}") }
}

fn key(package: &Value) -> Package {
    let text = |key: &str| package[key].as_str().unwrap_or_default().to_owned();
    (text("name"), text("version"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_linked_is_listed() {
        let package = |name: &str, license: &str| json!({"id": format!("{name} id"), "name": name, "version": "1.0.0", "license": license});
        let edge =
            |name: &str, kind: Value| json!({"pkg": format!("{name} id"), "dep_kinds": [{"kind": kind}]});
        let metadata = json!({
            "packages": [package("z", "MIT/Apache-2.0"), package("a", "MIT"), package("proptest", "MIT"), package("monitor", "MIT")],
            "resolve": {"nodes": [
                {"id": "monitor id", "deps": [edge("z", Value::Null), edge("a", json!("build")), edge("proptest", json!("dev"))]},
                {"id": "z id", "deps": [edge("a", Value::Null)]},
                {"id": "a id", "deps": []},
                {"id": "proptest id", "deps": []},
            ]},
        });
        let checksums =
            checksums("version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nchecksum = \"07\"\n");
        let used = ["monitor", "a", "z"].map(|name| (name.to_owned(), "1.0.0".to_owned())).into();
        let document = document("ff", &metadata, &checksums, &used);
        let names: Vec<_> =
            document["components"].as_array().unwrap().iter().map(|part| &part["purl"]).collect();
        assert_eq!(names, ["pkg:cargo/a@1.0.0", "pkg:cargo/z@1.0.0"]);
        assert_eq!(document["components"][0]["hashes"], json!([{"alg": "SHA-256", "content": "07"}]));
        assert_eq!(document["components"][1]["licenses"], json!([{"expression": "MIT OR Apache-2.0"}]));
        assert_eq!(document["metadata"]["component"]["hashes"][0]["content"], "ff");
        assert_eq!(
            document["dependencies"],
            json!([
                {"ref": "bypassd", "dependsOn": ["pkg:cargo/z@1.0.0"]},
                {"ref": "pkg:cargo/a@1.0.0", "dependsOn": []},
                {"ref": "pkg:cargo/z@1.0.0", "dependsOn": ["pkg:cargo/a@1.0.0"]},
            ])
        );
    }

    #[test]
    fn this_workspace_has_one() {
        let first = of("00").unwrap();
        assert_eq!(first, of("00").unwrap());
        let document: Value = serde_json::from_slice(&first).unwrap();
        let components = document["components"].as_array().unwrap();
        let names: BTreeSet<_> = components.iter().map(|part| part["name"].as_str().unwrap()).collect();
        for name in ["aya", "aya-ebpf", "tokio"] {
            assert!(names.contains(name), "no {name} in {names:?}");
        }
        for name in ["monitor", "monitor-ebpf", "proptest", "serde_derive", "tar"] {
            assert!(!names.contains(name), "{name} in {names:?}");
        }
        // Everything has a license and, being from a registry, a hash.
        assert!(components.iter().all(|part| part["hashes"].is_array() && part["licenses"][0].is_object()));
    }
}
