//! Which upstream a repository comes from, and what it is called there. Pure: no request is made.
//!
//! One repository may be asked for by several names (`hub/alpine`, `hub/library/alpine`, `library/alpine?ns=docker.io`):
//! they become one, so that it is kept once and one access rule holds for it.

use hyper::http::Uri;

use crate::registry::config::{Proxy, UnknownHosts, Upstream};
use crate::registry::name::{NameError, RepositoryName};
use crate::registry::route::Endpoint;

/// The hosts that stand for Docker Hub in names of images, and the one that answers for it.
const HUB_NAMES: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];
const HUB_URL: &str = "https://registry-1.docker.io";
/// Where Docker Hub has the repositories whose names have one segment.
const HUB_OFFICIAL: &str = "library";

/// A repository of an upstream.
#[derive(Debug, Clone)]
pub struct Origin<'a> {
    /// The upstream's name in the configuration, empty for the one for everything.
    pub key: &'a str,
    pub upstream: &'a Upstream,
    /// What the repository is called there.
    pub remote: RepositoryName,
    /// What it is called here, whatever it was asked for by.
    pub local: RepositoryName,
}

/// Why a name leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lost {
    /// No upstream is for this host.
    Host(String),
    /// What would be its name here is that of another repository.
    Taken(RepositoryName),
    Name(NameError),
}

/// Where requests for an upstream go.
pub fn base_url(upstream: &Upstream) -> String {
    let url = upstream.url.as_deref().unwrap_or("");
    if is_hub(upstream) {
        HUB_URL.to_owned()
    } else {
        url.to_owned()
    }
}

/// The upstream's name in messages: its host.
pub fn shown(upstream: &Upstream) -> String {
    let host = host(upstream);
    if HUB_NAMES.contains(&host.as_str()) {
        HUB_NAMES[0].to_owned()
    } else {
        host
    }
}

fn host(upstream: &Upstream) -> String {
    let uri = upstream.url.as_deref().and_then(|url| url.parse::<Uri>().ok());
    let authority = uri.as_ref().and_then(Uri::authority);
    authority.map_or(String::new(), |authority| authority.as_str().to_ascii_lowercase())
}

fn is_hub(upstream: &Upstream) -> bool {
    HUB_NAMES.contains(&host(upstream).as_str())
}

fn answers_for(upstream: &Upstream, wanted: &str) -> bool {
    upstream.url.is_some()
        && if upstream.hosts.is_empty() {
            host(upstream) == wanted || (is_hub(upstream) && HUB_NAMES.contains(&wanted))
        } else {
            upstream.hosts.iter().any(|host| host == wanted)
        }
}

fn prefix_of<'a>(key: &'a str, upstream: &'a Upstream) -> &'a str {
    upstream.prefix.as_deref().unwrap_or(key)
}

/// What follows a prefix of whole segments.
fn after<'a>(name: &'a str, prefix: &str) -> Option<&'a str> {
    if prefix.is_empty() {
        Some(name)
    } else {
        name.strip_prefix(prefix)?.strip_prefix('/')
    }
}

/// The upstream that a repository of ours comes from; none for one of our own.
pub fn origin<'a>(proxy: &'a Proxy, name: &RepositoryName) -> Result<Option<Origin<'a>>, NameError> {
    let own = |prefix: &String| name.as_str() == prefix || after(name.as_str(), prefix).is_some();
    // The longest prefix knows best, `proxy.local` among them.
    let named = proxy
        .upstreams
        .iter()
        .map(|(key, upstream)| (key.as_str(), upstream));
    let everything = proxy.everything.url.is_some().then_some(("", &proxy.everything));
    let found = named
        .filter(|(key, upstream)| after(name.as_str(), prefix_of(key, upstream)).is_some())
        .chain(everything)
        .max_by_key(|(key, upstream)| prefix_of(key, upstream).len());
    let Some((key, upstream)) = found else {
        return Ok(None);
    };
    let local = proxy
        .local
        .iter()
        .filter(|prefix| own(prefix))
        .map(String::len)
        .max();
    let prefix = prefix_of(key, upstream);
    if local.is_some_and(|local| local >= prefix.len()) {
        return Ok(None);
    }
    let rest = after(name.as_str(), prefix).unwrap_or(name.as_str());
    within(key, upstream, rest).map(Some)
}

/// A repository of an upstream by what it is called there, without a prefix that the upstream's names have, too.
fn within<'a>(key: &'a str, upstream: &'a Upstream, rest: &str) -> Result<Origin<'a>, NameError> {
    let prefix = prefix_of(key, upstream);
    let mut rest = rest.to_owned();
    let kept = upstream.keep_prefix && !prefix.is_empty();
    if is_hub(upstream) && !kept && !rest.contains('/') {
        rest = format!("{HUB_OFFICIAL}/{rest}");
    }
    let local = if prefix.is_empty() {
        rest.clone()
    } else {
        format!("{prefix}/{rest}")
    };
    let local: RepositoryName = local.parse()?;
    let remote = if kept { local.clone() } else { rest.parse()? };
    Ok(Origin {
        key,
        upstream,
        remote,
        local,
    })
}

/// Gives a request the name that its repository has here. `host` is what `?ns=` says.
pub fn settle(proxy: &Proxy, mut endpoint: Endpoint, host: Option<&str>) -> Result<Endpoint, Lost> {
    if proxy.everything.url.is_none() && proxy.upstreams.is_empty() {
        return Ok(endpoint);
    }
    let Some(name) = repository_mut(&mut endpoint) else {
        return Ok(endpoint);
    };
    let found = match host.map(str::to_ascii_lowercase) {
        None => origin(proxy, name).map_err(Lost::Name)?,
        Some(host) => {
            let named = proxy
                .upstreams
                .iter()
                .map(|(key, upstream)| (key.as_str(), upstream));
            let mut all = named.chain([("", &proxy.everything)]);
            match all.find(|(_, upstream)| answers_for(upstream, &host)) {
                Some((key, upstream)) => {
                    let prefix = prefix_of(key, upstream);
                    let whole = Some(name.as_str());
                    let rest = if upstream.keep_prefix {
                        after(name.as_str(), prefix)
                    } else {
                        whole
                    };
                    // Of what lies beside the prefix nothing is mirrored.
                    let rest = rest.ok_or(Lost::Host(host))?;
                    Some(within(key, upstream, rest).map_err(Lost::Name)?)
                }
                None if proxy.unknown_hosts == UnknownHosts::Refuse => return Err(Lost::Host(host)),
                None => origin(proxy, name).map_err(Lost::Name)?,
            }
        }
    };
    if let Some(found) = found {
        // By that name it would be looked for elsewhere, and found to be another's.
        let owner = origin(proxy, &found.local).map_err(Lost::Name)?;
        if owner.is_none_or(|owner| owner.key != found.key) {
            return Err(Lost::Taken(found.local));
        }
        *name = found.local;
    }
    Ok(endpoint)
}

fn repository_mut(endpoint: &mut Endpoint) -> Option<&mut RepositoryName> {
    match endpoint {
        Endpoint::Tags(name, _)
        | Endpoint::GetManifest(name, _)
        | Endpoint::PutManifest(name, _, _)
        | Endpoint::DeleteManifest(name, _)
        | Endpoint::GetBlob(name, _)
        | Endpoint::DeleteBlob(name, _)
        | Endpoint::StartUpload(name, _)
        | Endpoint::UploadStatus(name, _)
        | Endpoint::AppendUpload(name, _)
        | Endpoint::FinishUpload(name, _, _)
        | Endpoint::CancelUpload(name, _)
        | Endpoint::Referrers(name, _, _) => Some(name),
        // The page shows what is here by the names that it has here.
        Endpoint::Page(_)
        | Endpoint::Root
        | Endpoint::Base
        | Endpoint::Token
        | Endpoint::PostToken
        | Endpoint::TokenKeys
        | Endpoint::Catalog(_)
        | Endpoint::Probe(_)
        | Endpoint::Metrics => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::route::Page;

    fn upstream(url: &str) -> Upstream {
        Upstream {
            url: Some(url.to_owned()),
            ..Upstream::default()
        }
    }

    fn proxy() -> Proxy {
        let mut proxy = Proxy::default();
        let mut add = |key: &str, upstream| proxy.upstreams.insert(key.to_owned(), upstream);
        add("hub", upstream("https://docker.io"));
        add(
            "quay",
            Upstream {
                prefix: Some("mirror/quay".to_owned()),
                ..upstream("https://quay.io")
            },
        );
        add(
            "group",
            Upstream {
                keep_prefix: true,
                hosts: vec!["gitlab".to_owned(), "gitlab:5050".to_owned()],
                ..upstream("http://gitlab:5050")
            },
        );
        proxy
    }

    /// `local <- remote` or why not.
    fn found(proxy: &Proxy, name: &str, host: Option<&str>) -> String {
        let endpoint = Endpoint::Tags(name.parse().unwrap(), Page::default());
        match settle(proxy, endpoint, host) {
            Err(lost) => format!("{lost:?}"),
            Ok(mut endpoint) => {
                let name = repository_mut(&mut endpoint).unwrap();
                match origin(proxy, name).unwrap() {
                    Some(origin) => format!("{name} <- {} {}", shown(origin.upstream), origin.remote),
                    None => name.to_string(),
                }
            }
        }
    }

    #[test]
    fn names_lead_to_upstreams() {
        let mut proxy = proxy();
        for (name, host, expected) in [
            ("own/app", None, "own/app"),
            ("hub", None, "hub"),
            ("hubs/app", None, "hubs/app"),
            (
                "hub/alpine",
                None,
                "hub/library/alpine <- docker.io library/alpine",
            ),
            (
                "hub/library/alpine",
                None,
                "hub/library/alpine <- docker.io library/alpine",
            ),
            ("hub/some/app", None, "hub/some/app <- docker.io some/app"),
            ("mirror/quay/a/b", None, "mirror/quay/a/b <- quay.io a/b"),
            ("group/a", None, "group/a <- gitlab:5050 group/a"),
            (
                "library/alpine",
                Some("docker.io"),
                "hub/library/alpine <- docker.io library/alpine",
            ),
            (
                "alpine",
                Some("Index.Docker.IO"),
                "hub/library/alpine <- docker.io library/alpine",
            ),
            ("a/b", Some("quay.io"), "mirror/quay/a/b <- quay.io a/b"),
            ("group/a", Some("gitlab"), "group/a <- gitlab:5050 group/a"),
            ("a", Some("ghcr.io"), "Host(\"ghcr.io\")"),
        ] {
            assert_eq!(found(&proxy, name, host), expected, "{name} {host:?}");
        }
        proxy.unknown_hosts = UnknownHosts::Local;
        assert_eq!(found(&proxy, "a", Some("ghcr.io")), "a");
        // One for everything, as distribution has it, but for what is ours.
        proxy.everything = upstream("https://registry-1.docker.io");
        proxy.local = vec!["own".to_owned(), "hub/own".to_owned()];
        for (name, expected) in [
            ("alpine", "library/alpine <- docker.io library/alpine"),
            ("own", "own"),
            ("own/app", "own/app"),
            ("hub/own/app", "hub/own/app"),
            ("mirror/quay/a", "mirror/quay/a <- quay.io a"),
        ] {
            assert_eq!(found(&proxy, name, None), expected, "{name}");
        }
    }

    /// Whoever asks for a host's content must not be given what another has under a name that looks like it.
    #[test]
    fn a_name_that_is_another_s_leads_nowhere() {
        let mut proxy = proxy();
        proxy.everything = Upstream {
            hosts: vec!["all.example".to_owned()],
            ..upstream("https://all.example")
        };
        proxy.local = vec!["own".to_owned()];
        proxy
            .upstreams
            .insert("hub/library".to_owned(), upstream("https://other.example"));
        for (name, host, expected) in [
            ("a", Some("all.example"), "a <- all.example a"),
            ("own/app", Some("all.example"), "Taken(\"own/app\")"),
            ("mirror/quay/a", Some("all.example"), "Taken(\"mirror/quay/a\")"),
            ("group/a", Some("all.example"), "Taken(\"group/a\")"),
            (
                "library/alpine",
                Some("docker.io"),
                "Taken(\"hub/library/alpine\")",
            ),
            ("hub/alpine", None, "Taken(\"hub/library/alpine\")"),
            (
                "hub/library/alpine",
                None,
                "hub/library/alpine <- other.example alpine",
            ),
        ] {
            assert_eq!(found(&proxy, name, host), expected, "{name} {host:?}");
        }
    }

    #[test]
    fn without_upstreams_a_host_means_nothing() {
        assert_eq!(found(&Proxy::default(), "a", Some("docker.io")), "a");
    }
}
