//! What is collected and what is not, on a real folder.

mod emptied;

use std::fmt::Write as _;
use std::sync::Arc;

use super::*;
use crate::registry::content::Unwatched;
use crate::registry::name::{Reference, RepositoryName, Tag};
use crate::registry::storage::Filesystem;

struct Store {
    folder: tempfile::TempDir,
    registry: Registry,
}

fn store() -> Store {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::new(Arc::new(Filesystem::new(folder.path()).unwrap()));
    Store { folder, registry }
}

fn name(text: &str) -> RepositoryName {
    text.parse().unwrap()
}

fn tag(text: &str) -> Reference {
    Reference::Tag(text.parse().unwrap())
}

const NOW: Options = Options {
    grace: Duration::ZERO,
    untagged: false,
    dry_run: false,
};
const UNTAGGED: Options = Options {
    untagged: true,
    ..NOW
};
const HOUR: Options = Options {
    grace: Duration::from_hours(1),
    ..NOW
};

impl Store {
    /// A restart of the server.
    fn reopen(self) -> Self {
        let registry = Registry::new(Arc::new(Filesystem::new(self.folder.path()).unwrap()));
        Self { registry, ..self }
    }

    fn collect(&self, options: Options) -> Collected {
        self.registry
            .collect(options, self.folder.path(), &Unwatched)
            .unwrap()
    }

    /// Lets the sentences of all that is condemned be older than they are.
    fn age(self, seconds: u64) -> Self {
        let list = self.folder.path().join("regdeploy/condemned");
        let text = std::fs::read_to_string(&list).unwrap();
        let mut lines = text.lines();
        let mut aged = format!("{}\n", lines.next().unwrap());
        for line in lines {
            let (item, since) = line.split_once(' ').unwrap();
            writeln!(aged, "{item} {}", since.parse::<u64>().unwrap() - seconds).unwrap();
        }
        std::fs::write(list, aged).unwrap();
        // Without this, what is on the disk would be younger than its sentence.
        for entry in walk(self.folder.path()) {
            let past = std::time::SystemTime::now() - Duration::from_secs(2 * seconds);
            std::fs::File::options()
                .append(true)
                .open(entry)
                .unwrap()
                .set_modified(past)
                .unwrap();
        }
        self.reopen()
    }

    fn blob(&self, repository: &str, data: &[u8]) -> Digest {
        let digest = Digest::of(Algorithm::Sha256, data);
        let (name, storage) = (name(repository), &self.registry.storage);
        self.registry.shared(&name, || {
            self.registry.pushing_blob(&name, &digest, &digest);
            storage.write(&paths::blob(&digest), data).unwrap();
            self.registry
                .write_link(&paths::layer_link(&name, &digest), &digest)
                .unwrap();
        });
        digest
    }

    fn put(&self, repository: &str, reference: &Reference, manifest: &str) -> Digest {
        let put = self
            .registry
            .put_manifest(&name(repository), reference, &[], manifest.as_bytes(), None);
        put.unwrap().0
    }

    /// Pushes an image with one layer; `more` is further members.
    fn image(&self, repository: &str, reference: Option<&str>, layer: &[u8], more: &str) -> Digest {
        let (config, layer) = (self.blob(repository, b"{}"), self.blob(repository, layer));
        let text = format!(
            r#"{{"schemaVersion":2,{more}"config":{{"digest":"{config}"}},"layers":[{{"digest":"{layer}"}}]}}"#
        );
        let by_digest = Reference::Digest(Digest::of(Algorithm::Sha256, text.as_bytes()));
        self.put(repository, &reference.map_or(by_digest, tag), &text)
    }

    fn index(&self, repository: &str, reference: &str, listed: &[&Digest]) -> Digest {
        let listed: Vec<String> = listed
            .iter()
            .map(|digest| format!(r#"{{"digest":"{digest}"}}"#))
            .collect();
        let text = format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, listed.join(","));
        self.put(repository, &tag(reference), &text)
    }

    fn data(&self, digest: &Digest) -> bool {
        self.registry.storage.exists(&paths::blob(digest)).unwrap()
    }

    fn has(&self, repository: &str, digest: &Digest) -> bool {
        self.registry.has_manifest(&name(repository), digest).unwrap()
    }

    fn untag(&self, repository: &str, text: &str) {
        self.registry
            .delete_manifest(&name(repository), &tag(text))
            .unwrap();
    }
}

fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(walk(&path));
        } else {
            files.push(path);
        }
    }
    files
}

#[test]
fn what_manifests_name_is_kept_and_the_rest_goes() {
    let store = store();
    let kept = store.image("a", Some("v1"), b"kept", "");
    let alone = store.blob("a", b"alone");
    let shared = store.blob("b", b"kept");
    let report = store.collect(NOW);
    assert_eq!((report.repositories, report.manifests), (2, 1));
    // `b` has a link that no manifest of its own keeps; the data is kept by `a`.
    assert_eq!(
        (report.removed.links, report.removed.blobs, report.removed.bytes),
        (2, 1, 5)
    );
    assert!(!store.data(&alone) && store.data(&shared) && store.has("a", &kept));
    assert!(!store.registry.has_blob(&name("b"), &shared).unwrap());
    assert!(store.registry.has_blob(&name("a"), &shared).unwrap());
    let again = store.collect(NOW);
    assert_eq!(
        (again.removed, again.condemned),
        (Tally::default(), Tally::default())
    );
}

#[test]
fn blobs_that_an_index_lists_are_kept() {
    // So buildkit keeps its cache.
    let store = store();
    let layer = store.blob("a", b"cache");
    store.index("a", "cache", &[&layer]);
    assert_eq!(store.collect(NOW).removed, Tally::default());
    assert!(store.registry.has_blob(&name("a"), &layer).unwrap());
}

#[test]
fn a_grace_passes_between_sentence_and_removal() {
    let store = store();
    let alone = store.blob("a", b"alone");
    let first = store.collect(HOUR);
    assert_eq!(
        (first.condemned.links, first.condemned.blobs, first.removed.blobs),
        (1, 1, 0)
    );
    let second = store.collect(HOUR);
    assert_eq!((second.waiting.links, second.waiting.blobs), (1, 1));
    let store = store.age(4000);
    assert!(store.data(&alone));
    let third = store.collect(HOUR);
    assert_eq!((third.removed.links, third.removed.blobs), (1, 1));
    assert!(!store.data(&alone));
}

/// distribution #3544, and every collector that deletes by a list made before.
#[test]
fn what_a_client_was_told_of_is_pardoned() {
    for used in 0..4 {
        let store = store();
        let alone = store.blob("a", b"alone");
        store.collect(HOUR);
        let store = store.age(4000);
        match used {
            0 => assert!(store.registry.has_blob(&name("a"), &alone).unwrap()),
            1 => assert_eq!(store.registry.blob(&name("a"), &alone).unwrap().size(), 5),
            2 => assert!(store.registry.mount(&name("b"), &name("a"), &alone).unwrap()),
            _ => drop(store.blob("a", b"alone")),
        }
        // A crash right after it changes nothing.
        let store = store.reopen();
        store.collect(HOUR);
        assert!(store.data(&alone), "use {used}");
        // Now the client's manifest comes.
        store.image("a", Some("v1"), b"alone", "");
        assert_eq!(store.collect(NOW).removed.blobs, 0);
        assert!(store.data(&alone), "use {used}");
    }
}

#[test]
fn what_another_program_pushed_since_is_pardoned() {
    let store = store();
    let alone = store.blob("a", b"alone");
    store.collect(HOUR);
    let store = store.age(4000);
    // Distribution writes it again, and tells nobody.
    for key in [paths::blob(&alone), paths::layer_link(&name("a"), &alone)] {
        let bytes = store.registry.storage.read(&key, 999).unwrap();
        store.registry.storage.write(&key, &bytes).unwrap();
    }
    let report = store.collect(HOUR);
    assert_eq!((report.removed, report.waiting.blobs), (Tally::default(), 1));
    assert_eq!(
        store.collect(NOW).removed.blobs,
        1,
        "where there is no grace it has none either"
    );
}

#[test]
fn a_removed_blob_can_be_pushed_again() {
    let store = store();
    let first = store.blob("a", b"again");
    let reader = store.registry.blob(&name("a"), &first).unwrap();
    store.collect(NOW);
    // Who was reading goes on; who asks now is told that it is gone, and pushes it.
    assert_eq!(reader.read_at(0, 9).unwrap(), "again");
    assert!(!store.registry.has_blob(&name("a"), &first).unwrap());
    store.image("a", Some("v1"), b"again", "");
    store.collect(NOW);
    assert!(store.data(&first));
}

#[test]
fn untagged_manifests_go_only_when_asked_for() {
    let store = store();
    let old = store.image("a", Some("v1"), b"old", "");
    store.image("a", Some("v1"), b"new", "");
    assert_eq!(store.collect(NOW).removed, Tally::default());
    let report = store.collect(UNTAGGED);
    assert_eq!(
        (
            report.removed.manifests,
            report.removed.links,
            report.removed.blobs
        ),
        (1, 1, 2)
    );
    assert!(!store.has("a", &old));
    assert_eq!(store.registry.tags(&name("a"), None, 9).unwrap(), ["v1"]);
}

#[test]
fn indexes_subjects_and_tags_keep_manifests() {
    let store = store();
    let child = store.image("a", None, b"child", "");
    let index = store.index("a", "multi", &[&child]);
    let subject = |digest: &Digest| format!(r#""subject":{{"digest":"{digest}"}},"#);
    // A signature of the child, and one of the signature.
    let signature = store.image("a", None, b"signature", &subject(&child));
    let countersigned = store.image("a", None, b"counter", &subject(&signature));
    // A tagged signature of an untagged image; an untagged signature of an untagged image.
    let signed = store.image("a", None, b"signed", "");
    store.image("a", Some("sig"), b"s", &subject(&signed));
    let loose = store.image("a", None, b"loose", "");
    let loose_signature = store.image("a", None, b"ls", &subject(&loose));

    store.collect(UNTAGGED);
    for kept in [&child, &index, &signature, &countersigned, &signed] {
        assert!(store.has("a", kept), "{kept}");
    }
    assert!(!store.has("a", &loose) && !store.has("a", &loose_signature));
    store.untag("a", "multi");
    store.collect(UNTAGGED);
    for gone in [&child, &index, &signature, &countersigned] {
        assert!(!store.has("a", gone), "{gone}");
    }
    assert!(store.has("a", &signed));
}

#[test]
fn a_repository_s_condemned_manifest_goes_with_its_blobs_in_one_grace() {
    let store = store();
    let old = store.image("a", Some("v1"), b"old", "");
    store.untag("a", "v1");
    let hour = Options {
        untagged: true,
        ..HOUR
    };
    let first = store.collect(hour);
    assert_eq!(first.condemned.manifests, 1);
    assert_eq!((first.condemned.links, first.condemned.blobs), (2, 3));
    let store = store.age(4000);
    let second = store.collect(hour);
    assert_eq!(
        second.removed,
        Tally {
            manifests: 1,
            links: 2,
            blobs: 3,
            bytes: second.removed.bytes
        }
    );
    assert!(!store.has("a", &old));
}

#[test]
fn a_manifest_that_somebody_asked_for_is_pardoned_with_its_blobs() {
    let store = store();
    let old = store.image("a", Some("v1"), b"old", "");
    store.untag("a", "v1");
    let hour = Options {
        untagged: true,
        ..HOUR
    };
    store.collect(hour);
    let store = store.age(4000);
    assert!(store.has("a", &old));
    let report = store.collect(hour);
    assert_eq!(report.removed, Tally::default());
    // It was asked for because an index is about to list it.
    store.index("a", "multi", &[&old]);
    assert_eq!(store.collect(UNTAGGED).removed.manifests, 0);
    assert!(store.registry.manifest(&name("a"), &tag("multi")).is_ok());
}

#[test]
fn what_cannot_be_read_may_name_anything() {
    let store = store();
    let image = store.image("a", Some("v1"), b"layer", "");
    let (alone, elsewhere) = (store.blob("a", b"alone"), store.blob("b", b"elsewhere"));
    store
        .registry
        .storage
        .write(&paths::blob(&image), b"damaged")
        .unwrap();
    let report = store.collect(UNTAGGED);
    assert_eq!(report.unreadable, [format!("a@{image}: it is damaged")]);
    assert!(store.data(&alone) && !store.data(&elsewhere));
    // Gone is no better.
    store.registry.storage.delete(&paths::blob(&image)).unwrap();
    assert_eq!(store.collect(UNTAGGED).unreadable.len(), 1);
    assert!(store.data(&alone));
    // Deleted, it is nobody's any more.
    store
        .registry
        .delete_manifest(&name("a"), &Reference::Digest(image))
        .unwrap();
    store.collect(UNTAGGED);
    assert!(!store.data(&alone));
}

#[test]
fn layers_that_need_not_be_there_are_kept_where_they_are() {
    let store = store();
    let (config, foreign) = (store.blob("a", b"{}"), store.blob("a", b"foreign"));
    let text = format!(
        r#"{{"schemaVersion":2,"config":{{"digest":"{config}"}},"layers":[{{"digest":"{foreign}","urls":["https://vendor/"]}}]}}"#
    );
    store.put("a", &tag("v1"), &text);
    store.collect(NOW);
    assert!(store.data(&foreign));
}

#[test]
fn other_algorithms_are_kept_by_what_their_links_name() {
    let store = store();
    let repository = name("a");
    // As distribution has it: the link by SHA-512 names the data by SHA-256.
    let stored = store.blob("a", b"{}");
    let other = Digest::of(Algorithm::Sha512, b"{}");
    let link = |key| store.registry.write_link(&key, &stored).unwrap();
    link(paths::layer_link(&repository, &other));
    let text = format!(r#"{{"schemaVersion":2,"config":{{"digest":"{other}"}},"layers":[]}}"#);
    let digest = Reference::Digest(Digest::of(Algorithm::Sha512, text.as_bytes()));
    let manifest = store.put("a", &digest, &text);
    store.collect(NOW);
    assert!(store.data(&stored) && store.has("a", &manifest));
    assert!(store.registry.has_blob(&repository, &other).unwrap());
}

#[test]
fn a_dry_run_changes_nothing_and_tells_the_same() {
    let store = store();
    store.image("a", Some("v1"), b"old", "");
    store.image("a", Some("v1"), b"new", "");
    store.blob("a", b"alone");
    let dry = store.collect(Options {
        dry_run: true,
        ..UNTAGGED
    });
    let again = store.collect(Options {
        dry_run: true,
        ..UNTAGGED
    });
    assert_eq!(dry, again);
    let real = store.collect(UNTAGGED);
    assert_eq!(dry.removed, real.removed);
    assert_eq!(real.removed.blobs, 3);
    // With a grace: all of it would be condemned, and is.
    store.blob("a", b"another");
    let dry = store.collect(Options {
        dry_run: true,
        ..HOUR
    });
    assert_eq!(dry.condemned, store.collect(HOUR).condemned);
}

#[test]
fn who_asks_why_is_told_all() {
    let store = store();
    let image = store.image("a", Some("v1"), b"layer", "");
    let index = store.index("a", "multi", &[&image]);
    let layer = Digest::of(Algorithm::Sha256, b"layer");
    store.blob("b", b"layer");
    let explain = |digest| store.registry.explain(digest, &Unwatched).unwrap();
    let explained = explain(&layer);
    assert_eq!(explained.size, Some(5));
    assert_eq!(
        explained.kept_by,
        [
            Kept::Named {
                repository: "a".into(),
                manifest: image.to_string(),
                tags: vec!["v1".into()]
            },
            Kept::Waiting {
                repository: "b".into(),
                condemned_since: None
            },
        ]
    );
    let kept = Kept::Manifest {
        repository: "a".into(),
        tags: vec!["v1".into()],
        manifests: vec![index.to_string()],
        condemned_since: None,
    };
    assert_eq!(explain(&image).kept_by, [kept]);
    store.collect(HOUR);
    let Kept::Waiting { condemned_since, .. } = &explain(&layer).kept_by[1] else {
        panic!("it waits")
    };
    assert!(condemned_since.is_some());
    assert_eq!(explain(&Digest::of(Algorithm::Sha256, b"never")).kept_by, []);
}

#[test]
fn stopping_it_loses_no_sentence() {
    struct Impatient;
    impl Watch for Impatient {
        fn progress(&self, phase: &'static str, _: u64, _: Option<u64>) -> bool {
            phase == "repositories"
        }
    }
    let store = store();
    let alone = store.blob("a", b"alone");
    store.collect(HOUR);
    let stopped = store.registry.collect(HOUR, store.folder.path(), &Impatient);
    assert!(matches!(stopped, Err(CareError::Stopped)));
    let store = store.age(4000);
    store.collect(HOUR);
    assert!(!store.data(&alone));
}

#[test]
fn uploads_are_purged_by_the_age_of_their_last_byte() {
    let store = store();
    let repository = name("a");
    let [old, new] = [(); 2].map(|()| store.registry.start_upload(&repository).unwrap());
    store
        .registry
        .storage
        .append(&paths::upload_data(&repository, &old))
        .unwrap()
        .append(b"12345")
        .unwrap();
    let past = std::time::SystemTime::now() - Duration::from_hours(2);
    for key in [
        paths::upload_data(&repository, &old),
        paths::upload_started(&repository, &old),
        paths::upload_started(&repository, &new),
    ] {
        let path = store.folder.path().join(key.as_str());
        let file = std::fs::File::options().append(true).open(path).unwrap();
        file.set_modified(past).unwrap();
    }
    let purge = |dry_run| {
        let purged = store
            .registry
            .purge_uploads(Duration::from_hours(1), dry_run, &Unwatched);
        let purged = purged.unwrap();
        (purged.uploads, purged.bytes, purged.left)
    };
    assert_eq!(purge(true), (1, 5, 1));
    assert_eq!(purge(false), (1, 5, 1));
    assert_eq!(purge(false), (0, 0, 1));
    assert!(store.registry.upload_size(&repository, &old).is_err());
    assert_eq!(store.registry.upload_size(&repository, &new).unwrap(), 0);
}

/// A push that a tag follows, while collections without any grace run: nothing that was tagged is lost.
#[test]
fn pushes_go_on_while_it_collects() {
    let store = store();
    let layers: Vec<Vec<u8>> = (0..4_u8).map(|seed| vec![seed; 100]).collect();
    let options = Options {
        grace: Duration::from_secs(1),
        ..UNTAGGED
    };
    std::thread::scope(|scope| {
        let pushers: Vec<_> = (0..2)
            .map(|pusher| {
                let (store, layers) = (&store, &layers);
                scope.spawn(move || {
                    let repository = format!("r{pusher}");
                    for round in 0..60_usize {
                        let tag: Tag = format!("t{}", round % 3).parse().unwrap();
                        store.image(&repository, Some(tag.as_str()), &layers[round % 4], "");
                        let reference = Reference::Tag(tag.clone());
                        let stored = store.registry.manifest(&name(&repository), &reference).unwrap();
                        for blob in &stored.manifest.blobs {
                            assert!(store.data(blob));
                        }
                        if round % 5 == 0 {
                            store.untag(&repository, tag.as_str());
                        }
                    }
                })
            })
            .collect();
        while pushers.iter().any(|pusher| !pusher.is_finished()) {
            store.collect(options);
        }
    });
}
