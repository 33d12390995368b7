//! A verb's end: the running server does the work, or this process does.

use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;

use super::message::{Event, Request};
use super::perform::Workplace;
use super::server::reachable;
use super::told::By;
use super::{ControlError, Lock, LockError, SOCKET, need_folder, own_folder};
use crate::registry::access::audit::{Audit, AuditConfig};
use crate::registry::content::Registry;
use crate::registry::storage::Filesystem;

/// How long a verb waits for a server that holds the folder and does not listen, and how often it looks.
const PATIENCE: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(50);

/// A request on its way: where, what, and what to do with what comes back in between.
pub struct Asked<'a> {
    pub root: &'a Path,
    pub request: &'a Request,
    /// Where this process writes down what it does itself.
    pub audit: &'a AuditConfig,
    /// Sent behind the request.
    pub content: Option<Box<dyn Read + Send + 'a>>,
    pub on_event: &'a mut (dyn FnMut(&Event) + Send),
}

/// Has the work done by the server that runs on the folder, or else by this process.
pub fn ask<T: DeserializeOwned>(mut asked: Asked<'_>) -> Result<T, ControlError> {
    need_folder(asked.root)?;
    let began = Instant::now();
    let end = loop {
        match reachable(asked.root, |path| UnixStream::connect(path)) {
            Ok(stream) => break asked.of_server(&stream)?,
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
                ) => {}
            Err(source) => {
                return Err(ControlError::Server {
                    path: asked.socket(),
                    source,
                });
            }
        }
        match asked.here() {
            // A server that is just starting does not listen yet, and one that drains listens no longer.
            Err(ControlError::Lock(LockError::Held { .. })) if began.elapsed() < PATIENCE => {
                std::thread::sleep(LOOK);
            }
            end => break end?,
        }
    };
    match end {
        Some(Event::Done { result }) => Ok(serde_json::from_value(result)?),
        Some(Event::Failed { message }) => Err(ControlError::Failed(message)),
        _ => Err(ControlError::Cut { path: asked.socket() }),
    }
}

impl Asked<'_> {
    fn socket(&self) -> PathBuf {
        own_folder(self.root).join(SOCKET)
    }

    fn of_server(&mut self, stream: &UnixStream) -> Result<Option<Event>, ControlError> {
        let path = self.socket();
        let failed = |source| ControlError::Server {
            path: path.clone(),
            source,
        };
        let mut line = serde_json::to_vec(self.request)?;
        line.push(b'\n');
        let mut writer = stream;
        writer.write_all(&line).map_err(failed)?;
        let content = self.content.take();
        let on_event = &mut self.on_event;
        std::thread::scope(|scope| {
            let sender = scope.spawn(move || {
                let mut writer = stream;
                let sent = match content {
                    Some(mut content) => io::copy(&mut content, &mut writer).map(drop),
                    None => Ok(()),
                };
                // Also when reading it has failed: the server must not wait for the rest.
                let _ = stream.shutdown(Shutdown::Write);
                sent
            });
            let mut end = None;
            for line in BufReader::new(stream).lines() {
                let event: Event = serde_json::from_str(&line.map_err(failed)?)?;
                if matches!(event, Event::Done { .. } | Event::Failed { .. }) {
                    end = Some(event);
                    break;
                }
                on_event(&event);
            }
            // A server that has failed has taken no more of it, which is no error of its own.
            match sender.join() {
                Ok(Err(source)) if matches!(end, Some(Event::Done { .. })) => Err(failed(source)),
                _ => Ok(end),
            }
        })
    }

    fn here(&mut self) -> Result<Option<Event>, ControlError> {
        let _lock = Lock::take(
            self.root,
            &format!("{} of regdeploy-registry", self.request.name()),
        )?;
        let storage = Filesystem::new(self.root).map_err(|source| ControlError::Storage {
            path: self.root.to_owned(),
            source,
        })?;
        // A log of a server has no place to go to where there is none.
        let audit = match self.audit.file {
            Some(_) => Audit::open(self.audit)?,
            None => Audit::default(),
        };
        let registry = Arc::new(Registry::new(Arc::new(storage)));
        let workplace = Workplace::new(registry, self.root, Arc::new(audit), None);
        let mut content = self.content.take().unwrap_or_else(|| Box::new(io::empty()));
        let mut end = None;
        let on_event = &mut self.on_event;
        workplace.perform(self.request, &By::this_process(), &mut content, &mut |event| {
            if matches!(event, Event::Done { .. } | Event::Failed { .. }) {
                end = Some(event);
            } else {
                on_event(&event);
            }
            true
        });
        Ok(end)
    }
}
