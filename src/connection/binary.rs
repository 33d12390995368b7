//! Which executable a target gets: this one if it has the same kind of CPU, else one that was built for it.
//!
//! Others are looked for as `regdeploy-ARCH` in `$REGDEPLOY_AGENT_DIR` and in `agents/` beside this
//! executable. They are static, so the kind of CPU is all that matters. Nothing is built here: where one is
//! missing, the error says how to build it.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use aws_lc_rs::digest;

use crate::wire::bootstrap::Offer;

/// A kind of CPU.
#[derive(Debug, PartialEq, Eq)]
struct Architecture {
    name: &'static str,
    /// `e_machine` of the ELF header.
    elf: u16,
    /// What `uname -m` says, as shell patterns.
    machines: &'static str,
    /// What cargo calls it.
    target: &'static str,
}

const ARCHITECTURES: &[Architecture] = &[
    Architecture {
        name: "x86_64",
        elf: 62,
        machines: "x86_64|amd64",
        target: "x86_64-unknown-linux-gnu",
    },
    Architecture {
        name: "aarch64",
        elf: 183,
        machines: "aarch64|arm64",
        target: "aarch64-unknown-linux-gnu",
    },
    Architecture {
        name: "armv7",
        elf: 40,
        machines: "armv7*|armv8l",
        target: "armv7-unknown-linux-gnueabihf",
    },
    Architecture {
        name: "i686",
        elf: 3,
        machines: "i?86",
        target: "i686-unknown-linux-gnu",
    },
    Architecture {
        name: "riscv64",
        elf: 243,
        machines: "riscv64",
        target: "riscv64gc-unknown-linux-gnu",
    },
    Architecture {
        name: "ppc64le",
        elf: 21,
        machines: "ppc64le",
        target: "powerpc64le-unknown-linux-gnu",
    },
    Architecture {
        name: "s390x",
        elf: 22,
        machines: "s390x",
        target: "s390x-unknown-linux-gnu",
    },
];

/// An executable that can be sent.
#[derive(Debug)]
pub struct Executable {
    pub path: PathBuf,
    pub offer: Offer,
}

/// All that can be sent; read and hashed once, when the first target needs it.
#[derive(Debug)]
pub struct Executables {
    own: PathBuf,
    folders: Vec<PathBuf>,
    found: OnceLock<Result<Vec<Executable>, String>>,
}

impl Executables {
    /// This process's own and those that lie around it.
    pub fn of_this_process() -> Self {
        // By number rather than by name: a file that has been replaced meanwhile would be another version.
        let own = PathBuf::from(format!("/proc/{}/exe", std::process::id()));
        let mut folders = Vec::new();
        folders.extend(std::env::var_os("REGDEPLOY_AGENT_DIR").map(PathBuf::from));
        if let Ok(path) = std::env::current_exe()
            && let Some(folder) = path.parent()
        {
            folders.push(folder.join("agents"));
        }
        Self::new(own, folders)
    }

    pub fn new(own: PathBuf, folders: Vec<PathBuf>) -> Self {
        Self {
            own,
            folders,
            found: OnceLock::new(),
        }
    }

    /// What runs as an agent on this machine.
    pub fn own(&self) -> &Path {
        &self.own
    }

    /// Everything that can be sent. Reads files: not for a thread that must not wait.
    pub fn all(&self) -> Result<&[Executable], String> {
        self.found
            .get_or_init(|| self.find())
            .as_deref()
            .map_err(Clone::clone)
    }

    fn find(&self) -> Result<Vec<Executable>, String> {
        let problem = |path: &Path, error: io::Error| format!("cannot read {}: {error}", path.display());
        let mut found = vec![read(&self.own).map_err(|error| problem(&self.own, error))?];
        for architecture in ARCHITECTURES {
            for folder in &self.folders {
                let path = folder.join(format!("regdeploy-{}", architecture.name));
                if !path.is_file() || found.iter().any(|known| known.is_for(architecture)) {
                    continue;
                }
                let executable = read(&path).map_err(|error| problem(&path, error))?;
                if !executable.is_for(architecture) {
                    return Err(format!(
                        "{} is for {}, not for {} as its name says",
                        path.display(),
                        executable.offer.machines,
                        architecture.name
                    ));
                }
                found.push(executable);
            }
        }
        Ok(found)
    }

    /// The executable for what `uname -sm` printed.
    pub fn for_machine(&self, machine: &str) -> Option<&Executable> {
        let name = machine.strip_prefix("Linux ")?;
        self.all()
            .ok()?
            .iter()
            .find(|executable| matches(executable.offer.machines, name))
    }
}

impl Executable {
    fn is_for(&self, architecture: &Architecture) -> bool {
        self.offer.machines == architecture.machines
    }
}

/// What to do about a machine that no executable is for.
pub fn remedy(machine: &str) -> String {
    let Some(name) = machine.strip_prefix("Linux ") else {
        return "only Linux targets are supported".to_owned();
    };
    match ARCHITECTURES
        .iter()
        .find(|architecture| matches(architecture.machines, name))
    {
        Some(Architecture { name, target, .. }) => format!(
            "build one with `rustup target add {target} && cargo build --release --target {target}` and copy \
             target/{target}/release/regdeploy to agents/regdeploy-{name} beside this executable, or to that \
             name in $REGDEPLOY_AGENT_DIR"
        ),
        None => "this kind of CPU is not supported".to_owned(),
    }
}

/// Shell patterns with `*` and `?` only.
fn matches(patterns: &str, name: &str) -> bool {
    patterns
        .split('|')
        .any(|pattern| super::ssh::known_hosts::wildcard(pattern, name))
}

fn read(path: &Path) -> io::Result<Executable> {
    let mut file = File::open(path)?;
    let mut header = [0; 20];
    file.read_exact(&mut header)?;
    let architecture = architecture(header).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            "it is no executable for a supported kind of CPU",
        )
    })?;
    let mut hash = digest::Context::new(&digest::SHA256);
    hash.update(&header);
    let mut size = header.len() as u64;
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            count => {
                hash.update(&buffer[..count]);
                size += count as u64;
            }
        }
    }
    let digest = hash
        .finish()
        .as_ref()
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    Ok(Executable {
        path: path.to_owned(),
        offer: Offer {
            machines: architecture.machines,
            digest,
            size,
        },
    })
}

/// Bytes 18 and 19 are `e_machine`, in the byte order that byte 5 tells.
fn architecture(header: [u8; 20]) -> Option<&'static Architecture> {
    if header[..4] != *b"\x7fELF" {
        return None;
    }
    let machine = [header[18], header[19]];
    let machine = match header[5] {
        1 => u16::from_le_bytes(machine),
        2 => u16::from_be_bytes(machine),
        _ => return None,
    };
    ARCHITECTURES
        .iter()
        .find(|architecture| architecture.elf == machine)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elf(machine: u16, order: u8) -> [u8; 20] {
        let mut header = [0; 20];
        header[..4].copy_from_slice(b"\x7fELF");
        header[5] = order;
        let bytes = if order == 1 {
            machine.to_le_bytes()
        } else {
            machine.to_be_bytes()
        };
        header[18..].copy_from_slice(&bytes);
        header
    }

    #[test]
    fn reads_the_header_in_either_byte_order() {
        assert_eq!(architecture(elf(183, 1)).unwrap().name, "aarch64");
        assert_eq!(architecture(elf(22, 2)).unwrap().name, "s390x");
        assert_eq!(architecture(*b"#!/bin/sh\n0123456789"), None);
    }

    #[test]
    fn finds_itself_and_its_neighbours() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("regdeploy-s390x"), elf(22, 2)).unwrap();
        let executables = Executables::new("/proc/self/exe".into(), vec![folder.path().to_owned()]);
        let own = format!("Linux {}", std::env::consts::ARCH);
        assert_eq!(
            executables.for_machine(&own).unwrap().path,
            Path::new("/proc/self/exe")
        );
        let other = executables.for_machine("Linux s390x").unwrap();
        assert_eq!(other.offer.size, 20);
        assert!(executables.for_machine("Linux sparc64").is_none());
        assert!(executables.for_machine("FreeBSD amd64").is_none());
    }

    #[test]
    fn a_wrong_name_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("regdeploy-s390x"), elf(183, 1)).unwrap();
        let executables = Executables::new("/proc/self/exe".into(), vec![folder.path().to_owned()]);
        assert!(executables.all().unwrap_err().contains("not for s390x"));
    }

    #[test]
    fn says_how_to_build_what_is_missing() {
        assert!(remedy("Linux arm64").contains("cargo build --release --target aarch64-unknown-linux-gnu"));
        assert!(remedy("Darwin arm64").contains("only Linux"));
        assert!(remedy("Linux vax").contains("not supported"));
    }
}
