//! Tasks that run a module of the user's own.

use std::path::PathBuf;
use std::sync::Arc;

use super::attempt::Site;
use super::background::Background;
use super::remote::Remote;
use super::{arguments, vocabulary};
use crate::actions::{Done, Failure, Target, own_module};
use crate::template::Scope;

/// The target's half.
const MODULE: &str = "run_module";

impl Site {
    /// The file of the user's own module: as it was found, or by a name that only this run knows.
    pub(super) fn own(&self, module: &str) -> Option<PathBuf> {
        self.task.own.clone().or_else(|| {
            let named_late = self.task.action.contains("{{") && vocabulary::spec(module).is_none();
            named_late
                .then(|| self.run.loader.find_own(module, &self.task.context))
                .flatten()
        })
    }

    pub(super) async fn perform_own(
        &self,
        file: &std::path::Path,
        module: &str,
        scope: &Arc<Scope>,
        remote: &Remote<'_>,
        background: Option<Background>,
    ) -> Result<Done, Failure> {
        let given = arguments::evaluate(&self.task, module, false, scope)?;
        let running = own_module::Running {
            name: module,
            check: remote.check,
            diff: remote.diff,
            no_log: self.no_log(scope)?,
            verbosity: self.run.settings.verbosity,
        };
        let invocation = given.clone();
        let (arguments, held) = own_module::call(file, given, running, background.is_some(), scope)?;
        let outcome = match background {
            Some(background) => remote.start(MODULE, arguments, background).await?,
            None => remote.call(MODULE, arguments, held).await?,
        };
        Ok(Done {
            outcome,
            invocation,
            by_module: true,
            ..Done::default()
        })
    }
}
