//! The destination made like the source: what has to change, and how rsync would tell it.
//!
//! Nothing leads out of the destination: paths are relative and go down only, and a link on the way is replaced, as
//! rsync does, not followed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use super::itemize::{Differences, NEW, line};
use super::listing::{Kind, Listing, Node, since_epoch};
use super::options::Options;
use crate::modules::Error;
use crate::modules::files::content::Writing;
use crate::modules::files::path::{expand, from_text, to_text};
use crate::modules::files::steps::{Source, Step};
use crate::system::{Attributes, DigestAlgorithm, FileKind, Follow, Metadata, System};

/// Where contents come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// The controller: by SHA-256.
    Controller,
    /// A folder of the same machine.
    Here,
}

/// The decision.
#[derive(Debug, Default)]
pub struct Mirrored {
    pub steps: Vec<Step>,
    /// One for each thing that changes.
    pub lines: Vec<String>,
    /// The nodes, by their place in the listing, whose digests have to be known first.
    pub needs: Vec<usize>,
}

pub struct Mirror<'a> {
    pub dest: &'a str,
    pub listing: &'a Listing,
    pub options: &'a Options,
    pub from: From,
    /// What a transferred file's line begins with: `<` for one that is sent, `>` for one that is received.
    pub direction: char,
    pub system: &'a dyn System,
}

/// The decision in the making.
struct Work<'a> {
    mirror: &'a Mirror<'a>,
    base: PathBuf,
    users: BTreeMap<String, u32>,
    groups: BTreeMap<String, u32>,
    umask: u32,
    root: bool,
    /// Folders that are not there yet, so that nothing is in them.
    new: BTreeSet<PathBuf>,
    /// Folders in which something changes, which moves their times.
    touched: BTreeSet<PathBuf>,
    /// Folders that are not made because only what exists is updated.
    left_out: BTreeSet<PathBuf>,
    deletions: Vec<Step>,
    done: Mirrored,
}

impl Mirror<'_> {
    pub fn plan(&self) -> Result<Mirrored, Error> {
        let system = self.system;
        let dest = expand(self.dest, system)?;
        let found = system.metadata(&dest, Follow::Yes)?;
        let is_folder = found
            .as_ref()
            .is_some_and(|found| found.kind == FileKind::Directory);
        let mut renamed = None;
        // A destination that is a link to a folder is that folder.
        let mut base = if is_folder {
            system.canonicalize(&dest)?
        } else {
            dest.clone()
        };
        if self.listing.single && !is_folder && !self.dest.ends_with('/') {
            dest.parent().unwrap_or(Path::new("/")).clone_into(&mut base);
            renamed = dest.file_name().map(PathBuf::from);
        }
        let users = system.users()?.into_iter().map(|user| (user.name, user.uid));
        let groups = system.groups()?.into_iter().map(|group| (group.name, group.gid));
        let mut work = Work {
            mirror: self,
            users: users.collect(),
            groups: groups.collect(),
            umask: system.umask(),
            root: system.uid() == 0,
            new: BTreeSet::new(),
            touched: BTreeSet::new(),
            left_out: BTreeSet::new(),
            deletions: Vec::new(),
            done: Mirrored::default(),
            base,
        };
        work.prepare()?;
        for (index, node) in self.listing.nodes.iter().enumerate() {
            let relative = renamed.clone().unwrap_or_else(|| from_text(&node.path));
            if !relative
                .components()
                .all(|part| matches!(part, Component::Normal(_)))
            {
                return Err(Error::new(format!(
                    "{} would lead out of {}",
                    relative.display(),
                    work.base.display()
                )));
            }
            let path = if relative.as_os_str().is_empty() {
                work.base.clone()
            } else {
                work.base.join(&relative)
            };
            let outside = path
                .ancestors()
                .skip(1)
                .any(|above| work.left_out.contains(above));
            if outside {
                continue;
            }
            match node.kind {
                Kind::Folder => work.folder(node, &path)?,
                Kind::File => work.file(index, node, &path)?,
                Kind::Link => work.link(node, &path)?,
            }
        }
        if self.options.delete && !self.listing.single {
            work.delete_others()?;
        }
        work.set_folder_times();
        let Work {
            mut done, deletions, ..
        } = work;
        // After the transfer, as the module has it; times of folders come last.
        done.steps.extend(deletions);
        Ok(done)
    }
}

impl Work<'_> {
    /// The destination folder itself: its last part may be missing.
    fn prepare(&mut self) -> Result<(), Error> {
        let system = self.mirror.system;
        let base = self.base.clone();
        match system.metadata(&base, Follow::Yes)? {
            Some(found) if found.kind == FileKind::Directory => return Ok(()),
            Some(_) => {
                return Err(Error::new(format!(
                    "{} is no folder, and several things go there",
                    base.display()
                )));
            }
            None => {}
        }
        let mut missing: Vec<&Path> = Vec::new();
        for folder in base.ancestors().filter(|folder| !folder.as_os_str().is_empty()) {
            if system.metadata(folder, Follow::Yes)?.is_some() {
                break;
            }
            missing.push(folder);
        }
        if missing.len() > 1 && !self.mirror.options.make_path {
            return Err(Error::new(format!(
                "the folder {} does not exist: make it first, or add --mkpath to rsync_opts",
                base.parent().unwrap_or(Path::new("/")).display()
            )));
        }
        if self.mirror.options.existing_only {
            self.left_out.insert(base);
            return Ok(());
        }
        // The source's own folder gets its line and its mode further on.
        let itself = self
            .mirror
            .listing
            .nodes
            .first()
            .is_some_and(|node| node.path.is_empty());
        for folder in missing.into_iter().rev() {
            if folder == base && itself {
                continue;
            }
            self.make(folder, 0o777 & !self.umask);
        }
        Ok(())
    }

    fn make(&mut self, path: &Path, mode: u32) {
        let attributes = Attributes {
            mode: Some(mode),
            ..Attributes::default()
        };
        self.done
            .steps
            .push(Step::CreateDirectory(path.to_owned(), attributes));
        self.new.insert(path.to_owned());
        self.touch(path);
    }

    /// Something in the folder of `path` changes.
    fn touch(&mut self, path: &Path) {
        if let Some(folder) = path.parent() {
            self.touched.insert(folder.to_owned());
        }
    }

    /// What is there, unless the folder itself is yet to be made.
    fn now(&self, path: &Path) -> Result<Option<Metadata>, Error> {
        if path.ancestors().skip(1).any(|above| self.new.contains(above)) || self.new.contains(path) {
            return Ok(None);
        }
        // The destination itself may be a link, as users have it.
        let follow = if path == self.base {
            Follow::Yes
        } else {
            Follow::No
        };
        Ok(self.mirror.system.metadata(path, follow)?)
    }

    fn say(&mut self, update: char, kind: char, flags: &str, node: &Node) {
        self.done.lines.push(line(update, kind, flags, node));
    }

    fn owner(&self, node: &Node) -> (Option<u32>, Option<u32>) {
        let options = self.mirror.options;
        // Number 0 is root everywhere; others go by their name.
        let number = |wanted: bool, id: u32, name: Option<&String>, known: &BTreeMap<String, u32>| {
            (wanted && self.root).then(|| name.and_then(|name| known.get(name).copied()).unwrap_or(id))
        };
        (
            number(options.owner, node.uid, node.owner.as_ref(), &self.users),
            number(options.group, node.gid, node.group.as_ref(), &self.groups),
        )
    }

    fn attributes(&self, node: &Node, now: Option<&Metadata>) -> Attributes {
        let (uid, gid) = self.owner(node);
        let mode = match now {
            _ if self.mirror.options.perms => Some(node.mode),
            None => Some(node.mode & 0o777 & !self.umask),
            Some(_) => None,
        };
        Attributes { mode, uid, gid }
    }

    /// What of the attributes is different, as a line shows it, and as it has to be set.
    fn compare(&self, node: &Node, now: &Metadata) -> (Differences, Attributes) {
        let wanted = self.attributes(node, Some(now));
        let link = node.kind == Kind::Link;
        let missing = Attributes {
            mode: wanted.mode.filter(|mode| *mode != now.mode && !link),
            uid: wanted.uid.filter(|uid| *uid != now.uid),
            gid: wanted.gid.filter(|gid| *gid != now.gid),
        };
        let options = self.mirror.options;
        let times = match node.kind {
            Kind::File => options.times,
            Kind::Folder => options.times && !options.omit_dir_times,
            Kind::Link => options.times && !options.omit_link_times,
        };
        let differences = Differences {
            time: times && since_epoch(now.modified).0 != node.modified.0,
            mode: missing.mode.is_some(),
            owner: missing.uid.is_some(),
            group: missing.gid.is_some(),
            ..Differences::default()
        };
        (differences, missing)
    }

    fn set(&mut self, path: &Path, missing: Attributes) {
        if missing != Attributes::default() {
            self.done
                .steps
                .push(Step::Attributes(path.to_owned(), missing, Follow::No));
        }
    }

    fn set_time(&mut self, path: &Path, time: SystemTime) {
        self.done
            .steps
            .push(Step::Times(path.to_owned(), None, Some(time)));
    }

    /// Makes way for something of another kind.
    fn make_way(&mut self, path: &Path, now: &Metadata) -> Result<(), Error> {
        if now.kind != FileKind::Directory {
            self.done.steps.push(Step::Remove(path.to_owned()));
            return Ok(());
        }
        let options = self.mirror.options;
        if !options.delete && !options.force && !self.mirror.system.read_dir(path)?.is_empty() {
            return Err(Error::new(format!(
                "{} is a folder with something in it, and what the source has there is none: \
                 remove it, or use delete",
                path.display()
            )));
        }
        self.done.steps.push(Step::RemoveTree(path.to_owned()));
        Ok(())
    }

    fn folder(&mut self, node: &Node, path: &Path) -> Result<(), Error> {
        let now = self.now(path)?;
        match now {
            Some(now) if now.kind == FileKind::Directory => {
                let (differences, missing) = self.compare(node, &now);
                if differences.any() {
                    self.say('.', 'd', &differences.text(), node);
                }
                self.set(path, missing);
                if differences.time {
                    self.touched.insert(path.to_owned());
                }
                Ok(())
            }
            now => {
                if self.mirror.options.existing_only && now.is_none() {
                    self.left_out.insert(path.to_owned());
                    return Ok(());
                }
                if let Some(now) = &now {
                    self.make_way(path, now)?;
                }
                let attributes = self.attributes(node, None);
                self.done
                    .steps
                    .push(Step::CreateDirectory(path.to_owned(), attributes));
                self.new.insert(path.to_owned());
                self.touch(path);
                self.touched.insert(path.to_owned());
                self.say('c', 'd', NEW, node);
                Ok(())
            }
        }
    }

    fn link(&mut self, node: &Node, path: &Path) -> Result<(), Error> {
        let target = from_text(node.target.as_deref().unwrap_or_default());
        let now = self.now(path)?;
        let options = self.mirror.options;
        let mut flags = NEW.to_owned();
        match now {
            Some(now) if now.kind == FileKind::Link => {
                let (mut differences, missing) = self.compare(node, &now);
                if self.mirror.system.read_link(path)? == target {
                    if differences.any() {
                        self.say('.', 'L', &differences.text(), node);
                        self.set(path, missing);
                        if differences.time {
                            self.set_time(path, node.time());
                        }
                    }
                    return Ok(());
                }
                if options.ignore_existing {
                    return Ok(());
                }
                differences.content = true;
                flags = differences.text();
            }
            Some(_) if options.ignore_existing => return Ok(()),
            Some(now) if now.kind == FileKind::Directory => self.make_way(path, &now)?,
            None if options.existing_only => return Ok(()),
            Some(_) | None => {}
        }
        self.say('c', 'L', &flags, node);
        self.touch(path);
        self.done.steps.push(Step::Link {
            target,
            link: path.to_owned(),
        });
        let (uid, gid) = self.owner(node);
        self.set(path, Attributes { mode: None, uid, gid });
        if options.times && !options.omit_link_times {
            self.set_time(path, node.time());
        }
        Ok(())
    }

    fn file(&mut self, index: usize, node: &Node, path: &Path) -> Result<(), Error> {
        let options = self.mirror.options;
        let now = self.now(path)?;
        let regular = now.as_ref().filter(|now| now.kind == FileKind::File);
        let mut flags = NEW.to_owned();
        if let Some(now) = regular {
            if options.ignore_existing || (options.update && since_epoch(now.modified) > node.modified) {
                return Ok(());
            }
            let (mut differences, missing) = self.compare(node, now);
            differences.size = now.size != node.size;
            let same_time = since_epoch(now.modified).0 == node.modified.0;
            let differs = differences.size
                || match &node.digest {
                    Some(digest) if options.checksum => {
                        self.mirror.system.digest(path, DigestAlgorithm::Sha256)? != *digest
                    }
                    _ => options.ignore_times || !(options.size_only || same_time),
                };
            if !differs {
                if differences.any() {
                    self.say('.', 'f', &differences.text(), node);
                }
                self.set(path, missing);
                if differences.time {
                    self.set_time(path, node.time());
                }
                return Ok(());
            }
            differences.content = options.checksum;
            differences.time_of_transfer = !options.times;
            flags = differences.text();
        } else if let Some(now) = &now {
            if options.ignore_existing {
                return Ok(());
            }
            if now.kind != FileKind::Link {
                self.make_way(path, now)?;
            }
        } else if options.existing_only {
            return Ok(());
        }
        self.say(self.mirror.direction, 'f', &flags, node);
        self.transfer(index, node, path, regular)
    }

    fn transfer(
        &mut self,
        index: usize,
        node: &Node,
        path: &Path,
        regular: Option<&Metadata>,
    ) -> Result<(), Error> {
        let source = match (self.mirror.from, &node.digest) {
            (From::Here, _) => Source::File(from_text(&self.mirror.listing.root).join(from_text(&node.path))),
            (From::Controller, Some(digest)) => {
                // Only its time is another: what is there need not come again.
                let same = regular.is_some_and(|now| now.size == node.size)
                    && self.mirror.system.digest(path, DigestAlgorithm::Sha256)? == *digest;
                if let Some(now) = regular.filter(|_| same) {
                    let (_, missing) = self.compare(node, now);
                    self.set(path, missing);
                    self.set_time(path, self.time(node));
                    return Ok(());
                }
                Source::Held(digest.clone(), node.size)
            }
            (From::Controller, None) => {
                self.done.needs.push(index);
                Source::Bytes(Vec::new())
            }
        };
        self.touch(path);
        let writing = Writing {
            path: path.to_owned(),
            attributes: self.attributes(node, regular),
            ..Writing::default()
        };
        self.done.steps.push(Step::Write(writing, source));
        if self.mirror.options.times {
            self.set_time(path, node.time());
        }
        Ok(())
    }

    fn time(&self, node: &Node) -> SystemTime {
        if self.mirror.options.times {
            node.time()
        } else {
            self.mirror.system.now()
        }
    }

    /// What the source does not have goes, unless it is left out there, too.
    fn delete_others(&mut self) -> Result<(), Error> {
        let listing = self.mirror.listing;
        let wanted: BTreeSet<PathBuf> = listing.nodes.iter().map(|node| from_text(&node.path)).collect();
        for node in listing.nodes.iter().filter(|node| node.kind == Kind::Folder) {
            let relative = from_text(&node.path);
            let folder = if node.path.is_empty() {
                self.base.clone()
            } else {
                self.base.join(&relative)
            };
            if self
                .now(&folder)?
                .is_none_or(|now| now.kind != FileKind::Directory)
            {
                continue;
            }
            for name in self.mirror.system.read_dir(&folder)?.into_iter().rev() {
                let below = relative.join(&name);
                if wanted.contains(&below) {
                    continue;
                }
                let path = folder.join(&name);
                let removed = self.remove(&path, &below)?;
                if removed {
                    self.touch(&path);
                }
            }
        }
        Ok(())
    }

    /// False where something that is left out has to stay.
    fn remove(&mut self, path: &Path, relative: &Path) -> Result<bool, Error> {
        let system = self.mirror.system;
        let Some(found) = system.metadata(path, Follow::No)? else {
            return Ok(false);
        };
        let folder = found.kind == FileKind::Directory;
        let name = to_text(relative);
        let options = self.mirror.options;
        if !options.delete_excluded && options.filter.excludes(&name, folder) {
            return Ok(false);
        }
        let mut whole = true;
        if folder {
            for child in system.read_dir(path)?.into_iter().rev() {
                whole &= self.remove(&path.join(&child), &relative.join(&child))?;
            }
        }
        if !whole {
            return Ok(false);
        }
        self.deletions.push(if folder {
            Step::RemoveTree(path.to_owned())
        } else {
            Step::Remove(path.to_owned())
        });
        let slash = if folder { "/" } else { "" };
        self.done.lines.push(format!("*deleting   {name}{slash}"));
        Ok(true)
    }

    /// Folders get their times once nothing changes in them any more.
    fn set_folder_times(&mut self) {
        let options = self.mirror.options;
        if !options.times || options.omit_dir_times {
            return;
        }
        for node in self.mirror.listing.nodes.iter().rev() {
            let path = if node.path.is_empty() {
                self.base.clone()
            } else {
                self.base.join(from_text(&node.path))
            };
            if node.kind == Kind::Folder && self.touched.contains(&path) && !self.left_out.contains(&path) {
                self.deletions.push(Step::Times(path, None, Some(node.time())));
            }
        }
    }
}
