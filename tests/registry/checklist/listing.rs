//! Items 22 and 23: pages and referrers.

use regdeploy::registry::digest::{Algorithm, Digest};
use serde_json::{Value, json};

use crate::registry::server::{OCI_INDEX, OCI_MANIFEST, Server, sha256};

/// Follows `Link` from page to page.
fn pages(server: &Server, first: &str, member: &str) -> Vec<Vec<Value>> {
    let (mut target, mut pages) = (first.to_owned(), Vec::new());
    loop {
        let answer = server.get(&target).expect(200);
        pages.push(answer.json()[member].as_array().unwrap().clone());
        let Some(next) = answer.header("link").strip_prefix('<') else {
            return pages;
        };
        let (next, rest) = next.split_once('>').unwrap();
        assert_eq!(rest, "; rel=\"next\"");
        next.clone_into(&mut target);
        assert!(pages.len() < 100, "{target}");
    }
}

#[test]
fn item_22_pages() {
    let server = Server::start();
    let (_, manifest) = server.push_image("r/all", "a00", b"layer");
    let tags: Vec<String> = (0..25)
        .map(|number| format!("{}{number:02}", ["a", "A", "_"][number % 3]))
        .collect();
    for chunk in tags.chunks(20) {
        let target = format!("all-in-one?tag={}", chunk.join("&tag="));
        server
            .put_manifest("r/all", &target, OCI_MANIFEST, &manifest)
            .expect(201);
    }
    for name in ["r", "r/b", "r-c", "s"] {
        server.push_blob(name, b"x");
    }
    let mut expected: Vec<&str> = tags.iter().map(String::as_str).chain(["all-in-one"]).collect();
    expected.sort_unstable();
    for count in [1, 7, 26, 27] {
        let pages = pages(&server, &format!("/v2/r/all/tags/list?n={count}"), "tags");
        assert!(pages.iter().all(|page| page.len() <= count));
        assert_eq!(pages.concat(), expected, "{count}");
        assert_eq!(pages.len(), 26_usize.div_ceil(count), "no page is empty: {count}");
    }
    let repositories = pages(&server, "/v2/_catalog?n=2", "repositories");
    assert_eq!(repositories.concat(), ["r", "r-c", "r/all", "r/b", "s"]);
    assert_eq!(repositories.len(), 3);
    for target in ["/v2/r/all/tags/list", "/v2/_catalog"] {
        let member = if target.contains("tags") {
            "tags"
        } else {
            "repositories"
        };
        let all = server.get(target).expect(200).json()[member].clone();
        let none = server.get(&format!("{target}?n=0")).expect(200);
        assert_eq!(
            (none.json()[member].clone(), none.header("link")),
            (json!([]), "")
        );
        for huge in ["999999", "99999999999999999999999", "18446744073709551615"] {
            assert_eq!(
                server.get(&format!("{target}?n={huge}")).expect(200).json()[member],
                all
            );
        }
        // What is not there has a place in the order all the same.
        let last = server.get(&format!("{target}?last=zzz")).expect(200);
        assert_eq!(last.json()[member], json!([]));
        assert_eq!(
            server.get(&format!("{target}?n=&last=")).expect(200).json()[member],
            all
        );
        for bad in ["-1", "x", "1.5", "+1"] {
            server
                .get(&format!("{target}?n={}", bad.replace('+', "%2B")))
                .expect(400);
        }
    }
}

#[test]
fn item_23_pages_of_referrers() {
    let server = Server::start();
    let (subject, _) = server.push_image("a", "v1", b"layer");
    let refer = |number: usize, artifact_type: &str, padding: usize| {
        let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [], "artifactType": artifact_type,
            "subject": {"mediaType": OCI_MANIFEST, "digest": subject, "size": 1},
            "annotations": {"number": number.to_string(), "padding": "x".repeat(padding)}})
        .to_string();
        server
            .put_manifest("a", &sha256(index.as_bytes()), OCI_INDEX, &index)
            .expect(201);
    };
    for number in 0..9 {
        refer(number, ["one/x", "two/x+y"][number % 2], 0);
    }
    let target = format!("/v2/a/referrers/{subject}");
    let all = pages(&server, &format!("{target}?n=2"), "manifests");
    assert_eq!((all.len(), all.concat().len()), (5, 9));
    let mut numbers: Vec<String> = all
        .concat()
        .iter()
        .map(|one| one["annotations"]["number"].to_string())
        .collect();
    numbers.sort();
    numbers.dedup();
    assert_eq!(numbers.len(), 9);
    // The filter goes along.
    let filtered = pages(
        &server,
        &format!("{target}?artifactType=two%2Fx%2By&n=3"),
        "manifests",
    );
    assert_eq!((filtered.len(), filtered.concat().len()), (2, 4));
    assert!(
        filtered
            .concat()
            .iter()
            .all(|one| one["artifactType"] == "two/x+y")
    );
    let none = server.get(&format!("{target}?artifactType=no%2Fone")).expect(200);
    assert_eq!(
        (
            none.json()["manifests"].clone(),
            none.header("oci-filters-applied")
        ),
        (json!([]), "artifactType")
    );
    let empty = server.get(&format!("{target}?artifactType=")).expect(200);
    assert_eq!(
        (
            empty.json()["manifests"].as_array().unwrap().len(),
            empty.header("oci-filters-applied")
        ),
        (9, "")
    );

    // What clients refuse to read is never sent in one.
    for number in 9..12 {
        refer(number, "big/x", 1 << 21);
    }
    let all = pages(&server, &target, "manifests");
    assert_eq!(all.concat().len(), 12);
    let sizes: Vec<usize> = all
        .iter()
        .map(|page| Value::from(page.clone()).to_string().len())
        .collect();
    assert!(
        sizes.iter().all(|size| *size < 4 << 20) && sizes.len() == 3,
        "{sizes:?}"
    );
    server.head(&target).expect(200);
}

#[test]
fn item_23_artifact_types() {
    let server = Server::start();
    let (subject, _) = server.push_image("a", "v1", b"layer");
    let reference = json!({"mediaType": OCI_MANIFEST, "digest": subject, "size": 1});
    let empty = "application/vnd.oci.empty.v1+json";
    let config = |media_type: &str| json!({"mediaType": media_type, "digest": sha256(b"{}"), "size": 2});
    for (name, mut document, expected) in [
        (
            "its own",
            json!({"config": config("conf/x"), "layers": [], "artifactType": "own/x"}),
            json!("own/x"),
        ),
        (
            "its config's",
            json!({"config": config("conf/x"), "layers": []}),
            json!("conf/x"),
        ),
        (
            "an empty one of its own",
            json!({"config": config("conf/x"), "layers": [], "artifactType": ""}),
            json!("conf/x"),
        ),
        (
            "the empty config and its own",
            json!({"config": config(empty), "layers": [], "artifactType": "own/y"}),
            json!("own/y"),
        ),
        (
            "the empty config",
            json!({"config": config(empty), "layers": []}),
            json!(empty),
        ),
        (
            "an index with one",
            json!({"manifests": [], "artifactType": "own/z"}),
            json!("own/z"),
        ),
        ("an index without", json!({"manifests": []}), Value::Null),
    ] {
        let media_type = if document["manifests"].is_array() {
            OCI_INDEX
        } else {
            OCI_MANIFEST
        };
        document["schemaVersion"] = json!(2);
        document["mediaType"] = json!(media_type);
        document["subject"] = reference.clone();
        document["annotations"] = json!({"name": name});
        let text = document.to_string();
        let digest = sha256(text.as_bytes());
        let pushed = server.put_manifest("a", &digest, media_type, &text).expect(201);
        assert_eq!(pushed.header("oci-subject"), subject);
        let listed = server
            .get(&format!("/v2/a/referrers/{subject}"))
            .expect(200)
            .json();
        let listed = listed["manifests"]
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["digest"] == digest.as_str());
        let listed = listed.unwrap_or_else(|| panic!("{name} is not listed"));
        assert_eq!(listed["artifactType"], expected, "{name}");
        assert_eq!(listed["annotations"], document["annotations"]);
        assert_eq!(
            (&listed["size"], &listed["mediaType"]),
            (&json!(text.len()), &json!(media_type))
        );
    }
}

/// The list that a client keeps under a tag and the one that the registry makes are one.
#[test]
fn item_23_fallback_tags_of_both_algorithms() {
    let server = Server::start();
    let (_, manifest) = server.push_image("a", "v1", b"layer");
    let (listed, other) = server.push_image("a", "v2", b"other");
    for algorithm in Algorithm::ALL {
        let subject = Digest::of(algorithm, manifest.as_bytes());
        server
            .put_manifest("a", subject.as_str(), OCI_MANIFEST, &manifest)
            .expect(201);
        let referring = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [],
            "subject": {"mediaType": OCI_MANIFEST, "digest": subject.as_str(), "size": manifest.len()}})
        .to_string();
        let referring_digest = sha256(referring.as_bytes());
        server
            .put_manifest("a", &referring_digest, OCI_INDEX, &referring)
            .expect(201);
        let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [
            {"mediaType": OCI_MANIFEST, "digest": listed, "size": other.len()},
            {"mediaType": OCI_INDEX, "digest": referring_digest, "size": referring.len()}]});
        let tag = format!("{}-{}", algorithm.name(), &subject.hex()[..64]);
        server
            .put_manifest("a", &tag, OCI_INDEX, &index.to_string())
            .expect(201);
        let found = server
            .get(&format!("/v2/a/referrers/{subject}"))
            .expect(200)
            .json();
        let mut digests: Vec<&Value> = found["manifests"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| &one["digest"])
            .collect();
        digests.sort_by(|one, other| one.as_str().cmp(&other.as_str()));
        let mut expected = [json!(listed), json!(referring_digest)];
        expected.sort_by(|one, other| one.as_str().cmp(&other.as_str()));
        assert_eq!(
            digests,
            expected.iter().collect::<Vec<_>>(),
            "each once, by {}",
            algorithm.name()
        );
    }
}
