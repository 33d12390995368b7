//! Finding, sending and starting the agent: one command, one exchange when it is there, two when it is not.
//!
//! The script is [`crate::wire::bootstrap`]'s; this is the controller's part of the talk with it.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::ConnectionError;
use super::binary::{self, Executable, Executables};
use super::wire::{Ended, Wire};
use crate::wire::PROTOCOL_VERSION;
use crate::wire::bootstrap::{Greeting, GreetingDecoder, Offer};
use crate::wire::frame::{Decoder, Kind};
use crate::wire::message::Hello;

/// Pieces of the upload: small, so that a slow network's progress is seen.
const PIECE: usize = 32 << 10;

/// Bytes per second below which an upload is given up.
const SLOWEST: u64 = 64 << 10;

/// An agent that has said hello, and what came behind it.
pub struct Started {
    pub hello: Hello,
    pub decoder: Decoder,
}

/// Waits for the agent on the other side of `wire`, sending it if it is asked for. `silence` is how long
/// nothing may come.
pub async fn start(
    wire: &mut Wire,
    executables: &Arc<Executables>,
    expected: &[Offer],
    silence: Duration,
) -> Result<Started, ConnectionError> {
    let mut greetings = GreetingDecoder::default();
    let mut deadline = Instant::now() + silence;
    let path = loop {
        let host = wire.host().to_owned();
        let install = |reason: String| ConnectionError::Install {
            host: host.clone(),
            reason,
        };
        match greetings.next().map_err(|error| install(error.to_string()))? {
            Some(Greeting::Ready(path)) => break path,
            Some(Greeting::Need(machine)) => {
                let Some(executable) = executables.for_machine(&machine) else {
                    return Err(no_agent(wire, machine));
                };
                deadline += Duration::from_secs(executable.offer.size / SLOWEST);
                upload(wire, executable, deadline).await?;
            }
            Some(Greeting::Unsupported(machine)) => return Err(no_agent(wire, machine)),
            Some(Greeting::Failed(reason)) => return Err(install(reason)),
            None => match receive(wire, deadline).await? {
                Ok(bytes) => greetings.push(&bytes),
                Err(ended) => {
                    let said = format!("{} {}", greetings.text(), wire.stderr().trim());
                    return Err(wire.ended(ended, |status| {
                        install(format!(
                            "the log-in shell ended{status} instead of starting it: {}",
                            said.trim()
                        ))
                    }));
                }
            },
        }
    };
    let mut decoder = Decoder::default();
    decoder.push(&greetings.into_rest());
    let hello = hello(wire, &mut decoder, &path, deadline).await?;
    let host = wire.host().to_owned();
    if hello.protocol != PROTOCOL_VERSION {
        return Err(ConnectionError::Agent {
            host,
            reason: format!(
                "{path} speaks version {} of the protocol, not {PROTOCOL_VERSION}: remove it and run again",
                hello.protocol
            ),
        });
    }
    if !expected.is_empty() && expected.iter().all(|offer| offer.digest != hello.build) {
        return Err(ConnectionError::Agent {
            host,
            reason: format!(
                "{path} is damaged (its SHA-256 is {}): remove it and run again",
                hello.build
            ),
        });
    }
    Ok(Started { hello, decoder })
}

fn no_agent(wire: &Wire, machine: String) -> ConnectionError {
    ConnectionError::NoAgent {
        host: wire.host().to_owned(),
        remedy: binary::remedy(&machine),
        machine,
    }
}

async fn receive(wire: &mut Wire, deadline: Instant) -> Result<Result<Vec<u8>, Ended>, ConnectionError> {
    if let Ok(received) = timeout_at(deadline, wire.receive()).await {
        return Ok(received);
    }
    Err(ConnectionError::Unreachable {
        host: wire.host().to_owned(),
        reason: format!(
            "the agent did not start in time (a longer limit is set with -T or ansible_timeout) {}",
            wire.stderr().trim()
        ),
    })
}

async fn hello(
    wire: &mut Wire,
    decoder: &mut Decoder,
    path: &str,
    deadline: Instant,
) -> Result<Hello, ConnectionError> {
    loop {
        match decoder.next() {
            Ok(Some(frame)) if frame.kind == Kind::Hello => {
                return frame.parse().map_err(|error| wire.agent_error(error.to_string()));
            }
            Ok(Some(frame)) => {
                return Err(wire.agent_error(format!("it began with a {:?} frame", frame.kind)));
            }
            Err(error) => return Err(wire.agent_error(error.to_string())),
            Ok(None) => {}
        }
        match receive(wire, deadline).await? {
            Ok(bytes) => decoder.push(&bytes),
            Err(ended) => {
                let host = wire.host().to_owned();
                let said = wire.stderr().trim().to_owned();
                return Err(wire.ended(ended, |status| ConnectionError::Install {
                    host,
                    reason: format!("{path} ended{status} at once: {said}"),
                }));
            }
        }
    }
}

async fn upload(wire: &mut Wire, executable: &Executable, deadline: Instant) -> Result<(), ConnectionError> {
    let (pieces, mut next) = mpsc::channel::<std::io::Result<Vec<u8>>>(2);
    let path = executable.path.clone();
    let size = executable.offer.size;
    tokio::task::spawn_blocking(move || {
        let read = || -> std::io::Result<()> {
            let mut file = std::fs::File::open(path)?.take(size);
            loop {
                let mut piece = vec![0; PIECE];
                let count = file.read(&mut piece)?;
                piece.truncate(count);
                if count == 0 || pieces.blocking_send(Ok(piece)).is_err() {
                    return Ok(());
                }
            }
        };
        if let Err(error) = read() {
            let _ = pieces.blocking_send(Err(error));
        }
    });
    while let Some(piece) = next.recv().await {
        let piece = piece.map_err(|error| ConnectionError::Configuration {
            host: wire.host().to_owned(),
            reason: format!("cannot read {}: {error}", executable.path.display()),
        })?;
        match timeout_at(deadline, wire.send(piece)).await {
            Ok(Ok(())) => {}
            // The script has ended: its last words are about to be read.
            Ok(Err(_)) => return Ok(()),
            Err(_) => {
                return Err(ConnectionError::Unreachable {
                    host: wire.host().to_owned(),
                    reason: format!(
                        "sending the agent ({size} bytes) took too long: the network is slower than {SLOWEST} \
                         bytes per second, or the target is overloaded"
                    ),
                });
            }
        }
    }
    Ok(())
}
