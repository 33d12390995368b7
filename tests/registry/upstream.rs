//! A registry behind a reverse proxy that sees every request and can answer it badly; and downloads that are
//! read as slowly as a test wants.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::client::{Answer, try_send};

/// Nothing in these tests takes as long, even beside a build.
const PATIENCE: Duration = Duration::from_mins(1);
/// What the proxy takes over from an answer.
const COPIED: [&str; 7] = [
    "content-type",
    "content-range",
    "docker-content-digest",
    "etag",
    "link",
    "location",
    "www-authenticate",
];
/// What it takes over from a request.
const ASKED: [&str; 6] = [
    "accept",
    "authorization",
    "if-none-match",
    "if-range",
    "range",
    "host",
];

/// A request as the proxy saw it.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: String,
    pub target: String,
    pub headers: BTreeMap<String, String>,
}

impl Seen {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// What becomes of a request.
pub enum Act {
    /// This, and the registry is not asked.
    Answer(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// The first bytes of the body, then the connection breaks.
    Truncate(usize),
    /// The first bytes of the body; the rest when the other end is told or gone.
    Hold(usize, Receiver<()>),
    /// A body of the right length with another byte in it.
    Corrupt,
    /// No answer at all.
    Silence,
    /// A body of this length is announced and begun with this; then nothing, and who is told hears when the other end
    /// has gone.
    Begin(usize, Vec<u8>, Sender<()>),
}

type Rule = Box<dyn FnMut(&Seen) -> Option<Act> + Send>;

pub struct Upstream {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    rules: Arc<Mutex<Vec<Rule>>>,
}

impl Upstream {
    /// In front of a registry.
    pub fn before(registry: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let upstream = Self {
            address,
            seen: Arc::default(),
            rules: Arc::default(),
        };
        let (seen, rules) = (Arc::clone(&upstream.seen), Arc::clone(&upstream.rules));
        // Ends with the process: a thread that waits for a connection harms nobody.
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (seen, rules) = (Arc::clone(&seen), Arc::clone(&rules));
                std::thread::spawn(move || serve(stream, registry, &seen, &rules));
            }
        });
        upstream
    }

    /// Adds a rule; the first that says something decides.
    pub fn when(&self, rule: impl FnMut(&Seen) -> Option<Act> + Send + 'static) {
        self.rules.lock().unwrap().push(Box::new(rule));
    }

    /// Does `act` to the next request of this method whose target holds `part`.
    pub fn once(&self, method: &'static str, part: &str, act: Act) {
        let (part, mut act) = (part.to_owned(), Some(act));
        self.when(move |seen| {
            let meant = seen.method == method && seen.target.contains(&part);
            if meant { act.take() } else { None }
        });
    }

    /// Holds the next GET back after some bytes, until the sender is used or dropped.
    pub fn hold(&self, part: &str, after: usize) -> Sender<()> {
        let (sender, gate) = channel();
        self.once("GET", part, Act::Hold(after, gate));
        sender
    }

    pub fn heal(&self) {
        self.rules.lock().unwrap().clear();
    }

    /// All that was asked since the last time.
    pub fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }

    /// The same, as `METHOD last/two/segments`.
    pub fn asked(&self) -> Vec<String> {
        let short = |seen: Seen| {
            let path = seen.target.split('?').next().unwrap_or("").to_owned();
            let mut last: Vec<&str> = path.rsplit('/').take(2).collect();
            last.reverse();
            format!("{} {}", seen.method, last.join("/"))
        };
        self.take().into_iter().map(short).collect()
    }
}

fn serve(
    stream: TcpStream,
    registry: SocketAddr,
    all: &Mutex<Vec<Seen>>,
    rules: &Mutex<Vec<Rule>>,
) -> Option<()> {
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut stream = stream;
    let (first, headers) = head(&mut reader)?;
    let mut words = first.split(' ');
    let seen = Seen {
        method: words.next()?.to_owned(),
        target: words.next()?.to_owned(),
        headers,
    };
    let act = {
        let mut rules = rules.lock().unwrap();
        rules.iter_mut().find_map(|rule| rule(&seen))
    };
    all.lock().unwrap().push(seen.clone());
    if let Some(Act::Silence) = act {
        // Until the client goes away.
        let _ = reader.read(&mut [0]);
        return None;
    }
    if let Some(Act::Begin(length, first, gone)) = act {
        answer(&mut stream, &seen, 200, &[], &first, length)?;
        let _ = reader.read(&mut [0]);
        return gone.send(()).ok();
    }
    if let Some(Act::Answer(status, headers, body)) = act {
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        return answer(&mut stream, &seen, status, &headers, &body, body.len());
    }
    let asked: Vec<(&str, &str)> = ASKED[..5]
        .iter()
        .filter_map(|name| Some((*name, seen.headers.get(*name)?.as_str())))
        .collect();
    let Answer {
        status,
        headers,
        mut body,
    } = try_send(registry, &seen.method, &seen.target, &asked, "").ok()?;
    let copied: Vec<(&str, &str)> = COPIED
        .iter()
        .filter_map(|name| Some((*name, headers.get(*name)?.to_str().ok()?)))
        .collect();
    let length = headers
        .get("content-length")
        .and_then(|value| value.to_str().ok()?.parse().ok());
    let length = length.unwrap_or(body.len());
    match act {
        Some(Act::Truncate(bytes)) => answer(&mut stream, &seen, status, &copied, &body[..bytes], length),
        Some(Act::Hold(bytes, gate)) => {
            answer(&mut stream, &seen, status, &copied, &body[..bytes], length)?;
            let _ = gate.recv_timeout(PATIENCE);
            stream.write_all(&body[bytes..]).ok()
        }
        Some(Act::Corrupt) => {
            let mut wrong = body.to_vec();
            *wrong.last_mut()? ^= 1;
            body = wrong.into();
            answer(&mut stream, &seen, status, &copied, &body, length)
        }
        _ => answer(&mut stream, &seen, status, &copied, &body, length),
    }
}

/// Writes a head for `length` bytes, and these.
fn answer(
    stream: &mut TcpStream,
    seen: &Seen,
    status: u16,
    headers: &[(&str, &str)],
    body: &[u8],
    length: usize,
) -> Option<()> {
    let mut head = format!("HTTP/1.1 {status} Status\r\nContent-Length: {length}\r\nConnection: close\r\n");
    for (name, value) in headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).ok()?;
    if seen.method == "HEAD" {
        return Some(());
    }
    stream.write_all(body).ok()
}

/// The first line and the headers, names in lower case.
fn head(reader: &mut BufReader<TcpStream>) -> Option<(String, BTreeMap<String, String>)> {
    let (mut first, mut headers) = (String::new(), BTreeMap::new());
    reader.read_line(&mut first).ok()?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) => headers.insert(name.to_lowercase(), value.to_owned()),
            None if first.is_empty() || line.trim_end().is_empty() => return Some((first, headers)),
            None => None,
        };
    }
}

/// A download that is read as far as a test wants.
pub struct Download {
    reader: BufReader<TcpStream>,
    pub status: u16,
    pub headers: BTreeMap<String, String>,
}

impl Download {
    /// Sends a request and reads the head of its answer.
    pub fn open(address: SocketAddr, target: &str, headers: &str) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let request =
            format!("GET {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut reader = BufReader::new(stream);
        let (first, headers) = head(&mut reader).unwrap();
        let status = first.split(' ').nth(1).unwrap_or("").parse().unwrap();
        Self {
            reader,
            status,
            headers,
        }
    }

    pub fn length(&self) -> usize {
        self.headers["content-length"].parse().unwrap()
    }

    /// The next bytes: waits until all of them have come.
    pub fn read(&mut self, bytes: usize) -> Vec<u8> {
        let mut read = vec![0; bytes];
        self.reader.read_exact(&mut read).unwrap();
        read
    }

    /// All that still comes, however the connection ends.
    pub fn rest(mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let mut piece = vec![0; 65_536];
        while let Ok(count @ 1..) = self.reader.read(&mut piece) {
            rest.extend_from_slice(&piece[..count]);
        }
        rest
    }
}
