//! A server that takes down what it is sent, and answers as a test wants it to.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Longer than anything takes, even beside a build.
const LONG: Duration = Duration::from_mins(1);

/// One request.
#[derive(Debug, Clone)]
pub struct Taken {
    /// Request line and headers, in lower case.
    pub head: String,
    pub body: Vec<u8>,
}

pub struct Receiver {
    pub address: SocketAddr,
    taken: Arc<Mutex<Vec<Taken>>>,
    status: Arc<AtomicU16>,
    refused: Arc<Mutex<Vec<Taken>>>,
}

impl Receiver {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let receiver = Self {
            address: listener.local_addr().unwrap(),
            taken: Arc::default(),
            status: Arc::new(AtomicU16::new(200)),
            refused: Arc::default(),
        };
        let (taken, refused) = (Arc::clone(&receiver.taken), Arc::clone(&receiver.refused));
        let status = Arc::clone(&receiver.status);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let status = status.load(Ordering::SeqCst);
                let Some(request) = take(stream, status) else {
                    continue;
                };
                let list = if status < 400 { &taken } else { &refused };
                list.lock().unwrap().push(request);
            }
        });
        receiver
    }

    /// From now on every request is answered so; what is answered 400 or more counts as refused.
    pub fn answer(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    /// Waits until what was taken is what `enough` wants.
    #[track_caller]
    pub fn wait(&self, enough: impl Fn(&[Taken]) -> bool) -> Vec<Taken> {
        wait_for(&self.taken, enough)
    }

    #[track_caller]
    pub fn wait_refused(&self, enough: impl Fn(&[Taken]) -> bool) -> Vec<Taken> {
        wait_for(&self.refused, enough)
    }
}

#[track_caller]
fn wait_for(list: &Mutex<Vec<Taken>>, enough: impl Fn(&[Taken]) -> bool) -> Vec<Taken> {
    let start = Instant::now();
    loop {
        let list = list.lock().unwrap().clone();
        if enough(&list) {
            return list;
        }
        assert!(start.elapsed() < LONG, "only this came: {list:#?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Reads one request and answers it; none where it does not come whole.
fn take(mut stream: TcpStream, status: u16) -> Option<Taken> {
    stream.set_read_timeout(Some(LONG)).ok()?;
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let head = head.to_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let answer = format!("HTTP/1.1 {status} Told\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    stream.write_all(answer.as_bytes()).ok()?;
    Some(Taken { head, body })
}
