//! `/v2/<name>/blobs/uploads/`: blobs on their way in.
//!
//! Monolithic (POST with a digest, or POST and PUT), in chunks with `Content-Range`, streamed without,
//! or mounted from another repository.

use hyper::body::Body as _;
use hyper::header::{self, HeaderName};
use hyper::{Response, StatusCode};

use super::body::Body;
use super::{Answer, Asked, receive, respond};
use crate::registry::content::Upload;
use crate::registry::digest::Digest;
use crate::registry::error::{ApiError, Problem};
use crate::registry::events::{Action, Target};
use crate::registry::name::{RepositoryName, UploadId};
use crate::registry::range;
use crate::registry::route::Start;

const UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");
const CHUNK_MINIMUM: HeaderName = HeaderName::from_static("oci-chunk-min-length");

pub async fn start(asked: &mut Asked<'_>, name: RepositoryName, start: Start) -> Answer {
    match start {
        Start::Mount {
            digest,
            from: Some(from),
        } => {
            let room = asked.admit_mount(&name, &from, &digest).await?;
            let (into, wanted, source) = (name.clone(), digest.clone(), from.clone());
            let mounted = asked
                .content(move |registry| registry.mount(&into, &source, &wanted))
                .await?;
            if mounted {
                room.keep();
                mounted_from(asked, &from, &digest).await?;
                return Ok(created(asked, &name, &digest));
            }
        }
        Start::Monolithic(digest) => {
            let id = begin(asked, &name).await?;
            let upload = turn(asked, &name, &id).await?;
            let answer = complete(asked, upload, &name, digest).await;
            if answer.is_err()
                && let Ok(upload) = turn(asked, &name, &id).await
            {
                // Nobody was told its id, so nobody would go on with it.
                asked
                    .content(move |registry| registry.cancel_upload(upload))
                    .await?;
            }
            return answer;
        }
        Start::Session(Some(algorithm)) => {
            let id = begin(asked, &name).await?;
            // Hashed by it from the first byte on, instead of once more at the end.
            turn(asked, &name, &id).await?.expect(algorithm);
            return Ok(begun(asked, &name, &id));
        }
        // From nowhere in particular is optional to the spec, and would tell what other repositories hold.
        Start::Mount { from: None, .. } | Start::Session(None) => {}
    }
    let id = begin(asked, &name).await?;
    Ok(begun(asked, &name, &id))
}

fn begun(asked: &Asked<'_>, name: &RepositoryName, id: &UploadId) -> Response<Body> {
    let mut response = progress(asked, StatusCode::ACCEPTED, name, id, 0);
    if let Some(minimum) = asked.config.http.chunk_minimum {
        respond::set(&mut response, CHUNK_MINIMUM, &minimum.to_string());
    }
    response
}

pub async fn status(asked: &Asked<'_>, name: RepositoryName, id: UploadId) -> Answer {
    let (wanted, wanted_id) = (name.clone(), id.clone());
    let size = asked
        .content(move |registry| registry.upload_size(&wanted, &wanted_id))
        .await?;
    Ok(progress(asked, StatusCode::NO_CONTENT, &name, &id, size))
}

pub async fn append(asked: &mut Asked<'_>, name: RepositoryName, id: UploadId) -> Answer {
    asked.room().await?;
    let upload = turn(asked, &name, &id).await?;
    let limit = chunk_limit(asked, &upload, &name, &id)?;
    let before = upload.size();
    let patience = asked.config.http.idle_timeout;
    let upload = receive::into_upload(asked.request.body_mut(), upload, limit, patience).await?;
    if limit.is_some_and(|limit| upload.size() - before != limit) {
        return Err(Problem::SizeInvalid.detail("the body is shorter than its Content-Range"));
    }
    Ok(progress(asked, StatusCode::ACCEPTED, &name, &id, upload.size()))
}

pub async fn finish(asked: &mut Asked<'_>, name: RepositoryName, id: UploadId, digest: Digest) -> Answer {
    if !asked.request.body().is_end_stream() {
        asked.room().await?;
    }
    let upload = turn(asked, &name, &id).await?;
    complete(asked, upload, &name, digest).await
}

pub async fn cancel(asked: &Asked<'_>, name: RepositoryName, id: UploadId) -> Answer {
    let upload = turn(asked, &name, &id).await?;
    asked
        .content(move |registry| registry.cancel_upload(upload))
        .await?;
    Ok(respond::empty(StatusCode::NO_CONTENT))
}

async fn begin(asked: &Asked<'_>, name: &RepositoryName) -> Result<UploadId, ApiError> {
    asked.room().await?;
    let name = name.clone();
    asked.content(move |registry| registry.start_upload(&name)).await
}

async fn turn(asked: &Asked<'_>, name: &RepositoryName, id: &UploadId) -> Result<Upload, ApiError> {
    Ok(asked.service.registry.upload_turn(name, id).await?)
}

/// Takes what is left of the blob and makes it one.
async fn complete(
    asked: &mut Asked<'_>,
    mut upload: Upload,
    name: &RepositoryName,
    digest: Digest,
) -> Answer {
    upload.expect(digest.algorithm());
    let limit = chunk_limit(asked, &upload, name, upload.id())?;
    let patience = asked.config.http.idle_timeout;
    let upload = receive::into_upload(asked.request.body_mut(), upload, limit, patience).await?;
    let room = match asked.admit_blob(name, &digest, upload.size()).await {
        Ok(room) => room,
        Err(refusal) => {
            // What may not become a blob does not stay as an upload.
            asked
                .content(move |registry| registry.cancel_upload(upload))
                .await?;
            return Err(refusal);
        }
    };
    let (claimed, size) = (digest.clone(), upload.size());
    asked
        .content(move |registry| registry.finish_upload(upload, &claimed))
        .await?;
    room.keep();
    asked.tell(Action::Push, |name, _| Target::blob(name, &digest, size));
    Ok(created(asked, name, &digest))
}

/// Tells that a blob was mounted; its size is read only for those who listen.
async fn mounted_from(asked: &Asked<'_>, from: &RepositoryName, digest: &Digest) -> Result<(), ApiError> {
    let Some(name) = asked.told.clone() else {
        return Ok(());
    };
    let wanted = digest.clone();
    let blob = asked
        .content(move |registry| registry.blob(&name, &wanted))
        .await?;
    asked.tell(Action::Mount, |name, _| Target {
        from_repository: from.to_string(),
        ..Target::blob(name, digest, blob.size())
    });
    Ok(())
}

/// Holds a chunk's `Content-Range` against what has come; its length, or none for a stream.
fn chunk_limit(
    asked: &Asked<'_>,
    upload: &Upload,
    name: &RepositoryName,
    id: &UploadId,
) -> Result<Option<u64>, ApiError> {
    let Some(header) = asked.header(header::CONTENT_RANGE) else {
        return Ok(None);
    };
    match range::chunk(header) {
        Some((start, end)) if start == upload.size() => Ok(Some(end - start)),
        _ => {
            let mut error = Problem::ChunkInvalid.detail(format!(
                "{} bytes have come; the next chunk starts there",
                upload.size()
            ));
            error.headers.extend(
                progress(asked, StatusCode::OK, name, id, upload.size())
                    .headers()
                    .iter()
                    .map(|(name, value)| (name.clone(), value.clone())),
            );
            Err(error)
        }
    }
}

/// Where an upload stands. `Range` is inclusive, so that an empty one reads `0-0` like one of a byte.
fn progress(
    asked: &Asked<'_>,
    status: StatusCode,
    name: &RepositoryName,
    id: &UploadId,
    size: u64,
) -> Response<Body> {
    let mut response = respond::empty(status);
    asked.set_location(&mut response, &format!("/v2/{name}/blobs/uploads/{id}"));
    respond::set(
        &mut response,
        header::RANGE,
        &format!("0-{}", size.saturating_sub(1)),
    );
    respond::set(&mut response, UPLOAD_UUID, id.as_str());
    response
}

fn created(asked: &Asked<'_>, name: &RepositoryName, digest: &Digest) -> Response<Body> {
    let mut response = respond::empty(StatusCode::CREATED);
    asked.set_location(&mut response, &format!("/v2/{name}/blobs/{digest}"));
    respond::set_digest(&mut response, digest);
    response
}
