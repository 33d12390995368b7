//! Templates: from what a user wrote ([`Node`](crate::yaml::Node)) to data ([`Value`](crate::value::Value)).
//!
//! The engine is `minijinja`; this module makes it speak Ansible's dialect: native types, variables that are
//! evaluated when they are used, `omit`, undefined errors that name the variable, Python's spelling.
//!
//! - [`scope`]: where names come from, in order of precedence.
//! - [`evaluate`]: nodes, conditions and whole files to values.
//! - [`environment`]: the engine and its settings; [`filters`], [`tests`], [`lookups`] are its tables.
//! - [`inspect`]: what a template needs, without evaluating it.
//! - [`trust`]: who has written a text.
//! - [`rewrite`]: what Jinja would do and the engine does not, as edits of the text before it is compiled.
//!
//! Nothing here reads inventories or playbooks; only lookups touch files.

mod about;
mod call;
mod convert;
mod encoding;
mod environment;
mod error;
mod evaluate;
mod filters;
pub mod inspect;
mod lookups;
pub mod merge;
mod methods;
mod native;
mod options;
mod owned;
mod random;
mod rewrite;
mod scope;
mod taint;
mod tests;
mod tree;
mod trust;
mod undefined;

pub use self::about::{CONFIGURATION, with_file_variables};
pub use self::encoding::{decode, encode};
pub use self::error::EvalError;
pub use self::evaluate::{
    condition, evaluate, evaluate_defined, evaluate_or_omit, evaluate_text, is_omitted, render_file,
};
pub use self::filters::documentation as filter_documentation;
pub use self::lookups::{documentation as lookup_documentation, function_documentation, run as lookup};
pub use self::options::Options;
pub use self::scope::{Layer, Names, Scope, Scopes, SearchPath, Variable};
pub use self::tests::documentation as test_documentation;
pub use self::trust::{expression, written};
