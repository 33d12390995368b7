//! Playbooks as trees: plays, roles, blocks, tasks.
//!
//! [`Loader`] reads the files and follows static imports; everything else turns nodes into the tree and
//! touches no file. Nothing here is evaluated: templates stay [`Node`](crate::yaml::Node)s, and what can only
//! be known while a play runs (`include_*`) stays a task.
//!
//! - [`keyword`]: the table of all keywords, where each may stand and what it takes.
//! - [`context`]: what a task inherits from the blocks, imports, roles and play around it.
//! - [`arguments`]: `module: key=value` texts.
//! - [`collection`]: full names of modules; [`names`]: which names variables may have.

pub mod arguments;
mod collection;
mod context;
pub mod keyword;
mod load;
pub mod names;
mod play;
mod role;
mod shape;
mod tags;
mod task;

pub use self::collection::{collection, short_name};
pub use self::context::{Attributes, Context, Include};
pub use self::load::{Loader, Placed, Places, Vocabulary, file_argument, role_name};
pub use self::play::{Play, Playbook};
pub use self::role::{Role, RoleUse};
pub use self::tags::{Selection, tags_of};
pub use self::task::{Block, Item, Loop, Meta, Task, What};
