//! What systemd is told, where it is the one that started this: ready, reloading, stopping, still alive.

use std::time::Duration;

use sd_notify::NotifyState;

use super::background::Life;

pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// To be followed by [`ready`].
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "reading the clock for the service manager failed"),
    }
}

pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// How long the service manager waits for a sign of life, if it does.
pub fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|expected| !expected.is_zero())
}

/// Gives signs of life, twice as often as they are expected. A runtime that hangs gives none; draining, which
/// has a deadline of its own, is no hanging.
pub async fn live(mut life: Life, expected: Duration) {
    let mut signs = tokio::time::interval(expected / 2);
    loop {
        tokio::select! {
            _ = signs.tick() => tell(&[NotifyState::Watchdog]),
            () = life.drained() => return,
        }
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "telling the service manager failed");
    }
}
