//! A conversation with the agent of one host: opened once, used for every task.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::binary::Executables;
use super::contents::send_contents;
use super::foretold::Foretold;
use super::local::Local;
use super::ssh::Ssh;
use super::traffic::Traffic;
use super::wire::{Ended, Wire};
use super::{Answers, Connection, ConnectionError, Transport, bootstrap};
use crate::wire::bootstrap as script;
use crate::wire::delta::Known;
use crate::wire::frame::{CHUNK, Decoder, Frame, FrameError, Key, Kind, key};
use crate::wire::message::{Batch, Hello, Outcome, Question, Request, Response};
use crate::wire::pack::Packer;

/// For an agent on this machine, where only a program that does not start can be waited for in vain.
const LOCAL_SILENCE: Duration = Duration::from_secs(30);

/// Contents of which an agent may tell what it has, in one question.
const MOST_TOLD: usize = 10_000;

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
    /// There is a network in between: what travels is worth compressing.
    remote: bool,
    /// What the agent has of contents that it is about to ask for.
    sums: HashMap<Key, Known>,
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
                    .flat_map(|offer| [script::BUILD, &offer.digest])
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
                let link = Self::start(
                    &options.host,
                    connection,
                    &command,
                    executables,
                    &offers,
                    options.timeout,
                );
                Ok(Self {
                    remote: true,
                    ..link.await?
                })
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
            remote: false,
            sums: HashMap::new(),
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
        self.exchange(batch, contents, answers, None, results).await
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
        self.exchange(batch, contents, answers, Some(foretold), results)
            .await?;
        self.seen = foretold.answers();
        Ok(())
    }

    async fn exchange(
        &mut self,
        mut batch: Batch,
        contents: Vec<Content>,
        answers: Arc<dyn Answers>,
        mut foretold: Option<&mut Foretold>,
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
        batch.compress = self.remote;
        self.sums.clear();
        let id = batch.id;
        let request = self.request(batch, &contents)?;
        // If the agent has gone, what it left behind says why.
        let _ = self.wire.send(request).await;
        loop {
            match self.response(&answers, &mut foretold).await? {
                Response::Foreseen { batch, foreseen } if batch == id => {
                    if let Some(foretold) = &mut foretold {
                        foretold.add(foreseen);
                    }
                }
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
                // It came after the last of what was asked for.
                Response::Enough { .. } => {}
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
        let mut frames = Vec::new();
        for Content {
            digest,
            bytes: content,
        } in contents
        {
            let key =
                key(digest).ok_or_else(|| self.wire.agent_error(format!("`{digest}` is no SHA-256")))?;
            for piece in content.chunks(CHUNK).chain([&[][..]]) {
                frames.push(Frame::data(&key, piece));
            }
        }
        let mut bytes = Vec::new();
        let mut packer = Packer::new(self.remote);
        let pack = || {
            frames.push(Frame::json(Kind::Request, &Request::Run(batch))?);
            for frame in &frames {
                bytes.extend(packer.push(frame)?.unwrap_or_default());
            }
            bytes.extend(packer.flush()?);
            Ok::<_, FrameError>(())
        };
        pack().map_err(|error| problem(&error))?;
        Ok(bytes)
    }

    /// The next message. Contents that come ahead of it are what a check foresees, or else what a call was asked for.
    async fn response(
        &mut self,
        answers: &Arc<dyn Answers>,
        foretold: &mut Option<&mut Foretold>,
    ) -> Result<Response, ConnectionError> {
        loop {
            if let Some(frame) = self.frame()? {
                let unexpected = |kind| {
                    self.wire
                        .agent_error(format!("it sent a {kind:?} frame that was not expected"))
                };
                match (frame.kind, frame.keyed()) {
                    (Kind::Response, _) => {
                        return frame
                            .parse()
                            .map_err(|error| self.wire.agent_error(error.to_string()));
                    }
                    (Kind::Sums, Some((key, sums))) => {
                        if self.sums.len() > MOST_TOLD || !self.sums.entry(key).or_default().take(sums) {
                            return Err(unexpected(Kind::Sums));
                        }
                    }
                    (Kind::Data, Some((key, piece))) if let Some(foretold) = foretold => {
                        let taken = foretold.take(key, piece);
                        taken.map_err(|reason| self.wire.agent_error(reason))?;
                    }
                    (Kind::Data, Some(_)) => {
                        let answers = Arc::clone(answers);
                        // It is written to a disk: not for a thread that must not wait.
                        let receiving = tokio::task::spawn_blocking(move || {
                            if let Some((key, piece)) = frame.keyed() {
                                answers.receive(&key, piece);
                            }
                        });
                        receiving
                            .await
                            .map_err(|error| self.wire.agent_error(error.to_string()))?;
                    }
                    (kind, _) => return Err(unexpected(kind)),
                }
                continue;
            }
            match self.wire.receive().await {
                Ok(bytes) => self.decoder.push(&bytes),
                Err(ended) => return Err(self.ended(ended)),
            }
        }
    }

    fn frame(&mut self) -> Result<Option<Frame>, ConnectionError> {
        self.decoder
            .next()
            .map_err(|error| self.wire.agent_error(error.to_string()))
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
        let sums = std::mem::take(&mut self.sums);
        let remote = self.remote;
        // Whoever answers reads files and asks people for passphrases: not for a thread that must not wait.
        let answering = tokio::task::spawn_blocking(move || {
            let mut packer = Packer::new(remote);
            let answer = match question {
                Question::Contents { wanted } => {
                    send_contents(answers.as_ref(), &wanted, &sums, &mut packer, &pieces)
                }
                Question::Sign { authority, request } => answers
                    .sign(&authority, &request)
                    .map(crate::wire::message::Answer::Certificate),
            };
            Frame::json(Kind::Request, &Request::Answer { id, answer })
                .and_then(|frame| Ok([packer.flush()?, frame.encode()?].concat()))
        });
        let mut enough = false;
        loop {
            let bytes = tokio::select! {
                bytes = next.recv() => match bytes {
                    Some(bytes) => bytes.map_err(|error| self.wire.agent_error(error.to_string()))?,
                    None => break,
                },
                // All that an agent says before it has its answer is that it wants no more.
                said = self.wire.receive() => {
                    let Ok(said) = said else { return Ok(()) };
                    self.decoder.push(&said);
                    let Some(frame) = self.frame()? else { continue };
                    match frame.parse() {
                        Ok(Response::Enough { id: answered }) if answered == id => {}
                        _ => return Err(self.wire.agent_error("it did not wait for its answer".to_owned())),
                    }
                    enough = true;
                    break;
                }
            };
            // If the agent has gone, what it left behind says why.
            if self.wire.send(bytes).await.is_err() {
                return Ok(());
            }
        }
        drop(next);
        let answer = answering.await.map_err(|error| {
            self.wire
                .agent_error(format!("its question could not be answered: {error}"))
        })?;
        let sent = || {
            let answer = Ok(crate::wire::message::Answer::Sent);
            Frame::json(Kind::Request, &Request::Answer { id, answer })?.encode()
        };
        // The answer is the last that is sent: what the agent says from then on is no longer about it.
        let answer = if enough { sent() } else { answer };
        let answer = answer.map_err(|error| self.wire.agent_error(error.to_string()))?;
        let _ = self.wire.send(answer).await;
        Ok(())
    }

    /// Ends the agent and the connection.
    pub async fn close(self) {
        // Whoever does not end in time is left to the closed connection.
        let _ = tokio::time::timeout(GOODBYE, self.wire.close()).await;
    }
}
