//! Sizes of logical volumes as tasks write them: `5G`, `512` (MiB), `+10%FREE`, `60%VG`.

use crate::modules::Error;

/// A size: absolute or a part of something, of the whole volume or relative to what it has.
#[derive(Debug, Clone, PartialEq)]
pub struct Size {
    pub relative: Option<char>,
    pub amount: Amount,
    /// As LVM's programs take it, without a sign.
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Amount {
    Bytes(u64),
    Percent(u64, Whole),
}

/// What a percentage is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whole {
    Group,
    Free,
    Origin,
}

/// LVM's letters for units, in powers of 1024.
const UNITS: &str = "kmgtpe";

impl Size {
    pub fn parse(given: &str, is_snapshot: bool) -> Result<Self, Error> {
        let relative = given.chars().next().filter(|sign| ['+', '-'].contains(sign));
        let text = given.trim_start_matches(['+', '-']);
        let amount = match text.split_once('%') {
            Some((percent, whole)) => percentage(percent, whole, is_snapshot)?,
            None => Amount::Bytes(bytes(text).ok_or_else(|| bad(text))?),
        };
        let unit =
            matches!(amount, Amount::Bytes(_)) && text.ends_with(|c: char| c.is_ascii_digit() || c == '.');
        Ok(Self {
            relative,
            amount,
            text: format!("{text}{}", if unit { "m" } else { "" }),
        })
    }

    /// `-l +10%FREE`, `-L 5G`.
    pub fn option(&self, letter: Option<char>) -> [String; 2] {
        let usual = if matches!(self.amount, Amount::Percent(..)) {
            'l'
        } else {
            'L'
        };
        let sign = self.relative.map(String::from).unwrap_or_default();
        [
            format!("-{}", letter.unwrap_or(usual)),
            format!("{sign}{}", self.text),
        ]
    }

    /// For a volume that is still to be made, where a sign means nothing or is wrong.
    pub fn for_new(mut self) -> Result<Self, Error> {
        match (self.relative.take(), self.amount) {
            (None, _) | (Some('+'), Amount::Percent(..)) => Ok(self),
            (Some(sign), _) => Err(Error::new(format!(
                "Bad size specification of '{sign}{}' for creating LV",
                self.text
            ))),
        }
    }
}

fn bad(text: &str) -> Error {
    Error::new(format!("Bad size specification of '{text}'"))
}

fn percentage(percent: &str, whole: &str, is_snapshot: bool) -> Result<Amount, Error> {
    let percent: u64 = percent.parse().map_err(|_| bad(percent))?;
    let whole = match whole {
        "VG" | "PVS" => Whole::Group,
        "FREE" => Whole::Free,
        "ORIGIN" if is_snapshot => Whole::Origin,
        "ORIGIN" => {
            return Err(Error::new(
                "Percentage of ORIGIN supported only for snapshot volumes",
            ));
        }
        _ => {
            return Err(Error::new(
                "Specify extents as a percentage of VG|PVS|FREE|ORIGIN",
            ));
        }
    };
    if percent > 100 {
        return Err(Error::new("Size percentage cannot be larger than 100%"));
    }
    Ok(Amount::Percent(percent, whole))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "sizes are positive and far below 2^63; parts of a byte do not matter"
)]
fn bytes(text: &str) -> Option<u64> {
    let unit = text.chars().last()?.to_ascii_lowercase();
    let (number, factor) = match unit {
        '0'..='9' | '.' => (text, 2_f64.powi(20)),
        'b' => (&text[..text.len() - 1], 1.0),
        's' => (&text[..text.len() - 1], 512.0),
        unit => {
            let power = i32::try_from(UNITS.find(unit)?).ok()? + 1;
            (&text[..text.len() - 1], 1024_f64.powi(power))
        }
    };
    let number: f64 = number
        .parse()
        .ok()
        .filter(|_| number.starts_with(|c: char| c.is_ascii_digit()))?;
    Some((number * factor) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, amount, option) in [
            ("512", Amount::Bytes(512 << 20), "-L 512m"),
            ("5G", Amount::Bytes(5 << 30), "-L 5G"),
            ("1.5t", Amount::Bytes(3 << 39), "-L 1.5t"),
            ("2048s", Amount::Bytes(1 << 20), "-L 2048s"),
            ("+4096b", Amount::Bytes(4096), "-L +4096b"),
            ("100%FREE", Amount::Percent(100, Whole::Free), "-l 100%FREE"),
            ("-10%VG", Amount::Percent(10, Whole::Group), "-l -10%VG"),
            ("20%ORIGIN", Amount::Percent(20, Whole::Origin), "-l 20%ORIGIN"),
        ] {
            let size = Size::parse(text, true).unwrap();
            assert_eq!(size.amount, amount, "{text}");
            assert_eq!(size.option(None).join(" "), option);
        }
        for (text, message) in [
            ("much", "Bad size specification of 'much'"),
            ("5Q", "Bad size specification of '5Q'"),
            (".5G", "Bad size specification of '.5G'"),
            ("10%", "Specify extents as a percentage of VG|PVS|FREE|ORIGIN"),
            ("110%VG", "Size percentage cannot be larger than 100%"),
            (
                "10%ORIGIN",
                "Percentage of ORIGIN supported only for snapshot volumes",
            ),
        ] {
            assert_eq!(Size::parse(text, false).unwrap_err().message, message, "{text}");
        }
    }

    #[test]
    fn new_volumes_are_not_relative() {
        let new = |text: &str| Size::parse(text, false).unwrap().for_new();
        assert_eq!(new("+10%FREE").unwrap().option(None), ["-l", "10%FREE"]);
        assert_eq!(
            new("-5G").unwrap_err().message,
            "Bad size specification of '-5G' for creating LV"
        );
        assert!(new("+5G").is_err());
    }
}
