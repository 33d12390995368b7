//! Configurations as people write them.

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
            "config.yml:18:1: `health` has no effect: the storage is checked by its use",
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
fn access_control_is_never_left_out_quietly() {
    insta::assert_snapshot!(errors("auth:\n  htpasswd:\n    path: /etc/users\n", &[]), @r"
    error: `auth` is not offered by this registry
     --> config.yml:1:1
      |
    1 | auth:
      | ^^^^
      |
      = help: remove it if the registry shall run without it
    ");
    assert_eq!(
        errors("", &[("REGISTRY_AUTH_HTPASSWD_PATH", "/x")]),
        "error: the environment's REGISTRY_AUTH_HTPASSWD_PATH: `auth` is not offered by this registry"
    );
}

#[test]
fn broken_yaml_and_bad_variables() {
    assert!(errors("a: [\n", &[]).contains("this is not YAML"));
    assert!(errors("- a\n", &[]).contains("a configuration is a mapping"));
    assert!(errors("log:\n  level: info\n  level: debug\n", &[]).contains("`level` is given twice"));
    assert_eq!(
        errors("", &[("REGISTRY_HTTP_ADDR", "x")]),
        "error: the environment's REGISTRY_HTTP_ADDR must be an address such as :5000, 127.0.0.1:5000 or [::1]:5000, \
         not \"x\""
    );
    let loaded = load_text("", &[("REGISTRY_HTTP_ADDRESS", "x")]).unwrap();
    assert_eq!(loaded.warnings[0].hints, ["did you mean `REGISTRY_HTTP_ADDR`?"]);
}

#[test]
fn what_is_shown_reads_back_the_same() {
    let mut config = Config::default();
    config.http.host = Some("https://a.example:1/".to_owned());
    config.http.certificate = Some("/a b/c.pem".into());
    config.http.key = Some("/k.pem".into());
    config.http.headers = vec![(
        HeaderName::from_static("x-a"),
        HeaderValue::from_static("b: \"c\""),
    )];
    config.log.access_file = Some("/log".into());
    let shown = show(&config);
    let again = load_text(&shown, &[]).unwrap_or_else(|errors| panic!("{shown}\n{errors:?}"));
    assert_eq!(show(&again.config), shown);
    assert_eq!(format!("{:?}", again.config), format!("{config:?}"));
}

#[test]
fn the_documentation_names_every_key() {
    let page = include_str!("../../../docs/registry.md");
    for key in KEYS {
        assert!(
            page.contains(&format!("`{}`", key.path)),
            "{} is not in docs/registry.md",
            key.path
        );
    }
}
