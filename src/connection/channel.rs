//! A process on a target, with its standard streams: all that a kind of connection has to provide.

use std::sync::Arc;

use tokio::sync::mpsc;

/// Pieces on their way in each direction; with the pieces' size this bounds what a connection takes of memory.
const PIECES: usize = 16;

/// The controller's end.
pub struct Channel {
    pub input: Input,
    /// Ends after [`Event::End`].
    pub output: mpsc::Receiver<Event>,
}

/// The process's standard input; dropping it closes it.
pub struct Input {
    /// None only while being dropped.
    pieces: Option<mpsc::Sender<Vec<u8>>>,
    wake: Arc<dyn Fn() + Send + Sync>,
}

/// The process has gone; its output says why.
#[derive(Debug)]
pub struct Closed;

impl Input {
    pub async fn send(&self, bytes: Vec<u8>) -> Result<(), Closed> {
        let pieces = self.pieces.as_ref().ok_or(Closed)?;
        let sent = pieces.send(bytes).await.map_err(|_| Closed);
        (self.wake)();
        sent
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        self.pieces = None;
        (self.wake)();
    }
}

/// What the process does.
#[derive(Debug)]
pub enum Event {
    Output(Vec<u8>),
    /// From standard error.
    Error(Vec<u8>),
    End(End),
}

/// How it is over.
#[derive(Debug)]
pub enum End {
    /// The exit status, or none if a signal ended the process.
    Exited(Option<i32>),
    /// The connection broke.
    Lost(String),
}

/// The connection's end.
pub struct Process {
    pub input: mpsc::Receiver<Vec<u8>>,
    pub output: mpsc::Sender<Event>,
}

impl Channel {
    /// Both ends; `wake` is called whenever there is something new for the process, or nobody for its output.
    pub fn pair(wake: impl Fn() + Send + Sync + 'static) -> (Self, Process) {
        let (pieces, input) = mpsc::channel(PIECES);
        let (events, output) = mpsc::channel(PIECES);
        let channel = Self {
            input: Input {
                pieces: Some(pieces),
                wake: Arc::new(wake),
            },
            output,
        };
        (
            channel,
            Process {
                input,
                output: events,
            },
        )
    }
}
