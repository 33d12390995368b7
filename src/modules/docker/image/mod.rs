//! `docker_image`: one image in the engine's store. After `community.docker.docker_image`.
//!
//! Sources: `pull` from a registry, `load` from an archive, `build` from a folder on the target, `local` for what is
//! there. Registries are asked with the credentials of docker's own configuration.

mod build;
mod context;
mod saved;

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value as Json;

use self::build::{Build, BuildArgs};
use super::engine::connection::with_engine_args;
use super::engine::{ConnectionArgs, Engine};
use super::{credentials, foreseen};
use crate::modules::files::path;
use crate::modules::{Arg, Error, Module, Plan, Return, Rule, Spec};
use crate::system::foresight::{Effect, Foresight, Subject};
use crate::system::{Attributes, Follow, System};
use crate::value::{Map, Value};
use crate::wire::message::{Diff, Outcome};

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
    build: Option<BuildArgs>,
    pull: Option<Value>,
    #[serde(flatten)]
    connection: ConnectionArgs,
}

pub struct Change {
    engine: Engine,
    name: String,
    platform: String,
    steps: Vec<Step>,
    outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq)]
enum Step {
    Pull,
    Load(PathBuf),
    Build(Box<Build>),
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
        args: with_engine_args![
            Arg::str("name")
                .required()
                .doc("repository, with a tag or digest or without; or an id"),
            Arg::str("tag")
                .default("latest")
                .doc("used where `name` has none"),
            Arg::str("source")
                .choices(&["build", "load", "pull", "local"])
                .doc("where it comes from; needed for state present"),
            Arg::str("state")
                .choices(&["absent", "present"])
                .default("present")
                .doc("whether it is there"),
            Arg::dict("build")
                .options(build::OPTIONS)
                .doc("how it is built, with `source: build`"),
            Arg::dict("pull")
                .options(&[Arg::str("platform").doc("os[/arch[/variant]], the host's unless given")])
                .doc("how it is pulled"),
            Arg::path("load_path").doc("archive on the target to load"),
            Arg::path("archive_path").doc("archive on the target to save it to"),
            Arg::str("repository").doc("a further name to tag it with"),
            Arg::bool("push")
                .default("no")
                .doc("push `repository`, or the image itself"),
            Arg::bool("force_source")
                .default("no")
                .doc("pull, load or build even if it is there"),
            Arg::bool("force_tag")
                .default("no")
                .doc("tag even if the tag is there"),
            Arg::bool("force_absent").default("no").doc("remove all its tags"),
        ],
        returns: &[
            Return::new(
                "image",
                "dict",
                "what the engine tells of it (`docker image inspect`)",
            ),
            Return::new("actions", "list of str", "what was, or would be, done")
                .when("something is to be done"),
            Return::new("stdout", "str", "what the build said").when("source is build and it was built"),
        ],
        example: "\
- community.docker.docker_image:
    name: registry.example.org/web:1.4
    source: pull

- community.docker.docker_image:
    name: app
    tag: \"2.0\"
    source: build
    build:
      path: /srv/app
      args: {VERSION: \"2.0\"}
    repository: registry.example.org/app
    push: true
",
        free_form: None,
        rules: &[
            Rule::If("source", "build", &["build"]),
            Rule::If("source", "load", &["load_path"]),
        ],
    };

    fn check(args: Args, system: &dyn System) -> Result<Plan<Change>, Error> {
        let engine = Engine::connect(&args.connection, system)?;
        let name = full_name(&args.name, &args.tag);
        let earlier = foreseen(Subject::Image, &name, system);
        let image = match &earlier {
            Some(image) => image.clone(),
            None => engine.image(&name)?,
        };
        let tagged = match &args.repository {
            Some(repository) => engine.image(&full_name(repository, &args.tag))?,
            None => None,
        };
        let expand =
            |text: &Option<String>| text.as_deref().map(|text| path::expand(text, system)).transpose();
        let (load, archive) = (expand(&args.load_path)?, expand(&args.archive_path)?);
        let archived = match (&archive, id(image.as_ref())) {
            (Some(path), Some(id)) if system.metadata(path, Follow::Yes)?.is_some() => {
                saved::holds(path, &id, &name, system)?
            }
            _ => false,
        };
        let wanted = args.state == "present" && (image.is_none() || args.force_source);
        if let (Some("load"), true, Some(path)) = (args.source.as_deref(), wanted, &load)
            && system.metadata(path, Follow::Yes)?.is_none()
        {
            return Err(Error::new(format!(
                "Error loading image {name} - there is no {}",
                path.display()
            )));
        }
        let build = match (args.source.as_deref(), &args.build) {
            (Some("build"), Some(build)) if wanted => Some(build.resolve(&name, system)?),
            _ => None,
        };
        let found = Found {
            image: image.as_ref(),
            tagged: tagged.as_ref(),
            archived,
        };
        let platform = platform(args.pull.as_ref())?;
        let steps = plan(&args, &name, &found, Sources { load, build, archive })?;
        let mut outcome = Outcome::changed(!steps.is_empty());
        if steps.is_empty() {
            return Ok(Plan::Same(outcome.with("image", value(image.as_ref()))));
        }
        let actions: Vec<String> = steps.iter().map(|step| step.describe(&name)).collect();
        outcome.diff.push(Diff {
            before: image
                .as_ref()
                .map_or_else(String::new, |image| format!("{name} {}\n", text(&image["Id"]))),
            after: actions.join("\n") + "\n",
            before_header: name.clone(),
            after_header: name.clone(),
        });
        outcome = outcome.with("actions", actions);
        Ok(Plan::Change {
            change: Change {
                engine,
                name,
                platform,
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
            platform,
            steps,
            mut outcome,
        } = change;
        let before = id(engine.image(&name)?.as_ref());
        let mut source_only = true;
        for step in &steps {
            source_only &= matches!(step, Step::Pull | Step::Load(_) | Step::Build(_));
            match step {
                Step::Pull => {
                    let credentials = credentials::for_image(&name, system)?;
                    engine.pull(&name, &platform, credentials)?;
                }
                Step::Load(path) => load(&engine, path, &name, system)?,
                Step::Build(build) => {
                    let credentials = credentials::all(system)?.into_iter().collect();
                    let context = build.context(system)?;
                    let said =
                        engine.build(&name, build.options.clone(), credentials, context, build.patience)?;
                    outcome = outcome.with("stdout", said);
                }
                Step::Tag { repository, tag } => engine.tag(&name, repository, tag)?,
                Step::Push { repository, tag } => {
                    engine.push(repository, tag, credentials::for_image(repository, system)?)?;
                }
                Step::Save(path) => system.write(path, &mut engine.save(&name), Attributes::default())?,
                Step::Remove { force } => engine.remove_image(&name, *force)?,
            }
        }
        let after = engine.image(&name)?;
        // A forced pull of what was there already.
        outcome.changed = !(source_only && id(after.as_ref()) == before);
        Ok(outcome.with("image", value(after.as_ref())))
    }

    fn foresee(change: &Change) -> Foresight {
        let there = !change
            .steps
            .iter()
            .any(|step| matches!(step, Step::Remove { .. }));
        let is = if there {
            Value::Map(Map::new())
        } else {
            Value::Null
        };
        let mut effects = vec![Effect::State {
            of: Subject::Image,
            name: change.name.clone(),
            is,
        }];
        effects.extend(change.steps.iter().filter_map(|step| match step {
            Step::Tag { repository, tag } => Some(Effect::State {
                of: Subject::Image,
                name: format!("{repository}:{tag}"),
                is: Value::Map(Map::new()),
            }),
            _ => None,
        }));
        Foresight::Effects(effects)
    }
}

impl Step {
    fn describe(&self, name: &str) -> String {
        match self {
            Self::Pull => format!("Pulled image {name}"),
            Self::Load(path) => format!("Loaded image {name} from {}", path.display()),
            Self::Build(_) => format!("Built image {name}"),
            Self::Tag { repository, tag } => format!("Tagged image {name} to {repository}:{tag}"),
            Self::Push { repository, tag } => format!("Pushed image {repository}:{tag}"),
            Self::Save(path) => format!("Archived image {name} to {}", path.display()),
            Self::Remove { .. } => format!("Removed image {name}"),
        }
    }
}

/// The archive may hold many images; the one that is asked for has to be among them.
fn load(engine: &Engine, path: &std::path::Path, name: &str, system: &dyn System) -> Result<(), Error> {
    let loaded = engine.load(&format!("load {}", path.display()), system.open(path)?)?;
    if engine.image(name)?.is_some() {
        return Ok(());
    }
    Err(Error::new(format!(
        "The archive did not contain image '{name}'. Instead found {}.",
        if loaded.is_empty() {
            "nothing that the engine tells of".to_owned()
        } else {
            loaded.join(", ")
        }
    )))
}

/// What an id or tag says, without its quotes.
fn text(json: &Json) -> &str {
    json.as_str().unwrap_or_default()
}

/// The only option of `pull`.
fn platform(pull: Option<&Value>) -> Result<String, Error> {
    let map = pull.and_then(Value::as_map).into_iter().flatten();
    let mut platform = String::new();
    for (name, value) in map {
        if name != "platform" {
            return Err(Error::new(format!(
                "pull: `{name}` is not known; it takes platform"
            )));
        }
        platform = value.to_string();
    }
    Ok(platform)
}

/// Where an image may come from and go to, paths expanded.
struct Sources {
    load: Option<PathBuf>,
    build: Option<Build>,
    archive: Option<PathBuf>,
}

/// What the target has.
struct Found<'a> {
    image: Option<&'a Json>,
    tagged: Option<&'a Json>,
    archived: bool,
}

fn plan(args: &Args, name: &str, found: &Found<'_>, sources: Sources) -> Result<Vec<Step>, Error> {
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
        Some("load") if wanted => steps.extend(sources.load.map(Step::Load)),
        Some("build") if wanted => steps.extend(sources.build.map(Box::new).map(Step::Build)),
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
    if let Some(path) = sources.archive
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
pub fn full_name(name: &str, tag: &str) -> String {
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
        let sources = Sources {
            load: None,
            build: None,
            archive: None,
        };
        match plan(&args, &full_name(&args.name, &args.tag), &found, sources) {
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
