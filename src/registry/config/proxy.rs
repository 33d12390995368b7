//! `proxy`: other registries whose content is served and kept here.
//!
//! `proxy.remoteurl` and what stands beside it is distribution's: one upstream for every name. `proxy.upstreams`
//! is ours: several, each for the names under its prefix.

use std::path::PathBuf;
use std::time::Duration;

use indexmap::IndexMap;

use super::key::{Key, Section, Words, in_map, name_of, one_of};
use super::scalar::{base_url, duration, flag, path, positive, shown_duration};
use super::{Config, Places, Secret};
use crate::diagnostic::Diagnostic;
use crate::registry::name::RepositoryName;

/// As distribution has it.
const TTL: Duration = Duration::from_hours(7 * 24);
/// How old what a tag names may be without asking: one question a minute for each tag is no load.
const FRESH: Duration = Duration::from_mins(1);
/// How long after the upstream's last word a tag is still served.
const MAX_STALE: Duration = Duration::from_hours(30 * 24);
const TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Default)]
pub struct Proxy {
    /// The one for every name that no other is for; without a URL there is none.
    pub everything: Upstream,
    /// By name, which is the prefix unless another is given.
    pub upstreams: IndexMap<String, Upstream>,
    /// Prefixes of repositories that are this registry's own all the same.
    pub local: Vec<String>,
    pub unknown_hosts: UnknownHosts,
}

/// What becomes of a request for a host (`?ns=`) that no upstream is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnknownHosts {
    /// 404, so that the client asks elsewhere.
    #[default]
    Refuse,
    /// As if no host were given.
    Local,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    pub url: Option<String>,
    pub prefix: Option<String>,
    /// The upstream's names have the prefix, too.
    pub keep_prefix: bool,
    /// Hosts that it answers for when a client names one by `?ns=`.
    pub hosts: Vec<String>,
    pub username: Option<String>,
    pub password: Option<Secret>,
    /// The same, out of a file.
    pub password_file: Option<Secret>,
    /// PEM files of authorities that are trusted beside the system's.
    pub authorities: Vec<PathBuf>,
    /// What nobody asks for is let go after this; never with zero.
    pub ttl: Duration,
    pub fresh: Duration,
    pub max_stale: Duration,
    /// For an answer, and for each piece of it.
    pub timeout: Duration,
}

impl Default for Upstream {
    fn default() -> Self {
        Self {
            url: None,
            prefix: None,
            keep_prefix: false,
            hosts: Vec::new(),
            username: None,
            password: None,
            password_file: None,
            authorities: Vec::new(),
            ttl: TTL,
            fresh: FRESH,
            max_stale: MAX_STALE,
            timeout: TIMEOUT,
        }
    }
}

impl Upstream {
    /// The password, wherever it is written.
    pub fn secret(&self) -> Option<&Secret> {
        self.password.as_ref().or(self.password_file.as_ref())
    }
}

const UNKNOWN_HOSTS: &Words<UnknownHosts> =
    &[("refuse", UnknownHosts::Refuse), ("local", UnknownHosts::Local)];

/// Each key of an upstream twice: of the one for everything, and of those with prefixes.
macro_rules! upstream_keys {
    (
        one: $($name:literal, $meaning:literal, $set:expr, $show:expr $(, $secret:ident)?;)*
        many: $($list:literal, $list_meaning:literal, $set_list:expr, $show_list:expr;)*
        named: $($own:literal, $own_meaning:literal, $set_own:expr, $show_own:expr;)*
        further: $($further:expr,)*
    ) => {
        &[
            $(Key::one(
                concat!("proxy.", $name), $meaning,
                |c, text| set_one(&mut c.proxy.everything, text, $set),
                |c| c.proxy.everything.url.as_ref().and_then(|_| show(&c.proxy.everything, $show)),
            )$(.$secret())?,)*
            $(Key::many(
                concat!("proxy.", $list), $list_meaning,
                |c, texts| set_many(&mut c.proxy.everything, texts, $set_list),
                |c| show(&c.proxy.everything, $show_list),
            ),)*
            $(Key::each(
                concat!("proxy.upstreams.*.", $name), $meaning,
                |c, at, text| set_one(at.value(0, &mut c.proxy.upstreams), text, $set),
                |c| in_map(&c.proxy.upstreams, $show),
            )$(.$secret())?,)*
            $(Key::each(
                concat!("proxy.upstreams.*.", $own), $own_meaning,
                |c, at, text| set_one(at.value(0, &mut c.proxy.upstreams), text, $set_own),
                |c| in_map(&c.proxy.upstreams, $show_own),
            ),)*
            $(Key::each_many(
                concat!("proxy.upstreams.*.", $list), $list_meaning,
                |c, at, texts| set_many(at.value(0, &mut c.proxy.upstreams), texts, $set_list),
                |c| in_map(&c.proxy.upstreams, |u| Some(show(u, $show_list)).filter(|list| !list.is_empty())),
            ),)*
            $($further,)*
        ]
    };
}

pub const SECTION: Section = Section {
    keys: upstream_keys![
        one:
        "remoteurl", "the registry that is asked, `https://registry-1.docker.io`",
            |u, text| url(text).map(|value| u.url = Some(value)), |u| u.url.clone();
        "username", "who this registry is there; without it, nobody",
            |u, text| { u.username = Some(text.to_owned()); Ok(()) }, |u| u.username.clone();
        "password", "the password or token",
            |u, text| Secret::given(text).map(|value| u.password = Some(value)),
            |u| u.password.as_ref().and_then(Secret::shown), secret;
        "passwordfile", "a file that holds it",
            |u, text| Secret::in_file(text).map(|value| u.password_file = Some(value)),
            |u| u.password_file.as_ref().and_then(Secret::shown_file);
        "ttl", "what nobody has asked for during this time is let go, by default a week; `0`: never",
            |u, text| duration(text).map(|value| u.ttl = value), |u| Some(shown_duration(u.ttl));
        "fresh", "how long a tag is served before the upstream is asked again, by default a minute",
            |u, text| duration(text).map(|value| u.fresh = value), |u| Some(shown_duration(u.fresh));
        "maxstale", "how long after the upstream's last word a tag is served while it fails, by default 30 days",
            |u, text| duration(text).map(|value| u.max_stale = value), |u| Some(shown_duration(u.max_stale));
        "timeout", "how long the upstream may take to answer, and between two pieces of an answer, by default 30 s",
            |u, text| positive(text).map(|value| u.timeout = value), |u| Some(shown_duration(u.timeout));
        many:
        "hosts", "hosts that it is asked for by containerd's `?ns=`; by default the host of `remoteurl`",
            |u, texts| { u.hosts = texts.iter().map(|text| text.to_ascii_lowercase()).collect(); Ok(()) },
            |u| u.hosts.clone();
        "authorities", "PEM files of authorities that are trusted beside the system's",
            |u, texts| {
                let paths: Result<_, _> = texts.iter().map(|text| path(text)).collect();
                paths.map(|paths| u.authorities = paths)
            },
            |u| u.authorities.iter().map(|path| path.display().to_string()).collect::<Vec<_>>();
        named:
        "prefix", "the repositories that it is for; by default the name of the entry",
            |u, text| prefix(text).map(|value| u.prefix = Some(value)), |u| u.prefix.clone();
        "keepprefix", "whether the upstream's names have the prefix, too",
            |u, text| flag(text).map(|value| u.keep_prefix = value), |u| Some(u.keep_prefix.to_string());
        further:
        Key::many("proxy.local", "prefixes of repositories that are this registry's own all the same",
            |c, texts| {
                let prefixes: Result<_, _> = texts.iter().map(|text| prefix(text)).collect();
                prefixes.map(|prefixes| c.proxy.local = prefixes)
            },
            |c| c.proxy.local.clone()),
        Key::one("proxy.unknownhosts", "a `?ns=` that no upstream is for: `refuse` (404) or `local`",
            |c, text| one_of(UNKNOWN_HOSTS, text).map(|value| c.proxy.unknown_hosts = value),
            |c| name_of(UNKNOWN_HOSTS, c.proxy.unknown_hosts)),
    ],
    refused: &[(
        "proxy.exec",
        "no program is run for credentials; `username` and `password` are sent",
    )],
    check,
    ..Section::EMPTY
};

fn set_one(
    upstream: &mut Upstream,
    text: &str,
    set: fn(&mut Upstream, &str) -> Result<(), String>,
) -> Result<(), String> {
    set(upstream, text)
}

fn set_many(
    upstream: &mut Upstream,
    texts: &[String],
    set: fn(&mut Upstream, &[String]) -> Result<(), String>,
) -> Result<(), String> {
    set(upstream, texts)
}

fn show<T>(upstream: &Upstream, show: fn(&Upstream) -> T) -> T {
    show(upstream)
}

fn url(text: &str) -> Result<String, String> {
    let Some(text) = base_url(text)? else {
        return Err("must be a URL such as https://registry.example".to_owned());
    };
    let parsed = url::Url::parse(&text).map_err(|error| error.to_string())?;
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err("must not hold a password: `username` and `password` are keys of their own".to_owned());
    }
    if parsed.query().is_some() || parsed.fragment().is_some() {
        return Err("must end with its path".to_owned());
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// A prefix is whole segments of a repository's name; a slash at its end may stand or not.
fn prefix(text: &str) -> Result<String, String> {
    let bare = text.trim_end_matches('/');
    match bare.parse::<RepositoryName>() {
        Ok(name) => Ok(name.to_string()),
        Err(_) => Err("must be the beginning of repository names, such as `hub` or `mirror/quay`".to_owned()),
    }
}

fn check(config: &Config, places: &Places<'_>) -> Vec<Diagnostic> {
    let proxy = &config.proxy;
    let mut errors = Vec::new();
    let mut error = |path: String, message: String| errors.push(places.error(&path, message));
    let everything =
        (proxy.everything != Upstream::default()).then_some(("proxy".to_owned(), &proxy.everything));
    let named = proxy
        .upstreams
        .iter()
        .map(|(key, upstream)| (format!("proxy.upstreams.{key}"), upstream));
    let all: Vec<(String, &Upstream)> = everything.into_iter().chain(named).collect();
    for (path, upstream) in &all {
        if upstream.url.is_none() {
            error(
                path.clone(),
                format!("`{path}` needs `remoteurl`: the registry that is asked"),
            );
        }
        if upstream.password.is_some() && upstream.password_file.is_some() {
            error(
                path.clone(),
                format!("`{path}` has both a `password` and a `passwordfile`"),
            );
        }
        let (there, missing) = match (&upstream.username, upstream.secret()) {
            (Some(_), None) => ("username", "password"),
            (None, Some(_)) => ("password", "username"),
            _ => continue,
        };
        error(
            path.clone(),
            format!("`{path}.{there}` needs `{path}.{missing}` beside it"),
        );
    }
    let mut prefixes: Vec<String> = Vec::new();
    for (key, upstream) in &proxy.upstreams {
        let path = format!("proxy.upstreams.{key}");
        if upstream.prefix.is_none() && key.parse::<RepositoryName>().is_err() {
            error(
                path,
                format!("`{key}` is no beginning of repository names: give it a `prefix`"),
            );
            continue;
        }
        let own = upstream.prefix.clone().unwrap_or_else(|| key.clone());
        if prefixes.contains(&own) {
            error(path, format!("the prefix `{own}` is another upstream's already"));
        }
        prefixes.push(own);
    }
    let mut hosts: Vec<&String> = Vec::new();
    for (path, upstream) in &all {
        for host in &upstream.hosts {
            if hosts.contains(&host) {
                error(
                    path.clone(),
                    format!("the host `{host}` is another upstream's already"),
                );
            }
            hosts.push(host);
        }
    }
    errors
}
