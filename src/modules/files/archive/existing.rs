//! Whether an archive that is there already holds what it is to hold.

use std::io::{self, Read};
use std::path::Path;

use super::members::Member;
use super::packing::{Form, seconds, zip_time};
use crate::modules::files::compression::{Compression, MAGIC};
use crate::modules::files::parts::Parts;
use crate::system::{FileKind, System};

/// What of a member an archive tells: names and attributes, and for zip the content's CRC-32.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Told {
    name: String,
    kind: u8,
    mode: u32,
    owner: (u64, u64),
    size: u64,
    modified: u64,
    target: String,
    checksum: u32,
}

/// Whether the archive holds these members, as far as it can be told without unpacking: a file of the same size and time is the same.
/// What is no archive of that form holds nothing.
pub(super) fn holds(form: Form, dest: &Path, members: &[Member], system: &dyn System) -> bool {
    same(form, dest, members, system).unwrap_or(false)
}

fn same(form: Form, dest: &Path, members: &[Member], system: &dyn System) -> io::Result<bool> {
    let other = io::Error::other;
    let (mut found, mut wanted) = match form {
        Form::Single(compression) => {
            let [member] = members else { return Ok(false) };
            let start = system.read_part(dest, 0, MAGIC).map_err(other)?;
            if Compression::of(&start) != Some(compression) {
                return Ok(false);
            }
            let packed = compression.decoder(system.open(dest).map_err(other)?)?;
            return equal(packed, system.open(&member.path).map_err(other)?);
        }
        Form::Tar(compression) => {
            let start = system.read_part(dest, 0, MAGIC).map_err(other)?;
            if Compression::of(&start) != compression {
                return Ok(false);
            }
            let stream = system.open(dest).map_err(other)?;
            let stream: Box<dyn Read> = match compression {
                Some(compression) => compression.decoder(stream)?,
                None => stream,
            };
            (in_tar(stream)?, members.iter().map(for_tar).collect::<Vec<_>>())
        }
        Form::Zip => {
            let found = in_zip(Parts::open(dest, system)?)?;
            let wanted: io::Result<Vec<_>> = members.iter().map(|member| for_zip(member, system)).collect();
            (found, wanted?)
        }
    };
    found.sort();
    wanted.sort();
    Ok(found == wanted)
}

fn in_tar(stream: Box<dyn Read>) -> io::Result<Vec<Told>> {
    let mut archive = tar::Archive::new(stream);
    archive
        .entries()?
        .map(|entry| {
            let entry = entry?;
            let header = entry.header();
            let target = entry.link_name()?.unwrap_or_default();
            Ok(Told {
                name: entry.path()?.to_string_lossy().trim_end_matches('/').to_owned(),
                kind: match header.entry_type() {
                    tar::EntryType::Directory => 1,
                    tar::EntryType::Symlink => 2,
                    _ => 0,
                },
                mode: header.mode()? & 0o7777,
                owner: (header.uid()?, header.gid()?),
                size: entry.size(),
                modified: header.mtime()?,
                target: target.to_string_lossy().into_owned(),
                checksum: 0,
            })
        })
        .collect()
}

fn for_tar(member: &Member) -> Told {
    let metadata = &member.metadata;
    let target = member.target.as_ref();
    Told {
        name: member.name.clone(),
        kind: kind(metadata.kind),
        mode: metadata.mode,
        owner: (metadata.uid.into(), metadata.gid.into()),
        size: if metadata.kind == FileKind::File {
            metadata.size
        } else {
            0
        },
        modified: seconds(metadata.modified),
        target: target
            .map(|target| target.display().to_string())
            .unwrap_or_default(),
        checksum: 0,
    }
}

fn kind(kind: FileKind) -> u8 {
    match kind {
        FileKind::Directory => 1,
        FileKind::Link => 2,
        _ => 0,
    }
}

fn in_zip(stream: Parts) -> io::Result<Vec<Told>> {
    let mut archive = zip::ZipArchive::new(stream).map_err(io::Error::other)?;
    (0..archive.len())
        .map(|at| {
            let entry = archive.by_index_raw(at).map_err(io::Error::other)?;
            let name = entry.name().map_err(io::Error::other)?;
            Ok(Told {
                name: name.trim_end_matches('/').to_owned(),
                kind: u8::from(entry.is_dir()),
                mode: entry.unix_mode().unwrap_or(0) & 0o7777,
                owner: (0, 0),
                size: entry.size(),
                modified: entry.last_modified().map_or(0, packed_time),
                target: String::new(),
                checksum: entry.crc32(),
            })
        })
        .collect()
}

fn for_zip(member: &Member, system: &dyn System) -> io::Result<Told> {
    let metadata = &member.metadata;
    let file = metadata.kind == FileKind::File;
    let checksum = if file {
        crc32(&mut system.open(&member.path).map_err(io::Error::other)?)?
    } else {
        0
    };
    Ok(Told {
        name: member.name.clone(),
        kind: kind(metadata.kind),
        mode: metadata.mode,
        owner: (0, 0),
        size: if file { metadata.size } else { 0 },
        modified: packed_time(zip_time(metadata.modified)),
        target: String::new(),
        checksum,
    })
}

fn packed_time(time: zip::DateTime) -> u64 {
    u64::from(time.datepart()) << 16 | u64::from(time.timepart())
}

/// The CRC-32 of a stream.
pub(in crate::modules::files) fn crc32(stream: &mut dyn Read) -> io::Result<u32> {
    let mut crc = flate2::Crc::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(crc.sum()),
            count => crc.update(&buffer[..count]),
        }
    }
}

/// Whether two streams have the same bytes.
fn equal(mut one: impl Read, mut other: impl Read) -> io::Result<bool> {
    let (mut left, mut right) = (Vec::new(), Vec::new());
    loop {
        left.clear();
        right.clear();
        (&mut one).take(64 << 10).read_to_end(&mut left)?;
        (&mut other).take(64 << 10).read_to_end(&mut right)?;
        if left != right {
            return Ok(false);
        }
        if left.is_empty() {
            return Ok(true);
        }
    }
}
