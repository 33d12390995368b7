//! Processes: run to their end, in a group of their own, within a time.
//!
//! A command ends when its first process does. What that process leaves running in the background may go
//! on holding our pipes without holding us up.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process_group};

use super::place;
use crate::system::{Command, CommandOutput, Result, SystemError};

/// Where administrators' programs are, which a log-in's `PATH` often leaves out.
const SYSTEM_FOLDERS: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// Kept of each stream; the rest is read and dropped. A result has to fit into a frame of the wire.
const MAX_OUTPUT: usize = 16 << 20;

/// The most that a pipe holds by default; read at a time, so that an endless talker cannot hold us.
const PIPE_CAPACITY: usize = 1 << 20;

/// Appended where a stream was cut.
const CUT: &[u8] = b"\n[output cut here: longer than 16 MiB]\n";

/// `PATH` with those of the administrators' folders at its end that it does not have.
pub fn search_path(path: Option<&str>) -> String {
    let path = path
        .filter(|path| !path.is_empty())
        .unwrap_or("/usr/local/bin:/usr/bin:/bin");
    let folders: Vec<&str> = path.split(':').collect();
    let missing = SYSTEM_FOLDERS
        .into_iter()
        .filter(|folder| !folders.contains(folder));
    folders
        .iter()
        .copied()
        .chain(missing)
        .collect::<Vec<_>>()
        .join(":")
}

/// The first executable file of this name in a search path.
pub fn which(program: &str, search_path: &str) -> Option<PathBuf> {
    let executable = |path: &Path| path.is_file() && super::attributes::access(path).2;
    if program.contains('/') {
        let path = PathBuf::from(program);
        return executable(&path).then_some(path);
    }
    search_path
        .split(':')
        .filter(|folder| !folder.is_empty())
        .map(|folder| Path::new(folder).join(program))
        .find(|path| executable(path))
}

/// Runs `command`; its environment is complete but for what the agent's own process has.
pub fn run(command: &Command) -> Result<CommandOutput> {
    let Some((program, arguments)) = command.argv.split_first() else {
        return Err(SystemError::new(
            "run",
            "nothing",
            io::ErrorKind::InvalidInput.into(),
        ));
    };
    let failed = |source| SystemError::new("run", program.as_str(), source);
    if let Some(directory) = &command.directory
        && !directory.is_dir()
    {
        return Err(SystemError::path(
            "enter",
            directory,
            io::ErrorKind::NotFound.into(),
        ));
    }
    let path = search_path(command.environment.get("PATH").map(String::as_str));
    let located = if program.contains('/') {
        PathBuf::from(program)
    } else {
        which(program, &path).ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?
    };
    let mut process = std::process::Command::new(located);
    process
        .arg0(program)
        .args(arguments)
        .envs(&command.environment)
        .env("PATH", path)
        .stdin(if command.stdin.is_empty() {
            Stdio::null()
        } else {
            Stdio::piped()
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let folder = command.directory.as_deref().unwrap_or(Path::new("."));
    let held = enter(&mut process, command).map_err(|source| SystemError::path("enter", folder, source))?;
    let child = process.spawn().map_err(failed)?;
    drop(held);
    Conversation::new(child, command)
        .and_then(Conversation::hold)
        .map_err(failed)
}

/// Has it start in the command's folder, which has to be held until then.
pub fn enter(process: &mut std::process::Command, command: &Command) -> io::Result<Option<OwnedFd>> {
    let Some(directory) = &command.directory else {
        return Ok(None);
    };
    let (held, path) = place::folder(directory)?;
    process.current_dir(path);
    Ok(held)
}

/// Our ends of a process's pipes.
struct Conversation<'a> {
    group: Option<Pid>,
    stdin: Option<OwnedFd>,
    unwritten: &'a [u8],
    stdout: Stream,
    stderr: Stream,
    /// Closed from the other side when the process has ended.
    ended: Option<OwnedFd>,
    waiter: JoinHandle<io::Result<ExitStatus>>,
    deadline: Option<Instant>,
}

impl<'a> Conversation<'a> {
    fn new(mut child: Child, command: &'a Command) -> io::Result<Self> {
        let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let stdin = child.stdin.take().map(OwnedFd::from);
        let stdout = Stream::new(child.stdout.take().map(OwnedFd::from))?;
        let stderr = Stream::new(child.stderr.take().map(OwnedFd::from))?;
        if let Some(stdin) = &stdin {
            rustix::io::ioctl_fionbio(stdin, true)?;
        }
        let (ended, signal) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        let waiter = std::thread::spawn(move || {
            let status = child.wait();
            drop(signal);
            status
        });
        Ok(Self {
            group,
            stdin,
            unwritten: &command.stdin,
            stdout,
            stderr,
            ended: Some(ended),
            waiter,
            deadline: command.timeout.map(|timeout| Instant::now() + timeout),
        })
    }

    fn hold(mut self) -> io::Result<CommandOutput> {
        let mut timed_out = false;
        while self.ended.is_some() {
            let left = self
                .deadline
                .map(|at| at.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                timed_out = true;
                self.deadline = None;
                self.kill();
                continue;
            }
            self.wait_for_news(left)?;
        }
        // What the process itself wrote is in the pipes by now.
        self.stdout.drain()?;
        self.stderr.drain()?;
        let status = self
            .waiter
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the waiting thread died")))?;
        Ok(CommandOutput {
            code: status
                .code()
                .unwrap_or_else(|| -status.signal().unwrap_or_default()),
            stdout: self.stdout.finish(),
            stderr: self.stderr.finish(),
            timed_out,
        })
    }

    fn kill(&self) {
        if let Some(group) = self.group {
            // It may have ended by itself in the meantime.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }

    fn wait_for_news(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let sources = [
            (self.ended.as_ref(), PollFlags::IN),
            (self.stdout.pipe.as_ref(), PollFlags::IN),
            (self.stderr.pipe.as_ref(), PollFlags::IN),
            (self.stdin.as_ref(), PollFlags::OUT),
        ];
        let ready = ready(&sources, timeout)?;
        if ready[1] {
            self.stdout.drain()?;
        }
        if ready[2] {
            self.stderr.drain()?;
        }
        if ready[3] {
            self.feed()?;
        }
        if ready[0] {
            self.ended = None;
        }
        Ok(())
    }

    /// Writes as much of the standard input as fits. A process that reads no more is none of our business.
    fn feed(&mut self) -> io::Result<()> {
        let Some(stdin) = &self.stdin else { return Ok(()) };
        match rustix::io::write(stdin, self.unwritten) {
            Ok(length) => self.unwritten = &self.unwritten[length..],
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::PIPE) => self.unwritten = &[],
            Err(error) => return Err(error.into()),
        }
        if self.unwritten.is_empty() {
            self.stdin = None;
        }
        Ok(())
    }
}

/// Which of the sources have something to say.
fn ready(sources: &[(Option<&OwnedFd>, PollFlags); 4], timeout: Option<Duration>) -> io::Result<[bool; 4]> {
    let mut places = Vec::with_capacity(sources.len());
    let mut waits = Vec::with_capacity(sources.len());
    for (place, (source, flags)) in sources.iter().enumerate() {
        if let Some(descriptor) = source {
            let descriptor: BorrowedFd<'_> = descriptor.as_fd();
            places.push(place);
            waits.push(PollFd::from_borrowed_fd(descriptor, *flags));
        }
    }
    let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
    let mut ready = [false; 4];
    match poll(&mut waits, timeout.as_ref()) {
        Err(rustix::io::Errno::INTR) => return Ok(ready),
        result => result?,
    };
    for (place, wait) in places.into_iter().zip(&waits) {
        ready[place] = !wait.revents().is_empty();
    }
    Ok(ready)
}

/// One of the process's output streams.
struct Stream {
    /// None once it has ended.
    pipe: Option<OwnedFd>,
    kept: Vec<u8>,
    cut: bool,
}

impl Stream {
    fn new(pipe: Option<OwnedFd>) -> io::Result<Self> {
        if let Some(pipe) = &pipe {
            rustix::io::ioctl_fionbio(pipe, true)?;
        }
        Ok(Self {
            pipe,
            kept: Vec::new(),
            cut: false,
        })
    }

    /// Reads what is there.
    fn drain(&mut self) -> io::Result<()> {
        let mut buffer = [0; 16 << 10];
        let mut read = 0;
        while let Some(pipe) = self.pipe.as_ref().filter(|_| read < PIPE_CAPACITY) {
            match rustix::io::read(pipe, &mut buffer) {
                Ok(0) => self.pipe = None,
                Ok(length) => {
                    read += length;
                    let taken = length.min(MAX_OUTPUT - self.kept.len());
                    self.kept.extend_from_slice(&buffer[..taken]);
                    self.cut |= taken < length;
                }
                Err(rustix::io::Errno::AGAIN) => break,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Vec<u8> {
        if self.cut {
            self.kept.extend_from_slice(CUT);
        }
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        Command::new(["sh", "-c", script])
    }

    #[test]
    fn streams_status_and_input() {
        let mut command = shell("cat; echo oops >&2; exit 3");
        command.stdin = vec![b'x'; 300_000];
        let output = run(&command).unwrap();
        assert_eq!((output.code, output.stdout.len()), (3, 300_000));
        assert_eq!(output.stderr_text(), "oops\n");
        assert_eq!(run(&shell("kill -9 $$")).unwrap().code, -9);
    }

    #[test]
    fn a_process_that_ignores_its_input_does_no_harm() {
        let mut command = shell("exit 0");
        command.stdin = vec![0; 1 << 20];
        assert!(run(&command).unwrap().success());
    }

    #[test]
    fn time_runs_out_for_the_whole_group() {
        let mut command = shell("sleep 60 & echo $!; wait");
        command.timeout = Some(Duration::from_millis(200));
        let started = Instant::now();
        let output = run(&command).unwrap();
        assert!(output.timed_out && !output.success());
        assert!(started.elapsed() < Duration::from_secs(5));
        let pid = output.stdout_text().trim().to_owned();
        // The grandchild dies, though perhaps not at once, and nobody may have buried it yet.
        let state = || std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let dead = |state: &str| state.is_empty() || state.contains(") Z ");
        while !dead(&state()) {
            assert!(started.elapsed() < Duration::from_secs(5), "{}", state());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn a_daemon_that_keeps_our_pipes_does_not_hold_us_up() {
        let started = Instant::now();
        let output = run(&shell("sleep 7 & echo up")).unwrap();
        assert_eq!(output.stdout_text(), "up\n");
        assert!(started.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn a_missing_program_is_an_error_that_names_it() {
        let error = run(&Command::new(["no-such-program"])).unwrap_err();
        assert!(
            error.to_string().starts_with("cannot run no-such-program: "),
            "{error}"
        );
    }

    #[test]
    fn administrators_folders_are_searched_last() {
        assert_eq!(
            search_path(Some("/opt/bin")),
            "/opt/bin:/usr/local/sbin:/usr/sbin:/sbin"
        );
        assert_eq!(
            search_path(Some("/sbin:/bin")),
            "/sbin:/bin:/usr/local/sbin:/usr/sbin"
        );
        assert!(which("sh", &search_path(None)).is_some());
    }
}
