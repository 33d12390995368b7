//! As much of DER as keys need: elements in a row, read and written. Follows X.690.

/// The tag of an element, its content, and what comes after it.
pub fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let mut length = usize::from(first);
    if first & 0x80 != 0 {
        let count = usize::from(first & 0x7f);
        if count == 0 || count > 4 || rest.len() < count {
            return None;
        }
        length = rest[..count]
            .iter()
            .fold(0, |length, byte| length << 8 | usize::from(*byte));
        rest = &rest[count..];
    }
    (rest.len() >= length).then(|| (tag, &rest[..length], &rest[length..]))
}

/// The elements of a sequence's content.
pub fn elements(mut bytes: &[u8]) -> Option<Vec<(u8, &[u8])>> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let (tag, content, rest) = element(bytes)?;
        all.push((tag, content));
        bytes = rest;
    }
    Some(all)
}

/// One element.
pub fn put(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let length = content.len();
    if length < 0x80 {
        out.push(u8::try_from(length).unwrap_or_default());
    } else {
        let bytes = length.to_be_bytes();
        let start = bytes.iter().position(|byte| *byte != 0).unwrap_or_default();
        out.push(0x80 | u8::try_from(bytes.len() - start).unwrap_or_default());
        out.extend_from_slice(&bytes[start..]);
    }
    out.extend_from_slice(content);
    out
}

pub const INTEGER: u8 = 0x02;
pub const BIT_STRING: u8 = 0x03;
pub const OCTET_STRING: u8 = 0x04;
pub const NULL: u8 = 0x05;
pub const OBJECT: u8 = 0x06;
pub const SEQUENCE: u8 = 0x30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for length in [0, 1, 127, 128, 300, 70_000] {
            let content = vec![7; length];
            let bytes = put(OCTET_STRING, &content);
            assert_eq!(element(&bytes), Some((OCTET_STRING, content.as_slice(), &[][..])));
        }
        for broken in [&[][..], &[4], &[4, 2, 1], &[4, 0x85, 0, 0, 0, 0, 1], &[4, 0x80]] {
            assert_eq!(element(broken), None);
        }
    }
}
