//! Configurations as people write them.

use std::path::PathBuf;
use std::time::Duration;

use super::*;

fn load_text(text: &str, environment: &[(&str, &str)]) -> Result<Loaded, Vec<Diagnostic>> {
    let environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    load(&Source::new("config.yml", text), environment)
}

fn errors(text: &str, environment: &[(&str, &str)]) -> String {
    let errors = load_text(text, environment).expect_err("refused");
    let shown: Vec<String> = errors.iter().map(|error| error.render(false)).collect();
    shown.join("\n")
}

#[test]
fn distribution_s_own_file() {
    let loaded = load_text(
        "version: 0.1\nlog:\n  level: debug\n  fields:\n    service: registry\nstorage:\n  cache:\n    blobdescriptor: \
         inmemory\n  filesystem:\n    rootdirectory: /data\n  delete:\n    enabled: true\nhttp:\n  addr: :5000\n  \
         headers:\n    X-Content-Type-Options: [nosniff]\n  draintimeout: 60s\nhealth:\n  storagedriver:\n    enabled: true\n",
        &[("REGISTRY_HTTP_ADDR", "127.0.0.1:5001"), ("REGISTRY_PORT", "tcp://10.0.0.1:80"), ("HOME", "/")],
    )
    .unwrap();
    let config = loaded.config;
    assert_eq!(config.storage.root, PathBuf::from("/data"));
    assert!(config.storage.delete_enabled);
    assert_eq!(
        config.http.address,
        Address::One("127.0.0.1:5001".parse().unwrap())
    );
    assert_eq!(config.http.headers[0].0, "x-content-type-options");
    assert_eq!(config.http.drain_timeout, Duration::from_mins(1));
    let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "config.yml:4:3: `log.fields` has no effect: log lines carry no fixed fields",
            "config.yml:7:3: `storage.cache` has no effect: there is no cache to choose",
        ]
    );
}

#[test]
fn an_unknown_key_shows_its_place_and_the_nearest() {
    insta::assert_snapshot!(errors("storage:\n  filesytem:\n    rootdirectory: /x\n", &[]), @r"
    error: `storage.filesytem` is no key of the configuration
     --> config.yml:2:3
      |
    2 |   filesytem:
      |   ^^^^^^^^^
      |
      = help: did you mean `filesystem`?
    ");
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    insta::assert_snapshot!(errors("log:\n  level: loud\nhttp:\n  draintimeout: 5\n  tls:\n    key: k.pem\n", &[]), @r"
    error: `log.level` must be one of error, warn, info, debug
     --> config.yml:2:10
      |
    2 |   level: loud
      |          ^^^^
    error: `http.draintimeout` must be a duration such as 30s, 1m30s or 500ms
     --> config.yml:4:17
      |
    4 |   draintimeout: 5
      |                 ^
    error: `http.tls.key` needs `http.tls.certificate` beside it
     --> config.yml:6:5
      |
    6 |     key: k.pem
      |     ^^^
    ");
}

#[test]
fn what_is_not_offered_is_never_left_out_quietly() {
    insta::assert_snapshot!(errors("storage:\n  s3:\n    secretkey: open sesame\n", &[]), @r"
    error: `storage.s3` is not offered by this registry: data is kept in a folder of this machine
     --> config.yml:2:3
      |
    2 |   s3:
      |   ^^
      |
      = help: remove it if the registry shall run without it
    ");
    assert!(
        errors("", &[("REGISTRY_STORAGE_S3_BUCKET", "x")])
            .starts_with("error: `storage.s3` is not offered by this registry")
    );
    // A driver without settings is a choice all the same.
    assert!(errors("storage:\n  inmemory:\n", &[]).contains("`storage.inmemory` is not offered"));
}

#[test]
fn broken_yaml() {
    assert!(errors("a: [\n", &[]).contains("this is not YAML"));
    assert!(errors("- a\n", &[]).contains("a configuration is a mapping"));
    assert!(errors("log:\n  level: info\n  level: debug\n", &[]).contains("`level` is given twice"));
    assert!(errors("http: 5\n", &[]).contains("`http` holds further keys, not a value"));
    assert!(errors("http:\n  addr: [a, b]\n", &[]).contains("`http.addr` must be one value"));
    assert!(errors("a:\n- b: 1\n- c\n", &[]).contains("plain values or mappings, not both"));
    let empty = load_text("http:\n  addr:\n  headers: {}\nlog:\nloglevel: debug\n", &[]).unwrap();
    assert_eq!(empty.config.http.address, Address::Any(5000));
    assert_eq!(empty.config.log.level, tracing::Level::DEBUG);
}

#[test]
fn variables() {
    insta::assert_snapshot!(errors("", &[("REGISTRY_HTTP_ADDR", "x")]), @r"
    error: `http.addr` must be an address such as :5000, 127.0.0.1:5000 or [::1]:5000
     --> the environment's REGISTRY_HTTP_ADDR:1:1
      |
    1 | x
      | ^
    ");
    let loaded = load_text("", &[("REGISTRY_HTTP_ADDRESS", "x")]).unwrap();
    assert_eq!(loaded.warnings[0].hints, ["did you mean `REGISTRY_HTTP_ADDR`?"]);
    let loaded = load_text(
        "http:\n  addr: :1\n  headers:\n    A: [from the file, again]\n",
        &[
            (
                "REGISTRY_HTTP_HEADERS_Access-Control-Allow-Origin",
                "['*', \"x: y\"]",
            ),
            ("REGISTRY_HTTP_HEADERS_A_1", "from a variable"),
            ("REGISTRY_HTTP_HEADERS_A_2", "and another"),
            ("REGISTRY_HTTP", "{addr: ':2', host: 'http://a.example'}"),
            ("REGISTRY_HTTP_ADDR", "[::1]:3"),
            ("REGISTRY_HTTP_SECRET", "x"),
            ("REGISTRY_PORT", "tcp://10.0.0.1:80"),
        ],
    )
    .unwrap();
    let shown = show(&loaded.config);
    for line in ["  addr: '[::1]:3'\n", "  host: http://a.example\n"] {
        assert!(shown.contains(line), "{shown}");
    }
    assert!(
        shown.contains(
            "headers:\n    a:\n    - from the file\n    - from a variable\n    - and another\n    \
             access-control-allow-origin:\n    - '*'\n    - 'x: y'\n"
        ),
        "{shown}"
    );
    assert_eq!(loaded.warnings.len(), 1, "{:?}", loaded.warnings);
    assert!(errors("", &[("REGISTRY_HTTP_HEADERS_A_2", "x")]).contains("has no value 1 to come after"));
}

#[test]
fn no_message_shows_a_secret() {
    let shown = errors("http: {secret: hunter2hunter2, adr: x}\n", &[]);
    assert!(shown.contains("`http.adr` is no key"), "{shown}");
    assert!(shown.contains("***") && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn the_defaults_read_back_the_same() {
    reads_back(&Config::default());
}

/// `complete.yml` sets every key there is to something that is not the default.
#[test]
fn every_key_reads_back_the_same() {
    let source = Source::new("complete.yml", include_str!("complete.yml"));
    let (loaded, _, errors) = read(&source, []).unwrap();
    assert!(
        errors.is_empty() && loaded.warnings.is_empty(),
        "{errors:?} {:?}",
        loaded.warnings
    );
    let default = Config::default();
    // The version has one value, older names are shown by their newer ones.
    let others = [
        "version",
        "loglevel",
        "notifications.endpoints.[].ignoredmediatypes",
    ];
    for key in keys().filter(|key| !others.contains(&key.path)) {
        let shown = key.shown(&loaded.config);
        assert!(!shown.is_empty(), "complete.yml does not set `{}`", key.path);
        assert_ne!(
            shown,
            key.shown(&default),
            "complete.yml: `{}` is the default",
            key.path
        );
    }
    reads_back(&loaded.config);
}

#[track_caller]
fn reads_back(config: &Config) {
    let shown = show(config);
    // What stands for a secret is no secret.
    let text = shown.replace("'***'", "another");
    let (again, _, errors) =
        read(&Source::new("shown.yml", text), []).unwrap_or_else(|error| panic!("{shown}\n{error}"));
    assert!(errors.is_empty(), "{shown}\n{errors:?}");
    assert_eq!(show(&again.config), shown);
    assert_eq!(format!("{:?}", again.config), format!("{config:?}"));
}

#[test]
fn texts_are_shown_so_that_they_stay_texts() {
    for text in [
        "1.20", "true", "yes", "", "~", "a: b", "[x", "'", "1e3", " x ", "0x10", "#",
    ] {
        let mut config = Config::default();
        config.log.access_file = Some(text.into());
        let shown = show(&config);
        let source = Source::new("shown.yml", shown.as_str());
        let leaves = document::leaves(&source, &[]).unwrap();
        let leaf = leaves
            .iter()
            .find(|leaf| path::shown(&leaf.path) == "log.accesslog.file");
        let leaf = leaf.unwrap();
        assert_eq!((leaf.values[0].as_str(), leaf.null), (text, false), "{shown}");
    }
}

#[test]
fn what_only_a_restart_changes_is_kept_and_told() {
    let old = load_text("http:\n  addr: :1\n  host: http://a.example\n", &[])
        .unwrap()
        .config;
    let mut new = load_text(
        "http:\n  addr: :2\n  host: http://b.example\nstorage:\n  filesystem:\n    rootdirectory: /x\n",
        &[],
    )
    .unwrap()
    .config;
    let changed = keep_what_is_fixed(&mut new, &old);
    assert_eq!(changed, ["storage.filesystem.rootdirectory", "http.addr"]);
    assert_eq!(new.http.address, Address::Any(1));
    assert_eq!(new.http.host.as_deref(), Some("http://b.example"));
    assert!(keep_what_is_fixed(&mut new, &old).is_empty());
}

#[test]
fn keys_are_spelled_once() {
    let mut seen: Vec<&str> = keys().map(|key| key.path).collect();
    seen.extend(without_effect().chain(refused()).map(|(path, _)| path));
    for path in &seen {
        assert_eq!(seen.iter().filter(|other| *other == path).count(), 1, "{path}");
        assert!(!path.contains('_'), "{path}: a variable could not name it");
    }
}

/// `reference.yml` says of every key of distribution's what becomes of it.
#[test]
fn distribution_s_whole_reference() {
    let text = include_str!("reference.yml");
    let source = Source::new("reference.yml", text);
    let leaves = document::leaves(&source, &[]).unwrap();
    let mut told = Vec::new();
    for leaf in leaves.into_iter().map(Leaf::spelled_out) {
        let (mut loaded, mut errors) = (Loaded::default(), Vec::new());
        apply::apply(&leaf, &mut loaded, &mut errors);
        let path = path::shown(&leaf.path);
        let line = source.position(leaf.keys.last().unwrap().start()).line;
        let fate = match (&errors[..], &loaded.warnings[..]) {
            ([], []) => "taken",
            ([], [warning]) => {
                assert!(warning.message.contains("` has no effect: "), "{path}: {warning}");
                "no effect"
            }
            ([error], []) => {
                assert!(
                    error.message.contains("` is not offered by this registry: "),
                    "{path}: {error}"
                );
                "refused"
            }
            _ => panic!("{path}: {errors:?} {:?}", loaded.warnings),
        };
        // Where it is told is where it is written, or the group of it is.
        for diagnostic in errors.iter().chain(&loaded.warnings) {
            let shown = diagnostic.render(false);
            assert!(shown.contains(" --> reference.yml:"), "{shown}");
        }
        told.push((line, fate.to_owned(), path));
    }
    let lines = text.lines().zip(1..);
    let expected: Vec<(usize, String)> = lines
        .filter(|(line, _)| !line.starts_with('#'))
        .filter_map(|(line, number)| Some((number, line.split_once(" # ")?.1.to_owned())))
        .collect();
    let groups = text
        .lines()
        .filter(|line| line.ends_with(':') && !line.starts_with('#'))
        .count();
    assert_eq!(
        expected.len() + groups + 2,
        text.lines().count(),
        "a key without its fate"
    );
    for ((line, fate, path), expected) in told.iter().zip(&expected) {
        assert_eq!((*line, fate), (expected.0, &expected.1), "{path}");
    }
    assert_eq!(told.len(), expected.len());
}

#[test]
fn a_choice_may_be_its_name_alone() {
    let loaded = load_text("storage: filesystem\n", &[]).unwrap();
    assert_eq!(loaded.config.storage.root, PathBuf::from("/var/lib/registry"));
    // As people start distribution's image.
    let loaded = load_text(
        "",
        &[
            ("REGISTRY_AUTH", "htpasswd"),
            ("REGISTRY_AUTH_HTPASSWD_REALM", "Registry Realm"),
            ("REGISTRY_AUTH_HTPASSWD_PATH", "/auth/htpasswd"),
            ("REGISTRY_STORAGE", "filesystem"),
        ],
    )
    .unwrap();
    assert_eq!(loaded.config.auth.htpasswd.realm, "Registry Realm");
    insta::assert_snapshot!(errors("version: 0.1\nauth: silly\nstorage: s3\n", &[]), @r"
    error: `auth.silly` is not offered by this registry: it lets everybody in who sends anything
     --> config.yml:2:7
      |
    2 | auth: silly
      |       ^^^^^
      |
      = help: remove it if the registry shall run without it
    error: `storage.s3` is not offered by this registry: data is kept in a folder of this machine
     --> config.yml:3:10
      |
    3 | storage: s3
      |          ^^
      |
      = help: remove it if the registry shall run without it
    ");
    insta::assert_snapshot!(errors("auth: htpassword\nstorage: filesytem\n", &[]), @r"
    error: `auth.htpassword` is no key of the configuration
     --> config.yml:1:7
      |
    1 | auth: htpassword
      |       ^^^^^^^^^^
      |
      = help: did you mean `htpasswd`?
    error: `storage.filesytem` is no key of the configuration
     --> config.yml:2:10
      |
    2 | storage: filesytem
      |          ^^^^^^^^^
      |
      = help: did you mean `filesystem`?
    ");
    // Who chooses a way to log in is not left without one.
    for (text, environment, expected) in [
        (
            "auth: htpasswd\n",
            &[][..],
            "`auth.htpasswd` needs `auth.htpasswd.path`",
        ),
        (
            "auth:\n  htpasswd:\n    realm: x\n",
            &[],
            "`auth.htpasswd` needs `auth.htpasswd.path`",
        ),
        ("auth:\n  token:\n", &[], "`auth.token` needs `auth.token.realm`"),
        (
            "",
            &[("REGISTRY_AUTH", "tokenserver")],
            "`auth.tokenserver` needs `auth.tokenserver.enabled`",
        ),
    ] {
        let shown = errors(text, environment);
        assert!(shown.contains(expected), "{shown}");
    }
}

#[test]
fn aliases_and_merge_keys() {
    let shown = |text: &str| show(&load_text(text, &[]).unwrap().config);
    let written_out = shown(
        "http:\n  tls: {certificate: /c, key: /k}\n  debug: {addr: ':1'}\n  headers: {A: [x, y], B: [x, y]}\nhealth:\n  http:\n    \
         - {uri: 'http://a', interval: 5s, timeout: 2s}\n    - {uri: 'http://b', interval: 7s, timeout: 2s}\n",
    );
    let aliased = shown(
        "http:\n  tls: {certificate: /c, key: /k}\n  debug: {addr: &port ':1'}\n  headers: {A: &both [x, y], B: *both}\nhealth:\n  \
         http:\n    - &first {uri: 'http://a', interval: 5s, timeout: 2s}\n    - {<<: *first, uri: 'http://b', interval: 7s}\n",
    );
    assert_eq!(aliased, written_out);
    // What stands first in a list of mappings goes before; merged ones may merge others.
    let several = shown(
        "health:\n  tcp:\n    - &one {addr: 'a:1', timeout: 1s}\n    - &two {<<: *one, addr: 'b:2', interval: 2s}\n    - <<: [*two, \
         {threshold: 9, addr: 'z:1'}]\n      timeout: 3s\n",
    );
    let expected = shown(
        "health:\n  tcp:\n    - {addr: 'a:1', timeout: 1s}\n    - {addr: 'b:2', timeout: 1s, interval: 2s}\n    - {addr: 'b:2', \
         timeout: 3s, interval: 2s, threshold: 9}\n",
    );
    assert_eq!(several, expected);
    // A value that is wrong is shown where it is written.
    insta::assert_snapshot!(errors("http:\n  host: &there nowhere\nauth:\n  token: {realm: *there}\n", &[]), @r"
    error: `http.host` must be a URL such as https://registry.example
     --> config.yml:2:9
      |
    2 |   host: &there nowhere
      |         ^^^^^^^^^^^^^^
    error: `auth.token.realm` must be a URL such as https://registry.example
     --> config.yml:2:9
      |
    2 |   host: &there nowhere
      |         ^^^^^^^^^^^^^^
    ");
    for (text, expected) in [
        ("http: &a {headers: *a}\n", "what it is a part of"),
        ("http: *a\n", "this is not YAML"),
        ("http: {<<: 5}\n", "`<<` takes a mapping, or a list of them"),
        ("http: {<<: [5]}\n", "`<<` takes a mapping, or a list of them"),
        ("http: {<<: {adr: x}}\n", "`http.adr` is no key"),
    ] {
        let shown = errors(text, &[]);
        assert!(shown.contains(expected), "{text}: {shown}");
    }
    let deep = format!("http: {}x: 1{}\n", "{<<: ".repeat(50) + "{", "}".repeat(51));
    assert!(errors(&deep, &[]).contains("mappings are merged too deeply"));
    // Two aliases of two aliases of two...
    let doubled = (1..30).map(|level| {
        let before = level - 1;
        format!("a{level}: &a{level} {{x: *a{before}, y: *a{before}}}\n")
    });
    let bomb = "a0: &a0 {x: 1}\n".to_owned() + &doubled.collect::<String>();
    assert!(errors(&bomb, &[]).contains("aliases stand for too much here"));
}
