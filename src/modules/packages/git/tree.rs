//! The checkout brought to where it shall be: cloned or fetched, then switched.

use super::remote::Remote;
use super::{Change, Tree, Work};
use crate::modules::Error;
use crate::system::Attributes;
use crate::value::Value;
use crate::wire::message::Outcome;

const NO_DEPTH: &str = "Ignoring depth argument. Shallow clones are only available for HEAD, branches, tags or in combination with refspec.";

impl Tree<'_> {
    pub(super) fn bring_about(&self, change: &Change) -> Result<Outcome, Error> {
        let args = self.args;
        let mut outcome = Outcome::ok().with("before", change.before.clone());
        if let Some(old) = &change.relocate {
            outcome = self.relocate(old, outcome)?;
        }
        let mut changed = change.relocate.is_some();
        if change.work == Work::Archive {
            changed |= self.export()?;
            return Ok(Outcome {
                changed,
                ..outcome.with("after", change.before.clone())
            });
        }
        let remote = Remote::ask(self)?;
        match change.work {
            Work::Update { local_changes } => {
                if local_changes {
                    self.git(&["reset", "--hard", "HEAD"])?;
                    let message = format!(
                        "Local modifications exist in the destination: {}",
                        self.dest().display()
                    );
                    outcome = outcome.with("msg", message);
                }
                let url_changed = self.set_remote_url()?;
                outcome = outcome.with("remote_url_changed", url_changed);
                changed |= local_changes || url_changed;
                self.fetch(&remote)?;
            }
            _ => {
                if self.clone(&remote)? {
                    outcome = outcome.with("warnings", vec![NO_DEPTH.to_owned()]);
                }
            }
        }
        if args.bare {
            if args.verify_commit {
                self.verify()?;
            }
        } else {
            self.switch(&remote)?;
        }
        if args.recursive && !args.bare && self.submodules_differ()? {
            self.update_submodules()?;
            changed = true;
            outcome = outcome.with("submodules_changed", true);
        }
        let after = self.revision("HEAD")?;
        changed |= change.before.as_ref() != Some(&after);
        if args.archive.is_some() {
            changed |= self.export()?;
        }
        Ok(Outcome {
            changed,
            ..outcome.with("after", after)
        })
    }

    /// Moves the repository out of the checkout, or from one place outside to another.
    fn relocate(&self, old: &std::path::Path, outcome: Outcome) -> Result<Outcome, Error> {
        let Some(new) = &self.separate else {
            return Ok(outcome);
        };
        let pointer = format!("gitdir: {}", new.display());
        self.system.rename(old, new)?;
        let written = self.system.write(
            &self.dest().join(".git"),
            &mut pointer.as_bytes(),
            Attributes::default(),
        );
        if let Err(error) = written {
            self.system.rename(new, old)?;
            return Err(error.into());
        }
        Ok(outcome
            .with("git_dir_before", old.display().to_string())
            .with("git_dir_now", new.display().to_string()))
    }

    /// Clones; whether `depth` was passed over.
    fn clone(&self, remote: &Remote) -> Result<bool, Error> {
        let args = self.args;
        let version = args.version.as_str();
        let dest = self.dest().display().to_string();
        let depth = args.depth.map(|depth| depth.to_string());
        let separate = self
            .separate
            .as_ref()
            .map(|path| format!("--separate-git-dir={}", path.display()));
        let named = remote.branch.is_some() || remote.tag.is_some();
        let mut arguments = vec!["clone"];
        if args.bare {
            arguments.push("--bare");
        } else {
            arguments.extend(["--origin", &args.remote]);
        }
        let mut on_branch = args.single_branch && named;
        let mut passed_over = false;
        if let Some(depth) = &depth {
            let whole = version == "HEAD" || args.refspec.is_some();
            passed_over = !whole && !named;
            if !passed_over {
                arguments.extend(["--depth", depth]);
                on_branch |= !whole;
            }
        }
        if let Some(reference) = &args.reference {
            arguments.extend(["--reference", reference]);
        }
        if args.single_branch {
            arguments.push("--single-branch");
        }
        if on_branch {
            arguments.extend(["--branch", version]);
        }
        arguments.extend(separate.as_deref());
        arguments.extend([self.url.as_str(), &dest]);
        let parent = self.dest().parent().unwrap_or(std::path::Path::new("/"));
        for folder in crate::modules::files::file::missing_folders(parent, self.system)? {
            self.system.create_dir(
                &folder,
                0o777 & !self.umask.unwrap_or_else(|| self.system.umask()),
            )?;
        }
        let output = self.try_git_in(Some(parent), &arguments)?;
        if !output.success() {
            return Err(self.failure(&arguments, &output, ""));
        }
        if args.bare && args.remote != "origin" {
            self.git(&["remote", "add", &args.remote, &self.url])?;
        }
        if let Some(refspec) = &args.refspec {
            let mut fetch = vec!["fetch"];
            if let Some(depth) = &depth {
                fetch.extend(["--depth", depth]);
            }
            fetch.extend([args.remote.as_str(), refspec]);
            self.git(&fetch)?;
        }
        Ok(passed_over)
    }

    fn fetch(&self, remote: &Remote) -> Result<(), Error> {
        let args = self.args;
        let (version, name) = (&args.version, &args.remote);
        let depth = args.depth.map(|depth| depth.to_string());
        let mut arguments = vec!["fetch"];
        let mut refspecs = Vec::new();
        if let Some(depth) = &depth {
            // No more than what the version needs.
            if let Some(refspec) = &args.refspec {
                refspecs.push(refspec.clone());
            } else if version == "HEAD" {
                refspecs.push(self.head_branch()?);
            } else if remote.branch.is_some() {
                if self.own_branch()?.as_ref() != Some(version) {
                    refspecs.push(format!("+refs/heads/{version}:refs/heads/{version}"));
                }
                refspecs.push(format!("+refs/heads/{version}:refs/remotes/{name}/{version}"));
            } else if remote.tag.is_some() {
                refspecs.push(format!("+refs/tags/{version}:refs/tags/{version}"));
            }
            if !refspecs.is_empty() {
                arguments.extend(["--depth", depth]);
            }
        }
        if refspecs.is_empty() {
            if args.bare {
                refspecs.push("+refs/heads/*:refs/heads/*".to_owned());
                refspecs.push("+refs/tags/*:refs/tags/*".to_owned());
            } else {
                arguments.push("--tags");
            }
            refspecs.extend(args.refspec.clone());
        }
        if args.force {
            arguments.push("--force");
        }
        arguments.push(name);
        arguments.extend(refspecs.iter().map(String::as_str));
        self.git_or(&arguments, |output| {
            format!(
                "Failed to download remote objects and refs: {} {}",
                output.stdout_text(),
                output.stderr_text()
            )
        })?;
        Ok(())
    }

    fn switch(&self, remote: &Remote) -> Result<(), Error> {
        let args = self.args;
        let (version, name) = (args.version.as_str(), &args.remote);
        if version == "HEAD" {
            let branch = self.head_branch()?;
            self.check_out(&branch, "branch ")?;
            self.reset_to(&format!("{name}/{branch}"), &branch)?;
        } else if remote.branch.is_some() {
            let upstream = format!("{name}/{version}");
            let mut local = self.has_branch(version)?;
            if let (Some(depth), false) = (args.depth, local) {
                // A shallow clone knows one branch only.
                let depth = format!("--depth={depth}");
                let own = format!("+refs/heads/{version}:refs/heads/{version}");
                let tracking = format!("+refs/heads/{version}:refs/remotes/{name}/{version}");
                let fetch = ["fetch", &depth, name, &own, &tracking];
                self.git_or(&fetch, |_| {
                    format!("Failed to fetch branch from remote: {version}")
                })?;
                local = true;
            }
            if local {
                self.check_out(version, "branch ")?;
                self.reset_to(&upstream, version)?;
            } else {
                let create = ["checkout", "--track", "-b", version, &upstream];
                self.git_or(&create, |_| format!("Failed to checkout {version}"))?;
            }
        } else {
            self.check_out(version, "")?;
        }
        if args.verify_commit {
            self.verify()?;
        }
        Ok(())
    }

    fn check_out(&self, version: &str, what: &str) -> Result<(), Error> {
        // A file may have the same name.
        self.git_or(&["checkout", "--force", version, "--"], |_| {
            format!("Failed to checkout {what}{version}")
        })
        .map(|_| ())
    }

    fn reset_to(&self, upstream: &str, branch: &str) -> Result<(), Error> {
        self.git_or(&["reset", "--hard", upstream, "--"], |_| {
            format!("Failed to checkout branch {branch}")
        })
        .map(|_| ())
    }

    fn has_branch(&self, name: &str) -> Result<bool, Error> {
        let name = format!("refs/heads/{name}");
        Ok(self
            .try_git(&["show-ref", "--verify", "--quiet", &name])?
            .success())
    }

    /// The branch that is checked out, if one is.
    fn own_branch(&self) -> Result<Option<String>, Error> {
        let own = self.try_git(&["symbolic-ref", "--quiet", "--short", "HEAD"])?;
        Ok(own.success().then(|| own.stdout_text().trim().to_owned()))
    }

    /// The branch that is checked out or, where none is, the remote's own.
    pub(super) fn head_branch(&self) -> Result<String, Error> {
        if let Some(own) = self.own_branch()? {
            return Ok(own);
        }
        let prefix = format!("{}/", self.args.remote);
        let head = format!("refs/remotes/{prefix}HEAD");
        let theirs = self.git(&["symbolic-ref", "--short", &head])?;
        let theirs = theirs.trim();
        Ok(theirs.strip_prefix(&prefix).unwrap_or(theirs).to_owned())
    }

    pub(super) fn has_local_changes(&self) -> Result<bool, Error> {
        if self.args.bare {
            return Ok(false);
        }
        let status = self.git(&["status", "--porcelain"])?;
        Ok(status.lines().any(|line| !line.starts_with("??")))
    }

    /// Whether the remote is known by another URL than the wanted.
    pub(super) fn remote_url_differs(&self) -> Result<bool, Error> {
        let known = self.try_git(&["ls-remote", "--get-url", &self.args.remote])?;
        Ok(known.stdout_text().trim_end() != self.url)
    }

    fn set_remote_url(&self) -> Result<bool, Error> {
        if !self.remote_url_differs()? {
            return Ok(false);
        }
        let name = &self.args.remote;
        self.git_or(&["remote", "set-url", name, &self.url], |output| {
            let said = output.stderr_text();
            format!("Failed to set a new url {} for {name}: {said}", self.url)
        })?;
        Ok(true)
    }

    /// Fails unless the version is signed, by one of the keys that may have signed it.
    fn verify(&self) -> Result<(), Error> {
        let version = self.args.version.as_str();
        let kind = self.try_git(&["cat-file", "-t", &format!("refs/tags/{version}")])?;
        let verb = if kind.stdout_text().trim() == "tag" {
            "verify-tag"
        } else {
            "verify-commit"
        };
        let mut arguments = vec![verb, version];
        if !self.args.gpg_allowlist.is_empty() {
            arguments.push("--raw");
        }
        let output = self.try_git(&arguments)?;
        if !output.success() {
            let message = format!("Failed to verify GPG signature of commit/tag \"{version}\"");
            return Err(self.failure(&arguments, &output, &message));
        }
        let signer = signer(&output.stderr_text());
        if self.args.gpg_allowlist.is_empty()
            || signer
                .as_ref()
                .is_some_and(|signer| self.args.gpg_allowlist.contains(signer))
        {
            return Ok(());
        }
        let message = format!(
            "The gpg_allowlist does not include the public key \"{}\" for this commit",
            Value::from(signer)
        );
        Err(self.failure(&arguments, &output, &message))
    }
}

/// The fingerprint of the primary key that signed, from gpg's status lines.
pub(super) fn signer(status: &str) -> Option<String> {
    let words = status
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    let words = words
        .into_iter()
        .find(|words| words.get(1) == Some(&"VALIDSIG"))?;
    // The twelfth word is the primary key's where a subkey has signed.
    words
        .get(11)
        .or_else(|| words.get(2))
        .map(|word| (*word).to_owned())
}
