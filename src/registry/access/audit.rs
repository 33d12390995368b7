//! The audit log: who changed what, who was kept from it, who got a token. One JSON object a line.
//!
//! It goes to a file of its own, or into the server's log. A line is written before the answer goes out, and
//! holds no secret: names, addresses, what was asked and what came of it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

/// Readable by the owner's group, as logs are.
const MODE: u32 = 0o640;
/// Names that clients invent are cut: lines stay lines.
const MAX_TEXT: usize = 300;

/// Whether there is an audit log, and where.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditConfig {
    pub enabled: bool,
    /// Without it, lines go to the server's log.
    pub file: Option<PathBuf>,
}

/// What is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Happening {
    Push,
    Delete,
    Mount,
    LoginFailed,
    Denied,
    Token,
    Administration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    Done,
    Denied,
    Failed,
}

/// One line. What is not known is left out.
#[derive(Debug, Clone, Serialize)]
pub struct Line<'a> {
    pub event: Happening,
    pub outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<&'a str>,
    /// How the user was proved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proof: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<&'a str>,
    /// A tag or digest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<&'a str>,
    /// What it was decided by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<&'a str>,
}

impl Line<'_> {
    pub fn new(event: Happening, outcome: Outcome) -> Self {
        Self {
            event,
            outcome,
            status: None,
            user: None,
            proof: None,
            address: None,
            action: None,
            repository: None,
            reference: None,
            rule: None,
            reason: None,
            request: None,
        }
    }
}

/// Why the audit log cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("open the audit log {path}: {source}")]
pub struct AuditError {
    path: PathBuf,
    source: io::Error,
}

#[derive(Default)]
pub struct Audit {
    sink: Mutex<Sink>,
}

#[derive(Default)]
enum Sink {
    #[default]
    Nowhere,
    Log,
    File(PathBuf, File),
}

impl Audit {
    pub fn open(config: &AuditConfig) -> Result<Self, AuditError> {
        let audit = Self::default();
        audit.reopen(config)?;
        Ok(audit)
    }

    /// Takes another configuration over, and a file anew that was rotated.
    pub fn reopen(&self, config: &AuditConfig) -> Result<(), AuditError> {
        let sink = match &config.file {
            _ if !config.enabled => Sink::Nowhere,
            None => Sink::Log,
            Some(path) => Sink::File(
                path.clone(),
                append(path).map_err(|source| AuditError {
                    path: path.clone(),
                    source,
                })?,
            ),
        };
        *self.sink.lock().unwrap_or_else(PoisonError::into_inner) = sink;
        Ok(())
    }

    pub fn tell(&self, mut line: Line<'_>) {
        #[derive(Serialize)]
        struct Dated<'a, 'b> {
            time: String,
            #[serde(flatten)]
            line: &'b Line<'a>,
        }
        let mut sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*sink, Sink::Nowhere) {
            return;
        }
        line.user = line.user.map(cut);
        line.reason = line.reason.map(|reason| cut(&reason).to_owned());
        let dated = Dated {
            time: jiff::Timestamp::now().to_string(),
            line: &line,
        };
        let Ok(mut text) = serde_json::to_string(&dated) else {
            return;
        };
        match &mut *sink {
            Sink::Nowhere => {}
            Sink::Log => tracing::info!(target: "regdeploy::audit", "{text}"),
            Sink::File(path, file) => {
                text.push('\n');
                if let Err(error) = rotated(path, file).and_then(|()| file.write_all(text.as_bytes())) {
                    tracing::error!(
                        "write the audit log {}: {error}; the line was {text}",
                        path.display()
                    );
                }
            }
        }
    }
}

/// Goes on in a new file where the old one was renamed.
fn rotated(path: &Path, file: &mut File) -> io::Result<()> {
    let held = file.metadata()?;
    let same =
        std::fs::metadata(path).is_ok_and(|there| (there.dev(), there.ino()) == (held.dev(), held.ino()));
    if !same {
        *file = append(path)?;
    }
    Ok(())
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(MODE).open(path)
}

fn cut(text: &str) -> &str {
    let end = text
        .char_indices()
        .nth(MAX_TEXT)
        .map_or(text.len(), |(end, _)| end);
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_json_and_follow_a_rotation() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        let config = AuditConfig {
            enabled: true,
            file: Some(path.clone()),
        };
        let audit = Audit::open(&config).unwrap();
        let long = "x\n".repeat(10_000);
        audit.tell(Line {
            user: Some(&long),
            status: Some(201),
            address: Some("192.0.2.1".parse().unwrap()),
            ..Line::new(Happening::Push, Outcome::Done)
        });
        std::fs::rename(&path, folder.path().join("audit.log.1")).unwrap();
        audit.tell(Line::new(Happening::LoginFailed, Outcome::Denied));
        let read = |name: &str| {
            let text = std::fs::read_to_string(folder.path().join(name)).unwrap();
            assert_eq!(text.lines().count(), 1, "{text}");
            serde_json::from_str::<serde_json::Value>(&text).unwrap()
        };
        let first = read("audit.log.1");
        assert_eq!(
            (&first["event"], &first["address"]),
            (&"push".into(), &"192.0.2.1".into())
        );
        assert_eq!(first["user"].as_str().unwrap().len(), MAX_TEXT);
        assert!(first.get("repository").is_none(), "{first}");
        assert_eq!(read("audit.log")["event"], "login-failed");

        audit.reopen(&AuditConfig::default()).unwrap();
        audit.tell(Line::new(Happening::Denied, Outcome::Denied));
        assert_eq!(read("audit.log")["event"], "login-failed");
        let nowhere = AuditConfig {
            enabled: true,
            file: Some("/nowhere/audit.log".into()),
        };
        assert!(
            audit
                .reopen(&nowhere)
                .unwrap_err()
                .to_string()
                .starts_with("open the audit log /nowhere")
        );
    }
}
