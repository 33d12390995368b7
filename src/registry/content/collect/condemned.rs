//! What is condemned: seen unreferenced, with the time of that. Whoever uses such a thing pardons it.
//!
//! The promise to a client that was told that something is there rests on this list alone. Only what was
//! condemned for the whole grace, and not used since, is removed; a use before the sentence needs no record, for
//! the sentence is younger than the use.
//!
//! The list is kept in the store between runs, and each pardon is appended to a journal beside it, so that it
//! outlives a crash of the process. After a crash of the machine, which may have lost the journal, every
//! sentence begins anew. Both are derived: without them nothing is condemned.

use std::collections::HashMap;
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
    /// What is being removed at this moment: who wants it waits to see it gone.
    executing: Option<Item>,
    journal: Option<Box<dyn Growing>>,
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
        if state.since.is_empty() && state.executing.is_none() {
            return;
        }
        for item in items().into_iter().flatten() {
            while state.executing == Some(item) {
                state = self.executed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if state.since.remove(&item).is_some() {
                self.note(&mut state, item);
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

    /// Begins a collection: what it does not see is no longer condemned at its end.
    pub fn begin(&self) {
        self.loaded().round += 1;
    }

    /// Condemns; false where too much is condemned already.
    pub fn condemn(&self, item: Item, now: u64) -> bool {
        let mut state = self.loaded();
        if state.since.len() >= MAX_CONDEMNED {
            return false;
        }
        let round = state.round;
        state.since.insert(item, Since { time: now, round });
        self.any.store(true, Ordering::Release);
        true
    }

    /// Runs `removal` if the thing is condemned since `before` or longer, while nobody can begin to use it.
    pub fn execute<T>(
        &self,
        item: Item,
        before: u64,
        removal: impl FnOnce() -> Result<T, ContentError>,
    ) -> Result<Option<T>, ContentError> {
        {
            let mut state = self.loaded();
            if state.since.get(&item).is_none_or(|since| since.time > before) {
                return Ok(None);
            }
            state.since.remove(&item);
            // Should it come again, its old sentence must not.
            self.note(&mut state, item);
            state.executing = Some(item);
        }
        let done = removal();
        self.locked().executing = None;
        self.executed.notify_all();
        done.map(Some)
    }

    /// Ends a collection: writes the list, without what a `complete` one has not seen.
    pub fn keep(&self, complete: bool) -> Result<(), StorageError> {
        let mut state = self.loaded();
        let round = state.round;
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
                    tracing::warn!(%error, "the list of condemned content is not read; it begins anew")
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

    /// Writes down that an item is on the list no longer.
    fn note(&self, state: &mut State, item: Item) {
        let line = format!("{}\n", item.hex());
        let noted = match &mut state.journal {
            Some(journal) => journal.append(line.as_bytes()),
            none => self.journal().and_then(|mut journal| {
                journal.append(line.as_bytes())?;
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
        let removed = |item| list.execute(item, 150, || Ok(())).unwrap().is_some();
        assert!(removed(a));
        assert!(!removed(a), "once");
        assert!(!removed(b), "too young");
        assert!(!removed(c), "never condemned");
        list.touch(|| [Some(b), None]);
        assert_eq!(list.execute(b, 999, || Ok(())).unwrap(), None, "pardoned");
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
        first.execute(b, 100, || Ok(())).unwrap();
        drop(first);

        let second = list(&folder);
        assert_eq!(second.sentence(a), Sentence::Free);
        assert_eq!(second.sentence(b), Sentence::Free);
        assert_eq!(second.sentence(c), Sentence::Since(100));
        second.begin();
        second.keep(false).unwrap();
        assert_eq!(second.see(c), Sentence::Since(100));
        second.keep(true).unwrap();
        assert_eq!(list(&folder).sentence(c), Sentence::Since(100));
        second.begin();
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
            list.execute(a, 1, || {
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
