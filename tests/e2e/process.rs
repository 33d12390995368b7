//! A process with its output, never for longer than its time.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

enum Line {
    Output(String),
    Error(String),
}

/// One that runs.
pub struct Process {
    what: String,
    child: Child,
    lines: Receiver<Line>,
    deadline: Instant,
    output: String,
    errors: String,
}

/// One that has ended.
pub struct Ended {
    pub status: ExitStatus,
    pub output: String,
    pub errors: String,
    what: String,
}

impl Process {
    pub fn start(command: &mut Command, limit: Duration) -> Self {
        let what = format!("{command:?}");
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        let (sender, lines) = channel();
        read(child.stdout.take(), sender.clone(), Line::Output);
        read(child.stderr.take(), sender, Line::Error);
        Self {
            what,
            child,
            lines,
            deadline: Instant::now() + limit,
            output: String::new(),
            errors: String::new(),
        }
    }

    /// The next line of the output, without what ends it; none at its end.
    pub fn line(&mut self) -> Option<String> {
        loop {
            match self
                .lines
                .recv_timeout(self.deadline.saturating_duration_since(Instant::now()))
            {
                Ok(Line::Output(line)) => {
                    self.output += &line;
                    return Some(line.trim_end_matches('\n').to_owned());
                }
                Ok(Line::Error(line)) => self.errors += &line,
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {
                    self.kill();
                    panic!("{} hangs\n{}\n{}", self.what, self.output, self.errors);
                }
            }
        }
    }

    /// As `kill -9` does it: the process has no say.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
    }

    pub fn end(mut self) -> Ended {
        while self.line().is_some() {}
        Ended {
            status: self.child.wait().expect("a child"),
            output: self.output,
            errors: self.errors,
            what: self.what,
        }
    }
}

impl Ended {
    /// The output of a process that must not fail.
    #[track_caller]
    pub fn success(self) -> String {
        assert!(
            self.status.success(),
            "{}: {}\n{}\n{}",
            self.what,
            self.status,
            self.output,
            self.errors
        );
        self.output
    }
}

fn read(stream: Option<impl Read + Send + 'static>, sender: Sender<Line>, line: fn(String) -> Line) {
    let mut stream = BufReader::new(stream.expect("a pipe"));
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        while let Ok(1..) = stream.read_until(b'\n', &mut bytes) {
            if sender
                .send(line(String::from_utf8_lossy(&bytes).into_owned()))
                .is_err()
            {
                return;
            }
            bytes.clear();
        }
    });
}
