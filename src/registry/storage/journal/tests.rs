//! The journal as a whole: what is shared, what is kept, and what comes back.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use super::*;

impl Journal {
    pub fn count(&self) -> u64 {
        self.shared.count.load(Ordering::Relaxed)
    }

    /// Lets nobody write.
    pub fn hold(&self) -> Held<'_> {
        let mut state = self.shared.state();
        assert!(state.writing.is_none(), "nobody writes yet");
        state.writing = Some(Outcome::default());
        Held(self)
    }

    /// Has the keeper do now what it does every few seconds, and waits for it.
    pub fn checkpoint(&self) {
        let mut state = self.shared.state();
        let generation = state.generation;
        state.full = true;
        self.shared.wanted.notify_one();
        let cleared = |state: &State| {
            let halves = state.halves.as_ref().expect("something was noted");
            halves.0[1 - state.active].first().unwrap().is_none()
        };
        while state.generation == generation || !cleared(&state) {
            let waited = self.shared.changed.wait_timeout(state, Duration::from_millis(20));
            state = waited.unwrap().0;
        }
    }

    /// As if the process were killed: nothing is settled, and another one may take the files.
    fn kill(self) {
        let mut state = self.shared.state();
        state.broken = Some(0);
        state.halves = None;
        drop(state);
        drop(self);
    }
}

pub struct Held<'a>(&'a Journal);

impl Held<'_> {
    /// Lets them write once so many changes wait for it.
    pub fn release_after(self, count: usize) {
        loop {
            let mut state = self.0.shared.state();
            if state.unmade[state.active] >= count {
                state.writing = None;
                break;
            }
            drop(state);
            thread::yield_now();
        }
        self.0.shared.changed.notify_all();
    }
}

/// Of the clock that file systems take their times from, at most.
const TICK: Duration = Duration::from_millis(12);

/// A folder, and what is done to it through its journal.
struct Scene {
    folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn open(&self, boot: &str) -> Journal {
        Journal::under(self.folder.path(), boot, 4 * LEAST).unwrap()
    }

    fn write(&self, journal: &Journal, path: &str, content: &str) {
        let _making = journal
            .note(vec![Change::Write {
                path: path.to_owned(),
                content: Bytes::copy_from_slice(content.as_bytes()),
            }])
            .unwrap();
        self.put(path, content);
    }

    fn remove(&self, journal: &Journal, path: &str) {
        let _making = journal
            .note_later(vec![Change::Remove {
                path: path.to_owned(),
            }])
            .unwrap();
        self.lose(path);
    }

    /// Past the journal.
    fn put(&self, path: &str, content: &str) {
        let path = self.folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn lose(&self, path: &str) {
        let path = self.folder.path().join(path);
        let removed = if path.is_dir() {
            fs::remove_dir_all(path)
        } else {
            fs::remove_file(path)
        };
        removed.unwrap();
    }

    fn set_age(&self, path: &str, time: SystemTime) {
        let file = File::open(self.folder.path().join(path)).unwrap();
        file.set_modified(time).unwrap();
    }

    fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.folder.path().join(path)).ok()
    }
}

#[test]
fn what_a_stopped_system_lost_comes_back() {
    let scene = Scene::new();
    let journal = scene.open("first");
    for path in ["a/missing", "a/empty", "a/zeros", "a/old", "a/whole"] {
        scene.write(&journal, path, "new");
    }
    scene.put("a/gone", "old");
    scene.remove(&journal, "a/gone");
    journal.settle().unwrap();
    journal.kill();
    scene.lose("a/missing");
    scene.put("a/empty", "");
    scene.put("a/zeros", "\0\0\0");
    scene.put("a/old", "old");
    scene.set_age("a/old", UNIX_EPOCH);
    scene.put("a/gone", "old");
    scene.set_age("a/gone", UNIX_EPOCH);

    let journal = scene.open("second");
    for path in ["a/missing", "a/empty", "a/zeros", "a/old", "a/whole"] {
        assert_eq!(scene.read(path).as_deref(), Some("new"), "{path}");
    }
    assert_eq!(scene.read("a/gone"), None);
    drop(journal);
    scene.lose("a/missing");
    drop(scene.open("third"));
    assert_eq!(scene.read("a/missing"), None, "it is done again once");
}

#[test]
fn what_others_have_done_since_stays() {
    let scene = Scene::new();
    let journal = scene.open("first");
    scene.write(&journal, "replaced", "ours");
    scene.put("back", "ours");
    scene.remove(&journal, "back");
    journal.settle().unwrap();
    journal.kill();
    let later = SystemTime::now() + Duration::from_secs(1);
    for path in ["replaced", "back"] {
        scene.put(path, "theirs");
        scene.set_age(path, later);
    }
    drop(scene.open("second"));
    for path in ["replaced", "back"] {
        assert_eq!(scene.read(path).as_deref(), Some("theirs"), "{path}");
    }
}

#[test]
fn under_the_same_system_nothing_is_done_again() {
    let scene = Scene::new();
    let journal = scene.open("first");
    scene.write(&journal, "a", "1");
    journal.kill();
    scene.lose("a");
    drop(scene.open("first"));
    assert_eq!(scene.read("a"), None);
}

#[test]
fn what_was_settled_or_closed_is_not_done_again() {
    let scene = Scene::new();
    let journal = scene.open("first");
    scene.write(&journal, "a", "1");
    journal.checkpoint();
    journal.kill();
    scene.lose("a");
    let journal = scene.open("second");
    scene.write(&journal, "b", "1");
    drop(journal);
    scene.lose("b");
    drop(scene.open("third"));
    assert_eq!((scene.read("a"), scene.read("b")), (None, None));
}

/// Both halves are full again and again, and nobody waits for ever.
#[test]
fn a_full_half_gives_way_to_the_other() {
    const ROUNDS: usize = 40;
    let scene = Scene::new();
    let journal = scene.open("first");
    let content = "x".repeat(PORTION);
    thread::scope(|scope| {
        for name in ["a", "b", "c"] {
            let (scene, journal, content) = (&scene, &journal, &content);
            scope.spawn(move || (0..ROUNDS).for_each(|_| scene.write(journal, name, content)));
        }
    });
    let halves = u64::try_from(3 * ROUNDS * PORTION).unwrap() / journal.shared.capacity;
    assert!(halves > 4, "they change places {halves} times");
    scene.write(&journal, "last", "1");
    journal.kill();
    scene.lose("last");
    drop(scene.open("second"));
    assert_eq!(scene.read("last").as_deref(), Some("1"));
}

#[test]
fn two_processes_have_two_journals() {
    let scene = Scene::new();
    let (one, other) = (scene.open("first"), scene.open("first"));
    scene.write(&one, "a", "1");
    scene.write(&other, "b", "2");
    one.kill();
    other.kill();
    scene.lose("a");
    scene.lose("b");
    drop(scene.open("second"));
    assert_eq!(
        (scene.read("a").as_deref(), scene.read("b").as_deref()),
        (Some("1"), Some("2"))
    );
}

/// Random changes, of which the disk has kept any part: what comes back is what was done last.
#[test]
fn any_loss_is_made_good() {
    let mut seed = 7_u64;
    let mut dice = |sides: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) % sides
    };
    for round in 0..20 {
        let scene = Scene::new();
        let journal = scene.open("first");
        // Every state that each file had since it was last settled; none is its absence.
        let mut states: BTreeMap<String, Vec<(Option<String>, SystemTime)>> = BTreeMap::new();
        for step in 0..40 {
            let path = format!("folder{}/file", dice(5));
            let history = states.entry(path.clone()).or_insert(vec![(None, UNIX_EPOCH)]);
            let is_there = history.last().unwrap().0.is_some();
            if is_there && dice(3) == 0 {
                // What was written in the moment of a removal is left alone.
                thread::sleep(TICK);
                scene.remove(&journal, path.split('/').next().unwrap());
                history.push((None, SystemTime::now()));
            } else {
                let content = format!("{round} {step}");
                scene.write(&journal, &path, &content);
                let written = fs::metadata(scene.folder.path().join(&path)).unwrap();
                history.push((Some(content), written.modified().unwrap()));
            }
            if dice(25) == 0 {
                journal.checkpoint();
                for states in states.values_mut() {
                    *states = states.split_off(states.len() - 1);
                }
            }
        }
        journal.settle().unwrap();
        journal.kill();
        for (path, states) in &states {
            let kept = usize::try_from(dice(states.len() as u64)).unwrap();
            let (content, time) = &states[kept];
            let _ = fs::remove_dir_all(scene.folder.path().join(path).parent().unwrap());
            if let Some(content) = content {
                scene.put(path, content);
                for path in [path.as_str(), path.split('/').next().unwrap()] {
                    scene.set_age(path, *time);
                }
            }
        }
        drop(scene.open("second"));
        for (path, states) in &states {
            assert_eq!(
                scene.read(path),
                states.last().unwrap().0,
                "round {round}, {path}"
            );
        }
    }
}
