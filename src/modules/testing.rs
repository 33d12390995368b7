//! How modules are tested: arguments as a playbook would give them, on a [`Fake`].

use std::cell::RefCell;

use super::{AnyModule, Mode, Module, entry};
use crate::system::fake::Fake;
use crate::system::would_be::{State, WouldBe};
use crate::value::Map;
use crate::wire::message::Outcome;

const CHECK: Mode = Mode {
    check: true,
    diff: true,
};
const APPLY: Mode = Mode {
    check: false,
    diff: true,
};

fn run_in<M: Module + 'static>(fake: &Fake, arguments: &str, mode: Mode) -> Outcome {
    let given: Map = serde_json::from_str(arguments).expect("the test's arguments are JSON");
    match M::SPEC.resolve(&given) {
        Ok(arguments) => entry::<M>().run(&arguments, mode, fake),
        Err(error) => Outcome::failed(error.message),
    }
}

/// Runs a module for real.
pub fn run<M: Module + 'static>(fake: &Fake, arguments: &str) -> Outcome {
    run_in::<M>(fake, arguments, APPLY)
}

/// Runs a module in check mode.
pub fn check<M: Module + 'static>(fake: &Fake, arguments: &str) -> Outcome {
    let before = fake.listing();
    let outcome = run_in::<M>(fake, arguments, CHECK);
    assert_eq!(fake.listing(), before, "check mode touches nothing");
    outcome
}

/// A check of several tasks, each on what those before it would have left.
pub struct Check<'a> {
    fake: &'a Fake,
    state: RefCell<State>,
}

impl<'a> Check<'a> {
    pub fn new(fake: &'a Fake) -> Self {
        Self {
            fake,
            state: RefCell::default(),
        }
    }

    pub fn would_be(&self) -> WouldBe<'_> {
        WouldBe::new(self.fake, &self.state)
    }

    /// The outcome of a task that is predicted, or with `check_mode: false`.
    fn play<M: Module + 'static>(&self, arguments: &str, really: bool) -> Outcome {
        let given: Map = serde_json::from_str(arguments).expect("the test's arguments are JSON");
        let arguments = match M::SPEC.resolve(&given) {
            Ok(arguments) => arguments,
            Err(error) => return Outcome::failed(error.message),
        };
        if really {
            entry::<M>().run_amid(&arguments, true, &self.would_be())
        } else {
            entry::<M>().predict(&arguments, true, &self.would_be())
        }
    }

    pub fn predict<M: Module + 'static>(&self, arguments: &str) -> Outcome {
        let before = self.fake.listing();
        let outcome = self.play::<M>(arguments, false);
        assert_eq!(self.fake.listing(), before, "a prediction touches nothing");
        outcome
    }

    pub fn run<M: Module + 'static>(&self, arguments: &str) -> Outcome {
        self.play::<M>(arguments, true)
    }
}

/// Check, apply, apply again: the first two say the same, the third that there is nothing to do. Returns
/// the second.
pub fn check_agrees<M: Module + 'static>(fake: &Fake, arguments: &str) -> Outcome {
    let predicted = check::<M>(fake, arguments);
    let outcome = run::<M>(fake, arguments);
    assert!(!outcome.failed, "{outcome:?}");
    assert!(predicted.changed && outcome.changed, "{predicted:?}\n{outcome:?}");
    assert_eq!(predicted.diff, outcome.diff, "the diff is the predicted one");
    let again = run::<M>(fake, arguments);
    assert!(
        !again.changed && !again.failed,
        "a second run has nothing to do: {again:?}"
    );
    outcome
}

/// The message of what has to fail, having touched nothing.
pub fn failure<M: Module + 'static>(fake: &Fake, arguments: &str) -> String {
    let before = fake.listing();
    let outcome = run::<M>(fake, arguments);
    assert!(outcome.failed, "{outcome:?}");
    assert_eq!(fake.listing(), before, "a refusal touches nothing");
    outcome.message().unwrap_or_default().to_owned()
}
