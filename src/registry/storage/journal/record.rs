//! What the journal holds: frames, each with the changes of one commit.
//!
//! A frame is its payload's length (4 bytes, little end first), the generation of its half (8), the payload's
//! SHA-256 (32) and the payload: the length of a head in JSON (4), the head, and the contents that it lists.

use std::io;

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// Of what comes before a payload.
pub const FRAME: usize = 4 + 8 + 32;

/// Something that is done to a name below the storage's root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    Write { path: String, content: Bytes },
    Remove { path: String },
}

/// The changes of one commit, and when they were made.
#[derive(Debug, PartialEq, Eq)]
pub struct Record {
    /// Of the running system that noted it: under the same one nothing that was written can be lost.
    pub boot: String,
    pub moment: Moment,
    pub changes: Vec<Change>,
}

/// When something was done, by the times that file systems give to files: nanoseconds since 1970. Their clock ticks,
/// but not for all files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// What was written later has this time or a later one.
    pub from: u64,
    /// What was written before has this time or an earlier one.
    pub to: u64,
}

impl Moment {
    pub fn now() -> Self {
        let read = |clock| {
            let now = clock_gettime(clock);
            let nanoseconds = i128::from(now.tv_sec) * 1_000_000_000 + i128::from(now.tv_nsec);
            u64::try_from(nanoseconds).unwrap_or(0)
        };
        Self {
            from: read(ClockId::RealtimeCoarse),
            to: read(ClockId::Realtime),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Head {
    boot: String,
    moment: Moment,
    changes: Vec<Listed>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Listed {
    /// The path and the content's length.
    Write(String, usize),
    Remove(String),
}

impl Record {
    /// The frame of this record, but for its generation: see [`stamp`].
    pub fn frame(&self) -> io::Result<Vec<u8>> {
        let head = Head {
            boot: self.boot.clone(),
            moment: self.moment,
            changes: self
                .changes
                .iter()
                .map(|change| match change {
                    Change::Write { path, content } => Listed::Write(path.clone(), content.len()),
                    Change::Remove { path } => Listed::Remove(path.clone()),
                })
                .collect(),
        };
        let head = serde_json::to_vec(&head)?;
        let mut frame = vec![0; FRAME];
        frame.extend(length(head.len())?);
        frame.extend(head);
        for change in &self.changes {
            if let Change::Write { content, .. } = change {
                frame.extend_from_slice(content);
            }
        }
        let (before, payload) = frame.split_at_mut(FRAME);
        before[..4].copy_from_slice(&length(payload.len())?);
        before[12..].copy_from_slice(digest(&SHA256, payload).as_ref());
        Ok(frame)
    }

    fn from_payload(payload: &[u8]) -> Option<Self> {
        let (head, mut contents) = payload.split_at_checked(4).and_then(|(length, rest)| {
            rest.split_at_checked(u32::from_le_bytes(length.try_into().ok()?) as usize)
        })?;
        let head: Head = serde_json::from_slice(head).ok()?;
        let changes = head.changes.into_iter().map(|listed| {
            Some(match listed {
                Listed::Remove(path) => Change::Remove { path },
                Listed::Write(path, length) => {
                    let (content, rest) = contents.split_at_checked(length)?;
                    contents = rest;
                    Change::Write {
                        path,
                        content: Bytes::copy_from_slice(content),
                    }
                }
            })
        });
        Some(Self {
            boot: head.boot,
            moment: head.moment,
            changes: changes.collect::<Option<_>>()?,
        })
    }
}

/// Says in a frame which generation it belongs to.
pub fn stamp(frame: &mut [u8], generation: u64) {
    frame[4..12].copy_from_slice(&generation.to_le_bytes());
}

/// The length of the payload behind this head.
pub fn payload(head: &[u8; FRAME]) -> u64 {
    let [first, second, third, fourth, ..] = *head;
    u32::from_le_bytes([first, second, third, fourth]).into()
}

/// The generation and the records of a half. They end where a frame is damaged, or is of another generation:
/// it was being written when everything stopped, or is left of what the half held before.
pub fn records(mut half: &[u8]) -> Option<(u64, Vec<Record>)> {
    let mut found: Option<(u64, Vec<Record>)> = None;
    while let Some((generation, record, rest)) = first(half) {
        match &mut found {
            None => found = Some((generation, vec![record])),
            Some((known, records)) if *known == generation => records.push(record),
            Some(_) => break,
        }
        half = rest;
    }
    found
}

fn first(half: &[u8]) -> Option<(u64, Record, &[u8])> {
    let (frame, rest) = half.split_at_checked(FRAME)?;
    let length = u32::from_le_bytes(frame[..4].try_into().ok()?) as usize;
    let generation = u64::from_le_bytes(frame[4..12].try_into().ok()?);
    let (payload, rest) = rest.split_at_checked(length)?;
    if length == 0 || frame[12..] != *digest(&SHA256, payload).as_ref() {
        return None;
    }
    Some((generation, Record::from_payload(payload)?, rest))
}

fn length(length: usize) -> io::Result<[u8; 4]> {
    u32::try_from(length)
        .map(u32::to_le_bytes)
        .map_err(|_| io::ErrorKind::FileTooLarge.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(number: u64) -> Record {
        Record {
            boot: "this one".to_owned(),
            moment: Moment { from: 1, to: number },
            changes: vec![
                Change::Write {
                    path: format!("a/{number}"),
                    content: vec![7; usize::try_from(number).unwrap()].into(),
                },
                Change::Remove { path: "b".to_owned() },
                Change::Write {
                    path: "c".to_owned(),
                    content: Bytes::from_static(b"\"\0"),
                },
            ],
        }
    }

    fn half(generations: &[u64]) -> Vec<u8> {
        let frames = (0..).zip(generations).map(|(number, generation)| {
            let mut frame = record(number).frame().unwrap();
            stamp(&mut frame, *generation);
            frame
        });
        frames.flatten().chain([0; 200]).collect()
    }

    #[test]
    fn records_come_back_as_they_were() {
        let found = records(&half(&[5, 5, 5])).unwrap();
        assert_eq!(found, (5, vec![record(0), record(1), record(2)]));
        assert_eq!(records(&[0; 100]), None);
        assert_eq!(records(&[]), None);
    }

    #[test]
    fn what_an_older_generation_left_is_not_taken() {
        let (generation, found) = records(&half(&[5, 5, 4])).unwrap();
        assert_eq!((generation, found.len()), (5, 2));
    }

    /// Wherever it is cut and whichever byte is wrong: what stands before is there, and nothing else.
    #[test]
    fn damage_ends_it() {
        let whole = half(&[5, 5]);
        let frame = record(0).frame().unwrap().len();
        let end = frame + record(1).frame().unwrap().len();
        for length in 0..end {
            let count = records(&whole[..length]).map_or(0, |(_, records)| records.len());
            assert_eq!(count, usize::from(length >= frame), "cut at {length}");
        }
        for place in frame..end {
            let mut damaged = whole.clone();
            damaged[place] ^= 0x55;
            let (_, found) = records(&damaged).unwrap();
            assert_eq!(found, [record(0)], "byte {place}");
        }
    }
}
