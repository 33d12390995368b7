//! How far a verb is: a line that is rewritten on a terminal, now and then a line elsewhere. On standard error.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often a line is written where nobody watches.
const LINE: Duration = Duration::from_secs(10);

pub struct Progress {
    bar: Option<ProgressBar>,
    phase: String,
    /// Of the last line, where there is no bar.
    told: Instant,
}

impl Progress {
    pub fn new() -> Self {
        let bar = std::io::stderr()
            .is_terminal()
            .then(|| ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()));
        Self {
            bar,
            phase: String::new(),
            told: Instant::now(),
        }
    }

    pub fn show(&mut self, phase: &str, done: u64, total: Option<u64>) {
        let fresh = self.phase != phase;
        if fresh {
            phase.clone_into(&mut self.phase);
        }
        let Some(bar) = &self.bar else {
            // What is over at once is not worth a line.
            if self.told.elapsed() > LINE {
                self.told = Instant::now();
                match total {
                    Some(total) => eprintln!("{phase}: {done} of {total}"),
                    None => eprintln!("{phase}: {done}"),
                }
            }
            return;
        };
        if fresh {
            let template = if total.is_some() {
                "{prefix} [{bar:40}] {pos}/{len} {eta}"
            } else {
                "{spinner} {prefix} {pos} ({elapsed})"
            };
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.set_prefix(phase.to_owned());
        }
        if let Some(total) = total {
            bar.set_length(total);
        }
        bar.set_position(done);
    }

    /// Runs what prints, with the bar out of its way.
    pub fn aside(&self, print: impl FnOnce()) {
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
