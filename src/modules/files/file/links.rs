//! `state: link` and `state: hard`.

use std::path::Path;

use super::Check;
use crate::modules::Error;
use crate::modules::files::attributes;
use crate::modules::files::path::expand;
use crate::modules::files::steps::Step;
use crate::system::{FileKind, Follow};

/// What something would have to make room for.
#[derive(Clone, Copy)]
enum Made {
    Symlink,
    HardLink,
}

impl Check<'_> {
    pub(super) fn link(&mut self) -> Result<(), Error> {
        let Some(src) = self.args.src.clone().or_else(|| self.link_target()) else {
            return Err(self.refusal("src is required for creating new symlinks"));
        };
        let folder = match self.kind() {
            Some(FileKind::Directory) => self.path.clone(),
            _ => self.path.parent().unwrap_or(Path::new("/")).to_owned(),
        };
        let target = expand(&src, self.system)?;
        let absolute = folder.join(&target);
        let exists = self.system.metadata(&absolute, Follow::Yes)?;
        if exists.is_none() && !self.args.force {
            return Err(Error::new(format!(
                "src file does not exist, use 'force=yes' if you really want to create the link: {}",
                absolute.display()
            ))
            .with("path", self.path.display().to_string())
            .with("src", src));
        }
        let same = self.link_target().is_some_and(|now| Path::new(&now) == target);
        if !same {
            self.make_room(Made::Symlink)?;
            self.note_state("link");
            if let Some(now) = self.link_target() {
                self.diff.note("src", now, target.display().to_string());
            }
            let link = self.path.clone();
            self.steps.push(Step::Link { target, link });
        }
        if self.args.follow
            && let Some(exists) = exists
        {
            let missing = self.wanted.missing(&exists);
            if !attributes::nothing(missing) {
                self.diff.note_attributes(&exists, missing);
                let link = self.path.clone();
                self.steps.push(Step::Attributes(link, missing, Follow::Yes));
            }
        }
        Ok(())
    }

    pub(super) fn hard(&mut self) -> Result<(), Error> {
        let src = self.args.src.clone().unwrap_or_default();
        let target = expand(&src, self.system)?;
        let Some(source) = self.system.metadata(&target, Follow::Yes)? else {
            return Err(self.refusal("src does not exist").with("src", src));
        };
        let same = self
            .now
            .as_ref()
            .is_some_and(|now| (now.device, now.inode) == (source.device, source.inode));
        if !same {
            if attributes::state(&source) == "directory" {
                return Err(self
                    .refusal("hard links to folders are not possible")
                    .with("src", src));
            }
            self.make_room(Made::HardLink)?;
            self.note_state("hard");
            let link = self.path.clone();
            self.steps.push(Step::HardLink {
                target: target.clone(),
                link,
            });
        }
        let missing = self.wanted.missing(&source);
        if !attributes::nothing(missing) {
            self.diff.note_attributes(&source, missing);
            self.steps.push(Step::Attributes(target, missing, Follow::Yes));
        }
        Ok(())
    }

    /// What is in the way of a link goes only if that was asked for; a folder that holds something never.
    fn make_room(&mut self, what: Made) -> Result<(), Error> {
        let Some(kind) = self.kind().filter(|kind| *kind != FileKind::Link) else {
            return Ok(());
        };
        let state = self.now.as_ref().map_or("absent", attributes::state);
        let name = self.path.display().to_string();
        if !self.args.force {
            return Err(self.refusal(match what {
                Made::Symlink => format!("refusing to convert from {state} to symlink for {name}"),
                Made::HardLink => format!("Cannot link, {state} exists at destination"),
            }));
        }
        if kind == FileKind::Directory {
            if !self.system.read_dir(&self.path)?.is_empty() {
                return Err(self.refusal(format!(
                    "the directory {name} is not empty, refusing to convert it"
                )));
            }
            self.steps.push(Step::RemoveTree(self.path.clone()));
        }
        Ok(())
    }
}
