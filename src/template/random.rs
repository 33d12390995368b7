//! Python's generator of random numbers (MT19937), so that what a seed chose with Ansible (the minute of a
//! cron job from a host's name) stays chosen. It is not for secrets: see [`secret_index`].

use aws_lc_rs::{digest, rand};

const SIZE: usize = 624;
const MIDDLE: usize = 397;

/// The state of the generator.
pub(super) struct Random {
    words: Vec<u32>,
    next: usize,
}

impl Random {
    /// From the system's entropy.
    pub(super) fn new() -> Self {
        let mut seed = [0_u8; 32];
        fill(&mut seed);
        Self::from_bytes(&seed)
    }

    /// As `random.Random(text)`: the text followed by its SHA-512 digest, as one big number.
    pub(super) fn seeded(text: &str) -> Self {
        let digest = digest::digest(&digest::SHA512, text.as_bytes());
        Self::from_bytes(&[text.as_bytes(), digest.as_ref()].concat())
    }

    /// The reference implementation's `init_by_array`, of a big-endian number's 32-bit words, least first.
    fn from_bytes(bytes: &[u8]) -> Self {
        let mut key: Vec<u32> = bytes
            .rchunks(4)
            .map(|chunk| chunk.iter().fold(0, |word, byte| word << 8 | u32::from(*byte)))
            .collect();
        while key.len() > 1 && key.last() == Some(&0) {
            key.pop();
        }
        let mut words = vec![19_650_218_u32];
        for index in 1..SIZE {
            let last = words[index - 1];
            words.push(
                (last ^ last >> 30)
                    .wrapping_mul(1_812_433_253)
                    .wrapping_add(word(index)),
            );
        }
        let mut at = 1;
        let mut wrap = |words: &mut Vec<u32>, value: u32| {
            words[at] = value;
            at += 1;
            if at >= SIZE {
                words[0] = words[SIZE - 1];
                at = 1;
            }
            at
        };
        let mut index = 1;
        for turn in 0..SIZE.max(key.len()) {
            let last = words[index - 1];
            let from = turn % key.len();
            let value = (words[index] ^ (last ^ last >> 30).wrapping_mul(1_664_525))
                .wrapping_add(key[from])
                .wrapping_add(word(from));
            index = wrap(&mut words, value);
        }
        for _ in 1..SIZE {
            let last = words[index - 1];
            let value =
                (words[index] ^ (last ^ last >> 30).wrapping_mul(1_566_083_941)).wrapping_sub(word(index));
            index = wrap(&mut words, value);
        }
        words[0] = 0x8000_0000;
        Self { words, next: SIZE }
    }

    fn word(&mut self) -> u32 {
        if self.next >= SIZE {
            for index in 0..SIZE {
                let mixed = self.words[index] & 0x8000_0000 | self.words[(index + 1) % SIZE] & 0x7fff_ffff;
                let odd = if mixed & 1 == 1 { 0x9908_b0df } else { 0 };
                self.words[index] = self.words[(index + MIDDLE) % SIZE] ^ mixed >> 1 ^ odd;
            }
            self.next = 0;
        }
        let mut word = self.words[self.next];
        self.next += 1;
        word ^= word >> 11;
        word ^= word << 7 & 0x9d2c_5680;
        word ^= word << 15 & 0xefc6_0000;
        word ^ word >> 18
    }

    /// A number below `count`, which must be positive: as many bits as it needs, until they are few enough.
    pub(super) fn below(&mut self, count: usize) -> usize {
        let bits = usize::BITS - count.leading_zeros();
        loop {
            let chosen = if bits <= 32 {
                (self.word() >> (32 - bits)) as usize
            } else {
                let low = self.word() as usize;
                let high = (self.word() >> (64 - bits)) as usize;
                high << 32 | low
            };
            if chosen < count {
                return chosen;
            }
        }
    }

    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for index in (1..items.len()).rev() {
            let other = self.below(index + 1);
            items.swap(index, other);
        }
    }
}

fn word(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

fn fill(bytes: &mut [u8]) {
    if rand::fill(bytes).is_err() {
        unreachable!("the system's generator always answers once it has started");
    }
}

/// A number below `count` (positive, at most 256) that nobody can foresee: for passwords.
pub(super) fn secret_index(count: usize) -> usize {
    // The largest multiple of `count` that a byte holds: above it some numbers would be more likely.
    let limit = 256 / count * count;
    loop {
        let mut byte = [0];
        fill(&mut byte);
        if usize::from(byte[0]) < limit {
            return usize::from(byte[0]) % count;
        }
    }
}
