//! `notifications`: who is told what happens.

use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};
use url::Url;

use super::Config;
use super::key::{At, Key, Section, in_list, one_of};
use super::scalar::{count, duration, flag, positive, shown_duration};
use crate::registry::events::Action;

#[derive(Debug, Clone, Default)]
pub struct Notifications {
    pub endpoints: Vec<Endpoint>,
    /// Whether events of manifests carry what these refer to.
    pub references: bool,
}

/// One server that is told; the defaults are distribution's.
#[derive(Debug, Clone)]
pub struct Endpoint {
    pub name: String,
    pub disabled: bool,
    pub url: String,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// For each of connecting and being answered.
    pub timeout: Duration,
    /// Failures in a row after which attempts wait for `backoff`.
    pub threshold: u32,
    pub backoff: Duration,
    pub ignored_media_types: Vec<String>,
    pub ignored_actions: Vec<Action>,
}

impl Default for Endpoint {
    fn default() -> Self {
        Self {
            name: String::new(),
            disabled: false,
            url: String::new(),
            headers: Vec::new(),
            timeout: Duration::from_secs(1),
            threshold: 10,
            backoff: Duration::from_secs(1),
            ignored_media_types: Vec::new(),
            ignored_actions: Vec::new(),
        }
    }
}

const ACTIONS: [(&str, Action); 4] = [
    ("push", Action::Push),
    ("pull", Action::Pull),
    ("mount", Action::Mount),
    ("delete", Action::Delete),
];

fn endpoint<'c>(config: &'c mut Config, at: At<'_>) -> Result<&'c mut Endpoint, String> {
    at.entry(0, &mut config.notifications.endpoints)
}

fn shown<V>(config: &Config, show: impl Fn(&Endpoint) -> Option<V>) -> Vec<(Vec<String>, V)> {
    in_list(&config.notifications.endpoints, show)
}

/// Endpoints keep their queues and connections until a restart.
fn keep(new: &mut Config, old: &Config) {
    new.notifications.clone_from(&old.notifications);
}

fn media_types(endpoint: &Endpoint) -> Option<Vec<String>> {
    let types = &endpoint.ignored_media_types;
    (!types.is_empty()).then(|| types.clone())
}

pub const SECTION: Section = Section {
    keys: &[
        Key::one(
            "notifications.events.includereferences",
            "whether events of manifests carry the descriptors of what these refer to",
            |c, text| flag(text).map(|value| c.notifications.references = value),
            |c| Some(c.notifications.references.to_string()),
        )
        .at_start(keep),
        Key::each(
            "notifications.endpoints.[].name",
            "the endpoint's name: in the log, in metrics, and as the folder of its queue",
            |c, at, text| endpoint(c, at).map(|endpoint| text.clone_into(&mut endpoint.name)),
            |c| shown(c, |endpoint| Some(endpoint.name.clone())),
        )
        .at_start(keep),
        Key::each(
            "notifications.endpoints.[].disabled",
            "whether nothing is sent there",
            |c, at, text| {
                let value = flag(text)?;
                endpoint(c, at).map(|endpoint| endpoint.disabled = value)
            },
            |c| shown(c, |endpoint| Some(endpoint.disabled.to_string())),
        )
        .at_start(keep),
        Key::each(
            "notifications.endpoints.[].url",
            "where events are POSTed to",
            |c, at, text| {
                let value = web_address(text)?;
                endpoint(c, at).map(|endpoint| endpoint.url = value)
            },
            |c| shown(c, |endpoint| Some(endpoint.url.clone())),
        )
        .at_start(keep),
        Key::each_many(
            "notifications.endpoints.[].headers.*",
            "a header of each of these requests, such as `Authorization`, and its values",
            |c, at, values| {
                let name: HeaderName = at.word(1).parse().map_err(|_| "is no name of a header")?;
                let headers = &mut endpoint(c, at)?.headers;
                headers.retain(|(known, _)| *known != name);
                for value in values {
                    headers.push((name.clone(), secret_header(value)?));
                }
                Ok(())
            },
            |c| {
                let endpoints = c.notifications.endpoints.iter().enumerate();
                let hidden = |index: usize, name: &HeaderName| {
                    (vec![index.to_string(), name.to_string()], vec!["***".to_owned()])
                };
                endpoints
                    .flat_map(|(index, endpoint)| {
                        endpoint.headers.iter().map(move |(name, _)| hidden(index, name))
                    })
                    .collect()
            },
        )
        .secret()
        .at_start(keep),
        Key::each(
            "notifications.endpoints.[].timeout",
            "how long to wait for an answer",
            |c, at, text| {
                let value = positive(text)?;
                endpoint(c, at).map(|endpoint| endpoint.timeout = value)
            },
            |c| shown(c, |endpoint| Some(shown_duration(endpoint.timeout))),
        )
        .at_start(keep),
        Key::each(
            "notifications.endpoints.[].threshold",
            "failures in a row after which attempts wait for `backoff`",
            |c, at, text| {
                let value = u32::try_from(count(text)?).map_err(|_| "is too large")?;
                endpoint(c, at).map(|endpoint| endpoint.threshold = value)
            },
            |c| shown(c, |endpoint| Some(endpoint.threshold.to_string())),
        )
        .at_start(keep),
        Key::each(
            "notifications.endpoints.[].backoff",
            "how long they wait",
            |c, at, text| {
                let value = duration(text)?;
                endpoint(c, at).map(|endpoint| endpoint.backoff = value)
            },
            |c| shown(c, |endpoint| Some(shown_duration(endpoint.backoff))),
        )
        .at_start(keep),
        Key::each_many(
            "notifications.endpoints.[].ignoredmediatypes",
            "the older name of `ignore.mediatypes`",
            |c, at, values| {
                endpoint(c, at).map(|endpoint| endpoint.ignored_media_types.extend_from_slice(values))
            },
            |_| Vec::new(),
        )
        .at_start(keep),
        Key::each_many(
            "notifications.endpoints.[].ignore.mediatypes",
            "media types of targets whose events are not sent",
            |c, at, values| {
                endpoint(c, at).map(|endpoint| endpoint.ignored_media_types.extend_from_slice(values))
            },
            |c| shown(c, media_types),
        )
        .at_start(keep),
        Key::each_many(
            "notifications.endpoints.[].ignore.actions",
            "actions that are not sent: `push`, `pull`, `mount`, `delete`",
            |c, at, values| {
                let actions = values.iter().map(|text| one_of(&ACTIONS, text));
                let actions = actions.collect::<Result<_, _>>()?;
                endpoint(c, at).map(|endpoint| endpoint.ignored_actions = actions)
            },
            |c| {
                shown(c, |endpoint| {
                    let actions = endpoint.ignored_actions.iter();
                    let actions: Vec<String> = actions.map(|action| action.as_str().to_owned()).collect();
                    (!actions.is_empty()).then_some(actions)
                })
            },
        )
        .at_start(keep),
    ],
    check: |config, places| {
        let endpoints = &config.notifications.endpoints;
        let mut errors = Vec::new();
        for (index, endpoint) in endpoints.iter().enumerate() {
            let at = format!("notifications.endpoints.{index}");
            if endpoint.name.is_empty() {
                errors.push(places.error(&at, format!("`{at}` needs a `name`")));
            } else if endpoints[..index].iter().any(|other| other.name == endpoint.name) {
                let message = format!("two endpoints of notifications have the name `{}`", endpoint.name);
                errors.push(places.error(&format!("{at}.name"), message));
            }
            if endpoint.url.is_empty() {
                errors.push(places.error(&at, format!("`{at}` needs a `url`")));
            }
        }
        errors
    },
    ..Section::EMPTY
};

/// A URL that requests can be sent to; who asks for a name and password gives them in a header.
pub(super) fn web_address(text: &str) -> Result<String, String> {
    match Url::parse(text) {
        Ok(url) if !matches!(url.scheme(), "http" | "https") || !url.has_host() => {
            Err("must be a URL such as https://hooks.example/registry".to_owned())
        }
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            Err("must have no user's name in it; give an `Authorization` in `headers`".to_owned())
        }
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("must be a URL such as https://hooks.example/registry".to_owned()),
    }
}

/// Headers for others carry what gives access to them.
pub(super) fn secret_header(value: &str) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::from_str(value).map_err(|_| "fits in no header")?;
    value.set_sensitive(true);
    Ok(value)
}
