//! `copy`: the controller's half. It names the contents by their digests; the target asks for what differs.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};

use super::template::{hex, sha256};
use super::{Action, Done, Failure, Held, Invocation, Pending};
use crate::connection::Content;
use crate::modules::files::path;
use crate::modules::{self, Module, Spec};
use crate::secrets;
use crate::system::DigestAlgorithm;
use crate::system::digest::digest_stream;
use crate::value::{Map, Value};
use crate::vault;

pub struct Copy;

/// A content up to this size goes along with the question: sending it costs less than another exchange.
const LENT: u64 = 256 << 10;

/// The contents of a folder go along if they are no more than this together: naming them costs little less.
const LENT_TOGETHER: u64 = 32 << 10;

/// The arguments that `place` shares with `copy` and `template`.
const PASSED: &[&str] = &[
    "dest",
    "mode",
    "directory_mode",
    "owner",
    "group",
    "backup",
    "force",
    "validate",
    "follow",
    "attributes",
    "seuser",
    "serole",
    "setype",
    "selevel",
    "unsafe_writes",
];

impl Action for Copy {
    fn spec(&self) -> &'static Spec {
        const { &<modules::files::copy::Copy as Module>::SPEC }
    }

    fn run<'a>(&'a self, task: Invocation<'a>) -> Pending<'a, Result<Done, Failure>> {
        Box::pin(async move {
            if task.arguments["remote_src"] == Value::Bool(true) {
                return Ok(task
                    .target
                    .call("copy", task.arguments.clone(), Held::default())
                    .await?
                    .into());
            }
            match (&task.arguments["content"], &task.arguments["src"]) {
                (Value::Null, Value::Str(src)) if !src.is_empty() => copy_source(&task, src).await,
                (Value::Null, _) => Err(Failure::new("src (or content) is required")),
                (content, _) => {
                    let text = match content {
                        Value::Map(_) | Value::List(_) => crate::output::json(content, None),
                        other => other.to_string(),
                    };
                    let bytes: Arc<[u8]> = text.into_bytes().into();
                    let mut arguments = lent(&task.arguments);
                    if arguments.get("mode").and_then(Value::as_str) == Some("preserve") {
                        // Text has no mode; Ansible's is that of its temporary file.
                        arguments.insert("mode".to_owned(), Value::from("0600"));
                    }
                    place_single(&task, arguments, "", &bytes).await
                }
            }
        })
    }
}

/// The arguments that go on to `place`.
pub(super) fn lent(arguments: &Map) -> Map {
    PASSED
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), arguments.get(*name)?.clone())))
        .filter(|(_, value)| *value != Value::Null)
        .collect()
}

/// Puts bytes that are in memory into one file.
pub(super) async fn place_single(
    task: &Invocation<'_>,
    mut arguments: Map,
    name: &str,
    bytes: &Arc<[u8]>,
) -> Result<Done, Failure> {
    let (digest, sha1) = digests(bytes);
    let entry = Map::from_iter([
        ("path".to_owned(), Value::from("")),
        ("digest".to_owned(), Value::from(digest.as_str())),
        ("sha1".to_owned(), Value::from(sha1)),
        ("size".to_owned(), Value::from(bytes.len())),
    ]);
    arguments.insert("files".to_owned(), Value::from(vec![Value::Map(entry)]));
    if !name.is_empty() {
        arguments.insert("source_name".to_owned(), Value::from(name));
        arguments.insert("source_label".to_owned(), Value::from(name));
    }
    arguments.insert("diff".to_owned(), Value::Bool(task.diff));
    let held = Held {
        contents: vec![Content {
            digest,
            bytes: Arc::clone(bytes),
        }],
        ..Held::default()
    };
    let mut outcome = task.target.call("place", arguments, held).await?;
    if outcome.changed && !task.check {
        let md5 = digest_stream(&mut &**bytes, DigestAlgorithm::Md5).map(Value::from);
        outcome
            .values
            .insert("md5sum".to_owned(), md5.unwrap_or_default());
        outcome
            .values
            .insert("src".to_owned(), sent_as(&outcome.values).into());
    }
    Ok(outcome.into())
}

/// What the result calls the file that was sent. Ansible's result holds the name of its temporary file, which is
/// gone by then. No such file is made here, but what compares recorded output, or reads `src` of a result, relies
/// on there being one: the name is that of Ansible's, without the folder of the run. Only its ending says something.
fn sent_as(result: &Map) -> String {
    let dest = result.get("dest").map(Value::to_string).unwrap_or_default();
    let ending = Path::new(&dest)
        .extension()
        .map(|ending| format!(".{}", ending.to_string_lossy()));
    format!("~/.ansible/tmp/.source{}", ending.unwrap_or_default())
}

async fn copy_source(task: &Invocation<'_>, src: &str) -> Result<Done, Failure> {
    let path = task.find_file("files", "src", src)?;
    let mut arguments = lent(&task.arguments);
    let preserve = arguments.get("mode").and_then(Value::as_str) == Some("preserve");
    if preserve {
        arguments.shift_remove("mode");
    }
    let mut held = Held::default();
    let reading = Reading {
        preserve,
        follow: task.arguments["local_follow"] != Value::Bool(false),
        decrypt: task.arguments["decrypt"] != Value::Bool(false),
    };
    let files = if path.is_dir() {
        // `src/` copies what is in the folder, `src` the folder itself.
        let prefix = if src.ends_with('/') {
            PathBuf::new()
        } else {
            path.file_name().map(PathBuf::from).unwrap_or_default()
        };
        let mut entries = Vec::new();
        walk(&reading, &path, &prefix, &mut held, &mut entries)?;
        lend_little(&entries, &mut held)?;
        entries
    } else {
        if !is_set(&arguments, "source_name") {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            arguments.insert("source_name".to_owned(), Value::from(name));
        }
        arguments.insert("source_label".to_owned(), Value::from(path.display().to_string()));
        let holding = hold(&path, reading.decrypt, &mut held)?;
        vec![file_entry(&reading, &path, Path::new(""), holding)]
    };
    arguments.insert("files".to_owned(), Value::List(files));
    arguments.insert("diff".to_owned(), Value::Bool(task.diff));
    Ok(task.target.call("place", arguments, held).await?.into())
}

fn is_set(arguments: &Map, name: &str) -> bool {
    arguments.get(name).is_some_and(|value| *value != Value::Null)
}

/// How sources are read.
struct Reading {
    /// Modes are the sources'.
    preserve: bool,
    follow: bool,
    /// Vaults are opened.
    decrypt: bool,
}

fn walk(
    reading: &Reading,
    folder: &Path,
    relative: &Path,
    held: &mut Held,
    entries: &mut Vec<Value>,
) -> Result<(), Failure> {
    if !relative.as_os_str().is_empty() {
        entries.push(entry(
            relative,
            "directory",
            reading.preserve.then(|| mode_of(folder)).flatten(),
        ));
    }
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .map_err(|error| Failure::new(format!("cannot read {}: {error}", folder.display())))?
        .flatten()
        .map(|found| found.file_name())
        .collect();
    names.sort();
    for name in names {
        let (path, below) = (folder.join(&name), relative.join(&name));
        let link = std::fs::read_link(&path)
            .ok()
            .filter(|_| !reading.follow || !path.exists());
        if let Some(target) = link {
            let mut link = Map::from_iter([("target".to_owned(), Value::from(path::to_text(&target)))]);
            if let Value::Map(map) = entry(&below, "link", None) {
                link.extend(map);
            }
            entries.push(Value::Map(link));
        } else if path.is_dir() {
            walk(reading, &path, &below, held, entries)?;
        } else {
            let holding = Holding {
                sha1: None,
                ..hold_back(&path, reading.decrypt, held)?
            };
            entries.push(file_entry(reading, &path, &below, holding));
        }
    }
    Ok(())
}

fn entry(relative: &Path, kind: &str, mode: Option<String>) -> Value {
    let mut map = Map::from_iter([
        ("path".to_owned(), Value::from(path::to_text(relative))),
        ("kind".to_owned(), Value::from(kind)),
    ]);
    if let Some(mode) = mode {
        map.insert("mode".to_owned(), Value::from(mode));
    }
    Value::Map(map)
}

pub(super) fn mode_of(path: &Path) -> Option<String> {
    let mode = path.metadata().ok()?.permissions().mode() & 0o7777;
    Some(format!("{mode:04o}"))
}

/// A file of the controller that a call may ask for.
pub(super) struct Holding {
    pub sha256: String,
    pub sha1: Option<String>,
    /// Bytes.
    pub size: u64,
}

/// Holds a file ready, decrypted if it is a vault and that is wanted: a small one is sent along.
pub(super) fn hold(path: &Path, decrypt: bool, held: &mut Held) -> Result<Holding, Failure> {
    let holding = hold_back(path, decrypt, held)?;
    if holding.size <= LENT {
        lend(&holding.sha256, held)?;
    }
    Ok(holding)
}

/// Holds a file ready for when it is asked for.
fn hold_back(path: &Path, decrypt: bool, held: &mut Held) -> Result<Holding, Failure> {
    let problem = |error: std::io::Error| unreadable(path, &error);
    let mut size = path.metadata().map_err(problem)?.len();
    let vault = decrypt && starts_as_vault(path).map_err(problem)?;
    let (sha256, sha1) = if size <= LENT || vault {
        let mut bytes = std::fs::read(path).map_err(problem)?;
        if vault {
            bytes = vault::opened_bytes(bytes)
                .map_err(|closed| Failure::new(format!("{}: {closed}", path.display())))?;
        }
        size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let digests = digests(&bytes);
        if vault {
            held.opened.insert(digests.0.clone(), bytes.into());
        }
        digests
    } else {
        file_digests(path).map_err(problem)?
    };
    if !vault {
        held.files.insert(sha256.clone(), path.to_path_buf());
    }
    Ok(Holding {
        sha256,
        sha1: Some(sha1),
        size,
    })
}

/// Sends a content along that is held.
fn lend(digest: &str, held: &mut Held) -> Result<(), Failure> {
    let bytes: Arc<[u8]> = match (held.opened.get(digest), held.files.get(digest)) {
        (Some(opened), _) => Arc::clone(opened),
        (None, Some(path)) => std::fs::read(path)
            .map_err(|error| unreadable(path, &error))?
            .into(),
        (None, None) => return Ok(()),
    };
    held.contents.push(Content {
        digest: digest.to_owned(),
        bytes,
    });
    Ok(())
}

/// Sends the contents of a folder along, if there is little of them.
fn lend_little(entries: &[Value], held: &mut Held) -> Result<(), Failure> {
    let files = || entries.iter().filter_map(Value::as_map);
    let size: i64 = files().filter_map(|file| file.get("size")?.as_int()).sum();
    if u64::try_from(size).is_ok_and(|size| size <= LENT_TOGETHER) {
        for digest in files().filter_map(|file| file.get("digest")?.as_str()) {
            lend(digest, held)?;
        }
    }
    Ok(())
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("cannot read {}: {error}", path.display()))
}

fn file_entry(reading: &Reading, path: &Path, relative: &Path, holding: Holding) -> Value {
    let mode = reading.preserve.then(|| mode_of(path)).flatten();
    let mut map = Map::from_iter([("digest".to_owned(), Value::from(holding.sha256))]);
    map.insert("size".to_owned(), Value::from(holding.size));
    if let Some(sha1) = holding.sha1 {
        map.insert("sha1".to_owned(), Value::from(sha1));
    }
    if let Value::Map(entry) = entry(relative, "file", mode) {
        map.extend(entry);
    }
    Value::Map(map)
}

/// Whether a file calls itself a vault: only its start is read.
fn starts_as_vault(path: &Path) -> std::io::Result<bool> {
    let mut start = Vec::new();
    std::fs::File::open(path)?.take(16).read_to_end(&mut start)?;
    Ok(vault::is_vault(start))
}

/// SHA-256 and SHA-1. Those of a content with secrets in it are secret: who knows the rest could try passwords.
fn digests(bytes: &[u8]) -> (String, String) {
    let digests = (
        sha256(bytes),
        hex(digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref()),
    );
    if secrets::any() && str::from_utf8(bytes).is_ok_and(secrets::is_in) {
        secrets::learn(&digests.0);
        secrets::learn(&digests.1);
    }
    digests
}

/// SHA-256 and SHA-1 in one reading.
pub(super) fn file_digests(path: &Path) -> std::io::Result<(String, String)> {
    let mut file = std::fs::File::open(path)?;
    let (mut strong, mut legacy) = (Context::new(&SHA256), Context::new(&SHA1_FOR_LEGACY_USE_ONLY));
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok((hex(strong.finish().as_ref()), hex(legacy.finish().as_ref())));
        }
        strong.update(&buffer[..count]);
        legacy.update(&buffer[..count]);
    }
}
