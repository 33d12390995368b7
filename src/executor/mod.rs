//! Runs plays: who runs which task when, with which variables, over which connection.
//!
//! - [`iterator`]: what a host runs next; pure.
//! - [`strategy`]: which host runs which task when, and what follows from results.
//! - [`attempt`]: one task on one host: conditions, arguments, retries, verdicts; [`repeat`] its loops,
//!   [`end`] how it ended, [`keywords`] what it says of itself.
//! - [`background`]: tasks with `async`.
//! - [`hidden`]: arguments that are secret, taken out of results.
//! - [`remote`]: where a task's modules run, and as whom.
//! - [`scope`]: the variables of a host at a task, in order of precedence; [`host`] what it has gathered, [`fact_cache`] from
//!   earlier runs, too.
//! - [`links`]: the open connections; [`vocabulary`] what the parser must know of modules, and
//!   [`built_in`] the tables of inclusions and `meta`.
//!
//! Nothing here knows how a connection is made, what a module does, or how a result is printed.

mod arguments;
mod attempt;
mod background;
mod batches;
mod built_in;
mod custom_stats;
mod end;
mod fact_cache;
mod handlers;
mod hidden;
mod host;
mod include;
pub mod iterator;
mod keywords;
mod links;
mod list;
mod own;
mod play;
mod prompts;
mod remote;
mod repeat;
mod roles;
mod run;
mod scope;
mod settings;
mod ssh_arguments;
mod strategy;
mod telling;
mod vars_files;
mod vocabulary;

pub use self::list::{Known, Listing, known_words, list};
pub use self::play::names_task;
pub use self::run::{Ended, Run};
pub use self::scope::{LANGUAGE_VERSION, MAGIC_VARIABLES};
pub use self::settings::{BecomeSettings, LoginSettings, Settings};
pub use self::vocabulary::{Words, described, spec};
