//! Pushes, deletions, looks and collections at random, with a model of what must be there beside them.
//!
//! A tag is one worker's, layers are everybody's: so each worker knows what its tags must name, and all of them
//! race over the content. A blob that a HEAD has found is not sent again: the manifest that names it must be taken
//! all the same. `REGDEPLOY_RACE_SECONDS` makes it longer.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use regdeploy::registry::access::audit::AuditConfig;
use regdeploy::registry::content::collect::{Collected, Options};
use regdeploy::registry::control::message::Request;
use regdeploy::registry::control::{Asked, ask};

use super::client::send;
use super::dice::Dice;
use super::server::{OCI_INDEX, OCI_MANIFEST, Server, sha256};

const GRACE: Duration = Duration::from_secs(2);
const WORKERS: usize = 4;
const REPOSITORIES: [&str; 5] = ["one", "one/two", "three", FLEETING[0], FLEETING[1]];
/// Those that are left alone for longer than the grace now and then, with nothing in them: the collector takes them away.
const FLEETING: [&str; 2] = ["one/two/fleeting", "fleeting"];
/// Of so many steps, one is there.
const SELDOM: usize = 50;
/// Few, so that they are wanted again just when they are about to go.
const LAYERS: usize = 24;
const TAGS: usize = 3;

fn layer(seed: usize) -> Vec<u8> {
    seed.to_le_bytes().repeat(64 + seed * 37)
}

/// What a tag must name.
#[derive(Clone)]
struct Image {
    manifest: String,
    /// Manifests below it, and blobs.
    children: Vec<String>,
    layers: Vec<usize>,
}

impl Image {
    fn digest(&self) -> String {
        sha256(self.manifest.as_bytes())
    }
}

struct Worker {
    number: usize,
    address: SocketAddr,
    random: Dice,
    /// By repository and tag.
    model: BTreeMap<(&'static str, String), Image>,
    steps: u64,
    /// Pushes that took too long for the grace, and were refused.
    late: u64,
}

impl Worker {
    fn step(&mut self) {
        self.steps += 1;
        if self.random.below(SELDOM) == 0 {
            return self.come_and_go();
        }
        let repository = *self.random.pick(&REPOSITORIES[..3]);
        let tag = format!("w{}-{}", self.number, self.random.below(TAGS));
        match self.random.below(10) {
            0..=3 => self.push(repository, tag),
            4 => self.push_index(repository, tag),
            5 | 6 => self.delete_tag(repository, tag),
            7 => self.delete_manifest(repository, tag),
            _ => self.look(repository, &tag),
        }
    }

    fn come_and_go(&mut self) {
        let (repository, tag) = (*self.random.pick(&FLEETING), format!("w{}-0", self.number));
        if self.model.contains_key(&(repository, tag.clone())) {
            self.look(repository, &tag);
            self.delete_manifest(repository, tag);
        } else {
            self.push(repository, tag);
        }
    }

    fn send(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: impl Into<bytes::Bytes>,
    ) -> super::client::Answer {
        send(self.address, method, target, headers, body)
    }

    /// Sees to it that the repository has a blob, as clients do.
    fn blob(&mut self, repository: &str, content: Vec<u8>) -> String {
        let digest = sha256(&content);
        let there = self.send("HEAD", &format!("/v2/{repository}/blobs/{digest}"), &[], "");
        if there.status == 200 {
            return digest;
        }
        assert_eq!(there.status, 404, "{there:?}");
        if self.random.below(2) == 0 {
            let from = *self.random.pick(&REPOSITORIES);
            let target = format!("/v2/{repository}/blobs/uploads/?mount={digest}&from={from}");
            let mounted = self.send("POST", &target, &[], "");
            if mounted.status == 201 {
                return digest;
            }
            let location = mounted.expect(202).header("location").to_owned();
            self.send("PUT", &format!("{location}?digest={digest}"), &[], content)
                .expect(201);
        } else {
            let target = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
            self.send("POST", &target, &[], content).expect(201);
        }
        digest
    }

    /// Pushes an image's blobs and manifest; none where it took longer than the grace.
    fn put(&mut self, repository: &str, reference: Option<&str>) -> Option<Image> {
        let start = Instant::now();
        let layers: Vec<usize> = (0..=self.random.below(3))
            .map(|_| self.random.below(LAYERS))
            .collect();
        let config = self.blob(repository, b"{}".to_vec());
        let mut listed = Vec::new();
        for seed in &layers {
            let digest = self.blob(repository, layer(*seed));
            listed.push(format!(
                r#"{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{digest}","size":1}}"#
            ));
        }
        // Nobody else has the same manifest: a deletion by digest is its owner's.
        let manifest = format!(
            r#"{{"schemaVersion":2,"mediaType":"{OCI_MANIFEST}","annotations":{{"by":"{}.{}"}},"config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{config}","size":2}},"layers":[{}]}}"#,
            self.number,
            self.random.below(6),
            listed.join(",")
        );
        let digest = sha256(manifest.as_bytes());
        let target = format!("/v2/{repository}/manifests/{}", reference.unwrap_or(&digest));
        let put = self.send(
            "PUT",
            &target,
            &[("content-type", OCI_MANIFEST)],
            manifest.clone(),
        );
        if put.status != 201 && start.elapsed() > GRACE {
            self.late += 1;
            return None;
        }
        put.expect(201);
        Some(Image {
            manifest,
            children: Vec::new(),
            layers,
        })
    }

    fn push(&mut self, repository: &'static str, tag: String) {
        if let Some(image) = self.put(repository, Some(&tag)) {
            self.model.insert((repository, tag), image);
        }
    }

    /// An image without a tag, then an index that lists it.
    fn push_index(&mut self, repository: &'static str, tag: String) {
        let start = Instant::now();
        let Some(child) = self.put(repository, None) else {
            return;
        };
        let manifest = format!(
            r#"{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","annotations":{{"by":"{}"}},"manifests":[{{"mediaType":"{OCI_MANIFEST}","digest":"{}","size":1}}]}}"#,
            self.number,
            child.digest()
        );
        let target = format!("/v2/{repository}/manifests/{tag}");
        let put = self.send("PUT", &target, &[("content-type", OCI_INDEX)], manifest.clone());
        if put.status != 201 && start.elapsed() > GRACE {
            self.late += 1;
            return;
        }
        put.expect(201);
        let image = Image {
            manifest,
            children: vec![child.manifest],
            layers: child.layers,
        };
        self.model.insert((repository, tag), image);
    }

    fn delete_tag(&mut self, repository: &'static str, tag: String) {
        let target = format!("/v2/{repository}/manifests/{tag}");
        let expected = if self.model.remove(&(repository, tag)).is_some() {
            202
        } else {
            404
        };
        self.send("DELETE", &target, &[], "").expect(expected);
    }

    /// With all tags that name it, and those that name an index which lists it stay as they are: so none of those.
    fn delete_manifest(&mut self, repository: &'static str, tag: String) {
        let Some(digest) = self.model.get(&(repository, tag)).map(Image::digest) else {
            return;
        };
        let listed = |image: &Image| {
            image
                .children
                .iter()
                .any(|child| sha256(child.as_bytes()) == digest)
        };
        if self
            .model
            .iter()
            .any(|((name, _), image)| *name == repository && listed(image))
        {
            return;
        }
        let target = format!("/v2/{repository}/manifests/{digest}");
        self.send("DELETE", &target, &[], "").expect(202);
        self.model
            .retain(|(name, _), image| *name != repository || image.digest() != digest);
    }

    /// A tag is there and whole, or is not there at all.
    fn look(&self, repository: &'static str, tag: &str) {
        let answer = self.send("GET", &format!("/v2/{repository}/manifests/{tag}"), &[], "");
        let Some(image) = self.model.get(&(repository, tag.to_owned())) else {
            assert_eq!(answer.status, 404, "{repository}:{tag} {answer:?}");
            return;
        };
        assert_eq!(
            answer.status, 200,
            "{repository}:{tag} of worker {} {answer:?}",
            self.number
        );
        assert_eq!(answer.body, image.manifest);
        for child in &image.children {
            let digest = sha256(child.as_bytes());
            let target = format!("/v2/{repository}/manifests/{digest}");
            assert_eq!(self.send("GET", &target, &[], "").expect(200).body, *child);
        }
        for seed in &image.layers {
            let content = layer(*seed);
            let target = format!("/v2/{repository}/blobs/{}", sha256(&content));
            assert!(
                self.send("GET", &target, &[], "").expect(200).body == content,
                "{target}"
            );
        }
    }

    fn look_at_all(&self) {
        for repository in REPOSITORIES {
            for tag in 0..TAGS {
                self.look(repository, &format!("w{}-{tag}", self.number));
            }
        }
    }
}

fn collect(server: &Server, grace: Duration) -> Collected {
    let options = Options {
        grace,
        untagged: true,
        dry_run: false,
    };
    ask(Asked {
        audit: &AuditConfig::default(),
        root: &server.data(),
        request: &Request::Collect { options },
        content: None,
        on_event: &mut |_| {},
    })
    .unwrap()
}

#[test]
fn what_was_answered_201_is_there_and_whole_whatever_else_happens() {
    let mut dice = Dice::new("race");
    let seconds = std::env::var("REGDEPLOY_RACE_SECONDS").map_or(8, |text| text.parse().expect("a number"));
    let length = Duration::from_secs(seconds);
    let seeds: Vec<u64> = (0..WORKERS).map(|_| dice.next()).collect();
    let server = Server::start();
    // Connections are not refused while the socket is being made.
    server.verb(&["readonly"]);
    let (end, removed, collections) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let emptied = AtomicU64::new(0);
    let workers: Vec<Worker> = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !end.load(Ordering::Relaxed) {
                let done = collect(&server, GRACE);
                removed.fetch_add(done.removed.blobs + done.removed.links, Ordering::Relaxed);
                emptied.fetch_add(done.emptied, Ordering::Relaxed);
                collections.fetch_add(1, Ordering::Relaxed);
            }
        });
        let threads: Vec<_> = seeds
            .into_iter()
            .enumerate()
            .map(|(number, seed)| {
                let address = server.address;
                scope.spawn(move || {
                    let mut worker = Worker {
                        number,
                        address,
                        random: Dice::seeded(seed),
                        model: BTreeMap::new(),
                        steps: 0,
                        late: 0,
                    };
                    let start = Instant::now();
                    while start.elapsed() < length {
                        worker.step();
                    }
                    worker
                })
            })
            .collect();
        let ended: Vec<_> = threads
            .into_iter()
            .map(std::thread::ScopedJoinHandle::join)
            .collect();
        end.store(true, Ordering::Relaxed);
        ended
            .into_iter()
            .map(|worker| worker.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    let steps: u64 = workers.iter().map(|worker| worker.steps).sum();
    let late: u64 = workers.iter().map(|worker| worker.late).sum();
    println!(
        "{steps} steps, {late} late, {collections:?} collections, {removed:?} blobs and links removed, {emptied:?} \
         repositories emptied"
    );
    assert!(
        steps > 20 && late * 10 < steps,
        "{steps} steps, {late} of them late"
    );
    workers.iter().for_each(Worker::look_at_all);
    // What is left once nobody pushes is what the model names, and nothing else.
    collect(&server, Duration::ZERO);
    workers.iter().for_each(Worker::look_at_all);
    let mut named: Vec<String> = Vec::new();
    for image in workers.iter().flat_map(|worker| worker.model.values()) {
        named.extend([image.digest(), sha256(b"{}")]);
        named.extend(image.children.iter().map(|child| sha256(child.as_bytes())));
        named.extend(image.layers.iter().map(|seed| sha256(&layer(*seed))));
    }
    named.sort();
    named.dedup();
    let mut repositories: Vec<&str> = workers
        .iter()
        .flat_map(|worker| worker.model.keys().map(|(repository, _)| *repository))
        .collect();
    repositories.sort_unstable();
    repositories.dedup();
    let listed = server.get("/v2/_catalog").json();
    assert_eq!(listed["repositories"], serde_json::json!(repositories));
    assert_eq!(server.verb(&["stats"])["blobs"], named.len());
    assert!(
        length < 3 * GRACE || removed.into_inner() > 0,
        "the collector had nothing to do with it"
    );
}
