//! Processes on a terminal of their own.
//!
//! The process is started through this executable ([`attach`]), which makes the terminal its own first: what asks for passwords opens
//! `/dev/tty`.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, kill_process_group};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

use super::process::{enter, search_path};
use crate::system::{Command, CommandOutput, Reply, Result, SystemError};

/// The word of this executable's command line by which a process gets its terminal.
pub const ATTACH: &str = "--terminal";
/// Read at a time.
const PIECE: usize = 4096;
/// The most that is kept: a result has to fit into a frame of the wire.
const MAX_OUTPUT: usize = 16 << 20;

/// Makes standard input the terminal of a session of its own, and becomes the program. Comes back only if that fails.
pub fn attach(mut argv: impl Iterator<Item = String>) -> io::Result<()> {
    let program = argv.next().ok_or(io::ErrorKind::InvalidInput)?;
    rustix::process::setsid()?;
    rustix::process::ioctl_tiocsctty(io::stdin())?;
    Err(std::process::Command::new(program).args(argv).exec())
}

pub(super) fn converse(
    command: &Command,
    echo: bool,
    answer: &mut dyn FnMut(&[u8]) -> Reply,
) -> Result<CommandOutput> {
    let name = command.argv.first().cloned().unwrap_or_default();
    talk(command, echo, answer).map_err(|source| SystemError::new("run", name, source))
}

fn talk(command: &Command, echo: bool, answer: &mut dyn FnMut(&[u8]) -> Reply) -> io::Result<CommandOutput> {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&ours)?;
    unlockpt(&ours)?;
    let theirs = rustix::fs::open(
        ptsname(&ours, Vec::new())?,
        OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let mut modes = tcgetattr(&theirs)?;
    modes.local_modes.set(LocalModes::ECHO, echo);
    tcsetattr(&theirs, OptionalActions::Now, &modes)?;
    let mut process = std::process::Command::new("/proc/self/exe");
    process
        .args(["agent", ATTACH])
        .args(&command.argv)
        .envs(&command.environment)
        .env(
            "PATH",
            search_path(command.environment.get("PATH").map(String::as_str)),
        )
        .stdin(Stdio::from(theirs.try_clone()?))
        .stdout(Stdio::from(theirs.try_clone()?))
        .stderr(Stdio::from(theirs));
    let held = enter(&mut process, command)?;
    let mut child = process.spawn()?;
    drop(held);
    // It holds our copies of its side: without it, the end would not be seen.
    drop(process);
    let mut output = CommandOutput::default();
    let stopped = listen(&ours, command.timeout, answer, &mut output)?;
    if stopped {
        let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        if let Some(group) = group {
            // Gone already is as good.
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = child.kill();
    }
    let status = child.wait()?;
    output.code = status
        .code()
        .unwrap_or_else(|| -status.signal().unwrap_or_default());
    Ok(output)
}

/// Reads and answers until the process has ended; true if it has to be ended. `limit`: how long it may say nothing that is answered.
fn listen(
    ours: &OwnedFd,
    limit: Option<Duration>,
    answer: &mut dyn FnMut(&[u8]) -> Reply,
    output: &mut CommandOutput,
) -> io::Result<bool> {
    let mut answered = 0;
    let mut deadline = limit.map(|limit| Instant::now() + limit);
    let mut piece = vec![0; PIECE];
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let wait = left.and_then(|left| Timespec::try_from(left).ok());
        let mut ready = [PollFd::new(ours, PollFlags::IN)];
        match poll(&mut ready, wait.as_ref()) {
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
            Ok(0) => {
                output.timed_out = true;
                return Ok(true);
            }
            Ok(_) => {}
        }
        let count = match rustix::io::read(ours, &mut piece) {
            // Nobody has the other side open any more.
            Ok(0) | Err(rustix::io::Errno::IO) => return Ok(false),
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
            Ok(count) => count,
        };
        if output.stdout.len() < MAX_OUTPUT {
            output.stdout.extend_from_slice(&piece[..count]);
        }
        loop {
            match answer(&output.stdout[answered..]) {
                Reply::Wait => break,
                Reply::Stop => return Ok(true),
                Reply::Type(text, length) => {
                    answered += length;
                    deadline = limit.map(|limit| Instant::now() + limit);
                    type_in(ours, &text)?;
                }
            }
        }
    }
}

fn type_in(ours: &OwnedFd, mut text: &[u8]) -> io::Result<()> {
    while !text.is_empty() {
        let count = rustix::io::write(ours, text)?;
        text = &text[count..];
    }
    Ok(())
}
