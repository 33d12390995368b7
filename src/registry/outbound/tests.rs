//! Against servers on loopback that answer to the letter.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::*;

/// The heads of the requests that a server has seen.
type Heads = UnboundedReceiver<String>;

async fn head(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}

/// Answers each connection's request with `answer`, then closes unless the answer is cut short (`hold`).
async fn server(answer: impl Into<String>, hold: bool) -> (SocketAddr, Heads) {
    let (answer, listener) = (answer.into(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let address = listener.local_addr().unwrap();
    let (seen, heads) = unbounded_channel();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let Some(head) = head(&mut stream).await else {
                continue;
            };
            let _ = seen.send(head);
            stream.write_all(answer.as_bytes()).await.unwrap();
            if hold {
                held.push(stream);
            }
        }
    });
    (address, heads)
}

fn direct(options: Options) -> Outbound {
    Outbound::through(Proxies::builder().build(), options)
}

fn get(url: &str) -> Request<Bytes> {
    Request::get(url)
        .header("authorization", "Basic c2VjcmV0")
        .header("x-token", "secret")
        .header("range", "bytes=1-")
        .body(Bytes::new())
        .unwrap()
}

const FINE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nfine";

#[tokio::test]
async fn redirects_take_no_secret_to_another_host() {
    let (last, mut last_heads) = server(FINE, false).await;
    let elsewhere = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://user:secret@localhost:{}/blob?sig=1\r\nContent-Length: 0\r\n\r\n",
        last.port()
    );
    let (first, mut first_heads) = server(elsewhere, true).await;
    let client = direct(Options::default());
    let answer = client.send(get(&format!("http://{first}/v2/"))).await.unwrap();
    assert_eq!(&answer.into_body().whole(4).await.unwrap()[..], b"fine");
    let head = first_heads.recv().await.unwrap();
    assert!(head.contains("c2VjcmV0") && head.contains("x-token"), "{head}");
    let head = last_heads.recv().await.unwrap();
    assert!(head.starts_with("GET /blob?sig=1 HTTP/1.1\r\n"), "{head}");
    assert!(
        head.contains("range: bytes=1-") && !head.contains("ecret"),
        "{head}"
    );
    assert!(!head.contains("authorization"), "{head}");

    // The same server is told again, but not for ever.
    let (again, mut heads) = server(
        "HTTP/1.1 302 Found\r\nLocation: /v2/\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        true,
    )
    .await;
    let error = client.send(get(&format!("http://{again}/"))).await.unwrap_err();
    assert!(matches!(error.fault, Fault::Redirects(5)), "{error}");
    let mut count = 0;
    while let Ok(head) = heads.try_recv() {
        assert!(head.contains("c2VjcmV0"), "{head}");
        count += 1;
    }
    assert_eq!(count, 6);
}

#[tokio::test]
async fn what_is_posted_goes_nowhere_else() {
    let (address, _heads) = server(
        "HTTP/1.1 307 T\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
        true,
    )
    .await;
    let request = Request::post(format!("http://{address}/"))
        .body(Bytes::from("x"))
        .unwrap();
    let answer = direct(Options::default()).send(request).await.unwrap();
    assert_eq!(answer.status(), 307);
}

#[tokio::test]
async fn waits_end_and_errors_hold_no_secret() {
    let short = Duration::from_millis(50);
    let client = direct(Options {
        connect: short,
        response: short,
        stall: short,
        ..Options::default()
    });
    let (silent, _heads) = server("", true).await;
    let error = client
        .send(get(&format!("http://{silent}/a?token=secret")))
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("GET http://{silent}/a: no answer within 0.1 s")
    );

    let (stalls, _heads) = server("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", true).await;
    let mut body = client
        .send(get(&format!("http://{stalls}/")))
        .await
        .unwrap()
        .into_body();
    assert_eq!(body.next().await.unwrap().unwrap(), "half");
    let error = body.next().await.unwrap_err();
    assert!(matches!(error.fault, Fault::Stalled(_)), "{error}");

    let (breaks, _heads) = server("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", false).await;
    let mut body = client
        .send(get(&format!("http://{breaks}/")))
        .await
        .unwrap()
        .into_body();
    assert_eq!(body.next().await.unwrap().unwrap(), "half");
    let error = body.next().await.unwrap_err();
    assert!(matches!(error.fault, Fault::Broken(_)), "{error}");

    let (long, _heads) = server(FINE, false).await;
    let answer = client.send(get(&format!("http://{long}/"))).await.unwrap();
    let error = answer.into_body().whole(3).await.unwrap_err();
    assert!(matches!(error.fault, Fault::TooLong(3)), "{error}");

    let gone = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let error = client.send(get(&format!("http://{gone}/"))).await.unwrap_err();
    assert!(matches!(error.fault, Fault::Connect(_)), "{error}");
    assert!(error.to_string().contains("efused"), "{error}");

    for url in ["/relative", "ftp://a/", "http://me:secret@a/"] {
        let error = client.send(get(url)).await.unwrap_err();
        assert!(matches!(error.fault, Fault::Url), "{url}: {error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

#[tokio::test]
async fn plain_requests_go_through_the_proxy_with_their_whole_url() {
    let (proxy, mut heads) = server(FINE, false).await;
    let proxies = Proxies::builder()
        .http(format!("http://me:secret@{proxy}"))
        .no("10.0.0.0/8,.internal")
        .build();
    let client = Outbound::through(proxies, Options::default());
    let request = Request::get("http://nowhere.example/v2/")
        .body(Bytes::new())
        .unwrap();
    client.send(request).await.unwrap();
    let head = heads.recv().await.unwrap();
    assert!(
        head.starts_with("GET http://nowhere.example/v2/ HTTP/1.1\r\n"),
        "{head}"
    );
    assert!(head.contains("proxy-authorization: Basic bWU6c2VjcmV0"), "{head}");
    let excepted = |url: &str| {
        client
            .connector
            .proxy_authorization(&url.parse().unwrap())
            .is_none()
    };
    assert!(excepted("http://10.1.2.3/") && excepted("http://a.internal/") && !excepted("http://11.1.2.3/"));
}

/// A server with a certificate for `localhost` and the authority's file.
async fn tls_server(folder: &std::path::Path) -> (SocketAddr, PathBuf) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let mut config = Arc::unwrap_or_clone(
        crate::registry::tls::load(&certificate, &key, &crate::registry::config::Tls::default(), true)
            .unwrap(),
    );
    config.alpn_protocols.clear();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            if head(&mut stream).await.is_some() {
                stream.write_all(FINE.as_bytes()).await.unwrap();
                let _ = stream.shutdown().await;
            }
        }
    });
    (address, certificate)
}

/// Digs one tunnel to `to` for each connection.
async fn tunnel(to: SocketAddr) -> (SocketAddr, Heads) {
    async fn dig(mut stream: impl AsyncRead + AsyncWrite + Unpin, to: SocketAddr) -> Option<()> {
        stream
            .write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
            .await
            .ok()?;
        let mut far = tokio::net::TcpStream::connect(to).await.ok()?;
        tokio::io::copy_bidirectional(&mut stream, &mut far).await.ok()?;
        Some(())
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (seen, heads) = unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let Some(head) = head(&mut stream).await else {
                continue;
            };
            let _ = seen.send(head);
            dig(stream, to).await;
        }
    });
    (address, heads)
}

#[tokio::test]
async fn tls_is_checked_against_the_named_authorities() {
    let folder = tempfile::tempdir().unwrap();
    let (address, authority) = tls_server(folder.path()).await;
    let url = format!("https://localhost:{}/", address.port());
    let trusting = Options {
        authorities: vec![authority],
        ..Options::default()
    };
    let answer = direct(trusting.clone()).send(get(&url)).await.unwrap();
    assert_eq!(&answer.into_body().whole(4).await.unwrap()[..], b"fine");
    let error = direct(Options::default()).send(get(&url)).await.unwrap_err();
    assert!(
        error.to_string().contains("TLS: invalid peer certificate"),
        "{error}"
    );

    // Through a proxy: the tunnel, then the same check inside of it.
    let (proxy, mut heads) = tunnel(address).await;
    let proxies = || {
        Proxies::builder()
            .https(format!("http://me:secret@{proxy}"))
            .build()
    };
    let answer = Outbound::through(proxies(), trusting)
        .send(get(&url))
        .await
        .unwrap();
    assert_eq!(&answer.into_body().whole(4).await.unwrap()[..], b"fine");
    let head = heads.recv().await.unwrap();
    assert!(
        head.starts_with(&format!("CONNECT localhost:{} HTTP/1.1\r\n", address.port())),
        "{head}"
    );
    assert!(
        head.to_lowercase()
            .contains("proxy-authorization: basic bwu6c2vjcmv0"),
        "{head}"
    );
    assert!(!head.contains("c2VjcmV0\r\nx-token"), "{head}");

    let options = Options {
        authorities: vec![folder.path().join("none.pem")],
        ..Options::default()
    };
    let error = direct(options).send(get(&url)).await.unwrap_err();
    assert!(error.to_string().contains("none.pem"), "{error}");
}
