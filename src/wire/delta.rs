//! Contents of which the other side has a part: only what it lacks is sent.
//!
//! A content is cut where its bytes say so (`FastCDC`), so that an insertion moves cuts but does not change the chunks behind it. Who
//! wants a content tells the sums of the chunks that it has; who sends it cuts its own in the same way, and for each
//! chunk says either which of those it is, or what is in it. The content as a whole has its SHA-256, so that a sum need only
//! tell chunks apart.

use std::collections::HashMap;
use std::io::{self, Read};

use aws_lc_rs::digest;
use fastcdc::v2020::StreamCDC;

use super::frame::{CHUNK, Frame, Key, Kind};

/// Smaller contents are sent whole: sums cost an extra reading on both sides.
pub const WORTH: u64 = 1 << 20;

/// The usual length of a chunk: the smaller, the less is sent of a change, the more sums.
const USUAL: u64 = 32 << 10;

/// No content has many more chunks than this: those of a very large one are longer.
const MOST: u64 = 64 << 10;

/// What `FastCDC` takes at most.
const LONGEST: u64 = 4 << 20;

/// The beginning of a chunk's SHA-256.
pub type Sum = [u8; 16];

/// How long the chunks of a content of this size are, on average.
pub fn usual_length(size: u64) -> u32 {
    let length = (size / MOST).next_power_of_two().clamp(USUAL, LONGEST);
    u32::try_from(length).expect("it is clamped")
}

/// A piece of a content, cut where the content says.
pub struct Chunk {
    pub sum: Sum,
    pub offset: u64,
    pub bytes: Vec<u8>,
}

/// Cuts what a stream still holds. `usual` is one of [`usual_length`]'s.
pub fn chunks<R: Read>(input: R, usual: u32) -> impl Iterator<Item = io::Result<Chunk>> {
    // The other side may say anything: what is no length of ours is made one.
    let usual = usize::try_from(u64::from(usual).clamp(USUAL, LONGEST)).unwrap_or(CHUNK);
    StreamCDC::new(input, usual / 4, usual, usual * 4).map(|cut| {
        let cut = cut.map_err(io::Error::other)?;
        let sum = digest::digest(&digest::SHA256, &cut.data);
        Ok(Chunk {
            sum: *sum.as_ref().first_chunk().expect("SHA-256 is longer"),
            offset: cut.offset,
            bytes: cut.data,
        })
    })
}

/// The chunks that the other side has of one content, in the order in which it told them.
#[derive(Debug, Default, Clone)]
pub struct Known {
    numbers: HashMap<Sum, u32>,
    told: u32,
}

impl Known {
    /// Takes what follows the key in a `Sums` frame. False if it is none, or they are far too many.
    pub fn take(&mut self, sums: &[u8]) -> bool {
        let (sums, rest) = sums.as_chunks::<16>();
        for sum in sums {
            self.numbers.entry(*sum).or_insert(self.told);
            self.told += 1;
        }
        rest.is_empty() && u64::from(self.told) < 16 * MOST
    }
}

/// The frames of `Sums`.
pub fn tell(key: &Key, sums: &[Sum]) -> impl Iterator<Item = Frame> {
    sums.chunks(CHUNK / size_of::<Sum>())
        .map(|sums| Frame::of(Kind::Sums, key, sums.as_flattened()))
}

/// Sends a content to its end: `known` are chunks that the other side has, of this usual length.
/// `emit` says whether anybody still listens.
pub fn send(
    key: &Key,
    content: &mut dyn Read,
    known: Option<(&Known, u32)>,
    emit: &mut dyn FnMut(Frame) -> bool,
) -> io::Result<()> {
    let Some((known, usual)) = known else {
        return send_whole(key, content, emit);
    };
    let mut pieces = Pieces {
        key,
        emit,
        literal: Vec::new(),
        run: None,
    };
    for chunk in chunks(content, usual) {
        let chunk = chunk?;
        let going = match known.numbers.get(&chunk.sum) {
            Some(number) => pieces.copy(*number),
            None => pieces.literal(&chunk.bytes),
        };
        if !going {
            return Ok(());
        }
    }
    if pieces.flush() {
        emit(Frame::data(key, &[]));
    }
    Ok(())
}

fn send_whole(key: &Key, content: &mut dyn Read, emit: &mut dyn FnMut(Frame) -> bool) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        match content.read(&mut buffer) {
            Ok(count) => {
                if !emit(Frame::data(key, &buffer[..count])) || count == 0 {
                    return Ok(());
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Gathers chunks to frames.
struct Pieces<'a> {
    key: &'a Key,
    emit: &'a mut dyn FnMut(Frame) -> bool,
    literal: Vec<u8>,
    /// The first chunk and how many.
    run: Option<(u32, u32)>,
}

impl Pieces<'_> {
    fn copy(&mut self, number: u32) -> bool {
        if let Some((first, count)) = &mut self.run
            && *first + *count == number
        {
            *count += 1;
            return true;
        }
        let going = self.flush();
        self.run = Some((number, 1));
        going
    }

    fn literal(&mut self, bytes: &[u8]) -> bool {
        let mut going = true;
        if self.run.is_some() || self.literal.len() + bytes.len() > CHUNK {
            going = self.flush();
        }
        self.literal.extend_from_slice(bytes);
        going
    }

    fn flush(&mut self) -> bool {
        let mut going = true;
        if let Some((first, count)) = self.run.take() {
            let pair = [first.to_be_bytes(), count.to_be_bytes()];
            going = (self.emit)(Frame::of(Kind::Copy, self.key, pair.as_flattened()));
        }
        for piece in self.literal.chunks(CHUNK) {
            going = going && (self.emit)(Frame::data(self.key, piece));
        }
        self.literal.clear();
        going
    }
}

/// The numbers of the chunks that a `Copy` frame's body names after its key; none if it is malformed.
pub fn copied(pairs: &[u8]) -> Option<Vec<u32>> {
    let (pairs, rest) = pairs.as_chunks::<8>();
    let number = |bytes: &[u8]| u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    let mut numbers = Vec::new();
    for pair in pairs {
        let (first, count) = (number(&pair[..4]), number(&pair[4..]));
        let end = first
            .checked_add(count)
            .filter(|end| u64::from(*end) <= 16 * MOST)?;
        numbers.extend(first..end);
    }
    rest.is_empty().then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(length: usize, seed: u32) -> Vec<u8> {
        let mut state = seed;
        let next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        };
        std::iter::repeat_with(next).take(length).collect()
    }

    /// Sends `new` to somebody who has `old`: what arrives, and how many bytes of it were sent as they are.
    fn sent(old: &[u8], new: &[u8]) -> (Vec<u8>, usize) {
        let usual = usual_length(new.len() as u64);
        let have: Vec<Chunk> = chunks(old, usual).map(Result::unwrap).collect();
        let sums: Vec<Sum> = have.iter().map(|chunk| chunk.sum).collect();
        let mut known = Known::default();
        for frame in tell(&[7; 32], &sums) {
            assert!(known.take(frame.keyed().unwrap().1));
        }
        let (mut arrived, mut literal, mut ended) = (Vec::new(), 0, false);
        send(&[7; 32], &mut &*new, Some((&known, usual)), &mut |frame| {
            let (key, rest) = frame.keyed().unwrap();
            assert_eq!((key, ended), ([7; 32], false));
            if frame.kind == Kind::Copy {
                for number in copied(rest).unwrap() {
                    arrived.extend_from_slice(&have[number as usize].bytes);
                }
            } else {
                ended = rest.is_empty();
                literal += rest.len();
                arrived.extend_from_slice(rest);
            }
            true
        })
        .unwrap();
        assert!(ended);
        (arrived, literal)
    }

    #[test]
    fn only_what_is_not_there_is_sent() {
        let old = noise(4 << 20, 1);
        let mut inserted = old.clone();
        inserted.splice(1_000_000..1_000_000, noise(5_000, 2));
        let mut doubled = old.clone();
        doubled.extend_from_slice(&old);
        for (new, limit) in [
            (old.clone(), 0),
            (inserted, 300 << 10),
            (doubled, 300 << 10),
            (Vec::new(), 0),
            (noise(2 << 20, 3), 2 << 20),
        ] {
            let (arrived, literal) = sent(&old, &new);
            assert!(arrived == new);
            assert!(literal <= limit, "{literal} of {}", new.len());
        }
    }

    #[test]
    fn chunks_of_what_arrived_are_those_of_the_whole() {
        let whole = noise(1 << 20, 4);
        let sums =
            |bytes: &[u8]| -> Vec<Sum> { chunks(bytes, 32 << 10).map(|chunk| chunk.unwrap().sum).collect() };
        let (all, half) = (sums(&whole), sums(&whole[..512 << 10]));
        // All but the one that was cut off.
        assert_eq!(half[..half.len() - 1], all[..half.len() - 1]);
    }

    #[test]
    fn lengths_and_numbers_are_bounded() {
        assert_eq!(usual_length(0), 32 << 10);
        assert_eq!(usual_length(1 << 30), 32 << 10);
        assert_eq!(usual_length(16 << 30), 256 << 10);
        assert_eq!(usual_length(u64::MAX / 2), 4 << 20);
        assert_eq!(copied(&[0, 0, 0, 5, 0, 0, 0, 2]), Some(vec![5, 6]));
        assert_eq!(copied(&[0, 0, 0, 5]), None);
        assert_eq!(copied(&[0, 0, 0, 5, 0xff, 0xff, 0xff, 0xff]), None);
        assert_eq!(copied(&[0, 0, 0, 5, 0x7f, 0xff, 0xff, 0xff]), None);
    }
}
