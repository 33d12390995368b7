//! Content on a real folder, without HTTP.

use bytes::Bytes;

use super::*;
use crate::registry::digest::Algorithm;
use crate::registry::name::{Reference, Tag, UploadId};
use crate::registry::storage::Filesystem;

fn registry(folder: &tempfile::TempDir) -> Arc<Registry> {
    Arc::new(Registry::new(Arc::new(Filesystem::new(folder.path()).unwrap())))
}

fn name(text: &str) -> RepositoryName {
    text.parse().unwrap()
}

fn sha256(data: &[u8]) -> Digest {
    Digest::of(Algorithm::Sha256, data)
}

async fn append(registry: &Arc<Registry>, repository: &RepositoryName, id: &UploadId, data: &'static [u8]) {
    let mut upload = registry.upload_turn(repository, id).await.unwrap();
    upload.append(&[Bytes::from_static(data)]).unwrap();
}

async fn push_blob(registry: &Arc<Registry>, repository: &RepositoryName, data: &'static [u8]) -> Digest {
    let id = registry.start_upload(repository).unwrap();
    append(registry, repository, &id, data).await;
    let upload = registry.upload_turn(repository, &id).await.unwrap();
    registry.finish_upload(upload, &sha256(data)).unwrap();
    sha256(data)
}

#[tokio::test]
async fn an_upload_goes_on_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (first, repository) = (registry(&folder), name("a"));
    let id = first.start_upload(&repository).unwrap();
    append(&first, &repository, &id, b"one ").await;
    drop(first);

    let second = registry(&folder);
    assert_eq!(second.upload_size(&repository, &id).unwrap(), 4);
    append(&second, &repository, &id, b"two").await;
    let upload = second.upload_turn(&repository, &id).await.unwrap();
    second.finish_upload(upload, &sha256(b"one two")).unwrap();
    assert_eq!(second.blob(&repository, &sha256(b"one two")).unwrap().size(), 7);
    assert!(matches!(
        second.upload_turn(&repository, &id).await,
        Err(UploadError::Unknown)
    ));
}

#[tokio::test]
async fn another_algorithm_at_the_end_is_hashed_from_the_data() {
    let folder = tempfile::tempdir().unwrap();
    let (registry, repository) = (registry(&folder), name("a"));
    let id = registry.start_upload(&repository).unwrap();
    append(&registry, &repository, &id, b"data").await;
    let digest = Digest::of(Algorithm::Sha512, b"data");
    let upload = registry.upload_turn(&repository, &id).await.unwrap();
    registry.finish_upload(upload, &digest).unwrap();
    assert!(registry.has_blob(&repository, &digest).unwrap());
}

#[tokio::test]
async fn a_wrong_digest_stores_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (registry, repository) = (registry(&folder), name("a"));
    let id = registry.start_upload(&repository).unwrap();
    append(&registry, &repository, &id, b"data").await;
    let upload = registry.upload_turn(&repository, &id).await.unwrap();
    assert!(matches!(
        registry.finish_upload(upload, &sha256(b"other")),
        Err(UploadError::Content(ContentError::DigestMismatch { .. }))
    ));
    assert!(!registry.has_blob(&repository, &sha256(b"data")).unwrap());
    assert!(!registry.has_blob(&repository, &sha256(b"other")).unwrap());
    assert!(matches!(
        registry.upload_size(&repository, &id),
        Err(UploadError::Unknown)
    ));
}

#[tokio::test]
async fn an_upload_outlives_a_failure_of_the_storage() {
    let folder = tempfile::tempdir().unwrap();
    let (registry, repository) = (registry(&folder), name("a"));
    let id = registry.start_upload(&repository).unwrap();
    append(&registry, &repository, &id, b"data").await;
    // A file where the folder of all blobs should go.
    let blobs = folder.path().join("docker/registry/v2/blobs");
    std::fs::write(&blobs, "").unwrap();
    let upload = registry.upload_turn(&repository, &id).await.unwrap();
    assert!(registry.finish_upload(upload, &sha256(b"data")).is_err());
    std::fs::remove_file(&blobs).unwrap();
    let upload = registry.upload_turn(&repository, &id).await.unwrap();
    registry.finish_upload(upload, &sha256(b"data")).unwrap();
    assert!(registry.has_blob(&repository, &sha256(b"data")).unwrap());
}

#[tokio::test]
async fn writers_of_one_upload_take_turns() {
    let folder = tempfile::tempdir().unwrap();
    let (registry, repository) = (registry(&folder), name("a"));
    let id = registry.start_upload(&repository).unwrap();
    let mut tasks = Vec::new();
    for _ in 0..8 {
        let (registry, repository, id) = (Arc::clone(&registry), repository.clone(), id.clone());
        tasks.push(tokio::spawn(async move {
            append(&registry, &repository, &id, b"12345678").await;
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let upload = registry.upload_turn(&repository, &id).await.unwrap();
    registry
        .finish_upload(upload, &sha256(&b"12345678".repeat(8)))
        .unwrap();
}

#[tokio::test]
async fn a_pushed_blob_heals_a_damaged_one() {
    let folder = tempfile::tempdir().unwrap();
    let (registry, repository) = (registry(&folder), name("a"));
    let digest = push_blob(&registry, &repository, b"sound").await;
    registry
        .storage
        .write(&crate::registry::storage::paths::blob(&digest), b"damaged")
        .unwrap();
    push_blob(&registry, &repository, b"sound").await;
    let blob = registry.blob(&repository, &digest).unwrap();
    assert_eq!(blob.read_at(0, 99).unwrap(), "sound");
}

#[tokio::test]
async fn deleting_a_manifest_takes_its_tags() {
    let folder = tempfile::tempdir().unwrap();
    let (registry, repository) = (registry(&folder), name("a"));
    let index = br#"{"schemaVersion":2,"manifests":[]}"#;
    let tags: Vec<Tag> = ["v2", "v3"].map(|tag| tag.parse().unwrap()).into();
    let v1 = Reference::Tag("v1".parse().unwrap());
    let (digest, _) = registry
        .put_manifest(&repository, &v1, &tags, index, None)
        .unwrap();
    assert_eq!(registry.tags(&repository, None, 9).unwrap(), ["v1", "v2", "v3"]);
    registry.delete_manifest(&repository, &v1).unwrap();
    assert_eq!(registry.tags(&repository, None, 9).unwrap(), ["v2", "v3"]);
    registry
        .delete_manifest(&repository, &Reference::Digest(digest))
        .unwrap();
    assert_eq!(registry.tags(&repository, None, 9).unwrap(), Vec::<String>::new());
    assert!(matches!(
        registry.manifest(&repository, &Reference::Tag("v2".parse().unwrap())),
        Err(ContentError::ManifestUnknown)
    ));
}

#[tokio::test]
async fn a_half_written_tag_is_not_listed_and_hides_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let (registry, repository) = (registry(&folder), name("a"));
    let index = br#"{"schemaVersion":2,"manifests":[]}"#;
    let tags: Vec<Tag> = ["a", "b", "c"].map(|tag| tag.parse().unwrap()).into();
    let (digest, _) = registry
        .put_manifest(&repository, &Reference::Tag(tags[0].clone()), &tags, index, None)
        .unwrap();
    let current = crate::registry::storage::paths::tag_current(&repository, &tags[0]);
    registry.storage.delete(&current).unwrap();
    assert_eq!(registry.tags(&repository, None, 2).unwrap(), ["b", "c"]);
    assert_eq!(registry.tags_of(&repository, &digest).unwrap(), tags[1..]);
}

#[tokio::test]
async fn the_catalog_pages_in_the_order_of_full_names() {
    let folder = tempfile::tempdir().unwrap();
    let registry = registry(&folder);
    let names = ["a", "a-b", "a.b/x", "a/b", "a/b/c", "a0", "b/deep/er"];
    for repository in names {
        push_blob(&registry, &name(repository), b"x").await;
    }
    assert_eq!(registry.catalog(None, 99).unwrap(), names);
    for size in 1..=names.len() {
        let (mut seen, mut last) = (Vec::new(), None);
        loop {
            let page = registry.catalog(last.as_deref(), size).unwrap();
            assert!(page.len() <= size);
            let Some(end) = page.last() else { break };
            last = Some(end.clone());
            seen.extend(page);
        }
        assert_eq!(seen, names, "pages of {size}");
    }
    assert_eq!(registry.catalog(Some("a/a"), 1).unwrap(), ["a/b"]);
}

/// Only what a page can come from is looked at.
#[tokio::test]
async fn a_page_of_the_catalog_is_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, other) = (registry(&folder), registry(&folder));
    for repository in ["a/a", "a/b", "b", "c/a", "d"] {
        push_blob(&other, &name(repository), b"x").await;
    }
    std::thread::sleep(std::time::Duration::from_millis(2100));
    assert_eq!(ours.catalog(None, 9).unwrap(), ["a/a", "a/b", "b", "c/a", "d"]);
    push_blob(&other, &name("a/a/x"), b"x").await;
    assert_eq!(ours.catalog(None, 2).unwrap(), ["a/a", "a/a/x"]);
    // What has gone makes room for what was not looked at, and may have gone too.
    for gone in ["a/a", "c"] {
        let key = crate::registry::storage::paths::repository(&name(gone));
        std::fs::remove_dir_all(folder.path().join(key.as_str())).unwrap();
    }
    assert_eq!(ours.catalog(None, 3).unwrap(), ["a/b", "b", "d"]);
    // What this process writes shows on later pages, too.
    push_blob(&ours, &name("c/b"), b"x").await;
    assert_eq!(ours.catalog(Some("b"), 2).unwrap(), ["c/b", "d"]);
}

/// Two registries on one folder: what one remembers never hides what the other has written.
#[tokio::test]
async fn what_another_process_writes_shows_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, other) = (registry(&folder), registry(&folder));
    let (a, deep) = (name("a"), name("deep/er"));
    let tag = |text: &str| Reference::Tag(text.parse().unwrap());
    let put = |repository: &RepositoryName, reference: &str, more: &str| {
        let index = format!(r#"{{"schemaVersion":2,{more}"manifests":[]}}"#);
        let put = other.put_manifest(repository, &tag(reference), &[], index.as_bytes(), None);
        put.unwrap().0
    };
    let first = put(&a, "v1", "");
    let refers = format!(r#""subject":{{"digest":"{first}"}},"#);
    let one = put(&a, "one", &refers);
    put(&deep, "v1", "");
    let referrers = || -> Vec<Digest> {
        let found = ours.referrers(&a, &first).unwrap();
        found.iter().map(|referrer| referrer.digest.clone()).collect()
    };
    let served = |reference: &str| ours.manifest(&a, &tag(reference)).unwrap().digest.clone();

    // Until then nothing is trusted, and so nothing remembered.
    std::thread::sleep(std::time::Duration::from_millis(2100));
    assert_eq!(ours.tags(&a, None, 9).unwrap(), ["one", "v1"]);
    assert_eq!(ours.catalog(None, 9).unwrap(), ["a", "deep/er"]);
    assert_eq!((served("v1"), referrers()), (first.clone(), vec![one.clone()]));
    assert_eq!(ours.known_manifest(&a, &tag("v1")).unwrap().digest, first);
    assert!(ours.tags.is_known(&a) && ours.referrers.is_known(&a));

    let second = put(&a, "v1", r#""annotations":{"a":"b"},"#);
    assert!(ours.known_manifest(&a, &tag("v1")).is_none());
    assert_eq!(served("v1"), second);
    put(&a, "v2", "");
    assert_eq!(ours.tags(&a, None, 9).unwrap(), ["one", "v1", "v2"]);
    put(&name("deep"), "v1", "");
    put(&name("deep/er/est"), "v1", "");
    assert_eq!(
        ours.catalog(None, 9).unwrap(),
        ["a", "deep", "deep/er", "deep/er/est"]
    );
    let two = put(&a, "two", &format!(r#"{refers}"annotations":{{"a":"b"}},"#));
    let mut both = vec![one.clone(), two.clone()];
    both.sort();
    assert_eq!(referrers(), both);

    // As distribution deletes: the link goes, its folder stays.
    let link = crate::registry::storage::paths::revision_link(&a, &one);
    std::fs::remove_file(folder.path().join(link.as_str())).unwrap();
    assert_eq!(referrers(), [two]);
    other.delete_manifest(&a, &tag("v2")).unwrap();
    assert_eq!(ours.tags(&a, None, 9).unwrap(), ["one", "two", "v1"]);
    other
        .delete_manifest(&a, &Reference::Digest(second.clone()))
        .unwrap();
    assert!(ours.manifest(&a, &tag("v1")).is_err());
    assert!(ours.manifest(&a, &Reference::Digest(second)).is_err());
}
