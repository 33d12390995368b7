//! Compressed streams: gzip, bzip2, xz, Zstandard. No program of the target is needed for them.

use std::io::{self, Read, Write};

use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

/// How a stream is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    Gzip,
    Bzip2,
    Xz,
    Zstandard,
}

/// What streams begin with.
const KINDS: &[(&[u8], Compression)] = &[
    (b"\x1f\x8b", Compression::Gzip),
    (b"BZh", Compression::Bzip2),
    (b"\xfd7zXZ\0", Compression::Xz),
    (b"\x28\xb5\x2f\xfd", Compression::Zstandard),
];
/// As much of a stream as tells how it is compressed.
pub const MAGIC: usize = 6;
/// As gzip, bzip2 and xz do unless they are told.
const XZ_PRESET: u32 = 6;

impl Compression {
    /// What the first bytes say.
    pub fn of(start: &[u8]) -> Option<Self> {
        let known = KINDS.iter().find(|(magic, _)| start.starts_with(magic));
        known.map(|(_, compression)| *compression)
    }

    /// What a compressed stream holds; streams one after the other are one.
    pub fn decoder<'a>(self, stream: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
        Ok(match self {
            Self::Gzip => Box::new(MultiGzDecoder::new(stream)),
            Self::Bzip2 => Box::new(bzip2::read::MultiBzDecoder::new(stream)),
            Self::Xz => Box::new(lzma_rust2::XzReader::new(stream, true)),
            Self::Zstandard => Box::new(
                ruzstd::decoding::StreamingDecoder::new(stream)
                    .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?,
            ),
        })
    }
}

/// Compresses what is written to it; none: passes it on. Zstandard is only read.
pub enum Encoder<W: Write> {
    None(W),
    Gzip(GzEncoder<W>),
    Bzip2(bzip2::write::BzEncoder<W>),
    Xz(Box<lzma_rust2::XzWriter<W>>),
}

impl<W: Write> Encoder<W> {
    pub fn new(compression: Option<Compression>, inner: W) -> io::Result<Self> {
        Ok(match compression {
            None => Self::None(inner),
            Some(Compression::Gzip) => Self::Gzip(GzEncoder::new(inner, flate2::Compression::default())),
            Some(Compression::Bzip2) => {
                Self::Bzip2(bzip2::write::BzEncoder::new(inner, bzip2::Compression::best()))
            }
            Some(Compression::Xz) => {
                let options = lzma_rust2::XzOptions::with_preset(XZ_PRESET);
                Self::Xz(Box::new(lzma_rust2::XzWriter::new(inner, options)?))
            }
            Some(Compression::Zstandard) => {
                return Err(io::Error::new(
                    io::ErrorKind::Unsupported,
                    "Zstandard is only read",
                ));
            }
        })
    }

    /// Ends the stream.
    pub fn finish(self) -> io::Result<W> {
        match self {
            Self::None(inner) => Ok(inner),
            Self::Gzip(encoder) => encoder.finish(),
            Self::Bzip2(encoder) => encoder.finish(),
            Self::Xz(encoder) => encoder.finish(),
        }
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::None(inner) => inner.write(bytes),
            Self::Gzip(encoder) => encoder.write(bytes),
            Self::Bzip2(encoder) => encoder.write(bytes),
            Self::Xz(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        for compression in [Compression::Gzip, Compression::Bzip2, Compression::Xz] {
            let mut encoder = Encoder::new(Some(compression), Vec::new()).unwrap();
            encoder.write_all(b"what is written ").unwrap();
            let mut bytes = encoder.finish().unwrap();
            bytes.extend(bytes.clone());
            assert_eq!(Compression::of(&bytes), Some(compression));
            let mut text = String::new();
            let mut decoder = compression.decoder(bytes.as_slice()).unwrap();
            decoder.read_to_string(&mut text).unwrap();
            assert_eq!(text, "what is written what is written ", "{compression:?}");
        }
    }

    #[test]
    fn zstandard_is_read() {
        // printf 'zstd\n' | zstd
        let bytes = [
            0x28, 0xb5, 0x2f, 0xfd, 0x04, 0x58, 0x29, 0x00, 0x00, 0x7a, 0x73, 0x74, 0x64, 0x0a, 0x04, 0xf1,
            0x6e, 0x3c_u8,
        ];
        let mut text = String::new();
        let mut decoder = Compression::Zstandard.decoder(bytes.as_slice()).unwrap();
        decoder.read_to_string(&mut text).unwrap();
        assert_eq!(text, "zstd\n");
        assert_eq!(Compression::of(&bytes), Some(Compression::Zstandard));
        assert!(Encoder::new(Some(Compression::Zstandard), Vec::new()).is_err());
    }
}
