//! `access`: rules, limits, quotas and the audit log. Also which proxies are believed.

use std::path::Path;

use ipnet::IpNet;

use super::key::{Key, Section, in_list, in_map};
use super::scalar::{count, flag, path, shown_path};
use super::{Config, Places};
use crate::diagnostic::Diagnostic;
use crate::registry::access::audit::AuditConfig;
use crate::registry::access::limits::{Limit, Rate, shown_size, size};
use crate::registry::access::pattern::Pattern;
use crate::registry::access::quota::Quota;
use crate::registry::access::rules::{Permission, Rules, Who};
use crate::source::Source;

/// Everything of `access`, and `http.trustedproxies`.
#[derive(Debug, Clone, Default)]
pub struct AccessConfig {
    pub rules: Rules,
    pub limits: Limits,
    pub quotas: Vec<Quota>,
    pub audit: AuditConfig,
    pub trusted_proxies: Vec<IpNet>,
}

/// For who has logged in, and for who has not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    pub named: Limit,
    pub anonymous: Limit,
}

impl Limits {
    /// Where nothing else is said of them, anonymous clients have the limits of the others.
    pub fn of(&self, anonymous: bool) -> Limit {
        if !anonymous {
            return self.named;
        }
        Limit {
            requests: self.anonymous.requests.or(self.named.requests),
            bytes: self.anonymous.bytes.or(self.named.bytes),
            received: self.anonymous.received.or(self.named.received),
        }
    }
}

const EVERYTHING: &str = "*";

pub const SECTION: Section = Section {
    keys: &[
        Key::each_many(
            "access.rules.[].repositories",
            "patterns of the repositories that the rule speaks of; without it, all",
            |c, at, values| {
                at.entry(0, &mut c.access.rules.list)?.repositories = patterns(values)?;
                Ok(())
            },
            |c| in_list(&c.access.rules.list, |rule| shown_list(&rule.repositories)),
        ),
        Key::each_many(
            "access.rules.[].who",
            "whom it speaks of: `USER`, `group:NAME`, `certificate:NAME`, `anonymous`, `authenticated`, `everybody`",
            |c, at, values| {
                let who: Result<Vec<Who>, String> = values.iter().map(|text| text.parse()).collect();
                at.entry(0, &mut c.access.rules.list)?.who = who?;
                Ok(())
            },
            |c| in_list(&c.access.rules.list, |rule| shown_list(&rule.who)),
        ),
        Key::each_many(
            "access.rules.[].allow",
            "what it allows: `pull`, `push`, `delete`, `catalog`, or `*` for all",
            |c, at, values| {
                at.entry(0, &mut c.access.rules.list)?.allow = permissions(values)?;
                Ok(())
            },
            |c| in_list(&c.access.rules.list, |rule| shown_list(&rule.allow)),
        ),
        Key::each_many(
            "access.rules.[].deny",
            "what it denies, in the same words",
            |c, at, values| {
                at.entry(0, &mut c.access.rules.list)?.deny = permissions(values)?;
                Ok(())
            },
            |c| in_list(&c.access.rules.list, |rule| shown_list(&rule.deny)),
        ),
        Key::each_many(
            "access.groups.*",
            "the users of a group that rules speak of",
            |c, at, values| {
                *at.value(0, &mut c.access.rules.groups) = values.to_vec();
                Ok(())
            },
            |c| in_map(&c.access.rules.groups, |members| Some(members.clone())),
        ),
        Key::one(
            "access.limits.requests",
            "requests of one client, such as `100/s` or `1000/10m`",
            |c, text| {
                text.parse()
                    .map(|rate| c.access.limits.named.requests = Some(rate))
            },
            |c| shown_rate(c.access.limits.named.requests),
        ),
        Key::one(
            "access.limits.bytes",
            "bytes that are sent to one client, such as `50GiB/h`",
            |c, text| text.parse().map(|rate| c.access.limits.named.bytes = Some(rate)),
            |c| shown_rate(c.access.limits.named.bytes),
        ),
        Key::one(
            "access.limits.received",
            "bytes that are taken from one client, counted apart from those that are sent",
            |c, text| {
                text.parse()
                    .map(|rate| c.access.limits.named.received = Some(rate))
            },
            |c| shown_rate(c.access.limits.named.received),
        ),
        Key::one(
            "access.limits.anonymous.requests",
            "the same for one address that has not logged in",
            |c, text| {
                text.parse()
                    .map(|rate| c.access.limits.anonymous.requests = Some(rate))
            },
            |c| shown_rate(c.access.limits.anonymous.requests),
        ),
        Key::one(
            "access.limits.anonymous.bytes",
            "the same for one address that has not logged in",
            |c, text| {
                text.parse()
                    .map(|rate| c.access.limits.anonymous.bytes = Some(rate))
            },
            |c| shown_rate(c.access.limits.anonymous.bytes),
        ),
        Key::one(
            "access.limits.anonymous.received",
            "the same for one address that has not logged in",
            |c, text| {
                text.parse()
                    .map(|rate| c.access.limits.anonymous.received = Some(rate))
            },
            |c| shown_rate(c.access.limits.anonymous.received),
        ),
        Key::each_many(
            "access.quotas.[].repositories",
            "patterns of the repositories that the quota is for, each by itself; the first quota that fits counts",
            |c, at, values| {
                at.entry(0, &mut c.access.quotas)?.repositories = patterns(values)?;
                Ok(())
            },
            |c| in_list(&c.access.quotas, |quota| shown_list(&quota.repositories)),
        ),
        Key::each(
            "access.quotas.[].bytes",
            "what a repository may hold, such as `10GiB`",
            |c, at, text| {
                at.entry(0, &mut c.access.quotas)?.bytes = Some(size(text)?);
                Ok(())
            },
            |c| in_list(&c.access.quotas, |quota| quota.bytes.map(shown_size)),
        ),
        Key::each(
            "access.quotas.[].tags",
            "how many tags a repository may have",
            |c, at, text| {
                at.entry(0, &mut c.access.quotas)?.tags = Some(count(text)? as u64);
                Ok(())
            },
            |c| in_list(&c.access.quotas, |quota| quota.tags.map(|tags| tags.to_string())),
        ),
        Key::one(
            "access.audit.enabled",
            "a line of JSON for each push, deletion, denial, failed log-in, token, and work of administrators",
            |c, text| flag(text).map(|value| c.access.audit.enabled = value),
            |c| Some(c.access.audit.enabled.to_string()),
        ),
        Key::one(
            "access.audit.file",
            "where these lines go; without it, to the log",
            |c, text| path(text).map(|value| c.access.audit.file = Some(value)),
            |c| shown_path(c.access.audit.file.as_ref()),
        ),
        Key::many(
            "http.trustedproxies",
            "addresses or networks of proxies whose `Forwarded` and `X-Forwarded-*` are believed",
            |c, values| {
                let found: Result<Vec<IpNet>, String> = values.iter().map(|text| network(text)).collect();
                c.access.trusted_proxies = found?;
                Ok(())
            },
            |c| {
                let all = c.access.trusted_proxies.iter();
                all.map(ToString::to_string).collect()
            },
        ),
    ],
    check,
    ..Section::EMPTY
};

fn check(config: &Config, places: &Places<'_>) -> Vec<Diagnostic> {
    let mut errors = Vec::new();
    let rules = &config.access.rules;
    for (index, rule) in rules.list.iter().enumerate() {
        let path = format!("access.rules.{index}");
        let mut wrong = |message: String| errors.push(places.error(&path, message));
        if rule.who.is_empty() {
            wrong(format!("`{path}` needs `who`: whom it speaks of"));
        }
        if rule.allow.is_empty() && rule.deny.is_empty() {
            wrong(format!("`{path}` needs `allow` or `deny`"));
        }
        if let Some(both) = rule.allow.iter().find(|action| rule.deny.contains(action)) {
            wrong(format!("`{path}` both allows and denies `{both}`"));
        }
        for who in &rule.who {
            if let Who::Group(group) = who
                && !rules.groups.contains_key(group)
            {
                let error = places.error(
                    &format!("{path}.who"),
                    format!("`{group}` is no group of `access.groups`"),
                );
                errors.push(error.nearest(group, rules.groups.keys().map(String::as_str)));
            }
        }
    }
    for (index, quota) in config.access.quotas.iter().enumerate() {
        let path = format!("access.quotas.{index}");
        let mut wrong = |message: String| errors.push(places.error(&path, message));
        if quota.repositories.is_empty() {
            wrong(format!("`{path}` needs `repositories`: whom it is for"));
        }
        if quota.repositories.iter().any(Pattern::is_of_a_user) {
            wrong(format!(
                "`{path}` is for repositories, whoever pushes: it cannot say `{{user}}`"
            ));
        }
        if quota.bytes.is_none() && quota.tags.is_none() {
            wrong(format!("`{path}` needs `bytes` or `tags`"));
        }
    }
    errors
}

/// Where the rule at this index is written, `FILE:LINE`; none where the file does not have it.
pub fn rule_place(file: &Path, index: usize) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let source = Source::new(file.display().to_string(), text);
    let leaves = super::document::leaves(&source, &[]).ok()?;
    let path = format!("access.rules.{index}");
    let shown = Places(&leaves).error(&path, "");
    let place = shown.span?.position();
    Some(format!("{}:{}", file.display(), place.line))
}

fn patterns(values: &[String]) -> Result<Vec<Pattern>, String> {
    let parse = |text: &String| text.parse().map_err(|error| format!("`{text}`: {error}"));
    values.iter().map(parse).collect()
}

fn permissions(values: &[String]) -> Result<Vec<Permission>, String> {
    if values == [EVERYTHING] {
        return Ok(Permission::ALL.to_vec());
    }
    let parse = |text: &String| {
        Permission::parse(text)
            .ok_or_else(|| format!("`{text}` must be pull, push, delete, catalog or {EVERYTHING}"))
    };
    values.iter().map(parse).collect()
}

fn network(text: &str) -> Result<IpNet, String> {
    let address = text.parse::<std::net::IpAddr>().map(IpNet::from);
    address
        .or_else(|_| text.parse())
        .map_err(|_| format!("`{text}` must be an address or a network such as 10.0.0.0/8"))
}

fn shown_list<T: ToString>(list: &[T]) -> Option<Vec<String>> {
    (!list.is_empty()).then(|| list.iter().map(ToString::to_string).collect())
}

fn shown_rate(rate: Option<Rate>) -> Option<String> {
    rate.map(|rate| rate.to_string())
}
