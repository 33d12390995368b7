//! Frames: a big-endian `u32` length, a kind byte, a body of that length less one.
//!
//! Lengths are checked before anything is allocated.

use std::collections::VecDeque;
use std::io::{self, Read, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// No frame is larger: contents are cut into chunks, and a result this large is a mistake.
pub const MAX_FRAME: usize = 64 << 20;

/// Contents travel in pieces of this size, so that a result can pass between two of them.
pub const CHUNK: usize = 256 << 10;

/// A SHA-256, as it precedes each piece of a content.
pub type Key = [u8; 32];

/// The key of a hexadecimal digest; none if it is not one.
pub fn key(hexadecimal: &str) -> Option<Key> {
    if hexadecimal.len() != 64 || !hexadecimal.is_ascii() {
        return None;
    }
    let mut key = [0; 32];
    for (index, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hexadecimal[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(key)
}

/// What a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// JSON [`super::message::Hello`].
    Hello = 1,
    /// JSON [`super::message::Request`].
    Request = 2,
    /// JSON [`super::message::Response`].
    Response = 3,
    /// 32 bytes of SHA-256, then a piece of the content that it names; no further bytes: the end.
    Data = 4,
    /// 32 bytes of SHA-256, then pairs of `u32`: the first and the number of chunks, as the other side has counted
    /// them, that come next in that content.
    Copy = 5,
    /// 32 bytes of SHA-256, then 16 bytes for each chunk that is there already for that content.
    Sums = 6,
    /// Other frames, compressed: [`super::pack`].
    Packed = 7,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Self> {
        [
            Self::Hello,
            Self::Request,
            Self::Response,
            Self::Data,
            Self::Copy,
            Self::Sums,
            Self::Packed,
        ]
        .into_iter()
        .find(|kind| *kind as u8 == byte)
    }
}

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub kind: Kind,
    pub body: Vec<u8>,
}

/// Why a stream is no longer usable.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    #[error("the stream ended in the middle of a frame")]
    Truncated,
    #[error("a frame of {0} bytes exceeds the limit of {MAX_FRAME}")]
    TooLong(usize),
    #[error("unknown frame kind {0}")]
    UnknownKind(u8),
    #[error("a {kind:?} frame holds no valid message: {source}")]
    Malformed { kind: Kind, source: serde_json::Error },
    #[error("a compressed frame cannot be unpacked: {0}")]
    Unpacked(#[source] io::Error),
    #[error("a compressed frame holds something other than whole frames")]
    Nested,
    #[error("cannot read or write the stream: {0}")]
    Io(#[from] io::Error),
}

impl Frame {
    /// A piece of the content with this key; an empty one is its end.
    pub fn data(key: &Key, piece: &[u8]) -> Self {
        Self::of(Kind::Data, key, piece)
    }

    /// What concerns the content with this key.
    pub fn of(kind: Kind, key: &Key, rest: &[u8]) -> Self {
        Self {
            kind,
            body: [key, rest].concat(),
        }
    }

    /// The content that a frame concerns, and the rest of its body; none if it is too short.
    pub fn keyed(&self) -> Option<(Key, &[u8])> {
        let (key, rest) = self.body.split_first_chunk()?;
        Some((*key, rest))
    }

    pub fn json(kind: Kind, message: &impl Serialize) -> Result<Self, FrameError> {
        let body = serde_json::to_vec(message).map_err(|source| FrameError::Malformed { kind, source })?;
        Ok(Self { kind, body })
    }

    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, FrameError> {
        serde_json::from_slice(&self.body).map_err(|source| FrameError::Malformed {
            kind: self.kind,
            source,
        })
    }

    /// The bytes on the wire.
    pub fn encode(&self) -> Result<Vec<u8>, FrameError> {
        let length = self.body.len() + 1;
        let header = u32::try_from(length)
            .ok()
            .filter(|_| length <= MAX_FRAME)
            .ok_or(FrameError::TooLong(length))?;
        let mut bytes = Vec::with_capacity(length + 4);
        bytes.extend_from_slice(&header.to_be_bytes());
        bytes.push(self.kind as u8);
        bytes.extend_from_slice(&self.body);
        Ok(bytes)
    }

    pub fn write_to(&self, out: &mut impl Write) -> Result<(), FrameError> {
        out.write_all(&self.encode()?)?;
        out.flush()?;
        Ok(())
    }

    /// The frames that a packed one stands for.
    fn unpack(&self) -> Result<VecDeque<Self>, FrameError> {
        let mut decoder = Decoder {
            buffer: super::pack::unpack(&self.body)?,
            ..Decoder::default()
        };
        let mut frames = VecDeque::new();
        while let Some(frame) = decoder.raw()? {
            if frame.kind == Kind::Packed {
                return Err(FrameError::Nested);
            }
            frames.push_back(frame);
        }
        if decoder.is_empty() {
            Ok(frames)
        } else {
            Err(FrameError::Nested)
        }
    }

    /// The next frame; none when the stream ends between two frames.
    pub fn read_from(input: &mut impl Read) -> Result<Option<Self>, FrameError> {
        let mut header = [0u8; 4];
        if input.read(&mut header[..1])? == 0 {
            return Ok(None);
        }
        read_exact(input, &mut header[1..])?;
        let length = checked_length(header)?;
        let mut kind = [0u8; 1];
        read_exact(input, &mut kind)?;
        let kind = Kind::from_byte(kind[0]).ok_or(FrameError::UnknownKind(kind[0]))?;
        let mut body = vec![0; length - 1];
        read_exact(input, &mut body)?;
        Ok(Some(Self { kind, body }))
    }
}

fn read_exact(input: &mut impl Read, buffer: &mut [u8]) -> Result<(), FrameError> {
    input.read_exact(buffer).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => FrameError::Truncated,
        _ => FrameError::Io(error),
    })
}

fn checked_length(header: [u8; 4]) -> Result<usize, FrameError> {
    let length = u32::from_be_bytes(header) as usize;
    if length == 0 || length > MAX_FRAME {
        return Err(FrameError::TooLong(length));
    }
    Ok(length)
}

/// Puts frames together from pieces of any size: the controller's side, whose channels hand over whatever came.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    /// Where the next frame begins.
    start: usize,
    unpacked: VecDeque<Frame>,
}

impl Decoder {
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..std::mem::take(&mut self.start));
        self.buffer.extend_from_slice(bytes);
    }

    /// Whether bytes of an unfinished frame are waiting.
    pub fn is_empty(&self) -> bool {
        self.start == self.buffer.len() && self.unpacked.is_empty()
    }

    /// The next whole frame; none until more bytes come.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator that may go on after `None` would mislead"
    )]
    pub fn next(&mut self) -> Result<Option<Frame>, FrameError> {
        loop {
            if let Some(frame) = self.unpacked.pop_front() {
                return Ok(Some(frame));
            }
            match self.raw()? {
                Some(frame) if frame.kind == Kind::Packed => self.unpacked = frame.unpack()?,
                frame => return Ok(frame),
            }
        }
    }

    fn raw(&mut self) -> Result<Option<Frame>, FrameError> {
        let waiting = &self.buffer[self.start..];
        let Some(header) = waiting.first_chunk::<4>() else {
            return Ok(None);
        };
        let length = checked_length(*header)?;
        if waiting.len() < 4 + length {
            return Ok(None);
        }
        let kind = Kind::from_byte(waiting[4]).ok_or(FrameError::UnknownKind(waiting[4]))?;
        let body = waiting[5..4 + length].to_vec();
        self.start += 4 + length;
        Ok(Some(Frame { kind, body }))
    }
}

/// Frames from a stream that can be waited for: the agent's side.
pub struct Frames<R> {
    input: R,
    unpacked: VecDeque<Frame>,
}

impl<R: Read> Frames<R> {
    pub fn new(input: R) -> Self {
        Self {
            input,
            unpacked: VecDeque::new(),
        }
    }

    /// None when the stream ends between two frames.
    #[expect(
        clippy::should_implement_trait,
        reason = "errors are told apart from the end by `?`"
    )]
    pub fn next(&mut self) -> Result<Option<Frame>, FrameError> {
        loop {
            if let Some(frame) = self.unpacked.pop_front() {
                return Ok(Some(frame));
            }
            match Frame::read_from(&mut self.input)? {
                Some(frame) if frame.kind == Kind::Packed => self.unpacked = frame.unpack()?,
                frame => return Ok(frame),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_survive_any_cut() {
        let frames = [
            Frame {
                kind: Kind::Data,
                body: vec![],
            },
            Frame {
                kind: Kind::Request,
                body: b"{}".to_vec(),
            },
            Frame {
                kind: Kind::Data,
                body: vec![7; 1000],
            },
        ];
        let bytes: Vec<u8> = frames.iter().flat_map(|frame| frame.encode().unwrap()).collect();
        for size in [1, 2, 3, 7, 100, bytes.len()] {
            let mut decoder = Decoder::default();
            let mut seen = Vec::new();
            for piece in bytes.chunks(size) {
                decoder.push(piece);
                while let Some(frame) = decoder.next().unwrap() {
                    seen.push(frame);
                }
            }
            assert_eq!(seen, frames);
        }
        let mut input = bytes.as_slice();
        let mut seen = Vec::new();
        while let Some(frame) = Frame::read_from(&mut input).unwrap() {
            seen.push(frame);
        }
        assert_eq!(seen, frames);
    }

    #[test]
    fn a_key_is_sixty_four_hexadecimal_digits() {
        assert_eq!(key(&"0f".repeat(32)), Some([0x0f; 32]));
        assert_eq!(key("0f"), None);
        assert_eq!(key(&"é".repeat(32)), None);
        assert_eq!(key(&"0g".repeat(32)), None);
    }

    #[test]
    fn a_length_is_refused_before_it_is_allocated() {
        let mut input: &[u8] = &[0xff, 0xff, 0xff, 0xff, 1];
        assert!(matches!(
            Frame::read_from(&mut input),
            Err(FrameError::TooLong(_))
        ));
    }

    #[test]
    fn a_cut_frame_is_an_error() {
        let bytes = Frame {
            kind: Kind::Data,
            body: vec![1, 2, 3],
        }
        .encode()
        .unwrap();
        let mut input = &bytes[..bytes.len() - 1];
        assert!(matches!(Frame::read_from(&mut input), Err(FrameError::Truncated)));
    }
}
