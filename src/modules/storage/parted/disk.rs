//! What `parted --machine ... print` says of a disk, as results tell it.

use serde::{Deserialize, Serialize};

use crate::modules::Error;
use crate::value::{Map, Value};

/// A disk and its partitions.
#[derive(Debug, Clone, PartialEq)]
pub struct Disk {
    pub label: String,
    pub size: f64,
    pub generic: Map,
    pub partitions: Vec<Partition>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Partition {
    pub number: i64,
    /// In the unit that was asked for; none in cylinders, heads and sectors.
    pub end: Option<f64>,
    pub name: String,
    pub flags: Vec<String>,
    /// It would be made by an earlier task of this check: where it is, is not known.
    pub is_new: bool,
    pub told: Map,
}

/// A disk as the tasks of a check would leave it, in no unit: where partitions are is left to the machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WouldBe {
    label: String,
    partitions: Vec<(i64, Changes)>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Changes {
    is_new: bool,
    name: String,
    flags: Vec<String>,
}

/// A number with its unit, or `CYLINDER,HEAD,SECTOR`.
pub fn size(text: &str) -> Option<(Value, &str)> {
    let digits = text.trim_start_matches('-');
    let end = digits
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(digits.len());
    let split = text.len() - digits.len() + end;
    let (number, unit) = text.split_at(split);
    if let Some(rest) = unit.strip_prefix(',') {
        let (head, sector) = rest.split_once(',')?;
        let parts = [("cylinder", number), ("head", head), ("sector", sector)];
        let parts = parts.map(|(key, text)| Some((key.to_owned(), Value::Int(text.parse().ok()?))));
        let parts: Option<Map> = parts.into_iter().collect();
        return Some((Value::Map(parts?), "chs"));
    }
    Some((Value::Float(number.parse().ok()?), unit.trim()))
}

impl Disk {
    pub fn parse(text: &str, device: &str, unit: &str) -> Result<Self, Error> {
        read(text, unit).ok_or_else(|| {
            Error::new(format!("parted's words on {device} are not understood")).with("out", text)
        })
    }

    pub fn partition(&self, number: i64) -> Option<&Partition> {
        self.partitions
            .iter()
            .find(|partition| partition.number == number)
    }

    /// What later tasks of a check are to know of it.
    pub fn would_be(&self) -> WouldBe {
        let changes = |part: &Partition| Changes {
            is_new: part.is_new,
            name: part.name.clone(),
            flags: part.flags.clone(),
        };
        WouldBe {
            label: self.label.clone(),
            partitions: self
                .partitions
                .iter()
                .map(|part| (part.number, changes(part)))
                .collect(),
        }
    }

    /// The machine's disk as it would be.
    #[must_use]
    pub fn becomes(mut self, would_be: WouldBe) -> Self {
        self.generic
            .insert("table".to_owned(), would_be.label.as_str().into());
        self.label = would_be.label;
        let mut old = std::mem::take(&mut self.partitions);
        for (number, changes) in would_be.partitions {
            let at = old.iter().position(|part| part.number == number);
            let mut part = match at.filter(|_| !changes.is_new) {
                Some(at) => old.swap_remove(at),
                None => Partition::new(number),
            };
            part.told.insert("name".to_owned(), changes.name.as_str().into());
            part.told.insert("flags".to_owned(), changes.flags.clone().into());
            (part.name, part.flags) = (changes.name, changes.flags);
            self.partitions.push(part);
        }
        self
    }

    pub fn told(&self) -> [(&'static str, Value); 2] {
        let partitions: Vec<Value> = self
            .partitions
            .iter()
            .map(|part| part.told.clone().into())
            .collect();
        [
            ("disk", self.generic.clone().into()),
            ("partitions", Value::List(partitions)),
        ]
    }
}

impl Partition {
    /// One that is only foreseen.
    pub fn new(number: i64) -> Self {
        Self {
            number,
            end: None,
            name: String::new(),
            flags: Vec::new(),
            is_new: true,
            told: map(vec![("num", Value::Int(number))]),
        }
    }
}

fn map(pairs: Vec<(&str, Value)>) -> Map {
    pairs
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

fn read(text: &str, asked: &str) -> Option<Disk> {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty()).skip(1);
    let fields: Vec<&str> = lines.next()?.trim_end_matches(';').split(':').collect();
    let [device, whole, _, logical, physical, label, model, ..] = fields.as_slice() else {
        return None;
    };
    let (whole, unit) = size(whole)?;
    let unit = if unit.is_empty() { asked } else { unit }.to_lowercase();
    let mut generic = map(vec![
        ("dev", (*device).into()),
        ("size", whole.clone()),
        ("unit", unit.as_str().into()),
        ("table", (*label).into()),
        ("model", (*model).into()),
        ("logical_block", Value::Int(logical.parse().ok()?)),
        ("physical_block", Value::Int(physical.parse().ok()?)),
    ]);
    if ["cyl", "chs"].contains(&unit.as_str()) {
        let geometry: Vec<&str> = lines.next()?.trim_end_matches(';').split(':').collect();
        let [cylinders, heads, sectors, cylinder, ..] = geometry.as_slice() else {
            return None;
        };
        let number = |text: &str| text.parse().ok().map(Value::Int);
        let (size, of) = size(cylinder)?;
        let geometry = map(vec![
            ("cylinders", number(cylinders)?),
            ("heads", number(heads)?),
            ("sectors", number(sectors)?),
            ("cyl_size", size),
            ("cyl_size_unit", of.to_lowercase().into()),
        ]);
        generic.insert("chs_info".to_owned(), geometry.into());
    }
    let partitions = lines
        .map(|line| partition(line, &unit))
        .collect::<Option<Vec<_>>>()?;
    Some(Disk {
        label: (*label).to_owned(),
        size: if let Value::Float(size) = whole { size } else { 0.0 },
        generic,
        partitions,
    })
}

/// `NUMBER:BEGIN:END:[SIZE:]TYPE:NAME:FLAGS;`
fn partition(line: &str, unit: &str) -> Option<Partition> {
    let line = line.trim_end_matches(';');
    let mut fields = line.split(':');
    let number = fields.next()?.parse().ok()?;
    let begin = size(fields.next()?)?.0;
    let end = size(fields.next()?)?.0;
    let length = if unit == "chs" {
        "".into()
    } else {
        size(fields.next()?)?.0
    };
    let fstype = fields.next()?;
    let name = fields.next()?.to_owned();
    let flags: Vec<String> = fields
        .next()?
        .split(',')
        .map(|flag| flag.trim().to_owned())
        .filter(|flag| !flag.is_empty())
        .collect();
    let told = map(vec![
        ("num", Value::Int(number)),
        ("begin", begin),
        ("end", end.clone()),
        ("size", length),
        ("fstype", fstype.into()),
        ("name", name.as_str().into()),
        ("flags", flags.clone().into()),
        ("unit", unit.into()),
    ]);
    Some(Partition {
        number,
        end: if let Value::Float(end) = end {
            Some(end)
        } else {
            None
        },
        name,
        flags,
        is_new: false,
        told,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_in_bytes_and_in_cylinders() {
        let text = "BYT;\n/dev/sdb:1048576kiB:scsi:512:4096:gpt:A Disk:;\n\
                    1:1024kiB:524288kiB:523264kiB:ext4:data:boot, esp;\n\
                    2:524288kiB:1047552kiB:523264kiB:::;\n";
        let disk = Disk::parse(text, "/dev/sdb", "KiB").unwrap();
        assert_eq!((disk.label.as_str(), disk.size), ("gpt", 1_048_576.0));
        assert_eq!(disk.generic["unit"].to_string(), "kib");
        let first = disk.partition(1).unwrap();
        assert_eq!((first.name.as_str(), first.end), ("data", Some(524_288.0)));
        assert_eq!(first.flags, ["boot", "esp"]);
        assert!(disk.partition(2).unwrap().flags.is_empty());
        let text = "CHS;\n/dev/sdb:130,138,7:scsi:512:512:msdos:A:;\n130:255:63:8225kB;\n1:0,32,32:130,138,7:ext4::lba;\n";
        let disk = Disk::parse(text, "/dev/sdb", "chs").unwrap();
        assert!(disk.generic["chs_info"].to_string().contains("'heads': 255"));
        assert_eq!(disk.partition(1).unwrap().flags, ["lba"]);
        assert!(Disk::parse("", "/dev/sdb", "s").is_err());
    }
}
