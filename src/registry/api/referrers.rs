//! `/v2/<name>/referrers/<digest>`: always an index, empty where nothing refers to the digest.

use hyper::StatusCode;
use hyper::header::HeaderName;
use serde_json::json;

use super::listing::{cut, set_next};
use super::{Answer, Asked, mirrored, respond};
use crate::registry::digest::Digest;
use crate::registry::error::Problem;
use crate::registry::manifest::MediaType;
use crate::registry::name::RepositoryName;
use crate::registry::route::ReferrersFilter;

const FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");
const MAX_PAGE: usize = 1_000;
/// Clients take an index of at most 4 MiB, and annotations may be long.
const MAX_BYTES: usize = 3 << 20;

pub async fn list(
    asked: &mut Asked<'_>,
    name: RepositoryName,
    subject: Digest,
    filter: ReferrersFilter,
) -> Answer {
    let path = format!("/v2/{name}/referrers/{subject}");
    let (mut referrers, warning) = if let Some(mirrored) = asked.mirrored(&name) {
        let listed = mirrored.referrers(&subject).await;
        let listed = listed.map_err(mirrored::refused(Problem::NameUnknown))?;
        asked.record.upstream = Some(listed.lookup());
        (listed.entries, listed.warning)
    } else {
        let found = asked
            .content(move |registry| registry.referrers(&name, &subject))
            .await?;
        (found.iter().map(|referrer| referrer.descriptor()).collect(), None)
    };
    let ReferrersFilter { artifact_type, page } = filter;
    if let Some(wanted) = &artifact_type {
        referrers.retain(|referrer| referrer["artifactType"] == json!(wanted));
    }
    if let Some(last) = &page.last {
        referrers.retain(|referrer| referrer["digest"].as_str() > Some(last.as_str()));
    }
    let count = page.count.map_or(MAX_PAGE, |count| count.min(MAX_PAGE));
    let mut more = cut(&mut referrers, count);
    let mut bytes = 0;
    let room = referrers.iter().take_while(|descriptor| {
        bytes += descriptor.to_string().len();
        bytes <= MAX_BYTES
    });
    let room = room.count().max(1);
    more |= cut(&mut referrers, room);
    let index = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OciIndex.as_str(),
        "manifests": referrers,
    });
    let bytes = index.to_string().into_bytes();
    let mut response = respond::typed(StatusCode::OK, MediaType::OciIndex.as_str(), bytes);
    let filter = artifact_type.as_deref().map(|wanted| ("artifactType", wanted));
    if filter.is_some() {
        respond::set(&mut response, FILTERS_APPLIED, "artifactType");
    }
    if more {
        let last = referrers
            .last()
            .and_then(|referrer| referrer["digest"].as_str())
            .map(str::to_owned);
        set_next(&mut response, &path, count, last.as_ref(), filter);
    }
    mirrored::warn(&mut response, warning.as_deref());
    Ok(response)
}
