//! Keys that another token server publishes at a URL, fetched when they are needed.
//!
//! The first token has them fetched, one that names an unknown key has them fetched again, and so has their age; all
//! of it by one request at a time. Anybody can make up the name of a key: what that has fetched again is counted
//! apart, so that it is never more than decent and a key that was just replaced is found at once. What cannot be
//! fetched leaves what there is.

use std::path::Path;
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
/// Between two requests for the sake of unknown keys, and between two that failed.
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
    /// When that was last for the sake of an unknown key.
    anew: Option<Instant>,
    verifier: Option<Arc<Verifier>>,
}

impl Remote {
    pub fn new(url: Uri, authority: Option<&Path>) -> Self {
        let options = Options {
            authorities: authority.map(Path::to_owned).into_iter().collect(),
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
        let (last, age) = match state.verifier {
            None => (state.asked, APART),
            Some(_) if anew => (state.anew, APART),
            Some(_) => (state.asked, FRESH),
        };
        if last.is_none_or(|last| last.elapsed() > age) {
            let now = Instant::now();
            state.asked = Some(now);
            if anew {
                state.anew = Some(now);
            }
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

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::registry::access::token::signing::SigningKey;

    /// A server that counts how often it is asked for its keys.
    fn publish(set: String) -> (Uri, Arc<AtomicUsize>) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                counted.fetch_add(1, Ordering::SeqCst);
                let _ = stream.read(&mut [0; 4096]);
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    set.len()
                );
                let _ = stream.write_all((head + &set).as_bytes());
            }
        });
        (url.parse().unwrap(), asked)
    }

    #[tokio::test]
    async fn made_up_names_of_keys_have_them_fetched_once() {
        let folder = tempfile::tempdir().unwrap();
        let key = SigningKey::read_or_make(folder.path()).unwrap();
        let (url, asked) = publish(serde_json::json!({"keys": [key.jwk]}).to_string());
        let remote = Remote::new(url, None);
        let count = || asked.load(Ordering::SeqCst);
        assert!(remote.verifier(false).await.is_some());
        assert!(remote.verifier(false).await.is_some());
        assert_eq!(count(), 1);
        // An unknown key: right after the first request, and then not for a while, whatever is made up.
        for _ in 0..100 {
            assert!(remote.verifier(true).await.is_some());
        }
        assert_eq!(count(), 2);
        let together: Vec<_> = (0..20).map(|_| remote.verifier(true)).collect();
        for verifier in together {
            assert!(verifier.await.is_some());
        }
        assert_eq!(count(), 2);
    }

    #[tokio::test]
    async fn what_fails_is_not_asked_for_at_once_again() {
        let (url, asked) = publish("no set of keys".to_owned());
        let remote = Remote::new(url, None);
        for anew in [false, true, false, true] {
            assert!(remote.verifier(anew).await.is_none());
        }
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }
}
