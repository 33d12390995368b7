//! Every crash point, on a real file system: the machine dies at its n-th change, for every n.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::*;
use crate::modules::{AnyModule, Mode, entry};
use crate::system::local::Local;
use crate::system::{
    CommandOutput, Connection, DigestAlgorithm, Group, HttpRequest, HttpResponse, Metadata, Reply, Result,
    SystemError, User,
};

/// The real machine, with services that are only pretended, which dies after so many changes.
struct Mortal {
    machine: Local,
    left: Cell<usize>,
    dead: Cell<bool>,
    exchanges: bool,
    running: RefCell<Vec<String>>,
}

impl Mortal {
    fn new(changes: usize, exchanges: bool, running: &[String]) -> Self {
        Self {
            machine: Local::new(BTreeMap::new()),
            left: Cell::new(changes),
            dead: Cell::new(false),
            exchanges,
            running: RefCell::new(running.to_vec()),
        }
    }

    /// Lets one more change happen, or dies. The last breath is `halfway`.
    fn live(&self, halfway: impl FnOnce()) -> Result<()> {
        if self.left.get() == 0 {
            if !self.dead.replace(true) {
                halfway();
            }
            return Err(SystemError::new("live", "on", io::ErrorKind::Other.into()));
        }
        self.left.set(self.left.get() - 1);
        Ok(())
    }

    fn systemctl(&self, verb: &str, name: &str) -> CommandOutput {
        let mut running = self.running.borrow_mut();
        let was = running.iter().any(|known| known == name);
        match verb {
            "start" if !was => running.push(name.to_owned()),
            "stop" => running.retain(|known| known != name),
            _ => {}
        }
        CommandOutput {
            code: if verb == "is-active" && !was { 3 } else { 0 },
            ..CommandOutput::default()
        }
    }
}

/// Some of a tree is gone when the machine dies while removing it.
fn remove_one(path: &Path) {
    if let Some(Ok(first)) = fs::read_dir(path).ok().and_then(|mut entries| entries.next())
        && fs::remove_file(first.path()).is_err()
    {
        let _ = fs::remove_dir_all(first.path());
    }
}

impl System for Mortal {
    fn metadata(&self, path: &Path, follow: Follow) -> Result<Option<Metadata>> {
        if path == Path::new("/run/systemd/system") {
            return self.machine.metadata(Path::new("/"), follow);
        }
        self.machine.metadata(path, follow)
    }
    fn read(&self, path: &Path) -> Result<Vec<u8>> {
        self.machine.read(path)
    }
    fn open(&self, path: &Path) -> Result<Box<dyn Read + Send>> {
        self.machine.open(path)
    }
    fn read_part(&self, path: &Path, offset: u64, length: usize) -> Result<Vec<u8>> {
        self.machine.read_part(path, offset, length)
    }
    fn read_dir(&self, path: &Path) -> Result<Vec<PathBuf>> {
        self.machine.read_dir(path)
    }
    fn read_link(&self, path: &Path) -> Result<PathBuf> {
        self.machine.read_link(path)
    }
    fn canonicalize(&self, path: &Path) -> Result<PathBuf> {
        self.machine.canonicalize(path)
    }
    fn digest(&self, path: &Path, algorithm: DigestAlgorithm) -> Result<String> {
        self.machine.digest(path, algorithm)
    }
    fn xattrs(&self, path: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
        self.machine.xattrs(path)
    }
    fn access(&self, path: &Path) -> Result<(bool, bool, bool)> {
        self.machine.access(path)
    }
    fn write(&self, path: &Path, content: &mut dyn Read, attributes: Attributes) -> Result<()> {
        self.live(|| {})?;
        self.machine.write(path, content, attributes)
    }
    fn overwrite(&self, path: &Path, content: &mut dyn Read) -> Result<()> {
        self.machine.overwrite(path, content)
    }
    fn create_dir(&self, path: &Path, mode: u32) -> Result<()> {
        self.live(|| {})?;
        self.machine.create_dir(path, mode)
    }
    fn remove_file(&self, path: &Path) -> Result<()> {
        self.live(|| {})?;
        self.machine.remove_file(path)
    }
    fn remove_tree(&self, path: &Path) -> Result<()> {
        self.live(|| remove_one(path))?;
        self.machine.remove_tree(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.live(|| {})?;
        self.machine.rename(from, to)
    }
    fn exchange(&self, from: &Path, to: &Path) -> Result<()> {
        if !self.exchanges {
            return Err(SystemError::path(
                "exchange",
                from,
                io::ErrorKind::InvalidInput.into(),
            ));
        }
        self.live(|| {})?;
        self.machine.exchange(from, to)
    }
    fn symlink(&self, target: &Path, link: &Path) -> Result<()> {
        self.live(|| {})?;
        self.machine.symlink(target, link)
    }
    fn hard_link(&self, target: &Path, link: &Path) -> Result<()> {
        self.machine.hard_link(target, link)
    }
    fn set_attributes(&self, path: &Path, attributes: Attributes, follow: Follow) -> Result<()> {
        self.machine.set_attributes(path, attributes, follow)
    }
    fn set_times(
        &self,
        path: &Path,
        accessed: Option<SystemTime>,
        modified: Option<SystemTime>,
    ) -> Result<()> {
        self.machine.set_times(path, accessed, modified)
    }
    fn set_xattr(&self, path: &Path, name: &str, value: &[u8]) -> Result<()> {
        self.machine.set_xattr(path, name, value)
    }
    fn converse(
        &self,
        command: &Command,
        echo: bool,
        answer: &mut dyn FnMut(&[u8]) -> Reply,
    ) -> Result<CommandOutput> {
        self.machine.converse(command, echo, answer)
    }
    fn run(&self, command: &Command) -> Result<CommandOutput> {
        let argv: Vec<&str> = command.argv.iter().map(String::as_str).collect();
        if let ["systemctl", "is-active", .., name] = argv.as_slice() {
            return Ok(self.systemctl("is-active", name));
        }
        self.live(|| {
            if let ["cp", .., to] = argv.as_slice() {
                fs::create_dir(to).unwrap();
                fs::write(Path::new(to).join("half"), "of a file").unwrap();
            }
        })?;
        match argv.as_slice() {
            ["systemctl", verb, .., name] => Ok(self.systemctl(verb, name)),
            ["sync"] => Ok(CommandOutput::default()),
            _ => self.machine.run(command),
        }
    }
    fn which(&self, program: &str) -> Option<PathBuf> {
        self.machine.which(program)
    }
    fn env(&self, name: &str) -> Option<String> {
        self.machine.env(name)
    }
    fn uid(&self) -> u32 {
        self.machine.uid()
    }
    fn users(&self) -> Result<Vec<User>> {
        self.machine.users()
    }
    fn groups(&self) -> Result<Vec<Group>> {
        self.machine.groups()
    }
    fn hostname(&self) -> Result<String> {
        self.machine.hostname()
    }
    fn umask(&self) -> u32 {
        self.machine.umask()
    }
    fn http(&self, request: &HttpRequest) -> Result<HttpResponse> {
        self.machine.http(request)
    }
    fn connect(&self, host: &str, port: u16, timeout: Duration) -> Result<Box<dyn Connection>> {
        self.machine.connect(host, port, timeout)
    }
    fn now(&self) -> SystemTime {
        self.machine.now()
    }
    fn sleep(&self, _: Duration) {}
    fn content(&self, digest: &str) -> Result<Box<dyn Read>> {
        self.machine.content(digest)
    }
    fn sign(&self, authority: &str, request: &str) -> Result<String> {
        self.machine.sign(authority, request)
    }
    fn executable(&self) -> Result<PathBuf> {
        self.machine.executable()
    }
}

/// A folder as docker might have left it, and where it is to go.
struct Scene {
    root: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let scene = Self {
            root: tempfile::tempdir().unwrap(),
        };
        fill(&scene.src());
        fill(&scene.original());
        scene
    }

    fn src(&self) -> PathBuf {
        self.root.path().join("lib/docker")
    }

    fn dest(&self) -> PathBuf {
        self.root.path().join("data/registry/docker")
    }

    /// The same contents, never touched.
    fn original(&self) -> PathBuf {
        self.root.path().join("original")
    }

    fn run(&self, system: &Mortal, state: &str) -> Outcome {
        let given = serde_json::json!({
            "src": self.src(), "dest": self.dest(), "services": ["docker.socket", "docker", "absent"], "state": state,
        });
        let arguments = Relocate::SPEC
            .resolve(&serde_json::from_value(given).unwrap())
            .unwrap();
        entry::<Relocate>().run(&arguments, Mode::default(), system)
    }

    /// What `src` leads to is whole.
    fn assert_whole(&self, when: &str) {
        let system = Local::new(BTreeMap::new());
        let src = fs::canonicalize(self.src()).unwrap_or_else(|error| panic!("{when}: {error}"));
        verify::same(&self.original(), &src, &system).unwrap_or_else(|error| panic!("{when}: {error}"));
    }

    /// Nothing but `src`, `dest` and the original is left.
    fn leftovers(&self) -> Vec<String> {
        let mut found = Vec::new();
        for folder in [self.src(), self.dest()] {
            for entry in fs::read_dir(folder.parent().unwrap()).into_iter().flatten() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                if name != "docker" {
                    found.push(name);
                }
            }
        }
        found
    }
}

fn fill(folder: &Path) {
    let layers = folder.join("overlay2/layer");
    fs::create_dir_all(&layers).unwrap();
    fs::write(folder.join("engine-id"), "x").unwrap();
    fs::write(layers.join("big"), vec![0; 100_000]).unwrap();
    fs::hard_link(layers.join("big"), folder.join("overlay2/same")).unwrap();
    symlink("layer/big", folder.join("overlay2/link")).unwrap();
    fs::set_permissions(&layers, fs::Permissions::from_mode(0o2710)).unwrap();
    let epoch = SystemTime::UNIX_EPOCH + Duration::from_secs(1_600_000_000);
    for path in [
        "engine-id",
        "overlay2/layer/big",
        "overlay2/layer",
        "overlay2",
        "",
    ] {
        fs::File::open(folder.join(path))
            .unwrap()
            .set_modified(epoch)
            .unwrap();
    }
    let system = Local::new(BTreeMap::new());
    let link = folder.join("overlay2/link");
    let stamp = Command::new([
        "touch",
        "-h",
        "-d",
        "@1600000000",
        "--",
        &link.display().to_string(),
    ]);
    assert!(system.run(&stamp).unwrap().success());
    // A link's time is set after its folder's.
    fs::File::open(folder.join("overlay2"))
        .unwrap()
        .set_modified(epoch)
        .unwrap();
}

fn services() -> Vec<String> {
    vec!["docker".to_owned(), "docker.socket".to_owned()]
}

fn sorted(running: &RefCell<Vec<String>>) -> Vec<String> {
    let mut running = running.borrow().clone();
    running.sort();
    running
}

/// Dies at every change on the way to `state`, looks, runs again, looks again.
fn survives_every_death(from: Option<&str>, state: &str, exchanges: bool) {
    for deaths in 0.. {
        let scene = Scene::new();
        if let Some(from) = from {
            let outcome = scene.run(&Mortal::new(usize::MAX, exchanges, &services()), from);
            assert!(!outcome.failed, "{outcome:?}");
        }
        let mortal = Mortal::new(deaths, exchanges, &services());
        let outcome = scene.run(&mortal, state);
        let died = mortal.dead.get();
        assert_eq!(died, outcome.failed, "{outcome:?}");
        let when = format!("{state} after {deaths} changes");
        let between = !exchanges && !scene.src().exists();
        if between {
            // Two renames instead of one exchange: in between the contents wait beside, whole.
            assert!(
                fs::symlink_metadata(Paths::new(&scene.src(), &scene.dest()).aside).is_ok(),
                "{when}"
            );
        } else {
            scene.assert_whole(&when);
        }
        let again = Mortal::new(usize::MAX, exchanges, &mortal.running.borrow());
        let outcome = scene.run(&again, state);
        assert!(!outcome.failed, "{when}: {outcome:?}");
        assert_eq!(outcome.changed, died, "{when}: {outcome:?}");
        scene.assert_whole(&format!("{when} and again"));
        assert_eq!(scene.leftovers(), Vec::<String>::new(), "{when}");
        assert_eq!(sorted(&again.running), services(), "{when}");
        assert_eq!(scene.src().is_symlink(), state == "present", "{when}");
        assert_eq!(scene.dest().exists(), state == "present", "{when}");
        assert!(!scene.run(&again, state).changed, "{when}");
        if !died {
            assert!(deaths > 10, "{deaths} changes are too few to be true");
            return;
        }
    }
}

#[test]
fn survives_on_the_way_there() {
    survives_every_death(None, "present", true);
}

#[test]
fn survives_on_the_way_there_without_exchange() {
    survives_every_death(None, "present", false);
}

#[test]
fn survives_on_the_way_back() {
    survives_every_death(Some("present"), "absent", true);
}

#[test]
fn survives_on_the_way_back_without_exchange() {
    survives_every_death(Some("present"), "absent", false);
}

/// Cut short on the way there, then asked to go back.
#[test]
fn a_change_of_mind_loses_nothing() {
    for (first, second) in [("present", "absent"), ("absent", "present")] {
        for deaths in 0.. {
            let scene = Scene::new();
            if first == "absent" {
                scene.run(&Mortal::new(usize::MAX, true, &services()), "present");
            }
            let mortal = Mortal::new(deaths, true, &services());
            scene.run(&mortal, first);
            let again = Mortal::new(usize::MAX, true, &mortal.running.borrow());
            let outcome = scene.run(&again, second);
            let when = format!("{first}, dead after {deaths}, then {second}");
            assert!(!outcome.failed, "{when}: {outcome:?}");
            scene.assert_whole(&when);
            assert_eq!(scene.leftovers(), Vec::<String>::new(), "{when}");
            assert_eq!(sorted(&again.running), services(), "{when}");
            assert_eq!(scene.src().is_symlink(), second == "present", "{when}");
            if !mortal.dead.get() {
                break;
            }
        }
    }
}

#[test]
fn an_empty_folder_takes_up_what_an_earlier_deployment_left() {
    let scene = Scene::new();
    let system = Mortal::new(usize::MAX, true, &services());
    fs::remove_dir_all(scene.src()).unwrap();
    fs::create_dir(scene.src()).unwrap();
    fs::create_dir_all(scene.dest()).unwrap();
    fs::write(scene.dest().join("kept"), "").unwrap();
    let adopted = scene.run(&system, "present");
    assert!(adopted.changed && !adopted.failed, "{adopted:?}");
    assert!(scene.src().is_symlink() && scene.src().join("kept").exists());
    assert_eq!(scene.leftovers(), Vec::<String>::new());
    assert_eq!(sorted(&system.running), services());
    assert!(!scene.run(&system, "present").changed);
}

#[test]
fn refuses_what_it_would_destroy() {
    let scene = Scene::new();
    let system = Mortal::new(usize::MAX, true, &services());
    fs::create_dir_all(scene.dest()).unwrap();
    fs::write(scene.dest().join("precious"), "").unwrap();
    let refused = scene.run(&system, "present");
    assert!(refused.message().unwrap().contains("is not empty"), "{refused:?}");
    assert_eq!(sorted(&system.running), services());

    fs::remove_file(scene.dest().join("precious")).unwrap();
    symlink("/elsewhere", scene.root.path().join("link")).unwrap();
    fs::remove_dir_all(scene.src()).unwrap();
    fs::rename(scene.root.path().join("link"), scene.src()).unwrap();
    let refused = scene.run(&system, "present");
    assert!(
        refused
            .message()
            .unwrap()
            .contains("is a link to /elsewhere already"),
        "{refused:?}"
    );
}

#[test]
fn a_folder_that_is_not_there_yet_is_made_in_its_new_place() {
    let scene = Scene::new();
    fs::remove_dir_all(scene.src()).unwrap();
    let system = Mortal::new(usize::MAX, true, &[]);
    assert!(scene.run(&system, "present").changed);
    assert!(scene.src().is_symlink() && scene.dest().is_dir());
    assert!(!scene.run(&system, "present").changed);
}

#[test]
fn a_copy_that_differs_is_found() {
    let scene = Scene::new();
    let system = Local::new(BTreeMap::new());
    let name = scene.src().join("overlay2/layer/big");
    let differs = || {
        verify::same(&scene.original(), &scene.src(), &system)
            .unwrap_err()
            .message
    };
    let modified = fs::metadata(&name).unwrap().modified().unwrap();
    fs::write(&name, vec![1; 100_000]).unwrap();
    fs::File::open(&name).unwrap().set_modified(modified).unwrap();
    assert!(differs().contains("its content"), "{}", differs());
    fs::set_permissions(&name, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(differs().contains("its mode"), "{}", differs());
    fs::remove_file(scene.src().join("engine-id")).unwrap();
    assert!(differs().contains("differ in "), "{}", differs());
}
