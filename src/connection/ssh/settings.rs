//! What is to be done to log in, put together from the run's options, `~/.ssh/config` and
//! `/etc/ssh/ssh_config`, in this order.
//!
//! Of the configuration's keywords these count: `HostName`, `Port`, `User`, `IdentityFile`, `ConnectTimeout`,
//! `StrictHostKeyChecking`, `UserKnownHostsFile`, `GlobalKnownHostsFile`, `PubkeyAuthentication`. `Match`
//! blocks are passed over as a whole. `ProxyJump` and `ProxyCommand` are refused, as the host would not be
//! reached without.

use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ssh2_config::{HostParams, ParseRule, SshConfig};

use crate::connection::SshOptions;
use crate::value::Secret;

/// What OpenSSH tries where nothing is configured.
const DEFAULT_KEYS: [&str; 3] = [".ssh/id_ed25519", ".ssh/id_ecdsa", ".ssh/id_rsa"];

/// Everything about a log-in, decided.
#[derive(Debug, Clone)]
pub struct Settings {
    /// As the inventory calls it; for messages.
    pub host: String,
    /// Name or address to connect to.
    pub address: String,
    pub port: u16,
    pub user: String,
    /// Private keys, in the order in which they are tried. Those that must be there come first.
    pub keys: Vec<PathBuf>,
    /// How many of `keys` were asked for explicitly: their absence is worth a word.
    pub named_keys: usize,
    pub passphrase: Option<Secret>,
    pub password: Option<Secret>,
    pub known_hosts: Vec<PathBuf>,
    pub host_key_checking: HostKeyChecking,
    pub timeout: Duration,
    pub keepalive: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostKeyChecking {
    Strict,
    /// A host that is not known is believed once and remembered.
    AcceptNew,
    Off,
}

/// The user's surroundings, as far as they matter here.
#[derive(Debug, Clone)]
pub struct Surroundings {
    pub home: Option<PathBuf>,
    pub user: String,
    /// Texts of the configuration files with their paths, the more important first.
    pub configuration: Vec<(PathBuf, String)>,
}

impl Surroundings {
    pub fn of_this_process() -> Self {
        let home = std::env::var_os("HOME")
            .map(PathBuf::from)
            .filter(|home| home.is_absolute());
        let mut files = Vec::new();
        files.extend(home.as_ref().map(|home| home.join(".ssh/config")));
        files.push("/etc/ssh/ssh_config".into());
        let configuration = files
            .into_iter()
            .filter_map(|path| {
                let text = std::fs::read_to_string(&path).ok()?;
                Some((path, text))
            })
            .collect();
        Self {
            home,
            user: local_user(),
            configuration,
        }
    }
}

/// The name of whoever runs this: what a log-in uses if nothing else is said.
fn local_user() -> String {
    let uid = rustix::process::getuid().as_raw().to_string();
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let listed = accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid).then(|| name.to_owned())
    });
    listed
        .or_else(|| std::env::var("USER").ok())
        .unwrap_or_else(|| "root".to_owned())
}

impl Settings {
    pub fn new(options: &SshOptions, surroundings: &Surroundings) -> Result<Self, String> {
        let mut parameters: Vec<HostParams> = Vec::new();
        for (path, text) in &surroundings.configuration {
            parameters.push(query(text, &options.host, surroundings).map_err(|error| {
                format!(
                    "{} cannot be read as an SSH configuration: {error}",
                    path.display()
                )
            })?);
        }
        refuse_proxies(&parameters)?;
        let home = surroundings.home.as_deref();
        let keyword = |name: &str| {
            parameters
                .iter()
                .find_map(|parameters| parameters.unsupported_fields.get(name))
        };
        let first = |name| keyword(name).and_then(|words| words.first()).cloned();
        let address = find(&parameters, |of| of.host_name.clone())
            .map_or_else(|| options.host.clone(), |name| name.replace("%h", &options.host));
        let user = options
            .user
            .clone()
            .or_else(|| find(&parameters, |of| of.user.clone()))
            .unwrap_or_else(|| surroundings.user.clone());

        let mut keys: Vec<PathBuf> = options
            .private_key
            .iter()
            .map(|path| expand(path, home))
            .collect();
        let public_keys = find(&parameters, |of| of.pubkey_authentication) != Some(false);
        if public_keys {
            let configured = parameters
                .iter()
                .filter_map(|of| of.identity_file.as_ref())
                .flatten();
            keys.extend(configured.map(|path| {
                let text = path
                    .to_string_lossy()
                    .replace("%h", &address)
                    .replace("%r", &user);
                expand(Path::new(&text), home)
            }));
        }
        let named_keys = keys.len();
        if let Some(home) = home.filter(|_| public_keys && named_keys == 0) {
            keys.extend(DEFAULT_KEYS.map(|key| home.join(key)));
        }

        let files = |name, defaults: Vec<PathBuf>| match keyword(name) {
            Some(words) => words.iter().map(|word| expand(Path::new(word), home)).collect(),
            None => defaults,
        };
        let in_home = |name: &str| home.map(|home| home.join(name)).into_iter().collect();
        let known_hosts = match &options.known_hosts {
            Some(path) => vec![expand(path, home)],
            None => [
                files("userknownhostsfile", in_home(".ssh/known_hosts")),
                files("globalknownhostsfile", vec!["/etc/ssh/ssh_known_hosts".into()]),
            ]
            .concat(),
        };
        let host_key_checking = match first("stricthostkeychecking").as_deref() {
            _ if !options.host_key_checking => HostKeyChecking::Off,
            Some("no" | "off") => HostKeyChecking::Off,
            Some("accept-new") => HostKeyChecking::AcceptNew,
            _ => HostKeyChecking::Strict,
        };
        Ok(Self {
            host: options.host.clone(),
            address,
            port: options
                .port
                .or_else(|| find(&parameters, |of| of.port))
                .unwrap_or(22),
            user,
            keys,
            named_keys,
            passphrase: options.private_key_passphrase.clone(),
            password: options.password.clone(),
            known_hosts,
            host_key_checking,
            timeout: find(&parameters, |of| of.connect_timeout).unwrap_or(options.timeout),
            keepalive: options.keepalive,
        })
    }

    /// The file that a new host's key would be written to.
    pub fn own_known_hosts(&self) -> &Path {
        self.known_hosts
            .first()
            .map_or(Path::new("~/.ssh/known_hosts"), PathBuf::as_path)
    }
}

fn find<T>(parameters: &[HostParams], field: impl Fn(&HostParams) -> Option<T>) -> Option<T> {
    parameters.iter().find_map(field)
}

fn query(text: &str, host: &str, surroundings: &Surroundings) -> Result<HostParams, String> {
    let mut config = SshConfig::default();
    if let Some(home) = &surroundings.home {
        config = config.home_dir(home);
    }
    let rules = ParseRule::ALLOW_UNKNOWN_FIELDS | ParseRule::ALLOW_UNSUPPORTED_FIELDS;
    config
        .parse(&mut BufReader::new(without_match(text).as_bytes()), rules)
        .map(|config| config.query(host))
        .map_err(|error| error.to_string())
}

/// The parser would take what a `Match` block says as said of the `Host` before it.
fn without_match(text: &str) -> String {
    let mut inside = false;
    let mut kept = String::with_capacity(text.len());
    for line in text.lines() {
        let keyword = line
            .split(|c: char| c.is_whitespace() || c == '=')
            .find(|word| !word.is_empty())
            .unwrap_or_default()
            .to_ascii_lowercase();
        match keyword.as_str() {
            "match" => inside = true,
            "host" => inside = false,
            _ => {}
        }
        if !inside {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

fn refuse_proxies(parameters: &[HostParams]) -> Result<(), String> {
    let jump = find(parameters, |of| of.proxy_jump.clone()).map(|hosts| hosts.join(","));
    let command = find(parameters, |of| {
        of.unsupported_fields
            .get("proxycommand")
            .map(|words| words.join(" "))
    });
    match jump.or(command) {
        Some(proxy) if proxy != "none" => Err(format!(
            "the SSH configuration leads to it by a proxy ({proxy}), which is not supported: run regdeploy on \
             a machine that reaches it directly"
        )),
        _ => Ok(()),
    }
}

fn expand(path: &Path, home: Option<&Path>) -> PathBuf {
    match (path.strip_prefix("~"), home) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(host: &str) -> SshOptions {
        SshOptions {
            host: host.to_owned(),
            port: None,
            user: None,
            password: None,
            private_key: None,
            private_key_passphrase: None,
            host_key_checking: true,
            known_hosts: None,
            timeout: Duration::from_secs(10),
            keepalive: Duration::from_secs(15),
        }
    }

    fn surroundings(text: &str) -> Surroundings {
        Surroundings {
            home: Some("/home/me".into()),
            user: "me".to_owned(),
            configuration: vec![("config".into(), text.to_owned())],
        }
    }

    fn settings(options: &SshOptions, text: &str) -> Settings {
        Settings::new(options, &surroundings(text)).unwrap()
    }

    #[test]
    fn defaults() {
        let settings = settings(&options("web"), "");
        assert_eq!((settings.address.as_str(), settings.port), ("web", 22));
        assert_eq!(settings.user, "me");
        assert_eq!(settings.keys.len(), 3);
        assert_eq!(settings.named_keys, 0);
        assert_eq!(settings.own_known_hosts(), Path::new("/home/me/.ssh/known_hosts"));
        assert_eq!(settings.host_key_checking, HostKeyChecking::Strict);
    }

    #[test]
    fn the_configuration_counts_and_options_win() {
        let text = "Host web\n  HostName 192.0.2.7\n  Port 2222\n  User deploy\n  IdentityFile ~/.ssh/lab\n  \
                    ConnectTimeout 3\n  StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n\
                    Match host web\n  User wrong\nHost *\n  User nobody\n";
        let settings = settings(&options("web"), text);
        assert_eq!((settings.address.as_str(), settings.port), ("192.0.2.7", 2222));
        assert_eq!(settings.user, "deploy");
        assert_eq!(settings.keys, [PathBuf::from("/home/me/.ssh/lab")]);
        assert_eq!(settings.named_keys, 1);
        assert_eq!(settings.timeout, Duration::from_secs(3));
        assert_eq!(settings.host_key_checking, HostKeyChecking::Off);
        assert_eq!(settings.own_known_hosts(), Path::new("/dev/null"));

        let mut options = options("web");
        options.user = Some("root".to_owned());
        options.port = Some(22);
        options.private_key = Some("~/key".into());
        let settings = self::settings(&options, text);
        assert_eq!((settings.user.as_str(), settings.port), ("root", 22));
        assert_eq!(settings.keys[0], Path::new("/home/me/key"));
    }

    #[test]
    fn a_proxy_is_refused_rather_than_passed_over() {
        for line in ["ProxyJump gate", "ProxyCommand nc %h %p"] {
            let error =
                Settings::new(&options("web"), &surroundings(&format!("Host *\n  {line}\n"))).unwrap_err();
            assert!(error.contains("by a proxy"), "{error}");
        }
    }
}
