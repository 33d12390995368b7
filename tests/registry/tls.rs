//! TLS as clients see it: which certificate, which versions, whom they are taken for.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use regdeploy::certificate::{Authority, Certificate, IssueOptions, Name, Request};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::bench::suite::trusting::Trusting;
use super::server::Server;

const PATIENCE: Duration = Duration::from_secs(30);

/// A TLS client and whom it trusts.
pub struct Client {
    config: ClientConfig,
}

/// A connection that is kept open.
pub struct Open(StreamOwned<ClientConnection, TcpStream>);

impl Client {
    /// Trusts this authority, or whatever comes.
    pub fn new(authority: Option<&Path>) -> Self {
        Self::with(authority, &[&TLS12, &TLS13], None)
    }

    fn with(
        authority: Option<&Path>,
        versions: &[&'static rustls::SupportedProtocolVersion],
        identity: Option<(CertificateDer<'static>, PrivateKeyDer<'static>)>,
    ) -> Self {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .unwrap();
        let builder = if let Some(path) = authority {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_file(path).unwrap()).unwrap();
            builder.with_root_certificates(roots)
        } else {
            builder
                .dangerous()
                .with_custom_certificate_verifier(Trusting::new(provider))
        };
        let config = match identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => builder.with_client_auth_cert(vec![certificate], key).unwrap(),
        };
        Self { config }
    }

    fn offering(mut self, protocols: &[&[u8]]) -> Self {
        self.config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        self
    }

    pub fn open(&self, address: SocketAddr, name: &str) -> Result<Open, String> {
        let text = |error: std::io::Error| error.to_string();
        let stream = TcpStream::connect(address).map_err(text)?;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let session = ClientConnection::new(Arc::new(self.config.clone()), name).unwrap();
        let mut open = Open(StreamOwned::new(session, stream));
        while open.0.conn.is_handshaking() {
            open.0.conn.complete_io(&mut open.0.sock).map_err(text)?;
        }
        Ok(open)
    }
}

impl Open {
    pub fn certificate(&self) -> Vec<u8> {
        self.0.conn.peer_certificates().unwrap()[0].to_vec()
    }

    /// The first line of the answer to `GET /v2/`.
    pub fn get(&mut self) -> Result<String, String> {
        let asked = self
            .0
            .write_all(b"GET /v2/ HTTP/1.1\r\nhost: registry.example\r\n\r\n");
        asked.map_err(|error| error.to_string())?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n{}") && !answer.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.0.read_exact(&mut byte).map_err(|error| error.to_string())?;
            answer.push(byte[0]);
        }
        let answer = String::from_utf8(answer).unwrap();
        let length = answer
            .split("content-length: ")
            .nth(1)
            .and_then(|rest| rest.lines().next());
        let mut body = vec![0; length.unwrap().parse().unwrap()];
        self.0.read_exact(&mut body).map_err(|error| error.to_string())?;
        Ok(answer.lines().next().unwrap().to_owned())
    }
}

pub fn options(days: u32) -> IssueOptions {
    IssueOptions {
        valid_days: days,
        now: SystemTime::now(),
    }
}

fn names(texts: &[&str]) -> BTreeSet<Name> {
    Name::parse_all(texts.iter().copied()).unwrap()
}

/// An authority's certificate as `ca.pem`, and a certificate of it as `cert.pem` and `key.pem`.
fn issue(authority: &Authority, folder: &Path) {
    let request = Request::new(None, &names(&["localhost"])).unwrap();
    let chain = authority.issue(&request.pem, options(30)).unwrap();
    fs::write(folder.join("ca.pem"), authority.certificate_pem()).unwrap();
    fs::write(folder.join("key.pem"), request.key.reveal()).unwrap();
    fs::write(folder.join("cert.pem"), chain).unwrap();
}

/// Waits until new connections get something else than before.
#[track_caller]
pub fn await_other_than(client: &Client, server: &Server, name: &str, old: &[u8]) -> Vec<u8> {
    let start = Instant::now();
    loop {
        match client.open(server.address, name).map(|open| open.certificate()) {
            Ok(certificate) if certificate != old => return certificate,
            answer => assert!(
                start.elapsed() < PATIENCE,
                "{:?}",
                answer.map(|found| found.len())
            ),
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_certificate_is_replaced_while_connections_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::create("test", options(30)).unwrap();
    issue(&authority, folder.path());
    let ca = folder.path().join("ca.pem");
    let lines = "  tls:\n    certificate: DIR/cert.pem\n    key: DIR/key.pem\n";
    let server = Server::on(folder, SocketAddr::from(([127, 0, 0, 1], 0)), lines);
    let client = Client::new(Some(&ca));
    let mut kept = client.open(server.address, "localhost").unwrap();
    assert_eq!(kept.get().unwrap(), "HTTP/1.1 200 OK");
    let first = kept.certificate();

    fs::write(server.folder.path().join("cert.pem"), "-----BEGIN").unwrap();
    server.await_log("the old certificate stays in force");
    assert_eq!(
        client.open(server.address, "localhost").unwrap().certificate(),
        first
    );
    issue(&authority, server.folder.path());
    let second = await_other_than(&client, &server, "localhost", &first);
    assert_ne!(second, first);
    assert_eq!(kept.get().unwrap(), "HTTP/1.1 200 OK");
}

#[test]
fn an_authority_of_its_own() {
    let lines = "  tls:\n    selfsigned:\n      enabled: true\n      names: [registry.example]\n";
    let mut server = Server::with(lines);
    let client = Client::new(Some(&server.data().join("regdeploy/tls/ca.crt")));
    let mut open = client.open(server.address, "registry.example").unwrap();
    assert_eq!(open.get().unwrap(), "HTTP/1.1 200 OK");
    client.open(server.address, "127.0.0.1").unwrap();
    assert!(client.open(server.address, "other.example").is_err());
    // A restart makes nothing new; another name does.
    server.crash_and_restart();
    let again = client.open(server.address, "registry.example").unwrap();
    assert_eq!(again.certificate(), open.certificate());
    server.configure(&lines.replace("[registry", "[other.example, registry"));
    server.reload();
    await_other_than(&client, &server, "registry.example", &again.certificate());
    client.open(server.address, "other.example").unwrap();
}

#[test]
fn clients_prove_who_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::create("test", options(30)).unwrap();
    issue(&authority, folder.path());
    let ca = folder.path().join("ca.pem");
    let stranger = Authority::create("stranger", options(30)).unwrap();
    let identity = |authority: &Authority| {
        let key = rcgen::KeyPair::generate().unwrap();
        let ca_key = rcgen::KeyPair::from_pem(authority.key_pem().reveal()).unwrap();
        let issuer = rcgen::Issuer::from_ca_cert_pem(authority.certificate_pem(), ca_key).unwrap();
        let mut params = rcgen::CertificateParams::default();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, "builder");
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        (certificate.der().clone(), key)
    };
    let lines = "  tls:\n    certificate: DIR/cert.pem\n    key: DIR/key.pem\n    clientcas: [DIR/ca.pem]\n";
    let server = Server::on(folder, SocketAddr::from(([127, 0, 0, 1], 0)), lines);
    let asked = |server: &Server, identity| {
        let client = Client::with(Some(&ca), &[&TLS12, &TLS13], identity);
        client
            .open(server.address, "localhost")
            .and_then(|mut open| open.get())
    };
    let ok = Ok("HTTP/1.1 200 OK".to_owned());
    assert_eq!(asked(&server, Some(identity(&authority))), ok);
    assert!(asked(&server, Some(identity(&stranger))).is_err());
    assert!(asked(&server, None).is_err());
    server.configure(&format!("{lines}    clientauth: verify-client-cert-if-given\n"));
    server.reload();
    server.await_log("a new certificate or new settings of TLS are in force");
    assert_eq!(asked(&server, None), ok);
    assert_eq!(asked(&server, Some(identity(&authority))), ok);
    assert!(asked(&server, Some(identity(&stranger))).is_err());
}

#[test]
fn versions_suites_and_protocols() {
    let own = "  tls:\n    selfsigned:\n      enabled: true\n";
    let plain = Server::with(own);
    let both: &[&[u8]] = &[b"h2", b"http/1.1"];
    let offered = Client::new(None)
        .offering(both)
        .open(plain.address, "localhost")
        .unwrap();
    assert_eq!(offered.0.conn.alpn_protocol(), Some(&b"h2"[..]));
    let old = || Client::with(None, &[&TLS12], None);
    old().open(plain.address, "localhost").unwrap();

    let strict = Server::with(&format!(
        "{own}    minimumtls: tls1.3\n    ciphersuites: [TLS_CHACHA20_POLY1305_SHA256]\n  http2:\n    disabled: true\n"
    ));
    assert!(old().open(strict.address, "localhost").is_err());
    let offered = Client::new(None)
        .offering(both)
        .open(strict.address, "localhost")
        .unwrap();
    assert_eq!(offered.0.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
    let suite = offered.0.conn.negotiated_cipher_suite().unwrap().suite();
    assert_eq!(suite, rustls::CipherSuite::TLS13_CHACHA20_POLY1305_SHA256);
}

/// The certificate as the project reads it.
pub fn read(der: &[u8]) -> Certificate {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    Certificate::from_pem(&format!(
        "-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n"
    ))
    .unwrap()
}
