//! What runs beside the requests: started with the server, told when it drains and when it has drained.
//!
//! A part is a function that takes its [`Life`]; it is started by a line in [`start`] and ends by itself when
//! the server drains. One that panics or hangs is named in the log and harms nothing else.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::registry::api::Service;
use crate::registry::config::{Config, Live};
use crate::registry::control;
use crate::registry::upstream;

/// How long parts may take to end after the last request.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Starts every part.
pub fn start(background: &mut Background, service: &Arc<Service>) {
    let reloaded = Arc::clone(service);
    background.spawn("access", |life| access(life, reloaded));
    control::start(background, service);
    let expiring = Arc::clone(service);
    background.spawn("expiry of mirrored content", |life| {
        let mirrors = Arc::clone(&expiring.mirrors);
        upstream::expire(life, mirrors, move |config| expiring.access.is_read_only(config))
    });
}

/// Who may log in, and where the audit log is, follow the configuration.
async fn access(mut life: Life, service: Arc<Service>) {
    let mut end = life.clone();
    loop {
        let config = tokio::select! {
            config = life.reconfigured() => config,
            () = end.draining() => return,
        };
        let service = Arc::clone(&service);
        let _ = tokio::task::spawn_blocking(move || service.access.reload(&config)).await;
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Serving,
    /// No new connection is taken.
    Draining,
    /// The last request has ended.
    Drained,
}

/// All parts.
pub struct Background {
    phase: watch::Sender<Phase>,
    config: Live,
    parts: Vec<(&'static str, JoinHandle<()>)>,
}

impl Background {
    pub fn new(config: Live) -> Self {
        Self {
            phase: watch::Sender::new(Phase::Serving),
            config,
            parts: Vec::new(),
        }
    }

    /// Starts a part: `background.spawn("upload purging", |life| purge(life, registry))`.
    pub fn spawn<F>(&mut self, name: &'static str, part: impl FnOnce(Life) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let life = Life {
            phase: self.phase.subscribe(),
            config: self.config.clone(),
        };
        self.parts.push((name, tokio::spawn(part(life))));
    }

    /// Tells the parts that the server is about to stop.
    pub fn drain(&self) {
        self.phase.send_replace(Phase::Draining);
    }

    /// Tells the parts that the last request has ended, and gives them time for last words.
    pub async fn end(self) {
        self.phase.send_replace(Phase::Drained);
        let deadline = tokio::time::Instant::now() + LAST_WORDS;
        for (name, mut part) in self.parts {
            match timeout(
                deadline.saturating_duration_since(tokio::time::Instant::now()),
                &mut part,
            )
            .await
            {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(part = name, %error, "a part of the server has failed"),
                Err(_) => {
                    tracing::warn!(part = name, "a part of the server is cut off");
                    part.abort();
                }
            }
        }
    }
}

/// What a part knows of the server's life.
#[derive(Clone)]
pub struct Life {
    phase: watch::Receiver<Phase>,
    config: Live,
}

impl Life {
    /// The configuration in force now.
    pub fn config(&self) -> Arc<Config> {
        self.config.now()
    }

    /// Waits for the next configuration.
    pub async fn reconfigured(&mut self) -> Arc<Config> {
        self.config.changed().await
    }

    /// Waits until the server begins to drain.
    pub async fn draining(&mut self) {
        self.reached(Phase::Draining).await;
    }

    /// Waits until the last request has ended: for what has to tell of it.
    pub async fn drained(&mut self) {
        self.reached(Phase::Drained).await;
    }

    /// Waits for a time. False when the server drains instead.
    pub async fn sleep(&mut self, duration: Duration) -> bool {
        tokio::select! {
            () = tokio::time::sleep(duration) => true,
            () = self.draining() => false,
        }
    }

    /// Waits for a time, or for the next configuration before it is over. False when the server drains instead.
    pub async fn pause(&mut self, duration: Duration) -> bool {
        let Self { phase, config } = self;
        tokio::select! {
            () = tokio::time::sleep(duration) => true,
            _ = config.changed() => true,
            _ = phase.wait_for(|now| *now >= Phase::Draining) => false,
        }
    }

    async fn reached(&mut self, phase: Phase) {
        // An error means that the server is gone, and with it every phase.
        let _ = self.phase.wait_for(|now| *now >= phase).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn parts_hear_of_changes_and_of_the_end() {
        let (sender, live) = Live::new(Config::default());
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        let mut background = Background::new(live);
        background.spawn("listener", |mut life| async move {
            let config = life.reconfigured().await;
            tell.send(config.catalog.max_entries).unwrap();
            assert!(!life.sleep(Duration::from_hours(1)).await);
            tell.send(1).unwrap();
            life.drained().await;
            tell.send(2).unwrap();
        });
        background.spawn("failing", |_| async { panic!("on purpose") });
        let mut config = Config::default();
        config.catalog.max_entries = 7;
        sender.send_replace(Arc::new(config));
        assert_eq!(told.recv().await, Some(7));
        background.drain();
        assert_eq!(told.recv().await, Some(1));
        background.end().await;
        assert_eq!(told.recv().await, Some(2));
    }
}
