//! podman, buildah and containerd, as people use them: build, push, mount, pull, lists for several platforms, and
//! the same digests everywhere. Through every door that a registry has.
//!
//! Debian's packages; a machine without them fails these tests. Docker's engine is in `lab`.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::clients::{with_tls, with_tls_and};
use super::server::{OCI_INDEX, Server};

/// A registry, and what clients need to be let in.
pub struct Door {
    pub server: Server,
    /// The folder with the certificate that is to be trusted, where TLS is spoken.
    pub trust: Option<tempfile::TempDir>,
    /// `user:password`, where one has to say who one is.
    pub login: Option<&'static str>,
    _users: Option<tempfile::TempDir>,
}

const LOGIN: &str = "alice:correct horse";

/// The ways in. Each client is tried through each.
pub fn doors() -> Vec<Door> {
    let door = |server, trust, users: Option<tempfile::TempDir>| Door {
        server,
        trust,
        login: users.is_some().then_some(LOGIN),
        _users: users,
    };
    let (user, password) = LOGIN.split_once(':').unwrap();
    let users = || {
        let folder = tempfile::tempdir().unwrap();
        let line = format!("{user}:{}\n", bcrypt::hash(password, 4).unwrap());
        std::fs::write(folder.path().join("htpasswd"), line).unwrap();
        let section = format!(
            "auth:\n  htpasswd:\n    path: {}/htpasswd\n",
            folder.path().display()
        );
        (folder, section)
    };
    let (secure, trust) = with_tls();
    let (basic, with_passwords) = users();
    let (bearer, section) = users();
    let with_tokens = format!("{section}  tokenserver:\n    enabled: true\n");
    let (tokens, trust_of_tokens) = with_tls_and(&with_tokens);
    vec![
        door(Server::start(), None, None),
        door(secure, Some(trust), None),
        door(Server::with(&with_passwords), None, Some(basic)),
        door(tokens, Some(trust_of_tokens), Some(bearer)),
    ]
}

impl Door {
    pub fn name(&self, repository: &str) -> String {
        format!("{}/{repository}", self.server.address)
    }

    /// Flags of podman, buildah and skopeo.
    pub fn flags(&self) -> Vec<String> {
        self.flags_of("")
    }

    /// The same with `src-` or `dest-`, where one command has both.
    pub fn flags_of(&self, side: &str) -> Vec<String> {
        let mut flags = match &self.trust {
            None => vec![format!("--{side}tls-verify=false")],
            Some(trust) => vec![format!("--{side}cert-dir"), trust.path().display().to_string()],
        };
        if let Some(login) = self.login {
            flags.push(format!("--{side}creds={login}"));
        }
        flags
    }

    /// Flags of containerd's `ctr`. Without being told it takes a loopback address to speak plain HTTP.
    fn ctr_flags(&self) -> Vec<String> {
        let mut flags = match &self.trust {
            None => vec!["--plain-http".to_owned()],
            Some(trust) => {
                let hosts = trust.path().join("hosts");
                let host = hosts.join(self.server.address.to_string());
                std::fs::create_dir_all(&host).unwrap();
                let (url, at) = (format!("https://{}", self.server.address), trust.path().display());
                let text = format!("server = \"{url}\"\n[host.\"{url}\"]\n  ca = \"{at}/ca.crt\"\n");
                std::fs::write(host.join("hosts.toml"), text).unwrap();
                vec!["--hosts-dir".to_owned(), hosts.display().to_string()]
            }
        };
        if let Some(login) = self.login {
            flags.extend(["--user".to_owned(), login.to_owned()]);
        }
        flags
    }

    /// What the registry itself says of a reference.
    pub fn digest(&self, repository: &str, reference: &str) -> String {
        let url = match &self.trust {
            None => format!("http://{}", self.server.address),
            Some(_) => format!("https://{}", self.server.address),
        };
        let url = format!("{url}/v2/{repository}/manifests/{reference}");
        let mut command = Command::new("curl");
        command.args(["-sSfI", &url]);
        if let Some(trust) = &self.trust {
            command.arg("--cacert").arg(trust.path().join("ca.crt"));
        }
        if let Some(login) = self.login {
            command.args(["-u", login]);
        }
        let head = run(&mut command).to_ascii_lowercase();
        let line = head
            .lines()
            .find_map(|line| line.strip_prefix("docker-content-digest: "));
        line.unwrap_or_else(|| panic!("{head}")).trim().to_owned()
    }
}

/// Runs to the end and gives what was printed.
#[track_caller]
pub fn run(command: &mut Command) -> String {
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A folder to build from.
fn context(folder: &Path, content: &str) -> String {
    let context = folder.join(format!("context-{content}"));
    std::fs::create_dir_all(&context).unwrap();
    std::fs::write(
        context.join("Containerfile"),
        "FROM scratch\nCOPY file /file\nLABEL a=b\n",
    )
    .unwrap();
    std::fs::write(context.join("file"), content).unwrap();
    context.display().to_string()
}

/// podman or buildah with a storage and registries of their own, that needs nothing of the machine.
pub struct Tool {
    program: &'static str,
    folder: tempfile::TempDir,
}

impl Tool {
    pub fn new(program: &'static str) -> Self {
        let tool = Self {
            program,
            folder: tempfile::tempdir().unwrap(),
        };
        tool.registries("");
        tool
    }

    /// Further lines of its `registries.conf`.
    pub fn registries(&self, lines: &str) {
        let text = format!("unqualified-search-registries = []\n{lines}");
        std::fs::write(self.folder.path().join("registries.conf"), text).unwrap();
    }

    #[track_caller]
    pub fn run(&self, arguments: &[&str], flags: &[String], names: &[&str]) -> String {
        let mut command = Command::new(self.program);
        let at = self.folder.path();
        command
            .env("CONTAINERS_REGISTRIES_CONF", at.join("registries.conf"))
            .arg("--root")
            .arg(at.join("root"))
            .arg("--runroot")
            .arg(at.join("run"));
        command.args(["--storage-driver", "vfs"]);
        if self.program == "podman" {
            command.arg("--tmpdir").arg(at.join("tmp"));
            command.args(["--events-backend", "file", "--cgroup-manager", "cgroupfs"]);
        }
        run(command.args(arguments).args(flags).args(names))
    }

    /// Builds an image without a network or a container of its own.
    fn build(&self, context: &str, name: &str) {
        let build = [
            "build",
            "-q",
            "--network",
            "host",
            "--isolation",
            "chroot",
            "-t",
            name,
        ];
        self.run(&build, &[], &[context]);
    }

    /// Pushes and returns the digest that the client has counted.
    fn push(&self, door: &Door, arguments: &[&str], names: &[&str]) -> String {
        let file = self.folder.path().join("digest");
        let file = file.display().to_string();
        self.run(
            &[arguments, &["--digestfile", &file]].concat(),
            &door.flags(),
            names,
        );
        std::fs::read_to_string(&file).unwrap()
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        // Storage of containers has places that only its owner takes away.
        let _ = Command::new(self.program)
            .arg("--root")
            .arg(self.folder.path().join("root"))
            .arg("--runroot")
            .arg(self.folder.path().join("run"))
            .args(["--storage-driver", "vfs", "rmi", "--all", "--force"])
            .output();
    }
}

#[test]
fn podman() {
    for door in doors() {
        let tool = Tool::new("podman");
        let (one, two) = (door.name("tools/podman:v1"), door.name("tools/other:v1"));
        for (name, content) in [(&one, "one"), (&two, "two")] {
            let context = context(tool.folder.path(), content);
            tool.build(&context, name);
            tool.push(&door, &["push", "-q"], &[name]);
        }
        let digest = tool.push(&door, &["push", "-q"], &[&one]);
        assert_eq!(door.digest("tools/podman", "v1"), digest);

        // Its layers are there: podman mounts them.
        let mounted = door.name("tools/mounted:v1");
        tool.run(&["tag", &one, &mounted], &[], &[]);
        assert_eq!(tool.push(&door, &["push", "-q"], &[&mounted]), digest);
        let log = std::fs::read_to_string(door.server.folder.path().join("access.log")).unwrap();
        let mount = log
            .lines()
            .find(|line| line.contains("mount=") && line.contains("status=201"));
        assert!(mount.is_some(), "nothing was mounted: {log}");

        let docker = tool.push(
            &door,
            &["push", "-q", "--format", "v2s2"],
            &[&one, &format!("docker://{}", door.name("tools/docker:v1"))],
        );
        assert_eq!(door.digest("tools/docker", "v1"), docker);

        // A list for two platforms.
        tool.run(&["manifest", "create", "list"], &[], &[]);
        for (architecture, name) in [("amd64", &one), ("arm64", &two)] {
            let add = ["manifest", "add", "--arch", architecture];
            tool.run(&add, &door.flags(), &["list", &format!("docker://{name}")]);
        }
        let list = format!("docker://{}", door.name("tools/list:v1"));
        let digest_of_list = tool.push(&door, &["manifest", "push", "-q", "--all"], &["list", &list]);
        assert_eq!(door.digest("tools/list", "v1"), digest_of_list);

        tool.run(&["rmi", "--all", "--force"], &[], &[]);
        tool.run(&["pull", "-q"], &door.flags(), &[&mounted]);
        let pulled = tool.run(
            &["image", "inspect", "--format", "{{.Digest}}", &mounted],
            &[],
            &[],
        );
        assert_eq!(pulled, digest);
        tool.run(
            &["pull", "-q", "--arch", "arm64"],
            &door.flags(),
            &[&door.name("tools/list:v1")],
        );
    }
}

#[test]
fn buildah() {
    for door in doors() {
        let tool = Tool::new("buildah");
        let name = door.name("tools/buildah:v1");
        let container = tool.run(&["from", "scratch"], &[], &[]);
        let file = format!("{}/file", context(tool.folder.path(), "built"));
        tool.run(&["copy", "-q", &container, &file, "/file"], &[], &[]);
        tool.run(&["config", "--label", "by=buildah", &container], &[], &[]);
        tool.run(&["commit", "-q", &container, &name], &[], &[]);
        let digest = tool.push(&door, &["push", "-q"], &[&name]);
        assert_eq!(door.digest("tools/buildah", "v1"), digest);
        let docker = format!("docker://{}", door.name("tools/buildah:docker"));
        let as_docker = tool.push(&door, &["push", "-q", "--format", "v2s2"], &[&name, &docker]);
        assert_eq!(door.digest("tools/buildah", "docker"), as_docker);

        tool.run(&["rm", &container], &[], &[]);
        tool.run(&["rmi", "--all", "--force"], &[], &[]);
        tool.run(&["pull", "-q"], &door.flags(), &[&name]);
        let inspect = [
            "inspect",
            "--type",
            "image",
            "--format",
            "{{.FromImageDigest}}",
            &name,
        ];
        assert_eq!(tool.run(&inspect, &[], &[]), digest);
        // And on top of what was pulled.
        let from = tool.run(&["from", "--pull-always"], &door.flags(), &[&name]);
        tool.run(&["rm", &from], &[], &[]);
    }
}

/// A containerd of one's own.
pub struct Containerd {
    child: Child,
    folder: tempfile::TempDir,
}

impl Containerd {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().display();
        let config = format!(
            "version = 2\nroot = \"{at}/root\"\nstate = \"{at}/state\"\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n\
             [grpc]\n  address = \"{at}/socket\"\n"
        );
        std::fs::write(folder.path().join("config.toml"), config).unwrap();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let child = Command::new("containerd")
            .arg("--config")
            .arg(folder.path().join("config.toml"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("containerd is installed");
        let containerd = Self { child, folder };
        let start = Instant::now();
        while !containerd
            .command(&["version"])
            .output()
            .is_ok_and(|output| output.status.success())
        {
            assert!(
                start.elapsed() < Duration::from_secs(30),
                "containerd does not answer"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        containerd
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("ctr");
        command.arg("--address").arg(self.folder.path().join("socket"));
        command.args(["--namespace", "test"]).args(arguments);
        command
    }

    #[track_caller]
    fn run(&self, arguments: &[&str], flags: &[String], name: &str) -> String {
        run(self.command(arguments).args(flags).arg(name))
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.child.wait();
    }
}

#[test]
fn containerd() {
    let containerd = Containerd::start();
    for door in doors() {
        // Two platforms, by another client.
        let tool = Tool::new("podman");
        tool.run(&["manifest", "create", "list"], &[], &[]);
        for architecture in ["amd64", "arm64"] {
            let name = door.name(&format!("made/{architecture}:v1"));
            let context = context(tool.folder.path(), architecture);
            tool.build(&context, &name);
            tool.push(&door, &["push", "-q"], &[&name]);
            let add = ["manifest", "add", "--arch", architecture];
            tool.run(&add, &door.flags(), &["list", &format!("docker://{name}")]);
        }
        let (list, pushed) = (door.name("made/list:v1"), door.name("by/ctr:v1"));
        let digest = tool.push(
            &door,
            &["manifest", "push", "-q", "--all"],
            &["list", &format!("docker://{list}")],
        );

        let pull = ["images", "pull", "--snapshotter", "native", "--all-platforms"];
        containerd.run(&pull, &door.ctr_flags(), &list);
        run(&mut containerd.command(&["images", "tag", &list, &pushed]));
        containerd.run(&["images", "push"], &door.ctr_flags(), &pushed);
        assert_eq!(door.digest("by/ctr", "v1"), digest);
        for name in [&list, &pushed] {
            run(&mut containerd.command(&["images", "rm", "--sync", name]));
        }
        containerd.run(
            &["content", "fetch", "--all-platforms"],
            &door.ctr_flags(),
            &pushed,
        );
        let listed = run(&mut containerd.command(&["images", "ls"]));
        assert!(listed.contains(OCI_INDEX) && listed.contains(&digest), "{listed}");
        run(&mut containerd.command(&["images", "rm", "--sync", &pushed]));
    }
}
