//! An archive as it is read: members are packed when their bytes are asked for, so that none is in memory as a whole.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use zip::CompressionMethod;
use zip::write::{SimpleFileOptions, StreamWriter};

use super::members::Member;
use crate::modules::files::compression::{Compression, Encoder};
use crate::system::{FileKind, System};

/// What is read of a member at a time.
const PIECE: usize = 256 << 10;
/// Tar's unit.
const BLOCK: u64 = 512;
/// The mode of a regular file in zip's Unix attributes.
const REGULAR: u32 = 0o100_000;

/// Where packed bytes wait until they are read.
#[derive(Clone, Default)]
pub(super) struct Waiting(Rc<RefCell<VecDeque<u8>>>);

impl Write for Waiting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The form of what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Tar(Option<Compression>),
    Zip,
    /// One file, only compressed.
    Single(Compression),
}

enum Writer {
    Tar(tar::Builder<Encoder<Waiting>>),
    Zip(Box<zip::ZipWriter<StreamWriter<Waiting>>>),
    Single(Encoder<Waiting>),
}

/// The archive's bytes.
pub(super) struct Packing<'a> {
    system: &'a dyn System,
    waiting: Waiting,
    writer: Option<Writer>,
    members: std::vec::IntoIter<Member>,
    /// The file that is being packed, and how much of it is missing.
    current: Option<(Box<dyn Read + Send>, Member, u64)>,
}

impl<'a> Packing<'a> {
    pub(super) fn new(form: Form, members: Vec<Member>, system: &'a dyn System) -> io::Result<Self> {
        let waiting = Waiting::default();
        let writer = match form {
            Form::Tar(compression) => {
                Writer::Tar(tar::Builder::new(Encoder::new(compression, waiting.clone())?))
            }
            Form::Zip => Writer::Zip(Box::new(zip::ZipWriter::new_stream(waiting.clone()))),
            Form::Single(compression) => Writer::Single(Encoder::new(Some(compression), waiting.clone())?),
        };
        Ok(Self {
            system,
            waiting,
            writer: Some(writer),
            members: members.into_iter(),
            current: None,
        })
    }

    /// Packs some more; false at the end.
    fn step(&mut self) -> io::Result<bool> {
        let Some(writer) = &mut self.writer else {
            return Ok(false);
        };
        if let Some((source, member, left)) = &mut self.current {
            let mut piece = Vec::with_capacity(PIECE);
            let wanted = (PIECE as u64).min(*left);
            source.take(wanted).read_to_end(&mut piece)?;
            let count = piece.len() as u64;
            if count < wanted {
                return Err(io::Error::other(format!(
                    "{} became shorter while it was packed",
                    member.path.display()
                )));
            }
            match writer {
                Writer::Tar(builder) => builder.get_mut().write_all(&piece)?,
                Writer::Zip(zip) => zip.write_all(&piece)?,
                Writer::Single(encoder) => encoder.write_all(&piece)?,
            }
            *left -= count;
            if *left == 0 {
                if let Writer::Tar(builder) = writer {
                    let over = member.metadata.size % BLOCK;
                    let padding = if over == 0 { 0 } else { BLOCK - over };
                    let zeros = vec![0; usize::try_from(padding).unwrap_or(0)];
                    builder.get_mut().write_all(&zeros)?;
                }
                self.current = None;
            }
            return Ok(true);
        }
        if let Some(member) = self.members.next() {
            begin(writer, &member)?;
            if member.metadata.kind == FileKind::File && member.metadata.size > 0 {
                let source = self.system.open(&member.path).map_err(io::Error::other)?;
                let size = member.metadata.size;
                self.current = Some((source, member, size));
            }
            return Ok(true);
        }
        match self.writer.take() {
            Some(Writer::Tar(builder)) => drop(builder.into_inner()?.finish()?),
            Some(Writer::Zip(zip)) => drop(zip.finish().map_err(io::Error::other)?),
            Some(Writer::Single(encoder)) => drop(encoder.finish()?),
            None => {}
        }
        Ok(true)
    }
}

/// What comes before a member's content.
fn begin(writer: &mut Writer, member: &Member) -> io::Result<()> {
    let metadata = &member.metadata;
    match writer {
        Writer::Single(_) => Ok(()),
        Writer::Tar(builder) => {
            let mut header = header(member);
            match &member.target {
                Some(target) => builder.append_link(&mut header, &member.inside, target),
                None => builder.append_data(&mut header, &member.inside, io::empty()),
            }
        }
        Writer::Zip(zip) => {
            if member.inside.to_str().is_none() {
                return Err(io::Error::other(format!(
                    "the name of {} is no UTF-8, which a zip archive cannot keep; take the format `tar` or `gz`",
                    member.path.display()
                )));
            }
            let options = SimpleFileOptions::default()
                .compression_method(CompressionMethod::Deflated)
                .large_file(metadata.size > u64::from(u32::MAX))
                .last_modified_time(zip_time(metadata.modified))
                .unix_permissions(
                    metadata.mode
                        | if metadata.kind == FileKind::File {
                            REGULAR
                        } else {
                            0
                        },
                );
            if metadata.kind == FileKind::Directory {
                zip.add_directory(member.name.as_str(), options)
            } else {
                zip.start_file(member.name.as_str(), options)
            }
            .map_err(io::Error::other)
        }
    }
}

fn header(member: &Member) -> tar::Header {
    let metadata = &member.metadata;
    let mut header = tar::Header::new_gnu();
    let (kind, size) = match metadata.kind {
        FileKind::Directory => (tar::EntryType::Directory, 0),
        FileKind::Link => (tar::EntryType::Symlink, 0),
        _ => (tar::EntryType::Regular, metadata.size),
    };
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(metadata.mode);
    header.set_uid(metadata.uid.into());
    header.set_gid(metadata.gid.into());
    header.set_mtime(seconds(metadata.modified));
    header
}

pub(super) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// The target's local time, in steps of two seconds; zip knows none before 1980.
pub(super) fn zip_time(time: SystemTime) -> zip::DateTime {
    let local = jiff::Timestamp::try_from(time).map(|stamp| stamp.to_zoned(jiff::tz::TimeZone::system()));
    let exact = local.ok().and_then(|local| {
        let byte = |number: i8| u8::try_from(number).unwrap_or(0);
        zip::DateTime::from_date_and_time(
            u16::try_from(local.year()).unwrap_or(0),
            byte(local.month()),
            byte(local.day()),
            byte(local.hour()),
            byte(local.minute()),
            byte(local.second()) & !1,
        )
        .ok()
    });
    exact.unwrap_or_default()
}

impl Read for Packing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.waiting.0.borrow_mut().read(buffer)?;
            if count > 0 || buffer.is_empty() || !self.step()? {
                return Ok(count);
            }
        }
    }
}
