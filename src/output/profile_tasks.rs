//! How long each task took: a line below its heading, and the slowest of them at the end.

use std::time::{Duration, Instant};

use jiff::Zoned;
use unicode_width::UnicodeWidthStr;

use super::Printer;
use super::console::Console;
use super::event::{Announced, Event};
use super::settings::Settings;
use crate::configuration::Configuration;
use crate::configuration::table::{
    PROFILE_TASKS_OUTPUT_LIMIT, PROFILE_TASKS_SORT_ORDER, PROFILE_TASKS_SUMMARY_ONLY,
};

/// Columns of its lines, whatever the terminal.
const WIDTH: usize = 79;

/// How the list at the end is sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Descending,
    Ascending,
    AsRun,
}

pub struct ProfileTasks {
    start: Instant,
    /// When the last line was printed.
    last: Instant,
    order: Order,
    limit: usize,
    summary_only: bool,
    paths: bool,
    /// The task that runs, and since when.
    current: Option<(usize, Instant)>,
    tasks: Vec<Timed>,
}

struct Timed {
    id: usize,
    name: String,
    place: String,
    took: Duration,
}

impl ProfileTasks {
    pub fn new(configuration: &Configuration, settings: &Settings) -> Self {
        let order = match configuration.text(&PROFILE_TASKS_SORT_ORDER) {
            Some("ascending") => Order::Ascending,
            Some("none") => Order::AsRun,
            _ => Order::Descending,
        };
        let limit = configuration.text(&PROFILE_TASKS_OUTPUT_LIMIT).unwrap_or("all");
        let now = Instant::now();
        Self {
            start: now,
            last: now,
            order,
            limit: limit.parse().unwrap_or(usize::MAX),
            summary_only: configuration.truth(&PROFILE_TASKS_SUMMARY_ONLY),
            paths: settings.verbosity >= 2,
            current: None,
            tasks: Vec::new(),
        }
    }

    fn time(&mut self, console: &mut Console) {
        let text = format!(
            "{} ({}){}{}",
            Zoned::now().strftime("%A %d %B %Y  %H:%M:%S %z"),
            clock(self.last.elapsed()),
            " ".repeat(7),
            clock(self.start.elapsed())
        );
        self.last = Instant::now();
        if !self.summary_only {
            console.show(&filled(&text, "*"), None);
        }
    }

    fn finish(&mut self) {
        if let Some((index, since)) = self.current.take() {
            self.tasks[index].took += since.elapsed();
        }
    }

    fn begin(&mut self, task: &Announced, console: &mut Console) {
        self.time(console);
        self.finish();
        let known = self.tasks.iter().position(|timed| timed.id == task.id);
        let index = known.unwrap_or_else(|| {
            self.tasks.push(Timed {
                id: task.id,
                name: task.name.clone(),
                place: task.place.clone(),
                took: Duration::ZERO,
            });
            self.tasks.len() - 1
        });
        self.current = Some((index, Instant::now()));
    }

    fn list(&mut self, console: &mut Console) {
        self.time(console);
        console.show(&filled("", "="), None);
        self.finish();
        match self.order {
            Order::Descending => self.tasks.sort_by_key(|task| std::cmp::Reverse(task.took)),
            Order::Ascending => self.tasks.sort_by_key(|task| task.took),
            Order::AsRun => {}
        }
        for task in self.tasks.iter().take(self.limit) {
            let time = format!(" {:.2}s", task.took.as_secs_f64());
            let name = dashed(&task.name, WIDTH - 9);
            console.show(&format!("{name}{time:->9}"), None);
            if self.paths && !task.place.is_empty() {
                console.show(&dashed(&task.place, WIDTH), None);
            }
        }
    }
}

impl Printer for ProfileTasks {
    fn show(&mut self, event: &Event<'_>, console: &mut Console) {
        match event {
            Event::Task { task, .. } => self.begin(task, console),
            Event::Recap(_) => self.list(console),
            _ => {}
        }
    }
}

/// A text and dashes up to a width.
fn dashed(text: &str, width: usize) -> String {
    let dashes = width.saturating_sub(text.width() + 1);
    format!("{text} {}", "-".repeat(dashes))
}

/// A text and stars, or whatever, up to the width.
fn filled(text: &str, with: &str) -> String {
    if text.is_empty() {
        return format!("{} ", with.repeat(WIDTH));
    }
    let rest = WIDTH.saturating_sub(text.len() + 1).max(3);
    format!("{text} {} ", with.repeat(rest))
}

fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    format!(
        "{}:{:02}:{:02}.{:03}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60,
        time.subsec_millis()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::console::testing::console;
    use crate::output::event::Summary;
    use std::sync::Arc;

    #[test]
    fn tasks_are_listed_by_their_time() {
        let (mut console, out, _) = console();
        let settings = Settings {
            verbosity: 2,
            ..Settings::default()
        };
        let mut printer = ProfileTasks::new(&Configuration::default(), &settings);
        let task = |id: usize, name: &str| {
            Arc::new(Announced {
                id,
                name: name.to_owned(),
                place: format!("/site.yml:{id}"),
                ..Announced::default()
            })
        };
        printer.show(
            &Event::Task {
                task: &task(1, "quick"),
                hosts: 1,
            },
            &mut console,
        );
        printer.show(
            &Event::Task {
                task: &task(2, "slow"),
                hosts: 1,
            },
            &mut console,
        );
        printer.tasks[1].took = Duration::from_secs(3);
        printer.show(
            &Event::Task {
                task: &task(1, "quick"),
                hosts: 1,
            },
            &mut console,
        );
        printer.show(&Event::Recap(&Summary::default()), &mut console);
        let text = out.text();
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            lines[0].contains(" (0:00:00.0") && lines[0].ends_with("*** "),
            "{text}"
        );
        assert_eq!(lines[4], format!("{} ", "=".repeat(79)));
        assert_eq!(lines[5], format!("slow {}- 3.00s", "-".repeat(67)));
        assert_eq!(lines[6], format!("/site.yml:2 {}", "-".repeat(67)));
        assert!(lines[7].starts_with("quick ---"), "{text}");
        assert_eq!(lines.len(), 9);
    }
}
