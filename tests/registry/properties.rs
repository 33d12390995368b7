//! Properties of the registry's words and of uploads, over random values: what holds for all of them.
//!
//! `PROPTEST_CASES` says how many are tried.

use bytes::Bytes;
use proptest::prelude::*;
use regdeploy::registry::content::{Registry, UploadError};
use regdeploy::registry::digest::{Algorithm, Digest, Hasher};
use regdeploy::registry::name::{Reference, RepositoryName, Tag, UploadId};
use regdeploy::registry::range::{Wanted, chunk, wanted};
use regdeploy::registry::storage::Filesystem;
use regex::Regex;
use std::sync::Arc;

/// The grammars as distribution-spec has them.
const NAME: &str = r"^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$";
const TAG: &str = r"^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$";

fn algorithm() -> impl Strategy<Value = Algorithm> {
    prop::sample::select(Algorithm::ALL.to_vec())
}

/// What RFC 9110 makes of one range of bytes.
fn expected(first: Option<u64>, last: Option<u64>, length: u64) -> Wanted {
    let (start, end) = match (first, last) {
        (Some(first), Some(last)) => (first, last.saturating_add(1).min(length)),
        (Some(first), None) => (first, length),
        (None, Some(count)) => (length - count.min(length), length),
        (None, None) => return Wanted::Whole,
    };
    if start < end {
        Wanted::Part { start, end }
    } else {
        Wanted::Unsatisfiable
    }
}

proptest! {
    #[test]
    fn item_12_ranges(first in any::<Option<u64>>(), last in any::<Option<u64>>(), length in any::<u64>(), small in 0_u64..50) {
        let text = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
        for length in [length, small] {
            for (first, last) in [(first, last), (first.map(|n| n % 60), last.map(|n| n % 60))] {
                let header = format!("bytes={}-{}", text(first), text(last));
                prop_assert_eq!(wanted(&header, length), expected(first, last, length), "{} of {}", header, length);
            }
        }
    }

    #[test]
    fn item_17_chunks(start in any::<u64>(), length in 1_u64..u64::MAX) {
        let Some(end) = start.checked_add(length) else { return Ok(()) };
        let plain = format!("{start}-{}", end - 1);
        prop_assert_eq!(chunk(&plain), Some((start, end)));
        prop_assert_eq!(chunk(&format!("bytes {plain}/*")), Some((start, end)));
        if start > 0 {
            prop_assert_eq!(chunk(&format!("{start}-{}", start - 1)), None);
        }
    }

    #[test]
    fn nothing_panics_on_any_text(text in any::<String>(), length in any::<u64>()) {
        wanted(&text, length);
        chunk(&text);
        let _ = text.parse::<Digest>();
        let _ = text.parse::<Reference>();
        let _ = text.parse::<UploadId>();
    }

    #[test]
    fn item_2_names_that_the_grammar_makes(text in r"[a-z0-9]{1,4}((\.|_|__|-{1,3})[a-z0-9]{1,3}){0,3}(/[a-z0-9]{1,3}((\.|_|__|-{1,3})[a-z0-9]{1,3}){0,2}){0,6}") {
        let name = text.parse::<RepositoryName>();
        prop_assert_eq!(name.is_ok(), text.len() <= 255);
        prop_assert!(name.map_or(true, |name| name.as_str() == text));
    }

    #[test]
    fn item_2_names_that_only_look_like_it(text in "[a-zA-B0-1._/-]{0,12}") {
        let grammar = Regex::new(NAME).unwrap();
        prop_assert_eq!(text.parse::<RepositoryName>().is_ok(), grammar.is_match(&text), "{}", text);
        let grammar = Regex::new(TAG).unwrap();
        prop_assert_eq!(text.parse::<Tag>().is_ok(), grammar.is_match(&text), "{}", text);
    }

    #[test]
    fn item_2_tags_of_any_length(text in "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,160}") {
        prop_assert_eq!(text.parse::<Tag>().is_ok(), text.len() <= 128);
    }

    #[test]
    fn digests_are_what_is_hashed_in_any_pieces(data in prop::collection::vec(any::<u8>(), 0..2000), piece in 1_usize..300, algorithm in algorithm()) {
        let mut hasher = Hasher::new(algorithm);
        data.chunks(piece).for_each(|piece| hasher.update(piece));
        let digest = hasher.finish();
        prop_assert_eq!(&digest, &Digest::of(algorithm, &data));
        prop_assert_eq!(digest.to_string().parse::<Digest>(), Ok(digest.clone()));
        prop_assert_eq!(digest.hex().len(), algorithm.hex_length());
        // No digit can be another one, and none can be missing.
        let upper = digest.to_string().to_uppercase();
        prop_assert!(upper.parse::<Digest>().is_err());
        prop_assert!(digest.as_str()[..digest.as_str().len() - 1].parse::<Digest>().is_err());
    }
}

/// What can happen to an upload.
#[derive(Debug, Clone)]
enum Step {
    Append(Vec<Vec<u8>>),
    /// The process ends and another one goes on.
    Restart,
    Status,
    /// The client says which algorithm it will use; only at the start has that an effect.
    Expect(Algorithm),
    /// Another upload of the same repository comes and goes.
    Neighbour,
}

#[derive(Debug, Clone, Copy)]
enum End {
    Finish(Algorithm),
    Wrong(Algorithm),
    Cancel,
}

fn step() -> impl Strategy<Value = Step> {
    let piece = prop::collection::vec(any::<u8>(), 0..200);
    prop_oneof![
        4 => prop::collection::vec(piece, 0..4).prop_map(Step::Append),
        1 => Just(Step::Restart),
        1 => Just(Step::Status),
        1 => algorithm().prop_map(Step::Expect),
        1 => Just(Step::Neighbour),
    ]
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        3 => algorithm().prop_map(End::Finish),
        1 => algorithm().prop_map(End::Wrong),
        1 => Just(End::Cancel),
    ]
}

fn open(folder: &tempfile::TempDir) -> Arc<Registry> {
    Arc::new(Registry::new(Arc::new(Filesystem::new(folder.path()).unwrap())))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.min(96), ..ProptestConfig::default() })]

    /// The real content layer on a real folder, against a vector of bytes.
    #[test]
    fn item_17_uploads_are_what_was_appended(steps in prop::collection::vec(step(), 0..10), end in end()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(play(steps, end))?;
    }
}

async fn play(steps: Vec<Step>, end: End) -> Result<(), TestCaseError> {
    let folder = tempfile::tempdir().unwrap();
    let name: RepositoryName = "model/a".parse().unwrap();
    let mut registry = open(&folder);
    let id = registry.start_upload(&name).unwrap();
    let mut model: Vec<u8> = Vec::new();
    for step in steps {
        match step {
            Step::Append(pieces) => {
                let mut upload = registry.upload_turn(&name, &id).await.unwrap();
                model.extend(pieces.concat());
                let pieces: Vec<Bytes> = pieces.into_iter().map(Bytes::from).collect();
                upload.append(&pieces).unwrap();
                prop_assert_eq!(upload.size(), model.len() as u64);
            }
            Step::Restart => registry = open(&folder),
            Step::Status => prop_assert_eq!(registry.upload_size(&name, &id).unwrap(), model.len() as u64),
            Step::Expect(algorithm) => registry.upload_turn(&name, &id).await.unwrap().expect(algorithm),
            Step::Neighbour => {
                let other = registry.start_upload(&name).unwrap();
                let mut upload = registry.upload_turn(&name, &other).await.unwrap();
                upload.append(&[Bytes::from_static(b"other")]).unwrap();
                let digest = Digest::of(Algorithm::Sha256, b"other");
                registry.finish_upload(upload, &digest).unwrap();
            }
        }
    }
    let upload = registry.upload_turn(&name, &id).await.unwrap();
    match end {
        End::Finish(algorithm) => {
            let digest = Digest::of(algorithm, &model);
            registry.finish_upload(upload, &digest).unwrap();
            let blob = open(&folder).blob(&name, &digest).unwrap();
            prop_assert_eq!(blob.size(), model.len() as u64);
            if !model.is_empty() {
                prop_assert_eq!(blob.read_at(0, model.len()).unwrap(), model);
            }
        }
        End::Wrong(algorithm) => {
            let digest = Digest::of(algorithm, &[&model, b"more".as_slice()].concat());
            prop_assert!(registry.finish_upload(upload, &digest).is_err());
            prop_assert!(registry.blob(&name, &digest).is_err());
        }
        End::Cancel => registry.cancel_upload(upload).unwrap(),
    }
    let gone = registry.upload_turn(&name, &id).await;
    prop_assert!(matches!(gone, Err(UploadError::Unknown)));
    Ok(())
}
