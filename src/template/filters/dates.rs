//! Filters on dates. A date is an object of the engine: `strftime`, the fields, and `timestamp` hang from it.

use std::fmt;
use std::sync::Arc;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use minijinja::value::{Object, ObjectRepr, Value as Native};
use minijinja::{Error, ErrorKind, State};

use super::order::number;
use crate::template::call::{Call, Definition, native, row};
use crate::value::Value;

pub(super) const FILTERS: &[Definition] = &[
    native(
        "to_datetime",
        "format='%Y-%m-%d %H:%M:%S'",
        "The date that the text says",
        to_datetime,
    ),
    row("strftime", "second, utc=false", "A time in this format", strftime),
];

/// A date and time; with a zone it is one that everybody agrees on.
#[derive(Debug)]
pub(in crate::template) struct Date {
    time: DateTime,
    zone: TimeZone,
}

impl Date {
    pub(in crate::template) fn now(utc: bool) -> Self {
        let zone = if utc { TimeZone::UTC } else { TimeZone::system() };
        Self {
            time: Timestamp::now().to_zoned(zone.clone()).datetime(),
            zone,
        }
    }

    pub(in crate::template) fn at(time: &Zoned) -> Self {
        Self {
            time: time.datetime(),
            zone: time.time_zone().clone(),
        }
    }

    pub(in crate::template) fn format(&self, format: &str) -> Result<String, String> {
        let zoned = self.zoned()?;
        jiff::fmt::strtime::format(format, &zoned).map_err(|error| error.to_string())
    }

    fn zoned(&self) -> Result<Zoned, String> {
        self.time
            .to_zoned(self.zone.clone())
            .map_err(|error| error.to_string())
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.time.strftime("%Y-%m-%d %H:%M:%S"))?;
        match self.time.subsec_nanosecond() / 1000 {
            0 => Ok(()),
            microseconds => write!(f, ".{microseconds:06}"),
        }
    }
}

impl Object for Date {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Native) -> Option<Native> {
        Some(match key.as_str()? {
            "year" => self.time.year().into(),
            "month" => self.time.month().into(),
            "day" => self.time.day().into(),
            "hour" => self.time.hour().into(),
            "minute" => self.time.minute().into(),
            "second" => self.time.second().into(),
            "microsecond" => (self.time.subsec_nanosecond() / 1000).into(),
            _ => return None,
        })
    }

    fn call_method(self: &Arc<Self>, _: &mut State, method: &str, args: &[Native]) -> Result<Native, Error> {
        let failed = |message: String| Error::new(ErrorKind::InvalidOperation, message);
        match method {
            "strftime" => {
                let format = args.first().and_then(Native::as_str).unwrap_or_default();
                self.format(format).map(Native::from).map_err(failed)
            }
            "isoformat" => Ok(self.to_string().replacen(' ', "T", 1).into()),
            "timestamp" => Ok(self
                .zoned()
                .map_err(failed)?
                .timestamp()
                .as_duration()
                .as_secs_f64()
                .into()),
            "weekday" => Ok(self.time.weekday().to_monday_zero_offset().into()),
            "isoweekday" => Ok(self.time.weekday().to_monday_one_offset().into()),
            "date" => Ok(self.time.date().to_string().into()),
            "time" => Ok(self.time.time().to_string().into()),
            _ => Err(Error::new(
                ErrorKind::UnknownMethod,
                format!("a date has no method named {method}"),
            )),
        }
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// What is between two dates.
#[derive(Debug)]
struct Span(jiff::SignedDuration);

const SECONDS_PER_DAY: i64 = 86_400;

impl Object for Span {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Native) -> Option<Native> {
        // As in Python, days may be negative and the rest never is.
        match key.as_str()? {
            "days" => Some(self.0.as_secs().div_euclid(SECONDS_PER_DAY).into()),
            "seconds" => Some(self.0.as_secs().rem_euclid(SECONDS_PER_DAY).into()),
            _ => None,
        }
    }

    fn call_method(self: &Arc<Self>, _: &mut State, method: &str, _: &[Native]) -> Result<Native, Error> {
        match method {
            "total_seconds" => Ok(self.0.as_secs_f64().into()),
            _ => Err(Error::new(
                ErrorKind::UnknownMethod,
                format!("what is between dates has no method named {method}"),
            )),
        }
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.0)
    }
}

/// `left - right` of two dates; none for anything else.
pub(in crate::template) fn between(left: &Native, right: &Native) -> Option<Native> {
    let (left, right) = (
        left.downcast_object_ref::<Date>()?,
        right.downcast_object_ref::<Date>()?,
    );
    Some(Native::from_object(Span(left.time.duration_since(right.time))))
}

fn to_datetime(call: &Call) -> Result<Native, Error> {
    let format = call.string_or("format", "%Y-%m-%d %H:%M:%S")?;
    let text = call.text()?;
    let parsed = jiff::fmt::strtime::parse(&format, &text).map_err(|error| {
        call.fail(format!(
            "time data '{text}' does not match format '{format}': {error}"
        ))
    })?;
    let time = parsed
        .to_datetime()
        .or_else(|_| parsed.to_date().map(|date| date.at(0, 0, 0, 0)))
        .map_err(|error| call.fail(error.to_string()))?;
    Ok(Native::from_object(Date {
        time,
        zone: TimeZone::system(),
    }))
}

fn strftime(call: &Call) -> Result<Value, Error> {
    let format = call.text()?;
    let zone = if call.flag("utc", false) {
        TimeZone::UTC
    } else {
        TimeZone::system()
    };
    let time = match call.value("second")? {
        None | Some(Value::Null) => Timestamp::now(),
        Some(given) => {
            let seconds = number(&given).or_else(|| given.to_string().parse().ok());
            seconds
                .and_then(|seconds| jiff::SignedDuration::try_from_secs_f64(seconds).ok())
                .and_then(|seconds| Timestamp::from_duration(seconds).ok())
                .ok_or_else(|| call.fail(format!("invalid value for epoch value ({given})")))?
        }
    };
    jiff::fmt::strtime::format(&format, &time.to_zoned(zone))
        .map(Value::from)
        .map_err(|error| call.fail(error.to_string()))
}
