//! Certificates from a real ACME server: Debian's `pebble`, which looks names up at its challenge test server.

use std::fs;
use std::net::{TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use regdeploy::certificate::{Authority, IssueOptions, Name, Request};

use super::server::{Server, await_port, free_port, until};
use super::tls::{Client, await_other_than, options, read};

const HOST: &str = "registry.test";

/// Processes of the ACME server; they end with it.
struct Pebble {
    children: Vec<Child>,
    directory: String,
}

impl Pebble {
    /// Looks for the names that it is asked for at `tls`, or at `http`.
    fn start(folder: &Path, tls: u16, http: u16) -> Self {
        let names = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (listen, management, challenges) = (free_port(), free_port(), free_port());
        let authority = Authority::create("of the ACME server", options(2)).unwrap();
        let request = Request::new(None, &Name::parse_all(["127.0.0.1"]).unwrap()).unwrap();
        let chain = authority.issue(&request.pem, options(2)).unwrap();
        let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
        write("acme-ca.pem", authority.certificate_pem());
        write("acme.pem", &chain);
        write("acme-key.pem", request.key.reveal());
        let config = serde_json::json!({"pebble": {
            "listenAddress": listen.to_string(),
            "managementListenAddress": management.to_string(),
            "certificate": folder.join("acme.pem"),
            "privateKey": folder.join("acme-key.pem"),
            "httpPort": http,
            "tlsPort": tls,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": false,
        }});
        write("pebble.json", &config.to_string());
        let start = |command: &mut Command| {
            command
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap()
        };
        let resolver = start(Command::new("pebble-challtestsrv").args([
            "-dns01",
            &names.to_string(),
            "-defaultIPv6",
            "",
            "-http01",
            "",
            "-https01",
            "",
            "-tlsalpn01",
            "",
            "-management",
            &challenges.to_string(),
        ]));
        let server = start(
            Command::new("pebble")
                .arg("-config")
                .arg(folder.join("pebble.json"))
                .args(["-dnsserver", &names.to_string()])
                .env("PEBBLE_VA_NOSLEEP", "1"),
        );
        let pebble = Self {
            children: vec![resolver, server],
            directory: format!("https://{listen}/dir"),
        };
        await_port(challenges);
        await_port(listen);
        pebble
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[test]
fn a_certificate_comes_is_kept_and_is_renewed() {
    let folder = tempfile::tempdir().unwrap();
    let address = free_port();
    let pebble = Pebble::start(folder.path(), address.port(), 1);
    let lines = format!(
        "  tls:\n    letsencrypt:\n      hosts: [{HOST}]\n      email: admin@registry.test\n      cachefile: DIR/acme\n      \
         directoryurl: {}\n      directoryca: DIR/acme-ca.pem\n",
        pebble.directory
    );
    let mut server = Server::on(folder, address, &lines);
    let client = Client::new(None);
    let came = |server: &Server| {
        server.await_log("the ACME server gave a certificate for registry.test");
        server.await_log("a new certificate or new settings of TLS are in force");
    };
    let first = await_other_than(&client, &server, HOST, b"");
    came(&server);
    assert!(read(&first).issuer.contains("Pebble"), "{}", read(&first).issuer);
    assert_eq!(read(&first).names, Name::parse_all([HOST]).unwrap());
    let mut open = client.open(server.address, HOST).unwrap();
    assert_eq!(open.get().unwrap(), "HTTP/1.1 200 OK");
    let acme = server.folder.path().join("acme");
    let account = fs::read(acme.join("account.json")).unwrap();

    server.crash_and_restart();
    assert_eq!(client.open(server.address, HOST).unwrap().certificate(), first);

    // A certificate of one day, five sixths of which are over.
    let then = SystemTime::now() - Duration::from_hours(20);
    let old = IssueOptions {
        valid_days: 1,
        now: then,
    };
    let authority = Authority::create("of before", old).unwrap();
    let request = Request::new(None, &Name::parse_all([HOST]).unwrap()).unwrap();
    fs::write(
        acme.join("certificate.pem"),
        authority.issue(&request.pem, old).unwrap(),
    )
    .unwrap();
    fs::write(acme.join("key.pem"), request.key.reveal()).unwrap();
    server.crash_and_restart();
    came(&server);
    let renewed = client.open(server.address, HOST).unwrap().certificate();
    assert!(read(&renewed).issuer.contains("Pebble"));
    assert_ne!(renewed, first);
    assert_eq!(fs::read(acme.join("account.json")).unwrap(), account);
}

/// For a registry that nobody reaches at port 443, or that is behind a proxy there.
#[test]
fn a_certificate_comes_by_http_too() {
    let folder = tempfile::tempdir().unwrap();
    let (address, http) = (free_port(), free_port());
    let pebble = Pebble::start(folder.path(), 1, http.port());
    let lines = format!(
        "  tls:\n    letsencrypt:\n      hosts: [{HOST}, other.test]\n      cachefile: DIR/acme\n      directoryurl: {}\n      \
         directoryca: DIR/acme-ca.pem\n      challenge: http-01\n      httpaddr: {http}\n",
        pebble.directory
    );
    let server = Server::on(folder, address, &lines);
    let client = Client::new(None);
    let came = await_other_than(&client, &server, HOST, b"");
    assert!(read(&came).issuer.contains("Pebble"), "{}", read(&came).issuer);
    assert_eq!(read(&came).names, Name::parse_all([HOST, "other.test"]).unwrap());
    // Nobody waits for an answer there any longer.
    until(&true, || TcpStream::connect(http).is_err());
}
