//! Parts of files that an answer hands to its connection, which has the kernel send them.
//!
//! hyper takes bodies as bytes in memory and writes them in their order. A body that is to come out of a file
//! therefore yields placeholders, slices of one piece of memory that nothing else uses, and queues which part of
//! which file each stands for; the connection knows them by their address. It only ever writes the queued part,
//! or breaks: a placeholder tells how far its part has got, and where that does not agree nothing is sent.
//! Only a connection that looks for placeholders hands one of these to its answers.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use bytes::Bytes;

use crate::registry::storage::Content;

/// The longest part: it is prepared at once, and a client that has taken less holds no more.
pub const MAX_PART: usize = 2 << 20;

/// Memory that is never read or written, and so takes no room.
static PLACEHOLDER: LazyLock<&'static [u8]> = LazyLock::new(|| vec![0; MAX_PART].leak());

/// What a connection is to send, in order.
#[derive(Clone, Default)]
pub struct Handover(Arc<Mutex<VecDeque<Part>>>);

struct Part {
    content: Arc<dyn Content>,
    offset: u64,
    length: usize,
    sent: usize,
}

impl Handover {
    /// Queues a part of at most [`MAX_PART`] bytes; what stands for it.
    pub fn queue(&self, content: &Arc<dyn Content>, offset: u64, length: usize) -> Bytes {
        let mut parts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        parts.push_back(Part {
            content: Arc::clone(content),
            offset,
            length,
            sent: 0,
        });
        Bytes::from_static(&PLACEHOLDER[..length])
    }

    /// Whether `bytes` stand for a part of a file.
    pub fn stands(bytes: &[u8]) -> bool {
        !bytes.is_empty() && PLACEHOLDER.as_ptr_range().contains(&bytes.as_ptr())
    }

    /// Sends of what `placeholder` stands for as much as `socket` takes; how much that was.
    pub fn send(&self, placeholder: &[u8], socket: impl AsFd) -> io::Result<usize> {
        let mut parts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mismatch = || io::Error::other("an answer and its connection disagree on what is to be sent");
        let part = parts.front_mut().ok_or_else(mismatch)?;
        let begin = placeholder.as_ptr().addr() - PLACEHOLDER.as_ptr().addr();
        if begin != part.sent || begin + placeholder.len() != part.length {
            return Err(mismatch());
        }
        let file = part.content.file().ok_or_else(mismatch)?;
        let mut offset = part.offset + part.sent as u64;
        match rustix::fs::sendfile(socket, file, Some(&mut offset), placeholder.len())? {
            0 => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the object is shorter than it was when opened",
            )),
            length => {
                part.sent += length;
                if part.sent == part.length {
                    parts.pop_front();
                }
                Ok(length)
            }
        }
    }
}
