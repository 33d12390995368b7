//! The works, each on a server that was started for it alone, so that its memory is that of this work.

#[path = "data.rs"]
mod data;
#[path = "load.rs"]
mod load;
#[path = "peers.rs"]
mod peers;
#[path = "report.rs"]
pub mod report;
#[path = "trusting.rs"]
pub mod trusting;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use data::Data;
use peers::{Peer, Running};

pub struct Options {
    /// The large blob.
    pub mebibytes: u64,
    pub runs: u64,
    /// Keeps the works whose name contains this.
    pub only: String,
}

impl Options {
    /// `full` where the large blob has a gibibyte, and less where it has less.
    fn scaled(&self, full: u64, least: u64) -> u64 {
        (full * self.mebibytes / 1024).clamp(least, full)
    }

    fn period(&self) -> Duration {
        Duration::from_millis(self.scaled(3000, 100))
    }
}

/// What one run of a work came to.
#[derive(Clone, Copy)]
pub struct Sample {
    /// Gibibytes, requests, pages: see [`Work::unit`].
    pub units: f64,
    pub seconds: f64,
    /// Of the server, user and system.
    pub cpu: f64,
    /// The most memory that it had, MiB.
    pub peak: f64,
}

/// A work on a server; none where this server cannot do it.
type Doing = fn(&Scene, Peer) -> Option<Sample>;

pub struct Work {
    pub name: &'static str,
    pub unit: &'static str,
    doing: Doing,
}

const fn work(name: &'static str, unit: &'static str, doing: Doing) -> Work {
    Work { name, unit, doing }
}

const WORKS: &[Work] = &[
    work("start", "start", |scene, peer| Some(start(scene, peer))),
    work("idle", "second", |scene, peer| Some(idle(scene, peer))),
    work("GET", "GiB", |scene, peer| Some(scene.download(peer, false, 1))),
    work("GET, TLS", "GiB", |scene, peer| {
        Some(scene.download(peer, true, 1))
    }),
    work("GET x8", "GiB", |scene, peer| {
        Some(scene.download(peer, false, 8))
    }),
    work("GET x8, TLS", "GiB", |scene, peer| {
        Some(scene.download(peer, true, 8))
    }),
    work("upload, one PUT", "GiB", |scene, peer| scene.upload(peer, None)),
    work("upload, 16 MiB chunks", "GiB", |scene, peer| {
        scene.upload(peer, Some(16 << 20))
    }),
    work("manifest GET x64", "request", |scene, peer| {
        let target = format!("/v2/bench/image/manifests/{}", peer.tag_or(&scene.data.manifest));
        Some(scene.requests(peer, 64, "GET", &target))
    }),
    work("blob HEAD x64", "request", |scene, peer| {
        let target = format!("/v2/bench/image/blobs/{}", scene.data.part);
        Some(scene.requests(peer, 64, "HEAD", &target))
    }),
    work("manifest PUT x16", "request", manifest_put),
    work("catalog, 1,000 a page", "page", |scene, peer| {
        scene.pages(peer, "/v2/_catalog?n=1000")
    }),
    work("tags, 1,000 a page", "page", |scene, peer| {
        scene.pages(peer, "/v2/bench/tags/tags/list?n=1000")
    }),
    work("collection", "manifest", collection),
];

/// A work's medians for each server that can do it.
pub struct Outcome {
    pub work: &'static Work,
    pub samples: Vec<(Peer, Sample)>,
}

struct Scene<'a> {
    options: &'a Options,
    data: Data,
}

pub fn run(options: &Options) -> Vec<Outcome> {
    let scene = Scene {
        options,
        data: Data::new(options),
    };
    let works = WORKS.iter().filter(|work| work.name.contains(&options.only));
    works
        .map(|work| {
            // Peers in turn, so that a noisy minute does not meet one of them alone.
            let rounds: Vec<Vec<(Peer, Sample)>> = (0..options.runs)
                .map(|_| {
                    Peer::ALL
                        .into_iter()
                        .filter_map(|peer| Some((peer, (work.doing)(&scene, peer)?)))
                        .collect()
                })
                .collect();
            let samples = Peer::ALL.into_iter().filter_map(|peer| {
                let of_peer = rounds.iter().flatten().filter(|(other, _)| *other == peer);
                median(&of_peer.map(|(_, sample)| *sample).collect::<Vec<_>>()).map(|sample| (peer, sample))
            });
            let outcome = Outcome {
                work,
                samples: samples.collect(),
            };
            eprint!("{}", report::lines(&outcome));
            outcome
        })
        .collect()
}

/// Each figure's own median.
fn median(samples: &[Sample]) -> Option<Sample> {
    let middle = |figure: fn(&Sample) -> f64| {
        let mut figures: Vec<f64> = samples.iter().map(figure).collect();
        figures.sort_by(f64::total_cmp);
        figures.get(figures.len() / 2).copied()
    };
    Some(Sample {
        units: 1.0,
        seconds: middle(|sample| sample.seconds / sample.units)?,
        cpu: middle(|sample| sample.cpu / sample.units)?,
        peak: middle(|sample| sample.peak)?,
    })
}

/// Runs `doing`, which returns how many units it did, and measures the server meanwhile.
fn measured(server: &Running, doing: impl FnOnce() -> f64) -> Sample {
    let (before, begun) = (server.cpu(), Instant::now());
    let units = doing();
    let seconds = begun.elapsed().as_secs_f64();
    Sample {
        units,
        seconds,
        cpu: server.cpu() - before,
        peak: server.peak(),
    }
}

/// From the start of the process to its first answer.
fn start(scene: &Scene, peer: Peer) -> Sample {
    let begun = Instant::now();
    let server = Running::start(peer, scene, &scene.data.folder, false);
    let seconds = begun.elapsed().as_secs_f64();
    Sample {
        units: 1.0,
        seconds,
        cpu: server.cpu(),
        peak: server.peak(),
    }
}

fn idle(scene: &Scene, peer: Peer) -> Sample {
    let server = Running::start(peer, scene, &scene.data.folder, false);
    measured(&server, || {
        std::thread::sleep(scene.options.period());
        scene.options.period().as_secs_f64()
    })
}

impl Scene<'_> {
    /// A server that has done what it does by itself when it starts: that is measured as `start` and `idle`.
    fn server(&self, peer: Peer, folder: &Path, secure: bool) -> Running {
        Running::start(peer, self, folder, secure).at_rest(self.options.period() / 15)
    }

    /// A folder for many files, which goes when all works are done: ext4 gives no inode again for a while, and who
    /// makes files after many were removed pays for looking past them.
    fn lasting_folder(&self) -> PathBuf {
        tempfile::tempdir_in(&self.data.work).unwrap().keep()
    }

    fn download(&self, peer: Peer, secure: bool, clients: u64) -> Sample {
        let server = self.server(peer, &self.data.folder, secure);
        let digest = if clients == 1 {
            &self.data.large
        } else {
            &self.data.part
        };
        let target = format!("/v2/bench/image/blobs/{digest}");
        measured(&server, || {
            let bytes: u64 = std::thread::scope(|scope| {
                let downloads: Vec<_> = (0..clients)
                    .map(|_| scope.spawn(|| load::download(&server, &target)))
                    .collect();
                downloads
                    .into_iter()
                    .map(|download| download.join().unwrap())
                    .sum()
            });
            gibibytes(bytes)
        })
    }

    fn upload(&self, peer: Peer, chunk: Option<usize>) -> Option<Sample> {
        if peer == Peer::Nginx {
            return None;
        }
        let folder = tempfile::tempdir_in(&self.data.work).unwrap();
        let server = self.server(peer, folder.path(), false);
        let content = self.data.content();
        Some(measured(&server, || {
            load::upload(&server, &content, &self.data.large, chunk);
            gibibytes(content.size)
        }))
    }

    fn requests(&self, peer: Peer, connections: usize, method: &str, target: &str) -> Sample {
        let server = self.server(peer, &self.data.folder, false);
        let request = format!(
            "{method} {target} HTTP/1.1\r\nhost: bench\r\naccept: {}\r\n\r\n",
            data::MANIFEST_TYPE
        );
        let period = self.options.period();
        // What is read once is known then, as it is after a second of any server's life. Stamps of files that
        // were just made are not trusted yet; those of this data are older than that.
        load::requests(&server, connections, period / 4, 200, |_| {
            request.clone().into_bytes()
        });
        measured(&server, || {
            load::requests(&server, connections, period, 200, |_| {
                request.clone().into_bytes()
            })
        })
    }

    fn pages(&self, peer: Peer, target: &str) -> Option<Sample> {
        if peer == Peer::Nginx {
            return None;
        }
        let server = self.server(peer, &self.data.folder, false);
        load::walk(&server, target);
        Some(measured(&server, || {
            let begun = Instant::now();
            let mut pages = 0;
            while pages == 0 || begun.elapsed() < self.options.period() {
                pages += load::walk(&server, target);
            }
            f64::from(pages)
        }))
    }
}

fn manifest_put(scene: &Scene, peer: Peer) -> Option<Sample> {
    if peer == Peer::Nginx {
        return None;
    }
    let folder = scene.lasting_folder();
    Data::blobs_for_manifests(&folder);
    let server = scene.server(peer, &folder, false);
    Some(measured(&server, || {
        load::requests(&server, 16, scene.options.period(), 201, |number| {
            let manifest = scene.data.numbered_manifest(number);
            format!(
                "PUT /v2/bench/image/manifests/v{number} HTTP/1.1\r\nhost: bench\r\n\
                 content-type: application/vnd.oci.image.manifest.v1+json\r\ncontent-length: {}\r\n\r\n{manifest}",
                manifest.len(),
            )
            .into_bytes()
        })
    }))
}

/// Manifests that nothing names, taken away by the program's own verb.
fn collection(scene: &Scene, peer: Peer) -> Option<Sample> {
    let folder = scene.lasting_folder();
    let manifests = scene.options.scaled(10_000, 20);
    scene.data.untagged(&folder, manifests);
    peers::collect(peer, scene, &folder, manifests)
}

#[expect(clippy::cast_precision_loss, reason = "a figure for a table")]
fn gibibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 30)
}
