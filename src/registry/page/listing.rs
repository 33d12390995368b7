//! Repositories, and the tags of one.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

use super::document::{Descriptor, Document, Image, named};
use super::{Site, shown, templates};
use crate::registry::content::{ContentError, Registry};
use crate::registry::name::{Reference, RepositoryName, Tag};

/// Entries on one page of repositories, and tags that are shown beside each.
const REPOSITORIES: usize = 50;
const GLIMPSE: usize = 4;
/// Names that are read at once while one searches: each batch walks the tree from where it was.
const SEARCHED: usize = 10_000;
/// Tags on one page: each costs some four small reads.
const TAGS: usize = 100;

#[derive(Serialize)]
struct Repository {
    name: String,
    tags: Vec<String>,
    /// Whether there are more tags than these.
    more: bool,
}

/// The page of repositories whose name has `search` in it, from after `after` on; `may` says which the asker
/// may see.
pub fn repositories(
    registry: &Registry,
    site: &Site,
    search: &str,
    after: Option<&str>,
    may: &dyn Fn(&RepositoryName) -> bool,
) -> Result<String, ContentError> {
    let mut found: Vec<RepositoryName> = Vec::new();
    let mut last = after.map(str::to_owned);
    let limit = if search.is_empty() {
        REPOSITORIES + 1
    } else {
        SEARCHED
    };
    while found.len() <= REPOSITORIES {
        let names = registry.catalog(last.as_deref(), limit)?;
        let ended = names.len() < limit;
        last = names.last().cloned().or(last);
        let matching = names.into_iter().filter(|name| name.contains(search));
        found.extend(matching.filter_map(|name| name.parse().ok()).filter(may));
        if ended {
            break;
        }
    }
    let more = found.len() > REPOSITORIES;
    found.truncate(REPOSITORIES);
    let next = found.last().filter(|_| more).map(ToString::to_string);
    let rows = found
        .iter()
        .map(|name| {
            // One that is deleted meanwhile has no tags.
            let mut tags = registry.tags(name, None, GLIMPSE + 1).unwrap_or_default();
            let more = tags.len() > GLIMPSE;
            tags.truncate(GLIMPSE);
            Repository {
                name: name.to_string(),
                tags,
                more,
            }
        })
        .collect::<Vec<_>>();
    Ok(templates::render(
        "repositories.html",
        &json!({"search": search, "rows": rows, "next": next, "after": after, "base": site.base}),
    ))
}

#[derive(Serialize)]
struct Row {
    tag: String,
    digest: String,
    /// Empty where it is not known.
    size: String,
    platforms: Vec<String>,
    age: String,
    moment: String,
}

/// The page of a repository's tags, from after `after` on.
pub fn tags(
    registry: &Registry,
    site: &Site,
    name: &RepositoryName,
    after: Option<&str>,
) -> Result<String, ContentError> {
    let mut tags = registry.tags(name, after, TAGS + 1)?;
    let more = tags.len() > TAGS;
    tags.truncate(TAGS);
    let next = tags.last().filter(|_| more).cloned();
    tags.sort_by(|a, b| shown::natural(a, b));
    let now = Timestamp::now();
    let rows: Vec<Row> = tags
        .into_iter()
        .filter_map(|tag| row(registry, name, &tag.parse().ok()?, now))
        .collect();
    Ok(templates::render(
        "tags.html",
        &json!({"name": name.as_str(), "rows": rows, "next": next, "after": after, "base": site.base}),
    ))
}

fn row(registry: &Registry, name: &RepositoryName, tag: &Tag, now: Timestamp) -> Option<Row> {
    let reference = Reference::Tag(tag.clone());
    let stored = registry.manifest(name, &reference).ok();
    let mut row = Row {
        tag: tag.to_string(),
        digest: String::new(),
        size: String::new(),
        platforms: Vec::new(),
        age: String::new(),
        moment: String::new(),
    };
    let Some(stored) = stored else {
        return Some(row);
    };
    row.digest = stored.digest.to_string();
    let pushed = registry.pushed(name, tag).ok().flatten();
    if let Some(pushed) = pushed.and_then(|pushed| Timestamp::from_second(i64::try_from(pushed).ok()?).ok()) {
        row.age = shown::age(pushed, now);
        row.moment = shown::moment(pushed);
    }
    let mut document = Document::read(&stored.bytes);
    if stored.manifest.media_type.is_list() {
        row.platforms = document.manifests.iter().filter_map(platform).collect();
        // The size that people think of is that of one image.
        let first = document.manifests.first()?.digest.parse().ok()?;
        match registry.manifest(name, &Reference::Digest(first)) {
            Ok(first) => document = Document::read(&first.bytes),
            Err(_) => return Some(row),
        }
    }
    row.size = shown::size(document.size());
    let image = document
        .config
        .as_ref()
        .and_then(|config| named::<Image>(registry, name, config));
    if let Some(image) = image
        && row.platforms.is_empty()
        && !image.os.is_empty()
    {
        row.platforms.push(format!("{}/{}", image.os, image.architecture));
    }
    Some(row)
}

/// What an index' entry runs on; builders' attestations run on nothing.
pub fn platform(descriptor: &Descriptor) -> Option<String> {
    let platform = descriptor.platform.as_ref()?;
    (platform.os != "unknown").then(|| platform.shown())
}
