//! The agent's side of the stream: one channel into which everything comes, one place from which all goes out.
//!
//! A thread reads the controller's frames, so that its end is noticed while a module runs; each child agent
//! has a thread too. All of them put their events into one bounded channel, which holds the senders back when
//! the agent is slower than they are.

use std::io::{self, Read, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use super::contents::{Contents, Taken};
use crate::wire::bootstrap::Greeting;
use crate::wire::frame::{Frame, FrameError, Kind, key};
use crate::wire::message::{Answer, Question, Request, Response};

/// Frames that wait in memory at most: with chunks of 256 KiB four megabytes.
const WAITING_EVENTS: usize = 16;

/// What can happen.
pub enum Event {
    Controller(Frame),
    /// No more will come; an error if the stream broke.
    ControllerClosed(Option<FrameError>),
    Child(u64, ChildEvent),
}

/// What a child agent does.
pub enum ChildEvent {
    Greeting(Greeting),
    Frame(Frame),
    Stderr(Vec<u8>),
    /// Its output has ended; with what it said instead of a greeting, if it never got that far.
    Closed(String),
}

/// The stream can no longer be used: there is nobody to tell.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    #[error("the controller has gone")]
    Gone,
    #[error("the stream from the controller broke: {0}")]
    Frame(#[from] FrameError),
    #[error("the controller sent a {0:?} frame that was not expected")]
    Unexpected(Kind),
}

pub struct Conversation {
    events: Receiver<Event>,
    sender: SyncSender<Event>,
    output: Box<dyn Write>,
    pub contents: Contents,
    next_ask: u64,
}

impl Conversation {
    /// `gone` is called when the controller has gone, after the event: whatever runs then runs for nobody.
    pub fn new(
        mut input: impl Read + Send + 'static,
        output: impl Write + 'static,
        gone: impl FnOnce() + Send + 'static,
    ) -> Self {
        let (sender, events) = sync_channel(WAITING_EVENTS);
        let frames = sender.clone();
        thread::spawn(move || {
            let end = loop {
                match Frame::read_from(&mut input) {
                    Ok(Some(frame)) => {
                        if frames.send(Event::Controller(frame)).is_err() {
                            return;
                        }
                    }
                    Ok(None) => break None,
                    Err(error) => break Some(error),
                }
            };
            // While a module runs the channel may be full, and `gone` must not wait for the module.
            match frames.try_send(Event::ControllerClosed(end)) {
                Err(TrySendError::Full(event)) => {
                    gone();
                    let _ = frames.send(event);
                }
                _ => gone(),
            }
        });
        Self {
            events,
            sender,
            output: Box::new(output),
            contents: Contents::default(),
            next_ask: 0,
        }
    }

    /// For the threads that watch child agents.
    pub fn sender(&self) -> SyncSender<Event> {
        self.sender.clone()
    }

    pub fn send(&mut self, kind: Kind, message: &impl serde::Serialize) -> Result<(), Broken> {
        Ok(Frame::json(kind, message)?.write_to(&mut self.output)?)
    }

    pub fn respond(&mut self, response: &Response) -> Result<(), Broken> {
        self.send(Kind::Response, response)
    }

    /// Passes a child's frame on as it is.
    pub fn relay(&mut self, frame: &Frame) -> Result<(), Broken> {
        Ok(frame.write_to(&mut self.output)?)
    }

    /// The next event; none when the time is up.
    pub fn event(&self, deadline: Option<Instant>) -> Result<Option<Event>, Broken> {
        let event = match deadline {
            None => self.events.recv().map_err(|_| Broken::Gone)?,
            Some(deadline) => {
                let left = deadline.saturating_duration_since(Instant::now());
                match self.events.recv_timeout(left.max(Duration::from_millis(1))) {
                    Ok(event) => event,
                    Err(RecvTimeoutError::Timeout) => return Ok(None),
                    Err(RecvTimeoutError::Disconnected) => return Err(Broken::Gone),
                }
            }
        };
        match event {
            Event::ControllerClosed(Some(error)) => Err(error.into()),
            Event::ControllerClosed(None) => Err(Broken::Gone),
            event => Ok(Some(event)),
        }
    }

    /// The controller's next frame. What children do between batches is of no interest: the next batch for
    /// them will find out.
    pub fn frame(&self) -> Result<Frame, Broken> {
        loop {
            if let Some(Event::Controller(frame)) = self.event(None)? {
                return Ok(frame);
            }
        }
    }

    /// The content with this digest: here already, or asked for.
    pub fn content(&mut self, digest: &str) -> io::Result<Box<dyn Read>> {
        let key = key(digest).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("`{digest}` is no SHA-256 in hexadecimal"),
            )
        })?;
        if let Some(content) = self.contents.open(&key) {
            return content;
        }
        let id = self.ask(Question::Content {
            digest: digest.to_owned(),
        })?;
        loop {
            let frame = self.frame().map_err(io::Error::other)?;
            match frame.kind {
                Kind::Data => {
                    if self.contents.take(&frame.body) == Some(Taken::Whole(key)) {
                        return self.contents.open(&key).expect("it has just come");
                    }
                }
                _ => match answer(&frame, id)? {
                    Err(reason) => return Err(io::Error::new(io::ErrorKind::NotFound, reason)),
                    Ok(_) => return Err(io::Error::other("the controller answered with something else")),
                },
            }
        }
    }

    /// A certificate for `request`.
    pub fn sign(&mut self, authority: &str, request: &str) -> io::Result<String> {
        let id = self.ask(Question::Sign {
            authority: authority.to_owned(),
            request: request.to_owned(),
        })?;
        let frame = self.frame().map_err(io::Error::other)?;
        match answer(&frame, id)? {
            Ok(Answer::Certificate(pem)) => Ok(pem),
            Err(reason) => Err(io::Error::other(reason)),
        }
    }

    fn ask(&mut self, question: Question) -> io::Result<u64> {
        self.next_ask += 1;
        let id = self.next_ask;
        self.respond(&Response::Ask { id, question })
            .map_err(io::Error::other)?;
        Ok(id)
    }
}

fn answer(frame: &Frame, expected: u64) -> io::Result<Result<Answer, String>> {
    match frame.parse().map_err(io::Error::other)? {
        Request::Answer { id, answer } if id == expected => Ok(answer),
        _ => Err(io::Error::other(
            "the controller answered a question that was not asked",
        )),
    }
}
