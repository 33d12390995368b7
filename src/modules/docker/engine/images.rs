//! The engine's calls about images.

use std::io::{self, Read};

use bollard::auth::DockerCredentials;
use bollard::query_parameters as query;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use serde_json::Value as Json;

use super::Engine;
use crate::modules::Error;

/// Read from an archive at a time.
const CHUNK: usize = 1 << 20;

/// A reader's content in pieces.
struct Chunks(Box<dyn Read + Send>);

impl Iterator for Chunks {
    type Item = io::Result<Bytes>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut chunk = vec![0; CHUNK];
        match self.0.read(&mut chunk) {
            Ok(0) => None,
            Ok(length) => {
                chunk.truncate(length);
                Some(Ok(Bytes::from(chunk)))
            }
            Err(error) => Some(Err(error)),
        }
    }
}

/// What the engine sends, for those who read and wait.
struct Export<'a> {
    runtime: &'a tokio::runtime::Runtime,
    chunks: BoxStream<'a, io::Result<Bytes>>,
    rest: Bytes,
}

impl Read for Export<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.runtime.block_on(self.chunks.next()) {
                Some(chunk) => self.rest = chunk?,
                None => return Ok(0),
            }
        }
        let length = buffer.len().min(self.rest.len());
        buffer[..length].copy_from_slice(&self.rest.split_to(length));
        Ok(length)
    }
}

impl Engine {
    pub fn image(&self, name: &str) -> Result<Option<Json>, Error> {
        self.find(&format!("inspect image {name}"), self.docker.inspect_image(name))
    }

    pub fn pull(
        &self,
        name: &str,
        platform: &str,
        credentials: Option<DockerCredentials>,
    ) -> Result<(), Error> {
        let options = query::CreateImageOptions {
            from_image: Some(name.to_owned()),
            platform: platform.to_owned(),
            ..query::CreateImageOptions::default()
        };
        let progress = self.docker.create_image(Some(options), None, credentials);
        self.call(
            &format!("pull image {name}"),
            progress.try_for_each(|_| async { Ok(()) }),
        )
    }

    pub fn push(
        &self,
        repository: &str,
        tag: &str,
        credentials: Option<DockerCredentials>,
    ) -> Result<(), Error> {
        let options = query::PushImageOptions {
            tag: Some(tag.to_owned()),
            ..query::PushImageOptions::default()
        };
        // The engine wants the header, whether there is something to say in it or not.
        let credentials = credentials.or_else(|| Some(DockerCredentials::default()));
        let progress = self.docker.push_image(repository, Some(options), credentials);
        self.call(
            &format!("push image {repository}:{tag}"),
            progress.try_for_each(|_| async { Ok(()) }),
        )
    }

    pub fn tag(&self, image: &str, repository: &str, tag: &str) -> Result<(), Error> {
        let options = query::TagImageOptions {
            repo: Some(repository.to_owned()),
            tag: Some(tag.to_owned()),
        };
        self.call(
            &format!("tag image {image}"),
            self.docker.tag_image(image, Some(options)),
        )
    }

    pub fn remove_image(&self, name: &str, force: bool) -> Result<(), Error> {
        let options = query::RemoveImageOptions {
            force,
            ..query::RemoveImageOptions::default()
        };
        let removed = self.docker.remove_image(name, Some(options), None);
        self.call(&format!("remove image {name}"), removed).map(|_| ())
    }

    /// The archive may be larger than the memory: it is sent in pieces. The names and ids that the engine tells.
    pub fn load(&self, what: &str, archive: Box<dyn Read + Send>) -> Result<Vec<String>, Error> {
        let chunks = stream::iter(Chunks(archive));
        let options = query::ImportImageOptions::default();
        let progress = self
            .docker
            .import_image(options, bollard::body_try_stream(chunks), None);
        let told: Vec<_> = self.call(what, progress.try_collect())?;
        let lines: String = told.into_iter().filter_map(|line| line.stream).collect();
        let names = lines
            .lines()
            .filter_map(|line| line.strip_prefix("Loaded image"))
            .filter_map(|rest| {
                rest.trim_start_matches(" ID")
                    .strip_prefix(": ")
                    .map(str::to_owned)
            });
        Ok(names.collect())
    }

    /// Builds from a tar of the context; what the build said.
    pub fn build(
        &self,
        name: &str,
        options: query::BuildImageOptions,
        credentials: std::collections::HashMap<String, DockerCredentials>,
        context: Vec<u8>,
        patience: i64,
    ) -> Result<String, Error> {
        let body = bollard::body_full(Bytes::from(context));
        let docker = self.patient(patience);
        let progress = docker.build_image(options, Some(credentials), Some(body));
        let mut said = String::new();
        let built = progress.try_for_each(|line| {
            said.extend(line.stream);
            let failed = line
                .error_detail
                .and_then(|detail| detail.message)
                .map(|error| bollard::errors::Error::DockerStreamError { error });
            async move { failed.map_or(Ok(()), Err) }
        });
        let built = self.call(&format!("build image {name}"), built);
        match built {
            Ok(()) => Ok(said),
            Err(error) => Err(error.with("stdout", said)),
        }
    }

    /// An image as an archive, read from the engine as it is read from here.
    pub fn save(&self, name: &str) -> impl Read {
        let chunks = self.docker.export_image(name).map_err(io::Error::other).boxed();
        Export {
            runtime: &self.runtime,
            chunks,
            rest: Bytes::new(),
        }
    }
}
