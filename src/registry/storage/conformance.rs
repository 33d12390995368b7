//! What every driver must do: one function, called by each driver's test.

use std::sync::Barrier;

use super::{Step, Storage, StorageError, paths};
use crate::registry::digest::{Algorithm, Digest};
use crate::registry::name::{RepositoryName, UploadId};

/// Puts an empty store through all that the registry relies on.
pub fn check(storage: &dyn Storage) {
    objects(storage);
    growing(storage);
    committing(storage);
    stamps(storage);
    listing(storage);
    deleting(storage);
    races(storage);
}

fn name(text: &str) -> RepositoryName {
    text.parse().unwrap()
}

fn objects(storage: &dyn Storage) {
    let key = paths::blob(&Digest::of(Algorithm::Sha256, b"objects"));
    assert!(storage.read(&key, 9).unwrap_err().is_not_found());
    assert!(storage.open(&key).err().unwrap().is_not_found());
    assert!(!storage.exists(&key).unwrap());

    storage.write(&key, b"one").unwrap();
    assert_eq!(storage.read(&key, 3).unwrap(), "one");
    assert!(matches!(
        storage.read(&key, 2),
        Err(StorageError::TooLarge {
            size: 3,
            limit: 2,
            ..
        })
    ));
    assert!(storage.exists(&key).unwrap());

    let opened = storage.open(&key).unwrap();
    storage.write(&key, b"another").unwrap();
    assert_eq!(storage.read(&key, 99).unwrap(), "another");
    assert_eq!(opened.size(), 3);
    assert_eq!(
        opened.read_at(1, 99).unwrap(),
        "ne",
        "what was opened stays what it was"
    );
    assert!(opened.read_at(3, 1).is_err(), "nothing lies behind the end");

    let empty = paths::blob(&Digest::of(Algorithm::Sha512, b"empty"));
    storage.write(&empty, b"").unwrap();
    assert_eq!(storage.read(&empty, 0).unwrap(), "");
}

fn growing(storage: &dyn Storage) {
    let (repository, id) = (name("grow/ing"), UploadId::random());
    let from = paths::upload_data(&repository, &id);
    let to = paths::blob(&Digest::of(Algorithm::Sha256, b"grown"));
    assert!(storage.append(&from).err().unwrap().is_not_found());

    let mut object = storage.create(&from).unwrap();
    object.append(b"grow").unwrap();
    assert_eq!(object.size(), 4);
    drop(object);
    assert!(storage.create(&from).is_err(), "an object is started once");

    let mut object = storage.append(&from).unwrap();
    assert_eq!(object.size(), 4);
    object.append(b"n").unwrap();
    drop(object);
    assert_eq!(storage.open(&from).unwrap().size(), 5);

    storage.write(&to, b"damaged").unwrap();
    let publish = [Step::Publish {
        from: from.clone(),
        to: to.clone(),
    }];
    storage.commit(&publish).unwrap();
    assert_eq!(storage.read(&to, 9).unwrap(), "grown", "publishing replaces");
    assert!(!storage.exists(&from).unwrap());
    assert!(storage.commit(&publish).unwrap_err().is_not_found());
}

/// Steps happen in order; where one fails, none of those behind it has.
fn committing(storage: &dyn Storage) {
    storage.commit(&[]).unwrap();
    let repository = name("commit");
    let [one, two, three] = [b"1", b"2", b"3"].map(|content| Digest::of(Algorithm::Sha256, content));
    let write = |digest: &Digest, content: &'static str| Step::Write {
        key: paths::layer_link(&repository, digest),
        content: content.into(),
    };
    let read = |digest| storage.read(&paths::layer_link(&repository, digest), 9);
    storage
        .commit(&[write(&one, "a"), write(&two, "b"), write(&one, "c")])
        .unwrap();
    assert_eq!(
        (read(&one).unwrap(), read(&two).unwrap()),
        ("c".into(), "b".into())
    );

    let gone = Step::Publish {
        from: paths::upload_data(&repository, &UploadId::random()),
        to: paths::blob(&three),
    };
    let failed = storage.commit(&[write(&two, "d"), gone, write(&three, "e")]);
    assert!(failed.unwrap_err().is_not_found());
    assert!(read(&three).unwrap_err().is_not_found());
    assert_eq!(
        read(&two).unwrap(),
        "b",
        "what is missing is found out before anything is done"
    );
}

fn stamps(storage: &dyn Storage) {
    let repository = name("stamps");
    let digest = Digest::of(Algorithm::Sha256, b"stamps");
    let (key, folder) = (
        paths::layer_link(&repository, &digest),
        paths::layer(&repository, &digest),
    );
    assert!(storage.stamp(&key).unwrap_err().is_not_found());
    storage.write(&key, b"one").unwrap();
    let (file, names) = (storage.stamp(&key).unwrap(), storage.stamp(&folder).unwrap());
    assert_eq!(file.size(), 3);
    assert!(!file.has_settled(), "the next write might leave the same");
    assert_eq!(storage.stamp(&key).unwrap(), file);
    assert_eq!(storage.stamp(&folder).unwrap(), names);
    let below = |names: &[&'static str]| storage.stamps(&folder, &mut names.iter().copied()).unwrap();
    assert_eq!(below(&["none", "link"]), [None, Some(file)]);
    let nowhere = paths::layer(&name("nowhere"), &digest);
    assert_eq!(
        storage.stamps(&nowhere, &mut ["link"].into_iter()).unwrap(),
        [None]
    );
    storage.write(&key, b"more").unwrap();
    assert_ne!(storage.stamp(&key).unwrap(), file);
    storage.discard(&key).unwrap();
    storage.discard(&key).unwrap();
    assert!(!storage.exists(&key).unwrap());
}

fn listing(storage: &dyn Storage) {
    let folder = paths::repository(&name("list"));
    assert_eq!(storage.list(&folder, None, 9).unwrap(), Vec::<String>::new());
    for child in ["list/b", "list/a", "list/a-b", "list/c", "list/a/deep"] {
        let digest = Digest::of(Algorithm::Sha256, child.as_bytes());
        storage
            .write(&paths::layer_link(&name(child), &digest), b"x")
            .unwrap();
    }
    assert_eq!(storage.list(&folder, None, 9).unwrap(), ["a", "a-b", "b", "c"]);
    assert_eq!(storage.list(&folder, Some("a"), 2).unwrap(), ["a-b", "b"]);
    assert_eq!(storage.list(&folder, Some("aa"), 9).unwrap(), ["b", "c"]);
    assert_eq!(storage.list(&folder, None, 0).unwrap(), Vec::<String>::new());
}

fn deleting(storage: &dyn Storage) {
    let repository = name("deleting");
    let digest = Digest::of(Algorithm::Sha256, b"deleting");
    let link = paths::layer_link(&repository, &digest);
    storage.write(&link, b"x").unwrap();
    storage.delete(&paths::layer(&repository, &digest)).unwrap();
    assert!(!storage.exists(&link).unwrap());
    storage.delete(&paths::layer(&repository, &digest)).unwrap();
    storage.write(&link, b"y").unwrap();
    storage.delete(&link).unwrap();
    assert!(storage.read(&link, 9).unwrap_err().is_not_found());

    storage.write(&link, b"zz").unwrap();
    let stat = storage.stat(&link).unwrap().unwrap();
    assert!(stat.size == 2 && stat.modified > 1_500_000_000, "{stat:?}");
    storage.discard(&paths::layer(&repository, &digest)).unwrap();
    storage.discard(&paths::layer(&repository, &digest)).unwrap();
    assert_eq!(storage.stat(&link).unwrap(), None);
    for folder in [
        paths::layers_of(&repository, Algorithm::Sha256),
        paths::layers_of(&name("never"), Algorithm::Sha256),
    ] {
        storage.settle(&folder).unwrap();
    }
    if let Some(space) = storage.space().unwrap() {
        assert!(space.free <= space.total, "{space:?}");
    }
}

/// Writers of one key at the same time: each succeeds, and one of them wins whole.
fn races(storage: &dyn Storage) {
    const WRITERS: u8 = 8;
    let key = paths::layer_link(&name("race"), &Digest::of(Algorithm::Sha256, b"race"));
    let start = Barrier::new(usize::from(WRITERS));
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (key, start) = (&key, &start);
            scope.spawn(move || {
                start.wait();
                storage.write(key, &[writer; 4096]).unwrap();
            });
        }
    });
    let winner = storage.read(&key, 4096).unwrap();
    assert_eq!(winner.len(), 4096);
    assert!(winner.iter().all(|byte| *byte == winner[0]));
}
