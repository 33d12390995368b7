//! How long the run took.

use std::time::Instant;

use super::Printer;
use super::console::Console;
use super::event::Event;

pub struct Timer {
    start: Instant,
}

impl Timer {
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
        }
    }
}

impl Printer for Timer {
    fn show(&mut self, event: &Event<'_>, console: &mut Console) {
        if matches!(event, Event::Recap(_)) {
            console.show(&spelled(self.start.elapsed().as_secs()), None);
        }
    }
}

fn spelled(seconds: u64) -> String {
    format!(
        "Playbook run took {} days, {} hours, {} minutes, {} seconds",
        seconds / 86400,
        seconds / 3600 % 24,
        seconds / 60 % 60,
        seconds % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_spelled_out() {
        assert_eq!(
            spelled(2 * 86400 + 3 * 3600 + 59),
            "Playbook run took 2 days, 3 hours, 0 minutes, 59 seconds"
        );
    }
}
