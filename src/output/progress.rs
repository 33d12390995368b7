//! The progress line: on a terminal, what runs now on which hosts, and since when.
//!
//! It is drawn by a thread of its own, a few times a second, below what is printed; whoever prints takes it away
//! first. It is not there while nothing runs or somebody is asked something, nor in pipes.

use std::collections::HashSet;
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use indexmap::IndexMap;
use unicode_width::UnicodeWidthChar;

use super::event::{Announced, Event, Extent};
use crate::playbook::short_name;

/// Between two drawings. What ends sooner is not shown.
const TICK: Duration = Duration::from_millis(200);

/// Back to the start of the line, and nothing on it.
const CLEAR: &str = "\r\x1b[2K";

/// So many hosts are named, the rest is counted.
const NAMED: usize = 3;

/// A handle on the line; all of its clones draw the same one.
#[derive(Clone)]
pub struct Line(Arc<Mutex<Drawn>>);

struct Drawn {
    terminal: Box<dyn Write + Send>,
    columns: fn() -> usize,
    /// Something is being printed, or the run is over.
    paused: bool,
    visible: bool,
    progress: Progress,
}

/// Where the run is.
#[derive(Default)]
struct Progress {
    /// Tasks of the play: those that have begun, and how many there are, as far as is known.
    begun: HashSet<usize>,
    tasks: usize,
    /// The newest task: its name, its hosts, and how many of them have done with it.
    task: Option<Arc<Announced>>,
    hosts: usize,
    done: usize,
    /// Hosts that work, since when.
    running: IndexMap<String, Instant>,
}

impl Line {
    /// `columns` asks the terminal how wide it is.
    pub fn new(terminal: Box<dyn Write + Send>, columns: fn() -> usize) -> Self {
        let line = Self(Arc::new(Mutex::new(Drawn {
            terminal,
            columns,
            paused: false,
            visible: false,
            progress: Progress::default(),
        })));
        let drawn = Arc::downgrade(&line.0);
        thread::spawn(move || {
            while let Some(drawn) = drawn.upgrade() {
                held(&drawn).draw();
                drop(drawn);
                thread::sleep(TICK);
            }
        });
        line
    }

    /// Takes the line away until [`resume`](Self::resume).
    pub fn hide(&self) {
        let mut drawn = held(&self.0);
        drawn.paused = true;
        drawn.clear();
    }

    pub fn resume(&self) {
        held(&self.0).paused = false;
    }

    pub fn follow(&self, event: &Event<'_>) {
        let mut drawn = held(&self.0);
        drawn.progress.follow(event);
        if drawn.progress.running.is_empty() {
            drawn.clear();
        }
    }
}

fn held(drawn: &Mutex<Drawn>) -> MutexGuard<'_, Drawn> {
    drawn.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drawn {
    fn clear(&mut self) {
        if self.visible {
            let _ = write!(self.terminal, "{CLEAR}");
            let _ = self.terminal.flush();
            self.visible = false;
        }
    }

    fn draw(&mut self) {
        if self.paused {
            return;
        }
        let Some(text) = self.progress.text(Instant::now()) else {
            return self.clear();
        };
        // A line as wide as the terminal would take two.
        let text = cut(&text, (self.columns)().saturating_sub(1));
        let _ = write!(self.terminal, "{CLEAR}{text}");
        let _ = self.terminal.flush();
        self.visible = true;
    }
}

impl Progress {
    fn follow(&mut self, event: &Event<'_>) {
        match event {
            Event::Play { tasks, .. } => {
                *self = Self {
                    tasks: *tasks,
                    ..Self::default()
                };
            }
            Event::Task { task, hosts } => {
                self.begun.insert(task.id);
                self.task = Some(Arc::clone(task));
                self.hosts = *hosts;
                self.done = 0;
            }
            Event::Started { host, .. } => {
                self.running.insert((*host).to_owned(), Instant::now());
            }
            Event::Result(report) if !matches!(report.extent, Extent::Item(_)) => {
                self.running.shift_remove(&report.label.host);
                self.done += 1;
            }
            Event::Recap(_) => *self = Self::default(),
            _ => {}
        }
    }

    /// The line; none where nothing runs, or where somebody may be asked something.
    fn text(&self, now: Instant) -> Option<String> {
        let task = self.task.as_ref()?;
        let (_, since) = self.running.first()?;
        if short_name(&task.action) == "pause" {
            return None;
        }
        let seconds = now.duration_since(*since).as_secs();
        let mut names: Vec<String> = self.running.keys().take(NAMED).cloned().collect();
        if self.running.len() > NAMED {
            names.push(format!("{} more", self.running.len() - NAMED));
        }
        let begun = self.begun.len();
        Some(format!(
            "task {begun}/{} · host {}/{} · {} · {} · {}",
            self.tasks.max(begun),
            self.done,
            self.hosts,
            clock(seconds),
            task.name,
            names.join(", ")
        ))
    }
}

fn clock(seconds: u64) -> String {
    if seconds < 60 {
        format!("{seconds}s")
    } else {
        format!("{}:{:02}", seconds / 60, seconds % 60)
    }
}

/// So much of a text as fits into this many columns, on one line.
fn cut(text: &str, columns: usize) -> String {
    let mut width = 0;
    text.chars()
        .filter(|c| !c.is_control())
        .take_while(|c| {
            width += c.width().unwrap_or(0);
            width <= columns
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress() -> Progress {
        let mut progress = Progress::default();
        progress.follow(&Event::Play {
            name: "site",
            check: false,
            tasks: 12,
        });
        let task = Arc::new(Announced {
            id: 1,
            name: "nginx : restart".to_owned(),
            action: "service".to_owned(),
            ..Announced::default()
        });
        progress.follow(&Event::Task {
            task: &task,
            hosts: 8,
        });
        for host in ["web1", "web2", "web3", "web4", "web5"] {
            progress.follow(&Event::Started { task: &task, host });
        }
        progress
    }

    #[test]
    fn it_says_what_runs_where_and_since_when() {
        let progress = progress();
        let later = Instant::now() + Duration::from_secs(75);
        assert_eq!(
            progress.text(later).unwrap(),
            "task 1/12 · host 0/8 · 1:15 · nginx : restart · web1, web2, web3, 2 more"
        );
        assert_eq!(Progress::default().text(later), None);
    }

    #[test]
    fn it_is_away_while_somebody_is_asked() {
        let mut progress = progress();
        let task = Arc::new(Announced {
            action: "ansible.builtin.pause".to_owned(),
            ..Announced::default()
        });
        progress.follow(&Event::Task {
            task: &task,
            hosts: 1,
        });
        assert_eq!(progress.text(Instant::now()), None);
    }

    #[test]
    fn it_fits_into_the_terminal() {
        assert_eq!(cut("日本\tgo", 5), "日本g");
        assert_eq!(cut("short", 80), "short");
    }
}
