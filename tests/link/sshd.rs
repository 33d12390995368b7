//! An sshd of our own, on a loopback port, with keys made for the occasion.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use regdeploy::connection::{SshOptions, Transport};
use tempfile::TempDir;

pub struct Sshd {
    process: Child,
    pub port: u16,
    pub folder: TempDir,
}

pub fn keygen(path: &Path, kind: &str) {
    let status = Command::new("ssh-keygen")
        .args(["-q", "-N", "", "-t", kind, "-f"])
        .arg(path)
        .status()
        .expect("ssh-keygen (package openssh-client)");
    assert!(status.success());
}

impl Sshd {
    /// Knows root by the key `user`; shows `host_ed25519` and `host_rsa`. The home of whoever logs in is
    /// `home` in its folder.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        keygen(&path("host_ed25519"), "ed25519");
        keygen(&path("host_rsa"), "rsa");
        keygen(&path("user"), "ed25519");
        keygen(&path("stranger"), "ed25519");
        fs::copy(path("user.pub"), path("authorized_keys")).unwrap();
        fs::create_dir(path("home")).unwrap();
        let (process, port) = launch(folder.path());
        let sshd = Self {
            process,
            port,
            folder,
        };
        sshd.know(&["host_ed25519.pub"]);
        sshd
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes the `known_hosts` file: these public keys are the host's.
    pub fn know(&self, keys: &[&str]) {
        let lines: String = keys
            .iter()
            .map(|key| {
                let text = fs::read_to_string(self.path(key)).unwrap();
                format!("[127.0.0.1]:{} {text}", self.port)
            })
            .collect();
        fs::write(self.path("known_hosts"), lines).unwrap();
    }

    /// With root's key. What is read from `~/.ssh/config` is this sshd's `known_hosts`.
    pub fn options(&self) -> SshOptions {
        SshOptions {
            host: "127.0.0.1".to_owned(),
            port: Some(self.port),
            user: Some("root".to_owned()),
            password: None,
            private_key: Some(self.path("user")),
            private_key_passphrase: None,
            host_key_checking: true,
            known_hosts: Some(self.path("known_hosts")),
            timeout: Duration::from_secs(10),
            keepalive: Duration::from_secs(2),
        }
    }

    pub fn transport(&self) -> Transport {
        Transport::Ssh(self.options())
    }

    /// Sends a signal to every session. One that has just ended is none.
    pub fn kill_sessions(&self, signal: &str) {
        let children = format!("/proc/{0}/task/{0}/children", self.process.id());
        for pid in fs::read_to_string(children)
            .unwrap_or_default()
            .split_whitespace()
        {
            let _ = Command::new("kill")
                .args([signal, pid])
                .stderr(Stdio::null())
                .status();
        }
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        // Sessions first: they outlive the listener.
        self.kill_sessions("-KILL");
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn launch(folder: &Path) -> (Child, u16) {
    // sshd wants this folder, which Debian's service makes at boot.
    fs::create_dir_all("/run/sshd").unwrap();
    // Another process may take the port in between: then sshd says so and ends.
    for _ in 0..10 {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let folder_name = folder.display();
        fs::write(
            folder.join("sshd_config"),
            format!(
                "Port {port}\nListenAddress 127.0.0.1\nHostKey {folder_name}/host_ed25519\n\
                 HostKey {folder_name}/host_rsa\nPidFile none\nStrictModes no\nUsePAM no\n\
                 PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n\
                 AuthorizedKeysFile {folder_name}/authorized_keys\nMaxStartups 100\n\
                 SetEnv HOME={folder_name}/home XDG_CACHE_HOME={folder_name}/home/.cache\n"
            ),
        )
        .unwrap();
        let mut process = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f"])
            .arg(folder.join("sshd_config"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.join("log")).unwrap())
            .spawn()
            .expect("sshd (package openssh-server)");
        let patience = Instant::now() + Duration::from_secs(10);
        while Instant::now() < patience {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return (process, port);
            }
            if process.try_wait().unwrap().is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = process.kill();
    }
    panic!("{}", fs::read_to_string(folder.join("log")).unwrap());
}
