//! A channel with its costs counted and its standard error kept for messages.

use std::sync::Arc;

use super::ConnectionError;
use super::channel::{Channel, Closed, End, Event};
use super::traffic::Traffic;

/// Of what is written to standard error, the end is what matters.
const STDERR_KEPT: usize = 8 << 10;

pub struct Wire {
    host: String,
    channel: Channel,
    traffic: Arc<Traffic>,
    /// Something was said that has not been answered yet. The command itself counts.
    unanswered: bool,
    stderr: String,
}

/// The process will say no more.
#[derive(Debug)]
pub enum Ended {
    Exited(Option<i32>),
    Lost(String),
}

impl Wire {
    pub fn new(host: String, channel: Channel, traffic: Arc<Traffic>) -> Self {
        Self {
            host,
            channel,
            traffic,
            unanswered: true,
            stderr: String::new(),
        }
    }

    pub fn host(&self) -> &str {
        &self.host
    }

    /// The end of what came on standard error.
    pub fn stderr(&self) -> &str {
        &self.stderr
    }

    pub fn traffic(&self) -> &Arc<Traffic> {
        &self.traffic
    }

    pub async fn send(&mut self, bytes: Vec<u8>) -> Result<(), Closed> {
        self.traffic.add_sent(bytes.len());
        self.unanswered = true;
        self.channel.input.send(bytes).await
    }

    /// The next piece of output.
    pub async fn receive(&mut self) -> Result<Vec<u8>, Ended> {
        loop {
            match self.channel.output.recv().await {
                Some(Event::Output(bytes)) => {
                    self.traffic.add_received(bytes.len());
                    if std::mem::take(&mut self.unanswered) {
                        self.traffic.add_exchange();
                    }
                    return Ok(bytes);
                }
                Some(Event::Error(bytes)) => self.keep(&bytes),
                Some(Event::End(End::Exited(status))) => return Err(Ended::Exited(status)),
                Some(Event::End(End::Lost(reason))) => return Err(Ended::Lost(reason)),
                None => return Err(Ended::Lost("the connection is closed".to_owned())),
            }
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.stderr.push_str(&String::from_utf8_lossy(bytes));
        if self.stderr.len() > STDERR_KEPT {
            let mut cut = self.stderr.len() - STDERR_KEPT;
            while !self.stderr.is_char_boundary(cut) {
                cut += 1;
            }
            self.stderr.drain(..cut);
        }
    }

    pub fn agent_error(&self, reason: String) -> ConnectionError {
        ConnectionError::Agent {
            host: self.host.clone(),
            reason,
        }
    }

    /// A lost connection is the network's matter; an exit is what `exited` makes of it (it gets the status
    /// in words).
    pub fn ended(&self, ended: Ended, exited: impl FnOnce(String) -> ConnectionError) -> ConnectionError {
        match ended {
            Ended::Lost(reason) => ConnectionError::Unreachable {
                host: self.host.clone(),
                reason,
            },
            Ended::Exited(Some(status)) => exited(format!(" with status {status}")),
            Ended::Exited(None) => exited(" by a signal or with its connection".to_owned()),
        }
    }

    /// Closes the process's input and waits for it to end.
    pub async fn close(self) {
        let Channel { input, mut output } = self.channel;
        drop(input);
        while let Some(event) = output.recv().await {
            if matches!(event, Event::End(_)) {
                return;
            }
        }
    }
}
