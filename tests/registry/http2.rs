//! HTTP/2 clients that mean no good: streams that are reset at once, more of them than allowed, heads without end,
//! windows that stay shut. The connection may end for it; the others are served, and memory stays bounded.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use hyper::Request;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::clients::{curl, with_tls};
use super::server::{Server, sha256};

/// MiB for all that one such connection can ask for: a debug build of the server.
const PEAK: u64 = 96;
/// No step takes longer, however slow the machine: a hang becomes a failure.
const PATIENCE: Duration = Duration::from_mins(1);

struct Client {
    sender: SendRequest<Bytes>,
    connection: tokio::task::JoinHandle<Result<(), h2::Error>>,
}

impl Client {
    async fn connect(server: &Server, trust: &Path, builder: &h2::client::Builder) -> Self {
        let mut roots = rustls::RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_file(trust.join("ca.crt")).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let stream = TcpStream::connect(server.address).await.unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let stream = TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
            .unwrap();
        let (sender, connection) = builder.handshake::<_, Bytes>(stream).await.unwrap();
        Self {
            sender,
            connection: tokio::spawn(connection),
        }
    }
}

fn request(server: &Server, path: &str) -> hyper::http::request::Builder {
    Request::builder().uri(format!("https://{}{path}", server.address))
}

/// Runs an attack, sees that an ordinary client is served during it and after it, and what it has cost.
fn under<T>(attack: impl AsyncFnOnce(&Server, &Path) -> T) -> T {
    let (server, trust) = with_tls();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let done = runtime.block_on(async {
        tokio::time::timeout(PATIENCE, attack(&server, trust.path()))
            .await
            .expect("the attack ends")
    });
    ordinary(&server, trust.path());
    assert!(server.peak() < PEAK, "{} MiB", server.peak());
    done
}

fn ordinary(server: &Server, trust: &Path) {
    let certificate = trust.join("ca.crt").display().to_string();
    let url = format!("https://{}/v2/", server.address);
    let answer = curl(&[
        "--cacert",
        &certificate,
        "--http2",
        "--max-time",
        "60",
        "-w",
        "%{http_code}",
        &url,
    ]);
    assert!(answer.ends_with("200"), "{answer}");
}

#[test]
fn streams_that_are_reset_at_once() {
    let ended = under(async |server, trust| {
        let mut client = Client::connect(server, trust, &h2::client::Builder::new()).await;
        for number in 0..20_000 {
            let Ok(mut sender) = client.sender.clone().ready().await else {
                return true;
            };
            let request = request(server, "/v2/_catalog").body(()).unwrap();
            let Ok((_, mut stream)) = sender.send_request(request, false) else {
                return true;
            };
            stream.send_reset(h2::Reason::CANCEL);
            if number % 5_000 == 0 {
                tokio::task::block_in_place(|| ordinary(server, trust));
            }
        }
        // Taken in its stride, or refused: both will do.
        client.sender = client
            .sender
            .ready()
            .await
            .unwrap_or_else(|_| unreachable!("only a closed one errs"));
        client.connection.is_finished()
    });
    eprintln!("the connection was ended: {ended}");
}

#[test]
fn more_streams_than_allowed() {
    let served = under(async |server, trust| {
        let client = Client::connect(
            server,
            trust,
            h2::client::Builder::new().initial_max_send_streams(2_000),
        )
        .await;
        let mut open = Vec::new();
        for _ in 0..2_000 {
            let mut sender = client.sender.clone();
            let location = "/v2/a/blobs/uploads/";
            let request = request(server, location).method("POST").body(()).unwrap();
            // The body never ends; nor is the answer read.
            match sender.send_request(request, false) {
                Ok(pair) => open.push(pair),
                Err(_) => break,
            }
        }
        tokio::task::block_in_place(|| ordinary(server, trust));
        open.len()
    });
    assert!(served > 0);
}

#[test]
fn heads_without_end() {
    under(async |server, trust| {
        for size in [100_000, 1 << 20, 15 << 20] {
            let client = Client::connect(server, trust, &h2::client::Builder::new()).await;
            let mut sender = client.sender.clone().ready().await.unwrap();
            let mut request = request(server, "/v2/");
            // In CONTINUATION frames, as many as it takes.
            for number in 0..size / 5_000 {
                request = request.header(format!("x-{number}"), "y".repeat(5_000));
            }
            let sent = sender.send_request(request.body(()).unwrap(), true);
            if let Ok((response, _)) = sent {
                let status = response.await.map(|response| response.status().as_u16());
                assert!(matches!(status, Err(_) | Ok(431)), "{status:?}");
            }
            tokio::task::block_in_place(|| ordinary(server, trust));
        }
    });
}

/// Whoever asks for much and takes nothing costs no more than what is in flight.
#[test]
fn windows_that_stay_shut() {
    under(async |server, trust| {
        let content = vec![9; 4 << 20];
        let digest = sha256(&content);
        let certificate = trust.join("ca.crt").display().to_string();
        let file = trust.join("blob");
        std::fs::write(&file, &content).unwrap();
        let target = format!("https://{}/v2/big/blobs/uploads/?digest={digest}", server.address);
        let body = format!("@{}", file.display());
        curl(&["--cacert", &certificate, "-f", "--data-binary", &body, &target]);
        let mut clients = Vec::new();
        for _ in 0..8 {
            let mut builder = h2::client::Builder::new();
            builder.initial_window_size(0);
            let client = Client::connect(server, trust, &builder).await;
            let mut waiting = Vec::new();
            for _ in 0..100 {
                let mut sender = client.sender.clone().ready().await.unwrap();
                let request = request(server, &format!("/v2/big/blobs/{digest}"))
                    .body(())
                    .unwrap();
                let (response, _) = sender.send_request(request, true).unwrap();
                let response = response.await.unwrap();
                assert_eq!(response.status(), 200);
                waiting.push(response);
            }
            clients.push((client, waiting));
        }
        tokio::task::block_in_place(|| ordinary(server, trust));
        assert!(server.peak() < PEAK, "{} MiB", server.peak());
    });
}
