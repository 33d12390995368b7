//! What a remote repository has.

use super::Tree;
use crate::modules::Error;

/// The remote's answer about one version.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Remote {
    head: Option<String>,
    /// The commit of the branch of this name.
    pub branch: Option<String>,
    /// The commit of the tag of this name.
    pub tag: Option<String>,
    /// Commits of other branches, by name.
    others: Vec<(String, String)>,
}

impl Remote {
    /// Asks for `HEAD`, and for the wanted version as a branch and as a tag.
    pub fn ask(tree: &Tree) -> Result<Self, Error> {
        let version = &tree.args.version;
        let (branch, tag) = (format!("refs/heads/{version}"), format!("refs/tags/{version}"));
        let peeled = format!("{tag}^{{}}");
        let mut arguments = vec!["ls-remote", tree.url.as_str(), "HEAD", &branch, &tag, &peeled];
        // Whose branch a checkout is on is asked along.
        let head = tree.exists()?.then(|| tree.head_branch().ok()).flatten();
        let head = head.map(|head| format!("refs/heads/{head}"));
        arguments.extend(head.as_deref());
        // The checkout may not be there yet.
        let output = tree.try_git_in(None, &arguments)?;
        if !output.success() {
            return Err(tree.failure(&arguments, &output, ""));
        }
        Ok(Self::parse(&output.stdout_text(), version))
    }

    pub fn parse(text: &str, version: &str) -> Self {
        let mut remote = Self::default();
        let mut tag = None;
        for line in text.lines() {
            let Some((commit, name)) = line.split_once('\t') else {
                continue;
            };
            let commit = commit.to_owned();
            if name == "HEAD" {
                remote.head = Some(commit);
            } else if let Some(branch) = name.strip_prefix("refs/heads/") {
                if branch == version {
                    remote.branch = Some(commit.clone());
                }
                remote.others.push((branch.to_owned(), commit));
            } else if let Some(name) = name.strip_prefix("refs/tags/") {
                match name.strip_suffix("^{}") {
                    Some(name) if name == version => remote.tag = Some(commit),
                    None if name == version => tag = Some(commit),
                    _ => {}
                }
            }
        }
        remote.tag = remote.tag.or(tag);
        remote
    }

    /// The commit that a version stands for; what is neither branch nor tag is taken for a commit. `head` is the branch of a checkout.
    pub fn revision(&self, version: &str, head: Option<&str>) -> Option<String> {
        if version == "HEAD" {
            let own = head.and_then(|head| self.others.iter().find(|(name, _)| name == head));
            return own
                .map(|(_, commit)| commit.clone())
                .or_else(|| self.head.clone());
        }
        let named = self.branch.as_ref().or(self.tag.as_ref());
        Some(named.cloned().unwrap_or_else(|| version.to_owned()))
    }
}
