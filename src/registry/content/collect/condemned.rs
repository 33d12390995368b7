//! What is condemned: seen unreferenced, with the time of that. Whoever uses such a thing pardons it.
//!
//! The promise to a client that was told that something is there rests on this list alone. Only what was
//! condemned for the whole grace, and not used since, is removed; a use before the sentence needs no record, for
//! the sentence is younger than the use.
//!
//! The list is kept in the store between runs, and each pardon is appended to a journal beside it, so that it
//! outlives a crash of the process. After a crash of the machine, which may have lost the journal, every
//! sentence begins anew. Both are derived: without them nothing is condemned.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::registry::content::ContentError;
use crate::registry::digest::{Algorithm, Digest};
use crate::registry::name::RepositoryName;
use crate::registry::storage::{Growing, Key, Storage, StorageError, paths};

/// Things that are condemned at once, at some 45 bytes each; those after them have their turn later.
pub const MAX_CONDEMNED: usize = 200_000;
/// Larger lists are not ours.
const MAX_LIST: u64 = 64 << 20;
/// The first line of the list, before the machine's boot.
const HEADING: &str = "condemned 1 ";

/// What can be condemned: 16 bytes of a hash of its key. Two things that share them would share a sentence,
/// and are removed only if both are unreferenced.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Item([u8; 16]);

impl Item {
    fn new(key: &Key) -> Self {
        let digest = Digest::of(Algorithm::Sha256, key.as_str().as_bytes());
        Self::parse(&digest.hex()[..32]).expect("a digest is hexadecimal")
    }

    /// A blob's data.
    pub fn blob(digest: &Digest) -> Self {
        Self::new(&paths::blob(digest))
    }

    /// A repository's link to a blob.
    pub fn layer(name: &RepositoryName, digest: &Digest) -> Self {
        Self::new(&paths::layer(name, digest))
    }

    /// A repository's manifest.
    pub fn revision(name: &RepositoryName, digest: &Digest) -> Self {
        Self::new(&paths::revision(name, digest))
    }

    fn parse(hex: &str) -> Option<Self> {
        u128::from_str_radix(hex, 16)
            .ok()
            .map(|number| Self(number.to_be_bytes()))
    }

    fn hex(self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.0))
    }

    /// How the journal has it.
    fn line(self) -> String {
        format!("{}\n", self.hex())
    }
}

#[derive(Clone, Copy)]
struct Since {
    time: u64,
    /// When it was last seen to be unreferenced.
    round: u32,
}

/// Whether a thing is condemned, and since when.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sentence {
    Free,
    /// Seconds since 1970.
    Since(u64),
}

/// The list.
pub struct Condemned {
    storage: Arc<dyn Storage>,
    /// False while nothing is condemned: then a use costs nothing.
    any: AtomicBool,
    state: Mutex<State>,
    executed: Condvar,
}

#[derive(Default)]
struct State {
    loaded: bool,
    since: HashMap<Item, Since>,
    /// Counts the collections.
    round: u32,
    /// What is used while a collection without a grace goes on.
    used: Option<Used>,
    /// No longer on the list, and about to be removed unless somebody uses it.
    due: HashSet<Item>,
    /// What is being removed at this moment: who wants it waits to see it gone.
    executing: Vec<Item>,
    /// Those who wait.
    waiting: usize,
    journal: Option<Box<dyn Growing>>,
}

#[derive(Default)]
struct Used {
    items: HashSet<Item>,
    /// There were more than one remembers: anything may have been used.
    lost: bool,
}

impl State {
    fn is_idle(&self) -> bool {
        self.since.is_empty() && self.used.is_none() && self.due.is_empty() && self.executing.is_empty()
    }

    /// Whether nobody is to be told of it any more: it had its grace, or there is none and nobody has used it.
    fn is_over(&self, item: &Item, before: u64) -> bool {
        match (self.since.get(item), &self.used) {
            (Some(since), _) => since.time <= before,
            (None, Some(used)) => !used.lost && !used.items.contains(item),
            (None, None) => false,
        }
    }
}

impl Condemned {
    pub fn new(storage: Arc<dyn Storage>) -> Self {
        Self {
            storage,
            // Until the list of the last run is read.
            any: AtomicBool::new(true),
            state: Mutex::default(),
            executed: Condvar::new(),
        }
    }

    /// Pardons what is about to be used; to be called before one looks whether it is there.
    pub fn touch(&self, items: impl FnOnce() -> [Option<Item>; 2]) {
        if !self.any.load(Ordering::Acquire) {
            return;
        }
        let mut state = self.loaded();
        if state.is_idle() {
            return;
        }
        for item in items().into_iter().flatten() {
            while state.executing.contains(&item) {
                state.waiting += 1;
                state = self.executed.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.waiting -= 1;
            }
            state.due.remove(&item);
            if let Some(used) = &mut state.used {
                if used.items.len() < MAX_CONDEMNED {
                    used.items.insert(item);
                } else {
                    used.lost = true;
                }
            }
            if state.since.remove(&item).is_some() {
                self.note(&mut state, &item.line());
            }
        }
    }

    pub fn sentence(&self, item: Item) -> Sentence {
        let state = self.loaded();
        state
            .since
            .get(&item)
            .map_or(Sentence::Free, |since| Sentence::Since(since.time))
    }

    /// The sentence of what is seen unreferenced in this round.
    pub fn see(&self, item: Item) -> Sentence {
        let mut state = self.loaded();
        let round = state.round;
        state.since.get_mut(&item).map_or(Sentence::Free, |since| {
            since.round = round;
            Sentence::Since(since.time)
        })
    }

    /// Begins a collection: what it does not see is no longer condemned at its end. One `at_once` needs no
    /// sentence for what it removes; what is used from here on is as good as pardoned.
    pub fn begin(&self, at_once: bool) {
        let mut state = self.loaded();
        state.round += 1;
        if at_once {
            state.used = Some(Used::default());
            self.any.store(true, Ordering::Release);
        }
    }

    /// Condemns, unless too much is condemned already.
    pub fn condemn(&self, item: Item, now: u64) {
        let mut state = self.loaded();
        if state.since.len() >= MAX_CONDEMNED {
            return;
        }
        let round = state.round;
        state.since.insert(item, Since { time: now, round });
        self.any.store(true, Ordering::Release);
    }

    /// Runs `removal` with the number of each group that is condemned since `before` or longer, all of it, while
    /// nobody can begin to use it. Which they were.
    pub fn execute(
        &self,
        groups: &[&[Item]],
        before: u64,
        mut removal: impl FnMut(usize) -> Result<(), ContentError>,
    ) -> Result<Vec<bool>, ContentError> {
        {
            let mut state = self.loaded();
            let mut lines = String::new();
            for group in groups {
                if !group.iter().all(|item| state.is_over(item, before)) {
                    continue;
                }
                for item in *group {
                    if state.since.remove(item).is_some() {
                        // Should it come again, its old sentence must not.
                        lines.push_str(&item.line());
                    }
                    state.due.insert(*item);
                }
            }
            if !lines.is_empty() {
                self.note(&mut state, &lines);
            }
        }
        let mut executed = Vec::with_capacity(groups.len());
        let mut outcome = Ok(());
        for (number, group) in groups.iter().enumerate() {
            let mut state = self.locked();
            let is_due = outcome.is_ok() && group.iter().all(|item| state.due.contains(item));
            for item in *group {
                state.due.remove(item);
            }
            if is_due {
                state.executing.extend_from_slice(group);
                drop(state);
                outcome = removal(number);
                let mut state = self.locked();
                state.executing.clear();
                if state.waiting > 0 {
                    self.executed.notify_all();
                }
            }
            executed.push(is_due);
        }
        outcome.map(|()| executed)
    }

    /// Ends a collection: writes the list, without what a `complete` one has not seen.
    pub fn keep(&self, complete: bool) -> Result<(), StorageError> {
        let mut state = self.loaded();
        let round = state.round;
        state.used = None;
        state.since.retain(|_, since| !complete || since.round == round);
        let mut text = format!("{HEADING}{}\n", boot());
        for (item, since) in &state.since {
            let _ = writeln!(text, "{} {}", item.hex(), since.time);
        }
        match self.storage.write(&paths::condemned(), text.as_bytes()) {
            // Collecting is what makes room: in this process the list goes on, and another begins anew.
            Err(StorageError::Full { .. }) => {
                tracing::warn!("no room to write down what is condemned");
                self.storage.delete(&paths::condemned())?;
            }
            written => written?,
        }
        state.journal = None;
        self.storage.delete(&paths::pardoned())?;
        self.any.store(!state.since.is_empty(), Ordering::Release);
        Ok(())
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn loaded(&self) -> MutexGuard<'_, State> {
        let mut state = self.locked();
        if !state.loaded {
            state.loaded = true;
            match self.read() {
                Ok(since) => state.since = since,
                Err(error) => {
                    tracing::warn!(%error, "the list of condemned content is not read; it begins anew");
                }
            }
            self.any.store(!state.since.is_empty(), Ordering::Release);
        }
        state
    }

    fn read(&self) -> Result<HashMap<Item, Since>, StorageError> {
        let mut since = HashMap::new();
        let list = self.text(&paths::condemned())?;
        let mut lines = list.lines();
        let Some(booted) = lines.next().and_then(|line| line.strip_prefix(HEADING)) else {
            return Ok(since);
        };
        let anew = (booted != boot()).then(now);
        for line in lines {
            let Some((item, time)) = line.split_once(' ') else {
                continue;
            };
            if let (Some(item), Ok(time)) = (Item::parse(item), time.parse::<u64>()) {
                let time = anew.unwrap_or(time);
                since.insert(item, Since { time, round: 0 });
            }
        }
        for line in self.text(&paths::pardoned())?.lines() {
            if let Some(item) = Item::parse(line) {
                since.remove(&item);
            }
        }
        Ok(since)
    }

    fn text(&self, key: &Key) -> Result<String, StorageError> {
        match self.storage.read(key, MAX_LIST) {
            Err(error) if error.is_not_found() => Ok(String::new()),
            bytes => Ok(String::from_utf8_lossy(&bytes?).into_owned()),
        }
    }

    /// Writes down that items are on the list no longer.
    fn note(&self, state: &mut State, lines: &str) {
        let noted = match &mut state.journal {
            Some(journal) => journal.append(lines.as_bytes()),
            none => self.journal().and_then(|mut journal| {
                journal.append(lines.as_bytes())?;
                *none = Some(journal);
                Ok(())
            }),
        };
        if let Err(error) = noted {
            // Rather no list than one that condemns what was pardoned. Removing needs no space.
            tracing::debug!(%error, "a pardon is not written down; the list is dropped");
            if let Err(error) = self.storage.delete(&paths::condemned()) {
                tracing::error!(%error, "a pardon is neither written down nor is the list dropped");
            }
        }
    }

    fn journal(&self) -> Result<Box<dyn Growing>, StorageError> {
        match self.storage.append(&paths::pardoned()) {
            Err(error) if error.is_not_found() => self.storage.create(&paths::pardoned()),
            journal => journal,
        }
    }
}

/// Names the time since the machine started: what was written in another one may not have reached the disk.
fn boot() -> String {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}

/// Seconds since 1970.
pub fn now() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::storage::Filesystem;

    fn items() -> [Item; 3] {
        [1_u8, 2, 3].map(|seed| Item::blob(&Digest::of(Algorithm::Sha256, &[seed])))
    }

    fn list(folder: &tempfile::TempDir) -> Condemned {
        Condemned::new(Arc::new(Filesystem::new(folder.path()).unwrap()))
    }

    #[test]
    fn only_what_was_condemned_long_enough_is_executed() {
        let folder = tempfile::tempdir().unwrap();
        let (list, [a, b, c]) = (list(&folder), items());
        list.condemn(a, 100);
        list.condemn(b, 200);
        let removed = |item| executed(&list, &[item], 150);
        assert!(removed(a));
        assert!(!removed(a), "once");
        assert!(!removed(b), "too young");
        assert!(!removed(c), "never condemned");
        list.touch(|| [Some(b), None]);
        assert!(!executed(&list, &[b], 999), "pardoned");
    }

    #[test]
    fn a_group_goes_together_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let (list, [a, b, c]) = (list(&folder), items());
        for item in [a, b, c] {
            list.condemn(item, 100);
        }
        list.touch(|| [Some(b), None]);
        assert!(!executed(&list, &[a, b], 150));
        assert_eq!(list.sentence(a), Sentence::Since(100), "as it was");
        // Somebody comes for a part of the second while the first goes.
        list.condemn(b, 100);
        let mut gone = Vec::new();
        let done = list.execute(&[&[c], &[a, b]], 150, |number| {
            gone.push(number);
            list.touch(|| [Some(b), None]);
            Ok(())
        });
        assert_eq!((done.unwrap(), gone), (vec![true, false], vec![0]));
        assert!(list.locked().due.is_empty());
    }

    #[test]
    fn without_a_grace_what_nobody_uses_needs_no_sentence() {
        let folder = tempfile::tempdir().unwrap();
        let (list, [a, b, c]) = (list(&folder), items());
        assert!(!executed(&list, &[a], 999), "no such collection goes on");
        list.begin(true);
        list.touch(|| [Some(b), None]);
        assert!(executed(&list, &[a], 999) && !executed(&list, &[b], 999));
        list.keep(true).unwrap();
        assert!(!executed(&list, &[c], 999), "it has ended");
        assert!(
            !folder.path().join("regdeploy/pardoned").exists(),
            "nothing to note"
        );
    }

    fn executed(list: &Condemned, group: &[Item], before: u64) -> bool {
        list.execute(&[group], before, |_| Ok(())).unwrap() == [true]
    }

    #[test]
    fn sentences_and_pardons_outlive_the_process() {
        let folder = tempfile::tempdir().unwrap();
        let [a, b, c] = items();
        let first = list(&folder);
        for item in [a, b, c] {
            first.condemn(item, 100);
        }
        first.keep(true).unwrap();
        first.touch(|| [Some(a), None]);
        assert!(executed(&first, &[b], 100));
        drop(first);

        let second = list(&folder);
        assert_eq!(second.sentence(a), Sentence::Free);
        assert_eq!(second.sentence(b), Sentence::Free);
        assert_eq!(second.sentence(c), Sentence::Since(100));
        second.begin(false);
        second.keep(false).unwrap();
        assert_eq!(second.see(c), Sentence::Since(100));
        second.keep(true).unwrap();
        assert_eq!(list(&folder).sentence(c), Sentence::Since(100));
        second.begin(false);
        second.keep(true).unwrap();
        assert_eq!(list(&folder).sentence(c), Sentence::Free, "not seen any more");
    }

    #[test]
    fn after_a_crash_of_the_machine_sentences_begin_anew() {
        let folder = tempfile::tempdir().unwrap();
        let [a, ..] = items();
        let text = format!("{HEADING}another boot\n{} 100\n", a.hex());
        std::fs::create_dir_all(folder.path().join("regdeploy")).unwrap();
        std::fs::write(folder.path().join("regdeploy/condemned"), text).unwrap();
        let Sentence::Since(since) = list(&folder).sentence(a) else {
            panic!("it is condemned")
        };
        assert!(since > 100);
    }

    #[test]
    fn a_list_that_cannot_be_understood_condemns_nothing() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("regdeploy")).unwrap();
        std::fs::write(
            folder.path().join("regdeploy/condemned"),
            b"\xff\x00 what\nis this\n",
        )
        .unwrap();
        assert_eq!(list(&folder).sentence(items()[0]), Sentence::Free);
    }

    #[test]
    fn who_wants_what_is_being_removed_waits_to_see_it_gone() {
        let folder = tempfile::tempdir().unwrap();
        let (list, [a, ..]) = (list(&folder), items());
        list.condemn(a, 1);
        let gone = AtomicBool::new(false);
        std::thread::scope(|scope| {
            list.execute(&[&[a]], 1, |_| {
                scope.spawn(|| {
                    list.touch(|| [Some(a), None]);
                    assert!(gone.load(Ordering::SeqCst));
                });
                std::thread::sleep(std::time::Duration::from_millis(50));
                gone.store(true, Ordering::SeqCst);
                Ok(())
            })
            .unwrap();
        });
    }
}
