//! A build's context: a folder as a tar, without what its `.dockerignore` names.
//!
//! Writes the old ustar format with GNU's long names, all that the engine needs. Owners are left out: in a build everything is
//! root's. The context is held in memory; what does not belong into an image belongs into `.dockerignore`.

use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

use crate::modules::Error;
use crate::system::{FileKind, Follow, Metadata, System};

const BLOCK: usize = 512;
/// Longer names do not fit into a header.
const NAME: usize = 100;

/// The lines of a `.dockerignore`: a pattern, and whether it takes out or back in.
pub struct Ignored(Vec<(GlobMatcher, bool)>);

impl Ignored {
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut rules = Vec::new();
        for line in text.lines().map(str::trim) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (line, back) = match line.strip_prefix('!') {
                Some(rest) => (rest.trim(), true),
                None => (line, false),
            };
            let pattern = line.trim_start_matches("./").trim_matches('/');
            if pattern.is_empty() || pattern == "." {
                continue;
            }
            let glob = GlobBuilder::new(pattern)
                .literal_separator(true)
                .backslash_escape(true)
                .build()
                .map_err(|error| Error::new(format!(".dockerignore: `{line}`: {error}")))?;
            rules.push((glob.compile_matcher(), back));
        }
        Ok(Self(rules))
    }

    /// The last rule that matches a path or a folder above it decides.
    fn holds(&self, path: &Path) -> bool {
        let mut out = false;
        for (pattern, back) in &self.0 {
            if out == *back && path.ancestors().any(|part| pattern.is_match(part)) {
                out = !back;
            }
        }
        out
    }

    /// Whether something below an ignored folder may be wanted after all.
    fn has_exceptions(&self) -> bool {
        self.0.iter().any(|(_, back)| *back)
    }
}

/// The tar of a folder; `dockerfile` goes along whatever is ignored.
pub fn archive(folder: &Path, dockerfile: &str, system: &dyn System) -> Result<Vec<u8>, Error> {
    let list = folder.join(".dockerignore");
    let ignored = match system.metadata(&list, Follow::Yes)? {
        Some(_) => Ignored::parse(&String::from_utf8_lossy(&system.read(&list)?))?,
        None => Ignored(Vec::new()),
    };
    let dockerfile = Path::new(dockerfile);
    let is_ignored =
        |path: &Path| ignored.holds(path) && path != dockerfile && path != Path::new(".dockerignore");
    // Into an ignored folder only for something in it that is wanted nevertheless.
    let enters = |path: &Path| ignored.has_exceptions() || dockerfile.starts_with(path);
    let mut tar = Vec::new();
    walk(folder, Path::new(""), &is_ignored, &enters, system, &mut tar)?;
    Ok(tar)
}

fn walk(
    root: &Path,
    below: &Path,
    ignored: &dyn Fn(&Path) -> bool,
    enters: &dyn Fn(&Path) -> bool,
    system: &dyn System,
    tar: &mut Vec<u8>,
) -> Result<(), Error> {
    for name in system.read_dir(&root.join(below))? {
        let path = below.join(name);
        let full = root.join(&path);
        let Some(now) = system.metadata(&full, Follow::No)? else {
            continue;
        };
        let out = ignored(&path);
        match now.kind {
            FileKind::Directory => {
                if !out {
                    entry(tar, &path, &now, b'5', Path::new(""), &[]);
                }
                if !out || enters(&path) {
                    walk(root, &path, ignored, enters, system, tar)?;
                }
            }
            _ if out => {}
            FileKind::File => entry(tar, &path, &now, b'0', Path::new(""), &system.read(&full)?),
            FileKind::Link => entry(tar, &path, &now, b'2', &system.read_link(&full)?, &[]),
            // Sockets, pipes and devices mean nothing to a build.
            FileKind::Fifo | FileKind::Socket | FileKind::BlockDevice | FileKind::CharDevice => {}
        }
    }
    Ok(())
}

/// One more file under a name of its own.
pub fn add(tar: &mut Vec<u8>, name: &str, from: &Path, system: &dyn System) -> Result<(), Error> {
    let Some(now) = system.metadata(from, Follow::Yes)? else {
        return Err(Error::new(format!("there is no {}", from.display())));
    };
    entry(
        tar,
        &PathBuf::from(name),
        &now,
        b'0',
        Path::new(""),
        &system.read(from)?,
    );
    Ok(())
}

/// Two empty blocks end a tar.
pub fn end(mut tar: Vec<u8>) -> Vec<u8> {
    tar.resize(tar.len() + 2 * BLOCK, 0);
    tar
}

fn entry(tar: &mut Vec<u8>, path: &Path, now: &Metadata, kind: u8, target: &Path, content: &[u8]) {
    use std::os::unix::ffi::OsStrExt;
    for (kind, name) in [(b'L', path), (b'K', target)] {
        let name = name.as_os_str().as_bytes();
        if name.len() > NAME {
            header(tar, b"././@LongLink", 0, 0, kind, &[], name.len() + 1);
            body(tar, &[name, b"\0"].concat());
        }
    }
    let modified = now.modified.duration_since(std::time::UNIX_EPOCH);
    let modified = modified.map_or(0, |time| time.as_secs());
    let target = target.as_os_str().as_bytes();
    header(
        tar,
        path.as_os_str().as_bytes(),
        now.mode,
        modified,
        kind,
        target,
        content.len(),
    );
    body(tar, content);
}

fn body(tar: &mut Vec<u8>, content: &[u8]) {
    tar.extend_from_slice(content);
    tar.resize(tar.len().next_multiple_of(BLOCK), 0);
}

fn header(tar: &mut Vec<u8>, name: &[u8], mode: u32, modified: u64, kind: u8, target: &[u8], size: usize) {
    let mut block = [0_u8; BLOCK];
    let mut put = |at: usize, bytes: &[u8], room: usize| {
        let length = bytes.len().min(room);
        block[at..at + length].copy_from_slice(&bytes[..length]);
    };
    put(0, name, NAME);
    put(100, format!("{mode:07o}").as_bytes(), 7);
    put(108, b"0000000", 7);
    put(116, b"0000000", 7);
    put(124, format!("{size:011o}").as_bytes(), 11);
    put(136, format!("{modified:011o}").as_bytes(), 11);
    // The sum is taken with blanks in its own place.
    put(148, b"        ", 8);
    put(156, &[kind], 1);
    put(157, target, NAME);
    put(257, b"ustar  ", 7);
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    tar.extend_from_slice(&block);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::fake::Fake;
    use crate::system::local::Local;
    use crate::system::{Command, CommandOutput};

    #[test]
    fn ignores_as_docker_does() {
        let list = "# no\n*.log\n**/tmp\n/build\ndocs/*\n!docs/keep.md\n";
        let ignored = Ignored::parse(list).unwrap();
        let told = |path: &str| ignored.holds(Path::new(path));
        for out in [
            "a.log",
            "tmp",
            "a/b/tmp",
            "a/tmp/file",
            "build/x",
            "docs/other.md",
        ] {
            assert!(told(out), "{out}");
        }
        for kept in ["a/b.log", "a.logs", "src/build/x", "docs/keep.md", "docs"] {
            assert!(!told(kept), "{kept}");
        }
    }

    #[test]
    fn the_tar_is_one_that_tar_reads() {
        let folder = tempfile::tempdir().unwrap();
        let long = "n".repeat(150);
        std::fs::write(folder.path().join("Dockerfile"), "FROM scratch\n").unwrap();
        std::fs::write(folder.path().join(&long), "long").unwrap();
        std::fs::create_dir(folder.path().join("out")).unwrap();
        std::fs::write(folder.path().join("out/x"), "x").unwrap();
        std::fs::write(folder.path().join(".dockerignore"), "out\nDockerfile\n").unwrap();
        std::os::unix::fs::symlink("Dockerfile", folder.path().join("link")).unwrap();
        let local = Local::default();
        let tar = end(archive(folder.path(), "Dockerfile", &local).unwrap());
        let mut list = Command::new(["tar", "-tf", "-"]);
        list.stdin = tar;
        let output: CommandOutput = local.run(&list).unwrap();
        let text = output.stdout_text();
        let mut names: Vec<&str> = text.lines().collect();
        names.sort_unstable();
        assert!(output.success(), "{}", output.stderr_text());
        assert_eq!(names, [".dockerignore", "Dockerfile", "link", long.as_str()]);
    }

    #[test]
    fn a_missing_dockerfile_is_told() {
        let mut tar = Vec::new();
        let error = add(&mut tar, "x", Path::new("/none"), &Fake::new()).unwrap_err();
        assert_eq!(error.message, "there is no /none");
    }
}
