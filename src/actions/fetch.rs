//! `fetch`: files of the target to the controller. After ansible.builtin.fetch.
//!
//! A file that is here already is compared, not sent. What comes travels raw; it is written beside its place and takes it when
//! it is whole.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::template::sha256;
use super::{Action, Done, Failure, Held, Invocation, Pending, received};
use crate::modules::{Arg, Return, Spec};
use crate::system::DigestAlgorithm;
use crate::system::digest::digest_stream;
use crate::value::{Map, Value};
use crate::wire::message::Outcome;

pub struct Fetch;

static SPEC: Spec = Spec {
    name: "fetch",
    summary: "copy a file of the target to the controller",
    args: &[
        Arg::raw("src").doc("the file on the target"),
        Arg::raw("dest").doc("the folder on the controller; files go below it, by host and path"),
        Arg::bool("flat")
            .default("no")
            .doc("dest is the file itself or, with a slash at its end, its folder"),
        Arg::bool("fail_on_missing")
            .default("yes")
            .doc("fail where there is no such file"),
        Arg::bool("validate_checksum")
            .default("yes")
            .doc("fail if what came is not what was there"),
    ],
    returns: &[
        Return::new("dest", "str", "the file on the controller"),
        Return::new("checksum", "str", "SHA-1 of its content"),
        Return::new("md5sum", "str", "MD5 of its content"),
        Return::new("remote_checksum", "str", "the target's SHA-1"),
        Return::new("file", "str", "the file on the target").when("it was there already"),
    ],
    example: "- fetch:\n    src: /var/log/app.log\n    dest: logs/\n- fetch:\n    src: /etc/app/key.pub\n    dest: keys/{{ inventory_hostname }}.pub\n    flat: true\n",
    free_form: None,
    rules: &[],
};

impl Action for Fetch {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn run<'a>(&'a self, task: Invocation<'a>) -> Pending<'a, Result<Done, Failure>> {
        Box::pin(async move { fetch(&task).await.map(Done::from) })
    }
}

async fn fetch(task: &Invocation<'_>) -> Result<Outcome, Failure> {
    if task.check {
        let message = "check mode not (yet) supported for this module";
        return Ok(Outcome::skipped(message));
    }
    let (src, dest) = (text(task, "src", "source")?, text(task, "dest", "dest")?);
    let (Some(src), Some(dest)) = (src, dest) else {
        return Err(Failure::new("src and dest are required"));
    };
    let dest = destination(task, &src, &dest)?;
    let known = dest.is_file().then(|| digests(&dest)).transpose()?;
    let mut arguments = Map::from_iter([
        ("src".to_owned(), Value::from(src.as_str())),
        ("name".to_owned(), Value::from(sha256(src.as_bytes()))),
    ]);
    if let Some(known) = &known {
        arguments.insert("unless".to_owned(), Value::from(known.sha1.as_str()));
    }
    let file = Arc::new(received::File::new(&dest));
    let held = Held {
        receiver: Some(file.clone()),
        ..Held::default()
    };
    let answer = task.target.call("read_out", arguments, held).await?;
    if answer.failed {
        return Ok(not_there(
            &answer,
            &src,
            task.arguments["fail_on_missing"] == Value::Bool(true),
        ));
    }
    let remote = answer.values["checksum"].to_string();
    if let Some(known) = known.filter(|known| known.sha1 == remote) {
        return Ok(Outcome::ok()
            .with("md5sum", known.md5)
            .with("file", src)
            .with("dest", dest.display().to_string())
            .with("checksum", known.sha1));
    }
    let came = file
        .finish()
        .map_err(|error| Failure::new(format!("cannot write {}: {error}", dest.display())))?;
    let outcome = Outcome::changed(true)
        .with("md5sum", came.md5)
        .with("dest", dest.display().to_string())
        .with("remote_md5sum", Value::Null)
        .with("checksum", came.sha1.as_str())
        .with("remote_checksum", remote.as_str());
    if came.sha1 != remote && task.arguments["validate_checksum"] == Value::Bool(true) {
        return Ok(Outcome {
            failed: true,
            changed: false,
            ..outcome.with("msg", "checksum mismatch").with("file", src)
        });
    }
    Ok(outcome)
}

fn text(task: &Invocation<'_>, argument: &str, called: &str) -> Result<Option<String>, Failure> {
    match &task.arguments[argument] {
        Value::Str(text) => Ok(Some(text.clone())),
        Value::Null => Ok(None),
        _ => Err(Failure::new(format!(
            "Invalid type supplied for {called} option, it must be a string"
        ))),
    }
}

/// Where the file goes.
fn destination(task: &Invocation<'_>, src: &str, dest: &str) -> Result<PathBuf, Failure> {
    let folder = task.scope.value("playbook_dir")?.map(|folder| folder.to_string());
    let absolute = |path: &str| {
        let home = std::env::var("HOME")
            .ok()
            .filter(|_| path == "~" || path.starts_with("~/"));
        let path = home.map_or_else(|| path.to_owned(), |home| home + &path[1..]);
        Path::new(folder.as_deref().unwrap_or(".")).join(path)
    };
    if task.arguments["flat"] != Value::Bool(true) {
        let host = task.scope.value("inventory_hostname")?.unwrap_or(Value::Null);
        return Ok(normal(
            &absolute(dest).join(host.to_string()).join(format!("./{src}")),
        ));
    }
    let path = absolute(dest);
    if !dest.ends_with('/') {
        if path.is_dir() {
            return Err(Failure::new(
                "dest is an existing directory, use a trailing slash if you want to fetch src into that directory",
            ));
        }
        return Ok(normal(&path));
    }
    let file = path.join(src.rsplit('/').next().unwrap_or(src));
    if file.is_dir() {
        return Err(Failure::new(format!(
            "calculated dest '{}' is an existing directory, use another path that does not point to an existing directory",
            normal(&file).display()
        )));
    }
    Ok(normal(&file))
}

/// Without `.` and `..`, whatever links there are.
fn normal(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut normal, part| {
        match part {
            Component::ParentDir => {
                normal.pop();
            }
            Component::CurDir => {}
            part => normal.push(part),
        }
        normal
    })
}

/// The result for what cannot be fetched.
fn not_there(answer: &Outcome, src: &str, fail: bool) -> Outcome {
    let told = answer.message().unwrap_or_default();
    let message = match answer.values.get("reason").and_then(Value::as_str) {
        Some("missing") => "the remote file does not exist, not transferring, ignored".to_owned(),
        Some("directory") if fail => {
            "remote file is a directory, fetch cannot work on directories".to_owned()
        }
        Some("directory") => {
            "remote file is a directory, fetch cannot work on directories, not transferring, ignored"
                .to_owned()
        }
        _ if fail => told.to_owned(),
        _ => format!("{told}, ignored"),
    };
    Outcome {
        failed: fail,
        ..Outcome::ok().with("msg", message).with("file", src)
    }
}

struct Digests {
    sha1: String,
    md5: String,
}

fn digests(path: &Path) -> Result<Digests, Failure> {
    let digest = |algorithm| {
        let mut file = std::fs::File::open(path)?;
        digest_stream(&mut file, algorithm)
    };
    let both = digest(DigestAlgorithm::Sha1).and_then(|sha1| {
        let md5 = digest(DigestAlgorithm::Md5)?;
        Ok(Digests { sha1, md5 })
    });
    both.map_err(|error| Failure::new(format!("cannot read {}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_made_normal() {
        assert_eq!(normal(Path::new("/a/./b/../../c/../../x")), Path::new("/x"));
    }
}
