//! Jobs: modules that go on when the agent has ended.
//!
//! The agent starts this executable with `--job`, which hands the request on to a process with `--job-work` and
//! ends; that one leads a session of its own and has lost its parent. So neither the end of the connection nor
//! the agent's own clearing up reaches the work. What is known of the job is in its file
//! ([`crate::modules::commands::job`]).

use std::io::{self, Read, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use super::{descendants, guarded};
use crate::modules::commands::job::{self, Request};
use crate::modules::{self, Mode};
use crate::system::local::Local;
use crate::wire::message::{Call, Outcome};

/// The words of the command line by which the two processes are started.
pub const DETACH: &str = "--job";
pub const WORK: &str = "--job-work";

/// What the process that works says when nothing reaches it any more.
const READY: [u8; 1] = *b"\n";

/// Starts the process that works, and waits until it is on its own.
pub fn detach() -> io::Result<()> {
    let mut request = Vec::new();
    io::stdin().read_to_end(&mut request)?;
    let mut work = Command::new("/proc/self/exe")
        .args(["agent", WORK])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    if let Some(mut input) = work.stdin.take() {
        input.write_all(&request)?;
    }
    match work.stdout.take() {
        Some(mut output) => output.read_exact(&mut [0; READY.len()]),
        None => Ok(()),
    }
}

/// Does the work, and leaves its result in the job's file.
pub fn work() -> io::Result<()> {
    let mut text = Vec::new();
    io::stdin().read_to_end(&mut text)?;
    let request: Request = serde_json::from_slice(&text)?;
    rustix::process::setsid()?;
    io::stdout().write_all(&READY)?;
    io::stdout().flush()?;
    let limit = Duration::from_secs(request.limit);
    let (result, ended) = channel();
    let call = request.call;
    thread::spawn(move || {
        // Nobody listens any more when the time is up.
        let _ = result.send(run(&call));
    });
    let outcome = match ended.recv_timeout(limit) {
        Ok(outcome) => outcome,
        Err(RecvTimeoutError::Timeout) => {
            descendants::terminate();
            Outcome::failed("Timeout exceeded").with("child_pid", i64::from(std::process::id()))
        }
        Err(RecvTimeoutError::Disconnected) => Outcome::failed("the job has ended without a result"),
    };
    job::write(&request.file, &job::ended(outcome), &Local::default()).map_err(io::Error::other)
}

fn run(call: &Call) -> Outcome {
    let Some(module) = modules::find(&call.module) else {
        return Outcome::failed(format!("this agent has no module `{}`", call.module));
    };
    let machine = Local::new(call.environment.clone().into_iter().collect());
    let mode = Mode {
        check: call.check,
        diff: call.diff,
    };
    guarded(&call.module, || module.run(&call.arguments, mode, &machine))
}
