//! Tags of the pull-through cache: confirmed, stale, limited; and what is listed.

use serde_json::json;

use super::client::Answer;
use super::proxy::{ALWAYS_ASK, Lab, SECOND, age, same};
use super::server::{OCI_INDEX, OCI_MANIFEST, image, sha256, until};
use super::upstream::Act;

#[test]
fn tags_are_confirmed_by_head_and_followed() {
    let lab = Lab::new(ALWAYS_ASK);
    let (first, _) = lab.origin.push_image("some/image", "v1", b"first");
    let get = || lab.mirror.get("/v2/hub/some/image/manifests/v1");
    let digest = |answer: &Answer| answer.header("docker-content-digest").to_owned();
    assert_eq!(digest(&get()), first);
    assert_eq!(digest(&get()), first);
    let (second, _) = lab.origin.push_image("some/image", "v1", b"second");
    assert_eq!(digest(&get()), second);
    let tag = "manifests/v1";
    let expected = [
        format!("GET {tag}"),
        format!("HEAD {tag}"),
        format!("HEAD {tag}"),
        format!("GET {tag}"),
    ];
    assert_eq!(lab.upstream.asked(), expected);
    // The old one is still there by its digest.
    lab.mirror
        .get(&format!("/v2/hub/some/image/manifests/{first}"))
        .expect(200);
    assert!(lab.upstream.take().is_empty());

    // What is gone there is gone here, and what never was is not asked for twice in a row.
    lab.origin
        .send("DELETE", "/v2/some/image/manifests/v1", &[], "")
        .expect(202);
    assert_eq!(get().expect(404).code(), "MANIFEST_UNKNOWN");
    assert_eq!(get().expect(404).code(), "MANIFEST_UNKNOWN");
    assert_eq!(lab.upstream.asked(), [format!("HEAD {tag}")]);
    lab.mirror
        .get(&format!("/v2/hub/some/image/blobs/{}", sha256(b"nothing")))
        .expect(404);
}

#[test]
fn item_4_a_tag_is_served_stale_while_the_upstream_fails() {
    let lab = Lab::new(&format!("{ALWAYS_ASK}{SECOND}"));
    lab.origin.push_image("some/image", "v1", b"layer");
    let get = |tag: &str| lab.mirror.get(&format!("/v2/hub/some/image/manifests/{tag}"));
    let whole = get("v1").expect(200);
    assert_eq!(whole.header("warning"), "");
    lab.upstream.take();
    for status in [500, 503, 401, 403] {
        lab.upstream
            .once("HEAD", "/manifests/", Act::Answer(status, Vec::new(), Vec::new()));
        let stale = get("v1").expect(200);
        assert_eq!(stale.body, whole.body);
        assert!(
            stale.header("warning").starts_with("299 - \"as 127.0.0.1:"),
            "{stale:?}"
        );
        assert!(stale.header("warning").contains(&status.to_string()), "{stale:?}");
        assert_eq!(lab.upstream.asked(), ["HEAD manifests/v1"]);
    }
    assert_eq!(get("v1").header("warning"), "");

    // One that does not answer is left alone for a while.
    lab.upstream.when(|_| Some(Act::Silence));
    lab.upstream.take();
    for _ in 0..3 {
        assert!(get("v1").expect(200).header("warning").contains("answer"));
    }
    assert_eq!(lab.upstream.asked(), ["HEAD manifests/v1"]);
    // Nothing is kept of another, so that there is nothing to serve.
    assert_eq!(get("v2").expect(502).code(), "UNAVAILABLE");
}

#[test]
fn an_upstream_that_limits_is_not_asked_again() {
    let lab = Lab::new(ALWAYS_ASK);
    let (digest, _) = lab.origin.push_image("some/image", "v1", b"layer");
    let get = |rest: &str| lab.mirror.get(&format!("/v2/hub/some/image/{rest}"));
    get("manifests/v1").expect(200);
    let retry = vec![("Retry-After", "3600".to_owned())];
    lab.upstream
        .once("HEAD", "/manifests/", Act::Answer(429, retry, Vec::new()));
    lab.upstream.take();
    for _ in 0..3 {
        let stale = get("manifests/v1").expect(200);
        assert!(
            stale.header("warning").contains("takes no more requests"),
            "{stale:?}"
        );
    }
    assert_eq!(lab.upstream.asked(), ["HEAD manifests/v1"]);
    let refused = get("manifests/v2").expect(429);
    assert_eq!(refused.code(), "TOOMANYREQUESTS");
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((3000..=3600).contains(&wait), "{refused:?}");
    get(&format!("blobs/{}", sha256(b"layer"))).expect(429);
    get(&format!("manifests/{digest}")).expect(200);
    assert!(lab.upstream.take().is_empty());

    // Docker Hub's last pull of a window: what it counts waits, what it does not count goes on.
    let lab = Lab::new(ALWAYS_ASK);
    let (digest, manifest) = lab.origin.push_image("some/image", "v1", b"layer");
    let headers = vec![
        ("ratelimit-limit", "10;w=21600".to_owned()),
        ("ratelimit-remaining", "0;w=21600".to_owned()),
        ("docker-content-digest", digest),
    ];
    lab.upstream.once(
        "GET",
        "/manifests/",
        Act::Answer(200, headers, manifest.into_bytes()),
    );
    let get = |rest: &str| lab.mirror.get(&format!("/v2/hub/some/image/{rest}"));
    get("manifests/v1").expect(200);
    assert_eq!(get("manifests/v1").expect(200).header("warning"), "");
    get("manifests/v2").expect(429);
    get(&format!("blobs/{}", sha256(b"layer"))).expect(200);
    let blob = format!("GET blobs/{}", sha256(b"layer"));
    assert_eq!(
        lab.upstream.asked(),
        ["GET manifests/v1", "HEAD manifests/v1", &blob]
    );
}

#[test]
fn access_lines_and_metrics_say_what_of_the_upstream_was_needed() {
    let lab = Lab::new(&format!("{ALWAYS_ASK}metrics:\n  enabled: true\n"));
    let (digest, _) = lab.origin.push_image("some/image", "v1", b"layer");
    let target = |rest: &str| format!("/v2/hub/some/image/{rest}");
    let (blob, by_digest) = (
        format!("blobs/{}", sha256(b"layer")),
        format!("manifests/{digest}"),
    );
    lab.mirror.push_blob("own", b"own");
    let expected = [
        ("GET", target("manifests/v1"), "miss"),
        ("GET", target("manifests/v1"), "revalidated"),
        ("GET", target(&by_digest), "hit"),
        ("HEAD", target(&blob), "miss"),
        ("GET", target(&blob), "miss"),
        ("GET", target(&blob), "hit"),
        ("HEAD", target(&blob), "hit"),
        ("GET", target("tags/list"), "miss"),
        ("GET", target("manifests/v1"), "stale"),
        ("GET", format!("/v2/own/blobs/{}", sha256(b"own")), "-"),
    ];
    for (method, target, word) in &expected {
        if *word == "stale" {
            let fails = Act::Answer(500, Vec::new(), Vec::new());
            lab.upstream.once("HEAD", "/manifests/", fails);
        }
        lab.mirror.send(method, target, &[], "").expect(200);
    }
    let expected: Vec<String> = expected
        .iter()
        .map(|(method, target, word)| format!("{method} {target} {word}"))
        .collect();
    until(&expected, || {
        let log = std::fs::read_to_string(lab.mirror.folder.path().join("access.log")).unwrap();
        let word = |line: &str, key: &str| {
            let found = line.split(' ').find_map(|word| word.strip_prefix(key));
            found.unwrap_or("-").trim_matches('"').to_owned()
        };
        let asked = log.lines().filter(|line| !line.contains("method=POST"));
        asked
            .map(|line| {
                let [method, target, lookup] = ["method=", "uri=", "upstream="].map(|key| word(line, key));
                format!("{method} {target} {lookup}")
            })
            .collect()
    });
    let metrics = lab.mirror.get("/metrics").expect(200);
    let metrics = String::from_utf8(metrics.body.to_vec()).unwrap();
    for (outcome, times) in [("hit", 3), ("miss", 2), ("revalidated", 1), ("stale", 1)] {
        let line =
            format!("registry_cache_lookups_total{{cache=\"upstream\",outcome=\"{outcome}\"}} {times}\n");
        assert!(metrics.contains(&line), "{line}{metrics}");
    }
}

#[test]
fn stale_has_an_end() {
    let lab = Lab::new(&format!("{ALWAYS_ASK}      maxstale: 1h\n"));
    lab.origin.push_image("some/image", "v1", b"layer");
    let get = || lab.mirror.get("/v2/hub/some/image/manifests/v1");
    get().expect(200);
    lab.upstream
        .when(|_| Some(Act::Answer(500, Vec::new(), Vec::new())));
    get().expect(200);
    let link = "docker/registry/v2/repositories/hub/some/image/_manifests/tags/v1/current/link";
    age(&lab.mirror, link, 7200);
    assert_eq!(get().expect(502).code(), "UNAVAILABLE");
}

#[test]
fn item_22_tags_are_those_of_the_upstream_while_it_answers() {
    let lab = Lab::new("");
    let (digest, manifest) = lab.origin.push_image("some/image", "t0", b"layer");
    for number in 1..5 {
        lab.origin
            .put_manifest("some/image", &format!("t{number}"), OCI_MANIFEST, &manifest)
            .expect(201);
    }
    let list = |query: &str| lab.mirror.get(&format!("/v2/hub/some/image/tags/list{query}"));
    assert_eq!(list("").json()["tags"], json!(["t0", "t1", "t2", "t3", "t4"]));
    let page = list("?n=2&last=t1");
    assert_eq!(page.json()["tags"], json!(["t2", "t3"]));
    assert_eq!(
        page.header("link"),
        "</v2/hub/some/image/tags/list?last=t3&n=2>; rel=\"next\""
    );
    assert_eq!(list("?n=9&last=t3").header("link"), "");

    // One that neither sorts nor goes on by `last`.
    lab.upstream.when(|seen| {
        let (tags, link) = if seen.target.contains("cursor=2") {
            (r#"{"name":"x","tags":["a","c"]}"#, Vec::new())
        } else {
            let link = r#"</v2/some/image/tags/list?cursor=2>; rel="next""#.to_owned();
            (r#"{"name":"x","tags":["d","b"]}"#, vec![("link", link)])
        };
        seen.target
            .contains("/tags/list")
            .then(|| Act::Answer(200, link, tags.into()))
    });
    assert_eq!(list("").json()["tags"], json!(["a", "b", "c", "d"]));
    assert_eq!(list("?n=2&last=a").json()["tags"], json!(["b", "c"]));

    lab.upstream.heal();
    lab.mirror.get("/v2/hub/some/image/manifests/t3").expect(200);
    lab.upstream.when(|seen| {
        seen.target
            .contains("list")
            .then(|| Act::Answer(500, Vec::new(), Vec::new()))
    });
    let kept = list("");
    assert_eq!(kept.json()["tags"], json!(["t3"]));
    assert!(
        kept.header("warning").starts_with("299 - \"only what is kept"),
        "{kept:?}"
    );
    lab.mirror.get("/v2/hub/other/tags/list").expect(502);
    lab.upstream.heal();
    lab.mirror.get("/v2/hub/other/tags/list").expect(404);
    assert!(!digest.is_empty());
}

#[test]
fn item_23_referrers_are_those_of_the_upstream() {
    let lab = Lab::new("");
    let (subject, _) = lab.origin.push_image("some/image", "v1", b"layer");
    let more = format!(
        r#""artifactType":"application/x","subject":{{"mediaType":"{OCI_MANIFEST}","digest":"{subject}","size":1}},"#
    );
    let referring = image(&sha256(b"{}"), &sha256(b"layer"), 5, &more);
    lab.origin
        .put_manifest("some/image", "signature", OCI_MANIFEST, &referring)
        .expect(201);
    let target = format!("referrers/{subject}");
    let here = || lab.mirror.get(&format!("/v2/hub/some/image/{target}"));
    let there = lab.origin.get(&format!("/v2/some/image/{target}")).expect(200);
    same(&here(), &there);
    let filtered = lab
        .mirror
        .get(&format!("/v2/hub/some/image/{target}?artifactType=other"))
        .expect(200);
    assert_eq!(filtered.json()["manifests"], json!([]));

    // One that has no such endpoint, and clients that keep an index under a tag.
    let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [
        {"mediaType": OCI_MANIFEST, "digest": sha256(referring.as_bytes()), "size": referring.len(), "artifactType": "application/x"}]});
    let tag = subject.replace(':', "-");
    lab.origin
        .put_manifest("some/image", &tag, OCI_INDEX, &index.to_string())
        .expect(201);
    lab.upstream.when(|seen| {
        seen.target
            .contains("/referrers/")
            .then(|| Act::Answer(404, Vec::new(), Vec::new()))
    });
    assert_eq!(here().json()["manifests"], index["manifests"]);
    lab.upstream
        .when(|_| Some(Act::Answer(500, Vec::new(), Vec::new())));
    lab.upstream.heal();
    lab.upstream
        .when(|_| Some(Act::Answer(500, Vec::new(), Vec::new())));
    assert!(here().expect(200).header("warning").contains("only what is kept"));
}
