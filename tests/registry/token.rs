//! Item 24: docker's token protocol, with the built-in token server, with one elsewhere, and with real clients.

use std::process::{Command, Stdio};

use serde_json::Value;

use super::access::{Users, backwards, basic, push_blob_as};
use super::client::{Answer, send};
use super::clients::{Distribution, layout, skopeo};
use super::server::{Server, sha256, until};

const RULES: &str = "access:
  rules:
    - {who: [everybody], repositories: [library/**], allow: [pull]}
    - {who: [authenticated], repositories: ['home/{user}/**'], allow: [pull, push, delete]}
    - {who: [olga], allow: ['*']}
";

pub fn section(users: &Users, more: &str) -> String {
    format!(
        "{}  tokenserver: {{enabled: true{more}}}\n{RULES}",
        users.section()
    )
}

fn token_as(server: &Server, user: &str, query: &str) -> Value {
    let header = basic(user, &backwards(user));
    let named = [("authorization", header.as_str())];
    let headers = if user.is_empty() { &[][..] } else { &named };
    server
        .send("GET", &format!("/v2/token?{query}"), headers, "")
        .expect(200)
        .json()
}

pub fn with_token(server: &Server, token: &Value, method: &str, target: &str, body: &[u8]) -> Answer {
    let header = format!("Bearer {}", token["token"].as_str().unwrap());
    server.send(method, target, &[("authorization", &header)], body.to_vec())
}

fn form(server: &Server, fields: &[(&str, &str)]) -> Answer {
    let body = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish();
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    server.send("POST", "/v2/token", &headers, body)
}

/// The claims of a token, unverified: that is the server's work.
fn claims(token: &Value) -> Value {
    use base64::Engine as _;
    let text = token["token"].as_str().unwrap().split('.').nth(1).unwrap();
    let json = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(text)
        .unwrap();
    serde_json::from_slice(&json).unwrap()
}

fn granted(token: &Value) -> String {
    let access = claims(token)["access"].as_array().unwrap().clone();
    let scopes: Vec<String> = access
        .iter()
        .map(|scope| {
            let actions: Vec<&str> = scope["actions"]
                .as_array()
                .unwrap()
                .iter()
                .map(|a| a.as_str().unwrap())
                .collect();
            format!(
                "{}:{}:{}",
                scope["type"].as_str().unwrap(),
                scope["name"].as_str().unwrap(),
                actions.join(",")
            )
        })
        .collect();
    scopes.join(" ")
}

#[test]
fn item_24_get_with_basic() {
    let users = Users::of(&["alice", "olga"]);
    let server = Server::with(&section(&users, ""));
    let realm = format!(
        "Bearer realm=\"http://{}/v2/token\",service=\"regdeploy-registry\"",
        server.address
    );
    assert_eq!(server.get("/v2/").expect(401).header("www-authenticate"), realm);
    let upload = |name: &str| format!("/v2/{name}/blobs/uploads/?digest={}", sha256(b"x"));
    let challenge = server.send("POST", &upload("home/alice/a"), &[], "x").expect(401);
    assert_eq!(
        challenge.header("www-authenticate"),
        format!("{realm},scope=\"repository:home/alice/a:pull,push\"")
    );

    let token = token_as(
        &server,
        "alice",
        "service=regdeploy-registry&scope=repository:home/alice/a:pull,push",
    );
    assert_eq!(token["token"], token["access_token"]);
    assert!(token["expires_in"].as_u64().unwrap() >= 60 && token.get("refresh_token").is_none());
    assert!(
        token["issued_at"]
            .as_str()
            .unwrap()
            .parse::<jiff::Timestamp>()
            .is_ok()
    );
    let said = claims(&token);
    assert_eq!(
        (said["sub"].as_str(), said["aud"].as_str(), said["iss"].as_str()),
        (
            Some("alice"),
            Some("regdeploy-registry"),
            Some("regdeploy-registry")
        )
    );
    with_token(&server, &token, "GET", "/v2/", b"").expect(200);
    with_token(&server, &token, "POST", &upload("home/alice/a"), b"x").expect(201);
    // It covers nothing else, and another one could.
    let other = with_token(&server, &token, "POST", &upload("home/alice/b"), b"x").expect(401);
    assert_eq!(other.code(), "UNAUTHORIZED");
    assert_eq!(
        other.header("www-authenticate"),
        format!("{realm},scope=\"repository:home/alice/b:pull,push\",error=\"insufficient_scope\"")
    );
    // Here no token would help.
    with_token(&server, &token, "POST", &upload("library/a"), b"x").expect(403);

    for (user, query, expected) in [
        (
            "alice",
            "scope=repository:home/alice/a:pull,push,delete",
            "repository:home/alice/a:pull,push,delete",
        ),
        (
            "alice",
            "scope=repository:library/a:pull,push",
            "repository:library/a:pull",
        ),
        (
            "alice",
            "scope=repository:home/olga/a:pull&scope=registry:catalog:*",
            "",
        ),
        (
            "alice",
            "scope=repository:library/a:pull&scope=repository:home/alice/a:push%20repository:home/alice/b:pull",
            "repository:library/a:pull repository:home/alice/a:push repository:home/alice/b:pull",
        ),
        (
            "olga",
            "scope=registry:catalog:*&scope=repository:x:*",
            "registry:catalog:* repository:x:pull,push,delete",
        ),
        (
            "",
            "scope=repository:library/a:pull,push",
            "repository:library/a:pull",
        ),
        ("alice", "", ""),
    ] {
        assert_eq!(
            granted(&token_as(&server, user, query)),
            expected,
            "{user} {query}"
        );
    }
    let header = basic("alice", "wrong");
    server
        .send("GET", "/v2/token", &[("authorization", &header)], "")
        .expect(401);
    server.get("/v2/token?service=another").expect(400);
    server.get("/v2/token?scope=nonsense").expect(400);
}

#[test]
fn item_24_anonymous_tokens() {
    let users = Users::of(&["olga"]);
    let server = Server::with(&section(&users, ""));
    let olga = basic("olga", "aglo");
    // Passwords go at every endpoint: not every client knows tokens.
    for name in ["library/a", "private/a"] {
        push_blob_as(&server, "olga", name, b"x").expect(201);
    }
    server
        .send("GET", "/v2/_catalog", &[("authorization", &olga)], "")
        .expect(200);
    let blob = |name: &str| format!("/v2/{name}/blobs/{}", sha256(b"x"));
    // Without any token as well: a rule is a rule.
    server.get(&blob("library/a")).expect(200);
    server.get(&blob("private/a")).expect(401);
    let token = token_as(
        &server,
        "",
        "scope=repository:library/a:pull&scope=repository:private/a:pull",
    );
    with_token(&server, &token, "GET", "/v2/", b"").expect(200);
    with_token(&server, &token, "GET", &blob("library/a"), b"").expect(200);
    let refused = with_token(&server, &token, "GET", &blob("private/a"), b"").expect(401);
    assert!(
        refused
            .header("www-authenticate")
            .ends_with("error=\"insufficient_scope\"")
    );
    for broken in ["Bearer x", "Bearer", "Bearer a.b.c"] {
        let answer = server
            .send("GET", &blob("library/a"), &[("authorization", broken)], "")
            .expect(401);
        assert!(
            answer.header("www-authenticate").starts_with("Bearer realm="),
            "{broken}"
        );
    }
    let answer = server
        .send("GET", "/v2/", &[("authorization", "Bearer a.b.c")], "")
        .expect(401);
    assert!(
        answer
            .header("www-authenticate")
            .ends_with("error=\"invalid_token\"")
    );
}

#[test]
fn item_24_post_with_a_form_and_refresh_tokens() {
    let users = Users::of(&["alice"]);
    let mut server = Server::with(&section(&users, ""));
    let password = [
        ("grant_type", "password"),
        ("service", "regdeploy-registry"),
        ("client_id", "test"),
        ("username", "alice"),
        ("password", "ecila"),
        ("scope", "repository:home/alice/a:pull repository:library/a:push"),
    ];
    let plain = form(&server, &password).expect(200);
    assert_eq!(plain.header("cache-control"), "no-store");
    assert_eq!(granted(&plain.json()), "repository:home/alice/a:pull");
    assert!(plain.json().get("refresh_token").is_none());
    let offline = form(&server, &[&password[..], &[("access_type", "offline")]].concat())
        .expect(200)
        .json();
    let refresh = offline["refresh_token"].as_str().unwrap();
    // docker asks for it in its own way.
    let docker = token_as(
        &server,
        "alice",
        "offline_token=true&client_id=docker&account=alice",
    );
    assert!(docker["refresh_token"].is_string());
    assert!(
        token_as(&server, "", "offline_token=true")
            .get("refresh_token")
            .is_none()
    );

    let again = |server: &Server, token: &str| {
        form(
            server,
            &[
                ("grant_type", "refresh_token"),
                ("refresh_token", token),
                ("scope", "repository:home/alice/a:pull,push"),
            ],
        )
    };
    let token = again(&server, refresh).expect(200).json();
    assert_eq!(granted(&token), "repository:home/alice/a:pull,push");
    // It opens no other door, and no token is one of it.
    let header = format!("Bearer {refresh}");
    server
        .send("GET", "/v2/", &[("authorization", &header)], "")
        .expect(401);
    again(&server, token["token"].as_str().unwrap()).expect(401);
    again(&server, "nonsense").expect(401);
    // The key outlives the process, and the tokens with it.
    server.crash_and_restart();
    let token = again(&server, refresh).expect(200).json();
    users.set("bob", "b");
    again(&server, refresh).expect(200);
    users.set("alice", "new");
    again(&server, refresh).expect(401);
    with_token(&server, &token, "GET", "/v2/", b"").expect(200);

    for fields in [
        &[("grant_type", "password"), ("username", "alice")][..],
        &[("grant_type", "refresh_token")],
        &[("grant_type", "code")],
        &[],
    ] {
        form(&server, fields).expect(400);
    }
    form(
        &server,
        &[
            ("grant_type", "password"),
            ("username", "alice"),
            ("password", "x"),
        ],
    )
    .expect(401);
    form(&server, &[("scope", &"x".repeat(70_000))]).expect(400);
}

#[test]
fn item_24_the_key_is_published_and_shared() {
    let users = Users::of(&["alice"]);
    let server = Server::with(&section(&users, ""));
    let keys = server.get("/v2/token/keys").expect(200).json();
    let key = &keys["keys"][0];
    assert_eq!(
        (&key["kty"], &key["crv"], &key["alg"]),
        (&"EC".into(), &"P-256".into(), &"ES256".into())
    );
    let token = token_as(&server, "alice", "");
    // Another server with the same key takes the same tokens.
    let shared = server.data().join("regdeploy/token/key.pem");
    let other = Server::with(&section(&users, &format!(", key: {}", shared.display())));
    with_token(&other, &token, "GET", "/v2/", b"").expect(200);
    assert_eq!(other.get("/v2/token/keys").json(), keys);
    let stranger = Server::with(&section(&users, ""));
    with_token(&stranger, &token, "GET", "/v2/", b"").expect(401);
    // Where there is no token server, there is nothing.
    let plain = Server::with(&users.section());
    plain.get("/v2/token").expect(404);
    plain.get("/v2/token/keys").expect(404);
}

/// One of ours issues tokens, and another one takes them, by its certificate or by its key set.
#[test]
fn item_24_tokens_of_another_server() {
    let users = Users::of(&["alice", "olga"]);
    let issuing = Server::with(&section(&users, ", service: elsewhere, issuer: us"));
    let certificate = issuing.data().join("regdeploy/token/certificate.pem");
    let set = issuing.folder.path().join("keys.json");
    std::fs::write(&set, issuing.get("/v2/token/keys").expect(200).body).unwrap();
    let external = |keys: &str| {
        format!(
            "auth:\n  token: {{realm: 'http://{}/v2/token', service: elsewhere, issuer: us, {keys}}}\n",
            issuing.address
        )
    };
    let taking = Server::with(&external(&format!("rootcertbundle: {}", certificate.display())));
    let upload = |name: &str| format!("/v2/{name}/blobs/uploads/?digest={}", sha256(b"x"));
    let challenge = taking.send("POST", &upload("home/alice/a"), &[], "x").expect(401);
    assert_eq!(
        challenge.header("www-authenticate"),
        format!(
            "Bearer realm=\"http://{}/v2/token\",service=\"elsewhere\",scope=\"repository:home/alice/a:pull,push\"",
            issuing.address
        )
    );
    let token = token_as(
        &issuing,
        "alice",
        "service=elsewhere&scope=repository:home/alice/a:pull,push",
    );
    with_token(&taking, &token, "POST", &upload("home/alice/a"), b"x").expect(201);
    with_token(&taking, &token, "POST", &upload("other"), b"x").expect(401);
    with_token(&taking, &token, "GET", "/v2/_catalog", b"").expect(401);
    let catalog = token_as(&issuing, "olga", "scope=registry:catalog:*");
    let listed = with_token(&taking, &catalog, "GET", "/v2/_catalog", b"").expect(200);
    assert_eq!(listed.json()["repositories"], serde_json::json!(["home/alice/a"]));
    // What it allows to nobody in particular, nobody in particular may.
    let anonymous = token_as(&issuing, "", "scope=repository:library/a:pull");
    with_token(&taking, &anonymous, "GET", "/v2/library/a/tags/list", b"").expect(404);
    // No passwords here.
    let header = basic("alice", "ecila");
    taking
        .send("GET", "/v2/", &[("authorization", &header)], "")
        .expect(401);

    // By a key set; and with rules of its own beside what the token says.
    taking.reconfigure(&format!(
        "{}access:\n  rules: [{{who: [alice], repositories: [home/alice/*], allow: [push]}}]\n",
        external(&format!("jwks: {}", set.display()))
    ));
    until(&403, || {
        with_token(&taking, &token, "GET", "/v2/home/alice/a/tags/list", b"").status
    });
    with_token(&taking, &token, "POST", &upload("home/alice/a"), b"x").expect(201);
    // By the set at its URL, fetched when the first token comes.
    let url = format!("jwksurl: 'http://{}/v2/token/keys'", issuing.address);
    taking.reconfigure(&external(&url));
    until(&404, || {
        with_token(&taking, &anonymous, "GET", "/v2/library/a/tags/list", b"").status
    });
    // Another server's name for this one is another service.
    taking.reconfigure(
        &external(&format!("jwks: {}", set.display())).replace("service: elsewhere", "service: other"),
    );
    until(&401, || {
        with_token(&taking, &token, "POST", &upload("home/alice/a"), b"x").status
    });
    // On the host that was asked.
    taking.reconfigure(&external(&format!(
        "jwks: {}, autoredirect: true, autoredirectpath: /login",
        set.display()
    )));
    let realm = format!("realm=\"http://{}/login\"", taking.address);
    until(&true, || {
        taking.get("/v2/").header("www-authenticate").contains(&realm)
    });
}

/// Distribution 2.8 takes the tokens too: it finds the key by its id among its certificates.
#[test]
fn item_24_distribution_takes_the_tokens() {
    let users = Users::of(&["olga"]);
    let server = Server::with(&section(&users, ""));
    let data = tempfile::tempdir().unwrap();
    let certificate = server.data().join("regdeploy/token/certificate.pem");
    let distribution = Distribution::start_with(
        data.path(),
        &format!(
            "auth:\n  token:\n    realm: http://{}/v2/token\n    service: regdeploy-registry\n    issuer: \
             regdeploy-registry\n    rootcertbundle: {}\n",
            server.address,
            certificate.display()
        ),
    );
    let token = token_as(
        &server,
        "olga",
        "scope=repository:a:pull,push&scope=registry:catalog:*",
    );
    let header = format!("Bearer {}", token["token"].as_str().unwrap());
    let ask = |target: &str, header: &str| {
        send(
            distribution.address,
            "GET",
            target,
            &[("authorization", header)],
            "",
        )
        .status
    };
    assert_eq!((ask("/v2/", &header), ask("/v2/", "Bearer x")), (200, 401));
    assert_eq!(
        (ask("/v2/a/tags/list", &header), ask("/v2/b/tags/list", &header)),
        (404, 401)
    );
    // The whole handshake, by a client that knows neither.
    let folder = tempfile::tempdir().unwrap();
    layout(&folder.path().join("in"));
    let from = format!("oci:{}:latest", folder.path().join("in").display());
    let to = format!("docker://{}/some/image:v1", distribution.address);
    skopeo(&[
        "copy",
        "--dest-tls-verify=false",
        "--dest-creds",
        "olga:aglo",
        &from,
        &to,
    ]);
}

/// What skopeo says when it fails.
fn skopeo_fails(arguments: &[&str]) -> String {
    let output = Command::new("skopeo")
        .arg("--insecure-policy")
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("skopeo is installed");
    assert!(!output.status.success(), "{arguments:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Both ways to log in, with the client that podman, buildah and CRI-O share.
#[test]
fn item_24_skopeo_logs_in() {
    let users = Users::of(&["alice", "olga"]);
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    layout(&folder.path().join("in"));
    let from = format!("oci:{}:latest", path("in"));
    for (name, section) in [
        ("basic", format!("{}{RULES}", users.section())),
        ("token", section(&users, "")),
    ] {
        let server = Server::with(&section);
        let remote = |image: &str| format!("docker://{}/{image}:v1", server.address);
        let push = |creds: &str, image: &str| {
            let to = remote(image);
            let arguments = [
                "copy",
                "--dest-tls-verify=false",
                "--dest-creds",
                creds,
                &from,
                &to,
            ];
            arguments.map(str::to_owned).to_vec()
        };
        let run = |arguments: Vec<String>| skopeo(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        let fails =
            |arguments: Vec<String>| skopeo_fails(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        run(push("alice:ecila", "home/alice/image"));
        run(push("olga:aglo", "library/image"));
        let denied = fails(push("alice:ecila", "library/image"));
        assert!(denied.contains("denied") || denied.contains("403"), "{denied}");
        let wrong = fails(push("alice:wrong", "home/alice/image"));
        assert!(
            wrong.contains("unauthorized") || wrong.contains("invalid username/password"),
            "{wrong}"
        );
        // Nobody in particular pulls what all may pull.
        let inspect = |image: &str| {
            ["inspect", "--no-creds", "--tls-verify=false", &remote(image)]
                .map(str::to_owned)
                .to_vec()
        };
        run(inspect("library/image"));
        let refused = fails(inspect("home/alice/image"));
        assert!(
            refused.contains("unauthorized") || refused.contains("authentication required"),
            "{refused}"
        );
        // A log-in that is kept: wrong ones are told at once.
        let kept = path(&format!("{name}.json"));
        let log_in = |password: &str| {
            let address = server.address.to_string();
            let arguments = [
                "login",
                "--tls-verify=false",
                "--authfile",
                &kept,
                "-u",
                "alice",
                "-p",
                password,
                &address,
            ];
            arguments.map(str::to_owned).to_vec()
        };
        let refused = fails(log_in("wrong"));
        assert!(refused.contains("invalid username/password"), "{refused}");
        run(log_in("ecila"));
        let pull = [
            "copy",
            "--authfile",
            &kept,
            "--src-tls-verify=false",
            &remote("home/alice/image"),
            &format!("dir:{}", path(name)),
        ];
        run(pull.map(str::to_owned).to_vec());
    }
}
