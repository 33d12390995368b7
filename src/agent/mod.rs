//! The target's half: runs the calls that come over the wire.
//!
//! The agent reads requests from its standard input and writes responses to its standard output until the
//! input ends; it holds nothing from one batch to the next but its child agents (one for each other user that
//! tasks run as) and, in a check, what was predicted. It knows the modules by their table only, and nothing of plays: what a result means is the
//! controller's business.
//!
//! When the controller goes away in the middle of a call, the call's processes are ended, then the agent; the
//! same when a signal asks it to end. It leaves no files: what it has to keep has no name.

mod child;
mod contents;
mod conversation;
mod descendants;
mod elevation;
mod foresight;
mod incoming;
pub mod job;
mod partial;
mod system;

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use self::child::{Child, Own, StartError};
use self::conversation::{Broken, Conversation};
use self::foresight::Foresight;
use self::system::AgentSystem;
use crate::modules::{self, Mode};
use crate::system::System;
use crate::system::local::Local;
use crate::system::would_be::WouldBe;
use crate::wire::PROTOCOL_VERSION;
use crate::wire::frame::{FrameError, Kind};
use crate::wire::message::{Batch, Become, Call, Hello, Outcome, Request, Response};

/// What a call that is nearly done may take to end by itself after the controller has gone.
const GRACE: Duration = Duration::from_millis(500);

/// Runs an agent on this process's standard streams until its input ends. `build` is the digest of the
/// executable where whoever started it knows.
pub fn run(build: Option<String>) -> Result<(), AgentError> {
    let digest = match build {
        Some(digest) => digest,
        None => digest_of(Path::new("/proc/self/exe")).map_err(AgentError::Executable)?,
    };
    let path = std::env::current_exe().map_err(AgentError::Executable)?;
    let own = Own {
        path: path.to_string_lossy().into_owned(),
        digest,
    };
    end_by_signal().map_err(AgentError::Signals)?;
    let gone = || {
        std::thread::sleep(GRACE);
        end_with_descendants();
    };
    serve(io::stdin(), io::stdout(), gone, own).map_err(AgentError::Stream)
}

/// Why an agent ended otherwise than by the end of its input.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    #[error("cannot read the agent's own executable: {0}")]
    Executable(#[source] io::Error),
    #[error("cannot wait for signals: {0}")]
    Signals(#[source] io::Error),
    #[error("{0}")]
    Stream(#[source] Broken),
}

/// The signals that end the agent end what it has started, too. They come from a program between two agents
/// (`sudo` passes on what it gets), from a closed terminal, or from the target's administrator.
fn end_by_signal() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let [mut terminate, mut hang_up, mut interrupt] = {
        let _entered = runtime.enter();
        [
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
            signal(SignalKind::interrupt())?,
        ]
    };
    std::thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = hang_up.recv() => {}
                _ = interrupt.recv() => {}
            }
        });
        end_with_descendants();
    });
    Ok(())
}

fn end_with_descendants() -> ! {
    descendants::terminate();
    std::process::exit(1);
}

fn digest_of(path: &Path) -> io::Result<String> {
    let mut file = std::fs::File::open(path)?;
    let mut hash = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    let mut buffer = vec![0; crate::wire::frame::CHUNK];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            count => hash.update(&buffer[..count]),
        }
    }
    Ok(hash
        .finish()
        .as_ref()
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}")))
}

/// The loop: one batch after the other.
fn serve(
    input: impl Read + Send + 'static,
    output: impl Write + 'static,
    gone: impl FnOnce() + Send + 'static,
    own: Own,
) -> Result<(), Broken> {
    let machine = Local::default();
    let conversation = Rc::new(RefCell::new(Conversation::new(input, output, gone)));
    conversation.borrow_mut().send(
        Kind::Hello,
        &Hello {
            protocol: PROTOCOL_VERSION,
            build: own.digest.clone(),
            uid: machine.uid(),
            pid: std::process::id(),
        },
    )?;
    let mut agent = Agent {
        machine,
        conversation: Rc::clone(&conversation),
        own,
        children: HashMap::new(),
        started: 0,
        foresight: Foresight::default(),
    };
    loop {
        let frame = conversation.borrow().frame();
        let frame = match frame {
            Ok(frame) => frame,
            Err(Broken::Gone) => return Ok(()),
            Err(broken) => return Err(broken),
        };
        match frame.kind {
            Kind::Data => {
                if conversation.borrow_mut().contents.take(&frame.body).is_none() {
                    return Err(Broken::Unexpected(frame.kind));
                }
            }
            Kind::Request => match frame.parse()? {
                Request::Run(batch) => {
                    conversation.borrow_mut().set_compression(batch.compress);
                    agent.run(batch)?;
                    conversation.borrow_mut().contents.clear();
                }
                // For a question that is no longer of interest: its module has panicked.
                Request::Answer { .. } => {}
            },
            kind => return Err(Broken::Unexpected(kind)),
        }
    }
}

struct Agent {
    machine: Local,
    conversation: Rc<RefCell<Conversation>>,
    own: Own,
    /// By whom they run as, and how. A password counts: a wrong one is refused, whatever a right one has started.
    children: HashMap<Become, Child>,
    started: u64,
    foresight: Foresight,
}

impl Agent {
    fn run(&mut self, mut batch: Batch) -> Result<(), Broken> {
        if let Some(foreseen) = &mut batch.foreseen {
            let followed = self
                .foresight
                .follow(std::mem::take(foreseen), &[&self.conversation.borrow().contents]);
            if let Err(reason) = followed {
                let batch = batch.id;
                let refused = Response::Refused { batch, reason };
                return self.conversation.borrow_mut().respond(&refused);
            }
        }
        match batch.become_user.take() {
            Some(target) if !self.is_running_as(&target.user) => self.run_as(target, batch),
            _ => self.run_here(&batch),
        }
    }

    fn is_running_as(&self, user: &str) -> bool {
        // An account that this file does not list (LDAP) costs a child that was not needed.
        self.machine.users().is_ok_and(|users| {
            users
                .iter()
                .any(|known| known.name == user && known.uid == self.machine.uid())
        })
    }

    fn run_here(&self, batch: &Batch) -> Result<(), Broken> {
        for (index, call) in batch.calls.iter().enumerate() {
            let seen = self.foresight.seen();
            let outcome = self.call(call, batch.foreseen.is_some());
            let failed = outcome.failed;
            // Contents that it did not come to are not for the next one.
            self.conversation.borrow_mut().finish().map_err(FrameError::Io)?;
            self.tell_foreseen(batch.id, seen)?;
            self.conversation.borrow_mut().respond(&Response::Result {
                batch: batch.id,
                index,
                outcome,
            })?;
            if failed {
                break;
            }
        }
        self.conversation
            .borrow_mut()
            .respond(&Response::Done { batch: batch.id })
    }

    /// What was foreseen since, for those who predict after this agent.
    fn tell_foreseen(&self, batch: u64, seen: usize) -> Result<(), Broken> {
        if self.foresight.seen() == seen {
            return Ok(());
        }
        let mut conversation = self.conversation.borrow_mut();
        let here = |key: &_| conversation.contents.open(key).is_some();
        let (foreseen, frames) = self.foresight.since(seen, &here);
        for frame in &frames {
            conversation.relay(frame)?;
        }
        conversation.respond(&Response::Foreseen { batch, foreseen })
    }

    /// `shares`: in a check; what is predicted counts for later calls, too.
    fn call(&self, call: &Call, shares: bool) -> Outcome {
        let Some(module) = modules::find(&call.module) else {
            return Outcome::failed(format!("this agent has no module `{}`", call.module));
        };
        let system = AgentSystem {
            machine: Local::new(call.environment.clone().into_iter().collect()),
            conversation: Rc::clone(&self.conversation),
        };
        if let Some(folder) = &call.directory {
            // Whoever may not go there has no use for paths below it either.
            let _ = std::env::set_current_dir(folder);
        }
        let mode = Mode {
            check: call.check,
            diff: call.diff,
        };
        guarded(&call.module, || {
            let would_be = WouldBe::new(&system, &self.foresight.state);
            match (shares, call.check) {
                (true, true) => module.predict(&call.arguments, call.diff, &would_be),
                (true, false) => module.run_amid(&call.arguments, call.diff, &would_be),
                (false, _) => module.run(&call.arguments, mode, &system),
            }
        })
    }

    fn run_as(&mut self, target: Become, batch: Batch) -> Result<(), Broken> {
        let conversation = Rc::clone(&self.conversation);
        let conversation = &mut *conversation.borrow_mut();
        let mut kept = self.children.remove(&target);
        let mut child = if let Some(child) = kept.take_if(Child::is_alive) {
            child
        } else {
            self.started += 1;
            let root = self.machine.uid() == 0;
            match Child::start(self.started, &target, &self.own, root, conversation) {
                Ok(child) => child,
                Err(StartError::Broken(broken)) => return Err(broken),
                Err(StartError::Refused(reason)) => {
                    return conversation.respond(&Response::Refused {
                        batch: batch.id,
                        reason,
                    });
                }
            }
        };
        if child.run(batch, &self.foresight, conversation)? {
            self.children.insert(target, child);
        }
        Ok(())
    }
}

/// A module changes the target, not the agent: after a panic the agent is as good as before.
fn guarded(module: &str, run: impl FnOnce() -> Outcome) -> Outcome {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let reason = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("no message");
        Outcome::failed(format!(
            "module {module} has a bug and stopped: {reason} (please report it)"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_failed_outcome() {
        let outcome = guarded("demo", || panic!("{} boom", 1));
        assert!(outcome.failed);
        assert_eq!(
            outcome.message(),
            Some("module demo has a bug and stopped: 1 boom (please report it)")
        );
    }
}
