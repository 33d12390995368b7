//! The argument `attributes`: a file's flags, as chattr(1) and lsattr(1) spell them.

use std::path::Path;

use crate::modules::Error;
use crate::modules::files::steps::Step;
use crate::system::{Command, Follow, System};

/// What sets the wanted flags, if they are not set. The path may be one that is still to be made.
pub fn step(wanted: Option<&str>, path: &Path, system: &dyn System) -> Result<Option<Step>, Error> {
    let Some(wanted) = wanted.filter(|wanted| !wanted.is_empty()) else {
        return Ok(None);
    };
    let (operation, flags) = match wanted.split_at_checked(1) {
        Some((operation @ ("+" | "-" | "="), flags)) => (operation, flags),
        _ => ("=", wanted),
    };
    let now = current(path, system)?;
    let has = |flag: char| now.contains(flag);
    let done = match operation {
        "+" => flags.chars().all(has),
        "-" => !flags.chars().any(has),
        _ => flags.chars().all(has) && now.chars().all(|flag| flags.contains(flag)),
    };
    Ok((!done).then(|| Step::Flags(path.to_owned(), format!("{operation}{flags}"))))
}

/// The flags that are set; none where the file system has no such thing.
fn current(path: &Path, system: &dyn System) -> Result<String, Error> {
    if system.metadata(path, Follow::No)?.is_none() || system.which("lsattr").is_none() {
        return Ok(String::new());
    }
    let output = system.run(&Command::new(["lsattr", "-d", &path.display().to_string()]))?;
    let text = output.stdout_text();
    let flags = text.split_whitespace().next().unwrap_or_default();
    Ok(flags.chars().filter(|flag| *flag != '-').collect())
}

pub fn set(path: &Path, change: &str, system: &dyn System) -> Result<(), Error> {
    if system.is_acting() {
        return Ok(());
    }
    let name = path.display().to_string();
    // The program follows whatever leads there.
    let there = match (path.parent(), path.file_name()) {
        (Some(folder), Some(file)) => system.canonicalize(folder)?.join(file),
        _ => path.to_owned(),
    };
    let output = system.run(&Command::new(["chattr", change, &there.display().to_string()]))?;
    if output.success() {
        return Ok(());
    }
    Err(Error::new("chattr failed")
        .with("details", output.stderr_text().trim())
        .with("path", name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::fake::Fake;

    #[test]
    fn only_what_is_missing_is_set() {
        let fake = Fake::new();
        fake.file("/f", "").program("/usr/bin/lsattr");
        fake.answer("lsattr -d /f", 0, "----i---------e------- /f\n");
        for (wanted, change) in [
            ("+i", None),
            ("+ia", Some("+ia")),
            ("-a", None),
            ("-i", Some("-i")),
            ("ie", None),
            ("=i", Some("=i")),
        ] {
            let step = step(Some(wanted), Path::new("/f"), &fake).unwrap();
            let told = match step {
                Some(Step::Flags(_, change)) => Some(change),
                _ => None,
            };
            assert_eq!(told.as_deref(), change, "{wanted}");
        }
    }
}
