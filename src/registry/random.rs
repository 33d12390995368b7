//! Random bytes for what only has to be unique: ids of uploads, requests, events and spans.
//!
//! The kernel's, without aws-lc's generator, whose first byte takes some 50 ms of a processor's time: it measures
//! the processor's jitter as a second source. Keys and secrets have it.

pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system's random source answers");
    bytes
}
