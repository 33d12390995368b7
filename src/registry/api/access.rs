//! Whether an endpoint may be used: the one place that every request passes between routing and its handler.
//!
//! Today that is what the configuration allows to everybody; who asks will be known here too.

use crate::registry::config::Config;
use crate::registry::error::{ApiError, Problem};
use crate::registry::route::{Action, Endpoint};

pub fn check(config: &Config, read_only: bool, endpoint: &Endpoint) -> Result<(), ApiError> {
    let action = endpoint.action();
    if read_only && matches!(action, Action::Push | Action::Delete) {
        return Err(Problem::ReadOnly.into());
    }
    if action == Action::Delete && !config.storage.delete_enabled {
        return Err(Problem::Unsupported.detail("deletion is disabled; `storage.delete.enabled` allows it"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(config: &Config, endpoint: &Endpoint) -> u16 {
        check(config, config.storage.read_only, endpoint)
            .map_or_else(|error| error.problem.status().as_u16(), |()| 200)
    }

    #[test]
    fn item_10_deletion_is_off_unless_enabled() {
        let name: crate::registry::name::RepositoryName = "a".parse().unwrap();
        let delete = Endpoint::DeleteManifest(name.clone(), "v1".parse().unwrap());
        let cancel = Endpoint::CancelUpload(name, crate::registry::name::UploadId::random());
        let mut config = Config::default();
        assert_eq!((status(&config, &delete), status(&config, &cancel)), (405, 200));
        config.storage.delete_enabled = true;
        assert_eq!(status(&config, &delete), 200);
        config.storage.read_only = true;
        assert_eq!((status(&config, &delete), status(&config, &cancel)), (405, 405));
        assert_eq!(status(&config, &Endpoint::Base), 200);
    }
}
