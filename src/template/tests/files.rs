//! Tests of the controller's files.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use minijinja::Error;

use crate::template::call::{Call, Definition, row};
use crate::value::Value;
use crate::vault;

pub(super) const TESTS: &[Definition] = &[
    row(
        "file",
        "",
        "Whether the path is a file of the controller",
        |call| path(call, Path::is_file),
    ),
    row(
        "is_file",
        "",
        "Whether the path is a file of the controller",
        |call| path(call, Path::is_file),
    ),
    row(
        "directory",
        "",
        "Whether the path is a folder of the controller",
        |call| path(call, Path::is_dir),
    ),
    row(
        "is_dir",
        "",
        "Whether the path is a folder of the controller",
        |call| path(call, Path::is_dir),
    ),
    row(
        "link",
        "",
        "Whether the path is a symbolic link of the controller",
        |call| path(call, Path::is_symlink),
    ),
    row(
        "is_link",
        "",
        "Whether the path is a symbolic link of the controller",
        |call| path(call, Path::is_symlink),
    ),
    row(
        "exists",
        "",
        "Whether the path is there on the controller",
        |call| path(call, Path::exists),
    ),
    row(
        "link_exists",
        "",
        "Whether the path, or a link without a target, is there",
        |call| path(call, |path| path.symlink_metadata().is_ok()),
    ),
    row("abs", "", "Whether the path starts at the root", |call| {
        path(call, Path::is_absolute)
    }),
    row("is_abs", "", "Whether the path starts at the root", |call| {
        path(call, Path::is_absolute)
    }),
    row(
        "mount",
        "",
        "Whether the path is a mount point of the controller",
        |call| path(call, is_mount),
    ),
    row(
        "is_mount",
        "",
        "Whether the path is a mount point of the controller",
        |call| path(call, is_mount),
    ),
    row(
        "vaulted_file",
        "",
        "Whether the file of the controller is an encrypted vault",
        vaulted,
    ),
    row("same_file", "other", "Whether both paths are one file", same_file),
    row(
        "is_same_file",
        "other",
        "Whether both paths are one file",
        same_file,
    ),
];

fn path(call: &Call, test: fn(&Path) -> bool) -> Result<Value, Error> {
    Ok(test(Path::new(&call.text()?)).into())
}

fn vaulted(call: &Call) -> Result<Value, Error> {
    let path = call.text()?;
    let contents = fs::read(&path)
        .map_err(|error| call.fail(format!("Cannot test if the file {path} is a vault: {error}")))?;
    Ok(vault::is_vault(contents).into())
}

/// A mount point is on another device than its parent, or is its own parent.
fn is_mount(path: &Path) -> bool {
    let metadata = |path: &Path| fs::symlink_metadata(path).ok();
    match (metadata(path), metadata(&path.join(".."))) {
        (Some(here), Some(above)) if !here.is_symlink() => {
            here.dev() != above.dev() || here.ino() == above.ino()
        }
        _ => false,
    }
}

fn same_file(call: &Call) -> Result<Value, Error> {
    let identity = |path: &str| {
        fs::metadata(path)
            .map(|metadata| (metadata.dev(), metadata.ino()))
            .map_err(|error| call.fail(format!("cannot look at {path}: {error}")))
    };
    Ok((identity(&call.text()?)? == identity(&call.required("other")?.to_string())?).into())
}
