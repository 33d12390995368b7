//! `synchronize`: the controller's half. One side is listed, the other compares; only what differs is read and sent.
//!
//! Where nothing differs that is one exchange. `delegate_to` the host itself leaves the controller out: both folders are
//! there. Between two other hosts nothing is transferred.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tempfile::TempDir;

use super::copy::file_digests;
use super::template::sha256;
use super::{Action, Done, Failure, Held, Invocation, Pending, Receiver};
use crate::modules::files::path::{expand, from_text};
use crate::modules::files::synchronize::listing::{Listing, list};
use crate::modules::files::synchronize::mirror::{From, Mirror};
use crate::modules::files::synchronize::options::{Args, Options, inline_patterns};
use crate::modules::{self, Error, Module, Plan, Spec};
use crate::system::local::Local;
use crate::value::{Map, Value};
use crate::wire::frame::{Key, key};
use crate::wire::message::Outcome;

pub struct Synchronize;

/// Names of this machine as delegates: there the source is, or the destination of a pull, anyway.
const CONTROLLER: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

impl Action for Synchronize {
    fn spec(&self) -> &'static Spec {
        const { &<modules::files::synchronize::Synchronize as Module>::SPEC }
    }

    fn run<'a>(&'a self, task: Invocation<'a>) -> Pending<'a, Result<Done, Failure>> {
        Box::pin(async move { synchronize(&task).await.map(Done::from) })
    }
}

impl std::convert::From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::new(error.message)
    }
}

async fn synchronize(task: &Invocation<'_>) -> Result<Outcome, Failure> {
    let text = |name: &str| task.arguments[name].to_string();
    let (src, dest) = (text("src"), text("dest"));
    for path in [&src, &dest] {
        if path.contains("::") || path.starts_with("rsync://") {
            return Err(Failure::new(format!(
                "{path} is on an rsync server, and rsync's protocol is not spoken: use the host as a target"
            )));
        }
    }
    if task.arguments["link_dest"]
        .as_list()
        .is_some_and(|list| !list.is_empty())
    {
        return Err(Failure::new(
            "link_dest is not supported: hard links are not made",
        ));
    }
    if let Some(delegate) = task.delegate.filter(|delegate| !CONTROLLER.contains(delegate)) {
        let host = task.scope.value("inventory_hostname")?.unwrap_or(Value::Null);
        if host.as_str() != Some(delegate) {
            return Err(Failure::new(format!(
                "synchronize transfers between the controller and a host, or on one host, not from {delegate} to {host}: \
                 pull from the one and push to the other"
            )));
        }
        return task
            .target
            .call("synchronize", task.arguments.clone(), Held::default())
            .await;
    }
    let mut arguments = task.arguments.clone();
    let words: Vec<String> = strings(&arguments["rsync_opts"]);
    let words = inline_patterns(&words, |name| {
        let path = task
            .find_file("files", "rsync_opts", name)
            .map_err(|_| Error::new(format!("rsync_opts: there is no file {name} on the controller")))?;
        fs::read_to_string(&path)
            .map_err(|error| Error::new(format!("cannot read {}: {error}", path.display())))
    })?;
    arguments.insert("rsync_opts".to_owned(), Value::from(words));
    let chosen = Value::Map(arguments.clone())
        .deserialize_into::<Args>()
        .map_err(|error| Failure::new(format!("the arguments are malformed: {error}")))?;
    let transfer = Transfer {
        task,
        options: chosen.options()?,
        arguments: Value::Map(arguments),
        src,
        dest,
    };
    if task.arguments["mode"].as_str() == Some("pull") {
        transfer.pull().await
    } else {
        transfer.push().await
    }
}

fn strings(value: &Value) -> Vec<String> {
    value
        .as_list()
        .unwrap_or_default()
        .iter()
        .map(Value::to_string)
        .collect()
}

struct Transfer<'a> {
    task: &'a Invocation<'a>,
    options: Options,
    /// As the internal modules take them.
    arguments: Value,
    src: String,
    dest: String,
}

impl Transfer<'_> {
    async fn push(&self) -> Result<Outcome, Failure> {
        let path = self
            .task
            .find_file("files", "src", self.src.trim_end_matches('/'))?;
        let slash = if self.src.ends_with('/') { "/" } else { "" };
        let mut listing = list(
            &format!("{}{slash}", path.display()),
            &self.options,
            &Local::default(),
        )?;
        let mut held = Held::default();
        if self.options.checksum {
            hold_known(&listing, &mut held);
        }
        let outcome = self.mirror(&listing, held).await?;
        let needs = numbers(&outcome);
        if outcome.failed || self.task.check || needs.is_empty() {
            return Ok(without_needs(outcome));
        }
        let mut held = Held::default();
        let root = from_text(&listing.root);
        for index in needs {
            let Some(node) = listing.nodes.get_mut(index) else {
                continue;
            };
            let path = root.join(from_text(&node.path));
            let (digest, _) = file_digests(&path)
                .map_err(|error| Failure::new(format!("cannot read {}: {error}", path.display())))?;
            node.digest = Some(digest.clone());
            held.files.insert(digest, path);
        }
        Ok(without_needs(self.mirror(&listing, held).await?))
    }

    async fn mirror(&self, listing: &Listing, held: Held) -> Result<Outcome, Failure> {
        let listing = serde_json::to_value(listing)
            .and_then(serde_json::from_value::<Value>)
            .map_err(|error| Failure::new(format!("the listing cannot be told: {error}")))?;
        let arguments = Map::from_iter([
            ("src".to_owned(), Value::from(self.src.as_str())),
            ("dest".to_owned(), Value::from(self.dest.as_str())),
            ("options".to_owned(), self.arguments.clone()),
            ("listing".to_owned(), listing),
        ]);
        self.task.host.call("mirror_tree", arguments, held).await
    }

    async fn pull(&self) -> Result<Outcome, Failure> {
        let arguments = Map::from_iter([
            ("src".to_owned(), Value::from(self.src.as_str())),
            ("options".to_owned(), self.arguments.clone()),
        ]);
        let answer = self
            .task
            .host
            .call("list_tree", arguments, Held::default())
            .await?;
        if answer.failed {
            return Ok(answer);
        }
        let listing = answer.values.get("listing").cloned().unwrap_or_default();
        let mut listing: Listing = listing
            .deserialize_into()
            .map_err(|error| Failure::new(format!("the target sent no listing: {error}")))?;
        let machine = Local::default();
        let dest = self.destination(&machine)?;
        let plan = |listing: &Listing, from| {
            let mirror = Mirror {
                dest: &dest,
                listing,
                options: &self.options,
                from,
                direction: '>',
                system: &machine,
            };
            mirror.plan()
        };
        let mirrored = plan(&listing, From::Controller)?;
        let staged = if mirrored.needs.is_empty() || self.task.check {
            None
        } else {
            let staged = self.receive(&listing, &mirrored.needs, Path::new(&dest)).await?;
            listing.root = staged.path().display().to_string();
            Some(staged)
        };
        let mirrored = plan(
            &listing,
            if staged.is_some() {
                From::Here
            } else {
                From::Controller
            },
        )?;
        let told = modules::files::synchronize::plan(mirrored, &self.src, &self.dest, &listing.skipped);
        Ok(without_needs(match told {
            Plan::Change { change, .. } if !self.task.check => {
                tokio::task::block_in_place(|| change.apply(&machine))?
            }
            Plan::Same(outcome)
            | Plan::Change {
                predicted: outcome, ..
            }
            | Plan::Unknown { skipped: outcome, .. } => outcome,
        }))
    }

    /// Where a pull goes: relative to the playbook.
    fn destination(&self, machine: &Local) -> Result<String, Failure> {
        let slash = if self.dest.ends_with('/') { "/" } else { "" };
        let folder = self
            .task
            .scope
            .value("playbook_dir")?
            .map(|folder| folder.to_string());
        let path = Path::new(folder.as_deref().unwrap_or(".")).join(expand(&self.dest, machine)?);
        Ok(format!("{}{slash}", path.display()))
    }

    /// Has contents sent into a folder of their own, beside where they will go.
    async fn receive(&self, listing: &Listing, needs: &[usize], dest: &Path) -> Result<TempDir, Failure> {
        let problem = |error: std::io::Error| {
            Failure::new(format!("cannot receive files for {}: {error}", dest.display()))
        };
        let beside = dest.ancestors().skip(1).find(|folder| folder.is_dir());
        let staged = tempfile::Builder::new()
            .prefix(".regdeploy-")
            .tempdir_in(beside.unwrap_or(Path::new("/")))
            .map_err(problem)?;
        let mut files = Vec::new();
        let mut coming = Vec::new();
        for node in needs.iter().filter_map(|index| listing.nodes.get(*index)) {
            let name = sha256(node.path.as_bytes());
            let path = staged.path().join(from_text(&node.path));
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder).map_err(problem)?;
            }
            coming.extend(key(&name).map(|key| (key, path)));
            files.push(Value::Map(Map::from_iter([
                ("path".to_owned(), Value::from(node.path.as_str())),
                ("name".to_owned(), Value::from(name)),
            ])));
        }
        let receiver = Arc::new(Staging {
            coming: Mutex::new((coming.into_iter().collect(), None, None)),
        });
        let held = Held {
            receiver: Some(receiver.clone()),
            ..Held::default()
        };
        let arguments = Map::from_iter([
            ("root".to_owned(), Value::from(listing.root.as_str())),
            ("files".to_owned(), Value::List(files)),
        ]);
        let answer = self.task.host.call("send_tree", arguments, held).await?;
        if answer.failed {
            return Err(Failure::new(
                answer.message().unwrap_or("the files could not be sent"),
            ));
        }
        receiver.finish().map_err(problem)?;
        Ok(staged)
    }
}

/// Contents with which a comparison began can be asked for at once.
fn hold_known(listing: &Listing, held: &mut Held) {
    let root = from_text(&listing.root);
    for node in &listing.nodes {
        if let Some(digest) = &node.digest {
            held.files
                .insert(digest.clone(), root.join(from_text(&node.path)));
        }
    }
}

fn numbers(outcome: &Outcome) -> Vec<usize> {
    let needs = outcome.values.get("needs").cloned().unwrap_or_default();
    needs.deserialize_into().unwrap_or_default()
}

fn without_needs(mut outcome: Outcome) -> Outcome {
    outcome.values.shift_remove("needs");
    outcome
}

/// Files that come, by the names under which they are sent.
struct Staging {
    coming: Mutex<State>,
}

/// Those that have not begun, the one that has, and what went wrong.
type State = (
    std::collections::HashMap<Key, PathBuf>,
    Option<fs::File>,
    Option<std::io::Error>,
);

impl Staging {
    fn finish(&self) -> std::io::Result<()> {
        let mut state = self.coming.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = state.2.take() {
            return Err(error);
        }
        if state.0.is_empty() && state.1.is_none() {
            return Ok(());
        }
        Err(std::io::Error::other("the target did not send all of it"))
    }
}

impl Receiver for Staging {
    fn receive(&self, name: &Key, piece: &[u8]) {
        let mut guard = self.coming.lock().unwrap_or_else(PoisonError::into_inner);
        let (waiting, open, problem) = &mut *guard;
        let mut take = || {
            if let Some(path) = waiting.remove(name) {
                *open = Some(fs::File::create_new(path)?);
            }
            if let Some(file) = open {
                file.write_all(piece)?;
            }
            Ok(())
        };
        let taken = take();
        if piece.is_empty() {
            *open = None;
        }
        if let Err(error) = taken {
            problem.get_or_insert(error);
        }
    }
}
