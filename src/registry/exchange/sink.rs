//! Where files of an archive go: a folder or a tar stream; and a folder as a tar stream.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Takes files one after the other.
pub trait Sink {
    fn put(&mut self, path: &str, size: u64, content: &mut dyn Read) -> io::Result<()>;

    /// Ends the archive.
    fn finish(&mut self) -> io::Result<()>;
}

/// A folder, which is made.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(path: &Path) -> io::Result<Self> {
        fs::create_dir_all(path)?;
        Ok(Self(path.to_owned()))
    }
}

impl Sink for Folder {
    fn put(&mut self, path: &str, _size: u64, content: &mut dyn Read) -> io::Result<()> {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap_or(&self.0))?;
        let temporary = path.with_extension("new");
        let mut file = File::create(&temporary)?;
        io::copy(content, &mut file)?;
        file.sync_all()?;
        fs::rename(&temporary, &path)
    }

    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A tar stream, the same for the same files.
pub struct Tar<W: Write>(tar::Builder<W>);

impl<W: Write> Tar<W> {
    pub fn new(writer: W) -> Self {
        Self(tar::Builder::new(writer))
    }
}

impl<W: Write> Sink for Tar<W> {
    fn put(&mut self, path: &str, size: u64, content: &mut dyn Read) -> io::Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_size(size);
        header.set_mode(0o644);
        header.set_mtime(0);
        self.0.append_data(&mut header, path, content)
    }

    fn finish(&mut self) -> io::Result<()> {
        self.0.finish()?;
        self.0.get_mut().flush()
    }
}

/// A folder as the tar stream that an import reads.
pub fn tar_of_folder(folder: &Path, writer: impl Write) -> io::Result<()> {
    let mut tar = Tar::new(writer);
    add(&mut tar, folder, "")?;
    tar.finish()
}

fn add<W: Write>(tar: &mut Tar<W>, folder: &Path, prefix: &str) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let path = format!("{prefix}{name}");
        // Links are followed: some keep the blobs of several layouts in one place.
        let kind = fs::metadata(entry.path())?;
        if kind.is_dir() {
            add(tar, &entry.path(), &format!("{path}/"))?;
        } else if kind.is_file() {
            let mut file = File::open(entry.path())?;
            let size = file.metadata()?.len();
            tar.put(&path, size, &mut (&mut file).take(size))?;
        }
    }
    Ok(())
}
