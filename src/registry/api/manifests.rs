//! `/v2/<name>/manifests/<reference>`

use bytes::Bytes;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};

use super::body::Body;
use super::{Answer, Asked, mirrored, receive, respond};
use crate::registry::content::StoredManifest;
use crate::registry::error::Problem;
use crate::registry::events::{Action, Target};
use crate::registry::manifest::acceptable;
use crate::registry::metrics::{Lookup, metrics};
use crate::registry::name::{Reference, RepositoryName, Tag};

const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
const OCI_TAG: HeaderName = HeaderName::from_static("oci-tag");

/// Serves a manifest as it was stored; never another form of it.
pub async fn get(asked: &mut Asked<'_>, name: RepositoryName, reference: Reference) -> Answer {
    if let Some(mirrored) = asked.mirrored(&name) {
        let served = mirrored.manifest(reference.clone()).await;
        let served = served.map_err(mirrored::refused(Problem::ManifestUnknown))?;
        asked.record.upstream = Some(served.lookup);
        return mirrored::warned(show(asked, &reference, &served.stored), served.warning.as_deref());
    }
    let known = asked.service.registry.known_manifest(&name, &reference);
    metrics().looked_up("manifest", known.as_ref().map_or(Lookup::Miss, |_| Lookup::Hit));
    let stored = match known {
        Some(stored) => stored,
        None => {
            asked
                .content({
                    let reference = reference.clone();
                    move |registry| registry.manifest(&name, &reference)
                })
                .await?
        }
    };
    show(asked, &reference, &stored)
}

fn show(asked: &Asked<'_>, reference: &Reference, stored: &StoredManifest) -> Answer {
    let media_type = stored.manifest.media_type;
    let accept = asked.request.headers().get_all(header::ACCEPT);
    if !acceptable(accept.iter().filter_map(|value| value.to_str().ok()), media_type) {
        return Err(Problem::ManifestUnknown.detail(format!(
            "the manifest is of type {}, which the Accept header excludes",
            media_type.as_str()
        )));
    }
    let tag = format!("\"{}\"", stored.digest);
    let mut response = if is_current(asked, &tag) {
        respond::empty(StatusCode::NOT_MODIFIED)
    } else {
        asked.tell(Action::Pull, |name, references| {
            let (digest, bytes) = (&stored.digest, &stored.bytes);
            Target::manifest(name, reference, digest, media_type.as_str(), bytes, references)
        });
        let mut response = respond::with_body(StatusCode::OK, Body::Bytes(stored.bytes.clone()));
        let content_type = HeaderValue::from_static(media_type.as_str());
        response.headers_mut().insert(header::CONTENT_TYPE, content_type);
        response
    };
    respond::set_digest(&mut response, &stored.digest);
    respond::set(&mut response, header::ETAG, &tag);
    Ok(response)
}

/// Whether `If-None-Match` names what the client would get.
pub fn is_current(asked: &Asked<'_>, tag: &str) -> bool {
    let unquoted = tag.trim_matches('"');
    asked
        .request
        .headers()
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|value| value.trim().trim_start_matches("W/").trim_matches('"'))
        .any(|value| value == unquoted || value == "*")
}

pub async fn put(
    asked: &mut Asked<'_>,
    name: RepositoryName,
    reference: Reference,
    tags: Vec<Tag>,
) -> Answer {
    let limit = asked.config.http.manifest_limit;
    let bytes: Bytes = receive::whole(&mut asked.request, limit, asked.config.http.idle_timeout).await?;
    let room = asked.admit_manifest(&name, &reference, &tags, &bytes).await?;
    let content_type = asked.header(header::CONTENT_TYPE).map(str::to_owned);
    let path = format!("/v2/{name}/manifests/");
    let accepted_tags = tags.clone();
    let (named, pushed) = (reference.clone(), bytes.clone());
    let (digest, manifest) = asked
        .content(move |registry| {
            registry.put_manifest(&name, &reference, &tags, &bytes, content_type.as_deref())
        })
        .await?;
    room.keep();
    asked.tell(Action::Push, |name, references| {
        let media_type = manifest.media_type.as_str();
        Target::manifest(name, &named, &digest, media_type, &pushed, references)
    });
    let mut response: Response<Body> = respond::empty(StatusCode::CREATED);
    asked.set_location(&mut response, &format!("{path}{digest}"));
    respond::set_digest(&mut response, &digest);
    if let Some(subject) = &manifest.subject {
        respond::set(&mut response, OCI_SUBJECT, subject.as_str());
    }
    for tag in &accepted_tags {
        respond::set(&mut response, OCI_TAG, tag.as_str());
    }
    Ok(response)
}

pub async fn delete(asked: &Asked<'_>, name: RepositoryName, reference: Reference) -> Answer {
    let named = reference.clone();
    let tags = asked
        .content(move |registry| registry.delete_manifest(&name, &reference))
        .await?;
    asked.tell(Action::Delete, |name, _| Target::gone(name, &named));
    for tag in tags {
        asked.tell(Action::Delete, |name, _| Target::gone(name, &Reference::Tag(tag)));
    }
    Ok(respond::empty(StatusCode::ACCEPTED))
}
