//! Files, folders and links put where they belong: the common half of `place` (contents held by the
//! controller) and of `copy` with `remote_src` (contents on the target).
//!
//! A folder of any size is one decision: everything is compared here, and only what differs is asked for.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use crate::modules::files::attributes::{self, FileArgs, StateDiff, Wanted};
use crate::modules::files::content::{BACKUP_FILE, MAX_DIFF, Writing, check_validate, diff_part, text_diff};
use crate::modules::files::file::missing_folders;
use crate::modules::files::path::expand;
use crate::modules::files::steps::{Source, Step, perform};
use crate::modules::files::{flags, label};
use crate::modules::{Arg, Error, Plan, Return};
use crate::system::{DigestAlgorithm, Expected, FileKind, Follow, Metadata, System, SystemError};
use crate::value::{Map, Value};
use crate::wire::message::{Diff, Outcome};

pub const FORCE: Arg = Arg::bool("force")
    .aliases(&["thirsty"])
    .default("yes")
    .doc("replace what is there");

pub const FOLLOW: Arg = Arg::bool("follow")
    .default("no")
    .doc("write through links at dest");

pub const DIRECTORY_MODE: Arg = Arg::mode("directory_mode").doc("of folders that are made");

/// What is told of what was placed.
pub const RETURNS: &[Return] = &[
    Return::new("dest", "str", "the file"),
    Return::new("checksum", "str", "SHA-1 of its content"),
    Return::new("md5sum", "str", "MD5 of its content").when("it was changed"),
    Return::new("src", "str", "what was placed").when("it was changed"),
    attributes::MODE,
    attributes::OWNER,
    attributes::GROUP,
    attributes::SIZE,
    attributes::UID,
    attributes::GID,
    Return::new("state", "str", "`file`, `directory`, `link` or `hard`"),
    attributes::LABEL,
    BACKUP_FILE,
];

/// One thing to be placed; a single file has an empty relative path.
#[derive(Debug, Clone)]
pub struct Entry {
    pub relative: PathBuf,
    pub kind: EntryKind,
    /// Its own mode, where none is asked for all of them.
    pub mode: Option<OwnMode>,
}

#[derive(Debug, Clone)]
pub enum OwnMode {
    Always(String),
    /// What is there keeps what it has.
    IfNew(String),
}

impl OwnMode {
    fn wanted(&self, is_new: bool) -> Option<&str> {
        match self {
            Self::Always(mode) => Some(mode),
            Self::IfNew(mode) => is_new.then_some(mode),
        }
    }
}

#[derive(Debug, Clone)]
pub enum EntryKind {
    File {
        source: Source,
        size: u64,
        sha1: Option<String>,
    },
    Directory,
    Link(PathBuf),
}

impl Entry {
    /// Whether it is what is placed itself, not something within.
    fn is_root(&self) -> bool {
        self.relative.as_os_str().is_empty()
    }

    fn is_folder(&self) -> bool {
        matches!(self.kind, EntryKind::Directory)
    }
}

/// What is to be placed, and how.
#[expect(
    clippy::struct_excessive_bools,
    reason = "playbooks know these arguments as flags"
)]
#[derive(Debug)]
pub struct Placing {
    pub dest: String,
    /// The name that a single file gets where `dest` is a folder.
    pub source_name: Option<String>,
    /// What a diff calls the new side.
    pub source_label: Option<String>,
    /// What the result calls the source, where the controller does not say it.
    pub src: Option<String>,
    pub entries: Vec<Entry>,
    pub file: FileArgs,
    pub directory_mode: Option<String>,
    pub backup: bool,
    pub force: bool,
    pub validate: Option<String>,
    pub follow: bool,
    pub diff: bool,
}

/// The decision.
#[derive(Debug)]
pub struct Placed {
    steps: Vec<Step>,
    path: PathBuf,
    values: Map,
}

impl Placed {
    pub fn apply(self, system: &dyn System) -> Result<Outcome, Error> {
        let backup = perform(&self.steps, system)?;
        let mut outcome = attributes::describe(Outcome::changed(true), &self.path, system)?;
        if self.values.contains_key("checksum") {
            let md5 = system.digest(&self.path, DigestAlgorithm::Md5)?;
            outcome = outcome.with("md5sum", md5);
        }
        outcome.values.extend(self.values);
        if let Some(backup) = backup {
            outcome = outcome.with("backup_file", backup.display().to_string());
        }
        Ok(outcome)
    }
}

impl Placing {
    pub fn plan(self, system: &dyn System) -> Result<Plan<Placed>, Error> {
        check_validate(self.validate.as_deref())?;
        let single = matches!(self.entries.as_slice(), [entry] if entry.is_root() && !entry.is_folder());
        let mut work = Work {
            wanted: self.file.resolve(system)?,
            folders: Folders {
                wanted: FileArgs {
                    mode: self.directory_mode.clone(),
                    ..self.file.clone()
                }
                .resolve(system)?,
                made: Vec::new(),
            },
            placing: &self,
            system,
            steps: Vec::new(),
            own_modes: Vec::new(),
            labels: Vec::new(),
            diffs: Vec::new(),
            compared: HashMap::new(),
        };
        let path = if single { work.single()? } else { work.tree()? };
        let Work {
            mut steps,
            own_modes,
            labels,
            diffs,
            ..
        } = work;
        steps.extend(own_modes);
        steps.extend(labels);
        steps.extend(flags::step(self.file.attributes.as_deref(), &path, system)?);
        let mut values = Map::from([("dest".to_owned(), Value::from(path.display().to_string()))]);
        if let [
            Entry {
                kind: EntryKind::File { sha1: Some(sha1), .. },
                ..
            },
        ] = self.entries.as_slice()
            && single
        {
            values.insert("checksum".to_owned(), sha1.as_str().into());
        }
        let changed = !steps.is_empty();
        if let Some(src) = self.src.as_ref().or(self.source_label.as_ref()) {
            values.insert("src".to_owned(), src.as_str().into());
        }
        if !changed {
            values.insert("path".to_owned(), path.display().to_string().into());
        }
        let mut outcome = attributes::describe(Outcome::changed(changed), &path, system)?;
        outcome.values.extend(values.clone());
        outcome.diff = diffs;
        if !changed {
            return Ok(Plan::Same(outcome));
        }
        Ok(Plan::Change {
            change: Placed { steps, path, values },
            predicted: outcome,
        })
    }
}

/// The decision in the making.
struct Work<'a> {
    placing: &'a Placing,
    system: &'a dyn System,
    wanted: Wanted,
    folders: Folders,
    steps: Vec<Step>,
    /// Of new folders: last, since one may be closed to its owner.
    own_modes: Vec<Step>,
    labels: Vec<Step>,
    diffs: Vec<Diff>,
    /// Whether files that are there have the content that is wanted.
    compared: HashMap<PathBuf, bool>,
}

/// Folders that will be there by the time they are needed.
struct Folders {
    wanted: Wanted,
    made: Vec<PathBuf>,
}

impl Work<'_> {
    fn single(&mut self) -> Result<PathBuf, Error> {
        let entry = &self.placing.entries[0];
        let given = &self.placing.dest;
        let mut path = expand(given, self.system)?;
        let into = given.ends_with('/') || self.is_folder(&path)?;
        if into {
            let name = self
                .placing
                .source_name
                .as_deref()
                .filter(|name| !name.is_empty())
                .ok_or_else(|| Error::new("can not use content with a dir as dest"))?;
            if given.ends_with('/') {
                self.make_folders(&path)?;
            }
            path = path.join(name);
        }
        let parent = match path.parent() {
            Some(folder) if folder.as_os_str().is_empty() => PathBuf::from("."),
            folder => folder.unwrap_or(Path::new("/")).to_owned(),
        };
        if !self.folders.made.contains(&parent) && !self.is_folder(&parent)? {
            return Err(Error::new(format!(
                "Destination directory {} does not exist",
                parent.display()
            )));
        }
        if self.placing.follow && self.system.metadata(&path, Follow::No)?.is_some() {
            path = self.system.canonicalize(&path)?;
        }
        self.place(entry, &path)?;
        Ok(path)
    }

    fn tree(&mut self) -> Result<PathBuf, Error> {
        let root = expand(&self.placing.dest, self.system)?;
        if !self.placing.entries.first().is_some_and(Entry::is_root) {
            self.make_folders(&root)?;
        }
        if self.placing.diff {
            self.expect_contents(&root)?;
        }
        for entry in &self.placing.entries {
            if !is_inside(&entry.relative) {
                return Err(Error::new(format!(
                    "{} would lead out of {}",
                    entry.relative.display(),
                    root.display()
                )));
            }
            let path = if entry.is_root() {
                root.clone()
            } else {
                root.join(&entry.relative)
            };
            if let Some(parent) = path.parent() {
                self.make_folders(parent)?;
            }
            self.place(entry, &path)?;
        }
        Ok(root)
    }

    /// What diffs will show comes in one go.
    fn expect_contents(&mut self, root: &Path) -> Result<(), Error> {
        let mut expected = Vec::new();
        for entry in &self.placing.entries {
            let EntryKind::File { source, size, .. } = &entry.kind else {
                continue;
            };
            let Source::Held(digest, _) = source else { continue };
            if *size > MAX_DIFF as u64 || !is_inside(&entry.relative) {
                continue;
            }
            let near = root.join(&entry.relative);
            let now = self.system.metadata(&near, Follow::No)?;
            if !self.is_kept(source, *size, &near, now.as_ref())? {
                expected.push(Expected {
                    digest: digest.clone(),
                    size: *size,
                    near,
                });
            }
        }
        if !expected.is_empty() {
            self.system.expect(&expected)?;
        }
        Ok(())
    }

    fn is_folder(&self, path: &Path) -> Result<bool, Error> {
        let found = self.system.metadata(path, Follow::Yes)?;
        Ok(found.is_some_and(|metadata| metadata.kind == FileKind::Directory))
    }

    fn make_folders(&mut self, path: &Path) -> Result<(), Error> {
        if self.folders.made.iter().any(|made| made == path) {
            return Ok(());
        }
        for folder in missing_folders(path, self.system)? {
            if !self.folders.made.contains(&folder) {
                let attributes = self.folders.wanted.for_new(FileKind::Directory);
                self.note_state(&folder, "absent", "directory");
                self.steps.push(Step::CreateDirectory(folder.clone(), attributes));
                self.label(&folder)?;
                self.folders.made.push(folder);
            }
        }
        Ok(())
    }

    fn note_state(&mut self, path: &Path, before: &'static str, after: &'static str) {
        let mut diff = StateDiff::new(path);
        diff.note("state", before, after);
        self.diffs.push(diff.into_diff());
    }

    fn place(&mut self, entry: &Entry, path: &Path) -> Result<(), Error> {
        let now = self.system.metadata(path, Follow::No)?;
        let own = entry.mode.as_ref().and_then(|mode| mode.wanted(now.is_none()));
        match &entry.kind {
            EntryKind::Directory => self.place_folder(path, own),
            EntryKind::Link(target) => self.place_link(target, path, now.as_ref()),
            EntryKind::File { source, size, .. } => {
                let mut wanted = self.wanted.clone();
                if let (None, Some(mode)) = (&wanted.mode, own) {
                    wanted.mode = Some(attributes::parse_mode(mode)?);
                }
                self.label(path)?;
                self.place_file(source, *size, &wanted, path, now.as_ref())
            }
        }
    }

    fn label(&mut self, path: &Path) -> Result<(), Error> {
        let step = label::step(&self.placing.file, path, self.system)?;
        self.labels.extend(step);
        Ok(())
    }

    fn place_folder(&mut self, path: &Path, own: Option<&str>) -> Result<(), Error> {
        let made = self.folders.made.len();
        self.make_folders(path)?;
        let (None, Some(mode)) = (&self.folders.wanted.mode, own) else {
            return Ok(());
        };
        if self.folders.made[made..].iter().any(|folder| folder == path) {
            let mut wanted = self.folders.wanted.clone();
            wanted.mode = Some(attributes::parse_mode(mode)?);
            self.own_modes.push(Step::Attributes(
                path.to_owned(),
                wanted.for_new(FileKind::Directory),
                Follow::No,
            ));
        }
        Ok(())
    }

    fn place_link(&mut self, target: &Path, path: &Path, now: Option<&Metadata>) -> Result<(), Error> {
        let same =
            now.is_some_and(|now| now.kind == FileKind::Link) && self.system.read_link(path)? == target;
        if same || (now.is_some() && !self.placing.force) {
            return Ok(());
        }
        if now.is_some_and(|now| now.kind == FileKind::Directory) {
            return Err(occupied(path, "link"));
        }
        self.note_state(path, now.map_or("absent", attributes::state), "link");
        self.steps.push(Step::Link {
            target: target.to_owned(),
            link: path.to_owned(),
        });
        Ok(())
    }

    fn place_file(
        &mut self,
        source: &Source,
        size: u64,
        wanted: &Wanted,
        path: &Path,
        now: Option<&Metadata>,
    ) -> Result<(), Error> {
        if now.is_some_and(|now| now.kind == FileKind::Directory) {
            return Err(occupied(path, "file"));
        }
        let regular = now.filter(|now| now.kind == FileKind::File);
        if self.is_kept(source, size, path, now)? {
            self.fix_attributes(wanted, path, now);
            return Ok(());
        }
        let source = self.note_content(source, size, path, regular)?;
        let writing = Writing {
            path: path.to_owned(),
            attributes: wanted.for_write(regular),
            backup: self.placing.backup && now.is_some(),
            validate: self.placing.validate.clone(),
            unsafe_writes: wanted.unsafe_writes,
        };
        self.steps.push(Step::Write(writing, source));
        Ok(())
    }

    /// Whether what is there stays.
    fn is_kept(
        &mut self,
        source: &Source,
        size: u64,
        path: &Path,
        now: Option<&Metadata>,
    ) -> Result<bool, Error> {
        match now {
            Some(now) if now.kind == FileKind::File && self.placing.force => {
                self.same(source, size, path, now)
            }
            now => Ok(now.is_some() && !self.placing.force),
        }
    }

    fn same(&mut self, source: &Source, size: u64, path: &Path, now: &Metadata) -> Result<bool, Error> {
        if now.size != size {
            return Ok(false);
        }
        if let Some(same) = self.compared.get(path) {
            return Ok(*same);
        }
        let sha256 = DigestAlgorithm::Sha256;
        let wanted = match source {
            Source::Held(digest, _) => digest.clone(),
            Source::File(from) => self.system.digest(from, sha256)?,
            Source::Bytes(bytes) => crate::system::digest::digest_bytes(bytes, sha256),
        };
        let same = self.system.digest(path, sha256)? == wanted;
        self.compared.insert(path.to_owned(), same);
        Ok(same)
    }

    fn fix_attributes(&mut self, wanted: &Wanted, path: &Path, now: Option<&Metadata>) {
        let Some(now) = now else { return };
        let missing = wanted.missing(now);
        if !attributes::nothing(missing) {
            let mut diff = StateDiff::new(path);
            diff.note_attributes(now, missing);
            self.diffs.push(diff.into_diff());
            self.steps
                .push(Step::Attributes(path.to_owned(), missing, Follow::No));
        }
    }

    /// The diff, if it is asked for; the content that it took is not fetched a second time.
    fn note_content(
        &mut self,
        source: &Source,
        size: u64,
        path: &Path,
        old: Option<&Metadata>,
    ) -> Result<Source, Error> {
        if !self.placing.diff {
            return Ok(source.clone());
        }
        let unreadable = |error| SystemError::path("read", path, error);
        let name = path.display().to_string();
        let (header, before) = match old {
            Some(_) => {
                let part = diff_part(&mut self.system.open(path)?).map_err(unreadable)?;
                (name.as_str(), part)
            }
            None => ("", Vec::new()),
        };
        let label = self.placing.source_label.as_deref().unwrap_or(&name);
        if size > MAX_DIFF as u64 {
            // Enough to be called too long.
            let stand_in = vec![b' '; MAX_DIFF + 1];
            self.diffs.push(text_diff((header, &before), (label, &stand_in)));
            return Ok(source.clone());
        }
        let mut stream = match source {
            Source::Held(digest, _) => self.system.content(digest)?,
            Source::File(from) => self.system.open(from)?,
            Source::Bytes(bytes) => Box::new(std::io::Cursor::new(bytes.clone())),
        };
        let after = diff_part(&mut stream).map_err(unreadable)?;
        self.diffs.push(text_diff((header, &before), (label, &after)));
        Ok(Source::Bytes(after))
    }
}

/// Whether a relative path stays below where it is put.
fn is_inside(relative: &Path) -> bool {
    relative
        .components()
        .all(|part| matches!(part, Component::Normal(_)))
}

fn occupied(path: &Path, kind: &str) -> Error {
    Error::new(format!(
        "{} is a directory, a {kind} cannot take its place",
        path.display()
    ))
}
