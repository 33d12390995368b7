//! The output of a run: streams, colours, the log file, the progress line, as the configuration has them.

use std::io::{self, IsTerminal};

use crate::configuration::{Configuration, table};
use crate::diagnostic::Diagnostic;
use crate::output::{COLUMNS, Console, Line, Log, Output, Paint, Settings, USES};

/// What the command line says of it.
pub struct Wanted<'a> {
    pub verbosity: u8,
    pub check: bool,
    pub colour: bool,
    /// The printer of standard output.
    pub printer: Option<&'a str>,
}

/// The progress line; none where nobody would see it.
pub fn progress_line(configuration: &Configuration) -> Option<Line> {
    let seen = io::stdout().is_terminal() && io::stderr().is_terminal();
    let dumb = std::env::var("TERM").is_ok_and(|terminal| terminal == "dumb");
    let wanted = seen && !dumb && configuration.truth(&table::PROGRESS_LINE);
    wanted.then(|| Line::new(Box::new(io::stderr()), || columns().unwrap_or(COLUMNS)))
}

pub fn output(
    configuration: &Configuration,
    wanted: &Wanted<'_>,
    line: Option<Line>,
) -> Result<Output, Diagnostic> {
    let mut paint = Paint::new(wanted.colour);
    for (usage, _) in USES {
        let setting = table::named(&format!("COLOR_{}", usage.to_uppercase()));
        let name = setting.and_then(|setting| configuration.text(setting));
        if let Some(name) = name
            && !paint.replace(usage, name)
        {
            return Err(Diagnostic::error(format!("there is no colour `{name}`"))
                .hint("colours are `red`, `bright red`, ..., `color0` to `color255`, `rgb000` to `rgb555`, `gray0` to `gray23`"));
        }
    }
    let mut console = Console::new(Box::new(io::stdout()), Box::new(io::stderr()), paint);
    if let Some(columns) = columns() {
        console.set_columns(columns);
    }
    if let Some(line) = line {
        console.set_line(line);
    }
    console.set_deprecations(configuration.truth(&table::DEPRECATION_WARNINGS));
    if let Some(path) = configuration.path(&table::DEFAULT_LOG_PATH) {
        match Log::open(&path, user()) {
            Ok(log) => console.set_log(log),
            Err(error) => console.warn(&format!("cannot write the log {}: {error}", path.display())),
        }
    }
    let settings = Settings::new(configuration, wanted.verbosity, wanted.check);
    Output::new(console, settings, configuration, wanted.printer)
}

/// The width of the terminal that standard output is.
fn columns() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

/// Who runs this.
fn user() -> String {
    let named = ["LOGNAME", "USER"]
        .iter()
        .find_map(|name| std::env::var(name).ok());
    named.unwrap_or_else(|| rustix::process::getuid().as_raw().to_string())
}
