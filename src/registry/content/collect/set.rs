//! A set of digests of any size in little memory: filled in any order, then gone through once in order.
//!
//! What does not fit is sorted and put into a file that has no name. A digest is kept by its first 32 bytes:
//! all of SHA-256, and of SHA-512 more than ever coincides by chance.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, Read as _, Seek as _, Write as _};
use std::path::Path;

use crate::registry::digest::Digest;

/// Digests in memory before they are put into a file: 2 MiB.
const IN_MEMORY: usize = 65_536;
/// Read at once of each sorted file.
const READ: usize = 8 << 10;

/// The first 32 bytes of a digest. They sort as its hexadecimal text does.
pub type Short = [u8; 32];

pub fn short(digest: &Digest) -> Short {
    let mut bytes = [0; 32];
    let nibble = |digit: u8| {
        if digit >= b'a' {
            digit - b'a' + 10
        } else {
            digit - b'0'
        }
    };
    for (byte, pair) in bytes.iter_mut().zip(digest.hex().as_bytes().chunks(2)) {
        *byte = nibble(pair[0]) << 4 | nibble(pair[1]);
    }
    bytes
}

/// The set while it is filled.
pub struct Set<'a> {
    scratch: &'a Path,
    limit: usize,
    fresh: Vec<Short>,
    runs: Vec<Run>,
}

/// A sorted part of a set.
enum Run {
    File(File),
    /// On a full disk there is no other place.
    Memory(Vec<Short>),
}

impl<'a> Set<'a> {
    /// `scratch` is the folder of files that do not fit into memory.
    pub fn new(scratch: &'a Path) -> Self {
        Self::with_limit(scratch, IN_MEMORY)
    }

    fn with_limit(scratch: &'a Path, limit: usize) -> Self {
        Self {
            scratch,
            limit,
            fresh: Vec::new(),
            runs: Vec::new(),
        }
    }

    pub fn insert(&mut self, digest: Short) {
        if self.fresh.len() >= self.limit {
            self.fresh.sort_unstable();
            self.fresh.dedup();
            // Many manifests name the same layers: often that was all.
            if self.fresh.len() > self.limit / 2 {
                let run = std::mem::take(&mut self.fresh);
                self.runs.push(match spilled(self.scratch, &run) {
                    Ok(file) => Run::File(file),
                    Err(error) => {
                        tracing::debug!(%error, "no room for a list of digests; it stays in memory");
                        Run::Memory(run)
                    }
                });
            }
        }
        self.fresh.push(digest);
    }

    /// Ends the filling.
    pub fn sorted(mut self) -> io::Result<Sorted> {
        self.fresh.sort_unstable();
        self.fresh.dedup();
        let mut sources = vec![Source::Memory(self.fresh.into_iter())];
        for run in self.runs {
            sources.push(match run {
                Run::File(file) => Source::File(BufReader::with_capacity(READ, file)),
                Run::Memory(run) => Source::Memory(run.into_iter()),
            });
        }
        let mut heads = BinaryHeap::with_capacity(sources.len());
        for (number, source) in sources.iter_mut().enumerate() {
            heads.extend(source.next()?.map(|digest| Reverse((digest, number))));
        }
        Ok(Sorted { sources, heads })
    }
}

fn spilled(scratch: &Path, digests: &[Short]) -> io::Result<File> {
    let mut file = tempfile::tempfile_in(scratch)?;
    file.write_all(digests.as_flattened())?;
    file.rewind()?;
    Ok(file)
}

enum Source {
    File(BufReader<File>),
    Memory(std::vec::IntoIter<Short>),
}

impl Source {
    fn next(&mut self) -> io::Result<Option<Short>> {
        match self {
            Self::Memory(digests) => Ok(digests.next()),
            Self::File(file) => {
                let mut digest = Short::default();
                match file.read_exact(&mut digest) {
                    Ok(()) => Ok(Some(digest)),
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
                    Err(error) => Err(error),
                }
            }
        }
    }
}

/// A set that is asked for digests from the smallest to the largest.
pub struct Sorted {
    sources: Vec<Source>,
    heads: BinaryHeap<Reverse<(Short, usize)>>,
}

impl Sorted {
    /// Whether `digest` is in the set; no smaller one may be asked for after it.
    pub fn contains(&mut self, digest: &Short) -> io::Result<bool> {
        while let Some(Reverse((head, number))) = self.heads.peek().copied() {
            if head >= *digest {
                return Ok(head == *digest);
            }
            self.heads.pop();
            self.heads
                .extend(self.sources[number].next()?.map(|next| Reverse((next, number))));
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::digest::Algorithm;

    #[test]
    fn a_digest_s_short_form_sorts_as_its_text() {
        let mut digests: Vec<Digest> = (0..100_u8)
            .map(|seed| Digest::of(Algorithm::Sha256, &[seed]))
            .collect();
        digests.sort_by(|a, b| a.hex().cmp(b.hex()));
        assert!(digests.is_sorted_by_key(short));
        assert_eq!(
            short(&digests[0])[0],
            u8::from_str_radix(&digests[0].hex()[..2], 16).unwrap()
        );
    }

    #[test]
    fn what_does_not_fit_into_memory_is_found_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let gone = folder.path().join("not there");
        let all: Vec<Short> = (0..1000_u16)
            .map(|seed| short(&Digest::of(Algorithm::Sha512, &seed.to_be_bytes())))
            .collect();
        // In files; and where none can be made.
        for scratch in [folder.path(), gone.as_path()] {
            let mut set = Set::with_limit(scratch, 16);
            for digest in all.iter().step_by(2).chain(all.iter().step_by(4)) {
                set.insert(*digest);
            }
            assert!(set.runs.len() > 10);
            let mut sorted = set.sorted().unwrap();
            let mut asked: Vec<(Short, bool)> = all
                .iter()
                .enumerate()
                .map(|(at, digest)| (*digest, at % 2 == 0))
                .collect();
            asked.sort_unstable();
            for (digest, expected) in asked {
                assert_eq!(sorted.contains(&digest).unwrap(), expected);
                assert_eq!(
                    sorted.contains(&digest).unwrap(),
                    expected,
                    "asking changes nothing"
                );
            }
        }
    }
}
