//! The agent's side of the stream: one channel into which everything comes, one place from which all goes out.
//!
//! A thread reads the controller's frames, so that its end is noticed while a module runs; each child agent
//! has a thread too. All of them put their events into one bounded channel, which holds the senders back when
//! the agent is slower than they are.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use super::contents::Contents;
use super::incoming::{Asked, Basis, Coming, Piece, Way};
use crate::system::Expected;
use crate::wire::bootstrap::Greeting;
use crate::wire::delta;
use crate::wire::frame::{Frame, FrameError, Frames, Key, Kind, key};
use crate::wire::message::{Answer, Question, Request, Response, Wanted};
use crate::wire::pack::Packer;

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
    asked: Option<Asked>,
    packer: Packer,
    next_ask: u64,
}

impl Conversation {
    /// `gone` is called when the controller has gone, after the event: whatever runs then runs for nobody.
    pub fn new(
        input: impl Read + Send + 'static,
        output: impl Write + 'static,
        gone: impl FnOnce() + Send + 'static,
    ) -> Self {
        let (sender, events) = sync_channel(WAITING_EVENTS);
        let frames = sender.clone();
        thread::spawn(move || {
            let mut input = Frames::new(input);
            let end = loop {
                match input.next() {
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
            asked: None,
            packer: Packer::default(),
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

    /// Asks for contents that will be needed, all in one question. Those that are here already are left out; of
    /// large ones, what the target has in common with them is told.
    pub fn expect(&mut self, contents: &[Expected]) -> io::Result<()> {
        self.finish()?;
        let mut coming: VecDeque<Coming> = VecDeque::new();
        let mut wanted: Vec<Wanted> = Vec::new();
        for content in contents {
            let key = content_key(&content.digest)?;
            if self.contents.has(&key) {
                continue;
            }
            // What is needed twice is kept.
            if let Some(twice) = coming.iter_mut().find(|other| other.key == key) {
                twice.way = Way::Often;
                continue;
            }
            let mut question = Wanted {
                digest: content.digest.clone(),
                chunk: None,
            };
            let mut way = Way::Once;
            if content.size >= delta::WORTH {
                let usual = delta::usual_length(content.size);
                let basis = Basis::look(&content.near, &content.digest, usual);
                question.chunk = (!basis.sums.is_empty()).then_some(usual);
                way = Way::Streamed(basis);
            }
            coming.push_back(Coming { key, way });
            wanted.push(question);
        }
        for (content, question) in coming.iter().zip(&mut wanted) {
            let Way::Streamed(basis) = &content.way else {
                question.chunk = None;
                continue;
            };
            for frame in delta::tell(&content.key, &basis.sums) {
                self.relay(&frame).map_err(io::Error::other)?;
            }
        }
        if !wanted.is_empty() {
            self.ask_contents(wanted, coming)?;
        }
        Ok(())
    }

    /// The content with this digest: here already, or asked for. A large one that is on its way is not kept: its
    /// basis is given, and [`Self::piece`] has the rest.
    pub fn content(&mut self, digest: &str) -> io::Result<Content> {
        let key = content_key(digest)?;
        if let Some(content) = self.contents.open(&key) {
            return content.map(Content::Here);
        }
        let waiting = |asked: &Asked| asked.coming.iter().any(|content| content.key == key);
        if !self.asked.as_ref().is_some_and(waiting) {
            self.finish()?;
            let wanted = vec![Wanted {
                digest: digest.to_owned(),
                chunk: None,
            }];
            let way = Way::Once;
            self.ask_contents(wanted, VecDeque::from([Coming { key, way }]))?;
        }
        // Those before it were not needed after all; their frames are passed over.
        let way = loop {
            let next = self.asked.as_mut().and_then(|asked| asked.coming.pop_front());
            match next {
                Some(content) if content.key == key => break content.way,
                Some(_) => {}
                None => return Err(io::Error::other("the content was not asked for")),
            }
        };
        if let Some(asked) = &mut self.asked {
            asked.within = true;
        }
        if let Way::Streamed(basis) = way {
            return Ok(Content::Coming(key, basis));
        }
        loop {
            match self.piece(&key)? {
                Piece::Bytes(bytes) => self.contents.take_piece(&key, &bytes),
                Piece::Copies(_) => return Err(io::Error::other("a chunk was named that was not told")),
                Piece::End => break,
            }
        }
        self.contents.take_piece(&key, &[]);
        let content = self.contents.open(&key).expect("it has just come");
        if matches!(way, Way::Once) {
            self.contents.forget(&key);
        }
        content.map(Content::Here)
    }

    fn ask_contents(&mut self, wanted: Vec<Wanted>, coming: VecDeque<Coming>) -> io::Result<()> {
        let id = self.ask(Question::Contents { wanted })?;
        self.asked = Some(Asked {
            id,
            coming,
            within: false,
        });
        Ok(())
    }

    /// What comes next of the content with this key; what comes of others is not needed any more.
    pub fn piece(&mut self, key: &Key) -> io::Result<Piece> {
        loop {
            let frame = self.frame().map_err(io::Error::other)?;
            if let (Kind::Data | Kind::Copy, Some((of, rest))) = (frame.kind, frame.keyed()) {
                if of != *key {
                    continue;
                }
                if frame.kind == Kind::Copy {
                    let numbers = delta::copied(rest)
                        .ok_or_else(|| io::Error::other("the controller sent a malformed frame"))?;
                    return Ok(Piece::Copies(numbers));
                }
                if !rest.is_empty() {
                    return Ok(Piece::Bytes(rest.to_vec()));
                }
                if let Some(asked) = &mut self.asked {
                    asked.within = false;
                }
                return Ok(Piece::End);
            }
            let asked = self.asked.take().map(|asked| asked.id);
            return Err(match answer(&frame, asked.unwrap_or_default())? {
                Err(reason) => io::Error::new(io::ErrorKind::NotFound, reason),
                Ok(_) => io::Error::other("the controller ended before the content did"),
            });
        }
    }

    /// Reads an answer to its end that nobody needs any more; where much of it may be left, the controller is
    /// told to stop.
    pub fn finish(&mut self) -> io::Result<()> {
        let Some(asked) = self.asked.take() else {
            return Ok(());
        };
        if asked.within || !asked.coming.is_empty() {
            self.respond(&Response::Enough { id: asked.id })
                .map_err(io::Error::other)?;
        }
        loop {
            let frame = self.frame().map_err(io::Error::other)?;
            if !matches!(frame.kind, Kind::Data | Kind::Copy) {
                // Why a content that is not needed could not be sent is of no interest.
                return answer(&frame, asked.id).map(drop);
            }
        }
    }

    /// Gives a content to the controller.
    pub fn send_content(&mut self, digest: &str, content: &mut dyn Read) -> io::Result<()> {
        let key = content_key(digest)?;
        let mut broken = None;
        delta::send(&key, content, None, &mut |frame| {
            let sent = match self.packer.push(&frame) {
                Ok(Some(bytes)) => self.output.write_all(&bytes),
                Ok(None) => Ok(()),
                Err(error) => Err(io::Error::other(error)),
            };
            sent.map_err(|error| broken = Some(error)).is_ok()
        })?;
        let rest = self.packer.flush().map_err(io::Error::other)?;
        self.output.write_all(&rest)?;
        broken.map_or(Ok(()), Err)
    }

    /// Whether what is sent is worth compressing.
    pub fn set_compression(&mut self, compress: bool) {
        self.packer = Packer::new(compress);
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
            Ok(Answer::Sent) => Err(io::Error::other("the controller answered with something else")),
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

/// A content, as far as it is here.
pub enum Content {
    Here(Box<dyn Read>),
    Coming(Key, Basis),
}

fn content_key(digest: &str) -> io::Result<Key> {
    key(digest).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("`{digest}` is no SHA-256 in hexadecimal"),
        )
    })
}

fn answer(frame: &Frame, expected: u64) -> io::Result<Result<Answer, String>> {
    match frame.parse().map_err(io::Error::other)? {
        Request::Answer { id, answer } if id == expected => Ok(answer),
        _ => Err(io::Error::other(
            "the controller answered a question that was not asked",
        )),
    }
}
