//! Items 22 and 23: tags, catalog, referrers.

use serde_json::json;

use super::server::{OCI_INDEX, OCI_MANIFEST, Server, sha256};

#[test]
fn item_22_tags() {
    let server = Server::start();
    let (_, manifest) = server.push_image("a", "v1", b"layer");
    for tag in ["B", "b", "_x", "v10"] {
        server.put_manifest("a", tag, OCI_MANIFEST, &manifest).expect(201);
    }
    let tags = |query: &str| server.get(&format!("/v2/a/tags/list{query}")).expect(200);
    assert_eq!(
        tags("").json(),
        json!({"name": "a", "tags": ["B", "_x", "b", "v1", "v10"]})
    );
    let page = tags("?n=2");
    assert_eq!(page.json()["tags"], json!(["B", "_x"]));
    assert_eq!(
        page.header("link"),
        r#"</v2/a/tags/list?last=_x&n=2>; rel="next""#
    );
    let page = tags("?last=_x&n=3");
    assert_eq!(page.json()["tags"], json!(["b", "v1", "v10"]));
    assert_eq!(page.header("link"), "");
    let none = tags("?n=0");
    assert_eq!(
        (none.json()["tags"].clone(), none.header("link")),
        (json!([]), "")
    );
    assert_eq!(
        tags("?n=99999999999999999999").json()["tags"]
            .as_array()
            .unwrap()
            .len(),
        5
    );
    server.get("/v2/a/tags/list?n=x").expect(400);
}

#[test]
fn item_22_catalog() {
    let server = Server::start();
    for name in ["b", "a/x", "a-b", "a"] {
        server.push_blob(name, b"x");
    }
    assert_eq!(
        server.get("/v2/_catalog").json(),
        json!({"repositories": ["a", "a-b", "a/x", "b"]})
    );
    let page = server.get("/v2/_catalog?n=3");
    assert_eq!(
        page.header("link"),
        r#"</v2/_catalog?last=a%2Fx&n=3>; rel="next""#
    );
    assert_eq!(
        server.get("/v2/_catalog?last=a%2Fx&n=3").json()["repositories"],
        json!(["b"])
    );
}

#[test]
fn item_23_referrers() {
    let server = Server::start();
    let (subject, manifest) = server.push_image("a", "v1", b"layer");
    let target = format!("/v2/a/referrers/{subject}");
    let empty = server.get(&target).expect(200);
    assert_eq!(empty.header("content-type"), OCI_INDEX);
    assert_eq!(empty.json()["manifests"], json!([]));
    server.get("/v2/a/referrers/nonsense").expect(400);

    let refer = |extra: &str| {
        let more = format!(
            r#"{extra}"subject":{{"mediaType":"{OCI_MANIFEST}","digest":"{subject}","size":1}},"config""#
        );
        let manifest = manifest.replacen("\"config\"", &more, 1);
        let digest = sha256(manifest.as_bytes());
        server
            .put_manifest("a", &digest, OCI_MANIFEST, &manifest)
            .expect(201);
        digest
    };
    let plain = refer("");
    let signed = refer(r#""artifactType":"sig/x","annotations":{"k":"v"},"#);
    let all = server.get(&target).json();
    let mut expected = [plain.clone(), signed.clone()];
    expected.sort();
    let found: Vec<_> = all["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["digest"].clone())
        .collect();
    assert_eq!(found, expected);
    let of_plain = all["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .find(|m| m["digest"] == plain)
        .unwrap();
    assert_eq!(
        of_plain["artifactType"],
        "application/vnd.oci.image.config.v1+json"
    );

    let filtered = server.get(&format!("{target}?artifactType=sig%2Fx"));
    assert_eq!(filtered.header("oci-filters-applied"), "artifactType");
    let entries = filtered.json()["manifests"].as_array().unwrap().clone();
    assert_eq!(entries.len(), 1);
    assert_eq!(
        (&entries[0]["digest"], &entries[0]["annotations"]),
        (&json!(signed), &json!({"k": "v"}))
    );

    let page = server.get(&format!("{target}?n=1"));
    assert_eq!(page.json()["manifests"].as_array().unwrap().len(), 1);
    let next = page
        .header("link")
        .trim_start_matches('<')
        .split('>')
        .next()
        .unwrap()
        .to_owned();
    assert_eq!(
        server.get(&next).json()["manifests"][0]["digest"],
        json!(expected[1])
    );

    server
        .send("DELETE", &format!("/v2/a/manifests/{plain}"), &[], "")
        .expect(202);
    assert_eq!(
        server.get(&target).json()["manifests"].as_array().unwrap().len(),
        1
    );
}

#[test]
fn item_23_the_fallback_tag() {
    let server = Server::start();
    let (subject, _) = server.push_image("a", "v1", b"layer");
    let (listed, manifest) = server.push_image("a", "v2", b"other");
    let index = format!(
        r#"{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":[{{"mediaType":"{OCI_MANIFEST}","digest":"{listed}","size":{}}}]}}"#,
        manifest.len()
    );
    server
        .put_manifest("a", &subject.replace(':', "-"), OCI_INDEX, &index)
        .expect(201);
    let found = server.get(&format!("/v2/a/referrers/{subject}")).json();
    assert_eq!(found["manifests"][0]["digest"], json!(listed));
}
