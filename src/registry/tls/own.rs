//! An authority of the server's own, and the certificate that it signs: made at the first start, the
//! certificate made anew when its time is nearly over or other names are asked for. The authority stays.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::time::SystemTime;

use super::TlsError;
use crate::certificate::{self, Certificate, IssueOptions, Name, Request, folder};
use crate::registry::config::Config;

pub const CERTIFICATE_FILE: &str = "server.crt";
pub const KEY_FILE: &str = "server.key";

const AUTHORITY_NAME: &str = "regdeploy registry CA";
const AUTHORITY_DAYS: u32 = 3650;
/// Clients of Apple refuse certificates of more than 825 days, and of authorities of others 398.
const CERTIFICATE_DAYS: u32 = 397;

/// The names that a certificate is for: those asked for, and those that go without saying.
pub fn names(config: &Config) -> BTreeSet<Name> {
    let host = config
        .http
        .host
        .as_deref()
        .and_then(|url| url::Url::parse(url).ok());
    let host = host.as_ref().and_then(url::Url::host_str);
    let machine = rustix::system::uname();
    let machine = machine.nodename().to_str().ok();
    let without_saying = ["localhost", "127.0.0.1", "::1"];
    let given = config.http.tls.own.names.iter().cloned();
    let all = without_saying.into_iter().chain(host).chain(machine);
    // A machine may have a name that no certificate can hold.
    given.chain(all.filter_map(|name| name.parse().ok())).collect()
}

/// Sees to it that there is a certificate for these names. Returns when it is to be renewed.
pub fn ensure(folder: &Path, names: &BTreeSet<Name>, now: SystemTime) -> Result<SystemTime, TlsError> {
    certify(folder, names, now).map_err(|source| TlsError::Own {
        folder: folder.to_owned(),
        source,
    })
}

fn certify(folder: &Path, names: &BTreeSet<Name>, now: SystemTime) -> Result<SystemTime, certificate::Error> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|source| certificate::Error::File {
        operation: "create",
        path: folder.display().to_string(),
        source,
    })?;
    let options = |valid_days| IssueOptions { valid_days, now };
    let (authority, new) = folder::load_or_create(folder, AUTHORITY_NAME, options(AUTHORITY_DAYS))?;
    if new {
        tracing::info!(
            "made an authority: clients trust {}",
            folder.join(folder::CERTIFICATE_FILE).display()
        );
    }
    let (certificate_file, key_file) = (folder.join(CERTIFICATE_FILE), folder.join(KEY_FILE));
    let there = fs::read_to_string(&certificate_file)
        .ok()
        .and_then(|text| Certificate::from_pem(&text).ok());
    let key = fs::read_to_string(&key_file).unwrap_or_default();
    if let Some(there) = there
        && there.is_issued_by(authority.certificate())
        && there.names == *names
        && there.has_key(&key)
        && now < renewal(&there)
    {
        return Ok(renewal(&there));
    }
    let request = Request::new(None, names)?;
    let chain = authority.issue(&request.pem, options(CERTIFICATE_DAYS))?;
    // A crash in between leaves a pair that does not match, and is made anew.
    folder::write(&key_file, request.key.reveal(), folder::PRIVATE)?;
    folder::write(&certificate_file, &chain, folder::PUBLIC)?;
    let shown: Vec<String> = names.iter().map(ToString::to_string).collect();
    tracing::info!("made a certificate for {}", shown.join(", "));
    Ok(renewal(&Certificate::from_pem(&chain)?))
}

/// When two thirds of its time are over.
pub fn renewal(certificate: &Certificate) -> SystemTime {
    let lifetime = certificate.not_after.duration_since(certificate.not_before);
    certificate.not_before + lifetime.unwrap_or_default() * 2 / 3
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::Duration;

    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    #[test]
    fn the_certificate_is_renewed_and_the_authority_kept() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("regdeploy/tls");
        let names = |texts: &[&str]| Name::parse_all(texts.iter().copied()).unwrap();
        let one = names(&["registry.example", "10.0.0.5"]);
        let now = SystemTime::now();
        let read = |file: &str| fs::read_to_string(folder.join(file)).unwrap();
        let renewal = ensure(&folder, &one, now).unwrap();
        let days = renewal.duration_since(now).unwrap().as_secs() / DAY.as_secs();
        assert!((263..=265).contains(&days), "{days}");
        let first = (read("ca.crt"), read("server.crt"), read("server.key"));
        let mode = |file: &str| fs::metadata(folder.join(file)).unwrap().permissions().mode() & 0o777;
        assert_eq!(
            (mode("ca.key"), mode("server.key"), mode("")),
            (0o600, 0o600, 0o700)
        );
        // Nothing to do; then time goes by, other names are asked for, and the key is lost.
        ensure(&folder, &one, renewal - DAY).unwrap();
        assert_eq!(
            (read("server.crt"), read("server.key")),
            (first.1.clone(), first.2.clone())
        );
        ensure(&folder, &one, renewal + DAY).unwrap();
        let second = read("server.crt");
        assert_ne!(second, first.1);
        ensure(&folder, &names(&["other.example"]), renewal + DAY).unwrap();
        let third = Certificate::from_pem(&read("server.crt")).unwrap();
        assert_eq!(third.names, names(&["other.example"]));
        fs::remove_file(folder.join("server.key")).unwrap();
        ensure(&folder, &one, renewal + DAY).unwrap();
        assert!(
            Certificate::from_pem(&read("server.crt"))
                .unwrap()
                .has_key(&read("server.key"))
        );
        assert_eq!(read("ca.crt"), first.0);
    }
}
