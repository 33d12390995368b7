//! Cases that are made rather than written: what they combine is too much to write down. Each maker has a seed of its own, so
//! that the cases are the same every time, and the answers of ansible-core can be kept.

mod blocks;
mod literals;
mod loops;
mod patterns;
mod precedence;
mod tags;

use super::scenario::Scenario;

pub fn all() -> Vec<Scenario> {
    [
        precedence::all(),
        literals::all(),
        patterns::all(),
        tags::all(),
        loops::all(),
        blocks::all(),
    ]
    .into_iter()
    .flatten()
    .map(Scenario::complete)
    .collect()
}

/// Numbers that look random and are the same in every run: `SplitMix64`.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Less than this.
    fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).expect("a small number");
        usize::try_from(self.roll() % bound).expect("a small number")
    }

    /// Once in so many times.
    fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// So many of them, each once, in their order.
    fn pick_some<T: Copy>(&mut self, count: usize, from: &[T]) -> Vec<T> {
        let mut rest: Vec<usize> = (0..from.len()).collect();
        let mut chosen: Vec<usize> = (0..count)
            .map(|_| rest.swap_remove(self.below(rest.len())))
            .collect();
        chosen.sort_unstable();
        chosen.into_iter().map(|index| from[index]).collect()
    }
}

/// A file of a scenario.
fn file(path: &str, text: impl Into<String>) -> (String, String) {
    (path.to_owned(), text.into())
}

/// Moves every line in.
fn indented(text: &str, columns: usize) -> String {
    text.lines()
        .map(|line| format!("{:columns$}{line}\n", ""))
        .collect()
}

#[test]
fn scenarios_are_the_same_every_time() {
    let text = || -> Vec<String> { all().iter().map(|scenario| format!("{scenario:?}")).collect() };
    assert_eq!(text(), text());
}
