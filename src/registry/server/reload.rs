//! SIGHUP: the configuration is read again and put in force, unless something is wrong with it.

use std::sync::Arc;

use tokio::sync::watch;

use crate::diagnostic::Diagnostic;
use crate::registry::access_log;
use crate::registry::config::{Config, Origin, keep_what_is_fixed};

/// Reads `origin` and hands the result on. A broken one changes nothing.
pub fn reload(origin: &Origin, live: &watch::Sender<Arc<Config>>) {
    let mut loaded = match origin.read() {
        Ok(loaded) => loaded,
        Err(errors) => {
            for error in &errors {
                tracing::error!("{}", told(error));
            }
            tracing::error!("the configuration was not read again: the old one stays in force");
            return;
        }
    };
    for warning in &loaded.warnings {
        tracing::warn!("{}", told(warning));
    }
    for key in keep_what_is_fixed(&mut loaded.config, &live.borrow().clone()) {
        tracing::warn!("`{key}` has changed, and takes effect at the next start");
    }
    if loaded.config.http.tls.origin().is_some() != live.borrow().http.tls.origin().is_some() {
        tracing::warn!("whether the port speaks TLS has changed, and takes effect at the next start");
    }
    access_log::reopen(&loaded.config);
    live.send_replace(Arc::new(loaded.config));
    tracing::info!("the configuration was read again");
}

/// A diagnostic as a log has it: its place and caret on lines of their own.
fn told(diagnostic: &Diagnostic) -> String {
    diagnostic.render(false)
}
