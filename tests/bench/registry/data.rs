//! What is served: a data directory in distribution's layout, which all of the servers read.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256, digest};

use super::Options;

pub const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const PIECE: usize = 1 << 20;

pub struct Data {
    _folder: tempfile::TempDir,
    /// Room for data directories of single works.
    pub work: PathBuf,
    /// The data directory that is read from.
    pub folder: PathBuf,
    pub large: String,
    /// An eighth of the large blob.
    pub part: String,
    pub manifest: String,
    pub certificate: PathBuf,
    pub key: PathBuf,
    size: u64,
}

/// Content of any size that no compression would shrink, and no file system store once.
pub struct Content {
    piece: Vec<u8>,
    pub size: u64,
}

impl Content {
    fn new(size: u64) -> Self {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let piece = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        });
        Self {
            piece: piece.take(PIECE / 8).flatten().collect(),
            size,
        }
    }

    /// Its pieces in order: each the same but for its number.
    pub fn pieces(&self, mut take: impl FnMut(&[u8])) {
        let mut piece = self.piece.clone();
        for number in 0..self.size / PIECE as u64 {
            piece[..8].copy_from_slice(&number.to_le_bytes());
            take(&piece);
        }
    }

    fn digest(&self) -> String {
        let mut context = Context::new(&SHA256);
        self.pieces(|piece| context.update(piece));
        named(context.finish().as_ref())
    }
}

impl Data {
    pub fn new(options: &Options) -> Self {
        let holder = tempfile::tempdir_in(concat!(env!("CARGO_MANIFEST_DIR"), "/target")).unwrap();
        let root = holder.path();
        // nginx's workers are another user's.
        fs::set_permissions(root, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let size = options.mebibytes << 20;
        let mut data = Self {
            work: root.join("work"),
            folder: root.join("data"),
            large: Content::new(size).digest(),
            part: Content::new(size / 8).digest(),
            manifest: String::new(),
            certificate: root.join("certificate.pem"),
            key: root.join("key.pem"),
            size,
            _folder: holder,
        };
        fs::create_dir_all(&data.work).unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        fs::write(&data.certificate, made.cert.pem()).unwrap();
        fs::write(&data.key, made.signing_key.serialize_pem()).unwrap();

        let tree = Tree(data.folder.clone());
        for (digest, size) in [(&data.large, size), (&data.part, size / 8)] {
            let mut file = fs::File::create(tree.blob(digest)).unwrap();
            Content::new(size).pieces(|piece| file.write_all(piece).unwrap());
            tree.link(&format!("bench/image/_layers/{}", spread(digest)), digest);
        }
        tree.put("bench/image", b"{}");
        let text = data.numbered_manifest(0);
        data.manifest = tree.put_manifest("bench/image", "v1", &text);
        let tagged = tree.put_manifest("bench/tags", "v00000", &text);
        for number in 1..options.scaled(10_000, 20) {
            tree.tag("bench/tags", &format!("v{number:05}"), &tagged);
        }
        // With bench/image: one more than ten pages hold.
        for number in 0..options.scaled(9_999, 18) {
            let name = format!("team-{:02}/image-{number:05}", number % 100);
            tree.put(&name, b"{}");
            tree.put_manifest(&name, "v1", &text);
        }
        // What is still on its way to the disk would be paid for by whoever is measured first.
        rustix::fs::sync();
        data
    }

    pub fn content(&self) -> Content {
        Content::new(self.size)
    }

    /// A manifest that differs from the others, and refers to what [`Data::blobs_for_manifests`] makes.
    #[expect(clippy::unused_self, reason = "what it refers to is this data's")]
    pub fn numbered_manifest(&self, number: u64) -> String {
        let config = named(digest(&SHA256, b"{}").as_ref());
        format!(
            r#"{{"schemaVersion":2,"mediaType":"{MANIFEST_TYPE}","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{config}","size":2}},"layers":[{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{config}","size":2}}],"annotations":{{"number":"{number}"}}}}"#
        )
    }

    pub fn blobs_for_manifests(folder: &Path) {
        Tree(folder.to_owned()).put("bench/image", b"{}");
    }

    /// Manifests without a tag.
    pub fn untagged(&self, folder: &Path, count: u64) {
        let tree = Tree(folder.to_owned());
        tree.put("bench/image", b"{}");
        for number in 0..count {
            tree.revision("bench/image", &self.numbered_manifest(number));
        }
        tree.put_manifest("bench/image", "kept", &self.numbered_manifest(count));
    }
}

/// A data directory in the making.
struct Tree(PathBuf);

impl Tree {
    fn blob(&self, digest: &str) -> PathBuf {
        let hex = digest.trim_start_matches("sha256:");
        let folder = self
            .0
            .join(format!("docker/registry/v2/blobs/sha256/{}/{hex}", &hex[..2]));
        fs::create_dir_all(&folder).unwrap();
        folder.join("data")
    }

    fn link(&self, path: &str, digest: &str) {
        let folder = self.0.join("docker/registry/v2/repositories").join(path);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("link"), digest).unwrap();
    }

    fn put(&self, name: &str, content: &[u8]) {
        let digest = named(digest(&SHA256, content).as_ref());
        fs::write(self.blob(&digest), content).unwrap();
        self.link(&format!("{name}/_layers/{}", spread(&digest)), &digest);
    }

    fn revision(&self, name: &str, manifest: &str) -> String {
        let digest = named(digest(&SHA256, manifest.as_bytes()).as_ref());
        fs::write(self.blob(&digest), manifest).unwrap();
        self.link(
            &format!("{name}/_manifests/revisions/{}", spread(&digest)),
            &digest,
        );
        digest
    }

    fn put_manifest(&self, name: &str, tag: &str, manifest: &str) -> String {
        let digest = self.revision(name, manifest);
        self.tag(name, tag, &digest);
        digest
    }

    fn tag(&self, name: &str, tag: &str, digest: &str) {
        let folder = format!("{name}/_manifests/tags/{tag}");
        self.link(&format!("{folder}/current"), digest);
        self.link(&format!("{folder}/index/{}", spread(digest)), digest);
    }
}

fn spread(digest: &str) -> String {
    digest.replace(':', "/")
}

fn named(sum: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = "sha256:".to_owned();
    for byte in sum {
        write!(text, "{byte:02x}").unwrap();
    }
    text
}
