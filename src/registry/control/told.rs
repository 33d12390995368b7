//! What the audit log is told of work: who had what done, and how it ended. What only looks is not told.

use super::message::{Event, Request};
use crate::registry::access::audit::{Audit, Happening, Line, Outcome};

/// Who has work done, and by which way.
#[derive(Debug, Clone)]
pub struct By {
    user: Option<String>,
    way: &'static str,
}

impl By {
    /// A user of this machine, who may open the socket.
    pub fn socket(user: Option<u32>) -> Self {
        Self {
            user: user.map(shown),
            way: "control socket",
        }
    }

    /// Whoever has started this process.
    pub fn this_process() -> Self {
        Self {
            user: Some(shown(rustix::process::getuid().as_raw())),
            way: "verb",
        }
    }

    /// Nobody: the configuration wants it done from time to time.
    pub fn schedule() -> Self {
        Self {
            user: None,
            way: "schedule",
        }
    }

    /// Writes down how it ended.
    pub(super) fn tell(&self, audit: &Audit, request: &Request, end: &Event) {
        let Some(action) = request.deed() else { return };
        let (outcome, reason) = match end {
            Event::Failed { message } => (Outcome::Failed, Some(message.clone())),
            _ => (Outcome::Done, None),
        };
        let repository = match request {
            Request::Import { repository, .. } => repository.as_deref(),
            _ => None,
        };
        audit.tell(Line {
            user: self.user.as_deref(),
            proof: Some(self.way),
            action: Some(action),
            repository,
            reason,
            ..Line::new(Happening::Administration, outcome)
        });
    }
}

fn shown(uid: u32) -> String {
    format!("uid {uid}")
}
