//! What is shown of a run: the executor says what happened ([`Event`]), a printer shows it.
//!
//! A printer is one file and one variant of [`Format`]. [`human`] prints what Ansible's default callback
//! prints, since people and their scripts read it.

mod censor;
mod colour;
pub mod diff;
mod event;
pub mod human;

pub use self::censor::censored;
pub use self::colour::{Colour, Paint};
pub use self::event::{Event, JobState, Label, Report, State, Stats};

/// The printers that can be chosen, and what they print.
pub fn documentation() -> impl Iterator<Item = (&'static str, &'static str)> {
    [("default", "what `ansible-playbook` prints")].into_iter()
}

/// Shows events.
pub trait Printer: Send {
    fn show(&mut self, event: &Event<'_>);
}
