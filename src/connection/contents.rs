//! Contents on their way to an agent that has asked for them.

use std::collections::HashMap;

use tokio::sync::mpsc;

use super::Answers;
use crate::wire::delta::{self, Known};
use crate::wire::frame::{Frame, FrameError, Key, key};
use crate::wire::message::{Answer, Wanted};
use crate::wire::pack::Packer;

/// Bytes for the agent, as fast as it takes them.
pub type Pieces = mpsc::Sender<Result<Vec<u8>, FrameError>>;

/// Sends all of them, or says why one cannot be sent. What the packer still holds is the caller's to send.
pub fn send_contents(
    answers: &dyn Answers,
    wanted: &[Wanted],
    sums: &HashMap<Key, Known>,
    packer: &mut Packer,
    pieces: &Pieces,
) -> Result<Answer, String> {
    let mut listened = true;
    for wanted in wanted {
        let digest = &wanted.digest;
        let key = key(digest).ok_or_else(|| format!("`{digest}` is no SHA-256"))?;
        let mut content = answers
            .content(digest)
            .ok_or_else(|| format!("the controller has no content {digest}"))?;
        let known = sums.get(&key).zip(wanted.chunk);
        // Nobody listens any more where the run was given up, or the call has failed.
        let mut emit = |frame: Frame| {
            listened = listened
                && match packer.push(&frame) {
                    Ok(Some(bytes)) => pieces.blocking_send(Ok(bytes)).is_ok(),
                    Ok(None) => true,
                    Err(error) => pieces.blocking_send(Err(error)).is_ok(),
                };
            listened
        };
        delta::send(&key, &mut *content, known, &mut emit)
            .map_err(|error| format!("the controller cannot read the content: {error}"))?;
        if !listened {
            break;
        }
    }
    Ok(Answer::Sent)
}
