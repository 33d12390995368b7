//! The process as the kernel sees it, read when somebody asks: CPU, memory, descriptors.
//!
//! Names are those that every Prometheus client library uses.

use std::fmt;
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use rustix::process::{Resource, getrlimit};

/// The unit of `/proc/self/stat`: `USER_HZ`, which Linux promises to programs to be this.
const TICKS_PER_SECOND: f64 = 100.0;

#[derive(Debug)]
pub struct Process {
    started: SystemTime,
}

impl Process {
    pub fn now() -> Self {
        Self {
            started: SystemTime::now(),
        }
    }
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        if let Some(seconds) = cpu_seconds() {
            let counter = ConstCounter::new(seconds);
            let described = encoder.encode_descriptor(
                "process_cpu_seconds",
                "CPU time of this process",
                None,
                counter.metric_type(),
            )?;
            counter.encode(described)?;
        }
        let started = self.started.duration_since(UNIX_EPOCH).unwrap_or_default();
        let gauges = [
            ("process_resident_memory_bytes", "Memory in use", resident()),
            ("process_open_fds", "Open descriptors", descriptors()),
            (
                "process_max_fds",
                "The limit of open descriptors",
                getrlimit(Resource::Nofile).current,
            ),
            (
                "process_start_time_seconds",
                "When this process began",
                Some(started.as_secs()),
            ),
        ];
        for (name, help, value) in gauges {
            let Some(value) = value else { continue };
            let gauge = ConstGauge::new(value);
            let described = encoder.encode_descriptor(name, help, None, gauge.metric_type())?;
            gauge.encode(described)?;
        }
        Ok(())
    }
}

fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The program's name, in brackets, may hold anything.
    let (_, after) = stat.rsplit_once(')')?;
    let mut fields = after.split_ascii_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / TICKS_PER_SECOND)
}

fn resident() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1024)
}

fn descriptors() -> Option<u64> {
    // The one that reads the folder is no descriptor of the server's.
    Some((fs::read_dir("/proc/self/fd").ok()?.count() as u64).saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_understood() {
        assert!(cpu_seconds().is_some_and(|seconds| seconds >= 0.0));
        assert!(resident().is_some_and(|bytes| bytes > 1 << 20));
        assert!(descriptors().is_some_and(|count| count >= 3));
    }
}
