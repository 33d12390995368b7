//! `/v2/<name>/blobs/<digest>`

use std::sync::Arc;

use hyper::header::{self, HeaderValue};
use hyper::{Method, StatusCode};

use super::body::Body;
use super::manifests::is_current;
use super::{Answer, Asked, mirrored, respond};
use crate::registry::digest::Digest;
use crate::registry::error::{ApiError, Problem};
use crate::registry::events::{Action, Target};
use crate::registry::name::{Reference, RepositoryName};
use crate::registry::range::{self, Wanted};
use crate::registry::storage::Content;

/// What a digest names never changes: a year is the longest that caches honour.
const FOREVER: HeaderValue = HeaderValue::from_static("max-age=31536000");

pub async fn get(asked: &mut Asked<'_>, name: RepositoryName, digest: Digest) -> Answer {
    if let Some(mirrored) = asked.mirrored(&name) {
        let found = if asked.request.method() == Method::HEAD {
            mirrored.blob_there(&digest).await
        } else {
            mirrored.blob(&digest).await
        };
        let found = found.map_err(mirrored::refused(Problem::BlobUnknown))?;
        asked.record.upstream = Some(found.lookup());
        let size = found.size();
        return show(asked, &digest, size, |start, end| {
            mirrored::body(&mirrored, &digest, found, start, end)
        });
    }
    // The answer to HEAD has no body, and the length of one.
    if asked.request.method() == Method::HEAD {
        let size = size(asked, &name, &digest).await?;
        return show(asked, &digest, size, |start, end| Body::Omitted(end - start));
    }
    let content = open(asked, name, &digest).await?;
    let size = content.size();
    show(asked, &digest, size, |start, end| Body::blob(content, start, end))
}

/// The answer with as much of a blob of this size as is asked for; `part` makes its body.
fn show(asked: &Asked<'_>, digest: &Digest, size: u64, part: impl FnOnce(u64, u64) -> Body) -> Answer {
    let tag = format!("\"{digest}\"");
    let mut response = if is_current(asked, &tag) {
        respond::empty(StatusCode::NOT_MODIFIED)
    } else {
        match wanted(asked, &tag, size) {
            Wanted::Whole => respond::with_body(StatusCode::OK, part(0, size)),
            Wanted::Part { start, end } => {
                let body = part(start, end);
                let mut response = respond::with_body(StatusCode::PARTIAL_CONTENT, body);
                let range = format!("bytes {start}-{}/{size}", end - 1);
                respond::set(&mut response, header::CONTENT_RANGE, &range);
                response
            }
            Wanted::Unsatisfiable => {
                return Err(Problem::RangeInvalid
                    .detail(format!("the blob has {size} bytes"))
                    .header(header::CONTENT_RANGE, &format!("bytes */{size}")));
            }
        }
    };
    if response.status() != StatusCode::NOT_MODIFIED {
        asked.tell(Action::Pull, |name, _| Target::blob(name, digest, size));
    }
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CACHE_CONTROL, FOREVER);
    respond::set_digest(&mut response, digest);
    respond::set(&mut response, header::ETAG, &tag);
    Ok(response)
}

async fn size(asked: &Asked<'_>, name: &RepositoryName, digest: &Digest) -> Result<u64, ApiError> {
    if let Some(size) = asked.service.registry.known_blob_size(name, digest) {
        return Ok(size);
    }
    let (name, digest) = (name.clone(), digest.clone());
    asked
        .content(move |registry| registry.blob_size(&name, &digest))
        .await
}

async fn open(
    asked: &Asked<'_>,
    name: RepositoryName,
    digest: &Digest,
) -> Result<Arc<dyn Content>, ApiError> {
    if let Some(content) = asked.service.registry.known_blob(&name, digest) {
        return Ok(content);
    }
    let digest = digest.clone();
    asked.content(move |registry| registry.blob(&name, &digest)).await
}

fn wanted(asked: &Asked<'_>, tag: &str, size: u64) -> Wanted {
    // A part of something else than the client has begun with would be useless to it.
    let other = asked.header(header::IF_RANGE).is_some_and(|held| held != tag);
    // Ranges are GET's alone: HEAD tells of the whole.
    let ranges = asked.request.method() == Method::GET && !other;
    match asked.header(header::RANGE) {
        Some(range) if ranges => range::wanted(range, size),
        _ => Wanted::Whole,
    }
}

pub async fn delete(asked: &Asked<'_>, name: RepositoryName, digest: Digest) -> Answer {
    let unlinked = digest.clone();
    asked
        .content(move |registry| registry.delete_blob(&name, &unlinked))
        .await?;
    asked.tell(Action::Delete, |name, _| {
        Target::gone(name, &Reference::Digest(digest.clone()))
    });
    let mut response = respond::empty(StatusCode::ACCEPTED);
    respond::set_digest(&mut response, &digest);
    Ok(response)
}
