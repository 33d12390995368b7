//! What a change would leave, as far as later tasks of a check can ask for it.
//!
//! Changes of files need no words: they are carried out on a system whose writes stay in memory. These words are for what
//! the programs of a target would have done.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Attributes, FileKind, Group, User};
use crate::value::Value;

/// What a module says of a change that is only predicted.
#[derive(Debug, Clone, PartialEq)]
pub enum Foresight {
    /// All of it goes through files: `apply` is run on the would-be state.
    Apply,
    /// Programs would do it; this is what they would leave.
    Effects(Vec<Effect>),
    /// Both: `apply` is run on the would-be state, where it leaves its programs out ([`super::System::is_acting`]), and this is what
    /// they would leave.
    Both(Vec<Effect>),
    /// A command: what is missing afterwards may be there after all.
    Anything,
}

/// One thing that would be different.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Made, or as it would be from now on.
    User(User),
    NoUser(String),
    Group(Group),
    NoGroup(String),
    /// Whatever else a module asks for by name with [`super::System::foreseen`]; null where it would be gone.
    State {
        of: Subject,
        name: String,
        is: Value,
    },
    /// A file or folder that a program would make; what is in it is not known. Missing folders above it come with it.
    Path {
        path: PathBuf,
        kind: FileKind,
        attributes: Attributes,
    },
    /// Gone, with all below.
    NoPath(PathBuf),
    /// Files come with it, and nobody knows which: a package.
    Files,
}

/// What a state can be of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// A docker container, by its name; what `inspect` would tell.
    Container,
    /// A docker image, by its name with the tag.
    Image,
    /// A docker network, by its name; what `inspect` would tell.
    Network,
    /// What a name stands for, by that name; the program's path.
    Alternative,
    /// An answer of debconf, by package and question; its text.
    Answer,
    /// A user's table of jobs, by the user's name; its text.
    Crontab,
    /// The machine's own name; asked for by an empty name.
    Hostname,
    /// A module of the kernel, as /proc/modules spells it.
    KernelModule,
    /// By its name as `locale -a` spells it.
    Locale,
    Package,
    /// A user's line in /etc/shadow, by the user's name; its text.
    Shadow,
    /// What the time zone and the hardware's clock are, by the arguments of `timezone`.
    Timezone,
    /// A service, by its name without `.service`.
    Unit,
    /// By its mount point; its source.
    Mount,
    /// A docker volume, by its name; what `inspect` would tell.
    Volume,
    /// A block device, by its path: the type of what is on it, as blkid(8) calls it; empty if nothing is.
    Device,
    /// A disk, by its path; its label and partitions.
    Disk,
    /// A group of LVM; the names of its volumes.
    VolumeGroup,
}
