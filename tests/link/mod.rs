//! The way to a target and back, over real processes and a real sshd.
//!
//! Needs root and the Debian packages openssh-server, openssh-client and sudo.

mod become_user;
mod content;
mod local;
mod ssh;
mod sshd;
mod transfer;

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use regdeploy::connection::{Answers, ConnectionError, Content, Executables, Link, Transport};
use regdeploy::value::{Map, Value};
use regdeploy::wire::message::{Batch, Become, Call, Outcome};

/// The executable under test plays the agent; this process is only the controller.
fn executables() -> Arc<Executables> {
    Arc::new(Executables::new(
        PathBuf::from(env!("CARGO_BIN_EXE_regdeploy")),
        Vec::new(),
    ))
}

fn call(module: &str, arguments: &[(&str, Value)]) -> Call {
    let given: Map = arguments
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect();
    let spec = regdeploy::modules::find(module).expect("a module").spec();
    Call {
        module: module.to_owned(),
        arguments: spec.resolve(&given).expect("valid arguments"),
        check: false,
        diff: false,
        directory: None,
        environment: indexmap::IndexMap::new(),
    }
}

fn ping(data: &str) -> Call {
    call("ping", &[("data", Value::from(data))])
}

fn batch(calls: Vec<Call>, become_user: Option<Become>) -> Batch {
    Batch {
        id: 0,
        become_user,
        compress: false,
        calls,
        foreseen: None,
    }
}

/// A controller that has one content: so many bytes of one value, never in memory as a whole.
struct Repeated {
    byte: u8,
    length: u64,
    asked: AtomicUsize,
}

impl Repeated {
    fn new(length: u64) -> Arc<Self> {
        Arc::new(Self {
            byte: b'x',
            length,
            asked: AtomicUsize::new(0),
        })
    }

    fn digest(&self) -> String {
        let mut hash = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
        let mut reader = std::io::repeat(self.byte).take(self.length);
        let mut buffer = vec![0; 1 << 20];
        while let Ok(count @ 1..) = reader.read(&mut buffer) {
            hash.update(&buffer[..count]);
        }
        hexadecimal(hash.finish().as_ref())
    }
}

impl Answers for Repeated {
    fn content(&self, digest: &str) -> Option<Box<dyn Read + Send>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        (digest == self.digest())
            .then(|| Box::new(std::io::repeat(self.byte).take(self.length)) as Box<dyn Read + Send>)
    }

    fn sign(&self, authority: &str, _request: &str) -> Result<String, String> {
        Err(format!("there is no authority {authority}"))
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn small(bytes: &[u8]) -> Content {
    Content {
        digest: hexadecimal(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref()),
        bytes: bytes.into(),
    }
}

/// Opens, or fails, within a time in which nothing may hang.
async fn open(transport: &Transport) -> Result<Link, ConnectionError> {
    open_with(transport, &executables()).await
}

async fn open_with(transport: &Transport, executables: &Arc<Executables>) -> Result<Link, ConnectionError> {
    tokio::time::timeout(Duration::from_mins(1), Link::open(transport, executables))
        .await
        .expect("opening hangs")
}

/// Runs, or fails, within a time in which nothing may hang.
async fn run(link: &mut Link, batch: Batch, contents: Vec<Content>) -> Result<Vec<Outcome>, ConnectionError> {
    run_with(link, batch, contents, Repeated::new(0)).await
}

async fn run_with(
    link: &mut Link,
    batch: Batch,
    contents: Vec<Content>,
    answers: Arc<dyn Answers>,
) -> Result<Vec<Outcome>, ConnectionError> {
    let mut outcomes = Vec::new();
    let running = link.run(batch, contents, answers, |index, outcome| {
        assert_eq!(index, outcomes.len());
        outcomes.push(outcome);
    });
    tokio::time::timeout(Duration::from_mins(2), running)
        .await
        .expect("running hangs")?;
    Ok(outcomes)
}

fn message(outcome: &Outcome) -> &str {
    outcome.message().unwrap_or_default()
}
