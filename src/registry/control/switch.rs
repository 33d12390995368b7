//! Read-only mode while a server runs: a word over the configuration's, gone with the process.

use super::perform::Switch;
use crate::registry::api::Service;

impl Switch for Service {
    fn is_read_only(&self) -> bool {
        self.access.is_read_only(&self.config())
    }

    fn set_read_only(&self, on: bool) {
        self.access.set_read_only(Some(on));
    }
}
