//! Every kind of manifest: pushed, listed, pulled, referred to, deleted.

use regdeploy::registry::digest::Algorithm;
use serde_json::{Value, json};

use super::{REPOSITORY, Way, bytes, delete_blob, digest, push};
use crate::registry::server::{OCI_INDEX, OCI_MANIFEST, Server};

const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
const EXAMPLE: &str = "application/vnd.example.oci.conformance.v1";
const ANOTHER: &str = "application/vnd.example.oci.conformance.v2";

/// Content as it is pushed: blobs, then manifests, then tags.
struct Data {
    algorithm: Algorithm,
    blobs: Vec<Vec<u8>>,
    manifests: Vec<String>,
    /// With the number of their manifest.
    tags: Vec<(&'static str, usize)>,
    /// Tags go with the manifest instead of after it.
    tag_parameters: bool,
}

impl Data {
    fn new(algorithm: Algorithm) -> Self {
        Self {
            algorithm,
            blobs: Vec::new(),
            manifests: Vec::new(),
            tags: Vec::new(),
            tag_parameters: false,
        }
    }

    fn tag(&mut self, tag: &'static str, number: usize) {
        self.tags.push((tag, number));
    }

    fn blob(&mut self, media_type: &str, content: &[u8]) -> Value {
        self.blobs.push(content.to_vec());
        json!({"mediaType": media_type, "digest": digest(self.algorithm, content), "size": content.len()})
    }

    fn layer(&mut self, name: &str) -> Value {
        self.blob(LAYER, &bytes(name, 1024))
    }

    fn manifest(&mut self, media_type: &str, document: &Value) -> usize {
        let mut whole = json!({"schemaVersion": 2, "mediaType": media_type});
        let members = whole.as_object_mut().unwrap();
        members.extend(document.as_object().unwrap().clone());
        self.manifests.push(whole.to_string());
        self.manifests.len() - 1
    }

    fn image(&mut self, name: &str, layers: &[Value], more: &Value) -> usize {
        let config = self.blob(CONFIG, format!(r#"{{"name":"{name}"}}"#).as_bytes());
        let mut document = json!({"config": config, "layers": layers});
        let members = document.as_object_mut().unwrap();
        members.extend(more.as_object().unwrap().clone());
        self.manifest(OCI_MANIFEST, &document)
    }

    fn artifact(&mut self, name: &str, more: &Value) -> usize {
        let config = self.blob(EMPTY, b"{}");
        let layer = self.blob(EXAMPLE, &bytes(name, 300));
        let mut document = json!({"config": config, "layers": [layer]});
        let members = document.as_object_mut().unwrap();
        members.extend(more.as_object().unwrap().clone());
        self.manifest(OCI_MANIFEST, &document)
    }

    fn descriptor(&self, number: usize) -> Value {
        let text = &self.manifests[number];
        let document: Value = serde_json::from_str(text).unwrap();
        json!({"mediaType": document["mediaType"], "digest": self.digest(number), "size": text.len()})
    }

    fn digest(&self, number: usize) -> String {
        digest(self.algorithm, self.manifests[number].as_bytes())
    }

    fn index(&mut self, members: &[usize], more: &Value) -> usize {
        let listed: Vec<Value> = members.iter().map(|number| self.descriptor(*number)).collect();
        let mut document = json!({"manifests": listed});
        let map = document.as_object_mut().unwrap();
        map.extend(more.as_object().unwrap().clone());
        self.manifest(OCI_INDEX, &document)
    }

    fn two_platforms(&mut self, name: &str) -> [usize; 2] {
        ["amd64", "arm64"].map(|platform| {
            let layer = self.layer(&format!("{name} {platform}"));
            self.image(&format!("{name} {platform}"), &[layer], &json!({}))
        })
    }
}

/// Pushes, lists, pulls, asks who refers to what, and deletes, as the suite does for each kind of data.
fn check(server: &Server, name: &str, build: impl Fn(&mut Data)) {
    for algorithm in Algorithm::ALL {
        let mut data = Data::new(algorithm);
        build(&mut data);
        let at = |reference: &str| format!("/v2/{REPOSITORY}/manifests/{reference}");
        for content in &data.blobs {
            push(server, Way::Post, content, &digest(algorithm, content)).expect(201);
        }
        for (number, manifest) in data.manifests.iter().enumerate() {
            push_manifest(server, &data, number, manifest);
        }
        for (tag, number) in &data.tags {
            if !data.tag_parameters && algorithm == Algorithm::Sha256 {
                let media_type = media_type(&data.manifests[*number]);
                server
                    .send(
                        "PUT",
                        &at(tag),
                        &[("content-type", &media_type)],
                        data.manifests[*number].clone(),
                    )
                    .expect(201);
            }
        }
        let tagged = data.tag_parameters || algorithm == Algorithm::Sha256;
        check_tags(server, &data, tagged);
        let tags = data.tags.iter().filter(|_| tagged);
        let by_tag = tags.map(|(tag, number)| ((*tag).to_owned(), *number));
        let by_digest = (0..data.manifests.len()).map(|number| (data.digest(number), number));
        for (reference, number) in by_tag.chain(by_digest) {
            let manifest = &data.manifests[number];
            for method in ["HEAD", "GET"] {
                let accept = [("accept", OCI_INDEX), ("accept", OCI_MANIFEST)];
                let answer = server.send(method, &at(&reference), &accept, "").expect(200);
                assert_eq!(answer.header("content-type"), media_type(manifest), "{name}");
                assert_eq!(answer.header("content-length"), manifest.len().to_string());
                assert_eq!(answer.header("docker-content-digest"), data.digest(number));
                let expected = if method == "GET" { manifest.as_str() } else { "" };
                assert!(answer.body == expected, "{name}: {method} {reference}");
            }
        }
        check_referrers(server, &data);

        for (tag, _) in data.tags.iter().filter(|_| tagged) {
            server.send("DELETE", &at(tag), &[], "").expect(202);
            server.head(&at(tag)).expect(404);
        }
        for number in (0..data.manifests.len()).rev() {
            let target = at(&data.digest(number));
            server.send("DELETE", &target, &[], "").expect(202);
            server.head(&target).expect(404);
        }
        let mut blobs: Vec<_> = data.blobs.iter().map(|blob| digest(algorithm, blob)).collect();
        blobs.sort();
        blobs.dedup();
        for digest in blobs {
            delete_blob(server, REPOSITORY, &digest);
        }
    }
}

fn media_type(manifest: &str) -> String {
    let document: Value = serde_json::from_str(manifest).unwrap();
    document["mediaType"].as_str().unwrap().to_owned()
}

fn push_manifest(server: &Server, data: &Data, number: usize, manifest: &str) {
    let digest = data.digest(number);
    let mine = data.tags.iter().filter(|(_, of)| *of == number);
    let tags: Vec<&str> = mine.map(|(tag, _)| *tag).collect();
    let mut target = format!("/v2/{REPOSITORY}/manifests/{digest}");
    if data.tag_parameters && !tags.is_empty() {
        target = format!("{target}?tag={}", tags.join("&tag="));
    }
    let media_type = media_type(manifest);
    let headers = [("content-type", media_type.as_str())];
    let answer = server
        .send("PUT", &target, &headers, manifest.to_owned())
        .expect(201);
    assert_eq!(answer.header("docker-content-digest"), digest);
    let document: Value = serde_json::from_str(manifest).unwrap();
    let subject = document["subject"]["digest"].as_str().unwrap_or("");
    assert_eq!(answer.header("oci-subject"), subject);
    let confirmed: Vec<_> = answer.headers.get_all("oci-tag").iter().collect();
    if data.tag_parameters {
        assert_eq!(confirmed, tags);
    }
    let pulled = server.get(answer.header("location")).expect(200);
    assert!(pulled.body == *manifest);
}

fn check_tags(server: &Server, data: &Data, tagged: bool) {
    let list = |query: &str| {
        let answer = server
            .get(&format!("/v2/{REPOSITORY}/tags/list{query}"))
            .expect(200);
        let tags = answer.json()["tags"].as_array().unwrap().clone();
        let text = |tag: Value| tag.as_str().unwrap().to_owned();
        tags.into_iter().map(text).collect::<Vec<String>>()
    };
    let mut expected: Vec<&str> = data.tags.iter().map(|(tag, _)| *tag).collect();
    expected.sort_unstable();
    if !tagged {
        expected.clear();
    }
    assert_eq!(list(""), expected);
    if expected.len() >= 2 {
        let (before, after) = expected.split_at(expected.len() / 2);
        assert_eq!(list(&format!("?last={}", before.last().unwrap())), after);
    }
}

fn check_referrers(server: &Server, data: &Data) {
    let mut subjects: Vec<String> = Vec::new();
    for number in 0..data.manifests.len() {
        subjects.push(data.digest(number));
        let document: Value = serde_json::from_str(&data.manifests[number]).unwrap();
        subjects.extend(document["subject"]["digest"].as_str().map(str::to_owned));
    }
    for subject in subjects {
        let goal: Vec<Value> = (0..data.manifests.len())
            .filter_map(|number| {
                let document: Value = serde_json::from_str(&data.manifests[number]).unwrap();
                (document["subject"]["digest"] == subject.as_str()).then(|| {
                    let mut descriptor = data.descriptor(number);
                    let of_config = &document["config"]["mediaType"];
                    for (member, value) in [
                        ("artifactType", &document["artifactType"]),
                        ("annotations", &document["annotations"]),
                    ] {
                        if !value.is_null() {
                            descriptor[member] = value.clone();
                        } else if member == "artifactType" && !of_config.is_null() {
                            descriptor[member] = of_config.clone();
                        }
                    }
                    descriptor
                })
            })
            .collect();
        let list = |query: &str| {
            let target = format!("/v2/{REPOSITORY}/referrers/{subject}{query}");
            let answer = server.get(&target).expect(200);
            assert_eq!(answer.header("content-type"), OCI_INDEX);
            let index = answer.json();
            assert_eq!(
                (&index["schemaVersion"], &index["mediaType"]),
                (&json!(2), &json!(OCI_INDEX))
            );
            let filters = answer.header("oci-filters-applied").to_owned();
            (index["manifests"].as_array().unwrap().clone(), filters)
        };
        let (listed, _) = list("");
        assert_eq!(listed.len(), goal.len(), "{listed:?}");
        for descriptor in &goal {
            assert!(listed.contains(descriptor), "{descriptor} is not in {listed:?}");
            let Some(wanted) = descriptor["artifactType"].as_str() else {
                continue;
            };
            let (found, filters) = list(&format!("?artifactType={}", wanted.replace('+', "%2B")));
            assert_eq!(filters, "artifactType");
            assert!(found.contains(descriptor) && found.iter().all(|other| other["artifactType"] == wanted));
        }
    }
}

#[test]
fn images() {
    let server = Server::start();
    check(&server, "image", |data| {
        let layers = [data.layer("one"), data.layer("two"), data.layer("three")];
        data.image("image", &layers, &json!({}));
        data.tag("image", 0);
    });
    check(&server, "large manifest", |data| {
        let annotations: serde_json::Map<String, Value> = (0..390)
            .map(|number| (format!("large-annotation-{number}"), "A".repeat(10_000).into()))
            .collect();
        data.image("large", &[], &json!({"annotations": annotations}));
        data.tag("large-manifest", 0);
    });
    check(
        &server,
        "data field, unknown fields, layers from elsewhere",
        |data| {
            let mut layer = data.blob(EXAMPLE, b"inline");
            layer["data"] = "aW5saW5l".into();
            let elsewhere = json!({"mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
            "digest": digest(data.algorithm, b"elsewhere"), "size": 123_456,
            "urls": ["https://store.example.com/blob"]});
            data.image(
                "odd",
                &[layer, elsewhere],
                &json!({"org.example.field": {"deep": [1, null]}}),
            );
            data.tag("odd", 0);
        },
    );
}

#[test]
fn indexes() {
    let server = Server::start();
    check(&server, "index", |data| {
        let members = data.two_platforms("index");
        data.index(&members, &json!({}));
        data.tag("index", 2);
    });
    check(&server, "index of indexes", |data| {
        let first = data.two_platforms("first");
        let first = data.index(&first, &json!({}));
        let second = data.two_platforms("second");
        let second = data.index(&second, &json!({"annotations": {"second": "yes"}}));
        data.index(&[first, second], &json!({}));
        data.tag("index-of-index", 6);
    });
    check(&server, "empty index", |data| {
        data.index(&[], &json!({}));
        data.tag("index", 0);
    });
    check(&server, "tag parameters", |data| {
        let members = data.two_platforms("parameters");
        data.index(&members, &json!({}));
        data.tag_parameters = true;
        for (tag, number) in [("param-0", 0), ("param-1", 1), ("param-2", 2), ("param", 2)] {
            data.tag(tag, number);
        }
    });
}

#[test]
fn artifacts_and_their_subjects() {
    let server = Server::start();
    check(&server, "artifacts", |data| {
        data.artifact("artifact", &json!({"artifactType": EXAMPLE}));
        let empty = data.blob(EMPTY, b"{}");
        let bare = json!({"config": empty, "layers": [empty], "artifactType": EXAMPLE});
        data.manifest(OCI_MANIFEST, &bare);
        data.index(&[0, 1], &json!({"artifactType": EXAMPLE}));
        for (tag, number) in [("artifact", 0), ("without-layers", 1), ("artifact-index", 2)] {
            data.tag(tag, number);
        }
    });
    check(&server, "artifacts with a subject", |data| {
        data.image("subject", &[], &json!({}));
        let subject = data.descriptor(0);
        data.image("plain", &[], &json!({"subject": subject}));
        for (artifact_type, tag) in [(EXAMPLE, "tagged-artifact1"), (ANOTHER, "tagged-artifact2")] {
            let more = json!({"artifactType": artifact_type, "subject": subject,
                "annotations": {"org.opencontainers.conformance": "hello", "unique": tag}});
            let number = data.artifact(tag, &more);
            data.tag(tag, number);
        }
    });
    check(
        &server,
        "an index with a subject, and a subject that is missing",
        |data| {
            data.index(&[], &json!({}));
            let subject = data.descriptor(0);
            data.index(
                &[],
                &json!({"artifactType": EXAMPLE, "subject": subject, "annotations": {"a": "b"}}),
            );
            data.index(&[], &json!({"subject": subject}));
            let missing = json!({"mediaType": OCI_MANIFEST, "size": 123,
            "digest": digest(data.algorithm, b"missing content")});
            data.artifact("orphan", &json!({"artifactType": EXAMPLE, "subject": missing}));
            data.tag("tagged-artifact", 3);
        },
    );
}

#[test]
fn manifests_that_are_refused() {
    let server = Server::start();
    let at = |reference: &str| format!("/v2/{REPOSITORY}/manifests/{reference}");
    server
        .get(&format!(
            "/v2/{REPOSITORY}/referrers/{}",
            digest(Algorithm::Sha256, b"x")
        ))
        .expect(200);
    server.get(&format!("/v2/{REPOSITORY}/tags/list")).expect(404);
    for algorithm in Algorithm::ALL {
        let mut data = Data::new(algorithm);
        let layer = data.layer("layer");
        data.image("refused", &[layer], &json!({}));
        for content in &data.blobs {
            push(&server, Way::Post, content, &digest(algorithm, content)).expect(201);
        }
        let put = |reference: &str, manifest: &str| {
            let headers = [("content-type", OCI_MANIFEST)];
            server.send("PUT", &at(reference), &headers, manifest.to_owned())
        };
        let manifest = &data.manifests[0];
        let refused = put(&data.digest(0), &format!("{manifest}  ")).expect(400);
        assert_eq!(refused.code(), "DIGEST_INVALID");
        let bad = format!("{}:baddigeststring", algorithm.name());
        put(&bad, manifest).expect(400);
        server.get(&at(&bad)).expect(400);
        server.get(&at(&digest(algorithm, b"missing"))).expect(404);
        // The suite leaves a sparse manifest to the registry: this one takes none.
        delete_blob(&server, REPOSITORY, &digest(algorithm, &data.blobs[0]));
        let sparse = put(&data.digest(0), manifest).expect(400);
        assert_eq!(sparse.code(), "MANIFEST_BLOB_UNKNOWN");
    }
    server.get(&at("missing")).expect(404);
}
