//! An agent that runs as another user: a child of this one, started once and kept.
//!
//! It speaks the same protocol; this agent stands between it and the controller and passes frames on. Only
//! contents that this agent has already are served from here.

use std::fs::File;
use std::io::{self, Read, Write};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc::SyncSender;
use std::thread;
use std::time::{Duration, Instant};

use super::contents::Contents;
use super::conversation::{Broken, ChildEvent, Conversation, Event};
use super::elevation;
use super::foresight::Foresight;
use crate::wire::bootstrap::{self, Greeting, GreetingDecoder, Offer};
use crate::wire::delta;
use crate::wire::frame::{CHUNK, Frame, Key, Kind, key};
use crate::wire::message::{Answer, Batch, Become, Outcome, Question, Request, Response, Wanted};

/// From calling the program to the child's first frame: PAM modules that ask other hosts take their time, and
/// a wrong password costs two seconds.
const START_LIMIT: Duration = Duration::from_mins(1);

/// Of what a program says on standard error, the end is what matters.
const STDERR_KEPT: usize = 8 << 10;

/// This agent's own executable: what a child runs.
#[derive(Debug, Clone)]
pub struct Own {
    pub path: String,
    /// Hexadecimal SHA-256.
    pub digest: String,
}

pub struct Child {
    id: u64,
    user: String,
    process: std::process::Child,
    /// Closed first, so that the child ends by itself.
    input: Option<ChildStdin>,
    stderr: String,
    /// How much of what was foreseen it has seen.
    seen: usize,
}

/// Why there is no child.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{0}")]
    Refused(String),
    #[error(transparent)]
    Broken(#[from] Broken),
}

impl Child {
    /// Calls the program and waits for the child's first frame.
    pub fn start(
        id: u64,
        target: &Become,
        own: &Own,
        root: bool,
        conversation: &mut Conversation,
    ) -> Result<Self, StartError> {
        let size = std::fs::metadata("/proc/self/exe")
            .map_err(|error| StartError::Refused(format!("cannot read the agent's own executable: {error}")))?
            .len();
        let offer = Offer {
            machines: "*",
            digest: own.digest.clone(),
            size,
        };
        let script = bootstrap::script(&[offer], Some(&own.path), &[bootstrap::BUILD, &own.digest]);
        let argv = elevation::argv(target, &script, root).map_err(StartError::Refused)?;
        let directory = target.directory.as_deref().unwrap_or("/");
        std::fs::metadata(directory).map_err(|error| {
            StartError::Refused(format!(
                "cannot cd to {directory} before {}: {error}: correct ansible_sudo_chdir",
                target.method
            ))
        })?;
        let mut process = Command::new(&argv[0])
            .args(&argv[1..])
            // The messages that are recognised are the untranslated ones.
            .env("LC_MESSAGES", "C")
            .current_dir(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| StartError::Refused(not_started(target, &error)))?;
        watch(id, &mut process, &conversation.sender());
        let mut child = Self {
            id,
            user: target.user.clone(),
            input: process.stdin.take(),
            process,
            stderr: String::new(),
            seen: 0,
        };
        child.wait_for_hello(target, conversation)?;
        child.stderr.clear();
        Ok(child)
    }

    fn wait_for_hello(&mut self, target: &Become, conversation: &mut Conversation) -> Result<(), StartError> {
        let deadline = Instant::now() + START_LIMIT;
        let refused = |reason| Err(StartError::Refused(reason));
        let mut password = target.password.as_ref();
        let mut asked = false;
        // The shell may have failed to run what it had found: its words come with the end of the stream.
        let mut ready = None;
        loop {
            let event = match conversation.event(Some(deadline))? {
                None => {
                    return refused(format!(
                        "{} to {} did not come about within {} seconds: {}",
                        target.method,
                        target.user,
                        START_LIMIT.as_secs(),
                        self.stderr.trim()
                    ));
                }
                Some(Event::Child(id, event)) if id == self.id => event,
                Some(Event::Controller(frame)) => {
                    return Err(StartError::Broken(Broken::Unexpected(frame.kind)));
                }
                Some(_) => continue,
            };
            match event {
                ChildEvent::Stderr(bytes) => {
                    self.keep_stderr(&bytes);
                    if !elevation::asks_for_password(target.method, &self.stderr) {
                        continue;
                    }
                    let Some(password) = password.take() else {
                        return refused(if asked {
                            elevation::password_wrong(target)
                        } else {
                            elevation::password_missing(target)
                        });
                    };
                    asked = true;
                    self.stderr.clear();
                    // A program that has gone away says why on standard error.
                    let _ = self.write(format!("{}\n", password.reveal()).as_bytes());
                }
                ChildEvent::Greeting(Greeting::Need(_)) => {
                    let sent = File::open("/proc/self/exe").and_then(|mut own| self.copy_from(&mut own));
                    // The script has the better explanation, unless the file could not be read.
                    if let Err(error) = sent
                        && error.kind() != io::ErrorKind::BrokenPipe
                    {
                        return refused(format!("cannot copy the agent for {}: {error}", target.user));
                    }
                }
                ChildEvent::Greeting(Greeting::Ready(path)) => ready = Some(path),
                ChildEvent::Greeting(Greeting::Failed(reason) | Greeting::Unsupported(reason)) => {
                    return refused(format!("cannot install the agent for {}: {reason}", target.user));
                }
                ChildEvent::Frame(frame) if frame.kind == Kind::Hello => return Ok(()),
                ChildEvent::Frame(frame) => {
                    return refused(format!(
                        "the agent for {} began with a {:?} frame",
                        target.user, frame.kind
                    ));
                }
                ChildEvent::Closed(said) => {
                    let said = format!("{}{said}", self.stderr);
                    return refused(match ready {
                        Some(path) => format!("cannot run {path} as {}: {}", target.user, said.trim()),
                        None => elevation::explain(target, &said),
                    });
                }
            }
        }
    }

    /// Whether it can still be given work.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    /// Runs a batch to its end, passing frames both ways. False if the child is of no more use.
    pub fn run(
        &mut self,
        mut batch: Batch,
        foresight: &Foresight,
        conversation: &mut Conversation,
    ) -> Result<bool, Broken> {
        let number = batch.id;
        let mut index = 0;
        let mut frames = Vec::new();
        let foreseeing = batch.foreseen.is_some();
        if let Some(foreseen) = &mut batch.foreseen {
            let here = &conversation.contents;
            (*foreseen, frames) = foresight.since(self.seen, &|key| here.open(key).is_some());
            self.seen = foresight.seen();
            // A prediction keeps contents that are there, and asks for none.
            for key in here.keys() {
                frames.extend(whole(key, here).unwrap_or_default());
            }
        }
        frames.push(Frame::json(Kind::Request, &Request::Run(batch))?);
        // What comes ahead of what the child foresees.
        let mut contents = Contents::default();
        if frames.iter().any(|frame| self.write_frame(frame).is_err()) {
            return self.ended(number, index, conversation);
        }
        loop {
            let event = match conversation.event(None)? {
                Some(Event::Controller(frame)) => {
                    // If the child has gone its last event says so.
                    let _ = self.write_frame(&frame);
                    continue;
                }
                Some(Event::Child(id, event)) if id == self.id => event,
                _ => continue,
            };
            match event {
                ChildEvent::Stderr(bytes) => self.keep_stderr(&bytes),
                ChildEvent::Closed(_) => return self.ended(number, index, conversation),
                ChildEvent::Greeting(_) => {}
                // Contents and what is told of them.
                ChildEvent::Frame(frame) if frame.kind != Kind::Response => {
                    if foreseeing && frame.kind == Kind::Data {
                        contents.take(&frame.body);
                    }
                    conversation.relay(&frame)?;
                }
                ChildEvent::Frame(frame) => {
                    let response: Response = frame.parse()?;
                    if let Response::Ask {
                        id,
                        question: Question::Contents { wanted },
                    } = &response
                        && self.serve_contents(*id, wanted, conversation)
                    {
                        continue;
                    }
                    conversation.relay(&frame)?;
                    match response {
                        Response::Result { index: ended, .. } => index = ended + 1,
                        Response::Foreseen { foreseen, .. } => {
                            if foresight
                                .follow(foreseen, &[&contents, &conversation.contents])
                                .is_err()
                            {
                                return Ok(false);
                            }
                            self.seen = foresight.seen();
                        }
                        Response::Done { .. } | Response::Refused { .. } => return Ok(true),
                        Response::Ask { .. } | Response::Enough { .. } => {}
                    }
                }
            }
        }
    }

    /// Answers from what is here; false if the controller has to be asked, which has all of them.
    fn serve_contents(&mut self, id: u64, wanted: &[Wanted], conversation: &Conversation) -> bool {
        let here: Option<Vec<_>> = wanted
            .iter()
            .map(|wanted| {
                let key = key(&wanted.digest)?;
                Some((key, conversation.contents.open(&key)?.ok()?))
            })
            .collect();
        let Some(here) = here else { return false };
        for (key, mut content) in here {
            let sent = delta::send(&key, &mut *content, None, &mut |frame| {
                self.write_frame(&frame).is_ok()
            });
            // What was received is readable, unless the disk is damaged: the child then sees a short content.
            if sent.is_err() {
                break;
            }
        }
        let sent = Request::Answer {
            id,
            answer: Ok(Answer::Sent),
        };
        // A child that has gone says so by its last event.
        if let Ok(frame) = Frame::json(Kind::Request, &sent) {
            let _ = self.write_frame(&frame);
        }
        true
    }

    fn ended(&mut self, batch: u64, index: usize, conversation: &mut Conversation) -> Result<bool, Broken> {
        let outcome = Outcome::failed(format!(
            "the agent that ran as {} has ended in the middle of the task: {}",
            self.user,
            self.stderr.trim()
        ));
        conversation.respond(&Response::Result {
            batch,
            index,
            outcome,
        })?;
        conversation.respond(&Response::Done { batch })?;
        Ok(false)
    }

    fn keep_stderr(&mut self, bytes: &[u8]) {
        self.stderr.push_str(&String::from_utf8_lossy(bytes));
        if self.stderr.len() > STDERR_KEPT {
            let mut cut = self.stderr.len() - STDERR_KEPT;
            while !self.stderr.is_char_boundary(cut) {
                cut += 1;
            }
            self.stderr.drain(..cut);
        }
    }

    fn copy_from(&mut self, file: &mut File) -> io::Result<()> {
        let Some(input) = &mut self.input else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        io::copy(file, input)?;
        input.flush()
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(input) = &mut self.input else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        input.write_all(bytes)?;
        input.flush()
    }

    fn write_frame(&mut self, frame: &Frame) -> io::Result<()> {
        let bytes = frame.encode().map_err(io::Error::other)?;
        self.write(&bytes)
    }
}

impl Drop for Child {
    /// The child notices that its input has ended. One that never became an agent (a program that waits for a
    /// password) is ended; root's processes cannot be, but they see their input closed as well.
    fn drop(&mut self) {
        drop(self.input.take());
        let patience = Instant::now() + Duration::from_secs(1);
        while Instant::now() < patience {
            if !matches!(self.process.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(2));
        }
        let _ = self.process.kill();
    }
}

fn not_started(target: &Become, error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::NotFound {
        format!(
            "{0} is not installed on this target: install it, log in as {1}, or set another become_method",
            target.method, target.user
        )
    } else {
        format!("cannot run {} on this target: {error}", target.method)
    }
}

/// A content in frames.
fn whole(key: &Key, contents: &Contents) -> Option<Vec<Frame>> {
    let mut bytes = Vec::new();
    contents.open(key)?.ok()?.read_to_end(&mut bytes).ok()?;
    let pieces = bytes.chunks(CHUNK).chain([&[][..]]);
    Some(pieces.map(|piece| Frame::data(key, piece)).collect())
}

/// Two threads turn the process's output into events.
fn watch(id: u64, process: &mut std::process::Child, events: &SyncSender<Event>) {
    let errors = process.stderr.take().map(|mut stderr| {
        let events = events.clone();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = stderr.read(&mut buffer) {
                let event = ChildEvent::Stderr(buffer[..count].to_vec());
                if events.send(Event::Child(id, event)).is_err() {
                    return;
                }
            }
        })
    });
    if let Some(mut stdout) = process.stdout.take() {
        let events = events.clone();
        thread::spawn(move || {
            let said = read_output(id, &mut stdout, &events);
            // What was said on standard error comes before the end.
            if let Some(errors) = errors {
                let _ = errors.join();
            }
            let _ = events.send(Event::Child(id, ChildEvent::Closed(said)));
        });
    }
}

/// Greetings, then frames, until the end. Returns what came that was neither.
fn read_output(id: u64, stdout: &mut impl Read, events: &SyncSender<Event>) -> String {
    let mut decoder = GreetingDecoder::default();
    let mut buffer = [0; 4096];
    loop {
        match decoder.next() {
            Ok(Some(greeting)) => {
                let ready = matches!(greeting, Greeting::Ready(_));
                if events
                    .send(Event::Child(id, ChildEvent::Greeting(greeting)))
                    .is_err()
                {
                    return String::new();
                }
                if ready {
                    break;
                }
                continue;
            }
            Ok(None) => {}
            Err(error) => return error.to_string(),
        }
        match stdout.read(&mut buffer) {
            Ok(count @ 1..) => decoder.push(&buffer[..count]),
            _ => return decoder.text(),
        }
    }
    let mut frames = io::Cursor::new(decoder.into_rest()).chain(stdout);
    loop {
        match Frame::read_from(&mut frames) {
            Ok(Some(frame)) => {
                if events.send(Event::Child(id, ChildEvent::Frame(frame))).is_err() {
                    return String::new();
                }
            }
            Ok(None) => return String::new(),
            Err(error) => return error.to_string(),
        }
    }
}
