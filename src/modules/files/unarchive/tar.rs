//! Tar archives, through GNU tar.

use super::Archive;
use crate::modules::Error;
use crate::modules::files::compression::{Compression, MAGIC};
use crate::modules::files::expand::matcher;
use crate::system::Command;

/// Endings of `tar --diff`'s lines that mean that something has to be unpacked.
const DIFFERENCES: &[&str] = &[
    ": Mod time differs",
    ": Warning: Cannot stat: No such file or directory",
    ": Symlink differs",
    ": Contents differ",
    ": Size differs",
];

impl Archive<'_> {
    pub(super) fn tar_command(&self, operation: &str) -> Command {
        let args = self.args;
        let mut argv = vec![
            self.program.clone().unwrap_or_default(),
            operation.to_owned(),
            "--quoting-style=literal".to_owned(),
        ];
        argv.extend(["-C".to_owned(), self.dest.display().to_string()]);
        if self.handler == "TarZstdArchive" && self.compressed() {
            argv.push("--use-compress-program=zstd".to_owned());
        }
        if !args.extra_opts.is_empty() {
            argv.push("--show-transformed-names".to_owned());
            argv.extend(args.extra_opts.iter().cloned());
        }
        if args.keep_newer && operation != "--list" {
            argv.push("--keep-newer-files".to_owned());
        }
        argv.extend(args.exclude.iter().map(|pattern| format!("--exclude={pattern}")));
        argv.extend(["-f".to_owned(), self.src.display().to_string()]);
        argv.extend(args.include.iter().cloned());
        self.command(argv)
    }

    /// Whether it is not a copy that was decompressed before.
    fn compressed(&self) -> bool {
        let start = self.system.read_part(self.src, 0, MAGIC).unwrap_or_default();
        Compression::of(&start).is_some()
    }

    pub(super) fn tar_names(&self) -> Result<Vec<String>, Error> {
        let output = self.system.run(&self.tar_command("--list"))?;
        if !output.success() {
            let said = output.stderr_text();
            return Err(Error::new(format!("Unable to list files in the archive: {said}")));
        }
        let excluded = self
            .args
            .exclude
            .iter()
            .map(|pattern| matcher(pattern))
            .collect::<Result<Vec<_>, _>>()?;
        // Absolute names are taken to be below the folder, as tar does.
        let names = output
            .stdout_text()
            .lines()
            .map(|name| name.trim_start_matches('/').to_owned())
            .collect::<Vec<_>>();
        let kept = names
            .into_iter()
            .filter(|name| !excluded.iter().any(|pattern| pattern.is_match(name)));
        Ok(kept.collect())
    }

    pub(super) fn tar_is_unpacked(&self) -> Result<bool, Error> {
        let output = self.system.run(&self.tar_command("--diff"))?;
        let root = self.system.uid() == 0;
        let file = &self.args.file;
        let (stdout, stderr) = (output.stdout_text(), output.stderr_text());
        // What is set afterwards anyway is no reason to unpack.
        let differs = |line: &str| {
            // A name that `--strip-components` has left nothing of.
            if line.ends_with(": : Warning: Cannot stat: No such file or directory") {
                return false;
            }
            (root && file.owner.is_none() && line.ends_with(": Uid differs"))
                || (root && file.group.is_none() && line.ends_with(": Gid differs"))
                || (file.mode.is_none() && line.ends_with(": Mode differs"))
                || DIFFERENCES.iter().any(|ending| line.ends_with(ending))
                || line.contains(": Invalid owner")
                || line.contains(": Invalid group")
        };
        Ok(!stdout.lines().chain(stderr.lines()).any(differs))
    }
}
