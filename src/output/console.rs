//! Where text goes: results to one stream, warnings and errors to the other, all of it to the log file too.
//!
//! It knows nothing of events. The progress line is taken away before anything is written, and comes again after.

use std::collections::HashSet;
use std::io::Write;

use unicode_width::UnicodeWidthStr;

use super::colour::{Colour, Paint};
use super::log::{Level, Log};
use super::progress::Line;

/// A banner's text and its stars have this many columns together where there is no terminal.
pub const COLUMNS: usize = 79;

/// Which stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    Out,
    Err,
}

/// Both streams, and how to write to them.
pub struct Console {
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
    paint: Paint,
    /// Columns of a banner.
    columns: usize,
    log: Option<Log>,
    line: Option<Line>,
    /// Warnings and errors are said once.
    said: HashSet<String>,
    /// Whether warnings that something will go are said at all.
    deprecations: bool,
}

impl Console {
    pub fn new(out: Box<dyn Write + Send>, err: Box<dyn Write + Send>, paint: Paint) -> Self {
        Self {
            out,
            err,
            paint,
            columns: COLUMNS,
            log: None,
            line: None,
            said: HashSet::new(),
            deprecations: true,
        }
    }

    /// The terminal that results go to has this many columns.
    pub fn set_columns(&mut self, columns: usize) {
        self.columns = columns.saturating_sub(1).max(COLUMNS);
    }

    pub fn set_log(&mut self, log: Log) {
        self.log = Some(log);
    }

    pub fn set_deprecations(&mut self, said: bool) {
        self.deprecations = said;
    }

    pub fn set_line(&mut self, line: Line) {
        self.line = Some(line);
    }

    /// The progress line, if there is one.
    pub fn line(&self) -> Option<&Line> {
        self.line.as_ref()
    }

    pub fn paint(&self, text: &str, colour: Colour) -> String {
        self.paint.paint(text, colour)
    }

    pub fn painter(&self) -> &Paint {
        &self.paint
    }

    /// A text of whole lines; it ends with one newline, whether it has it or not.
    pub fn show(&mut self, text: &str, colour: Option<Colour>) {
        self.show_on(Stream::Out, text, colour);
    }

    pub fn show_on(&mut self, stream: Stream, text: &str, colour: Option<Colour>) {
        self.write(stream, text, colour);
        self.log(Level::Info, text);
    }

    /// A text of which the log has another version, or none.
    pub fn show_on_screen(&mut self, text: &str, colour: Option<Colour>) {
        self.write(Stream::Out, text, colour);
    }

    pub fn log(&mut self, level: Level, text: &str) {
        if let Some(log) = &mut self.log {
            log.write(level, text);
        }
    }

    /// Stars after a text, in a line of their own.
    pub fn banner(&mut self, text: &str) {
        let text = text.trim();
        let stars = self.columns.saturating_sub(text.width()).max(3);
        self.show(&format!("\n{text} {}", "*".repeat(stars)), None);
    }

    /// `[WARNING]: ...`, once.
    pub fn warn(&mut self, text: &str) {
        self.say_once(
            Stream::Err,
            &format!("[WARNING]: {text}"),
            Colour::Warning,
            Level::Warning,
        );
    }

    /// `[DEPRECATION WARNING]: ...`, once.
    pub fn deprecate(&mut self, text: &str) {
        if !self.deprecations {
            return;
        }
        self.warn(
            "Deprecation warnings can be disabled by setting `deprecation_warnings=False` in ansible.cfg.",
        );
        let text = format!("[DEPRECATION WARNING]: {text}");
        self.say_once(Stream::Err, &text, Colour::Deprecated, Level::Info);
    }

    /// `[ERROR]: ...`, once.
    pub fn error(&mut self, stream: Stream, text: &str) {
        self.say_once(stream, &format!("[ERROR]: {text}"), Colour::Error, Level::Error);
    }

    fn say_once(&mut self, stream: Stream, text: &str, colour: Colour, level: Level) {
        if self.said.insert(text.to_owned()) {
            self.write(stream, text, Some(colour));
            self.log(level, text);
        }
    }

    /// A closed pipe ends the output, not the run.
    fn write(&mut self, stream: Stream, text: &str, colour: Option<Colour>) {
        let text = text.replace("\r\n", "\n");
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let text = match colour {
            Some(colour) => self.paint.paint(text, colour),
            None => text.to_owned(),
        };
        if let Some(line) = &self.line {
            line.hide();
        }
        let writer = match stream {
            Stream::Out => &mut self.out,
            Stream::Err => &mut self.err,
        };
        let _ = writeln!(writer, "{text}");
        if stream == Stream::Out && self.line.is_some() {
            // What the line is drawn below must be there before it.
            let _ = self.out.flush();
        }
        if let Some(line) = &self.line {
            line.resume();
        }
    }

    pub fn flush(&mut self) {
        let _ = self.out.flush();
        let _ = self.err.flush();
    }
}

#[cfg(test)]
pub mod testing {
    //! A console whose text can be read.

    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use super::Console;
    use crate::output::colour::Paint;

    /// What was written to one stream.
    #[derive(Clone, Default)]
    pub struct Written(Arc<Mutex<Vec<u8>>>);

    impl Written {
        pub fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A console without colours, and its two streams.
    pub fn console() -> (Console, Written, Written) {
        let (out, err) = (Written::default(), Written::default());
        let console = Console::new(Box::new(out.clone()), Box::new(err.clone()), Paint::new(false));
        (console, out, err)
    }
}

#[cfg(test)]
mod tests {
    use super::testing::console;
    use super::*;

    #[test]
    fn banners_fill_the_line() {
        let (mut console, out, _) = console();
        console.banner("PLAY [x]");
        console.set_columns(100);
        console.banner("TASK [日本]");
        let text = out.text();
        let widths: Vec<usize> = text.lines().map(UnicodeWidthStr::width).collect();
        assert_eq!(widths, [0, 80, 0, 100]);
    }

    #[test]
    fn a_warning_is_said_once() {
        let (mut console, _, err) = console();
        console.warn("x");
        console.warn("x");
        console.error(Stream::Err, "two\nlines\n\n");
        console.error(Stream::Err, "two\nlines\n\n");
        assert_eq!(err.text(), "[WARNING]: x\n[ERROR]: two\nlines\n\n");
    }

    #[test]
    fn a_text_ends_with_one_newline() {
        let (mut console, out, _) = console();
        console.show("a", None);
        console.show("b\r\n", None);
        console.show("", None);
        console.show("\n", None);
        assert_eq!(out.text(), "a\nb\n\n\n");
    }
}
