//! `volumes` and `mounts`: what is mounted in a container.

use serde_json::{Map as JsonMap, Value as Json, json};

use super::options::{texts, to_json};
use super::units::size;
use crate::modules::Error;
use crate::value::{Map, Value};

/// A mount's argument, the part of the engine's description that it is in, its name there.
const FIELDS: &[(&str, &str, &str)] = &[
    ("source", "", "Source"),
    ("target", "", "Target"),
    ("read_only", "", "ReadOnly"),
    ("consistency", "", "Consistency"),
    ("propagation", "BindOptions", "Propagation"),
    ("create_mountpoint", "BindOptions", "CreateMountpoint"),
    ("non_recursive", "BindOptions", "NonRecursive"),
    ("read_only_non_recursive", "BindOptions", "ReadOnlyNonRecursive"),
    (
        "read_only_force_recursive",
        "BindOptions",
        "ReadOnlyForceRecursive",
    ),
    ("no_copy", "VolumeOptions", "NoCopy"),
    ("labels", "VolumeOptions", "Labels"),
    ("subpath", "VolumeOptions", "Subpath"),
    ("tmpfs_size", "TmpfsOptions", "SizeBytes"),
    ("tmpfs_mode", "TmpfsOptions", "Mode"),
];

/// Bind mounts and named volumes on one hand, paths of anonymous volumes on the other. A mount without a mode is `rw`, `~` is no
/// business of the engine's.
pub fn volumes(volumes: &[Value]) -> Result<(Vec<String>, Vec<String>), Error> {
    let (mut binds, mut anonymous) = (Vec::new(), Vec::new());
    for volume in volumes {
        let text = volume.to_string();
        match text.split(':').collect::<Vec<_>>().as_slice() {
            [path] => anonymous.push((*path).to_owned()),
            [source, target] => binds.push(format!("{source}:{target}:rw")),
            [_, _, _] => binds.push(text),
            _ => {
                return Err(Error::new(format!(
                    "volumes: `{text}` is not source:target[:mode] or a path"
                )));
            }
        }
    }
    Ok((binds, anonymous))
}

pub fn mounts(mounts: &[Value]) -> Result<Json, Error> {
    mounts
        .iter()
        .map(mount)
        .collect::<Result<Vec<_>, _>>()
        .map(Json::Array)
}

fn mount(mount: &Value) -> Result<Json, Error> {
    let refuse = |why: &str| Error::new(format!("mounts: `{mount}`: {why}"));
    let map = mount.as_map().ok_or_else(|| refuse("a mount is a dict"))?;
    let kind = map["type"].to_string();
    let mut wanted = json!({ "Type": kind });
    for (name, value) in map {
        // The type and the driver's arguments are told otherwise.
        let Some((_, part, key)) = FIELDS.iter().find(|(argument, _, _)| argument == name) else {
            continue;
        };
        let belongs = match *part {
            "BindOptions" => kind == "bind",
            "VolumeOptions" => kind == "volume",
            "TmpfsOptions" => kind == "tmpfs",
            _ => true,
        };
        if !belongs {
            return Err(refuse(&format!(
                "{name} cannot be specified for a mount of type {kind}"
            )));
        }
        let value = match name.as_str() {
            "tmpfs_size" => size(&value.to_string())
                .ok_or_else(|| refuse("tmpfs_size is a size such as 64m"))?
                .into(),
            "tmpfs_mode" => u32::from_str_radix(&value.to_string(), 8)
                .map_err(|_| refuse("tmpfs_mode is an octal number such as 1777"))?
                .into(),
            "labels" => texts(value),
            _ => to_json(value),
        };
        if part.is_empty() {
            wanted[*key] = value;
        } else {
            wanted[*part][*key] = value;
        }
    }
    if let Some(driver) = driver(map) {
        if kind != "volume" {
            return Err(refuse(&format!(
                "volume_driver cannot be specified for a mount of type {kind}"
            )));
        }
        wanted["VolumeOptions"]["DriverConfig"] = driver;
    }
    if kind != "volume" && kind != "tmpfs" && wanted.get("Source").is_none() {
        return Err(refuse("source is missing"));
    }
    Ok(wanted)
}

fn driver(map: &Map) -> Option<Json> {
    let (driver, options) = (map.get("volume_driver"), map.get("volume_options"));
    if driver.is_none() && options.is_none() {
        return None;
    }
    let mut config = JsonMap::new();
    if let Some(driver) = driver {
        config.insert("Name".to_owned(), to_json(driver));
    }
    if let Some(options) = options {
        config.insert("Options".to_owned(), texts(options));
    }
    Some(Json::Object(config))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::Module;
    use crate::modules::docker::container::DockerContainer;

    fn told(json: &str) -> String {
        let given = serde_json::from_str(&format!(r#"{{"name":"c","mounts":{json}}}"#)).unwrap();
        match DockerContainer::SPEC.resolve(&given) {
            Ok(args) => {
                let list = args["mounts"].as_list().unwrap();
                mounts(list).map_or_else(|error| error.message, |json| json.to_string())
            }
            Err(error) => error.message,
        }
    }

    #[test]
    fn mounts_of_all_types() {
        assert_eq!(
            told(r#"[{"type":"bind","source":"/a","target":"/b","read_only":true,"propagation":"rslave"}]"#),
            r#"[{"Type":"bind","Source":"/a","Target":"/b","ReadOnly":true,"BindOptions":{"Propagation":"rslave"}}]"#
        );
        assert_eq!(
            told(
                r#"[{"source":"v","target":"/b","no_copy":true,"volume_driver":"local","volume_options":{"o":1}}]"#
            ),
            r#"[{"Type":"volume","Source":"v","Target":"/b","VolumeOptions":{"NoCopy":true,"DriverConfig":{"Name":"local","Options":{"o":"1"}}}}]"#
        );
        assert_eq!(
            told(r#"[{"type":"tmpfs","target":"/b","tmpfs_size":"1k","tmpfs_mode":"1777"}]"#),
            r#"[{"Type":"tmpfs","Target":"/b","TmpfsOptions":{"SizeBytes":1024,"Mode":1023}}]"#
        );
        assert!(told(r#"[{"type":"bind","source":"/a"}]"#).contains("missing required arguments: target"));
        assert!(told(r#"[{"type":"bind","target":"/a"}]"#).contains("source is missing"));
        assert!(
            told(r#"[{"type":"bind","target":"/a","source":"/a","no_copy":true}]"#).contains("type bind")
        );
        assert!(told(r#"[{"target":"/a","sorce":"v"}]"#).contains("mounts.sorce. Supported"));
    }

    #[test]
    fn volumes_with_and_without_source() {
        let (binds, anonymous) = volumes(&["/a:/b".into(), "v:/c:ro".into(), "/d".into()]).unwrap();
        assert_eq!(
            (binds, anonymous),
            (vec!["/a:/b:rw".into(), "v:/c:ro".into()], vec!["/d".to_owned()])
        );
        assert!(volumes(&["a:b:c:d".into()]).is_err());
    }
}
