//! A conversation with the agent of one host: opened once, used for every task.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::binary::Executables;
use super::foretold::Foretold;
use super::local::Local;
use super::ssh::Ssh;
use super::traffic::Traffic;
use super::wire::{Ended, Wire};
use super::{Answers, Connection, ConnectionError, Transport, bootstrap};
use crate::wire::bootstrap as script;
use crate::wire::frame::{CHUNK, Decoder, Frame, Kind, key};
use crate::wire::message::{Batch, Hello, Outcome, Question, Request, Response};

/// For an agent on this machine, where only a program that does not start can be waited for in vain.
const LOCAL_SILENCE: Duration = Duration::from_secs(30);

/// What an agent may take to end once it is told to.
const GOODBYE: Duration = Duration::from_secs(5);

/// Bytes that go along with a batch, because they are small and will be needed.
#[derive(Debug, Clone)]
pub struct Content {
    /// SHA-256 in lower-case hexadecimal.
    pub digest: String,
    pub bytes: Arc<[u8]>,
}

/// An open conversation. One batch at a time.
pub struct Link {
    wire: Wire,
    /// Kept for as long as the process that it carries.
    _connection: Box<dyn Connection>,
    decoder: Decoder,
    hello: Hello,
    next_batch: u64,
    /// A batch was begun and its end has not been seen.
    in_batch: bool,
    /// How much of what was foretold of the host the agent has seen.
    seen: usize,
}

impl Link {
    /// Connects, logs in, and starts the agent, which is sent if it is not there yet.
    pub async fn open(
        transport: &Transport,
        executables: &Arc<Executables>,
    ) -> Result<Self, ConnectionError> {
        match transport {
            Transport::Local => {
                let own = executables.own().to_string_lossy().into_owned();
                // Told its digest, an agent need not work it out: with many local hosts that adds up.
                let offers = Self::offers(executables, "localhost").await?;
                let build: Vec<&str> = offers
                    .first()
                    .into_iter()
                    .flat_map(|offer| ["--build", &offer.digest])
                    .collect();
                let command = script::command(&script::script(&[], Some(&own), &build));
                Self::start(
                    "localhost",
                    Box::new(Local),
                    &command,
                    executables,
                    &[],
                    LOCAL_SILENCE,
                )
                .await
            }
            Transport::Ssh(options) => {
                // They are read while the connection is being made.
                let (connection, offers) =
                    tokio::join!(Ssh::connect(options), Self::offers(executables, &options.host));
                let (connection, offers) = (connection?, offers?);
                let command = script::command(&script::script(&offers, None, &[]));
                let connection = Box::new(connection);
                Self::start(
                    &options.host,
                    connection,
                    &command,
                    executables,
                    &offers,
                    options.timeout,
                )
                .await
            }
        }
    }

    async fn start(
        host: &str,
        mut connection: Box<dyn Connection>,
        command: &str,
        executables: &Arc<Executables>,
        expected: &[script::Offer],
        silence: Duration,
    ) -> Result<Self, ConnectionError> {
        let channel = connection.spawn(command)?;
        let traffic = Arc::new(Traffic::default());
        traffic.add_sent(command.len());
        let mut wire = Wire::new(host.to_owned(), channel, traffic);
        let started = bootstrap::start(&mut wire, executables, expected, silence).await?;
        Ok(Self {
            wire,
            _connection: connection,
            decoder: started.decoder,
            hello: started.hello,
            next_batch: 0,
            in_batch: false,
            seen: 0,
        })
    }

    /// What can be sent; this machine's own executable is first.
    async fn offers(
        executables: &Arc<Executables>,
        host: &str,
    ) -> Result<Vec<script::Offer>, ConnectionError> {
        let reading = Arc::clone(executables);
        let read = tokio::task::spawn_blocking(move || {
            let all = reading.all()?;
            Ok::<_, String>(all.iter().map(|executable| executable.offer.clone()).collect())
        });
        read.await
            .map_err(|error| error.to_string())
            .and_then(|offers| offers)
            .map_err(|reason| ConnectionError::Configuration {
                host: host.to_owned(),
                reason,
            })
    }

    /// Who the agent is.
    pub fn hello(&self) -> &Hello {
        &self.hello
    }

    /// What the link has cost so far.
    pub fn traffic(&self) -> &Arc<Traffic> {
        self.wire.traffic()
    }

    /// Runs a batch; `results` gets each call's outcome as it comes. The batch's number is given here.
    ///
    /// After [`ConnectionError::Refused`] the link can be used again; after any other error, or if the future
    /// was dropped before its end, it cannot.
    pub async fn run(
        &mut self,
        batch: Batch,
        contents: Vec<Content>,
        answers: Arc<dyn Answers>,
        results: impl FnMut(usize, Outcome),
    ) -> Result<(), ConnectionError> {
        self.exchange(batch, contents, answers, &mut Foretold::default(), results)
            .await
    }

    /// As [`Self::run`], in a check: the agent is told what it has not seen of the host's would-be state, and adds to it.
    pub async fn predict(
        &mut self,
        mut batch: Batch,
        mut contents: Vec<Content>,
        answers: Arc<dyn Answers>,
        foretold: &mut Foretold,
        results: impl FnMut(usize, Outcome),
    ) -> Result<(), ConnectionError> {
        let (foreseen, further) = foretold.since(self.seen);
        foretold.keep(&contents);
        batch.foreseen = Some(foreseen);
        contents.extend(further);
        self.exchange(batch, contents, answers, foretold, results).await?;
        self.seen = foretold.len();
        Ok(())
    }

    async fn exchange(
        &mut self,
        mut batch: Batch,
        contents: Vec<Content>,
        answers: Arc<dyn Answers>,
        foretold: &mut Foretold,
        mut results: impl FnMut(usize, Outcome),
    ) -> Result<(), ConnectionError> {
        if self.in_batch {
            return Err(self.wire.agent_error(
                "an earlier task was interrupted or its answer was lost: what became of it is not known"
                    .to_owned(),
            ));
        }
        self.in_batch = true;
        self.next_batch += 1;
        batch.id = self.next_batch;
        let id = batch.id;
        let request = self.request(batch, &contents)?;
        // If the agent has gone, what it left behind says why.
        let _ = self.wire.send(request).await;
        loop {
            match self.response(foretold).await? {
                Response::Foreseen { batch, foreseen } if batch == id => foretold.add(foreseen),
                Response::Result {
                    batch,
                    index,
                    outcome,
                } if batch == id => results(index, outcome),
                Response::Done { batch } if batch == id => {
                    self.in_batch = false;
                    return Ok(());
                }
                Response::Refused { batch, reason } if batch == id => {
                    self.in_batch = false;
                    return Err(ConnectionError::Refused {
                        host: self.wire.host().to_owned(),
                        reason,
                    });
                }
                Response::Ask { id, question } => self.answer(id, question, &answers).await?,
                _ => {
                    return Err(self
                        .wire
                        .agent_error("it answered another batch than the one it was given".to_owned()));
                }
            }
        }
    }

    /// One write: the contents, then the calls that need them.
    fn request(&self, batch: Batch, contents: &[Content]) -> Result<Vec<u8>, ConnectionError> {
        let problem =
            |error: &dyn std::fmt::Display| self.wire.agent_error(format!("the task is too large: {error}"));
        let mut bytes = Vec::new();
        for Content {
            digest,
            bytes: content,
        } in contents
        {
            let key =
                key(digest).ok_or_else(|| self.wire.agent_error(format!("`{digest}` is no SHA-256")))?;
            for piece in content.chunks(CHUNK).chain([&[][..]]) {
                let frame = Frame::data(&key, piece);
                bytes.extend(frame.encode().map_err(|error| problem(&error))?);
            }
        }
        let run = Frame::json(Kind::Request, &Request::Run(batch)).and_then(|frame| frame.encode());
        bytes.extend(run.map_err(|error| problem(&error))?);
        Ok(bytes)
    }

    /// The next message; contents that come ahead of it are kept with what is foretold.
    async fn response(&mut self, foretold: &mut Foretold) -> Result<Response, ConnectionError> {
        loop {
            let frame = self
                .decoder
                .next()
                .map_err(|error| self.wire.agent_error(error.to_string()))?;
            if let Some(frame) = frame {
                if frame.kind == Kind::Data {
                    let taken = foretold.take(&frame.body);
                    taken.map_err(|reason| self.wire.agent_error(reason))?;
                    continue;
                }
                if frame.kind != Kind::Response {
                    return Err(self
                        .wire
                        .agent_error(format!("it sent a {:?} frame that was not expected", frame.kind)));
                }
                return frame
                    .parse()
                    .map_err(|error| self.wire.agent_error(error.to_string()));
            }
            match self.wire.receive().await {
                Ok(bytes) => self.decoder.push(&bytes),
                Err(ended) => return Err(self.ended(ended)),
            }
        }
    }

    fn ended(&self, ended: Ended) -> ConnectionError {
        self.wire.ended(ended, |status| {
            let said = self.wire.stderr().trim();
            self.wire
                .agent_error(format!("it ended{status} in the middle of the task: {said}"))
        })
    }

    async fn answer(
        &mut self,
        id: u64,
        question: Question,
        answers: &Arc<dyn Answers>,
    ) -> Result<(), ConnectionError> {
        // Two pieces: one on its way, one being read.
        let (pieces, mut next) = mpsc::channel(2);
        let answers = Arc::clone(answers);
        // Whoever answers reads files and asks people for passphrases: not for a thread that must not wait.
        let answering = tokio::task::spawn_blocking(move || {
            let answer = match question {
                Question::Content { digest } => match send_content(answers.as_ref(), &digest, &pieces) {
                    Ok(()) => return,
                    Err(reason) => Err(reason),
                },
                Question::Sign { authority, request } => answers
                    .sign(&authority, &request)
                    .map(crate::wire::message::Answer::Certificate),
            };
            let answer = Frame::json(Kind::Request, &Request::Answer { id, answer });
            let _ = pieces.blocking_send(answer);
        });
        while let Some(frame) = next.recv().await {
            let bytes = frame
                .and_then(|frame| frame.encode())
                .map_err(|error| self.wire.agent_error(error.to_string()))?;
            // If the agent has gone, what it left behind says why.
            if self.wire.send(bytes).await.is_err() {
                return Ok(());
            }
        }
        answering.await.map_err(|error| {
            self.wire
                .agent_error(format!("its question could not be answered: {error}"))
        })
    }

    /// Ends the agent and the connection.
    pub async fn close(self) {
        // Whoever does not end in time is left to the closed connection.
        let _ = tokio::time::timeout(GOODBYE, self.wire.close()).await;
    }
}

type Pieces = mpsc::Sender<Result<Frame, crate::wire::frame::FrameError>>;

/// Data frames to the end, or why there is no end.
fn send_content(answers: &dyn Answers, digest: &str, pieces: &Pieces) -> Result<(), String> {
    let key = key(digest).ok_or_else(|| format!("`{digest}` is no SHA-256"))?;
    let mut content = answers
        .content(digest)
        .ok_or_else(|| format!("the controller has no content {digest}"))?;
    let mut buffer = vec![0; CHUNK];
    loop {
        let count = content
            .read(&mut buffer)
            .map_err(|error| format!("the controller cannot read the content: {error}"))?;
        // Nobody receives any more: the run was given up.
        if pieces
            .blocking_send(Ok(Frame::data(&key, &buffer[..count])))
            .is_err()
            || count == 0
        {
            return Ok(());
        }
    }
}
