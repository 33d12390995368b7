//! `docker_image`: one image in the engine's store. After `community.docker.docker_image`.
//!
//! Sources: `pull` from a registry, `load` from an archive, `local` for what is there. Deliberately no
//! `build`: an image is built where its sources are.

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value as Json;

use super::engine::Engine;
use crate::modules::files::path;
use crate::modules::{Arg, Error, Module, Plan, Rule, Spec};
use crate::system::{Attributes, Follow, System};
use crate::value::Value;
use crate::wire::message::Outcome;

pub struct DockerImage;

#[derive(Debug, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the arguments are what playbooks know"
)]
pub struct Args {
    name: String,
    tag: String,
    source: Option<String>,
    state: String,
    load_path: Option<String>,
    archive_path: Option<String>,
    repository: Option<String>,
    push: bool,
    force_source: bool,
    force_tag: bool,
    force_absent: bool,
    docker_host: Option<String>,
}

pub struct Change {
    engine: Engine,
    name: String,
    steps: Vec<Step>,
    outcome: Outcome,
}

#[derive(Debug, PartialEq, Eq)]
enum Step {
    Pull,
    Load(PathBuf),
    Tag { repository: String, tag: String },
    Push { repository: String, tag: String },
    Save(PathBuf),
    Remove { force: bool },
}

impl Module for DockerImage {
    type Args = Args;
    type Change = Change;

    const SPEC: Spec = Spec {
        name: "docker_image",
        summary: "Keep a docker image",
        args: &[
            Arg::str("name")
                .required()
                .doc("Repository, with a tag or digest or without."),
            Arg::str("tag")
                .default("latest")
                .doc("Used where `name` has none."),
            Arg::str("source")
                .choices(&["pull", "load", "local"])
                .doc("Where it comes from; required for state present."),
            Arg::str("state")
                .choices(&["present", "absent"])
                .default("present")
                .doc("Whether it is there."),
            Arg::path("load_path").doc("Archive to load."),
            Arg::path("archive_path").doc("Archive to save it to."),
            Arg::str("repository").doc("A further name to tag it with."),
            Arg::bool("push")
                .default("no")
                .doc("Push `repository`, or the image itself."),
            Arg::bool("force_source")
                .default("no")
                .doc("Pull or load even if it is there."),
            Arg::bool("force_tag")
                .default("no")
                .doc("Tag even if the tag is there."),
            Arg::bool("force_absent")
                .default("no")
                .doc("Remove all its tags."),
            Arg::str("docker_host").doc("The engine's socket, unix://...; the usual one unless given."),
        ],
        returns: &[],
        example: "",
        free_form: None,
        rules: &[Rule::If("source", "load", &["load_path"])],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Change>, Error> {
        let engine = Engine::connect(args.docker_host.as_deref(), system)?;
        let name = full_name(&args.name, &args.tag);
        let image = engine.image(&name)?;
        let tagged = match &args.repository {
            Some(repository) => engine.image(&full_name(repository, &args.tag))?,
            None => None,
        };
        let archive = args
            .archive_path
            .as_deref()
            .map(|text| path::expand(text, system))
            .transpose()?;
        let archived = match &archive {
            Some(path) => system.metadata(path, Follow::Yes)?.is_some(),
            None => false,
        };
        let load = args
            .load_path
            .as_deref()
            .map(|text| path::expand(text, system))
            .transpose()?;
        let found = Found {
            image: image.as_ref(),
            tagged: tagged.as_ref(),
            archived,
        };
        let steps = plan(&args, &name, &found, load, archive)?;
        let outcome = Outcome::changed(!steps.is_empty());
        if steps.is_empty() {
            return Ok(Plan::Same(outcome.with("image", value(image.as_ref()))));
        }
        Ok(Plan::Change {
            change: Change {
                engine,
                name,
                steps,
                outcome: outcome.clone(),
            },
            predicted: outcome.with("image", value(image.as_ref())),
        })
    }

    fn apply(change: Change, system: &dyn System) -> Result<Outcome, Error> {
        let Change {
            engine,
            name,
            steps,
            mut outcome,
        } = change;
        let before = id(engine.image(&name)?.as_ref());
        let mut pulled_only = true;
        for step in &steps {
            pulled_only &= *step == Step::Pull;
            match step {
                Step::Pull => engine.pull(&name)?,
                Step::Load(path) => {
                    engine.load(&format!("load {}", path.display()), system.open(path)?)?;
                }
                Step::Tag { repository, tag } => engine.tag(&name, repository, tag)?,
                Step::Push { repository, tag } => engine.push(repository, tag)?,
                Step::Save(path) => system.write(path, &mut engine.save(&name), Attributes::default())?,
                Step::Remove { force } => engine.remove_image(&name, *force)?,
            }
        }
        let after = engine.image(&name)?;
        if steps.iter().any(|step| matches!(step, Step::Load(_))) && after.is_none() {
            return Err(Error::new(format!(
                "the archive was loaded and holds no image {name}"
            )));
        }
        // A forced pull of what was there already.
        outcome.changed = !(pulled_only && id(after.as_ref()) == before);
        Ok(outcome.with("image", value(after.as_ref())))
    }
}

/// What the target has.
struct Found<'a> {
    image: Option<&'a Json>,
    tagged: Option<&'a Json>,
    archived: bool,
}

fn plan(
    args: &Args,
    name: &str,
    found: &Found<'_>,
    load: Option<PathBuf>,
    archive: Option<PathBuf>,
) -> Result<Vec<Step>, Error> {
    let mut steps = Vec::new();
    if args.state == "absent" {
        if found.image.is_some() {
            steps.push(Step::Remove {
                force: args.force_absent,
            });
        }
        return Ok(steps);
    }
    let wanted = found.image.is_none() || args.force_source;
    match args.source.as_deref() {
        Some("pull") if wanted => steps.push(Step::Pull),
        Some("load") if wanted => steps.extend(load.map(Step::Load)),
        Some("local") if found.image.is_none() => {
            return Err(Error::new(format!("Cannot find the image {name} locally.")));
        }
        Some(_) => {}
        None => {
            return Err(Error::new(
                "state is present but all of the following are missing: source",
            ));
        }
    }
    let fresh = !steps.is_empty();
    if let Some(path) = archive
        && (fresh || !found.archived)
    {
        steps.push(Step::Save(path));
    }
    let (repository, tag) = match &args.repository {
        Some(repository) => split(&full_name(repository, &args.tag)),
        None => split(name),
    };
    if args.repository.is_some() && (fresh || args.force_tag || id(found.tagged) != id(found.image)) {
        steps.push(Step::Tag {
            repository: repository.clone(),
            tag: tag.clone(),
        });
    }
    // The registry is asked only when something is new: a push of what it has is none.
    if args.push && (!steps.is_empty() || !is_pushed(found, &repository)) {
        steps.push(Step::Push { repository, tag });
    }
    Ok(steps)
}

/// Whether the engine remembers a digest by which that repository knows the image.
fn is_pushed(found: &Found<'_>, repository: &str) -> bool {
    let image = found.tagged.or(found.image);
    let digests = image.and_then(|image| image["RepoDigests"].as_array());
    digests.is_some_and(|digests| {
        digests
            .iter()
            .filter_map(Json::as_str)
            .any(|digest| digest.split_once('@').is_some_and(|(name, _)| name == repository))
    })
}

/// With the tag, unless the name has one or a digest.
fn full_name(name: &str, tag: &str) -> String {
    let last = name.rsplit('/').next().unwrap_or(name);
    if last.contains(':') || name.contains('@') {
        name.to_owned()
    } else {
        format!("{name}:{tag}")
    }
}

fn split(name: &str) -> (String, String) {
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository.to_owned(), tag.to_owned()),
        _ => (name.to_owned(), "latest".to_owned()),
    }
}

fn id(image: Option<&Json>) -> Option<String> {
    Some(image?["Id"].as_str()?.to_owned())
}

fn value(image: Option<&Json>) -> Value {
    image.map_or_else(
        || Value::Map(crate::value::Map::new()),
        |image| Value::from_serialize(image).unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn steps(arguments: &str, image: Option<&Json>) -> String {
        let given = serde_json::from_str(arguments).unwrap();
        let resolved = DockerImage::SPEC.resolve(&given).unwrap();
        let args: Args = Value::Map(resolved).deserialize_into().unwrap();
        let found = Found {
            image,
            tagged: None,
            archived: false,
        };
        match plan(&args, &full_name(&args.name, &args.tag), &found, None, None) {
            Ok(steps) => format!("{steps:?}"),
            Err(error) => error.message,
        }
    }

    #[test]
    fn does_what_is_missing() {
        let here = json!({"Id": "sha256:1", "RepoDigests": ["reg:5000/a@sha256:2"]});
        assert_eq!(steps(r#"{"name":"a","source":"pull"}"#, None), "[Pull]");
        assert_eq!(steps(r#"{"name":"a","source":"pull"}"#, Some(&here)), "[]");
        assert_eq!(
            steps(r#"{"name":"a","source":"local"}"#, None),
            "Cannot find the image a:latest locally."
        );
        assert_eq!(
            steps(
                r#"{"name":"a","source":"local","repository":"reg:5000/a","tag":"1","push":true}"#,
                Some(&here)
            ),
            r#"[Tag { repository: "reg:5000/a", tag: "1" }, Push { repository: "reg:5000/a", tag: "1" }]"#
        );
        assert_eq!(
            steps(
                r#"{"name":"reg:5000/a","source":"local","push":true}"#,
                Some(&here)
            ),
            "[]"
        );
        assert_eq!(
            steps(r#"{"name":"a","state":"absent"}"#, Some(&here)),
            "[Remove { force: false }]"
        );
    }
}
