//! Modules that work on files and folders, and what they share: attributes, contents, editing.

pub mod acl;
pub mod archive;
pub mod assemble;
pub mod attributes;
pub mod blockinfile;
pub mod compression;
pub mod content;
pub mod copy;
pub mod editing;
pub mod expand;
pub mod file;
pub mod find;
pub mod flags;
pub mod ini_file;
pub mod json_merge;
pub mod label;
pub mod lineinfile;
pub mod mode;
mod parts;
pub mod path;
pub mod pattern;
pub mod place;
pub mod placing;
pub mod read_out;
pub mod replace;
pub mod slurp;
pub mod stat;
pub mod steps;
pub mod synchronize;
pub mod tempfile;
pub mod unarchive;

use crate::modules::{AnyModule, entry};

/// Those that playbooks and actions call.
pub const MODULES: &[&dyn AnyModule] = &[
    &entry::<acl::Acl>(),
    &entry::<archive::Archive>(),
    &entry::<assemble::Assemble>(),
    &entry::<blockinfile::Blockinfile>(),
    &entry::<copy::Copy>(),
    &entry::<file::File>(),
    &entry::<find::Find>(),
    &entry::<ini_file::IniFile>(),
    &entry::<json_merge::JsonMerge>(),
    &entry::<lineinfile::Lineinfile>(),
    &entry::<synchronize::list_tree::ListTree>(),
    &entry::<synchronize::mirror_tree::MirrorTree>(),
    &entry::<place::Place>(),
    &entry::<read_out::ReadOut>(),
    &entry::<replace::Replace>(),
    &entry::<synchronize::send_tree::SendTree>(),
    &entry::<slurp::Slurp>(),
    &entry::<stat::Stat>(),
    &entry::<synchronize::Synchronize>(),
    &entry::<tempfile::Tempfile>(),
    &entry::<unarchive::Unarchive>(),
];
