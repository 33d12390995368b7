//! `kill -9` at random moments under load, many times over: whatever was answered is there and intact, nothing
//! damaged is ever served, nothing has to be repaired, and uploads go on.
//!
//! `REGDEPLOY_KILLS` says how often; the moments and the sizes are random, by a seed that is printed.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::client::{Answer, try_send};
use super::dice::{Dice, count};
use super::server::{OCI_MANIFEST, Server, image, sha256};

/// Of what earlier rounds have left, so many are looked at after each kill; all of it is at the end.
const SAMPLE: usize = 20;

/// Content that can be made again instead of being kept.
#[derive(Debug, Clone, Copy)]
struct Content {
    seed: u64,
    size: usize,
}

impl Content {
    fn random(dice: &mut Dice, largest: usize) -> Self {
        Self {
            seed: dice.next(),
            size: 1 + dice.below(largest),
        }
    }

    fn bytes(self) -> Vec<u8> {
        let unit = sha256(&self.seed.to_le_bytes()).into_bytes();
        unit.iter().copied().cycle().take(self.size).collect()
    }
}

/// Something that was sent, and what is known of how it went.
#[derive(Debug, Clone)]
enum Sent {
    Blob {
        target: String,
        content: Content,
        answered: bool,
    },
    Manifest {
        target: String,
        text: String,
        answered: bool,
    },
    /// Taken out, which was answered.
    Gone { target: String },
    /// Open in the middle, with so many bytes acknowledged of a content.
    Upload {
        name: String,
        location: String,
        content: Content,
        acknowledged: usize,
    },
}

/// What a tag that moves may name: the last one that was answered, and those that were sent after it.
type Moving = Vec<Option<String>>;

/// One client, until the server is gone.
struct Pusher<'a> {
    address: SocketAddr,
    number: usize,
    dice: Dice,
    sent: Vec<Sent>,
    moving: Moving,
    requests: &'a AtomicU64,
    over: &'a AtomicBool,
}

/// The server is gone.
struct Over;

impl Pusher<'_> {
    fn send(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<Answer, Over> {
        let answer = try_send(self.address, method, target, headers, body).map_err(|_| Over)?;
        self.requests.fetch_add(1, Ordering::Relaxed);
        Ok(answer)
    }

    fn run(mut self) -> (Vec<Sent>, Moving) {
        let work = [Self::blob, Self::chunks, Self::images, Self::deletes][self.number % 4];
        while !self.over.load(Ordering::Relaxed) && work(&mut self).is_ok() {}
        (self.sent, self.moving)
    }

    fn name(&self) -> String {
        format!("kills/p{}", self.number)
    }

    fn blob(&mut self) -> Result<(), Over> {
        let content = Content::random(&mut self.dice, 400_000);
        self.post(content).map(|_| ())
    }

    /// The whole in one POST.
    fn post(&mut self, content: Content) -> Result<String, Over> {
        let (name, bytes) = (self.name(), content.bytes());
        let digest = sha256(&bytes);
        let at = self.sent.len();
        self.sent.push(Sent::Blob {
            target: format!("/v2/{name}/blobs/{digest}"),
            content,
            answered: false,
        });
        let target = format!("/v2/{name}/blobs/uploads/?digest={digest}");
        self.send("POST", &target, &[], bytes)?.expect(201);
        self.answered(at);
        Ok(digest)
    }

    fn answered(&mut self, at: usize) {
        match &mut self.sent[at] {
            Sent::Blob { answered, .. } | Sent::Manifest { answered, .. } => *answered = true,
            other => panic!("{other:?} is not answered for"),
        }
    }

    /// In pieces; where the kill comes in between, the upload is to go on.
    fn chunks(&mut self) -> Result<(), Over> {
        let (name, content) = (self.name(), Content::random(&mut self.dice, 300_000));
        let bytes = content.bytes();
        let begun = self.send("POST", &format!("/v2/{name}/blobs/uploads/"), &[], Vec::new())?;
        let location = begun.expect(202).header("location").to_owned();
        let at = self.sent.len();
        self.sent.push(Sent::Upload {
            name: name.clone(),
            location: location.clone(),
            content,
            acknowledged: 0,
        });
        let mut start = 0;
        while start < bytes.len() {
            let end = (start + 1 + self.dice.below(100_000)).min(bytes.len());
            let range = format!("{start}-{}", end - 1);
            let headers = [("content-range", range.as_str())];
            self.send("PATCH", &location, &headers, bytes[start..end].to_vec())?
                .expect(202);
            start = end;
            if let Sent::Upload { acknowledged, .. } = &mut self.sent[at] {
                *acknowledged = end;
            }
        }
        let digest = sha256(&bytes);
        self.sent[at] = Sent::Blob {
            target: format!("/v2/{name}/blobs/{digest}"),
            content,
            answered: false,
        };
        self.send("PUT", &format!("{location}?digest={digest}"), &[], Vec::new())?
            .expect(201);
        self.answered(at);
        Ok(())
    }

    fn image(&mut self) -> Result<String, Over> {
        let layer = Content::random(&mut self.dice, 20_000);
        let (layer_digest, config) = (self.post(layer)?, self.config()?);
        Ok(image(&config, &layer_digest, layer.size, ""))
    }

    fn config(&mut self) -> Result<String, Over> {
        let target = format!("/v2/{}/blobs/uploads/?digest={}", self.name(), sha256(b"{}"));
        self.send("POST", &target, &[], b"{}".to_vec())?.expect(201);
        Ok(sha256(b"{}"))
    }

    fn manifest(&mut self, reference: &str, text: &str) -> Result<(), Over> {
        let at = self.sent.len();
        let name = self.name();
        self.sent.push(Sent::Manifest {
            target: format!("/v2/{name}/manifests/{}", sha256(text.as_bytes())),
            text: text.to_owned(),
            answered: false,
        });
        let target = format!("/v2/{name}/manifests/{reference}");
        let headers = [("content-type", OCI_MANIFEST)];
        self.send("PUT", &target, &headers, text.as_bytes().to_vec())?
            .expect(201);
        self.answered(at);
        Ok(())
    }

    /// A tag that moves from image to image.
    fn images(&mut self) -> Result<(), Over> {
        let text = self.image()?;
        self.moving.push(Some(text.clone()));
        self.manifest("moving", &text)?;
        self.moving = vec![Some(text)];
        Ok(())
    }

    /// An image that comes and goes.
    fn deletes(&mut self) -> Result<(), Over> {
        let text = self.image()?;
        let digest = sha256(text.as_bytes());
        self.manifest(&digest, &text)?;
        let at = self.sent.len() - 1;
        let target = format!("/v2/{}/manifests/{digest}", self.name());
        if let Sent::Manifest { answered, .. } = &mut self.sent[at] {
            // From here on it may be there or not.
            *answered = false;
        }
        self.send("DELETE", &target, &[], Vec::new())?.expect(202);
        self.sent[at] = Sent::Gone { target };
        Ok(())
    }
}

/// What the server makes of something after a kill. Uploads are gone on with, and are blobs after that.
fn check(server: &Server, sent: &mut Sent) {
    match sent {
        Sent::Blob {
            target,
            content,
            answered,
        } => {
            let answer = server.get(target);
            assert!(
                answer.status == 200 || (answer.status == 404 && !*answered),
                "{sent:?}: {answer:?}"
            );
            assert!(
                answer.status == 404 || answer.body == content.bytes(),
                "{sent:?} is damaged"
            );
        }
        Sent::Manifest {
            target,
            text,
            answered,
        } => {
            let answer = server.get(target);
            assert!(
                answer.status == 200 || (answer.status == 404 && !*answered),
                "{sent:?}: {answer:?}"
            );
            assert!(
                answer.status == 404 || answer.body == *text,
                "{sent:?} is damaged"
            );
        }
        Sent::Gone { target } => assert_eq!(server.get(target).status, 404, "{target} is back"),
        Sent::Upload {
            name,
            location,
            content,
            acknowledged,
        } => {
            let status = server.get(location).expect(204);
            let end: usize = status
                .header("range")
                .strip_prefix("0-")
                .unwrap()
                .parse()
                .unwrap();
            let bytes = content.bytes();
            // An empty one and one of a byte look the same; a PATCH from 0 tells them apart.
            let have = if end == 0 { 0 } else { end + 1 };
            assert!(
                (*acknowledged..=bytes.len()).contains(&have) || (*acknowledged == 1 && have == 0),
                "{sent:?}: {end}"
            );
            let range = format!("{have}-{}", bytes.len() - 1);
            if have < bytes.len() {
                let rest = bytes[have..].to_vec();
                let answer = server.send("PATCH", location, &[("content-range", &range)], rest);
                if answer.status == 416 && have == 0 {
                    let rest = bytes[1..].to_vec();
                    server.send("PATCH", location, &[], rest).expect(202);
                } else {
                    answer.expect(202);
                }
            }
            let digest = sha256(&bytes);
            server
                .send("PUT", &format!("{location}?digest={digest}"), &[], "")
                .expect(201);
            let mut blob = Sent::Blob {
                target: format!("/v2/{name}/blobs/{digest}"),
                content: *content,
                answered: true,
            };
            check(server, &mut blob);
            *sent = blob;
        }
    }
}

/// The tag names one of those that it may, and from now on it is known which.
fn check_moving(server: &Server, moving: &mut Moving) {
    let answer = server.get("/v2/kills/p2/manifests/moving");
    let named = match answer.status {
        404 => None,
        _ => Some(String::from_utf8(answer.expect(200).body.to_vec()).unwrap()),
    };
    assert!(moving.contains(&named), "{named:?} is none of {moving:?}");
    *moving = vec![named];
}

#[test]
fn killed_at_any_moment_nothing_that_was_answered_is_lost() {
    let mut dice = Dice::new("kills");
    let kills = count("REGDEPLOY_KILLS", 25);
    let mut server = Server::start();
    let mut all: Vec<Sent> = Vec::new();
    let mut moving: Moving = vec![None];
    let requests = AtomicU64::new(0);
    for kill in 0..kills {
        let over = AtomicBool::new(false);
        let address = server.address;
        let moment = Duration::from_millis(dice.next() % 250);
        let seeds: Vec<u64> = (0..4).map(|_| dice.next()).collect();
        let ended = std::thread::scope(|scope| {
            let pushers: Vec<_> = seeds
                .iter()
                .enumerate()
                .map(|(number, seed)| {
                    let pusher = Pusher {
                        address,
                        number,
                        dice: Dice::seeded(*seed),
                        sent: Vec::new(),
                        moving: moving.clone(),
                        requests: &requests,
                        over: &over,
                    };
                    scope.spawn(move || pusher.run())
                })
                .collect();
            std::thread::sleep(moment);
            server.kill();
            over.store(true, Ordering::Relaxed);
            let ended = pushers.into_iter().map(|pusher| pusher.join().unwrap());
            ended.collect::<Vec<_>>()
        });
        server.restart();
        let first = all.len();
        for (number, (sent, tag)) in ended.into_iter().enumerate() {
            all.extend(sent);
            if number == 2 {
                moving = tag;
            }
        }
        check_moving(&server, &mut moving);
        for sent in &mut all[first..] {
            check(&server, sent);
        }
        for _ in 0..SAMPLE.min(all.len()) {
            let at = dice.below(all.len());
            check(&server, &mut all[at]);
        }
        if kill % 100 == 99 {
            eprintln!(
                "{} kills, {} requests answered",
                kill + 1,
                requests.load(Ordering::Relaxed)
            );
        }
    }
    for sent in &mut all {
        check(&server, sent);
    }
    let answered = requests.load(Ordering::Relaxed);
    eprintln!(
        "{kills} kills, {answered} requests answered, {} contents checked",
        all.len()
    );
    assert!(answered > kills as u64, "the kills came under load");
}
