//! Memory, processors, file systems, block devices, firmware.

use std::path::Path;
use std::time::Duration;

use super::{put, read};
use crate::system::{Command, System};
use crate::value::{Map, Value};

/// Names of `/sys/class/dmi/id` files, and the facts that they are.
const FIRMWARE: &[(&str, &str)] = &[
    ("bios_date", "bios_date"),
    ("bios_vendor", "bios_vendor"),
    ("bios_version", "bios_version"),
    ("board_asset_tag", "board_asset_tag"),
    ("board_name", "board_name"),
    ("board_serial", "board_serial"),
    ("board_vendor", "board_vendor"),
    ("board_version", "board_version"),
    ("chassis_asset_tag", "chassis_asset_tag"),
    ("chassis_serial", "chassis_serial"),
    ("chassis_vendor", "chassis_vendor"),
    ("chassis_version", "chassis_version"),
    ("product_name", "product_name"),
    ("product_serial", "product_serial"),
    ("product_uuid", "product_uuid"),
    ("product_version", "product_version"),
    ("sys_vendor", "system_vendor"),
];

/// Chassis types of the SMBIOS specification, from 1.
const FORMS: &[&str] = &[
    "Other",
    "Unknown",
    "Desktop",
    "Low Profile Desktop",
    "Pizza Box",
    "Mini Tower",
    "Tower",
    "Portable",
    "Laptop",
    "Notebook",
    "Hand Held",
    "Docking Station",
    "All In One",
    "Sub Notebook",
    "Space-saving",
    "Lunch Box",
    "Main Server Chassis",
    "Expansion Chassis",
    "Sub Chassis",
    "Bus Expansion Chassis",
    "Peripheral Chassis",
    "RAID Chassis",
    "Rack Mount Chassis",
    "Sealed-case PC",
    "Multi-system",
    "CompactPCI",
    "AdvancedTCA",
    "Blade",
    "Blade Enclosure",
];

pub fn gather(system: &dyn System, timeout: u64, facts: &mut Map) {
    memory(&read(system, "/proc/meminfo").unwrap_or_default(), facts);
    processors(&read(system, "/proc/cpuinfo").unwrap_or_default(), facts);
    if let Some(uptime) = read(system, "/proc/uptime")
        && let Some(seconds) = uptime.split('.').next().and_then(|text| text.parse::<i64>().ok())
    {
        put(facts, "uptime_seconds", seconds);
    }
    let load = read(system, "/proc/loadavg").unwrap_or_default();
    let load = ["1m", "5m", "15m"]
        .into_iter()
        .zip(load.split_whitespace().map(str::parse::<f64>))
        .filter_map(|(name, number)| Some((name.to_owned(), number.ok()?.into())));
    put(facts, "loadavg", load.collect::<Map>());
    let chassis = read(system, "/sys/class/dmi/id/chassis_type").and_then(|number| number.parse().ok());
    let form = chassis.and_then(|number: usize| FORMS.get(number.checked_sub(1)?));
    put(facts, "form_factor", form.copied().unwrap_or("NA"));
    for (file, fact) in FIRMWARE {
        let text = read(system, Path::new("/sys/class/dmi/id").join(file));
        put(facts, fact, text.unwrap_or_else(|| "NA".to_owned()));
    }
    let table = read(system, "/proc/self/mounts").unwrap_or_default();
    let mounts = mounts(&table);
    let sizes = sizes(&mounts, timeout, system);
    let mounts: Vec<Value> = mounts
        .into_iter()
        .map(|mount| mount.into_fact(sizes.as_deref().unwrap_or_default()))
        .collect();
    put(facts, "mounts", Value::List(mounts));
    super::devices::gather(system, facts);
    put(facts, "lvm", "N/A");
}

fn memory(text: &str, facts: &mut Map) {
    let mib = |name: &str| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let number = line.and_then(|rest| rest.split_whitespace().next()?.parse::<i64>().ok());
        number.unwrap_or(0) / 1024
    };
    let (total, free) = (mib("MemTotal"), mib("MemFree"));
    let (swap_total, swap_free) = (mib("SwapTotal"), mib("SwapFree"));
    let uncached = free + mib("Cached") + mib("Buffers");
    put(facts, "memtotal_mb", total);
    put(facts, "memfree_mb", free);
    put(facts, "swaptotal_mb", swap_total);
    put(facts, "swapfree_mb", swap_free);
    let part = |entries: &[(&str, i64)]| -> Value {
        let entries = entries
            .iter()
            .map(|(key, number)| ((*key).to_owned(), Value::Int(*number)));
        Value::Map(entries.collect())
    };
    let memory = [
        (
            "real",
            part(&[("total", total), ("used", total - free), ("free", free)]),
        ),
        ("nocache", part(&[("free", uncached), ("used", total - uncached)])),
        (
            "swap",
            part(&[
                ("total", swap_total),
                ("free", swap_free),
                ("used", swap_total - swap_free),
                ("cached", mib("SwapCached")),
            ]),
        ),
    ];
    let memory: Map = memory.map(|(key, value)| (key.to_owned(), value)).into();
    put(facts, "memory_mb", memory);
}

fn processors(text: &str, facts: &mut Map) {
    let mut list = Vec::new();
    let mut sockets = std::collections::BTreeSet::new();
    let mut count = 0_i64;
    let mut cores = 1_i64;
    let mut siblings = 1_i64;
    for line in text.lines() {
        let Some((key, value)) = line.split_once(':') else {
            continue;
        };
        let (key, value) = (key.trim(), value.trim());
        match key {
            "processor" => {
                // Old ARM kernels name the model here, in its first line.
                count += i64::from(value.parse::<u32>().is_ok());
                list.push(value.to_owned());
            }
            "vendor_id" | "model name" | "Processor" | "cpu" => list.push(value.to_owned()),
            "physical id" => {
                sockets.insert(value.to_owned());
            }
            "cpu cores" => cores = value.parse().unwrap_or(1),
            "siblings" => siblings = value.parse().unwrap_or(1),
            _ => {}
        }
    }
    let flags = text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        matches!(key.trim(), "flags" | "Features")
            .then(|| value.split_whitespace().map(str::to_owned).collect())
    });
    let known = !sockets.is_empty();
    let sockets = if known {
        i64::try_from(sockets.len()).unwrap_or(1)
    } else {
        count.max(1)
    };
    let threads = if known {
        (siblings / cores.max(1)).max(1)
    } else {
        1
    };
    put(facts, "processor", list);
    put(facts, "processor_count", sockets);
    put(facts, "processor_cores", if known { cores } else { 1 });
    put(facts, "processor_threads_per_core", threads);
    put(
        facts,
        "processor_vcpus",
        if known { threads * sockets * cores } else { count },
    );
    put(facts, "processor_nproc", count);
    put(facts, "flags", flags.unwrap_or_else(Vec::<String>::new));
}

struct Mount {
    device: String,
    path: String,
    kind: String,
    options: String,
}

/// Lines of mounts(5) that stand for storage: a device, a network share, an overlay is none.
fn mounts(table: &str) -> Vec<Mount> {
    let storage = |mount: &Mount| {
        (mount.device.starts_with('/')
            || mount.device.contains(":/")
            || mount.kind == "zfs"
            || mount.kind == "fuse.glusterfs")
            && mount.kind != "none"
    };
    table
        .lines()
        .filter_map(|line| {
            let fields: Vec<String> = line.split(' ').map(unescape).collect();
            let [device, path, kind, options, ..] = fields.as_slice() else {
                return None;
            };
            Some(Mount {
                device: device.clone(),
                path: path.clone(),
                kind: kind.clone(),
                options: options.clone(),
            })
        })
        .filter(storage)
        .collect()
}

/// Blanks and backslashes are in octal there.
fn unescape(field: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .into_iter()
        .fold(field.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// `stat -f` of all mounts: block size, blocks, free for users, inodes, free inodes, name. A share that
/// hangs must not hang the play.
fn sizes(mounts: &[Mount], timeout: u64, system: &dyn System) -> Option<Vec<(String, [i64; 5])>> {
    let argv = ["stat", "-f", "-c", "%S %b %a %c %d %n", "--"];
    let paths = mounts.iter().map(|mount| mount.path.as_str());
    let mut command = Command::new(argv.into_iter().chain(paths));
    command.timeout = Some(Duration::from_secs(timeout));
    let output = system.run(&command).ok()?;
    let parse = |line: &str| {
        let mut fields = line.splitn(6, ' ');
        let mut numbers = [0; 5];
        for number in &mut numbers {
            *number = fields.next()?.parse().ok()?;
        }
        Some((fields.next()?.to_owned(), numbers))
    };
    Some(output.stdout_text().lines().filter_map(parse).collect())
}

impl Mount {
    fn into_fact(self, sizes: &[(String, [i64; 5])]) -> Value {
        let mut fact = Map::new();
        if let Some((_, [size, blocks, available, inodes, free])) =
            sizes.iter().find(|(path, _)| *path == self.path)
        {
            put(&mut fact, "block_size", *size);
            put(&mut fact, "block_total", *blocks);
            put(&mut fact, "block_available", *available);
            put(&mut fact, "block_used", blocks - available);
            put(&mut fact, "size_total", size * blocks);
            put(&mut fact, "size_available", size * available);
            put(&mut fact, "inode_total", *inodes);
            put(&mut fact, "inode_available", *free);
            put(&mut fact, "inode_used", inodes - free);
        }
        put(&mut fact, "mount", self.path);
        put(&mut fact, "device", self.device);
        put(&mut fact, "fstype", self.kind);
        put(&mut fact, "options", self.options);
        put(&mut fact, "dump", 0);
        put(&mut fact, "passno", 0);
        put(&mut fact, "uuid", "N/A");
        Value::Map(fact)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_processors() {
        let mut facts = Map::new();
        let one = |id| {
            format!(
                "processor\t: {id}\nvendor_id\t: X\nmodel name\t: Y\nphysical id\t: 0\nsiblings\t: 4\ncpu cores\t: 2\nflags\t: fpu vme\n\n"
            )
        };
        processors(&(0..4).map(one).collect::<String>(), &mut facts);
        let int = |name: &str| facts[name].as_int().unwrap();
        assert_eq!((int("processor_count"), int("processor_cores")), (1, 2));
        assert_eq!(
            (int("processor_threads_per_core"), int("processor_vcpus")),
            (2, 4)
        );
        assert_eq!(facts["processor"].as_list().unwrap().len(), 12);
    }

    #[test]
    fn keeps_storage_of_the_mount_table() {
        let found = mounts(
            "proc /proc proc rw 0 0\n/dev/vda1 /my\\040disk ext4 rw,relatime 0 0\nnas:/x /nfs nfs4 rw 0 0\n",
        );
        let paths: Vec<&str> = found.iter().map(|mount| mount.path.as_str()).collect();
        assert_eq!(paths, ["/my disk", "/nfs"]);
    }

    #[test]
    fn reads_memory_in_mebibytes() {
        let mut facts = Map::new();
        memory(
            "MemTotal:  2097152 kB\nMemFree: 1048576 kB\nCached: 524288 kB\n",
            &mut facts,
        );
        assert_eq!(facts["memtotal_mb"], Value::Int(2048));
        assert_eq!(
            facts["memory_mb"].to_string(),
            "{'real': {'total': 2048, 'used': 1024, 'free': 1024}, 'nocache': {'free': 1536, 'used': 512}, 'swap': {'total': 0, 'free': 0, 'used': 0, 'cached': 0}}"
        );
    }
}
