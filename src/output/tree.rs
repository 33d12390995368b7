//! The last result of each host, in a file of the host's name.

use std::path::PathBuf;

use super::Printer;
use super::console::Console;
use super::dump::{Layout, dump};
use super::event::{Event, Extent, State};
use super::settings::Settings;
use crate::configuration::Configuration;
use crate::configuration::table::CALLBACK_TREE_DIR;

pub struct Tree {
    folder: PathBuf,
    settings: Settings,
}

impl Tree {
    pub fn new(configuration: &Configuration, settings: Settings) -> Self {
        let folder = configuration.path(&CALLBACK_TREE_DIR).unwrap_or_default();
        Self { folder, settings }
    }
}

impl Printer for Tree {
    fn show(&mut self, event: &Event<'_>, console: &mut Console) {
        let Event::Result(report) = event else {
            return;
        };
        if report.state == State::Skipped || matches!(report.extent, Extent::Item(_)) {
            return;
        }
        let text = dump(&report.result, Layout::Short, &self.settings);
        let path = self.folder.join(&report.label.host);
        let written = std::fs::create_dir_all(&self.folder).and_then(|()| std::fs::write(&path, text));
        if let Err(error) = written {
            console.warn(&format!("cannot write the result to {}: {error}", path.display()));
        }
    }
}
