//! The digests that modules report and compare, over streams of any length.
//!
//! SHA comes from aws-lc. MD5, which aws-lc-rs does not offer, is RFC 1321 below: it is no protection, only
//! what some published checksum files still hold.

use std::fmt::Write as _;
use std::io::{self, Read};

use aws_lc_rs::digest;

use super::DigestAlgorithm;

/// Read at a time.
const BUFFER: usize = 64 << 10;

/// A digest in the making.
pub struct Hasher(State);

enum State {
    Sha(digest::Context),
    Md5(Box<Md5>),
}

impl Hasher {
    pub fn new(algorithm: DigestAlgorithm) -> Self {
        let sha = match algorithm {
            DigestAlgorithm::Md5 => return Self(State::Md5(Box::default())),
            DigestAlgorithm::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            DigestAlgorithm::Sha224 => &digest::SHA224,
            DigestAlgorithm::Sha256 => &digest::SHA256,
            DigestAlgorithm::Sha384 => &digest::SHA384,
            DigestAlgorithm::Sha512 => &digest::SHA512,
        };
        Self(State::Sha(digest::Context::new(sha)))
    }

    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Sha(context) => context.update(bytes),
            State::Md5(md5) => md5.update(bytes),
        }
    }

    /// Lower-case hexadecimal.
    pub fn finish(self) -> String {
        match self.0 {
            State::Sha(context) => hexadecimal(context.finish().as_ref()),
            State::Md5(md5) => hexadecimal(&md5.finish()),
        }
    }
}

/// The digest of all that `input` still holds.
pub fn digest_stream(input: &mut dyn Read, algorithm: DigestAlgorithm) -> io::Result<String> {
    let mut hasher = Hasher::new(algorithm);
    let mut buffer = vec![0; BUFFER];
    loop {
        match input.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(length) => hasher.update(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

pub fn digest_bytes(bytes: &[u8], algorithm: DigestAlgorithm) -> String {
    let mut hasher = Hasher::new(algorithm);
    hasher.update(bytes);
    hasher.finish()
}

impl DigestAlgorithm {
    /// By the name that playbooks use.
    pub fn by_name(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "md5" => Self::Md5,
            "sha1" => Self::Sha1,
            "sha224" => Self::Sha224,
            "sha256" => Self::Sha256,
            "sha384" => Self::Sha384,
            "sha512" => Self::Sha512,
            _ => return None,
        })
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// Bytes of an MD5 block.
const BLOCK: usize = 64;

/// How far each round rotates, by round and step within four.
const ROTATIONS: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];

struct Md5 {
    state: [u32; 4],
    constants: [u32; 64],
    pending: Vec<u8>,
    length: u64,
}

impl Default for Md5 {
    fn default() -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "the standard defines the constants as the whole part of this, which fits in 32 bits"
        )]
        let constants =
            std::array::from_fn(|step| ((step as f64 + 1.0).sin().abs() * 4_294_967_296.0) as u32);
        Self {
            state: [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476],
            constants,
            pending: Vec::with_capacity(BLOCK),
            length: 0,
        }
    }
}

impl Md5 {
    fn update(&mut self, mut bytes: &[u8]) {
        self.length = self.length.wrapping_add(bytes.len() as u64);
        if !self.pending.is_empty() {
            let taken = bytes.len().min(BLOCK - self.pending.len());
            self.pending.extend_from_slice(&bytes[..taken]);
            bytes = &bytes[taken..];
            if self.pending.len() < BLOCK {
                return;
            }
            let block = std::mem::take(&mut self.pending);
            self.compress(&block);
        }
        let (blocks, rest) = bytes.split_at(bytes.len() - bytes.len() % BLOCK);
        for block in blocks.chunks_exact(BLOCK) {
            self.compress(block);
        }
        self.pending.extend_from_slice(rest);
    }

    fn finish(mut self) -> [u8; 16] {
        let bits = self.length.wrapping_mul(8);
        let mut padding = vec![0x80];
        while (self.pending.len() + padding.len()) % BLOCK != BLOCK - 8 {
            padding.push(0);
        }
        padding.extend_from_slice(&bits.to_le_bytes());
        self.update(&padding);
        let mut out = [0; 16];
        for (place, word) in out.chunks_exact_mut(4).zip(self.state) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        out
    }

    fn compress(&mut self, block: &[u8]) {
        let word = |index: usize| {
            let at = index * 4;
            u32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]])
        };
        let [mut a, mut b, mut c, mut d] = self.state;
        for step in 0..64 {
            let (mixed, index) = match step / 16 {
                0 => ((b & c) | (!b & d), step),
                1 => ((d & b) | (!d & c), (5 * step + 1) % 16),
                2 => (b ^ c ^ d, (3 * step + 5) % 16),
                _ => (c ^ (b | !d), (7 * step) % 16),
            };
            let sum = a
                .wrapping_add(mixed)
                .wrapping_add(self.constants[step])
                .wrapping_add(word(index));
            (a, d, c) = (d, c, b);
            b = b.wrapping_add(sum.rotate_left(ROTATIONS[step / 16][step % 4]));
        }
        for (state, add) in self.state.iter_mut().zip([a, b, c, d]) {
            *state = state.wrapping_add(add);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_the_published_ones() {
        for (name, text, expected) in [
            ("md5", "", "d41d8cd98f00b204e9800998ecf8427e"),
            ("md5", "message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
            (
                "md5",
                "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
                "57edf4a22be3c955ac49da2e2107b67a",
            ),
            ("sha1", "abc", "a9993e364706816aba3e25717850c26c9cd0d89d"),
            (
                "SHA256",
                "abc",
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            ),
        ] {
            let algorithm = DigestAlgorithm::by_name(name).unwrap();
            assert_eq!(digest_bytes(text.as_bytes(), algorithm), expected);
        }
    }

    #[test]
    fn the_cut_of_a_stream_makes_no_difference() {
        let bytes: Vec<u8> = (0..=255).cycle().take(1000).collect();
        for size in [1, 63, 64, 65, 999] {
            let mut hasher = Hasher::new(DigestAlgorithm::Md5);
            bytes.chunks(size).for_each(|piece| hasher.update(piece));
            assert_eq!(hasher.finish(), digest_bytes(&bytes, DigestAlgorithm::Md5));
        }
    }
}
