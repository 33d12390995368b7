//! One SSH session on a thread of its own.
//!
//! A [`Session`] is one lock with everything behind it, so nothing else touches it: the rest of the program
//! talks to the thread through channels, and wakes it through a socket pair that it polls along with the
//! connection. Logging in blocks (with a time limit); afterwards nothing does.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use ssh2::{DisconnectCode, MethodType, Session};
use tokio::sync::mpsc::error::{TryRecvError, TrySendError};
use tokio::sync::{mpsc, oneshot};

use super::authentication;
use super::known_hosts::{self, Entry, Verdict};
use super::settings::{HostKeyChecking, Settings};
use crate::connection::ConnectionError;
use crate::connection::channel::{End, Event, Process};

/// What is read at once: libssh2's largest packet, doubled.
const PIECE: usize = 64 << 10;

/// How often a reader that is slower than the network is looked after.
const SLOW_READER: Duration = Duration::from_millis(5);

/// Keep-alive messages that may go unanswered.
const MISSED_SIGNS: u32 = 3;

/// What the goodbye may take.
const GOODBYE: Duration = Duration::from_secs(3);

/// A process to start.
pub struct Spawn {
    pub command: String,
    pub process: Process,
}

/// Connects and logs in, says how it went, and then runs one process after the other until nobody wants any
/// more. The thread's body.
pub fn run(
    settings: &Settings,
    addresses: &[SocketAddr],
    wake: &UnixStream,
    ready: oneshot::Sender<Result<(), ConnectionError>>,
    mut spawns: mpsc::Receiver<Spawn>,
) {
    let connected = connect(settings, addresses).and_then(|stream| {
        let session = start(settings, &stream)?;
        Ok((stream, session))
    });
    let (stream, session) = match connected {
        Ok(connected) => connected,
        Err(error) => {
            let _ = ready.send(Err(error));
            return;
        }
    };
    if ready.send(Ok(())).is_err() {
        return;
    }
    while let Some(Spawn { command, mut process }) = spawns.blocking_recv() {
        let end = match Bridge::start(&session, &stream, wake, &command, settings) {
            Ok(bridge) => bridge.run(&mut process),
            Err(error) => End::Lost(format!("it does not start a process: {}", error.message())),
        };
        let lost = matches!(end, End::Lost(_));
        let _ = process.output.blocking_send(Event::End(end));
        if lost {
            return;
        }
    }
    session.set_blocking(true);
    session.set_timeout(milliseconds(GOODBYE));
    let _ = session.disconnect(Some(DisconnectCode::ByApplication), "done", None);
}

fn unreachable(settings: &Settings, reason: String) -> ConnectionError {
    ConnectionError::Unreachable {
        host: settings.host.clone(),
        reason,
    }
}

fn connect(settings: &Settings, addresses: &[SocketAddr]) -> Result<TcpStream, ConnectionError> {
    let mut failures = Vec::new();
    for address in addresses {
        match TcpStream::connect_timeout(address, settings.timeout) {
            Ok(stream) => {
                // Requests are small and waited for.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => failures.push(format!(
                "{address} did not answer within {} s",
                settings.timeout.as_secs()
            )),
            Err(error) => failures.push(format!("{address}: {error}")),
        }
    }
    Err(unreachable(settings, failures.join("; ")))
}

fn start(settings: &Settings, stream: &TcpStream) -> Result<Session, ConnectionError> {
    let broken = |error: ssh2::Error| {
        unreachable(
            settings,
            format!(
                "port {} does not speak SSH as it should: {}",
                settings.port,
                error.message()
            ),
        )
    };
    let mut session = Session::new().map_err(broken)?;
    session.set_timeout(milliseconds(settings.timeout));
    session.set_tcp_stream(
        stream
            .try_clone()
            .map_err(|error| unreachable(settings, error.to_string()))?,
    );
    let known = known_entries(settings);
    let supported = session.supported_algs(MethodType::HostKey).map_err(broken)?;
    if let Some(preference) = known_hosts::preference(&known, &supported) {
        session
            .method_pref(MethodType::HostKey, &preference)
            .map_err(broken)?;
    }
    session.handshake().map_err(broken)?;
    check_host_key(settings, &session, &known)?;
    authentication::log_in(&session, settings)?;
    Ok(session)
}

fn known_entries(settings: &Settings) -> Vec<Entry> {
    settings
        .known_hosts
        .iter()
        .flat_map(|file| {
            // A file that is not there knows nobody.
            let text = std::fs::read(file).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            known_hosts::entries(&text, file, &settings.address, settings.port)
        })
        .collect()
}

fn check_host_key(settings: &Settings, session: &Session, known: &[Entry]) -> Result<(), ConnectionError> {
    if settings.host_key_checking == HostKeyChecking::Off {
        return Ok(());
    }
    let Some((key, _)) = session.host_key() else {
        return Err(unreachable(settings, "it showed no host key".to_owned()));
    };
    let host = settings.host.clone();
    let algorithm = known_hosts::algorithm(key);
    let shown = format!("{algorithm} {}", known_hosts::fingerprint(key));
    let place = |entry: &Entry| format!("{}:{}", entry.file.display(), entry.line);
    match known_hosts::judge(known, key) {
        Verdict::Known => Ok(()),
        Verdict::Unknown if settings.host_key_checking == HostKeyChecking::AcceptNew => {
            remember(settings, &algorithm, key).map_err(|error| ConnectionError::Configuration {
                host,
                reason: format!(
                    "cannot add its key to {}: {error}",
                    settings.own_known_hosts().display()
                ),
            })
        }
        Verdict::Unknown => {
            let kind = keyscan_kind(&algorithm).to_owned();
            let port = settings.port.to_string();
            let mut command = vec!["ssh-keyscan", "-t", &kind];
            if settings.port != 22 {
                command.extend(["-p", &port]);
            }
            command.push(&settings.address);
            let file = settings.own_known_hosts().to_string_lossy();
            let command = format!("{} >> {}", shell_words::join(command), shell_words::quote(&file));
            Err(ConnectionError::HostKeyUnknown {
                host,
                shown,
                kind,
                command,
            })
        }
        Verdict::Changed(entry) => Err(ConnectionError::HostKeyChanged {
            host,
            shown,
            expected: known_hosts::fingerprint(&entry.key),
            place: place(entry),
            command: shell_words::join([
                "ssh-keygen",
                "-f",
                &entry.file.to_string_lossy(),
                "-R",
                &known_hosts::spelling(&settings.address, settings.port),
            ]),
        }),
        Verdict::Revoked(entry) => Err(ConnectionError::HostKeyRevoked {
            host,
            shown,
            place: place(entry),
        }),
    }
}

/// ssh-keyscan's and sshd's short word for a kind of key.
fn keyscan_kind(algorithm: &str) -> &str {
    match algorithm {
        "ssh-ed25519" => "ed25519",
        "ssh-rsa" => "rsa",
        _ => "ecdsa",
    }
}

/// One line, appended in one write: several hosts may be new at the same time.
fn remember(settings: &Settings, algorithm: &str, key: &[u8]) -> io::Result<()> {
    use base64::Engine as _;
    let line = format!(
        "{} {algorithm} {}\n",
        known_hosts::spelling(&settings.address, settings.port),
        base64::engine::general_purpose::STANDARD.encode(key)
    );
    let path = settings.own_known_hosts();
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)?
        .write_all(line.as_bytes())
}

fn milliseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

/// Carries a process's streams between the session and the channels.
struct Bridge<'a> {
    session: &'a Session,
    stream: &'a TcpStream,
    wake: &'a UnixStream,
    channel: ssh2::Channel,
    keepalive: Duration,
    /// Bytes for the process, and how many of them it has.
    outgoing: (Vec<u8>, usize),
    input_ended: bool,
    end_sent: bool,
    /// What the receiver had no room for.
    incoming: Option<Event>,
    heard: Instant,
}

impl<'a> Bridge<'a> {
    fn start(
        session: &'a Session,
        stream: &'a TcpStream,
        wake: &'a UnixStream,
        command: &str,
        settings: &Settings,
    ) -> Result<Self, ssh2::Error> {
        session.set_blocking(true);
        session.set_timeout(milliseconds(settings.timeout));
        let mut channel = session.channel_session()?;
        channel.exec(command)?;
        session.set_blocking(false);
        // libssh2 counts in seconds and takes 1 for 2; 0 switches it off.
        let seconds = u32::try_from(settings.keepalive.as_secs()).unwrap_or(u32::MAX);
        session.set_keepalive(true, seconds);
        Ok(Self {
            session,
            stream,
            wake,
            channel,
            keepalive: settings.keepalive,
            outgoing: (Vec::new(), 0),
            input_ended: false,
            end_sent: false,
            incoming: None,
            heard: Instant::now(),
        })
    }

    fn run(mut self, process: &mut Process) -> End {
        match self.carry(process) {
            Ok(()) => self.status(),
            Err(error) => End::Lost(self.explain(&error)),
        }
    }

    /// Until the process's output ends, or nobody listens to it any more.
    fn carry(&mut self, process: &mut Process) -> io::Result<()> {
        let mut buffer = vec![0; PIECE];
        loop {
            let wrote = self.write(process)?;
            let read = self.read(process, &mut buffer)?;
            if process.output.is_closed() || (self.incoming.is_none() && self.channel.eof()) {
                return Ok(());
            }
            if !wrote && !read {
                self.wait()?;
            }
        }
    }

    /// Whether anything moved.
    fn write(&mut self, process: &mut Process) -> io::Result<bool> {
        let (bytes, sent) = &mut self.outgoing;
        if *sent == bytes.len() && !self.input_ended {
            match process.input.try_recv() {
                Ok(more) => (*bytes, *sent) = (more, 0),
                Err(TryRecvError::Empty) => return Ok(false),
                Err(TryRecvError::Disconnected) => self.input_ended = true,
            }
        }
        if *sent < bytes.len() {
            let Some(count) = unless_blocked(self.channel.write(&bytes[*sent..]))? else {
                return Ok(false);
            };
            *sent += count;
            return Ok(count > 0);
        }
        if self.input_ended && !self.end_sent {
            self.end_sent = unless_blocked(self.channel.send_eof().map_err(io::Error::from))?.is_some();
        }
        Ok(false)
    }

    fn read(&mut self, process: &Process, buffer: &mut [u8]) -> io::Result<bool> {
        if self.incoming.is_none() {
            self.incoming = match unless_blocked(self.channel.read(buffer))? {
                Some(count @ 1..) => Some(Event::Output(buffer[..count].to_vec())),
                _ => match unless_blocked(self.channel.stderr().read(buffer))? {
                    Some(count @ 1..) => Some(Event::Error(buffer[..count].to_vec())),
                    _ => None,
                },
            };
        }
        let Some(event) = self.incoming.take() else {
            return Ok(false);
        };
        match process.output.try_send(event) {
            Ok(()) | Err(TrySendError::Closed(_)) => Ok(true),
            Err(TrySendError::Full(event)) => {
                self.incoming = Some(event);
                Ok(false)
            }
        }
    }

    /// Sleeps until something can move, and sees to the signs of life meanwhile.
    fn wait(&mut self) -> io::Result<()> {
        let slow = self.incoming.is_some();
        let mut limit = Duration::from_hours(1);
        if !self.keepalive.is_zero() {
            if let Some(seconds) = unless_blocked(self.session.keepalive_send().map_err(io::Error::from))? {
                limit = Duration::from_secs(u64::from(seconds.max(1)));
            } else {
                limit = self.keepalive;
            }
            let patience = self.keepalive.max(Duration::from_secs(2)) * MISSED_SIGNS;
            if !slow && self.heard.elapsed() > patience {
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    format!("it has not given a sign of life for {} s", patience.as_secs()),
                ));
            }
        }
        let mut interest = if slow { PollFlags::empty() } else { PollFlags::IN };
        if matches!(
            self.session.block_directions(),
            ssh2::BlockDirections::Outbound | ssh2::BlockDirections::Both
        ) {
            interest |= PollFlags::OUT;
        }
        if slow {
            limit = SLOW_READER;
        }
        let mut sources = [
            PollFd::new(self.stream, interest),
            PollFd::new(self.wake, PollFlags::IN),
        ];
        let limit = Timespec::try_from(limit).map_err(io::Error::other)?;
        match poll(&mut sources, Some(&limit)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        if slow || sources[0].revents().contains(PollFlags::IN) {
            self.heard = Instant::now();
        }
        if sources[1].revents().contains(PollFlags::IN) {
            // Non-blocking; how often it was woken does not matter.
            let mut wake = self.wake;
            while matches!(wake.read(&mut [0; 64]), Ok(1..)) {}
        }
        Ok(())
    }

    fn status(mut self) -> End {
        self.session.set_blocking(true);
        self.session.set_timeout(milliseconds(GOODBYE));
        let closed = self.channel.close().and_then(|()| self.channel.wait_close());
        if closed.is_err() {
            return End::Exited(None);
        }
        let signalled = self
            .channel
            .exit_signal()
            .is_ok_and(|signal| signal.exit_signal.is_some());
        End::Exited(self.channel.exit_status().ok().filter(|_| !signalled))
    }

    fn explain(&self, error: &io::Error) -> String {
        // libssh2 calls every broken connection a failure of its transport.
        match self.stream.take_error() {
            Ok(Some(cause)) => format!("the connection broke: {cause}"),
            _ => format!("the connection broke: {error}"),
        }
    }
}

fn unless_blocked<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}
