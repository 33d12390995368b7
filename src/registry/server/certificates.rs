//! The certificate while the server runs: changed files are put in force, and what an ACME server gives is
//! asked for in time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::background::Life;
use crate::registry::config::tls::Origin;
use crate::registry::tls::{Keeper, Offer, acme};

/// How often files are looked at: a few calls of `stat`.
const LOOK: Duration = Duration::from_secs(1);
/// After a failure ACME servers are asked again, less and less often: they count.
const RETRY_FIRST: Duration = Duration::from_mins(1);
const RETRY_LAST: Duration = Duration::from_hours(1);

/// Keeps what is offered current.
pub async fn keep(mut life: Life, keeper: Keeper) {
    let keeper = Arc::new(Mutex::new(keeper));
    loop {
        if !life.pause(LOOK).await {
            return;
        }
        let (keeper, config) = (Arc::clone(&keeper), life.config());
        let looked = tokio::task::spawn_blocking(move || {
            let mut keeper = keeper.lock().unwrap_or_else(PoisonError::into_inner);
            keeper.look(&config, SystemTime::now());
        });
        if let Err(error) = looked.await {
            tracing::error!(%error, "looking at the certificate failed");
        }
    }
}

/// Gets certificates when they are due, where the configuration names an ACME server.
pub async fn renew(mut life: Life, offer: Arc<Offer>) {
    let mut retry = RETRY_FIRST;
    loop {
        let config = life.config();
        let mut wait = RETRY_LAST;
        if let Some(Origin::Acme(settings)) = config.http.tls.origin() {
            let folder = acme::folder(&config);
            if acme::due(&folder, &settings.hosts, SystemTime::now()) {
                let obtained = tokio::select! {
                    obtained = acme::obtain(settings, &folder, &offer) => obtained,
                    () = life.draining() => return,
                };
                match obtained {
                    Ok(()) => retry = RETRY_FIRST,
                    Err(error) => {
                        tracing::error!(%error, "no certificate came; asking again in {} s", retry.as_secs());
                        wait = retry;
                        retry = (retry * 2).min(RETRY_LAST);
                    }
                }
            }
        }
        if !life.pause(wait).await {
            return;
        }
    }
}
