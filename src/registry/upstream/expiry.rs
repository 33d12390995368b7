//! What nobody asks for is let go: links first, by their time of last use; the collector then finds data that
//! nothing links to.

use std::sync::Arc;
use std::time::Duration;

use super::{Mirrors, now, origin};
use crate::registry::config::{Config, Proxy};
use crate::registry::content::ContentError;
use crate::registry::server::background::Life;

/// How often is looked, as a part of the shortest `ttl`, and at the most and least.
const PARTS: u32 = 8;
const OFTENEST: Duration = Duration::from_secs(1);
const SELDOMEST: Duration = Duration::from_hours(1);
/// Repositories whose names are in memory at once.
const PAGE: usize = 1000;

/// Lets go what is over its time, for as long as the server lives. While nothing is written uses are not noted
/// either, so that nothing is let go then.
pub async fn expire(
    mut life: Life,
    mirrors: Arc<Mirrors>,
    is_read_only: impl Fn(&Config) -> bool + Send + 'static,
) {
    loop {
        let wait = interval(&life.config().proxy);
        let mut end = life.clone();
        let goes_on = tokio::select! {
            goes_on = end.sleep(wait) => goes_on,
            _ = life.reconfigured() => continue,
        };
        if !goes_on {
            return;
        }
        let (config, swept) = (life.config(), Arc::clone(&mirrors));
        if is_read_only(&config) {
            continue;
        }
        match tokio::task::spawn_blocking(move || sweep(&swept, &config.proxy)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!("letting go of mirrored content failed: {error}"),
            Err(error) => tracing::error!("letting go of mirrored content panicked: {error}"),
        }
    }
}

fn interval(proxy: &Proxy) -> Duration {
    let all = proxy.upstreams.values().chain([&proxy.everything]);
    let timed = all.filter(|upstream| upstream.url.is_some() && !upstream.ttl.is_zero());
    let shortest = timed.map(|upstream| upstream.ttl / PARTS).min();
    shortest.unwrap_or(SELDOMEST).clamp(OFTENEST, SELDOMEST)
}

fn sweep(mirrors: &Mirrors, proxy: &Proxy) -> Result<(), ContentError> {
    if proxy.everything.url.is_none() && proxy.upstreams.is_empty() {
        return Ok(());
    }
    let mut last = None;
    loop {
        let names = mirrors.registry.catalog(last.as_deref(), PAGE)?;
        for text in &names {
            let Ok(name) = text.parse() else { continue };
            let Ok(Some(origin)) = origin(proxy, &name) else {
                continue;
            };
            if origin.upstream.ttl.is_zero() || origin.local != name {
                continue;
            }
            let before = now().saturating_sub(origin.upstream.ttl.as_secs());
            let expired = mirrors.registry.expire(&name, before)?;
            mirrors.counts.expired.add(expired);
            if expired > 0 {
                tracing::info!(repository = %name, expired, "let go of what nobody asked for");
            }
        }
        match names.into_iter().next_back() {
            Some(name) => last = Some(name),
            None => return Ok(()),
        }
    }
}
