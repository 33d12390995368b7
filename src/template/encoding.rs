//! Texts to bytes and back, in the encodings that playbooks name.

/// A text in an encoding; UTF-8 where none is named.
///
/// # Errors
/// A message for an encoding that is not known, or that lacks a character of the text.
pub fn encode(text: &str, encoding: &str) -> Result<Vec<u8>, String> {
    let single = |known: &dyn Fn(char) -> Option<u8>| {
        text.chars()
            .map(|c| known(c).ok_or_else(|| format!("{encoding} has no character `{c}`")))
            .collect()
    };
    match normal(encoding).as_str() {
        "" | "utf8" => Ok(text.as_bytes().to_vec()),
        "ascii" | "usascii" => single(&|c| u8::try_from(c).ok().filter(u8::is_ascii)),
        "latin1" | "iso88591" => single(&|c| u8::try_from(c).ok()),
        "iso885915" => single(&|c| find(LATIN_9, c).or_else(|| u8::try_from(c).ok())),
        "windows1252" | "cp1252" => single(&|c| {
            find(WINDOWS_1252, c).or_else(|| u8::try_from(c).ok().filter(|byte| !(0x80..0xa0).contains(byte)))
        }),
        "utf16le" => Ok(text.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        "utf16be" => Ok(text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
        "utf16" => Ok(format!("\u{feff}{text}")
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect()),
        "utf32le" => Ok(text.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect()),
        "utf32be" => Ok(text.chars().flat_map(|c| u32::from(c).to_be_bytes()).collect()),
        _ => Err(format!("unknown encoding: {encoding}")),
    }
}

/// Bytes in an encoding as a text.
///
/// # Errors
/// A message for an encoding that is not known, or bytes that are not in it.
pub fn decode(bytes: &[u8], encoding: &str) -> Result<String, String> {
    let table = |table: &[(u8, char)]| {
        let one = |byte: &u8| {
            let special = table.iter().find(|(code, _)| code == byte);
            special.map_or(char::from(*byte), |(_, c)| *c)
        };
        bytes.iter().map(one).collect()
    };
    let wide = |unit: fn([u8; 2]) -> u16, bytes: &[u8]| {
        let units: Vec<u16> = bytes.as_chunks::<2>().0.iter().map(|pair| unit(*pair)).collect();
        String::from_utf16(&units).map_err(|_| format!("this is not {encoding}"))
    };
    match normal(encoding).as_str() {
        "" | "utf8" | "ascii" | "usascii" => {
            String::from_utf8(bytes.to_vec()).map_err(|_| "this is not UTF-8 text".to_owned())
        }
        "latin1" | "iso88591" => Ok(table(&[])),
        "iso885915" => Ok(table(LATIN_9)),
        "windows1252" | "cp1252" => Ok(table(WINDOWS_1252)),
        "utf16be" => wide(u16::from_be_bytes, bytes),
        "utf16le" => wide(u16::from_le_bytes, bytes),
        "utf16" => match bytes {
            [0xfe, 0xff, rest @ ..] => wide(u16::from_be_bytes, rest),
            [0xff, 0xfe, rest @ ..] | rest => wide(u16::from_le_bytes, rest),
        },
        _ => Err(format!("unknown encoding: {encoding}")),
    }
}

/// The name without what people write differently.
fn normal(encoding: &str) -> String {
    encoding.to_lowercase().replace(['-', '_', ' '], "")
}

fn find(table: &[(u8, char)], wanted: char) -> Option<u8> {
    table.iter().find(|(_, c)| *c == wanted).map(|(code, _)| *code)
}

/// Where ISO 8859-15 differs from ISO 8859-1.
const LATIN_9: &[(u8, char)] = &[
    (0xa4, '€'),
    (0xa6, 'Š'),
    (0xa8, 'š'),
    (0xb4, 'Ž'),
    (0xb8, 'ž'),
    (0xbc, 'Œ'),
    (0xbd, 'œ'),
    (0xbe, 'Ÿ'),
];

/// Where Windows' code page 1252 differs from ISO 8859-1.
#[rustfmt::skip]
const WINDOWS_1252: &[(u8, char)] = &[
    (0x80, '€'), (0x82, '‚'), (0x83, 'ƒ'), (0x84, '„'), (0x85, '…'), (0x86, '†'), (0x87, '‡'), (0x88, 'ˆ'),
    (0x89, '‰'), (0x8a, 'Š'), (0x8b, '‹'), (0x8c, 'Œ'), (0x8e, 'Ž'), (0x91, '‘'), (0x92, '’'), (0x93, '“'),
    (0x94, '”'), (0x95, '•'), (0x96, '–'), (0x97, '—'), (0x98, '˜'), (0x99, '™'), (0x9a, 'š'), (0x9b, '›'),
    (0x9c, 'œ'), (0x9e, 'ž'), (0x9f, 'Ÿ'),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        for (encoding, bytes) in [
            ("utf-8", &[0xe2, 0x82, 0xac, 0xc3, 0xa9][..]),
            ("windows-1252", &[0x80, 0xe9]),
            ("ISO8859-15", &[0xa4, 0xe9]),
            ("utf-16-le", &[0xac, 0x20, 0xe9, 0]),
            ("utf-16", &[0xff, 0xfe, 0xac, 0x20, 0xe9, 0]),
        ] {
            assert_eq!(encode("€é", encoding).unwrap(), bytes, "{encoding}");
            assert_eq!(decode(bytes, encoding).unwrap(), "€é", "{encoding}");
        }
        assert!(encode("€", "latin-1").unwrap_err().contains('€'));
        assert!(encode("x", "rot13").is_err());
    }
}
