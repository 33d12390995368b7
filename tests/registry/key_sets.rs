//! Item 24: keys of another token server that are published at a URL, over TLS, and change.

use std::process::Command;

use base64::Engine as _;
use serde_json::{Value, json};

use super::access::Users;
use super::server::{Server, free_port, until};
use super::token::{section, with_token};

/// A token for alice, asked for over TLS.
fn token(issuing: &Server) -> Value {
    let output = Command::new("curl")
        .args(["-sS", "--fail", "-u", "alice:ecila", "--cacert"])
        .arg(issuing.data().join("regdeploy/tls/ca.crt"))
        .arg(format!("https://{}/v2/token?service=elsewhere", issuing.address))
        .output()
        .expect("curl is installed");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The token, as if another key had signed it.
fn of_another_key(token: &Value, key: &str) -> Value {
    let text = token["token"].as_str().unwrap();
    let (_, rest) = text.split_once('.').unwrap();
    let header = json!({"typ": "JWT", "alg": "ES256", "kid": key}).to_string();
    let header = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(header);
    json!({"token": format!("{header}.{rest}")})
}

#[test]
fn item_24_a_new_key_is_found_and_made_up_ones_are_not_looked_for_again_and_again() {
    let users = Users::of(&["alice"]);
    let tls = "  tls: {selfsigned: {enabled: true}}\n";
    let lines = section(&users, ", service: elsewhere, issuer: us");
    let mut issuing = Server::at(free_port(), &format!("{tls}{lines}"));
    let url = format!("https://{}/v2/token", issuing.address);
    let external = format!(
        "auth:\n  token: {{realm: '{url}', service: elsewhere, issuer: us, jwksurl: '{url}/keys', jwksca: {}}}\n",
        issuing.data().join("regdeploy/tls/ca.crt").display()
    );
    let taking = Server::with(&external);
    let status = |token: &Value| with_token(&taking, token, "GET", "/v2/", b"").status;
    let log = issuing.folder.path().join("access.log");
    // A line is written once the answer has gone out.
    let asked = || {
        let log = std::fs::read_to_string(&log).unwrap();
        log.matches("/v2/token/keys").count()
    };

    let first = token(&issuing);
    assert_eq!((status(&first), status(&first)), (200, 200));
    until(&1, asked);
    // The key is replaced: the first token of the new one has the keys fetched again.
    issuing.kill();
    std::fs::remove_dir_all(issuing.data().join("regdeploy/token")).unwrap();
    issuing.restart();
    let second = token(&issuing);
    assert_eq!((status(&second), status(&first)), (200, 401));
    until(&2, asked);
    for number in 0..20 {
        let forged = of_another_key(&second, &format!("made-up-{number}"));
        assert_eq!(status(&forged), 401);
    }
    assert_eq!(status(&second), 200);
    assert_eq!(asked(), 2);

    // An authority that nobody trusts publishes nothing.
    let ca = external.find(", jwksca").unwrap();
    let distrusting = Server::with(&format!("{}}}\n", &external[..ca]));
    assert_eq!(with_token(&distrusting, &second, "GET", "/v2/", b"").status, 401);
    let log = distrusting.await_log("the keys of `auth.token.jwksurl`");
    let reason = log + &distrusting.await_log("\n");
    assert!(reason.contains("ertificate"), "{reason}");
}
