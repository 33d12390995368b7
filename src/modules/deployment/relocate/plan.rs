//! From what is there to what has to be done. Every state that a kill can leave behind is one of these.

use std::fmt;
use std::path::{Path, PathBuf};

use super::{Direction, Error, Journal, Paths};
use crate::system::{FileKind, Follow, System};

/// Mount points, as the kernel tells them (proc(5)).
const MOUNTS: &str = "/proc/self/mountinfo";

/// One thing to do. Each can be cut short at any point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Note(Journal),
    Stop(Vec<String>),
    RequireIdle(PathBuf),
    /// That folder and those above it.
    MakeFolders(PathBuf),
    /// Whatever is there, if anything is.
    Remove(PathBuf),
    Copy {
        from: PathBuf,
        to: PathBuf,
    },
    Verify {
        from: PathBuf,
        to: PathBuf,
    },
    Rename {
        from: PathBuf,
        to: PathBuf,
    },
    Link {
        target: PathBuf,
        link: PathBuf,
    },
    /// `fresh` and `src` change places: the moment at which the other place is in effect.
    Switch {
        fresh: PathBuf,
    },
    Start(Vec<String>),
    RemoveJournal,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Note(_) => f.write_str("write the journal"),
            Self::Stop(services) => write!(f, "stop {}", services.join(", ")),
            Self::RequireIdle(path) => write!(f, "see that nothing is mounted below {}", path.display()),
            Self::MakeFolders(path) => write!(f, "make {}", path.display()),
            Self::Remove(path) => write!(f, "remove {}", path.display()),
            Self::Copy { from, to } => write!(f, "copy {} to {}", from.display(), to.display()),
            Self::Verify { from, to } => write!(f, "compare {} with {}", from.display(), to.display()),
            Self::Rename { from, to } => write!(f, "rename {} to {}", from.display(), to.display()),
            Self::Link { target, link } => write!(f, "link {} to {}", link.display(), target.display()),
            Self::Switch { fresh } => write!(f, "switch to {}", fresh.display()),
            Self::Start(services) => write!(f, "start {}", services.join(", ")),
            Self::RemoveJournal => f.write_str("remove the journal"),
        }
    }
}

/// What one name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Missing,
    Folder { empty: bool },
    Link(PathBuf),
    Other,
}

impl Place {
    fn look(path: &Path, system: &dyn System) -> Result<Self, Error> {
        Ok(
            match system.metadata(path, Follow::No)?.map(|metadata| metadata.kind) {
                None => Self::Missing,
                Some(FileKind::Directory) => Self::Folder {
                    empty: system.read_dir(path)?.is_empty(),
                },
                Some(FileKind::Link) => Self::Link(system.read_link(path)?),
                Some(_) => Self::Other,
            },
        )
    }

    fn is_folder(&self) -> bool {
        matches!(self, Self::Folder { .. })
    }
}

/// All that decisions rest on.
pub(super) struct Scene {
    paths: Paths,
    src: Place,
    dest: Place,
    old: Place,
    aside: Place,
    new: Place,
    journal: Option<Journal>,
    mounts: Vec<PathBuf>,
}

impl Scene {
    pub(super) fn look(paths: Paths, system: &dyn System) -> Result<Self, Error> {
        let journal = read_journal(&paths, system)?;
        Ok(Self {
            src: Place::look(&paths.src, system)?,
            dest: Place::look(&paths.dest, system)?,
            old: Place::look(&paths.old, system)?,
            aside: Place::look(&paths.aside, system)?,
            new: Place::look(&paths.new, system)?,
            mounts: mounts(system),
            paths,
            journal,
        })
    }

    pub(super) fn is_resumed(&self) -> bool {
        self.journal.is_some()
    }

    /// The steps to the wanted state; none if it is reached.
    pub(super) fn plan(&self, wanted: Direction, running: Vec<String>) -> Result<Vec<Step>, Error> {
        let mut steps = Vec::new();
        let mut src = &self.src;
        if *src == Place::Missing && self.journal.is_some() && self.aside != Place::Missing {
            // Cut short in the middle of a switch: back to before it.
            steps.push(Step::Rename {
                from: self.paths.aside.clone(),
                to: self.paths.src.clone(),
            });
            src = &self.aside;
        } else {
            self.refuse_doubles()?;
        }
        let running = self.remembered(running);
        match (wanted, src) {
            (_, Place::Other) => Err(self.refusal("is neither a folder nor a link")),
            (_, Place::Link(target)) if *target != self.paths.dest => Err(self.refusal(&format!(
                "is a link to {} already; remove it or give that as dest",
                target.display()
            ))),
            (Direction::Present, Place::Link(_)) => {
                if !self.dest.is_folder() {
                    return Err(self.refusal("is a link to a dest that is not there"));
                }
                Ok(self.tidy(steps, running))
            }
            (Direction::Present, Place::Folder { .. }) => self.there(steps, running),
            (Direction::Present, Place::Missing) => Ok(self.nothing_yet(steps)),
            (Direction::Absent, Place::Link(_)) => self.back(steps, running),
            (Direction::Absent, Place::Folder { .. }) => Ok(self.tidy_back(steps, running)),
            (Direction::Absent, Place::Missing) => Ok(steps),
        }
    }

    /// Two folders that both claim to be the contents: only a person can tell which one is right.
    fn refuse_doubles(&self) -> Result<(), Error> {
        if !self.src.is_folder() {
            return Ok(());
        }
        for (path, place) in [(&self.paths.old, &self.old), (&self.paths.aside, &self.aside)] {
            if place.is_folder() {
                return Err(self.refusal(&format!(
                    "and {} are both there; remove the one that is wrong",
                    path.display()
                )));
            }
        }
        let returning = self
            .journal
            .as_ref()
            .is_some_and(|journal| journal.direction == Direction::Absent);
        if returning && self.new.is_folder() {
            return Err(self.refusal(&format!(
                "was made anew while its contents were on their way back in {}; remove the wrong one",
                self.paths.new.display()
            )));
        }
        Ok(())
    }

    fn refusal(&self, what: &str) -> Error {
        Error::new(format!("cannot relocate: {} {what}", self.paths.src.display()))
    }

    /// What runs now and what ran before the run that was cut short.
    fn remembered(&self, mut running: Vec<String>) -> Vec<String> {
        for name in self.journal.iter().flat_map(|journal| &journal.running) {
            if !running.contains(name) {
                running.push(name.clone());
            }
        }
        running
    }

    fn refuse_mount(&self, path: &Path) -> Result<(), Error> {
        if self.mounts.iter().any(|mount| mount == path) {
            return Err(Error::new(format!(
                "cannot relocate: {} is a mount point, which cannot be renamed; unmount it or choose a folder \
                 below it",
                path.display()
            )));
        }
        Ok(())
    }

    /// The whole way to `dest`.
    fn there(&self, mut steps: Vec<Step>, running: Vec<String>) -> Result<Vec<Step>, Error> {
        let paths = &self.paths;
        self.refuse_mount(&paths.src)?;
        self.refuse_mount(&paths.dest)?;
        let ours = self.journal.is_some();
        let free = matches!(self.dest, Place::Missing | Place::Folder { empty: true });
        if !free && !ours && self.src == (Place::Folder { empty: true }) && self.dest.is_folder() {
            return Ok(self.adopt(steps, running));
        }
        if !free && !ours {
            return Err(Error::new(format!(
                "cannot relocate: {} is not empty; move away what is there or choose another dest",
                paths.dest.display()
            )));
        }
        steps.extend(
            paths
                .dest
                .parent()
                .map(|parent| Step::MakeFolders(parent.to_owned())),
        );
        steps.push(self.note(Direction::Present, &running));
        steps.push(Step::Stop(running.clone()));
        steps.push(Step::RequireIdle(paths.src.clone()));
        steps.push(Step::Remove(paths.partial.clone()));
        if ours {
            // It may be a whole copy, yet what runs meanwhile has gone on writing to `src`.
            steps.push(Step::Remove(paths.dest.clone()));
            steps.push(Step::Remove(paths.old.clone()));
            steps.push(Step::Remove(paths.new.clone()));
            steps.push(Step::Remove(paths.aside.clone()));
        }
        steps.extend(copied(&paths.src, &paths.partial));
        steps.push(Step::Rename {
            from: paths.partial.clone(),
            to: paths.dest.clone(),
        });
        steps.push(Step::Link {
            target: paths.dest.clone(),
            link: paths.old.clone(),
        });
        steps.push(Step::Switch {
            fresh: paths.old.clone(),
        });
        steps.push(Step::Start(running));
        steps.push(Step::Remove(paths.old.clone()));
        steps.push(Step::Remove(paths.aside.clone()));
        steps.push(Step::RemoveJournal);
        Ok(steps)
    }

    /// Contents that an earlier deployment has left at `dest`, for a `src` that has none of its own. No journal
    /// is kept: the next run would take what is at `dest` for its own unfinished copy.
    fn adopt(&self, mut steps: Vec<Step>, running: Vec<String>) -> Vec<Step> {
        let paths = &self.paths;
        steps.push(Step::Stop(running.clone()));
        steps.push(Step::RequireIdle(paths.src.clone()));
        steps.push(Step::Link {
            target: paths.dest.clone(),
            link: paths.old.clone(),
        });
        steps.push(Step::Switch {
            fresh: paths.old.clone(),
        });
        steps.push(Step::Start(running));
        steps.push(Step::Remove(paths.old.clone()));
        steps.push(Step::Remove(paths.aside.clone()));
        steps
    }

    /// The whole way back from `dest`.
    fn back(&self, mut steps: Vec<Step>, running: Vec<String>) -> Result<Vec<Step>, Error> {
        let paths = &self.paths;
        if self.dest == Place::Missing {
            // The contents are gone: the link leads nowhere.
            steps.push(Step::Remove(paths.src.clone()));
            return Ok(steps);
        }
        self.refuse_mount(&paths.dest)?;
        steps.push(self.note(Direction::Absent, &running));
        steps.push(Step::Stop(running.clone()));
        steps.push(Step::RequireIdle(paths.dest.clone()));
        for leftover in [&paths.new, &paths.old, &paths.partial] {
            steps.push(Step::Remove(leftover.clone()));
        }
        if self.src != Place::Missing {
            steps.push(Step::Remove(paths.aside.clone()));
        }
        steps.extend(copied(&paths.dest, &paths.new));
        steps.push(Step::Switch {
            fresh: paths.new.clone(),
        });
        steps.push(Step::Start(running));
        for leftover in [&paths.dest, &paths.new, &paths.aside] {
            steps.push(Step::Remove(leftover.clone()));
        }
        steps.push(Step::RemoveJournal);
        Ok(steps)
    }

    /// The link is in its place; what a run that was cut short has left is not.
    fn tidy(&self, mut steps: Vec<Step>, running: Vec<String>) -> Vec<Step> {
        if self.journal.is_none() {
            return steps;
        }
        steps.push(Step::Start(running));
        let paths = &self.paths;
        for leftover in [&paths.old, &paths.aside, &paths.new, &paths.partial] {
            steps.push(Step::Remove(leftover.clone()));
        }
        steps.push(Step::RemoveJournal);
        steps
    }

    /// The folder is in its place: `dest` is a copy of it, finished or not, and ours by the journal.
    fn tidy_back(&self, mut steps: Vec<Step>, running: Vec<String>) -> Vec<Step> {
        if self.journal.is_none() {
            return steps;
        }
        steps.push(Step::Start(running));
        let paths = &self.paths;
        for leftover in [&paths.dest, &paths.partial, &paths.old, &paths.new, &paths.aside] {
            steps.push(Step::Remove(leftover.clone()));
        }
        steps.push(Step::RemoveJournal);
        steps
    }

    /// Nobody has made the folder yet: it will be made in its new place.
    fn nothing_yet(&self, mut steps: Vec<Step>) -> Vec<Step> {
        steps.push(Step::MakeFolders(self.paths.dest.clone()));
        steps.extend(
            self.paths
                .src
                .parent()
                .map(|parent| Step::MakeFolders(parent.to_owned())),
        );
        steps.push(Step::Link {
            target: self.paths.dest.clone(),
            link: self.paths.src.clone(),
        });
        steps
    }

    fn note(&self, direction: Direction, running: &[String]) -> Step {
        Step::Note(Journal {
            direction,
            src: self.paths.src.clone(),
            running: running.to_vec(),
        })
    }
}

fn copied(from: &Path, to: &Path) -> [Step; 2] {
    let (from, to) = (from.to_owned(), to.to_owned());
    [
        Step::Copy {
            from: from.clone(),
            to: to.clone(),
        },
        Step::Verify { from, to },
    ]
}

/// Fails while something is mounted below: a container that still runs, most likely.
pub(super) fn require_idle(path: &Path, system: &dyn System) -> Result<(), Error> {
    let inside = |mount: &&PathBuf| mount.starts_with(path) && *mount != path;
    match mounts(system).iter().find(inside) {
        None => Ok(()),
        Some(mount) => Err(Error::new(format!(
            "cannot relocate: {} is still mounted; stop what uses {} (a running container?), or name its service \
             in `services`",
            mount.display(),
            path.display()
        ))),
    }
}

/// The journal, if a run was cut short.
fn read_journal(paths: &Paths, system: &dyn System) -> Result<Option<Journal>, Error> {
    if system.metadata(&paths.journal, Follow::No)?.is_none() {
        return Ok(None);
    }
    let text = system.read(&paths.journal)?;
    let journal: Journal = serde_json::from_slice(&text).map_err(|error| {
        Error::new(format!(
            "{} is no journal of ours: {error}",
            paths.journal.display()
        ))
    })?;
    if journal.src != paths.src {
        return Err(Error::new(format!(
            "{} says that {} was being moved there; finish that first",
            paths.journal.display(),
            journal.src.display()
        )));
    }
    Ok(Some(journal))
}

/// The fifth field of each line; blanks are written in octal. None where there is no such file.
fn mounts(system: &dyn System) -> Vec<PathBuf> {
    let table = system.read(MOUNTS.as_ref()).unwrap_or_default();
    String::from_utf8_lossy(&table)
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(|path| PathBuf::from(path.replace("\\040", " ")))
        .collect()
}
