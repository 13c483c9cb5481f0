//! An OCI image layout with one image of one layer, as an archive.
//! <https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md>

use std::collections::BTreeMap;
use std::env::consts::ARCH;

use anyhow::Result;
use serde_json::{Value, json};

use crate::archive::{Entry, gzip, sha256, tar};

pub type Labels = BTreeMap<String, String>;

/// Under this name `ctr image import` enters it.
const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// The archive of an image that holds one program and starts it.
pub fn archive(name: &str, program: Vec<u8>, labels: &Labels, time: u64) -> Result<Vec<u8>> {
    let layer = tar(vec![Entry::program("bypassd", program)], time)?;
    let mut blobs = Blobs::default();
    let platform = json!({"os": "linux", "architecture": architecture()});
    let config = json!({
        "os": platform["os"],
        "architecture": platform["architecture"],
        "config": {
            "User": "0:0",
            "Env": ["PATH=/"],
            "Entrypoint": ["/bypassd"],
            "Cmd": ["run"],
            "WorkingDir": "/",
            "Labels": labels,
        },
        "rootfs": {"type": "layers", "diff_ids": [digest(&layer)]},
    });
    let config = blobs.add_json("config", &config);
    let layer = blobs.add("application/vnd.oci.image.layer.v1.tar+gzip", gzip(&layer)?);
    let manifest = blobs.add_json(
        "manifest",
        &json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": config,
            "layers": [layer],
            "annotations": labels,
        }),
    );
    let mut listed = manifest;
    listed["platform"] = platform;
    listed["annotations"] = json!({
        CONTAINERD_NAME: name,
        "org.opencontainers.image.ref.name": name.rsplit_once(':').map_or(name, |(_, tag)| tag),
    });
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [listed],
    });
    let mut entries = blobs.0;
    entries.push(Entry::new("index.json", index.to_string()));
    entries.push(Entry::new("oci-layout", json!({"imageLayoutVersion": "1.0.0"}).to_string()));
    tar(entries, time)
}

/// As Go calls it.
fn architecture() -> &'static str {
    match ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", sha256(bytes))
}

/// What the layout holds, by its hash.
#[derive(Default)]
struct Blobs(Vec<Entry>);

impl Blobs {
    /// Returns how others refer to it.
    fn add(&mut self, media_type: &str, data: Vec<u8>) -> Value {
        let descriptor = json!({"mediaType": media_type, "digest": digest(&data), "size": data.len()});
        self.0.push(Entry::new(format!("blobs/sha256/{}", sha256(&data)), data));
        descriptor
    }

    fn add_json(&mut self, kind: &str, value: &Value) -> Value {
        self.add(&format!("application/vnd.oci.image.{kind}.v1+json"), value.to_string().into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn image() -> Vec<u8> {
        let labels = [("org.opencontainers.image.title".to_owned(), "bypassd".to_owned())].into();
        archive("localhost/bypassd:1.2.3", b"the program".to_vec(), &labels, 9).unwrap()
    }

    /// Its files by name.
    fn files(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        for entry in tar::Archive::new(archive).entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut data = Vec::new();
            entry.read_to_end(&mut data).unwrap();
            files.insert(entry.path().unwrap().display().to_string(), data);
        }
        files
    }

    /// What a descriptor refers to, which has to be as it says.
    fn blob(files: &BTreeMap<String, Vec<u8>>, descriptor: &Value) -> Vec<u8> {
        let digest = descriptor["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
        let data = &files[&format!("blobs/sha256/{digest}")];
        assert_eq!((sha256(data).as_str(), json!(data.len())), (digest, descriptor["size"].clone()));
        data.clone()
    }

    #[test]
    fn two_are_the_same() {
        assert_eq!(image(), image());
    }

    #[test]
    fn every_part_is_there_and_as_it_is_said() {
        let files = files(&image());
        let json = |data: &[u8]| serde_json::from_slice::<Value>(data).unwrap();
        assert_eq!(json(&files["oci-layout"])["imageLayoutVersion"], "1.0.0");
        let index = json(&files["index.json"]);
        assert_eq!(index["manifests"][0]["annotations"][CONTAINERD_NAME], "localhost/bypassd:1.2.3");
        assert_eq!(index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"], "1.2.3");
        let manifest = json(&blob(&files, &index["manifests"][0]));
        assert_eq!(manifest["mediaType"], index["manifests"][0]["mediaType"]);
        let config = json(&blob(&files, &manifest["config"]));
        assert_eq!(config["config"]["Entrypoint"], json!(["/bypassd"]));
        assert_eq!(config["config"]["Cmd"], json!(["run"]));
        assert_eq!(config["config"]["Labels"]["org.opencontainers.image.title"], "bypassd");
        let zipped = blob(&files, &manifest["layers"][0]);
        let mut layer = Vec::new();
        flate2::read::GzDecoder::new(zipped.as_slice()).read_to_end(&mut layer).unwrap();
        assert_eq!(config["rootfs"]["diff_ids"], json!([digest(&layer)]));
        assert_eq!(self::files(&layer), [("bypassd".to_owned(), b"the program".to_vec())].into());
        // Three blobs, the index and the version: nothing else.
        assert_eq!(files.len(), 5);
    }
}
