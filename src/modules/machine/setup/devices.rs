//! Block devices and their partitions, as sysfs describes them.

use std::path::{Path, PathBuf};

use super::{exists, put, read};
use crate::system::System;
use crate::value::{Map, Value};

const FOLDER: &str = "/sys/block";

/// The folders of links to devices, by what they are named after.
const LINKS: &[(&str, &str)] = &[
    ("ids", "/dev/disk/by-id"),
    ("labels", "/dev/disk/by-label"),
    ("uuids", "/dev/disk/by-uuid"),
];

/// Other names of devices: the kind of name, the device, the name.
type Names = Vec<(&'static str, String, String)>;

pub fn gather(system: &dyn System, facts: &mut Map) {
    let names = names(system);
    let mut devices = Map::new();
    for folder in entries(FOLDER.as_ref(), system) {
        let name = file_name(&folder);
        devices.insert(name.clone(), Value::Map(device(&name, &folder, &names, system)));
    }
    put(facts, "devices", devices);
    let mut links = Map::new();
    for (kind, _) in LINKS {
        let mut of = Map::new();
        for (_, device, name) in names.iter().filter(|(own, ..)| own == kind) {
            let entry = of
                .entry(device.clone())
                .or_insert_with(|| Value::List(Vec::new()));
            if let Value::List(list) = entry {
                list.push(Value::from(name.as_str()));
            }
        }
        links.insert((*kind).to_owned(), Value::Map(of));
    }
    put(&mut links, "masters", Map::new());
    put(facts, "device_links", links);
}

/// What is in a folder, with its path; nothing where there is no such folder.
fn entries(folder: &Path, system: &dyn System) -> Vec<PathBuf> {
    let names = system.read_dir(folder).unwrap_or_default();
    names.into_iter().map(|name| folder.join(name)).collect()
}

fn names(system: &dyn System) -> Names {
    let mut names = Names::new();
    for (kind, folder) in LINKS {
        for link in entries(folder.as_ref(), system) {
            if let Ok(device) = system.canonicalize(&link) {
                names.push((kind, file_name(&device), file_name(&link)));
            }
        }
    }
    names
}

fn device(name: &str, folder: &Path, names: &Names, system: &dyn System) -> Map {
    let text = |file: &str| read(system, folder.join(file));
    let sectors = number(system, &folder.join("size"));
    let mut device = Map::new();
    let virtual_device = system
        .canonicalize(folder)
        .is_ok_and(|path| path.starts_with("/sys/devices/virtual") || text("device/vendor").is_none());
    put(
        &mut device,
        "virtual",
        i64::from(virtual_device || is_virtio(folder, system)),
    );
    put(&mut device, "links", links(name, names));
    put(&mut device, "model", text("device/model"));
    put(&mut device, "vendor", text("device/vendor"));
    put(&mut device, "sas_address", text("device/sas_address"));
    put(&mut device, "sas_device_handle", text("device/sas_device_handle"));
    if let Some(serial) = text("device/serial") {
        put(&mut device, "serial", serial);
    }
    put(&mut device, "removable", text("removable"));
    put(&mut device, "support_discard", text("queue/discard_granularity"));
    put(&mut device, "rotational", text("queue/rotational"));
    put(
        &mut device,
        "scheduler_mode",
        scheduler(&text("queue/scheduler").unwrap_or_default()),
    );
    put(&mut device, "sectors", sectors);
    put(&mut device, "sectorsize", text("queue/logical_block_size"));
    put(&mut device, "size", readable(sectors));
    put(&mut device, "host", "");
    put(&mut device, "holders", holders(folder, system));
    let mut partitions = Map::new();
    for folder in entries(folder, system) {
        let own = file_name(&folder);
        if own.starts_with(name) && exists(system, &folder.join("partition").display().to_string()) {
            partitions.insert(own.clone(), Value::Map(partition(&own, &folder, names, system)));
        }
    }
    put(&mut device, "partitions", partitions);
    device
}

fn partition(name: &str, folder: &Path, names: &Names, system: &dyn System) -> Map {
    let sectors = number(system, &folder.join("size"));
    let links = links(name, names);
    let mut partition = Map::new();
    let uuids = links.get("uuids").and_then(Value::as_list);
    put(
        &mut partition,
        "uuid",
        uuids.and_then(|uuids| uuids.first().cloned()).unwrap_or_default(),
    );
    put(&mut partition, "links", links);
    put(&mut partition, "start", read(system, folder.join("start")));
    put(&mut partition, "sectors", sectors);
    put(&mut partition, "sectorsize", 512);
    put(&mut partition, "size", readable(sectors));
    put(&mut partition, "holders", holders(folder, system));
    partition
}

fn links(device: &str, names: &Names) -> Map {
    let of = |kind: &str| -> Vec<Value> {
        let own = names
            .iter()
            .filter(|(own, known, _)| *own == kind && known == device);
        own.map(|(.., name)| Value::from(name.as_str())).collect()
    };
    let mut links: Map = LINKS
        .iter()
        .map(|(kind, _)| ((*kind).to_owned(), Value::List(of(kind))))
        .collect();
    put(&mut links, "masters", Vec::<Value>::new());
    links
}

/// What is built on a device: volumes by their own names.
fn holders(folder: &Path, system: &dyn System) -> Vec<Value> {
    let holders = entries(&folder.join("holders"), system);
    let name = |path: &PathBuf| match file_name(path) {
        name if name.starts_with("dm-") => read(system, path.join("dm/name")).unwrap_or(name),
        name => name,
    };
    holders.iter().map(|path| Value::from(name(path))).collect()
}

fn is_virtio(folder: &Path, system: &dyn System) -> bool {
    let driver = system.canonicalize(&folder.join("device/driver"));
    driver.is_ok_and(|path| file_name(&path) == "virtio_blk")
}

/// The word in brackets: `none [mq-deadline] kyber`.
fn scheduler(text: &str) -> String {
    let chosen = text.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    chosen.map_or("", |(word, _)| word).to_owned()
}

fn number(system: &dyn System, path: &Path) -> i64 {
    read(system, path).and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// Sectors of 512 bytes, as `256.00 GB`.
#[expect(clippy::cast_precision_loss, reason = "two decimals are shown")]
fn readable(sectors: i64) -> String {
    let mut size = sectors as f64 * 512.0;
    for unit in ["Bytes", "KB", "MB", "GB"] {
        if size < 1024.0 {
            return format!("{size:.2} {unit}");
        }
        size /= 1024.0;
    }
    format!("{size:.2} TB")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::fake::Fake;

    #[test]
    fn describes_a_disk_and_its_partition() {
        let fake = Fake::new();
        fake.file("/sys/block/sda/size", "536870912\n");
        fake.file("/sys/block/sda/queue/scheduler", "none [mq-deadline] kyber\n");
        fake.file("/sys/block/sda/sda1/partition", "1\n");
        fake.file("/sys/block/sda/sda1/size", "2048\n");
        fake.file("/sys/block/sda/sda1/start", "34\n");
        fake.file("/dev/sda1", "");
        fake.directory("/dev/disk/by-uuid");
        fake.link("/dev/disk/by-uuid/abcd", "/dev/sda1");
        let mut facts = Map::new();
        gather(&fake, &mut facts);
        let disk = facts["devices"].get("sda").unwrap();
        assert_eq!(disk.get("size").unwrap(), &"256.00 GB".into());
        assert_eq!(disk.get("scheduler_mode").unwrap(), &"mq-deadline".into());
        let partition = disk.get("partitions").unwrap().get("sda1").unwrap();
        assert_eq!(partition.get("uuid").unwrap(), &"abcd".into());
        assert_eq!(partition.get("start").unwrap(), &"34".into());
        assert_eq!(
            facts["device_links"].get("uuids").unwrap().to_string(),
            "{'sda1': ['abcd']}"
        );
    }
}
