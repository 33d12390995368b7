//! Keys that another token server publishes at a URL, fetched when they are needed.
//!
//! The first token has them fetched, one that names an unknown key has them fetched again, and so has their age; all
//! of it by one request at a time, and not more often than is decent. What cannot be fetched leaves what there is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::{Request, Uri};
use tokio::sync::Mutex;

use super::keys::Keys;
use super::trust::Verifier;
use crate::registry::outbound::{Options, Outbound};

/// A set of keys takes some KiB.
const MAX_SET: usize = 1 << 20;
/// Keys that were taken back stop counting after this.
const FRESH: Duration = Duration::from_hours(1);
/// Between two requests, whatever tokens name.
const APART: Duration = Duration::from_secs(30);
/// A client waits for this.
const PATIENCE: Duration = Duration::from_secs(5);

pub struct Remote {
    url: Uri,
    outbound: Outbound,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    asked: Option<Instant>,
    verifier: Option<Arc<Verifier>>,
}

impl Remote {
    pub fn new(url: Uri) -> Self {
        let options = Options {
            connect: PATIENCE,
            response: PATIENCE,
            stall: PATIENCE,
            ..Options::default()
        };
        Self {
            url,
            outbound: Outbound::new(options),
            state: Mutex::default(),
        }
    }

    /// What verifies by the published keys; none where they could not be had yet. With `anew` those that are known
    /// have not been enough.
    pub async fn verifier(&self, anew: bool) -> Option<Arc<Verifier>> {
        // The others wait for the one that asks.
        let mut state = self.state.lock().await;
        let age = if anew || state.verifier.is_none() {
            APART
        } else {
            FRESH
        };
        if state.asked.is_none_or(|asked| asked.elapsed() > age) {
            state.asked = Some(Instant::now());
            match self.fetch().await {
                Ok(keys) => state.verifier = Some(Arc::new(Verifier::new(keys))),
                Err(reason) => tracing::error!("the keys of `auth.token.jwksurl`: {reason}"),
            }
        }
        state.verifier.clone()
    }

    async fn fetch(&self) -> Result<Keys, String> {
        let mut request = Request::new(Bytes::new());
        request.uri_mut().clone_from(&self.url);
        let answer = self
            .outbound
            .send(request)
            .await
            .map_err(|error| error.to_string())?;
        let status = answer.status();
        if !status.is_success() {
            return Err(format!("{} was answered {status}", self.url));
        }
        let set = answer
            .into_body()
            .whole(MAX_SET)
            .await
            .map_err(|error| error.to_string())?;
        let mut keys = Keys::default();
        keys.add_set(&set)?;
        Ok(keys)
    }
}
