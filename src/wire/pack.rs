//! Frames compressed together: a `Packed` frame stands for the frames that it unpacks to.
//!
//! Only the way is concerned: whoever reads frames never sees one. Frames are gathered to a block first, since a
//! thousand small files compress together, not alone. What does not get smaller goes as it is, and then the next blocks are not
//! even tried: archives and pictures come in long runs.

use std::io;

use super::frame::{Frame, FrameError, Kind, MAX_FRAME};

/// So much is gathered before it is compressed and sent.
const BLOCK: usize = 256 << 10;

/// Less is not worth the work.
const SMALLEST: usize = 512;

/// Zstandard's fastest usual level: it keeps up with the network.
const LEVEL: i32 = 1;

/// Blocks that go as they are after one that did not get smaller.
const SPARED: u32 = 7;

/// Gathers frames on their way out.
#[derive(Debug, Default)]
pub struct Packer {
    compress: bool,
    spared: u32,
    waiting: Vec<u8>,
}

impl Packer {
    /// `compress` where the way is slower than the compression: a network, not a pipe.
    pub fn new(compress: bool) -> Self {
        Self {
            compress,
            ..Self::default()
        }
    }

    /// Takes a frame; gives what is to be sent once there is enough of it.
    pub fn push(&mut self, frame: &Frame) -> Result<Option<Vec<u8>>, FrameError> {
        self.waiting.extend(frame.encode()?);
        (self.waiting.len() >= BLOCK).then(|| self.flush()).transpose()
    }

    /// All that is left.
    pub fn flush(&mut self) -> Result<Vec<u8>, FrameError> {
        let block = std::mem::take(&mut self.waiting);
        if !self.compress || block.len() < SMALLEST {
            return Ok(block);
        }
        if self.spared > 0 {
            self.spared -= 1;
            return Ok(block);
        }
        let body = zstd::bulk::compress(&block, LEVEL)?;
        // An eighth pays for unpacking.
        if body.len() > block.len() / 8 * 7 {
            self.spared = SPARED;
            return Ok(block);
        }
        Frame {
            kind: Kind::Packed,
            body,
        }
        .encode()
    }
}

/// The bytes of the frames in a packed one's body: never more than one frame may have.
pub(super) fn unpack(body: &[u8]) -> Result<Vec<u8>, FrameError> {
    let told = zstd::zstd_safe::get_frame_content_size(body).ok().flatten();
    let length = told
        .and_then(|length| usize::try_from(length).ok())
        .filter(|length| *length <= MAX_FRAME + BLOCK)
        .ok_or_else(|| FrameError::Unpacked(io::Error::other("its length is not told, or too large")))?;
    zstd::bulk::decompress(body, length).map_err(FrameError::Unpacked)
}

#[cfg(test)]
mod tests {
    use super::super::frame::Decoder;
    use super::*;

    fn data(piece: &[u8]) -> Frame {
        Frame::data(&[1; 32], piece)
    }

    fn noise(length: usize) -> Vec<u8> {
        let mut state = 1_u32;
        let next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        };
        std::iter::repeat_with(next).take(length).collect()
    }

    fn sent(packer: &mut Packer, frames: &[Frame]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for frame in frames {
            bytes.extend(packer.push(frame).unwrap().unwrap_or_default());
        }
        bytes.extend(packer.flush().unwrap());
        bytes
    }

    #[test]
    fn what_compresses_is_compressed_together_and_comes_back_as_it_was() {
        let frames: Vec<Frame> = (0..1000)
            .map(|number| data(format!("server {number}\n").as_bytes()))
            .collect();
        let plain = sent(&mut Packer::new(false), &frames);
        let packed = sent(&mut Packer::new(true), &frames);
        assert!(
            packed.len() * 5 < plain.len(),
            "{} of {}",
            packed.len(),
            plain.len()
        );
        for bytes in [plain, packed] {
            let mut decoder = Decoder::default();
            let mut seen = Vec::new();
            for piece in bytes.chunks(999) {
                decoder.push(piece);
                while let Some(frame) = decoder.next().unwrap() {
                    seen.push(frame);
                }
            }
            assert_eq!(seen, frames);
            assert!(decoder.is_empty());
            let mut input = super::super::frame::Frames::new(bytes.as_slice());
            let mut seen = Vec::new();
            while let Some(frame) = input.next().unwrap() {
                seen.push(frame);
            }
            assert_eq!(seen, frames);
        }
    }

    #[test]
    fn what_does_not_compress_goes_as_it_is() {
        let frames = [data(&noise(100_000))];
        let mut packer = Packer::new(true);
        assert_eq!(sent(&mut packer, &frames), frames[0].encode().unwrap());
        assert_eq!(packer.spared, SPARED);
    }

    #[test]
    fn a_packed_frame_within_another_and_one_that_is_too_large_are_refused() {
        let packed = |bytes: &[u8]| Frame {
            kind: Kind::Packed,
            body: zstd::bulk::compress(bytes, LEVEL).unwrap(),
        };
        let nested = packed(&packed(&data(b"x").encode().unwrap()).encode().unwrap());
        let bomb = packed(&vec![0; MAX_FRAME + BLOCK + 1]);
        for frame in [nested, bomb] {
            let mut decoder = Decoder::default();
            decoder.push(&frame.encode().unwrap());
            assert!(decoder.next().is_err());
        }
    }
}
