//! What work touches in a running server beside its storage: read-only mode, a word over the configuration's and
//! gone with the process, and what is counted for quotas.

use crate::registry::api::Service;

/// The server that work is done in.
pub trait Running: Send + Sync {
    fn is_read_only(&self) -> bool;
    fn set_read_only(&self, on: bool);
    /// Repositories hold more or less than before, and no request has made it so.
    fn changed(&self);
}

impl Running for Service {
    fn is_read_only(&self) -> bool {
        self.access.is_read_only(&self.config())
    }

    fn set_read_only(&self, on: bool) {
        self.access.set_read_only(Some(on));
    }

    fn changed(&self) {
        self.access.quotas.forget_all();
    }
}
