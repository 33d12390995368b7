//! `/v2/_catalog` and `/v2/<name>/tags/list`, a page at a time.

use hyper::{Response, StatusCode, header};
use serde_json::json;
use url::form_urlencoded;

use super::body::Body;
use super::{Answer, Asked, mirrored, respond};
use crate::registry::error::Problem;
use crate::registry::name::RepositoryName;
use crate::registry::route::Page;

/// The most entries of one answer, whatever a client asks for: at 128 bytes a tag, 1.3 MB.
pub const MAX_PAGE: usize = 10_000;

pub async fn catalog(asked: &Asked<'_>, page: Page) -> Answer {
    let limit = asked.config.catalog.max_entries.min(MAX_PAGE);
    let count = page.count.map_or(limit, |count| count.min(limit));
    let mut names = asked.visible(page.last, count + 1).await?;
    let more = cut(&mut names, count);
    let mut response = respond::json(StatusCode::OK, &json!({"repositories": names}));
    if more {
        set_next(&mut response, "/v2/_catalog", count, names.last(), None);
    }
    Ok(response)
}

pub async fn tags(asked: &mut Asked<'_>, name: RepositoryName, page: Page) -> Answer {
    let count = page.count.map_or(MAX_PAGE, |count| count.min(MAX_PAGE));
    let (mut tags, warning) = if let Some(mirrored) = asked.mirrored(&name) {
        let listed = mirrored.tags(page.last.as_deref(), count + 1).await;
        let listed = listed.map_err(mirrored::refused(Problem::NameUnknown))?;
        asked.record.upstream = Some(listed.lookup());
        (listed.entries, listed.warning)
    } else {
        let wanted = name.clone();
        let tags = asked.content(move |registry| registry.tags(&wanted, page.last.as_deref(), count + 1));
        (tags.await?, None)
    };
    let more = cut(&mut tags, count);
    let mut response = respond::json(StatusCode::OK, &json!({"name": name.as_str(), "tags": tags}));
    if more {
        set_next(
            &mut response,
            &format!("/v2/{name}/tags/list"),
            count,
            tags.last(),
            None,
        );
    }
    mirrored::warn(&mut response, warning.as_deref());
    Ok(response)
}

/// Leaves `count` entries and says whether there were more. An empty page has no next one.
pub fn cut<T>(entries: &mut Vec<T>, count: usize) -> bool {
    let more = entries.len() > count && count > 0;
    entries.truncate(count);
    more
}

/// `Link` to the page after `last`, always relative: it follows the request that it answers.
pub fn set_next(
    response: &mut Response<Body>,
    path: &str,
    count: usize,
    last: Option<&String>,
    filter: Option<(&str, &str)>,
) {
    let Some(last) = last else { return };
    let mut query = form_urlencoded::Serializer::new(String::new());
    if let Some((key, value)) = filter {
        query.append_pair(key, value);
    }
    query
        .append_pair("last", last)
        .append_pair("n", &count.to_string());
    let link = format!("<{path}?{}>; rel=\"next\"", query.finish());
    respond::set(response, header::LINK, &link);
}
