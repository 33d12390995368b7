//! What LVM's reporting programs tell, as tables. Specification: lvmreport(7).

use crate::modules::{Error, tool};
use crate::system::foresight::Subject;
use crate::system::{Command, System};
use crate::value::{Map, Value};

/// Messages in the language that is looked for, units that are exact.
const OPTIONS: [&str; 6] = ["--noheadings", "--nosuffix", "--units", "b", "--separator", ";"];

/// One row for each thing, one text for each field; none where the program does not know the target.
pub fn report(
    program: &str,
    fields: &str,
    targets: &[&str],
    system: &dyn System,
) -> Result<Option<Vec<Vec<String>>>, Error> {
    tool::require(system, program, "look at LVM's volumes")?;
    let argv = [program]
        .into_iter()
        .chain(OPTIONS)
        .chain(["-o", fields])
        .chain(targets.iter().copied());
    let command = Command::new(argv).env("LC_ALL", "C");
    let output = system.run(&command)?;
    if !output.success() && targets.is_empty() {
        return Err(tool::failure(&command, &output));
    }
    let row = |line: &str| line.trim().split(';').map(str::to_owned).collect();
    Ok(output
        .success()
        .then(|| output.stdout_text().lines().map(row).collect()))
}

/// The names of a group's volumes, each with whether it would be made by an earlier task of this check.
pub type Names = Map;

/// The volumes as earlier tasks of a check would have left them; `None` if they have done nothing to the group, `Some(None)` if they
/// have removed it.
#[expect(
    clippy::option_option,
    reason = "not foreseen is something else than foreseen to be gone"
)]
pub fn foreseen_volumes(vg: &str, system: &dyn System) -> Option<Option<Names>> {
    match system.foreseen(Subject::VolumeGroup, vg)? {
        Value::Map(names) => Some(Some(names)),
        _ => Some(None),
    }
}

/// What a physical volume could grow by is `device - used`; less than `extent` is no use.
#[derive(Debug, Clone, Copy)]
pub struct PhysicalSize {
    pub device: u64,
    pub used: u64,
    pub extent: u64,
}

pub fn physical_size(device: &str, system: &dyn System) -> Result<PhysicalSize, Error> {
    let rows = report(
        "pvs",
        "dev_size,pv_size,pe_start,vg_extent_size",
        &[device],
        system,
    )?;
    let numbers: Vec<u64> = rows
        .into_iter()
        .flatten()
        .next()
        .unwrap_or_default()
        .iter()
        .map(|text| text.parse().unwrap_or_default())
        .collect();
    match numbers[..] {
        [device, size, start, extent] => Ok(PhysicalSize {
            device,
            used: size + start,
            extent,
        }),
        _ => Err(Error::new(format!("`pvs` does not tell the size of {device}"))),
    }
}
