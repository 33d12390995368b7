//! Digests and encodings of texts, and pseudo-random choices.

use std::fmt::Write;

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use md5::{Digest, Md5};
use minijinja::Error;

use crate::template::call::{Call, Definition, row};
use crate::template::encoding::{decode, encode};
use crate::template::random::Random;
use crate::value::Value;

pub(super) const FILTERS: &[Definition] = &[
    row("hash", "hashtype='sha1'", "The text's digest", |call| {
        hash(call, &call.string_or("hashtype", "sha1")?)
    }),
    row("sha1", "", "The text's SHA-1 digest", |call| hash(call, "sha1")),
    row("checksum", "", "The text's SHA-1 digest", |call| {
        hash(call, "sha1")
    }),
    row("md5", "", "The text's MD5 digest", |call| hash(call, "md5")),
    row(
        "b64encode",
        "encoding='utf-8', urlsafe=false",
        "The text in base 64",
        b64encode,
    ),
    row(
        "b64decode",
        "encoding='utf-8', urlsafe=false",
        "The text that base 64 stands for",
        b64decode,
    ),
    row("to_uuid", "namespace", "A version 5 UUID of the text", to_uuid),
    row(
        "random",
        "start=0, step=1, seed",
        "A random item, or number below this one",
        random,
    ),
    row("shuffle", "seed", "The items in random order", shuffle),
];

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

fn hash(call: &Call, algorithm: &str) -> Result<Value, Error> {
    let text = call.text()?;
    let algorithm = match algorithm {
        "md5" => return Ok(hex(&Md5::digest(text.as_bytes())).into()),
        "sha1" => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        "sha224" => &digest::SHA224,
        "sha256" => &digest::SHA256,
        "sha384" => &digest::SHA384,
        "sha512" => &digest::SHA512,
        other => return Err(call.fail(format!("there is no hash `{other}`"))),
    };
    Ok(hex(digest::digest(algorithm, text.as_bytes()).as_ref()).into())
}

fn b64encode(call: &Call) -> Result<Value, Error> {
    let text = call.text()?;
    let engine = if call.flag("urlsafe", false) {
        &URL_SAFE
    } else {
        &STANDARD
    };
    Ok(engine.encode(encoded(call, &text)?).into())
}

/// The text's bytes in the encoding that was asked for.
fn encoded(call: &Call, text: &str) -> Result<Vec<u8>, Error> {
    encode(text, &call.string_or("encoding", "utf-8")?).map_err(|message| call.fail(message))
}

fn b64decode(call: &Call) -> Result<Value, Error> {
    let mut text = call.text()?;
    text.retain(|c| !c.is_whitespace());
    let engine = if call.flag("urlsafe", false) {
        &URL_SAFE
    } else {
        &STANDARD
    };
    let bytes = engine
        .decode(text)
        .map_err(|error| call.fail(format!("this is not base 64: {error}")))?;
    let encoding = call.string_or("encoding", "utf-8")?;
    match decode(&bytes, &encoding) {
        Ok(text) => Ok(text.into()),
        // What is no text stays as near to one as it can be.
        Err(_) if encoding == "utf-8" => Ok(String::from_utf8_lossy(&bytes).into_owned().into()),
        Err(message) => Err(call.fail(message)),
    }
}

/// The namespace that Ansible's UUIDs are in.
const NAMESPACE: &str = "361E6D51-FAEC-444A-9079-341386DA8E2E";

fn to_uuid(call: &Call) -> Result<Value, Error> {
    let namespace: String = call.string_or("namespace", NAMESPACE)?.replace('-', "");
    let bytes: Option<Vec<u8>> = (0..namespace.len() / 2)
        .map(|at| u8::from_str_radix(namespace.get(at * 2..at * 2 + 2)?, 16).ok())
        .collect();
    let Some(mut bytes) = bytes.filter(|bytes| bytes.len() == 16) else {
        return Err(call.fail("`namespace` is no UUID"));
    };
    bytes.extend(call.text()?.bytes());
    let digest = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &bytes);
    let mut uuid = digest.as_ref()[..16].to_vec();
    // RFC 9562: version 5, variant 10.
    uuid[6] = uuid[6] & 0x0f | 0x50;
    uuid[8] = uuid[8] & 0x3f | 0x80;
    let text = hex(&uuid);
    Ok(format!(
        "{}-{}-{}-{}-{}",
        &text[..8],
        &text[8..12],
        &text[12..16],
        &text[16..20],
        &text[20..]
    )
    .into())
}

fn generator(call: &Call) -> Result<Random, Error> {
    Ok(match call.string("seed")? {
        Some(seed) => Random::seeded(&seed),
        None => Random::new(),
    })
}

fn random(call: &Call) -> Result<Value, Error> {
    let mut generator = generator(call)?;
    let end = match call.data()? {
        Value::Int(end) => end,
        value => {
            let mut items = call.items_of(value)?;
            if items.is_empty() {
                return Err(call.fail("there is nothing to choose from"));
            }
            let index = generator.below(items.len());
            return Ok(items.swap_remove(index));
        }
    };
    // `100 | random(10, 5)`: the positional arguments are start and step.
    let start = call.int("start")?.unwrap_or(0);
    let step = call.int("step")?.unwrap_or(1).max(1);
    let count = end
        .saturating_sub(start)
        .saturating_add(step - 1)
        .div_euclid(step);
    match usize::try_from(count) {
        Ok(count) if count > 0 => {
            let chosen = i64::try_from(generator.below(count)).unwrap_or(0);
            Ok(Value::Int(start + chosen * step))
        }
        _ => Err(call.fail("the range is empty")),
    }
}

fn shuffle(call: &Call) -> Result<Value, Error> {
    let mut items = call.list()?;
    generator(call)?.shuffle(&mut items);
    Ok(items.into())
}
