//! The log file (`log_path`): what is shown, each message with its time, process, user and level.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use jiff::Zoned;

/// How grave a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Info,
    Warning,
    Error,
}

/// A file that grows.
pub struct Log {
    file: File,
    user: String,
}

impl Log {
    /// `user` is who runs this.
    pub fn open(path: &Path, user: String) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self { file, user })
    }

    /// A full disk ends the log, not the run.
    pub fn write(&mut self, level: Level, text: &str) {
        let now = Zoned::now();
        let level = match level {
            Level::Info => "INFO",
            Level::Warning => "WARNING",
            Level::Error => "ERROR",
        };
        let _ = writeln!(
            self.file,
            "{},{:03} p={} u={} n=ansible {level}| {}",
            now.strftime("%Y-%m-%d %H:%M:%S"),
            now.millisecond(),
            std::process::id(),
            self.user,
            text.trim_start_matches('\n'),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_message_says_when_and_who() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for text in ["\nPLAY [x] ***", "second"] {
            let mut log = Log::open(file.path(), "alice".to_owned()).unwrap();
            log.write(Level::Info, text);
        }
        let text = std::fs::read_to_string(file.path()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let (head, message) = lines[0].split_once("| ").unwrap();
        assert_eq!(message, "PLAY [x] ***");
        assert!(head.ends_with(" u=alice n=ansible INFO"), "{head}");
        assert_eq!(head.find(" p="), Some("2026-01-01 00:00:00,000".len()));
        assert_eq!(lines.len(), 2);
    }
}
