//! Processes of this machine: no log-in, no upload.

use std::process::Stdio;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

use super::channel::{Channel, End, Event, Process};
use super::{Connection, ConnectionError};

/// What is read at once.
const PIECE: usize = 64 << 10;

pub struct Local;

impl Connection for Local {
    fn spawn(&mut self, command: &str) -> Result<Channel, ConnectionError> {
        let child = Command::new("/bin/sh")
            .args(["-c", command])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C is for the controller, which then closes the agent's input.
            .process_group(0)
            .spawn()
            .map_err(|error| ConnectionError::Install {
                host: "localhost".to_owned(),
                reason: format!("/bin/sh: {error}"),
            })?;
        // Its output is watched by its end; there is nobody to wake.
        let (channel, process) = Channel::pair(|| ());
        tokio::spawn(bridge(child, process));
        Ok(channel)
    }
}

async fn bridge(mut child: Child, process: Process) {
    let Process { mut input, output } = process;
    let stdin = child.stdin.take();
    let write = tokio::spawn(async move {
        let Some(mut stdin) = stdin else { return };
        while let Some(bytes) = input.recv().await {
            // A process that has gone says so by its end.
            if stdin.write_all(&bytes).await.is_err() {
                return;
            }
        }
    });
    let errors = tokio::spawn(copy(child.stderr.take(), output.clone(), Event::Error));
    copy(child.stdout.take(), output.clone(), Event::Output).await;
    let _ = errors.await;
    let status = child.wait().await;
    write.abort();
    let end = match status {
        Ok(status) => End::Exited(status.code()),
        Err(error) => End::Lost(error.to_string()),
    };
    let _ = output.send(Event::End(end)).await;
}

async fn copy(
    stream: Option<impl AsyncRead + Unpin>,
    events: mpsc::Sender<Event>,
    event: fn(Vec<u8>) -> Event,
) {
    let Some(mut stream) = stream else { return };
    let mut buffer = vec![0; PIECE];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        if events.send(event(buffer[..count].to_vec())).await.is_err() {
            return;
        }
    }
}
