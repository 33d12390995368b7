//! Whether a password is right.
//!
//! bcrypt is slow on purpose, so it runs on blocking threads, no more of them than there are processors, and
//! what was right once is known for a while: by a keyed hash, with a key of this process, so that memory holds
//! no password. Who is unknown costs as much time as who is known.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use base64::Engine as _;
use tokio::sync::Semaphore;

use super::generations::Generations;
use super::htpasswd::{self, HtpasswdError, User};
use super::watched::Watched;
use crate::value::Secret;

/// How long a password is taken for right without being hashed again.
const REMEMBERED: Duration = Duration::from_mins(5);
/// Log-ins that are remembered, at some 100 bytes each.
const MAX_REMEMBERED: usize = 4096;
/// How long a log-in waits for a processor, before the client is asked to come again.
const QUEUE: Duration = Duration::from_secs(10);
/// Of a digest that tells one version of a user's password from the next.
const FINGERPRINT: usize = 12;

/// All users, their hashes, and who has lately proved to be one. A file that has changed makes a new one of these.
struct Users {
    list: Vec<User>,
    proved: Mutex<Generations<[u8; 32], Instant>>,
}

pub struct Passwords {
    users: Watched<Users>,
    key: hmac::Key,
    processors: Arc<Semaphore>,
}

/// What came of comparing a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Right,
    Wrong,
    /// Too many others are being compared.
    Busy,
}

impl Passwords {
    pub fn open(path: PathBuf) -> Result<Self, HtpasswdError> {
        // For its error, which says what is wrong where.
        htpasswd::read(&path)?;
        let users = Watched::new(vec![path.clone()], |paths| {
            let list = htpasswd::read(&paths[0]).map_err(|error| error.to_string())?;
            Ok(Users {
                list,
                proved: Mutex::new(Generations::new(MAX_REMEMBERED)),
            })
        });
        let users = users.map_err(|reason| HtpasswdError::Read {
            path,
            source: std::io::Error::other(reason),
        })?;
        let mut secret = [0; 32];
        SystemRandom::new()
            .fill(&mut secret)
            .expect("the system has random numbers");
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Ok(Self {
            users,
            key: hmac::Key::new(hmac::HMAC_SHA256, &secret),
            processors: Arc::new(Semaphore::new(processors)),
        })
    }

    /// Whether this log-in is remembered to be right: costs next to nothing.
    pub fn is_remembered(&self, user: &str, password: &Secret) -> bool {
        let users = self.users.current();
        Self::remembers(&users, &self.mark(user, password))
    }

    /// Compares a password with the file's. `admit` is asked once it is this log-in's turn, and may refuse.
    pub async fn compare<E>(
        &self,
        user: &str,
        password: &Secret,
        admit: impl FnOnce() -> Result<(), E>,
    ) -> Result<Verdict, E> {
        let turn = tokio::time::timeout(QUEUE, Arc::clone(&self.processors).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            return Ok(Verdict::Busy);
        };
        let users = self.users.current();
        let mark = self.mark(user, password);
        // The one before may have been the same: docker opens several connections at once.
        if Self::remembers(&users, &mark) {
            return Ok(Verdict::Right);
        }
        admit()?;
        let known = users.list.iter().find(|known| known.name == user);
        // Somebody's hash, whose work is done for nothing.
        let Some(hashed) = known.or(users.list.first()) else {
            return Ok(Verdict::Wrong);
        };
        let (hash, candidate) = (hashed.hash.clone(), password.clone());
        let fits = tokio::task::spawn_blocking(move || {
            // The turn goes with the work, should the client vanish.
            (bcrypt::verify(candidate.reveal(), &hash).unwrap_or(false), turn)
        });
        // It ends when the result is known to the next.
        let (fits, _turn) = match fits.await {
            Ok((fits, turn)) => (fits, Some(turn)),
            Err(_) => (false, None),
        };
        if fits && known.is_some() {
            let mut proved = users.proved.lock().unwrap_or_else(PoisonError::into_inner);
            proved.insert(mark, Instant::now() + REMEMBERED);
            Ok(Verdict::Right)
        } else {
            Ok(Verdict::Wrong)
        }
    }

    /// A text that changes with a user's password, and is none where there is no such user.
    pub fn fingerprint(&self, user: &str) -> Option<String> {
        let users = self.users.current();
        let known = users.list.iter().find(|known| known.name == user)?;
        let digest = digest(&SHA256, known.hash.as_bytes());
        Some(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&digest.as_ref()[..FINGERPRINT]))
    }

    fn remembers(users: &Users, mark: &[u8; 32]) -> bool {
        let mut proved = users.proved.lock().unwrap_or_else(PoisonError::into_inner);
        proved.get(mark).is_some_and(|until| Instant::now() < *until)
    }

    fn mark(&self, user: &str, password: &Secret) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(&(user.len() as u64).to_be_bytes());
        context.update(user.as_bytes());
        context.update(password.reveal().as_bytes());
        let tag = context.sign();
        tag.as_ref().try_into().expect("SHA-256 has 32 bytes")
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    async fn verdict(passwords: &Passwords, user: &str, password: &str) -> (Verdict, bool) {
        let mut hashed = false;
        let verdict = passwords
            .compare(user, &Secret::new(password), || {
                hashed = true;
                Ok::<_, Infallible>(())
            })
            .await
            .unwrap();
        (verdict, hashed)
    }

    #[tokio::test]
    async fn right_is_remembered_until_the_file_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users");
        let set = |name, password| htpasswd::add(&path, name, password, 4).unwrap();
        set("alice", "secret");
        let passwords = Passwords::open(path.clone()).unwrap();
        assert_eq!(
            verdict(&passwords, "alice", "wrong").await,
            (Verdict::Wrong, true)
        );
        assert_eq!(
            verdict(&passwords, "nobody", "secret").await,
            (Verdict::Wrong, true)
        );
        assert_eq!(
            verdict(&passwords, "alice", "secret").await,
            (Verdict::Right, true)
        );
        assert_eq!(
            verdict(&passwords, "alice", "secret").await,
            (Verdict::Right, false)
        );
        assert!(passwords.is_remembered("alice", &Secret::new("secret")));
        assert!(!passwords.is_remembered("alic", &Secret::new("esecret")));
        // What is wrong is hashed every time.
        assert_eq!(
            verdict(&passwords, "alice", "wrong").await,
            (Verdict::Wrong, true)
        );

        let before = passwords.fingerprint("alice");
        set("bob", "x");
        assert!(!passwords.is_remembered("alice", &Secret::new("secret")));
        assert_eq!(passwords.fingerprint("alice"), before);
        set("alice", "other");
        assert_eq!(
            verdict(&passwords, "alice", "secret").await,
            (Verdict::Wrong, true)
        );
        assert_ne!(passwords.fingerprint("alice"), before);
        htpasswd::remove(&path, "alice").unwrap();
        assert_eq!(
            verdict(&passwords, "alice", "other").await,
            (Verdict::Wrong, true)
        );
        assert_eq!(passwords.fingerprint("alice"), None);
    }

    #[tokio::test]
    async fn many_at_once_are_hashed_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users");
        htpasswd::add(&path, "alice", "secret", 4).unwrap();
        let passwords = Passwords {
            processors: Arc::new(Semaphore::new(1)),
            ..Passwords::open(path).unwrap()
        };
        let all = (0..20).map(|_| verdict(&passwords, "alice", "secret"));
        let all = futures_util::future::join_all(all).await;
        assert!(all.iter().all(|(verdict, _)| *verdict == Verdict::Right));
        assert_eq!(all.iter().filter(|(_, hashed)| *hashed).count(), 1);
    }
}
