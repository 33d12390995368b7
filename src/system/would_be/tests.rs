//! The same operations on a real folder and on the overlay, and what the machine below keeps.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::state::State;
use super::*;
use crate::system::fake::Fake;
use crate::system::local::Local;
use crate::system::{Command, Group, User};

/// An operation on files, by number: names are few, so that they meet.
fn operate(system: &dyn System, root: &Path, number: u64) -> bool {
    const NAMES: [&str; 7] = ["a", "a/b", "a/b/c", "d", "d/e", "l", "l/e"];
    let at = |digit: u64| root.join(NAMES[usize::try_from(digit % 7).unwrap()]);
    let (one, other, mode) = (
        at(number),
        at(number / 7),
        u32::try_from(number / 49 % 8).unwrap(),
    );
    let attributes = |mode| Attributes {
        mode,
        ..Attributes::default()
    };
    let done = match number / 392 % 11 {
        0 | 1 => system.create_dir(&one, 0o700 + mode),
        2 | 3 => system.write(
            &one,
            &mut number.to_string().as_bytes(),
            attributes((mode > 3).then_some(0o600 + mode)),
        ),
        4 => system.remove_tree(&one),
        5 => system.remove_file(&one),
        6 | 7 => system.rename(&one, &other),
        8 => system.symlink(&root.join("d"), &one),
        9 => system.set_attributes(&one, attributes(Some(0o640 + mode)), Follow::No),
        _ => system.overwrite(&one, &mut number.to_string().as_bytes()),
    };
    done.is_ok()
}

/// Everything below a folder, as the system tells it.
fn listing(system: &dyn System, folder: &Path, text: &mut String) {
    for name in system.read_dir(folder).unwrap() {
        let path = folder.join(name);
        let metadata = system.metadata(&path, Follow::No).unwrap().unwrap();
        let content = match metadata.kind {
            FileKind::File => String::from_utf8(system.read(&path).unwrap()).unwrap(),
            FileKind::Link => system.read_link(&path).unwrap().display().to_string(),
            _ => String::new(),
        };
        let line = format!(
            "{} {:?} {:o} {content}\n",
            path.display(),
            metadata.kind,
            metadata.mode
        );
        text.push_str(&line);
        if metadata.kind == FileKind::Directory {
            listing(system, &path, text);
        }
    }
}

/// Numbers that are the same in each run.
fn numbers(seed: u64) -> impl Iterator<Item = u64> {
    std::iter::successors(Some(seed), |last| {
        Some(
            last.wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407),
        )
    })
    .skip(1)
    .map(|number| number >> 33)
}

fn scene(system: &dyn System, root: &Path) {
    for folder in ["a", "a/b", "d"] {
        system.create_dir(&root.join(folder), 0o755).unwrap();
    }
    for file in ["a/b/c", "d/e"] {
        let usual = Attributes {
            mode: Some(0o644),
            ..Attributes::default()
        };
        system
            .write(&root.join(file), &mut "there".as_bytes(), usual)
            .unwrap();
    }
    system.symlink(Path::new("d"), &root.join("l")).unwrap();
}

#[test]
fn a_machine_and_what_is_foreseen_of_it_agree_and_it_stays_as_it_is() {
    let mut refused = 0;
    for seed in 0..150 {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let local = Local::default();
        scene(&local, one.path());
        scene(&local, other.path());
        let mut before = String::new();
        listing(&local, other.path(), &mut before);
        let state = RefCell::new(State::default());
        let would_be = WouldBe::new(&local, &state);
        for (step, number) in numbers(seed).take(25).enumerate() {
            let done = operate(&local, one.path(), number);
            refused += usize::from(!done);
            let foreseen = operate(&would_be, other.path(), number);
            let place = format!("seed {seed}, step {step}: {number}");
            let (mut real, mut predicted) = (String::new(), String::new());
            listing(&local, one.path(), &mut real);
            listing(&would_be, other.path(), &mut predicted);
            let renamed = predicted.replace(other.path().to_str().unwrap(), one.path().to_str().unwrap());
            assert_eq!(real, renamed, "{place}");
            assert_eq!(done, foreseen, "{place}\n{real}");
        }
        let mut after = String::new();
        listing(&local, other.path(), &mut after);
        assert_eq!(before, after);
    }
    assert!(refused > 100, "some operations cannot be done: {refused}");
}

#[test]
fn another_agent_follows() {
    for seed in 0..20 {
        let fake = Fake::new();
        let root = Path::new("/srv");
        fake.directory("/srv");
        scene(&fake, root);
        let (state, copy) = (RefCell::new(State::default()), RefCell::new(State::default()));
        let would_be = WouldBe::new(&fake, &state);
        for number in numbers(seed).take(30) {
            let seen = state.borrow().len();
            operate(&would_be, root, number);
            let (changes, contents) = state.borrow().since(seen);
            let json = serde_json::to_string(&changes).unwrap();
            let changes = serde_json::from_str(&json).unwrap();
            let content = |digest: &str| -> Option<Arc<[u8]>> {
                let found = contents.iter().find(|(sha256, _)| sha256 == digest);
                found.map(|(_, bytes)| Arc::clone(bytes))
            };
            copy.borrow_mut().follow(changes, content).unwrap();
        }
        let follower = WouldBe::new(&fake, &copy);
        let (mut one, mut other) = (String::new(), String::new());
        listing(&would_be, root, &mut one);
        listing(&follower, root, &mut other);
        assert_eq!(one, other, "seed {seed}");
        assert_eq!(state.borrow().len(), copy.borrow().len());
    }
}

#[test]
fn paths_that_are_no_text_travel() {
    use std::os::unix::ffi::OsStrExt;
    let fake = Fake::new();
    let (state, copy) = (RefCell::new(State::default()), RefCell::new(State::default()));
    let path = Path::new(std::ffi::OsStr::from_bytes(b"/\xff"));
    WouldBe::new(&fake, &state).create_dir(path, 0o755).unwrap();
    let (changes, _) = state.borrow().since(0);
    copy.borrow_mut().follow(changes, |_| None).unwrap();
    let found = WouldBe::new(&fake, &copy).metadata(path, Follow::No).unwrap();
    assert_eq!(found.unwrap().kind, FileKind::Directory);
}

#[test]
fn hard_links_are_one_file() {
    let fake = Fake::new();
    fake.file("/one", "text");
    let state = RefCell::new(State::default());
    let would_be = WouldBe::new(&fake, &state);
    would_be.hard_link(Path::new("/one"), Path::new("/two")).unwrap();
    would_be
        .overwrite(Path::new("/two"), &mut "other".as_bytes())
        .unwrap();
    let metadata = |path| would_be.metadata(Path::new(path), Follow::No).unwrap().unwrap();
    assert_eq!(would_be.read(Path::new("/one")).unwrap(), b"other");
    assert_eq!(metadata("/one").inode, metadata("/two").inode);
    assert_eq!(metadata("/one").links, 2);
    would_be.remove_file(Path::new("/two")).unwrap();
    assert_eq!(metadata("/one").links, 1);
    assert_eq!(fake.text("/one"), "text");
}

#[test]
fn accounts_and_states_are_as_they_would_be() {
    let fake = Fake::new();
    let state = RefCell::new(State::default());
    let would_be = WouldBe::new(&fake, &state);
    let bob = User {
        name: "bob".to_owned(),
        ..fake.users.borrow()[1].clone()
    };
    would_be.expect(vec![
        Effect::User(bob),
        Effect::NoUser("ann".to_owned()),
        Effect::Group(Group {
            name: "staff".to_owned(),
            gid: 50,
            members: Vec::new(),
        }),
        Effect::State {
            of: Subject::Package,
            name: "nginx".to_owned(),
            is: Value::Bool(true),
        },
    ]);
    let names = |users: Vec<User>| users.into_iter().map(|user| user.name).collect::<Vec<_>>();
    assert_eq!(names(would_be.users().unwrap()), ["root", "bob"]);
    assert_eq!(would_be.groups().unwrap().last().unwrap().name, "staff");
    assert_eq!(
        would_be.foreseen(Subject::Package, "nginx"),
        Some(Value::Bool(true))
    );
    assert_eq!(would_be.foreseen(Subject::Unit, "nginx"), None);
}

#[test]
fn what_a_program_would_make_is_there_and_nobody_knows_what_is_in_it() {
    let fake = Fake::new();
    let state = RefCell::new(State::default());
    let would_be = WouldBe::new(&fake, &state);
    let path = |path: &str| PathBuf::from(path);
    would_be.expect(vec![
        Effect::Path {
            path: path("/opt/app/src"),
            kind: FileKind::Directory,
            attributes: Attributes::default(),
        },
        Effect::Path {
            path: path("/opt/archive"),
            kind: FileKind::File,
            attributes: Attributes::default(),
        },
    ]);
    assert!(
        would_be
            .metadata(&path("/opt/app"), Follow::Yes)
            .unwrap()
            .is_some()
    );
    assert!(
        would_be
            .metadata(&path("/opt/app/other"), Follow::Yes)
            .unwrap()
            .is_none()
    );
    assert!(!would_be.is_in_doubt());
    assert!(
        would_be
            .metadata(&path("/opt/app/src/main"), Follow::Yes)
            .unwrap()
            .is_none()
    );
    assert!(would_be.is_in_doubt());
    let again = WouldBe::new(&fake, &state);
    assert!(again.read(&path("/opt/archive")).is_err());
    assert!(again.is_in_doubt());
}

#[test]
fn nothing_is_run_while_a_change_is_acted() {
    let fake = Fake::new();
    fake.answer("id", 0, "");
    let state = RefCell::new(State::default());
    let would_be = WouldBe::new(&fake, &state);
    assert!(would_be.run(&Command::new(["id"])).is_ok());
    would_be.act(|system| system.run(&Command::new(["id"])));
    assert_eq!(fake.ran(), ["id"]);
    assert!(state.borrow().is_uncertain());
    assert!(would_be.metadata(Path::new("/x"), Follow::Yes).unwrap().is_none());
    assert!(would_be.is_in_doubt());
}

#[test]
fn what_really_becomes_otherwise_is_as_the_machine_has_it() {
    let fake = Fake::new();
    fake.file("/srv/kept", "1")
        .file("/srv/written", "1")
        .directory("/srv/tree");
    let state = RefCell::new(State::default());
    let would_be = WouldBe::new(&fake, &state);
    let path = |path: &str| PathBuf::from(path);
    let write = |system: &dyn System, to: &str, text: &str| {
        system
            .write(&path(to), &mut text.as_bytes(), Attributes::default())
            .unwrap();
    };
    write(&would_be, "/srv/kept", "2");
    write(&would_be, "/srv/written", "2");
    would_be.remove_file(&path("/srv/written")).unwrap();
    write(&would_be, "/srv/tree/in", "2");
    for folder in ["/srv/new", "/srv/later"] {
        would_be.create_dir(&path(folder), 0o700).unwrap();
        write(&would_be, &format!("{folder}/in"), "2");
    }
    let bob = |uid| User {
        name: "bob".to_owned(),
        uid,
        ..fake.users.borrow()[1].clone()
    };
    would_be.expect(vec![Effect::User(bob(7)), Effect::NoUser("ann".to_owned())]);
    // Who only asks leaves all as it would be.
    let seen = state.borrow().len();
    would_be.really(|machine| machine.read(&path("/srv/kept")).unwrap());
    assert_eq!(state.borrow().len(), seen);
    would_be.really(|machine| {
        write(machine, "/srv/written", "3");
        machine.create_dir(&path("/srv/new"), 0o755).unwrap();
        write(machine, "/srv/new/other", "3");
        machine.remove_tree(&path("/srv/tree")).unwrap();
        let bob = bob(8);
        fake.users.borrow_mut().push(bob);
    });
    let text = |at: &str| {
        let read = would_be.read(&path(at));
        read.ok().map(|bytes| String::from_utf8(bytes).unwrap())
    };
    for (at, is) in [
        ("/srv/kept", Some("2")),
        ("/srv/written", Some("3")),
        ("/srv/new/in", Some("2")),
        ("/srv/new/other", Some("3")),
        ("/srv/later/in", Some("2")),
        ("/srv/tree/in", None),
    ] {
        assert_eq!(text(at).as_deref(), is, "{at}");
    }
    let new = would_be.metadata(&path("/srv/new"), Follow::No).unwrap().unwrap();
    assert_eq!(new.mode, 0o755);
    let users = would_be.users().unwrap();
    let uids: Vec<u32> = users.iter().map(|user| user.uid).collect();
    assert_eq!(uids, [0, 8], "ann would be gone");
    // Other agents of the host follow.
    let (changes, _) = state.borrow().since(0);
    let copy = RefCell::new(State::default());
    copy.borrow_mut().follow(changes, |_| None).unwrap();
    let follower = WouldBe::new(&fake, &copy);
    assert_eq!(follower.read(&path("/srv/written")).unwrap(), b"3");
    assert_eq!(follower.users().unwrap(), users);
}

#[test]
fn large_contents_are_known_by_their_digest() {
    let fake = Fake::new();
    let state = RefCell::new(State::default());
    let would_be = WouldBe::new(&fake, &state);
    let large = vec![7; KEPT + 1];
    would_be
        .write(Path::new("/large"), &mut large.as_slice(), Attributes::default())
        .unwrap();
    let metadata = would_be
        .metadata(Path::new("/large"), Follow::No)
        .unwrap()
        .unwrap();
    assert_eq!(metadata.size, large.len() as u64);
    assert_eq!(
        would_be
            .digest(Path::new("/large"), DigestAlgorithm::Sha256)
            .unwrap(),
        digest_bytes(&large, DigestAlgorithm::Sha256)
    );
    assert!(would_be.read(Path::new("/large")).is_err() && would_be.is_in_doubt());
}
