//! The running server's end of the socket.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::message::{Event, MAX_LINE, Request};
use super::perform::Workplace;
use super::told::By;
use super::{SOCKET, own_folder};

/// Verbs at once: each has a thread.
const AT_ONCE: usize = 4;
/// How long a client may take to take a line.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often one who waits for a client looks whether the server ends.
const LOOK: Duration = Duration::from_millis(500);

/// Answers verbs until dropped.
pub async fn serve(root: PathBuf, workplace: Arc<Workplace>) {
    let listener = match listen(&root) {
        Ok(listener) => listener,
        Err(error) => {
            // A folder that is only read is served all the same.
            tracing::warn!(%error, root = %root.display(), "no control socket: verbs cannot reach this server");
            return;
        }
    };
    let room = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        let accepted = listener.accept().await.and_then(|(stream, _)| {
            let user = stream.peer_cred().ok().map(|peer| peer.uid());
            Ok((stream.into_std()?, By::socket(user)))
        });
        let (stream, by) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "accepting a verb failed");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let workplace = Arc::clone(&workplace);
        tokio::task::spawn_blocking(move || {
            if let Err(error) = answer(&stream, &by, &workplace) {
                tracing::debug!(%error, "a verb broke off");
            }
            drop(permit);
        });
    }
}

fn listen(root: &Path) -> io::Result<tokio::net::UnixListener> {
    let listener = reachable(root, |path| {
        match fs::remove_file(path) {
            // Of a server that was killed: who holds the lock may remove it.
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        // Nobody else reaches it before: its folder is this user's alone.
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        Ok(listener)
    })?;
    listener.set_nonblocking(true)?;
    tokio::net::UnixListener::from_std(listener)
}

/// Runs with the socket's path, by way of the open folder: a socket's address is 108 bytes at most.
pub(super) fn reachable<T>(root: &Path, with: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    let folder = fs::File::open(own_folder(root))?;
    with(&PathBuf::from(format!(
        "/proc/self/fd/{}/{SOCKET}",
        folder.as_raw_fd()
    )))
}

fn answer(stream: &UnixStream, by: &By, workplace: &Workplace) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(LOOK))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(Waiting { stream, workplace });
    let mut line = String::new();
    reader.by_ref().take(MAX_LINE).read_line(&mut line)?;
    let mut tell = |event: Event| {
        let mut line = serde_json::to_vec(&event).unwrap_or_default();
        line.push(b'\n');
        let mut writer = stream;
        writer.write_all(&line).is_ok()
    };
    match serde_json::from_str::<Request>(&line) {
        Ok(request) => {
            tracing::info!(verb = request.name(), "asked on the control socket");
            workplace.perform(&request, by, &mut reader, &mut tell);
        }
        Err(error) => {
            tell(Event::Failed {
                message: format!("the request cannot be understood: {error}"),
            });
        }
    }
    Ok(())
}

/// Reads for as long as the server lives: what is sent may be made at this moment.
struct Waiting<'a> {
    stream: &'a UnixStream,
    workplace: &'a Workplace,
}

impl io::Read for Waiting<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.stream.read(into) {
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
                    ) && !self.workplace.is_stopping() => {}
                read => return read,
            }
        }
    }
}
