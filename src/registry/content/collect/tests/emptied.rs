//! What is left of repositories, tags and indexes when what was in them goes; and who begins anew just then.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::*;
use crate::registry::content::ContentError;
use crate::registry::digest::Hasher;

fn catalog(store: &Store) -> Vec<String> {
    store.registry.catalog(None, 99).unwrap()
}

fn folder_of(store: &Store, repository: &str) -> std::path::PathBuf {
    let repositories = store.folder.path().join("docker/registry/v2/repositories");
    repositories.join(repository)
}

fn delete(store: &Store, repository: &str, digest: &Digest) {
    let reference = Reference::Digest(digest.clone());
    store
        .registry
        .delete_manifest(&name(repository), &reference)
        .unwrap();
}

#[test]
fn a_repository_in_which_nothing_is_left_goes_with_the_folders_above_it() {
    let store = store();
    let below = store.image("a/b/c", Some("v1"), b"layer", "");
    let above = store.image("a", Some("v1"), b"layer", "");
    let other = store.image("other", Some("v1"), b"layer", "");
    delete(&store, "a/b/c", &below);
    let dry = store.collect(Options { dry_run: true, ..NOW });
    assert_eq!(
        (dry.emptied, dry.removed.links),
        (0, 2),
        "links are left while nothing is done"
    );
    assert_eq!(store.collect(NOW).emptied, 1);
    assert_eq!(catalog(&store), ["a", "other"]);
    assert!(!folder_of(&store, "a/b").exists());
    // One that holds another repository leaves its folder.
    let again = store.image("a/b/c", Some("v1"), b"layer", "");
    delete(&store, "a", &above);
    assert_eq!(store.collect(NOW).emptied, 1);
    assert_eq!(catalog(&store), ["a/b/c", "other"]);
    assert!(store.has("a/b/c", &again) && store.has("other", &other));
    delete(&store, "a/b/c", &again);
    assert_eq!(store.collect(NOW).emptied, 1);
    assert!(!folder_of(&store, "a").exists());
}

#[test]
fn a_repository_that_still_has_something_stays() {
    let store = store();
    // An upload, a tag that names what is gone, a file of somebody else's, and one that another program just made.
    let upload = store.registry.start_upload(&name("upload")).unwrap();
    let image = store.image("tag", Some("v1"), b"layer", "");
    let revision = paths::revision(&name("tag"), &image);
    store.registry.storage.delete(&revision).unwrap();
    for folder in ["foreign/_layers/sha256", "foreign/_signatures", "fresh/_layers"] {
        std::fs::create_dir_all(folder_of(&store, folder)).unwrap();
    }
    let soon = std::time::SystemTime::now() + Duration::from_mins(1);
    let fresh = std::fs::File::open(folder_of(&store, "fresh")).unwrap();
    fresh.set_modified(soon).unwrap();
    assert_eq!(store.collect(UNTAGGED).emptied, 0);
    for there in [
        "upload/_uploads",
        "tag/_manifests/tags/v1/current",
        "foreign/_signatures",
        "fresh/_layers",
    ] {
        assert!(folder_of(&store, there).exists(), "{there}");
    }
    assert_eq!(store.registry.upload_size(&name("upload"), &upload).unwrap(), 0);
}

#[test]
fn what_distribution_has_deleted_keeps_nothing() {
    // It deletes the link of a manifest, or of a blob, and leaves the folder; the data is its collector's.
    let store = store();
    let image = store.image("a", Some("v1"), b"layer", "");
    let keys = [
        paths::revision_link(&name("a"), &image),
        paths::tag(&name("a"), &"v1".parse().unwrap()),
    ];
    for key in keys {
        store.registry.storage.delete(&key).unwrap();
    }
    let done = store.collect(NOW);
    assert_eq!(
        (done.manifests, done.removed.links, done.removed.blobs),
        (0, 2, 3)
    );
    assert_eq!((done.unreadable.len(), done.emptied), (0, 1));
    assert!(!folder_of(&store, "a").exists());
}

#[test]
fn tags_forget_what_is_gone() {
    let store = store();
    let old = store.image("a", Some("v1"), b"old", "");
    let new = store.image("a", Some("v1"), b"new", "");
    let history = || {
        let folder = paths::tag_history(&name("a"), &"v1".parse().unwrap(), Algorithm::Sha256);
        store.registry.storage.list(&folder, None, 99).unwrap()
    };
    assert_eq!((store.collect(NOW).forgotten, history().len()), (0, 2));
    let done = store.collect(UNTAGGED);
    assert_eq!((done.removed.manifests, done.forgotten), (1, 1));
    assert_eq!(history(), [new.hex()]);
    assert!(!store.has("a", &old) && store.has("a", &new));
    // What a push that a crash has cut off leaves of its tag.
    std::fs::remove_dir_all(folder_of(&store, "a/_manifests/tags/v1/current")).unwrap();
    store.collect(UNTAGGED);
    assert_eq!(store.collect(UNTAGGED).removed, Tally::default());
    assert!(!folder_of(&store, "a").exists());
}

#[test]
fn an_index_that_somebody_asks_for_keeps_what_it_lists() {
    let hour = Options {
        untagged: true,
        ..HOUR
    };
    let store = store();
    let children = [b"one", b"two"].map(|layer| store.image("a", None, layer, ""));
    let index = store.index("a", "multi", &[&children[0], &children[1]]);
    let alone = store.image("a", None, b"alone", "");
    store.untag("a", "multi");
    assert_eq!(store.collect(hour).condemned.manifests, 4);
    let store = store.age(4000);
    assert!(store.has("a", &index));
    let done = store.collect(hour);
    assert_eq!(
        (
            done.removed.manifests,
            done.condemned.manifests,
            done.waiting.manifests
        ),
        (1, 1, 2)
    );
    assert!(!store.has("a", &alone));
    for child in &children {
        assert!(store.has("a", child), "{child}");
    }
}

/// The end of one push and the beginning of the next in the same repository, and in one below it, while a collector
/// takes away what is between them. Without a grace a manifest may come too late for its blobs; nothing else may fail.
#[test]
fn who_pushes_into_a_repository_that_goes_is_not_harmed() {
    const ROUNDS: u32 = 150;
    let store = store();
    let (done, late, emptied) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                emptied.fetch_add(store.collect(UNTAGGED).emptied, Ordering::Relaxed);
            }
        });
        let pushers: Vec<_> = ["a", "a/b", "a/b/c"]
            .into_iter()
            .map(|repository| {
                let (store, late) = (&store, &late);
                scope.spawn(move || {
                    (0..ROUNDS).for_each(|round| {
                        late.fetch_add(
                            u64::from(!push_and_delete(store, repository, round)),
                            Ordering::Relaxed,
                        );
                    });
                })
            })
            .collect();
        for pusher in pushers {
            pusher.join().unwrap();
        }
        done.store(true, Ordering::Relaxed);
    });
    let (late, emptied) = (late.into_inner(), emptied.into_inner());
    println!("{late} late, {emptied} repositories emptied");
    assert!(late < 3 * u64::from(ROUNDS), "none came in time");
    assert!(emptied > 0, "the collector had nothing to do with it");
    store.collect(UNTAGGED);
    assert_eq!(catalog(&store), Vec::<String>::new());
    assert!(!folder_of(&store, "a").exists());
}

/// An upload that is begun is there until it ends. False where the manifest was late.
fn push_and_delete(store: &Store, repository: &str, round: u32) -> bool {
    let (registry, name) = (&store.registry, name(repository));
    let content = format!("{repository} {round}");
    let digest = Digest::of(Algorithm::Sha256, content.as_bytes());
    let id = registry.start_upload(&name).unwrap();
    assert_eq!(
        registry.upload_size(&name, &id).unwrap(),
        0,
        "{repository} {round}"
    );
    let key = paths::upload_data(&name, &id);
    registry
        .storage
        .append(&key)
        .unwrap()
        .append(content.as_bytes())
        .unwrap();
    let mut hasher = Hasher::new(Algorithm::Sha256);
    hasher.update(&registry.storage.read(&key, 99).unwrap());
    assert_eq!(hasher.finish(), digest);
    registry.storage.discard(&paths::upload(&name, &id)).unwrap();

    let (blob, _) = registry
        .take_blob(&name, &mut content.as_bytes(), Some(&digest))
        .unwrap();
    let text = format!(r#"{{"schemaVersion":2,"config":{{"digest":"{blob}"}},"layers":[]}}"#);
    let pushed = match registry.put_manifest(&name, &tag("v1"), &[], text.as_bytes(), None) {
        Ok((pushed, _)) => pushed,
        Err(ContentError::ReferencesMissing(_)) => return false,
        Err(error) => panic!("{repository} {round}: {error}"),
    };
    let found = registry.manifest(&name, &tag("v1")).unwrap();
    assert_eq!(found.digest, pushed);
    assert!(registry.is_repository(&name).unwrap());
    assert!(
        registry.has_blob(&name, &blob).unwrap() && store.data(&blob),
        "{repository} {round}"
    );
    delete(store, repository, &pushed);
    true
}
