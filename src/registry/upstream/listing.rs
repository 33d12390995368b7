//! Tags and referrers as the upstream has them, and what is here when it cannot be asked.

use hyper::Method;
use hyper::header::{self, HeaderMap};
use serde::Deserialize;
use serde_json::Value;
use url::form_urlencoded;

use super::Mirrored;
use super::error::{Shared, UpstreamError};
use super::limits::Kind as Counting;
use crate::registry::digest::Digest;
use crate::registry::metrics::Lookup;
use crate::registry::name::{Reference, Tag};

/// Tags that are asked for at once: some registries refuse more.
const PAGE: usize = 1000;
/// Pages that are followed: a registry that links them in a circle comes to an end.
const MAX_PAGES: usize = 256;
const MAX_BODY: usize = 8 << 20;

/// What was listed, and why it is not what the upstream says.
#[derive(Debug)]
pub struct Listed<T> {
    pub entries: Vec<T>,
    pub warning: Option<String>,
}

#[derive(Deserialize)]
struct TagList {
    tags: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Index {
    #[serde(default)]
    manifests: Vec<Value>,
}

impl<T> Listed<T> {
    /// Lists are not kept: they come from the upstream, or are what is kept of it.
    pub fn lookup(&self) -> Lookup {
        if self.warning.is_some() {
            Lookup::Stale
        } else {
            Lookup::Miss
        }
    }
}

/// Whether more pages are wanted, after each of them.
type Enough<'a, T> = &'a (dyn Fn(&[T]) -> bool + Sync);

impl Mirrored {
    /// At least `count` tags that come after `last`, or all, sorted by byte.
    pub async fn tags(&self, last: Option<&str>, count: usize) -> Result<Listed<String>, Shared> {
        let error = match self.upstream_tags(last, count).await {
            Ok(entries) => {
                return Ok(Listed {
                    entries,
                    warning: None,
                });
            }
            Err(error @ UpstreamError::Unknown { .. }) => return Err(error.into()),
            Err(error) => error,
        };
        let after = last.map(str::to_owned);
        let here = self
            .content(move |registry, name| registry.tags(name, after.as_deref(), count))
            .await?;
        match here {
            Ok(entries) => Ok(self.here(entries, &error)),
            Err(_) => Err(error.into()),
        }
    }

    async fn upstream_tags(&self, last: Option<&str>, count: usize) -> Result<Vec<String>, UpstreamError> {
        let sorted = |tags: &[String]| {
            let first = tags
                .first()
                .is_none_or(|first| last.is_none_or(|last| first.as_str() > last));
            first && tags.is_sorted()
        };
        let read =
            |body: &[u8]| serde_json::from_slice(body).map(|list: TagList| list.tags.unwrap_or_default());
        let all = format!("n={PAGE}");
        if let Some(last) = last {
            let query = form_urlencoded::Serializer::new(all.clone())
                .append_pair("last", last)
                .finish();
            let enough = |tags: &[String]| tags.len() >= count || !sorted(tags);
            let tags = self.pages("tags/list", query, read, &enough).await?;
            if sorted(&tags) {
                return Ok(tags);
            }
        }
        // It does not sort, or goes on by means of its own: then only all of them can be sorted.
        let enough = |tags: &[String]| last.is_none() && tags.len() >= count && sorted(tags);
        let mut tags = self.pages("tags/list", all, read, &enough).await?;
        tags.retain(|tag| tag.parse::<Tag>().is_ok() && last.is_none_or(|last| tag.as_str() > last));
        tags.sort_unstable();
        tags.dedup();
        Ok(tags)
    }

    /// Descriptors of all that refers to a digest, sorted by theirs.
    pub async fn referrers(&self, subject: &Digest) -> Result<Listed<Value>, Shared> {
        let read = |body: &[u8]| serde_json::from_slice(body).map(|index: Index| index.manifests);
        let asked = self
            .pages(&format!("referrers/{subject}"), String::new(), read, &|_| false)
            .await;
        let (mut entries, warning) = match asked {
            Ok(entries) => (entries, None),
            // A registry without that endpoint: clients keep an index under a tag there.
            Err(UpstreamError::Unknown { .. }) => self.under_fallback_tag(subject).await?,
            Err(error) => {
                let wanted = subject.clone();
                let here = self
                    .content(move |registry, name| registry.referrers(name, &wanted))
                    .await?;
                let here = here.map_err(|source| UpstreamError::storage(&self.upstream.shown, source))?;
                let here = here.iter().map(|referrer| referrer.descriptor()).collect();
                let listed = self.here(here, &error);
                (listed.entries, listed.warning)
            }
        };
        entries.retain(|entry| digest_of(entry).parse::<Digest>().is_ok());
        entries.sort_by(|a, b| digest_of(a).cmp(digest_of(b)));
        entries.dedup_by(|a, b| digest_of(a) == digest_of(b));
        Ok(Listed { entries, warning })
    }

    async fn under_fallback_tag(&self, subject: &Digest) -> Result<(Vec<Value>, Option<String>), Shared> {
        match self.manifest(Reference::Tag(Tag::of_referrers(subject))).await {
            Ok(served) => {
                let index: Index = serde_json::from_slice(&served.stored.bytes).unwrap_or(Index {
                    manifests: Vec::new(),
                });
                Ok((index.manifests, served.warning))
            }
            Err(error) if matches!(*error, UpstreamError::Unknown { .. }) => Ok((Vec::new(), None)),
            Err(error) => Err(error),
        }
    }

    fn here<T>(&self, entries: Vec<T>, error: &UpstreamError) -> Listed<T> {
        Listed {
            entries,
            warning: Some(format!("only what is kept of {}: {error}", self.upstream.shown)),
        }
    }

    /// The entries of a list and of the pages that it links to.
    async fn pages<T>(
        &self,
        path: &str,
        mut query: String,
        read: impl Fn(&[u8]) -> serde_json::Result<Vec<T>>,
        enough: Enough<'_, T>,
    ) -> Result<Vec<T>, UpstreamError> {
        let mut entries = Vec::new();
        for _ in 0..MAX_PAGES {
            let rest = if query.is_empty() {
                path.to_owned()
            } else {
                format!("{path}?{query}")
            };
            let answer = self
                .ask(Method::GET, &rest, HeaderMap::new(), Counting::Free)
                .await?;
            let next = next_query(answer.headers());
            let body = answer.into_body().whole(MAX_BODY).await;
            let body = body.map_err(|source| UpstreamError::unreachable(&self.upstream.shown, source))?;
            let page = read(&body).map_err(|error| self.wrong(format!("no list: {error}")))?;
            let empty = page.is_empty();
            entries.extend(page);
            match next {
                Some(next) if !empty && next != query && !enough(&entries) => query = next,
                _ => break,
            }
        }
        Ok(entries)
    }
}

fn digest_of(entry: &Value) -> &str {
    entry["digest"].as_str().unwrap_or("")
}

/// The query of `Link: <...?last=x&n=1>; rel="next"`: the path is known, and whatever host it names is not asked.
fn next_query(headers: &HeaderMap) -> Option<String> {
    let links = headers
        .get_all(header::LINK)
        .iter()
        .filter_map(|value| value.to_str().ok());
    links.flat_map(|value| value.split(", <")).find_map(|link| {
        let (url, parameters) = link.trim_start_matches('<').split_once('>')?;
        let next = parameters
            .split(';')
            .any(|parameter| matches!(parameter.trim(), "rel=next" | r#"rel="next""#));
        let (_, query) = url.split_once('?')?;
        next.then(|| query.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_to_the_next_page() {
        for (link, expected) in [
            (r#"</v2/a/tags/list?last=b&n=2>; rel="next""#, Some("last=b&n=2")),
            (
                r"<https://elsewhere/v2/a/tags/list?next_page=x%3D>; rel=next",
                Some("next_page=x%3D"),
            ),
            (
                r#"</first?a=1>; rel="first", </next?b=2>; rel="next""#,
                Some("b=2"),
            ),
            (r#"</v2/a/tags/list?last=b>; rel="prev""#, None),
            ("nonsense", None),
        ] {
            let headers = HeaderMap::from_iter([(header::LINK, link.parse().unwrap())]);
            assert_eq!(next_query(&headers).as_deref(), expected, "{link}");
        }
    }
}
